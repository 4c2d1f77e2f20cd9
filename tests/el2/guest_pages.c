/* SPDX-License-Identifier: MIT */
/*
 * Pages that follow each other are seen where they are, in the host's map of all memory (start.S).
 * Others get a place in a window, a part of the address space that has no other use.
 */
#include "tests/el2/guest_pages.h"

#include <stdatomic.h>
#include <stdbool.h>

#include "kernel/pages.h"
#include "tests/el2/instructions.h"
#include "tests/el2/stage2.h"

#define ENTRIES       512u
#define WINDOW_INDEX  256u /* in the first table: the upper half of the addresses */
#define WINDOW        ((uint64_t)WINDOW_INDEX << 30)
#define WINDOW_TABLES 32u /* choice: 64 MiB in all, a few large GPADLs at a time */
#define WINDOW_PAGES  (WINDOW_TABLES * ENTRIES)

/* Entries as start.S has them: normal memory, accessed, inner shareable. */
#define ENTRY_TABLE UINT64_C(0x003)
#define ENTRY_PAGE  UINT64_C(0x703)

/* start.S */
extern _Atomic uint64_t host_table[ENTRIES];

static _Alignas(PAGE_SIZE) _Atomic uint64_t second[ENTRIES];
static _Alignas(PAGE_SIZE) _Atomic uint64_t third[WINDOW_PAGES]; /* 0: not in use */

static void set_up(void)
{
    if (host_table[WINDOW_INDEX] != 0) {
        return;
    }
    for (uint32_t i = 0; i < WINDOW_TABLES; i++) {
        second[i] = (uintptr_t)&third[i * ENTRIES] | ENTRY_TABLE;
    }
    barrier_all();
    host_table[WINDOW_INDEX] = (uintptr_t)second | ENTRY_TABLE;
    barrier_all();
}

/* The first run of `count` pages of the window that has no use; WINDOW_PAGES: there is none. */
static size_t find_run(size_t count)
{
    size_t first = 0;

    for (size_t page = 0; page < WINDOW_PAGES; page++) {
        if (third[page] != 0) {
            first = page + 1;
        } else if (page + 1 - first == count) {
            return first;
        }
    }
    return WINDOW_PAGES;
}

static void *window_map(const uint64_t *frames, size_t count)
{
    set_up();
    const size_t first = find_run(count);
    if (first == WINDOW_PAGES) {
        return NULL;
    }
    for (size_t i = 0; i < count; i++) {
        const void *page = stage2_memory(frames[i] << PAGE_SHIFT, PAGE_SIZE);
        third[first + i] = (uintptr_t)page | ENTRY_PAGE;
    }
    barrier_all();
    return (void *)(uintptr_t)(WINDOW + first * PAGE_SIZE);
}

/* The shift of a larger one would lose bits. */
static bool frame_is_sound(uint64_t frame)
{
    return frame < UINT64_C(1) << (64 - PAGE_SHIFT) &&
           stage2_memory(frame << PAGE_SHIFT, PAGE_SIZE) != NULL;
}

void *guest_pages_map(const uint64_t *frames, size_t count)
{
    bool contiguous = true;

    for (size_t i = 0; i < count; i++) {
        if (!frame_is_sound(frames[i])) {
            return NULL;
        }
        contiguous = contiguous && frames[i] == frames[0] + i;
    }
    void *memory =
        contiguous ? stage2_memory(frames[0] << PAGE_SHIFT, (uint64_t)count * PAGE_SIZE) : NULL;
    return memory != NULL ? memory : window_map(frames, count);
}

void guest_pages_unmap(void *address, size_t count)
{
    const uint64_t from = (uintptr_t)address;

    if (from < WINDOW) {
        return;
    }
    const size_t first = (from - WINDOW) / PAGE_SIZE;
    for (size_t i = 0; i < count; i++) {
        third[first + i] = 0;
    }
    host_forget();
}
