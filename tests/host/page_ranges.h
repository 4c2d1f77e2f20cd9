/* SPDX-License-Identifier: MIT */
#ifndef HOST_PAGE_RANGES_H
#define HOST_PAGE_RANGES_H

/* Runs of pages that a guest gave, the last one on top, as dynamic_memory_protocol.h writes them.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct page_ranges {
    uint64_t *items;
    size_t count;
    size_t capacity;
    uint64_t pages; /* in all of them */
};

/* Joined with the top one where it follows it. False: no memory, and nothing has changed. */
bool page_ranges_push(struct page_ranges *ranges, uint64_t first, uint64_t count);

/* At most `limit` pages off the end of the top one. False: there are none. */
bool page_ranges_pop(struct page_ranges *ranges, uint64_t limit, uint64_t *first, uint64_t *count);

void page_ranges_free(struct page_ranges *ranges);

#endif
