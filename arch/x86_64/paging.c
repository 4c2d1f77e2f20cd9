/* SPDX-License-Identifier: MIT */
/*
 * One map, one to one, four levels (Intel SDM volume 3, "4-Level Paging"). It holds the usable
 * memory, the image and the local APIC, each with the least permissions that do, in the largest
 * pages that fit; everything else faults.
 */
#include "arch/x86_64/paging.h"

#include <stddef.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/start.h"
#include "arch/x86_64/instructions.h"
#include "kernel/pages.h"

#define ENTRY_PRESENT       UINT64_C(0x001)
#define ENTRY_WRITABLE      UINT64_C(0x002)
#define ENTRY_WRITE_THROUGH UINT64_C(0x008)
#define ENTRY_UNCACHED      UINT64_C(0x010)
#define ENTRY_LARGE         UINT64_C(0x080) /* in the two levels above the last */
#define ENTRY_NO_EXECUTE    (UINT64_C(1) << 63)
#define ENTRY_ADDRESS       UINT64_C(0x000ffffffffff000)

#define MAP_CODE      ENTRY_PRESENT
#define MAP_CONSTANTS (ENTRY_PRESENT | ENTRY_NO_EXECUTE)
#define MAP_DATA      (ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_NO_EXECUTE)
#define MAP_DEVICE    (MAP_DATA | ENTRY_WRITE_THROUGH | ENTRY_UNCACHED)

/*
 * An entry chooses one of eight memory types by three of its bits; the type with write-through
 * alone is not used for what it is after a reset, but for the framebuffer: write-combining (Intel
 * SDM volume 3, "Page Attribute Table").
 */
#define MAP_FRAMEBUFFER        (MAP_DATA | ENTRY_WRITE_THROUGH)
#define MAP_FIRMWARE           (ENTRY_PRESENT | ENTRY_WRITABLE)
#define MSR_MEMORY_TYPES       0x277u
#define MEMORY_TYPES           UINT64_C(0x0007040600070106) /* after a reset, but type 1 */
#define CPUID_FEATURES         1u
#define CPUID_FEATURES_EDX_PAT (1u << 16)

#define ENTRIES      512u
#define LEVELS       4u
#define CR0_PROTECT  (UINT64_C(1) << 16) /* read-only pages are so for the kernel too */
#define BOOT_MAP_END (UINT64_C(4) << 30) /* what boot/x86_64/entry.S mapped */

#define CPUID_EXTENDED          0x80000001u
#define CPUID_EXTENDED_EDX_1GIB (1u << 26)

/* Linker script. */
extern char text_start[], text_end[], rodata_start[], rodata_end[], data_start[], bss_end[];
extern char boot_stack_guard[], boot_stack_bottom[], boot_stack_top[];

static uint64_t *root;
static bool has_gigabyte_pages;

/* While the map is being built its tables come off the memory map, later from the page allocator.
 */
static struct memory_map *early_memory;

