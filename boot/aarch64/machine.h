/* SPDX-License-Identifier: MIT */
#ifndef BOOT_AARCH64_MACHINE_H
#define BOOT_AARCH64_MACHINE_H

#include "arch/aarch64/platform.h"
#include "boot/aarch64/device_tree.h"
#include "kernel/boot_info.h"

/*
 * What a device tree tells about the machine: memory, command line and what arch/aarch64 wants to
 * know. Both are zeroed; what the tree does not tell stays so, and addresses behind a bus that
 * translates them are not taken. Everything is copied.
 */
void machine_from_device_tree(const struct device_tree *tree, struct boot_info *info,
                              struct platform *machine);

#endif
