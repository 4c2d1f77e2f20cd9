/* SPDX-License-Identifier: MIT */
#include "kernel/bitmap.h"

#define WORD_BITS 64u

static uint64_t words_for(uint64_t bits)
{
    return (bits + WORD_BITS - 1) / WORD_BITS;
}

uint64_t bitmap_words(uint64_t bits)
{
    uint64_t total = 0;

    do {
        bits = words_for(bits);
        total += bits;
    } while (bits > 1);
    return total;
}

void bitmap_initialise(struct bitmap *map, uint64_t bits, uint64_t *words)
{
    map->bits = bits;
    map->level_count = 0;
    do {
        map->levels[map->level_count++] = words;
        bits = words_for(bits);
        words += bits;
    } while (bits > 1);
}

static uint64_t mask_of(uint64_t bit)
{
    return UINT64_C(1) << bit % WORD_BITS;
}

bool bitmap_test(const struct bitmap *map, uint64_t bit)
{
    return (map->levels[0][bit / WORD_BITS] & mask_of(bit)) != 0;
}

void bitmap_set(struct bitmap *map, uint64_t bit)
{
    for (uint32_t level = 0; level < map->level_count; level++) {
        uint64_t *word = &map->levels[level][bit / WORD_BITS];
        uint64_t before = *word;
        *word |= mask_of(bit);
        if (before != 0) {
            return; /* the levels above know already */
        }
        bit /= WORD_BITS;
    }
}

void bitmap_clear(struct bitmap *map, uint64_t bit)
{
    for (uint32_t level = 0; level < map->level_count; level++) {
        uint64_t *word = &map->levels[level][bit / WORD_BITS];
        *word &= ~mask_of(bit);
        if (*word != 0) {
            return;
        }
        bit /= WORD_BITS;
    }
}

uint64_t bitmap_next(const struct bitmap *map, uint64_t from)
{
    uint64_t limit = map->bits;

    /* Up, until a word has a member at or behind `from`: */
    for (uint32_t level = 0; level < map->level_count && from < limit; level++) {
        uint64_t word = map->levels[level][from / WORD_BITS] >> from % WORD_BITS;
        if (word != 0) {
            from += (uint64_t)__builtin_ctzll(word);
            /* then down along the lowest bits. */
            while (level > 0) {
                level--;
                from = from * WORD_BITS + (uint64_t)__builtin_ctzll(map->levels[level][from]);
            }
            return from;
        }
        from = from / WORD_BITS + 1;
        limit = words_for(limit);
    }
    return UINT64_MAX;
}
