/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_FIRMWARE_H
#define ARCH_AARCH64_FIRMWARE_H

#include <stdint.h>

#include "arch/aarch64/call.h"

/* What firmware answers to a function that it does not have (Arm DEN 0028, "Return codes"). */
#define FIRMWARE_NOT_SUPPORTED UINT64_MAX

/*
 * Calls firmware by the conduit of the platform with a function number and one argument (Arm DEN
 * 0028, "SMC Calling Convention"). FIRMWARE_NOT_SUPPORTED where there is no conduit. Any IRQL.
 */
struct call_registers firmware_call(uint32_t function, uint64_t argument);

#endif
