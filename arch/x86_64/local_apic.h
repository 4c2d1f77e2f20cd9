/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_LOCAL_APIC_H
#define ARCH_X86_64_LOCAL_APIC_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this processor has one that was turned on. Without it there are no interrupts but
 * exceptions. */
bool local_apic_present(void);

/* At the end of every interrupt but the spurious one. IRQL_DEVICE. */
void local_apic_end_of_interrupt(void);

/* The timer counts down once at the processor's timer frequency over LOCAL_APIC_TIMER_DIVISOR and
 * raises `vector`. Only where a local APIC is present. Any IRQL. */
#define LOCAL_APIC_TIMER_DIVISOR 16u
void local_apic_timer_enable(uint32_t vector);
void local_apic_timer_start(uint32_t ticks); /* 0 stops it */
uint32_t local_apic_timer_left(void);

#endif
