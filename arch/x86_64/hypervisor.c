/* SPDX-License-Identifier: MIT */
/*
 * The hypervisor's interface as x86-64 has it: CPUID leaves, model-specific registers, and a page
 * of code to call (TLFS, Hypercall Interface).
 */
#include "arch/hypervisor.h"

#include <stdalign.h>
#include <stddef.h>

#include "arch/cpu.h"
#include "arch/x86_64/hypervisor_words.h"
#include "arch/x86_64/instructions.h"
#include "arch/x86_64/interrupts.h"
#include "kernel/pages.h"

#define MSR_HYPERCALL 0x40000001u
#define MSR_SINT0     0x40000090u
#define MSR_STIMER0   0x400000B0u

static const uint32_t registers[] = {
    [HV_REGISTER_GUEST_OS_ID] = 0x40000000u,
    [HV_REGISTER_VP_INDEX] = 0x40000002u,
    [HV_REGISTER_TIME_REF_COUNT] = 0x40000020u,
    [HV_REGISTER_REFERENCE_TSC] = 0x40000021u,
    [HV_REGISTER_TSC_FREQUENCY] = 0x40000022u,
    [HV_REGISTER_APIC_FREQUENCY] = 0x40000023u,
    [HV_REGISTER_VP_ASSIST_PAGE] = 0x40000073u,
    [HV_REGISTER_SCONTROL] = 0x40000080u,
    [HV_REGISTER_SIEFP] = 0x40000082u,
    [HV_REGISTER_SIMP] = 0x40000083u,
    [HV_REGISTER_EOM] = 0x40000084u,
    [HV_REGISTER_CRASH_P0] = 0x40000100u,
    [HV_REGISTER_CRASH_P1] = 0x40000101u,
    [HV_REGISTER_CRASH_P2] = 0x40000102u,
    [HV_REGISTER_CRASH_P3] = 0x40000103u,
    [HV_REGISTER_CRASH_P4] = 0x40000104u,
    [HV_REGISTER_CRASH_CTL] = 0x40000105u,
};
_Static_assert(sizeof(registers) / sizeof(registers[0]) == HV_REGISTER_SINT0, "a number each");

static uint32_t register_number(enum hv_register name)
{
    if (name >= HV_REGISTER_STIMER0_CONFIG) {
        return MSR_STIMER0 + (uint32_t)(name - HV_REGISTER_STIMER0_CONFIG);
    }
    if (name >= HV_REGISTER_SINT0) {
        return MSR_SINT0 + (uint32_t)(name - HV_REGISTER_SINT0);
    }
    return registers[name];
}

uint64_t arch_hv_register_read(enum hv_register name)
{
    return msr_read(register_number(name));
}

void arch_hv_register_write(enum hv_register name, uint64_t value)
{
    msr_write(register_number(name), value);
}

static struct cpuid_words leaf_read(uint32_t leaf)
{
    struct cpuid words = cpuid(leaf, 0);
    return (struct cpuid_words){words.eax, words.ebx, words.ecx, words.edx};
}

void arch_hypervisor_read(struct arch_hypervisor *out)
{
    hypervisor_words_read(leaf_read, out);
}

/*
 * Ordinary memory of the image and used for nothing else: Hyper-V lays a page of its own over it,
 * KVM writes the instructions into it.
 */
static alignas(PAGE_SIZE) uint8_t hypercall_page[PAGE_SIZE];

/* Where to enter; NULL while hypercalls are off. */
static const uint8_t *hypercall_entry;

/* Kept where it is: locked, the register does not change any more. Memory of ours, which is all
 * mapped, it cannot be in: what is there already would be under it. */
static bool page_adopt(uint64_t found, const char **why)
{
    uint64_t address = found & ~(uint64_t)(PAGE_SIZE - 1);
    if ((found & HYPERCALL_REGISTER_ENABLE) == 0 || !arch_map_memory(address, PAGE_SIZE)) {
        *why = "the hypercall page is locked where this guest cannot use it";
        return false;
    }
    hypercall_entry = page_address(address >> PAGE_SHIFT);
    return true;
}

static bool page_enable(uint64_t found, const char **why)
{
    uint64_t value = page_frame_of(hypercall_page) << PAGE_SHIFT |
                     (found & HYPERCALL_REGISTER_RESERVED) | HYPERCALL_REGISTER_ENABLE;
    msr_write(MSR_HYPERCALL, value);
    /* Without a guest OS id the bit silently stays clear. */
    if (msr_read(MSR_HYPERCALL) != value) {
        *why = "the hypervisor did not take the hypercall page";
        return false;
    }
    hypercall_entry = hypercall_page;
    return true;
}

bool arch_hypercall_enable(const char **why)
{
    uint64_t found = msr_read(MSR_HYPERCALL);
    bool locked = (found & HYPERCALL_REGISTER_LOCKED) != 0;
    if (!(locked ? page_adopt(found, why) : page_enable(found, why))) {
        return false;
    }
    if (!hypercall_page_has_code(hypercall_entry)) {
        *why = "the hypercall page is empty";
    } else if (!arch_map_executable((uint64_t)(uintptr_t)hypercall_entry)) {
        *why = "the hypercall page cannot be made executable";
    } else {
        return true;
    }
    arch_hypercall_disable();
    return false;
}

void arch_hypercall_disable(void)
{
    uint64_t found = msr_read(MSR_HYPERCALL);
    if ((found & (HYPERCALL_REGISTER_ENABLE | HYPERCALL_REGISTER_LOCKED)) ==
        HYPERCALL_REGISTER_ENABLE) {
        msr_write(MSR_HYPERCALL, found & HYPERCALL_REGISTER_RESERVED);
    }
    hypercall_entry = NULL;
}

/*
 * The page is entered by a call, never copied: which instruction it holds is the hypervisor's
 * choice. R9 to R11 survive by the specification; saying they do not costs nothing here.
 */
uint64_t arch_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
    uint64_t result;
    register uint64_t r8 __asm__("r8") = output;

    __asm__ volatile("call *%[entry]"
                     : "=a"(result), "+c"(control), "+d"(input), "+r"(r8)
                     : [entry] "m"(hypercall_entry)
                     : "r9", "r10", "r11", "cc", "memory");
    return result;
}

uint32_t arch_synic_interrupt_attach(void (*handler)(void *context), void *context)
{
    return interrupt_vector_allocate(handler, context);
}

void arch_synic_interrupt_detach(uint32_t number)
{
    interrupt_vector_free(number);
}

uint64_t arch_reference_counter(void)
{
    return counter_read();
}
