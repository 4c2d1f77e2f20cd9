/* SPDX-License-Identifier: MIT */
#ifndef VMM_GUEST_MEMORY_H
#define VMM_GUEST_MEMORY_H

/*
 * The guest's memory: one memfd, mapped once as a whole. Guest addresses have a hole below 4 GiB,
 * where devices of a PC are; what would lie there follows at 4 GiB.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where the hole begins and ends. */
#define GUEST_HOLE_START UINT64_C(0xC0000000)
#define GUEST_HOLE_END   UINT64_C(0x100000000)

#define GUEST_ADDED_RANGES 8u                   /* choice */
#define GUEST_ADDED_MOST   (UINT64_C(16) << 30) /* bytes in all of them; choice */

/* Memory that was added while the guest ran. */
struct guest_added {
    uint64_t address;
    uint64_t size;
};

/* Any thread may use it; the executive's alone adds and takes. */
struct guest_memory {
    int file;
    uint8_t *base;
    uint64_t size;  /* bytes at first, multiple of a page */
    uint64_t low;   /* of these, below the hole */
    uint64_t total; /* with what was added, which follows in the file */
    _Atomic uint32_t added_count;
    struct guest_added added[GUEST_ADDED_RANGES];
    uint8_t *taken; /* a byte a page: the guest gave it back */
};

/* False: errno says why. */
bool guest_memory_create(struct guest_memory *memory, uint64_t size);

/* Where `size` bytes at a guest address are here; NULL: not all of them are memory of the guest,
 * or not in one piece. */
void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t size);

/*
 * `count` pages by their frame numbers, any numbers in any order, as one contiguous piece; NULL if
 * one is no memory of the guest, or Linux has no room for the mappings. For
 * guest_memory_unmap_frames().
 */
void *guest_memory_map_frames(const struct guest_memory *memory, const uint64_t *frames,
                              size_t count);
void guest_memory_unmap_frames(const struct guest_memory *memory, void *address, size_t count);

/*
 * Pages that the guest gives: what is in them is dropped, and they read as zero if it touches them
 * all the same; and pages that it gets back. False, and nothing has changed: some of them are no
 * memory, or were given already, or were not.
 */
bool guest_memory_take(struct guest_memory *memory, uint64_t first_frame, uint64_t count);
bool guest_memory_return(struct guest_memory *memory, uint64_t first_frame, uint64_t count);

/*
 * Adds memory above all there is, at a multiple of `alignment`; all bytes and multiples of a page.
 * False: more than GUEST_ADDED_MOST or GUEST_ADDED_RANGES, or errno says why. Where it is: the last
 * of `added`.
 */
bool guest_memory_add(struct guest_memory *memory, uint64_t size, uint64_t alignment);

/* Where the bytes of an added range are here. */
void *guest_memory_of_added(const struct guest_memory *memory, uint32_t range);

/*
 * The part of memory at or behind `offset` that was touched; an offset is a distance from `base`.
 * False: there is none (`start` is `total`), or errno says why not.
 */
bool guest_memory_touched(const struct guest_memory *memory, uint64_t offset, uint64_t *start,
                          uint64_t *end);

/* A sum that differs where any one word does, whichever zeros were touched. False: errno says why.
 */
bool guest_memory_checksum(const struct guest_memory *memory, uint64_t *sum);

#endif
