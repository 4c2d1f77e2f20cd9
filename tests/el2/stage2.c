/* SPDX-License-Identifier: MIT */
/*
 * Stage 2 translation (Arm ARM, D8): 36 bits of guest-physical address, from level 1 down, blocks
 * of 2 MiB where both addresses allow.
 */
#include "tests/el2/stage2.h"

#include <stdatomic.h>

#include "kernel/pages.h"
#include "kernel/panic.h"
#include "tests/el2/instructions.h"
#include "tests/el2/machine.h"

#define ENTRIES               512u
#define INDEX(address, level) ((address) >> (39u - 9u * (level)) & (ENTRIES - 1))
#define LEVEL_FIRST           1u
#define LEVEL_LAST            3u
#define ADDRESS_END           (UINT64_C(1) << 36)

#define ENTRY_VALID      UINT64_C(1)
#define ENTRY_TABLE      UINT64_C(2) /* or a page, at the last level */
#define ENTRY_ADDRESS    UINT64_C(0x0000fffffffff000)
#define ENTRY_READ       (UINT64_C(1) << 6)
#define ENTRY_WRITE      (UINT64_C(1) << 7)
#define ENTRY_INNER      (UINT64_C(3) << 8)
#define ENTRY_ACCESSED   (UINT64_C(1) << 10)
#define ENTRY_NO_CODE    (UINT64_C(1) << 54)
#define ENTRY_WRITE_BACK (UINT64_C(0xf) << 2)
#define ENTRY_DEVICE     (UINT64_C(0x1) << 2) /* nGnRE */

#define MEMORY                                                                                     \
    (ENTRY_VALID | ENTRY_TABLE | ENTRY_WRITE_BACK | ENTRY_READ | ENTRY_WRITE | ENTRY_INNER |       \
     ENTRY_ACCESSED)
#define DEVICE                                                                                     \
    (ENTRY_VALID | ENTRY_TABLE | ENTRY_DEVICE | ENTRY_READ | ENTRY_WRITE | ENTRY_ACCESSED |        \
     ENTRY_NO_CODE)

/* VTCR_EL2: its RES1 bit, 40 bits out, inner shareable, walks through the cache, from level 1 on,
 * and 64 - 36 bits that must be zero. */
#define CONTROL (UINT64_C(1) << 31 | 2u << 16 | 3u << 12 | 1u << 10 | 1u << 8 | 1u << 6 | 28u)

static _Alignas(PAGE_SIZE) _Atomic uint64_t root[ENTRIES];

static _Atomic uint64_t *table_of(uint64_t entry)
{
    return page_address((entry & ENTRY_ADDRESS) >> PAGE_SHIFT);
}

static uint64_t load(_Atomic uint64_t *entry)
{
    return atomic_load_explicit(entry, memory_order_relaxed);
}

/* The table walk must find a table cleared. */
static void store(_Atomic uint64_t *entry, uint64_t value)
{
    barrier_all();
    atomic_store_explicit(entry, value, memory_order_relaxed);
}

/* The entry of a page, with the tables above it made if that is wanted; NULL: they are not there.
 */
static _Atomic uint64_t *entry_at(uint64_t guest_address, bool make)
{
    _Atomic uint64_t *table = root;

    for (unsigned level = LEVEL_FIRST; level < LEVEL_LAST; level++) {
        _Atomic uint64_t *entry = &table[INDEX(guest_address, level)];
        if (load(entry) == 0) {
            void *page = make ? pages_allocate_zeroed(1) : NULL;
            if (page == NULL) {
                return NULL;
            }
            store(entry, (uintptr_t)page | ENTRY_VALID | ENTRY_TABLE);
        }
        table = table_of(load(entry));
    }
    return &table[INDEX(guest_address, LEVEL_LAST)];
}

bool stage2_map(uint64_t guest_address, uint64_t address, uint64_t size, enum stage2_kind kind)
{
    ASSERT(((guest_address | address | size) & (PAGE_SIZE - 1)) == 0);
    if (guest_address >= ADDRESS_END || size > ADDRESS_END - guest_address) {
        return false;
    }
    for (uint64_t done = 0; done < size; done += PAGE_SIZE) {
        _Atomic uint64_t *entry = entry_at(guest_address + done, true);
        if (entry == NULL || load(entry) != 0) {
            return false;
        }
        store(entry, (address + done) | (kind == STAGE2_MEMORY ? MEMORY : DEVICE));
    }
    barrier_all();
    return true;
}

/* Where a page of the guest's memory is for the host; 0: it is none. */
static uint64_t page_at(uint64_t guest_address)
{
    _Atomic uint64_t *entry = guest_address < ADDRESS_END ? entry_at(guest_address, false) : NULL;
    const uint64_t value = entry != NULL ? load(entry) : 0;

    return (value & ENTRY_WRITE_BACK) == ENTRY_WRITE_BACK ? value & ENTRY_ADDRESS : 0;
}

/* The processors must never find two different entries: the first one is forgotten in between. */
static void replace(uint64_t guest_address, uint64_t address)
{
    _Atomic uint64_t *entry = entry_at(guest_address, false);

    store(entry, 0);
    stage2_forget();
    store(entry, address | MEMORY);
    barrier_all();
}

bool stage2_cover(uint64_t guest_address, void *page, uint64_t *under)
{
    *under = page_at(guest_address);
    if (*under == 0 || (*under >= HOST_IMAGE && *under < HOST_MEMORY_END)) {
        return false; /* none, or the host's: it lies over another one */
    }
    replace(guest_address, (uintptr_t)page);
    return true;
}

void stage2_uncover(uint64_t guest_address, uint64_t under)
{
    replace(guest_address, under);
}

void *stage2_memory(uint64_t guest_address, uint64_t size)
{
    const uint64_t inside = guest_address & (PAGE_SIZE - 1);
    const uint64_t first = page_at(guest_address - inside);

    if (first == 0 || size > ADDRESS_END) {
        return NULL;
    }
    for (uint64_t done = PAGE_SIZE; done < inside + size; done += PAGE_SIZE) {
        if (page_at(guest_address - inside + done) != first + done) {
            return NULL;
        }
    }
    return (void *)(uintptr_t)(first + inside);
}

void stage2_use(void)
{
    stage2_control_write(CONTROL);
    stage2_base_write((uintptr_t)root);
    stage2_forget();
}
