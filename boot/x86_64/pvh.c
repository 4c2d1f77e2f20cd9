/* SPDX-License-Identifier: MIT */
/* Xen's direct boot structures: xen/include/public/arch-x86/hvm/start_info.h. */
#include "boot/x86_64/direct.h"

#define START_INFO_MAGIC       0x336ec578u
#define START_INFO_WITH_MAP    1u /* version from which a memory map follows */
#define MEMORY_MAP_TYPE_RAM    1u
#define MEMORY_MAP_ENTRIES_MAX 4096u /* choice: bounds a walk over a count that makes no sense */

struct start_info {
    uint32_t magic;
    uint32_t version;
    uint32_t flags;
    uint32_t module_count;
    uint64_t modules;
    uint64_t command_line;
    uint64_t rsdp;
    uint64_t memory_map;
    uint32_t memory_map_entries;
    uint32_t reserved;
};
_Static_assert(sizeof(struct start_info) == 56, "layout of hvm_start_info");
_Static_assert(offsetof(struct start_info, memory_map) == 40, "layout of hvm_start_info");

struct memory_map_entry {
    uint64_t base;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
_Static_assert(sizeof(struct memory_map_entry) == 24, "layout of hvm_memmap_table_entry");

void boot_collect_pvh(struct boot_info *info, uint64_t start_info)
{
    const struct start_info *start = (const struct start_info *)(uintptr_t)start_info;

    info->protocol = "PVH";
    if (start == NULL || start->magic != START_INFO_MAGIC) {
        return; /* no map: the kernel says so and leaves */
    }
    info->acpi_rsdp = start->rsdp;
    if (start->command_line != 0) {
        boot_info_command_line(info, (const char *)(uintptr_t)start->command_line, SIZE_MAX);
    }
    if (start->version < START_INFO_WITH_MAP || start->memory_map == 0) {
        return;
    }
    const struct memory_map_entry *entries =
        (const struct memory_map_entry *)(uintptr_t)start->memory_map;
    uint32_t count = start->memory_map_entries;
    if (count > MEMORY_MAP_ENTRIES_MAX) {
        count = MEMORY_MAP_ENTRIES_MAX;
    }
    /* Where entries overlap, memory that somebody reserved stays reserved. */
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].type == MEMORY_MAP_TYPE_RAM) {
            memory_map_add(&info->memory, entries[i].base, entries[i].size);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        if (entries[i].type != MEMORY_MAP_TYPE_RAM) {
            memory_map_remove(&info->memory, entries[i].base, entries[i].size);
        }
    }
}
