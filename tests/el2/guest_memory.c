/* SPDX-License-Identifier: MIT */
/* The guest's memory as it grows and shrinks: what the host's devices ask for
 * (tests/host/machine.h).
 */
#include "tests/el2/guest_memory.h"

#include <stddef.h>
#include <string.h>

#include "kernel/bitmap.h"
#include "kernel/pages.h"
#include "tests/el2/machine.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/stage2.h"
#include "tests/host/machine.h"

#define HOT_ADDED_FRAME (GUEST_HOT_ADDED >> PAGE_SHIFT)

static struct {
    uint64_t first;      /* frame of the guest's */
    uint64_t address;    /* where it is for the host */
    uint64_t pages;      /* that it was started with */
    uint64_t spare;      /* that lie behind them */
    uint64_t added;      /* of these, in the order in which they lie; the rest is the host's yet */
    struct bitmap taken; /* pages that the guest gave, by their places in the host's memory */
} memory;

/* The place of a page of the guest, counted from the first; UINT64_MAX: it has no such page. */
static uint64_t place_of(uint64_t frame)
{
    if (frame >= memory.first && frame - memory.first < memory.pages) {
        return frame - memory.first;
    }
    if (frame >= HOT_ADDED_FRAME && frame - HOT_ADDED_FRAME < memory.added) {
        return memory.pages + (frame - HOT_ADDED_FRAME);
    }
    return UINT64_MAX;
}

/* Whether all of a run are the guest's, and taken already or not. */
static bool run_is(uint64_t first_frame, uint64_t count, bool taken)
{
    for (uint64_t i = 0; i < count; i++) {
        const uint64_t place = place_of(first_frame + i);
        if (place == UINT64_MAX || bitmap_test(&memory.taken, place) != taken) {
            return false;
        }
    }
    return count != 0;
}

void guest_memory_create(uint64_t guest_address, uint64_t address, uint64_t pages, uint64_t spare)
{
    const uint64_t words = bitmap_words(pages + spare);
    void *tables = pages_allocate_zeroed((words * sizeof(uint64_t) + PAGE_SIZE - 1) / PAGE_SIZE);

    if (tables == NULL || !stage2_map(guest_address, address, pages << PAGE_SHIFT, STAGE2_MEMORY)) {
        stop(STATUS_HOST_FAILED, "no memory for the tables of the guest's");
    }
    memory.first = guest_address >> PAGE_SHIFT;
    memory.address = address;
    memory.pages = pages;
    memory.spare = spare;
    bitmap_initialise(&memory.taken, pages + spare, tables);
}

uint64_t machine_memory_pages(void)
{
    return memory.pages;
}

bool machine_memory_take(uint64_t first_frame, uint64_t count)
{
    if (!run_is(first_frame, count, false)) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        void *page = stage2_memory((first_frame + i) << PAGE_SHIFT, PAGE_SIZE);
        memset(page, 0, PAGE_SIZE);
        bitmap_set(&memory.taken, place_of(first_frame + i));
    }
    return true;
}

bool machine_memory_return(uint64_t first_frame, uint64_t count)
{
    if (!run_is(first_frame, count, true)) {
        return false;
    }
    for (uint64_t i = 0; i < count; i++) {
        bitmap_clear(&memory.taken, place_of(first_frame + i));
    }
    return true;
}

bool machine_memory_add(uint64_t count, uint64_t alignment, uint64_t *first_frame)
{
    const uint64_t place = memory.added == 0 || alignment == 0
                               ? memory.added
                               : (memory.added + alignment - 1) / alignment * alignment;

    if (count == 0 || place > memory.spare || count > memory.spare - place ||
        !stage2_map((HOT_ADDED_FRAME + place) << PAGE_SHIFT,
                    memory.address + ((memory.pages + place) << PAGE_SHIFT), count << PAGE_SHIFT,
                    STAGE2_MEMORY)) {
        return false;
    }
    memory.added = place + count;
    *first_frame = HOT_ADDED_FRAME + place;
    return true;
}
