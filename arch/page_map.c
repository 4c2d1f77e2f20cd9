/* SPDX-License-Identifier: MIT */
/*
 * One map, one to one, four levels of 512 entries, which is what the processors have in common. It
 * holds the usable memory, the image and device registers, each with the least permissions that do,
 * in the largest pages that fit; everything else faults.
 */
#include "arch/page_map.h"

#include <stddef.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/start.h"
#include "kernel/pages.h"

#define ENTRIES 512u
#define LEVELS  4u

/* Linker script. */
extern char text_start[], text_end[], rodata_start[], rodata_end[], data_start[], bss_end[];
extern char boot_stack_guard[], boot_stack_bottom[], boot_stack_top[];

static uint64_t *root;
static unsigned largest; /* level; asking the processor is an exit to the hypervisor each time */

/* While the map is being built its tables come off the memory map, later from the page allocator.
 */
static struct memory_map *early_memory;
static struct memory_range early_place;

static uint64_t *allocate_table(void)
{
    if (early_memory == NULL) {
        return pages_allocate_zeroed(1);
    }
    uint64_t address = memory_map_take(early_memory, PAGE_SIZE, early_place.end);
    if (address < early_place.base || address == 0) {
        return NULL;
    }
    return memset((void *)(uintptr_t)address, 0, PAGE_SIZE);
}

/* Bytes that one entry of a level maps; level 0 is the last one. */
static uint64_t entry_size(unsigned level)
{
    return (uint64_t)PAGE_SIZE << (9 * level);
}

static uint64_t *entry_in(uint64_t *table, uint64_t address, unsigned level)
{
    return &table[address / entry_size(level) % ENTRIES];
}

static uint64_t *table_of(uint64_t entry)
{
    return (uint64_t *)(uintptr_t)page_entry_address(entry);
}

/* The entry that maps an address or would, at the level where the walk ends. */
static uint64_t *find_entry(uint64_t address, unsigned *level)
{
    uint64_t *table = root;

    for (*level = LEVELS - 1;; (*level)--) {
        uint64_t *entry = entry_in(table, address, *level);
        if (!page_entry_is_present(*entry) || page_entry_is_leaf(*entry, *level)) {
            return entry;
        }
        table = table_of(*entry);
    }
}

/* The entry of exactly this level, with the tables above it made. NULL: no page for one. */
static uint64_t *make_entry(uint64_t address, unsigned level)
{
    uint64_t *table = root;

    for (unsigned at = LEVELS - 1; at > level; at--) {
        uint64_t *entry = entry_in(table, address, at);
        if (!page_entry_is_present(*entry)) {
            uint64_t *next = allocate_table();
            if (next == NULL) {
                return NULL;
            }
            *entry = page_entry_of_table((uintptr_t)next);
        }
        table = table_of(*entry);
    }
    return entry_in(table, address, level);
}

/* The largest page that may map `address` without passing `end`. */
static unsigned level_for(uint64_t address, uint64_t end)
{
    for (unsigned level = largest; level > 0; level--) {
        uint64_t size = entry_size(level);
        if (address % size == 0 && end - address >= size) {
            return level;
        }
    }
    return 0;
}

/* Nothing of the range is mapped yet. */
static bool map_range(uint64_t base, uint64_t end, enum page_permission permission)
{
    while (base < end) {
        unsigned level = level_for(base, end);
        uint64_t *entry = make_entry(base, level);
        if (entry == NULL) {
            return false;
        }
        *entry = page_entry_of_page(base, permission, level);
        base += entry_size(level);
    }
    return true;
}

static bool range_is_unmapped(uint64_t base, uint64_t end)
{
    unsigned level;

    while (base < end) {
        if (page_entry_is_present(*find_entry(base, &level))) {
            return false;
        }
        base = (base / entry_size(level) + 1) * entry_size(level);
    }
    return true;
}

/* Undoes a map_range() that stopped half-way; the tables it made stay for the next one. */
static void unmap_range(uint64_t base, uint64_t end)
{
    unsigned level;

    while (base < end) {
        uint64_t *entry = find_entry(base, &level);
        if (page_entry_is_present(*entry)) {
            *entry = 0;
            page_invalidate(base);
        }
        base = (base / entry_size(level) + 1) * entry_size(level);
    }
}

static bool map_section(const char *start, const char *end, enum page_permission permission)
{
    return map_range((uintptr_t)start, (uintptr_t)end, permission);
}

