/* SPDX-License-Identifier: MIT */
#include "arch/aarch64/boot_map.h"

#include <stddef.h>

#include "arch/aarch64/mmu.h"
#include "arch/aarch64/page_entry.h"
#include "arch/page_map.h"
#include "kernel/pages.h"

#define ENTRIES 512u
#define LEVELS  4u

/*
 * Choice: the first table, and two for each gigabyte of the image, the device tree, the console and
 * the place of the first tables of the final map, which mostly share them.
 */
#define TABLES 8u

/* Linker script. Not part of .bss, which start code clears while the map is in use. */
extern uint64_t boot_tables[TABLES][ENTRIES];
_Static_assert(TABLES *PAGE_SIZE == BOOT_MAP_TABLES_SIZE, "linker/aarch64.ld keeps room for them");
extern char image_start[], image_end[];

/* The last entry of the first table is beyond the reach of this map, and counts the tables in use.
 */
#define TABLES_USED (boot_tables[0][ENTRIES - 1])

static uint64_t *table_below(uint64_t *entry)
{
    if (*entry != 0) {
        return (uint64_t *)(uintptr_t)(*entry & PAGE_ENTRY_ADDRESS);
    }
    uint64_t used = TABLES_USED >> 1;
    if (used == TABLES) {
        return NULL;
    }
    TABLES_USED = (used + 1) << 1; /* bit 0 stays clear: no entry */
    *entry = (uint64_t)(uintptr_t)boot_tables[used] | PAGE_ENTRY_TABLE;
    return boot_tables[used];
}

static bool map_block(uint64_t address, uint64_t bits)
{
    uint64_t *table = boot_tables[0];

    if (address >= MEMORY_MAP_LIMIT) {
        return false;
    }
    for (unsigned shift = 39; shift > 21; shift -= 9) {
        table = table_below(&table[address >> shift & (ENTRIES - 1)]);
        if (table == NULL) {
            return false;
        }
    }
    table[address >> 21 & (ENTRIES - 1)] = (address & ~(BOOT_MAP_BLOCK - 1)) | bits;
    return true;
}

static bool map_blocks(uint64_t base, uint64_t size)
{
    uint64_t end = base + size;

    base &= ~(BOOT_MAP_BLOCK - 1);
    for (; base < end; base += BOOT_MAP_BLOCK) {
        if (!map_block(base, PAGE_ENTRY_BLOCK | PAGE_ENTRY_MEMORY)) {
            return false;
        }
    }
    return true;
}

/* Makes what was stored visible to the processor's walks of the tables. */
static void finish(void)
{
    __asm__ volatile("dsb sy; isb" : : : "memory");
}

uint64_t boot_map_build(void)
{
    for (unsigned i = 0; i < TABLES; i++) {
        for (unsigned entry = 0; entry < ENTRIES; entry++) {
            /* The compiler must not make a call of it. */
            *(volatile uint64_t *)&boot_tables[i][entry] = 0;
        }
    }
    TABLES_USED = 1 << 1;
    (void)map_blocks((uintptr_t)image_start, (uintptr_t)image_end - (uintptr_t)image_start);
    finish();
    return (uintptr_t)boot_tables;
}

bool boot_map_memory(uint64_t base, uint64_t size)
{
    bool mapped =
        base < MEMORY_MAP_LIMIT && size <= MEMORY_MAP_LIMIT - base && map_blocks(base, size);

    finish();
    return mapped;
}

bool boot_map_device(uint64_t address)
{
    bool mapped = map_block(address, PAGE_ENTRY_BLOCK | PAGE_ENTRY_DEVICE | PAGE_ENTRY_NO_EXECUTE);

    finish();
    return mapped;
}
