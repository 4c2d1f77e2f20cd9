/* SPDX-License-Identifier: MIT */
#ifndef BOOT_X86_64_PVH_LAYOUT_H
#define BOOT_X86_64_PVH_LAYOUT_H

/*
 * Xen's direct boot structures, for both ends: layouts and nothing else
 * (xen/include/public/arch-x86/hvm/start_info.h). Addresses are guest physical, sizes bytes.
 */

#include <stddef.h>
#include <stdint.h>

#define PVH_MAGIC             0x336ec578u
#define PVH_VERSION_1         1u /* from here on a memory map follows */
#define PVH_MEMORY_TYPE_RAM   1u
#define PVH_NOTE_PHYS32_ENTRY 18u /* ELF note "Xen": the address at which a kernel is entered */

struct pvh_start_info {
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
_Static_assert(sizeof(struct pvh_start_info) == 56, "layout of hvm_start_info");
_Static_assert(offsetof(struct pvh_start_info, memory_map) == 40, "layout of hvm_start_info");

struct pvh_module {
    uint64_t address;
    uint64_t size;
    uint64_t command_line;
    uint64_t reserved;
};
_Static_assert(sizeof(struct pvh_module) == 32, "layout of hvm_modlist_entry");

struct pvh_memory {
    uint64_t base;
    uint64_t size;
    uint32_t type;
    uint32_t reserved;
};
_Static_assert(sizeof(struct pvh_memory) == 24, "layout of hvm_memmap_table_entry");

#endif
