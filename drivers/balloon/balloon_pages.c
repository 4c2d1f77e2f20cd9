/* SPDX-License-Identifier: MIT */
#include "drivers/balloon/balloon_pages.h"

#include <string.h>

#include "drivers/balloon/dynamic_memory_protocol.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

/* 2 MiB: the host's large pages stay whole. */
#define BLOCK_PAGES 512u

/* Choice of ours: single pages a call takes at most, so that other passive work gets its turn.
 * About a millisecond. */
#define SINGLE_PAGES_A_CALL 4096u

#define RESERVE_BASE     (UINT64_C(4) << (20 - PAGE_SHIFT))
#define RESERVE_FRACTION 64u
#define RESERVE_MAX      (UINT64_C(64) << (20 - PAGE_SHIFT))

#define WORD_BITS 64u

/* ---- the bitmap ---- */

static size_t bitmap_pages(uint64_t end_frame)
{
    const uint64_t frames_a_page = (uint64_t)PAGE_SIZE * 8;
    return (size_t)((end_frame + frames_a_page - 1) / frames_a_page);
}

/* A copy of the bitmap with room for frames below `end_frame`, if there is memory for it. */
static uint64_t *larger_bitmap(const struct balloon_pages *pages, uint64_t end_frame)
{
    uint64_t *held = pages_allocate_zeroed(bitmap_pages(end_frame));

    if (held != NULL && pages->held != NULL) {
        memcpy(held, pages->held, bitmap_pages(pages->end_frame) * PAGE_SIZE);
    }
    return held;
}

static void adopt_bitmap(struct balloon_pages *pages, uint64_t *held, uint64_t end_frame)
{
    if (pages->held != NULL) {
        pages_free(pages->held, bitmap_pages(pages->end_frame));
    }
    pages->held = held;
    pages->end_frame = end_frame;
}

bool balloon_pages_prepare(struct balloon_pages *pages)
{
    struct pages_statistics statistics;

    pages_statistics(&statistics);
    if (statistics.end_frame > pages->end_frame) {
        uint64_t *held = larger_bitmap(pages, statistics.end_frame);
        if (held == NULL) {
            return false;
        }
        adopt_bitmap(pages, held, statistics.end_frame);
    }
    return true;
}

/* The bits of the word at `frame` that lie in [frame, end), shifted to their places. */
static uint64_t word_mask(uint64_t frame, uint64_t end)
{
    const uint64_t from = frame % WORD_BITS;
    const uint64_t left = end - frame;
    const uint64_t width = left < WORD_BITS - from ? left : WORD_BITS - from;
    const uint64_t ones = width == WORD_BITS ? UINT64_MAX : (UINT64_C(1) << width) - 1;

    return ones << from;
}

static void mark_held(struct balloon_pages *pages, uint64_t first, uint64_t count)
{
    const uint64_t end = first + count;

    ASSERT(end <= pages->end_frame);
    for (uint64_t frame = first; frame < end; frame = (frame / WORD_BITS + 1) * WORD_BITS) {
        const uint64_t mask = word_mask(frame, end);
        ASSERT((pages->held[frame / WORD_BITS] & mask) == 0);
        pages->held[frame / WORD_BITS] |= mask;
    }
    pages->count += count;
}

static void mark_returned(struct balloon_pages *pages, uint64_t first, uint64_t end)
{
    for (uint64_t frame = first; frame < end; frame = (frame / WORD_BITS + 1) * WORD_BITS) {
        pages->held[frame / WORD_BITS] &= ~word_mask(frame, end);
    }
    pages->count -= end - first;
}

/* The first frame at or behind `frame` whose bit has the value asked for, or `end`. */
static uint64_t find(const struct balloon_pages *pages, uint64_t frame, uint64_t end, bool held)
{
    while (frame < end) {
        uint64_t word = pages->held[frame / WORD_BITS];
        if (!held) {
            word = ~word;
        }
        word &= word_mask(frame, end);
        if (word != 0) {
            return frame - frame % WORD_BITS + (uint64_t)__builtin_ctzll(word);
        }
        frame = (frame / WORD_BITS + 1) * WORD_BITS;
    }
    return end;
}

/* ---- to the host ---- */

uint64_t balloon_pages_reserve(void)
{
    struct pages_statistics statistics;

    pages_statistics(&statistics);
    const uint64_t reserve = RESERVE_BASE + statistics.total / RESERVE_FRACTION;
    return reserve < RESERVE_MAX ? reserve : RESERVE_MAX;
}

uint64_t balloon_pages_spare(void)
{
    const uint64_t reserve = balloon_pages_reserve();
    struct pages_statistics statistics;

    pages_statistics(&statistics);
    return statistics.free > reserve ? statistics.free - reserve : 0;
}

/* A list of ranges that is being written. */
struct range_list {
    uint64_t *ranges;
    size_t count;
    size_t capacity;
};

