/* SPDX-License-Identifier: MIT */
/* Entries of the page tables: Intel SDM volume 3, "4-Level Paging". */
#include "arch/page_map.h"

#include "arch/x86_64/instructions.h"

#define ENTRY_PRESENT       UINT64_C(0x001)
#define ENTRY_WRITABLE      UINT64_C(0x002)
#define ENTRY_WRITE_THROUGH UINT64_C(0x008)
#define ENTRY_UNCACHED      UINT64_C(0x010)
#define ENTRY_LARGE         UINT64_C(0x080) /* in the two levels above the last */
#define ENTRY_NO_EXECUTE    (UINT64_C(1) << 63)
#define ENTRY_ADDRESS       UINT64_C(0x000ffffffffff000)

/*
 * Three bits of an entry select one of eight memory types (Intel SDM volume 3, "Page Attribute
 * Table"). The one that write-through alone selects is made write-combining, for the framebuffer.
 */
#define ENTRY_WRITE_COMBINING  ENTRY_WRITE_THROUGH
#define MSR_MEMORY_TYPES       0x277u
#define MEMORY_TYPES           UINT64_C(0x0007040600070106) /* after a reset, but type 1 */
#define CPUID_FEATURES         1u
#define CPUID_FEATURES_EDX_PAT (1u << 16)

#define CR0_PROTECT  (UINT64_C(1) << 16) /* read-only pages are so for the kernel too */
#define BOOT_MAP_END (UINT64_C(4) << 30) /* what boot/x86_64/entry.S mapped */

#define CPUID_EXTENDED          0x80000001u
#define CPUID_EXTENDED_EDX_1GIB (1u << 26)

static const uint64_t permissions[] = {
    [PAGE_CODE] = ENTRY_PRESENT,
    [PAGE_CONSTANTS] = ENTRY_PRESENT | ENTRY_NO_EXECUTE,
    [PAGE_DATA] = ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_NO_EXECUTE,
    [PAGE_DEVICE] =
        ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_NO_EXECUTE | ENTRY_WRITE_THROUGH | ENTRY_UNCACHED,
    [PAGE_FRAMEBUFFER] = ENTRY_PRESENT | ENTRY_WRITABLE | ENTRY_NO_EXECUTE | ENTRY_WRITE_COMBINING,
    [PAGE_FIRMWARE] = ENTRY_PRESENT | ENTRY_WRITABLE,
};

unsigned page_level_largest(void)
{
    return (cpuid(CPUID_EXTENDED, 0).edx & CPUID_EXTENDED_EDX_1GIB) != 0 ? 2 : 1;
}

bool page_entry_is_present(uint64_t entry)
{
    return (entry & ENTRY_PRESENT) != 0;
}

bool page_entry_is_leaf(uint64_t entry, unsigned level)
{
    return level == 0 || (entry & ENTRY_LARGE) != 0;
}

uint64_t page_entry_address(uint64_t entry)
{
    return entry & ENTRY_ADDRESS;
}

uint64_t page_entry_of_table(uint64_t address)
{
    return address | ENTRY_PRESENT | ENTRY_WRITABLE;
}

uint64_t page_entry_of_page(uint64_t address, enum page_permission permission, unsigned level)
{
    return address | permissions[permission] | (level > 0 ? ENTRY_LARGE : 0);
}

void page_invalidate(uint64_t address)
{
    __asm__ volatile("invlpg (%0)" : : "r"(address) : "memory");
}

void page_entry_replace(uint64_t *entry, uint64_t value, uint64_t address)
{
    *entry = value;
    page_invalidate(address);
}

/* An entry that was not present is in no cache of the processor (Intel SDM, "Invalidation"). */
void page_map_changed(void)
{
}

struct memory_range page_map_early_place(const struct memory_map *map)
{
    (void)map;
    return (struct memory_range){.base = 0, .end = BOOT_MAP_END};
}

/* The console is behind ports. */
bool page_map_early_devices(void)
{
    return true;
}

void page_map_use(uint64_t root)
{
    if ((cpuid(CPUID_FEATURES, 0).edx & CPUID_FEATURES_EDX_PAT) != 0) {
        msr_write(MSR_MEMORY_TYPES, MEMORY_TYPES);
    }
    control0_write(control0_read() | CR0_PROTECT);
    control3_write(root);
}
