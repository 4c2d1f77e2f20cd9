/* SPDX-License-Identifier: MIT */
#ifndef EL2_INSTRUCTIONS_H
#define EL2_INSTRUCTIONS_H

/* Instructions of EL2 that C has no words for, beside those of arch/aarch64. Nothing here knows
 * what it is used for. */

#include <stdint.h>

#include "arch/aarch64/instructions.h"

SYSTEM_REGISTER_READ(syndrome_read, "esr_el2")
SYSTEM_REGISTER_READ(fault_address_read, "far_el2")
SYSTEM_REGISTER_READ(fault_page_read, "hpfar_el2")
SYSTEM_REGISTER_READ(pending_interrupts_read, "isr_el1")
SYSTEM_REGISTER_READ(physical_counter_read, "cntpct_el0")
SYSTEM_REGISTER_READ(interrupt_group_enable_read, "s3_0_c12_c12_7") /* ICC_IGRPEN1_EL1 */
SYSTEM_REGISTER_READ(processor_identity_read, "midr_el1")

SYSTEM_REGISTER_WRITE(hypervisor_control_write, "hcr_el2")
SYSTEM_REGISTER_WRITE(feature_traps_write, "cptr_el2")
SYSTEM_REGISTER_WRITE(system_traps_write, "hstr_el2")
SYSTEM_REGISTER_WRITE(counter_traps_write, "cnthctl_el2")
SYSTEM_REGISTER_WRITE(virtual_counter_offset_write, "cntvoff_el2")
SYSTEM_REGISTER_WRITE(virtual_identity_write, "vpidr_el2")
SYSTEM_REGISTER_WRITE(virtual_affinity_write, "vmpidr_el2")
SYSTEM_REGISTER_WRITE(guest_system_control_write, "sctlr_el1")
SYSTEM_REGISTER_WRITE(stage2_control_write, "vtcr_el2")
SYSTEM_REGISTER_WRITE(stage2_base_write, "vttbr_el2")
SYSTEM_REGISTER_WRITE(host_timer_deadline_write, "cnthp_cval_el2")
SYSTEM_REGISTER_WRITE(host_timer_control_write, "cnthp_ctl_el2")
SYSTEM_REGISTER_WRITE(interrupt_registers_write, "s3_4_c12_c9_5")      /* ICC_SRE_EL2 */
SYSTEM_REGISTER_WRITE(interrupt_group0_enable_write, "s3_0_c12_c12_6") /* ICC_IGRPEN0_EL1 */

static inline void wait_for_interrupt(void)
{
    __asm__ volatile("dsb sy; wfi" : : : "memory");
}

/* What any processor knows of stage 2 of this guest's address space is forgotten. */
static inline void stage2_forget(void)
{
    __asm__ volatile("dsb ish; tlbi vmalls12e1is; dsb ish; isb" : : : "memory");
}

/* What any processor knows of the host's own address space is forgotten. */
static inline void host_forget(void)
{
    __asm__ volatile("dsb ish; tlbi alle2is; dsb ish; isb" : : : "memory");
}

/* To the firmware, which is QEMU: SMC calling convention, three arguments, one result. */
static inline uint64_t secure_monitor_call(uint64_t function, uint64_t first, uint64_t second,
                                           uint64_t third)
{
    register uint64_t x0 __asm__("x0") = function;
    register uint64_t x1 __asm__("x1") = first;
    register uint64_t x2 __asm__("x2") = second;
    register uint64_t x3 __asm__("x3") = third;

    __asm__ volatile("smc #0"
                     : "+r"(x0), "+r"(x1), "+r"(x2), "+r"(x3)
                     :
                     : "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
                       "x16", "x17", "memory");
    return x0;
}

#endif
