/* SPDX-License-Identifier: MIT */
/* The boot processor: struct cpu behind the thread pointer of this level, vectors, interrupt mask.
 */
#include "kernel/cpu.h"

#include <stddef.h>

#include "arch/aarch64/console.h"
#include "arch/aarch64/exceptions.h"
#include "arch/aarch64/instructions.h"
#include "arch/aarch64/platform.h"
#include "arch/cpu.h"
#include "arch/start.h"

const char arch_name[] = "aarch64";

#define MASK_INTERRUPTS UINT64_C(0x80)

struct platform platform;

static struct cpu boot_cpu;

/* Linker script: the C library's variables of a thread, of which there is one. */
extern char thread_variables_start[];

/* What lies between the thread pointer and the variables (Arm IHI 0055, "Thread-local storage"). */
#define THREAD_CONTROL_BLOCK 16u

struct cpu *arch_this_cpu(void)
{
    return (struct cpu *)(uintptr_t)thread_pointer_read();
}

bool arch_interrupts_disable(void)
{
    uint64_t mask;

    __asm__ volatile("mrs %0, daif; msr daifset, #2" : "=r"(mask) : : "memory");
    return (mask & MASK_INTERRUPTS) == 0;
}

void arch_interrupts_enable(void)
{
    __asm__ volatile("msr daifclr, #2" : : : "memory");
}

void arch_interrupts_restore(bool were_enabled)
{
    if (were_enabled) {
        arch_interrupts_enable();
    }
}

void arch_wait_for_interrupt(void)
{
    /*
     * A pending interrupt ends the halt though it is masked (Arm ARM, "Wait for Interrupt"), and is
     * taken before what follows the isb.
     */
    __asm__ volatile("dsb sy; wfi; msr daifclr, #2; isb" : : : "memory");
}

void arch_relax(void)
{
    __asm__ volatile("yield" : : : "memory");
}

uint64_t arch_counter(void)
{
    return counter_read();
}

void arch_initialise_processor(void)
{
    console_initialise();
    vector_base_write((uintptr_t)exception_vectors);
    cpu_initialise(&boot_cpu);
    thread_pointer_write((uintptr_t)&boot_cpu);
    library_thread_pointer_write((uintptr_t)thread_variables_start - THREAD_CONTROL_BLOCK);
    system_errors_enable();
}
