/* SPDX-License-Identifier: MIT */
/*
 * A buddy allocator over bitmaps. Free memory is kept as aligned blocks of 2^order pages; each
 * order of each region has a bitmap of its free blocks, in pages at the region's start, so free
 * memory itself is never touched. Two free buddies always become one block of the next order, up to
 * 2 MiB. Allocated pages have no bit anywhere, and nobody remembers how they were allocated: that
 * is why any part can be freed by itself.
 */
#include "kernel/pages.h"

#include <string.h>

#include "arch/cpu.h"
#include "kernel/bitmap.h"
#include "kernel/lock.h"
#include "kernel/panic.h"
#include "kernel/start.h"

#define ORDER_MAXIMUM 9u
#define ORDERS        (ORDER_MAXIMUM + 1)
#define BLOCK_MAXIMUM (UINT64_C(1) << ORDER_MAXIMUM)

/* A run of page frames that came in one piece. It lies in the first of its own pages. */
struct region {
    struct region *next; /* by address */
    uint64_t tables;     /* first frame of all, which holds this */
    uint64_t first;      /* first frame that may be allocated */
    uint64_t end;
    uint64_t free;
    struct bitmap free_blocks[ORDERS]; /* bit: frame >> order, counted from that of `first` */
};

static struct spin_lock lock = SPIN_LOCK_INITIALISER;
static struct region *regions;

static uint64_t bit_of(const struct region *region, uint64_t frame, unsigned order)
{
    return (frame >> order) - (region->first >> order);
}

static uint64_t frame_of_bit(const struct region *region, uint64_t bit, unsigned order)
{
    return (bit + (region->first >> order)) << order;
}

static uint64_t bits_of(uint64_t first, uint64_t end, unsigned order)
{
    return ((end - 1) >> order) - (first >> order) + 1;
}

/* Orders up to BLOCK_MAXIMUM; more pages give ORDER_MAXIMUM. */
static unsigned order_at_most(uint64_t count)
{
    unsigned order = 63u - (unsigned)__builtin_clzll(count);

    return order < ORDER_MAXIMUM ? order : ORDER_MAXIMUM;
}

static bool block_is_free(const struct region *region, uint64_t frame, unsigned order)
{
    if (frame < region->first || frame >= region->end) {
        return false;
    }
    return bitmap_test(&region->free_blocks[order], bit_of(region, frame, order));
}

/* Adds an aligned block and joins it with its buddies. */
static void free_block(struct region *region, uint64_t frame, unsigned order)
{
    while (order < ORDER_MAXIMUM) {
        uint64_t buddy = frame ^ UINT64_C(1) << order;
        if (!block_is_free(region, buddy, order)) {
            break;
        }
        bitmap_clear(&region->free_blocks[order], bit_of(region, buddy, order));
        frame &= buddy;
        order++;
    }
    bitmap_set(&region->free_blocks[order], bit_of(region, frame, order));
}

/* Adds any run of frames, as the fewest aligned blocks. */
static void free_run(struct region *region, uint64_t frame, uint64_t count)
{
    region->free += count;
    while (count > 0) {
        unsigned order = order_at_most(count);
        if (frame != 0 && (unsigned)__builtin_ctzll(frame) < order) {
            order = (unsigned)__builtin_ctzll(frame);
        }
        free_block(region, frame, order);
        frame += UINT64_C(1) << order;
        count -= UINT64_C(1) << order;
    }
}

/* The order of the free block that starts at `frame`; ORDERS if none does. */
static unsigned free_order_at(const struct region *region, uint64_t frame)
{
    for (unsigned order = 0; order < ORDERS; order++) {
        if (frame % (UINT64_C(1) << order) != 0) {
            break;
        }
        if (block_is_free(region, frame, order)) {
            return order;
        }
    }
    return ORDERS;
}

/* The end of the free frames from `frame`, where a free block starts, or `end` if they reach it. */
static uint64_t free_until(const struct region *region, uint64_t frame, uint64_t end)
{
    while (frame < end) {
        unsigned order = free_order_at(region, frame);
        if (order == ORDERS) {
            return frame;
        }
        frame += UINT64_C(1) << order;
    }
    return end;
}

/* Takes a run that is free and starts where a free block starts. */
static void take_run(struct region *region, uint64_t frame, uint64_t count)
{
    uint64_t end = frame + count;

    while (frame < end) {
        unsigned order = free_order_at(region, frame);
        bitmap_clear(&region->free_blocks[order], bit_of(region, frame, order));
        region->free -= UINT64_C(1) << order;
        frame += UINT64_C(1) << order;
    }
    free_run(region, end, frame - end);
}

/* A run inside one free block, the smallest that holds it. 0: there is none. */
static uint64_t take_from_one_block(uint64_t count)
{
    unsigned smallest = order_at_most(count);

    if (count > UINT64_C(1) << smallest) {
        smallest++;
    }
    for (unsigned order = smallest; order < ORDERS; order++) {
        for (struct region *region = regions; region != NULL; region = region->next) {
            uint64_t bit = bitmap_next(&region->free_blocks[order], 0);
            if (bit != UINT64_MAX) {
                uint64_t frame = frame_of_bit(region, bit, order);
                take_run(region, frame, count);
                return frame;
            }
        }
    }
    return 0;
}

/*
 * A run over several free blocks. When no single block is large enough, its first block is one of
 * exactly the order that the run is aligned to.
 */
static uint64_t take_from_several_blocks(uint64_t count)
{
    unsigned order = order_at_most(count);

    for (struct region *region = regions; region != NULL; region = region->next) {
        const struct bitmap *blocks = &region->free_blocks[order];
        uint64_t bit = bitmap_next(blocks, 0);
        while (bit != UINT64_MAX) {
            uint64_t frame = frame_of_bit(region, bit, order);
            uint64_t until = free_until(region, frame, frame + count);
            if (until == frame + count) {
                take_run(region, frame, count);
                return frame;
            }
            bit = bitmap_next(blocks, bit_of(region, until, order) + 1);
        }
    }
    return 0;
}

