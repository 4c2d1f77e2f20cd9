/* SPDX-License-Identifier: MIT */
#include "boot/x86_64/direct.h"

/* First and one past the last byte of the image in memory (linker script). */
extern char image_start[], image_end[];

static struct boot_info info;

struct boot_info *boot_collect(uint64_t handed_over, uint64_t counter, uint32_t protocol)
{
    info.counter_at_entry = counter;
    if (protocol == BOOT_BY_PVH) {
        boot_collect_pvh(&info, handed_over);
    } else {
        boot_collect_linux(&info, handed_over);
    }
    uintptr_t image = (uintptr_t)image_start;
    memory_map_remove(&info.memory, image, (uintptr_t)image_end - image);
    return &info;
}
