/* SPDX-License-Identifier: MIT */
#ifndef BOOT_X86_64_DIRECT_H
#define BOOT_X86_64_DIRECT_H

#include <stdint.h>

#include "kernel/boot_info.h"

/* How entry.S names the way it was entered. */
#define BOOT_BY_PVH   0
#define BOOT_BY_LINUX 1

/*
 * What entry.S calls, interrupts off, whatever was handed over mapped one to one. All that is
 * needed gets copied: the memory of the structures is ordinary usable memory afterwards. `counter`
 * is the processor's counter at entry.
 */
struct boot_info *boot_collect(uint64_t handed_over, uint64_t counter, uint32_t protocol);

/* One reader a protocol; `info` is zeroed. Without a map they leave it empty: the kernel says so
 * and leaves. */
void boot_collect_pvh(struct boot_info *info, uint64_t start_info);
void boot_collect_linux(struct boot_info *info, uint64_t zero_page);

#endif
