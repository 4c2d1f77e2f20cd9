/* SPDX-License-Identifier: MIT */
#ifndef ARCH_CPU_H
#define ARCH_CPU_H

#include <stdbool.h>
#include <stdint.h>

/* What the executive needs from a processor. One header, one implementation a folder below arch/.
 */

struct cpu;

/* State of the processor this runs on (kernel/cpu.h). */
struct cpu *arch_this_cpu(void);

/* Turns interrupts off and returns whether they were on. All three at any IRQL. */
bool arch_interrupts_disable(void);
void arch_interrupts_restore(bool were_enabled);
void arch_interrupts_enable(void);

/*
 * Called with interrupts off, after the caller saw that nothing is pending: turns them on and halts
 * in one step, so an interrupt that comes in between still wakes it. Returns with interrupts on
 * after at least one was handled.
 */
void arch_wait_for_interrupt(void);

/* What uname calls this processor: "x86_64". */
extern const char arch_name[];

/* In a loop that polls memory. */
void arch_relax(void);

/* A free-running counter of this processor and how many ticks it makes a second (0: not known). */
uint64_t arch_counter(void);
uint64_t arch_counter_frequency(void);

/* Ends the guest in the way boot was told of; falls back to a reset. Interrupts may be in any
 * state. */
_Noreturn void arch_exit(int status);

/* Starts the machine over. Interrupts may be in any state. */
_Noreturn void arch_restart(void);

/* Raw console output, byte by byte. False: there is no device, or it stopped taking bytes. Any
 * IRQL, interrupts off. */
bool arch_console_write(const char *text, uint32_t length);

/*
 * Maps ordinary memory one to one, readable and writable, not executable: whole pages, of which
 * none is mapped yet. False: they are not so, or there is no page for a table; then none is mapped.
 * Tables are never given back. At or below DISPATCH, one caller at a time, like all that follow.
 */
bool arch_map_memory(uint64_t base, uint64_t size);

/*
 * What else lies in the machine's memory: firmware's tables; a framebuffer, written without waiting
 * for each write; code and data of firmware's runtime services, all of it writable and executable.
 * Maps whole pages one to one; those that are mapped already stay as they are. False: no page for a
 * table, or an address that no map reaches.
 */
enum arch_mapping {
    ARCH_MAPPING_READ_ONLY,
    ARCH_MAPPING_FRAMEBUFFER,
    ARCH_MAPPING_FIRMWARE,
};
bool arch_map_range(uint64_t base, uint64_t size, enum arch_mapping mapping);

/* Makes one page, mapped already, executable and read-only (the hypercall page). False: it is not
 * mapped, or there is no page for a table. */
bool arch_map_executable(uint64_t address);

#endif