void *pages_allocate(size_t count)
{
    if (count == 0) {
        return NULL;
    }
    enum irql previous = spin_lock_acquire(&lock);
    uint64_t frame = count <= BLOCK_MAXIMUM ? take_from_one_block(count) : 0;
    if (frame == 0) {
        frame = take_from_several_blocks(count);
    }
    spin_lock_release(&lock, previous);
    return frame == 0 ? NULL : page_address(frame);
}

void *pages_allocate_zeroed(size_t count)
{
    void *pages = pages_allocate(count);

    return pages == NULL ? NULL : memset(pages, 0, count * PAGE_SIZE);
}

static struct region *region_holding(uint64_t first, uint64_t count)
{
    for (struct region *region = regions; region != NULL; region = region->next) {
        if (first >= region->first && first < region->end) {
            return count <= region->end - first ? region : NULL;
        }
    }
    return NULL;
}

static bool any_is_free(const struct region *region, uint64_t first, uint64_t count)
{
    for (unsigned order = 0; order < ORDERS; order++) {
        uint64_t bit = bitmap_next(&region->free_blocks[order], bit_of(region, first, order));
        if (bit <= bit_of(region, first + count - 1, order)) {
            return true;
        }
    }
    return false;
}

void pages_free(void *first, size_t count)
{
    uint64_t frame = page_frame_of(first);

    if (count == 0) {
        return;
    }
    if ((uintptr_t)first % PAGE_SIZE != 0) {
        panic("pages: %p is freed, which is no page", first);
    }
    enum irql previous = spin_lock_acquire(&lock);
    struct region *region = region_holding(frame, count);
    bool allocated = region != NULL && !any_is_free(region, frame, count);
    if (allocated) {
        free_run(region, frame, count);
    }
    spin_lock_release(&lock, previous);
    if (!allocated) {
        panic("pages: %zu pages at %p are freed, which %s", count, first,
              region == NULL ? "were never handed out" : "are free already");
    }
}

bool pages_are_allocated(uint64_t first_frame, uint64_t count)
{
    enum irql previous = spin_lock_acquire(&lock);
    const struct region *region = region_holding(first_frame, count);
    bool allocated = count > 0 && region != NULL && !any_is_free(region, first_frame, count);

    spin_lock_release(&lock, previous);
    return allocated;
}

void pages_statistics(struct pages_statistics *out)
{
    enum irql previous = spin_lock_acquire(&lock);

    *out = (struct pages_statistics){0};
    for (const struct region *region = regions; region != NULL; region = region->next) {
        out->total += region->end - region->first;
        out->free += region->free;
        out->tables += region->first - region->tables;
        out->end_frame = region->end;
    }
    spin_lock_release(&lock, previous);
}

/* Pages that the tables of a region of so many frames occupy. */
static uint64_t table_pages(uint64_t frame, uint64_t count)
{
    uint64_t bytes = sizeof(struct region);

    for (unsigned order = 0; order < ORDERS; order++) {
        bytes += bitmap_words(bits_of(frame, frame + count, order)) * sizeof(uint64_t);
    }
    return (bytes + PAGE_SIZE - 1) / PAGE_SIZE;
}

/* The frames are mapped, more than their tables need, and overlap nothing. */
static void add_region(uint64_t frame, uint64_t count)
{
    uint64_t tables = table_pages(frame, count);
    struct region *region = memset(page_address(frame), 0, tables * PAGE_SIZE);
    uint64_t *words = (uint64_t *)(region + 1);

    region->tables = frame;
    region->first = frame + tables;
    region->end = frame + count;
    for (unsigned order = 0; order < ORDERS; order++) {
        uint64_t bits = bits_of(region->first, region->end, order);
        bitmap_initialise(&region->free_blocks[order], bits, words);
        words += bitmap_words(bits);
    }
    free_run(region, region->first, region->end - region->first);

    enum irql previous = spin_lock_acquire(&lock);
    struct region **at = &regions;
    while (*at != NULL && (*at)->first < region->first) {
        at = &(*at)->next;
    }
    region->next = *at;
    *at = region;
    spin_lock_release(&lock, previous);
}

void pages_initialise(const struct memory_map *map)
{
    for (uint32_t i = 0; i < map->count; i++) {
        uint64_t frame = map->ranges[i].base >> PAGE_SHIFT;
        uint64_t count = (map->ranges[i].end >> PAGE_SHIFT) - frame;
        if (count > table_pages(frame, count)) {
            add_region(frame, count);
        }
    }
}

static bool overlaps_what_is_known(uint64_t first, uint64_t end)
{
    enum irql previous = spin_lock_acquire(&lock);
    bool overlaps = false;

    for (const struct region *region = regions; region != NULL; region = region->next) {
        overlaps = overlaps || (first < region->end && end > region->tables);
    }
    spin_lock_release(&lock, previous);
    return overlaps;
}

bool pages_hot_add(uint64_t first_frame, uint64_t count)
{
    const uint64_t limit = MEMORY_MAP_LIMIT >> PAGE_SHIFT;

    if (first_frame == 0 || count == 0 || first_frame >= limit || count > limit - first_frame ||
        count <= table_pages(first_frame, count) ||
        overlaps_what_is_known(first_frame, first_frame + count) ||
        !arch_map_memory(first_frame << PAGE_SHIFT, count << PAGE_SHIFT)) {
        return false;
    }
    add_region(first_frame, count);
    return true;
}