/* Adds pages at an end of the latest range, or as a new range. False: the list is full. */
static bool append(struct range_list *list, uint64_t first, uint64_t count)
{
    if (list->count > 0) {
        uint64_t *last = &list->ranges[list->count - 1];
        const uint64_t last_first = dynamic_memory_range_first(*last);
        const uint64_t last_count = dynamic_memory_range_count(*last);
        const uint64_t sum = last_count + count;

        if (sum <= DYNAMIC_MEMORY_RANGE_COUNT_MAX) {
            if (last_first + last_count == first) {
                *last = dynamic_memory_range(last_first, sum);
                return true;
            }
            if (first + count == last_first) {
                *last = dynamic_memory_range(first, sum);
                return true;
            }
        }
    }
    if (list->count == list->capacity) {
        return false;
    }
    list->ranges[list->count++] = dynamic_memory_range(first, count);
    return true;
}

/* By first frame. Short lists, and nearly sorted ones: allocators give pages in runs. */
static void sort(uint64_t *ranges, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        const uint64_t range = ranges[i];
        size_t place = i;
        while (place > 0 &&
               dynamic_memory_range_first(ranges[place - 1]) > dynamic_memory_range_first(range)) {
            ranges[place] = ranges[place - 1];
            place--;
        }
        ranges[place] = range;
    }
}

static size_t merge(uint64_t *ranges, size_t count)
{
    struct range_list merged = {.ranges = ranges, .count = 0, .capacity = count};

    for (size_t i = 0; i < count; i++) {
        const uint64_t range = ranges[i];
        append(&merged, dynamic_memory_range_first(range), dynamic_memory_range_count(range));
    }
    return merged.count;
}

/* Takes `count` pages in one run. False: there is no such run, or no room in the list. */
static bool take(struct balloon_pages *pages, struct range_list *list, size_t count)
{
    void *memory = pages_allocate(count);
    if (memory == NULL) {
        return false;
    }

    const uint64_t first = page_frame_of(memory);
    if (!append(list, first, count)) {
        pages_free(memory, count);
        return false;
    }
    mark_held(pages, first, count);
    return true;
}

size_t balloon_pages_take(struct balloon_pages *pages, uint64_t wanted, uint64_t *ranges,
                          size_t capacity, uint64_t *taken)
{
    const uint64_t spare = balloon_pages_spare();
    const uint64_t limit = wanted < spare ? wanted : spare;
    struct range_list list = {.ranges = ranges, .count = 0, .capacity = capacity};
    uint64_t done = 0;

    for (size_t i = 0; i < capacity && limit - done >= BLOCK_PAGES; i++) {
        if (!take(pages, &list, BLOCK_PAGES)) {
            break;
        }
        done += BLOCK_PAGES;
    }
    for (unsigned i = 0; i < SINGLE_PAGES_A_CALL && done < limit; i++) {
        if (!take(pages, &list, 1)) {
            break;
        }
        done++;
    }

    *taken = done;
    sort(ranges, list.count);
    return merge(ranges, list.count);
}

/* ---- from the host ---- */

uint64_t balloon_pages_give_back(struct balloon_pages *pages, uint64_t range, uint64_t *refused)
{
    const uint64_t first = dynamic_memory_range_first(range);
    const uint64_t count = dynamic_memory_range_count(range);
    const uint64_t end = first + count < pages->end_frame ? first + count : pages->end_frame;
    uint64_t given_back = 0;

    /* With nothing held there is nothing to look for, however long the range. */
    for (uint64_t frame = first; frame < end && pages->count > 0;) {
        const uint64_t run = find(pages, frame, end, true);
        frame = find(pages, run, end, false);
        if (run < frame) {
            mark_returned(pages, run, frame);
            pages_free(page_address(run), (size_t)(frame - run));
            given_back += frame - run;
        }
    }
    *refused += count - given_back;
    return given_back;
}

uint64_t balloon_pages_hot_add(struct balloon_pages *pages, uint64_t range, const uint64_t *region)
{
    const uint64_t first = dynamic_memory_range_first(range);
    const uint64_t count = dynamic_memory_range_count(range);

    if (count == 0 || first + count > DYNAMIC_MEMORY_RANGE_FRAME_END) {
        return 0;
    }
    if (region != NULL) {
        const uint64_t region_first = dynamic_memory_range_first(*region);
        const uint64_t region_end = region_first + dynamic_memory_range_count(*region);
        if (first < region_first || first + count > region_end) {
            return 0;
        }
    }
    /* The larger bitmap comes first, since memory without a place in it could never be ballooned.
     */
    uint64_t *held = NULL;
    if (first + count > pages->end_frame) {
        held = larger_bitmap(pages, first + count);
        if (held == NULL) {
            return 0;
        }
    }
    if (!pages_hot_add(first, count)) {
        if (held != NULL) {
            pages_free(held, bitmap_pages(first + count));
        }
        return 0;
    }
    if (held != NULL) {
        adopt_bitmap(pages, held, first + count);
    }
    return count;
}