static uint64_t *allocate_table(void)
{
    if (early_memory == NULL) {
        return pages_allocate_zeroed(1);
    }
    uint64_t address = memory_map_take(early_memory, PAGE_SIZE, BOOT_MAP_END);
    if (address == 0) {
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
    return (uint64_t *)(uintptr_t)(entry & ENTRY_ADDRESS);
}

static bool is_leaf(uint64_t entry, unsigned level)
{
    return level == 0 || (entry & ENTRY_LARGE) != 0;
}

/* The entry that maps an address or would, at the level where the walk ends. */
static uint64_t *find_entry(uint64_t address, unsigned *level)
{
    uint64_t *table = root;

    for (*level = LEVELS - 1;; (*level)--) {
        uint64_t *entry = entry_in(table, address, *level);
        if ((*entry & ENTRY_PRESENT) == 0 || is_leaf(*entry, *level)) {
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
        if ((*entry & ENTRY_PRESENT) == 0) {
            uint64_t *next = allocate_table();
            if (next == NULL) {
                return NULL;
            }
            *entry = (uint64_t)(uintptr_t)next | ENTRY_PRESENT | ENTRY_WRITABLE;
        }
        table = table_of(*entry);
    }
    return entry_in(table, address, level);
}

/* The largest page that may map `address` without passing `end`. */
static unsigned level_for(uint64_t address, uint64_t end)
{
    for (unsigned level = has_gigabyte_pages ? 2 : 1; level > 0; level--) {
        uint64_t size = entry_size(level);
        if (address % size == 0 && end - address >= size) {
            return level;
        }
    }
    return 0;
}

/* Nothing of the range is mapped yet. */
static bool map_range(uint64_t base, uint64_t end, uint64_t flags)
{
    while (base < end) {
        unsigned level = level_for(base, end);
        uint64_t *entry = make_entry(base, level);
        if (entry == NULL) {
            return false;
        }
        *entry = base | flags | (level > 0 ? ENTRY_LARGE : 0);
        base += entry_size(level);
    }
    return true;
}

static bool range_is_unmapped(uint64_t base, uint64_t end)
{
    unsigned level;

    while (base < end) {
        if ((*find_entry(base, &level) & ENTRY_PRESENT) != 0) {
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
        if ((*entry & ENTRY_PRESENT) != 0) {
            *entry = 0;
            page_invalidate(base);
        }
        base = (base / entry_size(level) + 1) * entry_size(level);
    }
}

static bool map_section(const char *start, const char *end, uint64_t flags)
{
    return map_range((uintptr_t)start, (uintptr_t)end, flags);
}

static bool map_image(void)
{
    return map_section(text_start, text_end, MAP_CODE) &&
           map_section(rodata_start, rodata_end, MAP_CONSTANTS) &&
           map_section(data_start, boot_stack_guard, MAP_DATA) &&
           map_section(boot_stack_bottom, bss_end, MAP_DATA);
}

bool arch_initialise_memory(struct memory_map *map)
{
    /* The tables lie in memory of the map too, so all of it gets mapped, taken or not. */
    struct memory_map all = *map;

    has_gigabyte_pages = (cpuid(CPUID_EXTENDED, 0).edx & CPUID_EXTENDED_EDX_1GIB) != 0;
    early_memory = map;
    root = allocate_table();
    bool complete = root != NULL && map_image();
    for (uint32_t i = 0; complete && i < all.count; i++) {
        complete = map_range(all.ranges[i].base, all.ranges[i].end, MAP_DATA);
    }
    early_memory = NULL;
    if (complete) {
        control0_write(control0_read() | CR0_PROTECT);
        control3_write((uintptr_t)root);
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
    if (!map_range(base, end, MAP_DATA)) {
        unmap_range(base, end);
        return false;
    }
    return true;
}

static uint64_t flags_of(enum arch_mapping mapping)
{
    switch (mapping) {
    case ARCH_MAPPING_FRAMEBUFFER:
        return MAP_FRAMEBUFFER;
    case ARCH_MAPPING_FIRMWARE:
        return MAP_FIRMWARE;
    default:
        return MAP_CONSTANTS;
    }
}

bool arch_map_range(uint64_t base, uint64_t size, enum arch_mapping mapping)
{
    uint64_t end;
    unsigned level;

    if (__builtin_add_overflow(base, size, &end) || end > MEMORY_MAP_LIMIT) {
        return false;
    }
    if (mapping == ARCH_MAPPING_FRAMEBUFFER &&
        (cpuid(CPUID_FEATURES, 0).edx & CPUID_FEATURES_EDX_PAT) != 0) {
        msr_write(MSR_MEMORY_TYPES, MEMORY_TYPES);
    }
    for (uint64_t page = base & ~(uint64_t)(PAGE_SIZE - 1); page < end; page += PAGE_SIZE) {
        if ((*find_entry(page, &level) & ENTRY_PRESENT) == 0 &&
            !map_range(page, page + PAGE_SIZE, flags_of(mapping))) {
            return false;
        }
    }
    return true;
}

bool paging_map_device(uint64_t address)
{
    address &= ~(uint64_t)(PAGE_SIZE - 1);
    return map_range(address, address + PAGE_SIZE, MAP_DEVICE);
}

/* Replaces a large page by a table that maps the same in pages of the next size. */
static bool split(uint64_t *entry, unsigned level)
{
    uint64_t *table = allocate_table();
    uint64_t size = entry_size(level - 1);
    uint64_t flags = *entry & ~ENTRY_ADDRESS & ~ENTRY_LARGE;

    if (table == NULL) {
        return false;
    }
    for (unsigned i = 0; i < ENTRIES; i++) {
        table[i] = ((*entry & ENTRY_ADDRESS) + i * size) | flags | (level > 1 ? ENTRY_LARGE : 0);
    }
    *entry = (uint64_t)(uintptr_t)table | ENTRY_PRESENT | ENTRY_WRITABLE;
    return true;
}

bool arch_map_executable(uint64_t address)
{
    for (;;) {
        unsigned level;
        uint64_t *entry = find_entry(address, &level);
        if ((*entry & ENTRY_PRESENT) == 0) {
            return false;
        }
        if (level == 0) {
            *entry = (*entry & ENTRY_ADDRESS) | MAP_CODE;
            page_invalidate(address);
            return true;
        }
        if (!split(entry, level)) {
            return false;
        }
        page_invalidate(address);
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
