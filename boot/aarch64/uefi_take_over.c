/* SPDX-License-Identifier: MIT */
#include "arch/aarch64/instructions.h"
#include "boot/uefi.h"

#define LEVEL(current) ((current) >> 2 & 3)

bool uefi_arch_can_take_over(const char **why)
{
    if (LEVEL(current_level_read()) != 1) {
        *why = "firmware runs at an exception level of hypervisors, where this guest does not run";
        return false;
    }
    return true;
}
