/* SPDX-License-Identifier: MIT */
#include "tests/guests/machine.h"

#include "arch/aarch64/gic.h"
#include "arch/cpu.h"

const uint32_t machine_return = 0xd65f03c0;

/* The first kind of interrupt: software's, number 5, to this processor alone. */
#define SOFTWARE_INTERRUPT UINT64_C(5)

void machine_interrupt_nobody_has(void)
{
    uint64_t affinity;

    gic_enable(SOFTWARE_INTERRUPT, true);
    __asm__ volatile("mrs %0, mpidr_el1" : "=r"(affinity));
    uint64_t command = SOFTWARE_INTERRUPT << 24 | (affinity & 0xff0000) << 16 |
                       (affinity & 0xff00) << 8 | UINT64_C(1) << (affinity & 0xf);
    (void)arch_interrupts_disable();
    __asm__ volatile("msr s3_0_c12_c11_5, %0; isb" : : "r"(command)); /* ICC_SGI1R_EL1 */
    arch_wait_for_interrupt();
}

void machine_exception_nobody_expects(void)
{
    __asm__ volatile("brk #1");
}
