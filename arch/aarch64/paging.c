/* SPDX-License-Identifier: MIT */
/* Entries of the page tables: Arm ARM, "VMSAv8-64 translation tables", granule of 4 KiB. */
#include "arch/page_map.h"

#include "arch/aarch64/boot_map.h"
#include "arch/aarch64/console.h"
#include "arch/aarch64/instructions.h"
#include "arch/aarch64/mmu.h"
#include "arch/aarch64/page_entry.h"
#include "arch/cpu.h"
#include "kernel/pages.h"

#define MEMORY_FEATURES_ADDRESS_SIZE UINT64_C(0xf)
#define CACHE_LINE_SMALLEST          16u

static const uint64_t permissions[] = {
    [PAGE_CODE] = PAGE_ENTRY_MEMORY | PAGE_ENTRY_READ_ONLY | PAGE_ENTRY_NO_USER,
    [PAGE_CONSTANTS] = PAGE_ENTRY_MEMORY | PAGE_ENTRY_READ_ONLY | PAGE_ENTRY_NO_EXECUTE,
    [PAGE_DATA] = PAGE_ENTRY_MEMORY | PAGE_ENTRY_NO_EXECUTE,
    [PAGE_DEVICE] = PAGE_ENTRY_DEVICE | PAGE_ENTRY_NO_EXECUTE,
    [PAGE_FRAMEBUFFER] = PAGE_ENTRY_UNCACHED | PAGE_ENTRY_NO_EXECUTE,
    [PAGE_FIRMWARE] = PAGE_ENTRY_MEMORY | PAGE_ENTRY_NO_USER,
};

unsigned page_level_largest(void)
{
    return 2;
}

bool page_entry_is_present(uint64_t entry)
{
    return (entry & PAGE_ENTRY_PRESENT) != 0;
}

bool page_entry_is_leaf(uint64_t entry, unsigned level)
{
    return level == 0 || (entry & PAGE_ENTRY_NOT_BLOCK) == 0;
}

uint64_t page_entry_address(uint64_t entry)
{
    return entry & PAGE_ENTRY_ADDRESS;
}

uint64_t page_entry_of_table(uint64_t address)
{
    return address | PAGE_ENTRY_TABLE;
}

uint64_t page_entry_of_page(uint64_t address, enum page_permission permission, unsigned level)
{
    return address | permissions[permission] | (level > 0 ? PAGE_ENTRY_BLOCK : PAGE_ENTRY_PAGE);
}

void page_invalidate(uint64_t address)
{
    __asm__ volatile("dsb ishst; tlbi vaae1is, %0; dsb ish; isb"
                     :
                     : "r"(address >> PAGE_SHIFT)
                     : "memory");
}

/* If the page becomes code, what was stored into it is to be fetched. */
void page_entry_replace(uint64_t *entry, uint64_t value, uint64_t address)
{
    bool interrupts = arch_interrupts_disable();

    mmu_entry_replace(entry, value);
    for (uint64_t line = 0; line < PAGE_SIZE; line += CACHE_LINE_SMALLEST) {
        __asm__ volatile("dc cvau, %0" : : "r"(address + line) : "memory");
    }
    __asm__ volatile("dsb ish; ic ialluis; dsb ish; isb" : : : "memory");
    arch_interrupts_restore(interrupts);
}

void page_map_changed(void)
{
    __asm__ volatile("dsb ishst; isb" : : : "memory");
}

/* The highest block of boot's map that is memory from end to end: it has room for the tables of
 * hundreds of gigabytes. */
struct memory_range page_map_early_place(const struct memory_map *map)
{
    for (uint32_t i = map->count; i-- > 0;) {
        uint64_t end = map->ranges[i].end & ~(BOOT_MAP_BLOCK - 1);
        if (end >= BOOT_MAP_BLOCK && end - BOOT_MAP_BLOCK >= map->ranges[i].base &&
            boot_map_memory(end - BOOT_MAP_BLOCK, BOOT_MAP_BLOCK)) {
            return (struct memory_range){.base = end - BOOT_MAP_BLOCK, .end = end};
        }
    }
    return (struct memory_range){.base = 0, .end = 0};
}

bool page_map_early_devices(void)
{
    return console_map();
}

uint64_t mmu_control(void)
{
    uint64_t size = memory_features_read() & MEMORY_FEATURES_ADDRESS_SIZE;

    size = size < MMU_SIZE_48_BITS ? size : MMU_SIZE_48_BITS;
    return MMU_CONTROL | size << MMU_CONTROL_SIZE_SHIFT;
}

void page_map_use(uint64_t root)
{
    mmu_use(root, mmu_control());
}
