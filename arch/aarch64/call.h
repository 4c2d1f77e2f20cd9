/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_CALL_H
#define ARCH_AARCH64_CALL_H

#include <stdint.h>

/*
 * Calls of a hypervisor or of firmware: the registers that carry arguments and results, which are
 * all that a call may change (Arm DEN 0028, "SMC Calling Convention"). Any IRQL.
 */
struct call_registers {
    uint64_t x[18];
};

void call_hvc0(struct call_registers *registers);
void call_hvc1(struct call_registers *registers);
void call_smc0(struct call_registers *registers);

#endif
