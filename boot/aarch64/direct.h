/* SPDX-License-Identifier: MIT */
#ifndef BOOT_AARCH64_DIRECT_H
#define BOOT_AARCH64_DIRECT_H

#include <stdint.h>

#include "kernel/boot_info.h"

/*
 * What entry.S calls, interrupts off, on the map of the start. All that is needed gets copied: the
 * memory of the device tree is ordinary usable memory afterwards. `counter` is the processor's
 * counter at entry.
 */
struct boot_info *boot_collect(uint64_t tree_address, uint64_t counter);

#endif
