/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_BITMAP_H
#define KERNEL_BITMAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * A set of small numbers in which the next member is found in a few steps however large and empty
 * it is: each word of a level has a bit in the level above that says whether it is not zero. The
 * memory is the caller's.
 */
#define BITMAP_LEVELS 6u /* 64^6 bits */

struct bitmap {
    uint64_t bits;
    uint64_t *levels[BITMAP_LEVELS];
    uint32_t level_count;
};

/* Words of memory that a set of numbers below `bits` needs. */
uint64_t bitmap_words(uint64_t bits);

/* An empty set of numbers below `bits` (at least 1), in zeroed memory of bitmap_words(bits) words.
 */
void bitmap_initialise(struct bitmap *map, uint64_t bits, uint64_t *words);

/* All below: `bit` < bits. */
bool bitmap_test(const struct bitmap *map, uint64_t bit);
void bitmap_set(struct bitmap *map, uint64_t bit);
void bitmap_clear(struct bitmap *map, uint64_t bit);

/* The smallest member that is not below `from` (any number), or UINT64_MAX. */
uint64_t bitmap_next(const struct bitmap *map, uint64_t from);

#endif
