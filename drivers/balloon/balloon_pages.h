/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_BALLOON_BALLOON_PAGES_H
#define DRIVERS_BALLOON_BALLOON_PAGES_H

/*
 * The pages of the balloon: takes them from the page allocator, remembers each frame the host holds
 * in a bitmap, and gives back only those. Ranges are as on the wire (dynamic_memory_protocol.h).
 * Everything here is for IRQL_PASSIVE.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All zero at first. The bitmap costs a bit a frame, 1/32768 of the memory below the highest frame.
 */
struct balloon_pages {
    uint64_t *held;     /* bit: the host holds this frame */
    uint64_t end_frame; /* one past the highest frame the bitmap covers */
    uint64_t count;     /* bits that are set */
};

/* Makes the bitmap, or lets it grow, to cover all memory. False: no memory for it; what there was
 * stays. */
bool balloon_pages_prepare(struct balloon_pages *pages);

/*
 * Pages that are never given to the host, so that the guest itself keeps running: 4 MiB and a 64th
 * of all memory, at most 64 MiB. A choice of ours: a guest without a page cache needs room for its
 * buffers only, and grows with its size.
 */
uint64_t balloon_pages_reserve(void);

/* Pages that could be given now. */
uint64_t balloon_pages_spare(void);

/*
 * Takes up to `wanted` pages out of the allocator for the host, blocks of 2 MiB first, then single
 * pages, and writes them as at most `capacity` ranges, sorted and merged. It stops at the reserve,
 * and after a bounded amount of work: it may be called again for the rest. Returns the number of
 * ranges; `*taken` gets the number of pages. Both are 0 only if there are none to spare.
 */
size_t balloon_pages_take(struct balloon_pages *pages, uint64_t wanted, uint64_t *ranges,
                          size_t capacity, uint64_t *taken);

/*
 * Gives the pages of a range back to the allocator, those of them that the host holds. Returns
 * their number; `*refused` is raised by that of the others. Any value is safe.
 */
uint64_t balloon_pages_give_back(struct balloon_pages *pages, uint64_t range, uint64_t *refused);

/*
 * Hands memory that the host added to the allocator. `region` is NULL or the area reserved for
 * growth, which has to contain the range. Returns the number of pages added: all of the range, or 0
 * if it makes no sense, is known already, or there is no memory for the tables that describe it.
 */
uint64_t balloon_pages_hot_add(struct balloon_pages *pages, uint64_t range, const uint64_t *region);

#endif
