/* SPDX-License-Identifier: MIT */
#ifndef ARCH_HYPERVISOR_H
#define ARCH_HYPERVISOR_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The part of the hypervisor interface that differs by architecture: where the discovery words are,
 * how a register is read, how a hypercall is entered, which interrupt a SINT raises. The rules of
 * their use are in hv/.
 */

/*
 * Discovery words (TLFS, Feature and Interface Discovery), zero where the hypervisor reports none.
 * Privileges and features are in the numbering of the 128-bit PrivilegesAndFeatures register,
 * whatever the architecture: bit n of `privileges` is bit n there, bit n of `features` is bit 64 +
 * n. The hypercall and VP-index privileges are set where the architecture needs no such register.
 */
struct arch_hypervisor {
    bool present;        /* some hypervisor */
    bool is_hyperv;      /* it says it has this interface */
    char vendor[13];     /* terminated, for display only */
    uint32_t version[2]; /* build; major << 16 | minor */
    uint64_t privileges;
    uint64_t features;
    uint32_t recommendations;
    uint32_t limits[2]; /* virtual processors, logical processors; 0: not told, all ones: none */
    uint32_t hardware;
};
void arch_hypervisor_read(struct arch_hypervisor *out);

/* Names shared by the architectures. SINTn is HV_REGISTER_SINT0 + n; STIMERn CONFIG/COUNT are
 * HV_REGISTER_STIMER0_CONFIG + 2n / + 2n + 1. */
enum hv_register {
    HV_REGISTER_GUEST_OS_ID,
    HV_REGISTER_VP_INDEX,
    HV_REGISTER_TIME_REF_COUNT,
    HV_REGISTER_REFERENCE_TSC,
    HV_REGISTER_TSC_FREQUENCY,
    HV_REGISTER_APIC_FREQUENCY,
    HV_REGISTER_VP_ASSIST_PAGE,
    HV_REGISTER_SCONTROL,
    HV_REGISTER_SIEFP,
    HV_REGISTER_SIMP,
    HV_REGISTER_EOM,
    HV_REGISTER_CRASH_P0,
    HV_REGISTER_CRASH_P1,
    HV_REGISTER_CRASH_P2,
    HV_REGISTER_CRASH_P3,
    HV_REGISTER_CRASH_P4,
    HV_REGISTER_CRASH_CTL,
    HV_REGISTER_SINT0,
    HV_REGISTER_STIMER0_CONFIG = HV_REGISTER_SINT0 + 16,
    HV_REGISTER_COUNT = HV_REGISTER_STIMER0_CONFIG + 8,
};
/* Of this processor. One that discovery does not announce must not be touched: the access faults on
 * x86-64. Any IRQL. */
uint64_t arch_hv_register_read(enum hv_register name);
void arch_hv_register_write(enum hv_register name, uint64_t value);

/*
 * Makes hypercalls possible (x86-64: the hypercall page; ARM64: nothing to do) once the guest OS ID
 * is set, and undoes it. False: the hypervisor did not take it; `why` then points to a constant
 * text. IRQL_PASSIVE.
 */
bool arch_hypercall_enable(const char **why);
void arch_hypercall_disable(void);

/* Enters the hypervisor; control word, then input and output as the control word says (addresses,
 * or fast parameters). Returns the result word (TLFS, "Hypercall Outputs"). Only while enabled. Any
 * IRQL. */
uint64_t arch_hypercall(uint64_t control, uint64_t input, uint64_t output);

/*
 * The interrupt of a SINT: attaches the handler (IRQL_DEVICE, end of interrupt is done by the
 * architecture) and returns the number to write into the SINT or the timer's direct-mode field; 0
 * if there is none left. VMBus's SINT comes first: on ARM64 the machine's tables name its
 * interrupt. IRQL_PASSIVE.
 */
uint32_t arch_synic_interrupt_attach(void (*handler)(void *context), void *context);
void arch_synic_interrupt_detach(uint32_t number);

/* The counter that the reference TSC page scales (TSC, or the virtual counter), read in program
 * order. Any IRQL. */
uint64_t arch_reference_counter(void);

#endif
