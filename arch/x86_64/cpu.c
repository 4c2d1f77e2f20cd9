/* SPDX-License-Identifier: MIT */
/* The boot processor: segments, task state, struct cpu behind the GS base, interrupt flag. */
#include "kernel/cpu.h"

#include <stddef.h>

#include "arch/cpu.h"
#include "arch/start.h"
#include "arch/x86_64/descriptors.h"
#include "arch/x86_64/instructions.h"
#include "arch/x86_64/serial.h"
#include "arch/x86_64/timer.h"

const char arch_name[] = "x86_64";

#define FLAGS_INTERRUPT 0x200u

#define MSR_GS_BASE 0xc0000101u

#define CR4_MACHINE_CHECK      UINT64_C(0x40)
#define CPUID_FEATURES         1u
#define CPUID_FEATURES_EDX_MCE (1u << 7)

static struct cpu boot_cpu;

_Static_assert(offsetof(struct cpu, self) == 0, "arch_this_cpu() reads it at the GS base");

struct cpu *arch_this_cpu(void)
{
    struct cpu *cpu;

    __asm__("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

bool arch_interrupts_disable(void)
{
    uint64_t flags;

    __asm__ volatile("pushfq; popq %0; cli" : "=r"(flags) : : "memory");
    return (flags & FLAGS_INTERRUPT) != 0;
}

void arch_interrupts_enable(void)
{
    __asm__ volatile("sti" : : : "memory");
}

void arch_interrupts_restore(bool were_enabled)
{
    if (were_enabled) {
        arch_interrupts_enable();
    }
}

void arch_wait_for_interrupt(void)
{
    /* The instruction behind sti runs before any interrupt is taken (Intel SDM, STI). */
    __asm__ volatile("sti; hlt" : : : "memory");
}

void arch_relax(void)
{
    __asm__ volatile("pause" : : : "memory");
}

uint64_t arch_counter(void)
{
    return counter_read();
}

void arch_initialise_processor(void)
{
    serial_initialise();
    descriptors_load();
    /* Without it a machine check resets the machine, and nobody learns why. */
    if ((cpuid(CPUID_FEATURES, 0).edx & CPUID_FEATURES_EDX_MCE) != 0) {
        control4_write(control4_read() | CR4_MACHINE_CHECK);
    }
    cpu_initialise(&boot_cpu);
    msr_write(MSR_GS_BASE, (uintptr_t)&boot_cpu);
    timer_ask_processor();
}
