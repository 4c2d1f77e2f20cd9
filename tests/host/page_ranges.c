/* SPDX-License-Identifier: MIT */
#include "tests/host/page_ranges.h"

#include <string.h>

#include "drivers/balloon/dynamic_memory_protocol.h"
#include "kernel/pages.h"

#define FIRST_CAPACITY 64u

static bool grow(struct page_ranges *ranges)
{
    const size_t capacity = ranges->capacity != 0 ? 2 * ranges->capacity : FIRST_CAPACITY;
    uint64_t *items = memory_allocate(capacity * sizeof(*items));

    if (items == NULL) {
        return false;
    }
    if (ranges->count > 0) {
        memcpy(items, ranges->items, ranges->count * sizeof(*items));
    }
    memory_free(ranges->items);
    ranges->items = items;
    ranges->capacity = capacity;
    return true;
}

bool page_ranges_push(struct page_ranges *ranges, uint64_t first, uint64_t count)
{
    if (ranges->count > 0) {
        uint64_t *top = &ranges->items[ranges->count - 1];
        const uint64_t top_first = dynamic_memory_range_first(*top);
        const uint64_t top_count = dynamic_memory_range_count(*top);
        if (top_first + top_count == first && top_count + count <= DYNAMIC_MEMORY_RANGE_COUNT_MAX) {
            *top = dynamic_memory_range(top_first, top_count + count);
            ranges->pages += count;
            return true;
        }
    }
    if (ranges->count == ranges->capacity && !grow(ranges)) {
        return false;
    }
    ranges->items[ranges->count++] = dynamic_memory_range(first, count);
    ranges->pages += count;
    return true;
}

bool page_ranges_pop(struct page_ranges *ranges, uint64_t limit, uint64_t *first, uint64_t *count)
{
    if (ranges->count == 0 || limit == 0) {
        return false;
    }
    uint64_t *top = &ranges->items[ranges->count - 1];
    const uint64_t top_first = dynamic_memory_range_first(*top);
    const uint64_t top_count = dynamic_memory_range_count(*top);
    *count = top_count < limit ? top_count : limit;
    *first = top_first + top_count - *count;
    *top = dynamic_memory_range(top_first, top_count - *count);
    ranges->pages -= *count;
    ranges->count -= *count == top_count ? 1 : 0;
    return true;
}

void page_ranges_free(struct page_ranges *ranges)
{
    memory_free(ranges->items);
    memset(ranges, 0, sizeof(*ranges));
}