static bool map_image(void)
{
    return map_section(text_start, text_end, PAGE_CODE) &&
           map_section(rodata_start, rodata_end, PAGE_CONSTANTS) &&
           map_section(data_start, boot_stack_guard, PAGE_DATA) &&
           map_section(boot_stack_bottom, bss_end, PAGE_DATA);
}

bool arch_initialise_memory(struct memory_map *map)
{
    /* The tables lie in memory of the map too, so all of it gets mapped, taken or not. */
    struct memory_map all = *map;

    largest = page_level_largest();
    early_memory = map;
    early_place = page_map_early_place(map);
    root = allocate_table();
    bool complete = root != NULL && map_image();
    for (uint32_t i = 0; complete && i < all.count; i++) {
        complete = map_range(all.ranges[i].base, all.ranges[i].end, PAGE_DATA);
    }
    complete = complete && page_map_early_devices();
    early_memory = NULL;
    if (complete) {
        page_map_use((uintptr_t)root);
    }
    return complete;
}

bool arch_map_memory(uint64_t base, uint64_t size)
{
    uint64_t end = base + size;

    if (base % PAGE_SIZE != 0 || size % PAGE_SIZE != 0 || end < base || end > MEMORY_MAP_LIMIT ||
        !range_is_unmapped(base, end)) {
        return false;
    }
    if (!map_range(base, end, PAGE_DATA)) {
        unmap_range(base, end);
        return false;
    }
    page_map_changed();
    return true;
}

/* Whole pages; those that are mapped already stay as they are. */
static bool map_pages(uint64_t base, uint64_t size, enum page_permission permission)
{
    uint64_t end;

    if (__builtin_add_overflow(base, size, &end) || end > MEMORY_MAP_LIMIT) {
        return false;
    }
    for (uint64_t page = base & ~(uint64_t)(PAGE_SIZE - 1); page < end; page += PAGE_SIZE) {
        if (range_is_unmapped(page, page + PAGE_SIZE) &&
            !map_range(page, page + PAGE_SIZE, permission)) {
            return false;
        }
    }
    page_map_changed();
    return true;
}

bool paging_map_device(uint64_t address, uint64_t size)
{
    return map_pages(address, size, PAGE_DEVICE);
}

bool arch_map_range(uint64_t base, uint64_t size, enum arch_mapping mapping)
{
    static const enum page_permission permissions[] = {
        [ARCH_MAPPING_READ_ONLY] = PAGE_CONSTANTS,
        [ARCH_MAPPING_FRAMEBUFFER] = PAGE_FRAMEBUFFER,
        [ARCH_MAPPING_FIRMWARE] = PAGE_FIRMWARE,
    };
    return map_pages(base, size, permissions[mapping]);
}

/* Replaces a large page of data by a table that maps the same in pages of the next size. */
static bool split(uint64_t *entry, unsigned level, uint64_t address)
{
    uint64_t *table = allocate_table();
    uint64_t size = entry_size(level - 1);
    uint64_t first = page_entry_address(*entry);

    if (table == NULL) {
        return false;
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        table[i] = page_entry_of_page(first + i * size, PAGE_DATA, level - 1);
    }
    page_entry_replace(entry, page_entry_of_table((uintptr_t)table), address);
    return true;
}

bool arch_map_executable(uint64_t address)
{
    for (;;) {
        unsigned level;
        uint64_t *entry = find_entry(address, &level);
        if (!page_entry_is_present(*entry)) {
            return false;
        }
        if (level == 0) {
            page_entry_replace(entry, page_entry_of_page(page_entry_address(*entry), PAGE_CODE, 0),
                               address);
            return true;
        }
        if (!split(entry, level, address)) {
            return false;
        }
    }
}

bool paging_on_stack(uint64_t address, uint64_t size)
{
    return address >= (uintptr_t)boot_stack_bottom && size <= (uintptr_t)boot_stack_top &&
           address <= (uintptr_t)boot_stack_top - size;
}

bool paging_on_stack_guard(uint64_t address)
{
    return address >= (uintptr_t)boot_stack_guard && address < (uintptr_t)boot_stack_bottom;
}

uint64_t paging_stack_from(uint64_t stack_pointer)
{
    return paging_on_stack_guard(stack_pointer) ? (uintptr_t)boot_stack_bottom : stack_pointer;
}

bool paging_in_text(uint64_t address)
{
    return address >= (uintptr_t)text_start && address < (uintptr_t)text_end;
}
