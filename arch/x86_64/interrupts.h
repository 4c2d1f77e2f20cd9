/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_INTERRUPTS_H
#define ARCH_X86_64_INTERRUPTS_H

#include <stdint.h>

/*
 * Vectors 0 to 31 are the processor's exceptions. Two more classes of 16 are for interrupts: few
 * devices interrupt a guest, and every vector costs an entry. The last one is the local APIC's
 * spurious vector. Interrupts of all vectors above, which whoever ran before may have left pending,
 * come in by the entry of the one before it.
 */
#define INTERRUPT_VECTORS_BEGIN   0x20u
#define INTERRUPT_VECTORS_END     0x40u
#define INTERRUPT_VECTOR_SPURIOUS 0x3fu
#define INTERRUPT_VECTOR_FOREIGN  0x3eu
#define INTERRUPT_GATES           0x100u

/*
 * Gives a vector to the handler `run`. It runs at IRQL_DEVICE, interrupts off; the end of interrupt
 * is signalled behind it. 0: no vector is left. IRQL_PASSIVE.
 */
uint32_t interrupt_vector_allocate(void (*run)(void *context), void *context);

/* Gives it back. Its source must be masked; what still arrives is reported as unexpected and
 * dropped. IRQL_PASSIVE. */
void interrupt_vector_free(uint32_t vector);

/* arch/x86_64/interrupt_entry.S: the entry of vector n lies INTERRUPT_ENTRY_SIZE bytes behind that
 * of n - 1. */
#define INTERRUPT_ENTRY_SIZE 8u
extern const char interrupt_entries[];

/* Called by the entries, interrupts off. */
void interrupt_dispatch(uint64_t vector);

#endif
