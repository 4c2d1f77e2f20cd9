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

#define ENTRIES               512u
#define INDEX(address, level) ((address) >> (39u - 9u * (level)) & (ENTRIES - 1))
#define LEVEL_FIRST           1u
#define LEVEL_LAST            3u
#define LEVEL_SIZE(level)     (UINT64_C(1) << (39u - 9u * (level)))
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
    (ENTRY_VALID | ENTRY_WRITE_BACK | ENTRY_READ | ENTRY_WRITE | ENTRY_INNER | ENTRY_ACCESSED)
#define DEVICE                                                                                     \
    (ENTRY_VALID | ENTRY_DEVICE | ENTRY_READ | ENTRY_WRITE | ENTRY_ACCESSED | ENTRY_NO_CODE)

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

/* The entry of a level for the address, made on the way; NULL: no memory, or a block is there. */
static _Atomic uint64_t *entry_at(uint64_t guest_address, unsigned level)
{
    _Atomic uint64_t *table = root;

    for (unsigned above = LEVEL_FIRST; above < level; above++) {
        _Atomic uint64_t *entry = &table[INDEX(guest_address, above)];
        if (load(entry) == 0) {
            void *page = pages_allocate_zeroed(1);
            if (page == NULL) {
                return NULL;
            }
            store(entry, (uintptr_t)page | ENTRY_VALID | ENTRY_TABLE);
        } else if ((load(entry) & ENTRY_TABLE) == 0) {
            return NULL;
        }
        table = table_of(load(entry));
    }
    return &table[INDEX(guest_address, level)];
}

bool stage2_map(uint64_t guest_address, uint64_t address, uint64_t size, enum stage2_kind kind)
{
    const uint64_t attributes = kind == STAGE2_MEMORY ? MEMORY : DEVICE;

    ASSERT(((guest_address | address | size) & (PAGE_SIZE - 1)) == 0);
    if (guest_address >= ADDRESS_END || size > ADDRESS_END - guest_address) {
        return false;
    }
    while (size != 0) {
        const uint64_t block = LEVEL_SIZE(LEVEL_LAST - 1);
        const bool as_block = ((guest_address | address) & (block - 1)) == 0 && size >= block;
        const uint64_t step = as_block ? block : PAGE_SIZE;
        _Atomic uint64_t *entry = entry_at(guest_address, as_block ? LEVEL_LAST - 1 : LEVEL_LAST);

        if (entry == NULL || load(entry) != 0) {
            return false;
        }
        store(entry, address | attributes | (as_block ? 0 : ENTRY_TABLE));
        guest_address += step;
        address += step;
        size -= step;
    }
    barrier_all();
    return true;
}

void stage2_use(void)
{
    stage2_control_write(CONTROL);
    stage2_base_write((uintptr_t)root);
    stage2_forget();
}

/* Where one address of memory is, and in `left` how many bytes follow it in the same page or block.
 */
static uint64_t translate(uint64_t guest_address, uint64_t *left)
{
    _Atomic uint64_t *table = root;

    for (unsigned level = LEVEL_FIRST; guest_address < ADDRESS_END && level <= LEVEL_LAST;
         level++) {
        const uint64_t entry = load(&table[INDEX(guest_address, level)]);
        if ((entry & ENTRY_VALID) == 0) {
            break;
        }
        if (level == LEVEL_LAST || (entry & ENTRY_TABLE) == 0) {
            const uint64_t inside = guest_address & (LEVEL_SIZE(level) - 1);
            *left = LEVEL_SIZE(level) - inside;
            return (entry & ENTRY_WRITE_BACK) == ENTRY_WRITE_BACK ? (entry & ENTRY_ADDRESS) + inside
                                                                  : 0;
        }
        table = table_of(entry);
    }
    return 0;
}

void *stage2_memory(uint64_t guest_address, uint64_t size)
{
    uint64_t left = 0;
    const uint64_t first = translate(guest_address, &left);

    if (first == 0 || size > ADDRESS_END) {
        return NULL;
    }
    for (uint64_t done = left; done < size; done += left) {
        if (translate(guest_address + done, &left) != first + done) {
            return NULL;
        }
    }
    return (void *)(uintptr_t)first;
}
