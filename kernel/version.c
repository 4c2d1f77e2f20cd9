/* SPDX-License-Identifier: MIT */
#include "kernel/version.h"

#include "arch/cpu.h"

const char *version_architecture(void)
{
    return arch_name;
}
