/* SPDX-License-Identifier: MIT */
#include "boot/x86_64/direct.h"
#include "boot/x86_64/pvh_layout.h"

#define MEMORY_MAP_ENTRIES_MAX 4096u /* choice: bounds a walk over a count that makes no sense */

void boot_collect_pvh(struct boot_info *info, uint64_t start_info)
{
    const struct pvh_start_info *start = (const struct pvh_start_info *)(uintptr_t)start_info;

    info->protocol = "PVH";
    if (start == NULL || start->magic != PVH_MAGIC) {
        return; /* no map: the kernel says so and leaves */
    }
    info->acpi_rsdp = start->rsdp;
    if (start->command_line != 0) {
        boot_info_command_line(info, (const char *)(uintptr_t)start->command_line, SIZE_MAX);
    }
    if (start->version < PVH_VERSION_1 || start->memory_map == 0) {
        return;
    }
    const struct pvh_memory *entries = (const struct pvh_memory *)(uintptr_t)start->memory_map;
    uint32_t count = start->memory_map_entries;
    if (count > MEMORY_MAP_ENTRIES_MAX) {
        count = MEMORY_MAP_ENTRIES_MAX;
    }
    /* Where entries overlap, memory that somebody reserved stays reserved. */
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].type == PVH_MEMORY_TYPE_RAM) {
            memory_map_add(&info->memory, entries[i].base, entries[i].size);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].type != PVH_MEMORY_TYPE_RAM) {
            memory_map_remove(&info->memory, entries[i].base, entries[i].size);
        }
    }
}
