/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_MEMORY_MAP_H
#define KERNEL_MEMORY_MAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The usable memory of the machine, whatever order, overlap or nonsense the boot protocol's map
 * came with: whole pages, sorted, disjoint, never touching each other. What does not fit into the
 * table is left out, smallest pieces first. An empty map is all zero. Used during start-up only.
 */
#define MEMORY_MAP_RANGES 128u /* choice: QEMU and Hyper-V hand over fewer than 30 */

/* Nothing above is used: the lower half of a 48-bit address space, with room to spare. */
#define MEMORY_MAP_LIMIT (UINT64_C(1) << 46)

struct memory_range {
    uint64_t base; /* bytes, a multiple of PAGE_SIZE */
    uint64_t end;  /* one past the last byte */
};

struct memory_map {
    struct memory_range ranges[MEMORY_MAP_RANGES];
    uint32_t count;
    uint64_t left_out; /* bytes that found no room in the table */
};

/* Adds usable memory. Partial pages at either end are not added; a size that wraps is cut at
 * MEMORY_MAP_LIMIT. */
void memory_map_add(struct memory_map *map, uint64_t base, uint64_t size);

/* Takes memory out again, with every page it touches. To be called after all memory_map_add(). */
void memory_map_remove(struct memory_map *map, uint64_t base, uint64_t size);

/*
 * Cuts `size` bytes (a multiple of PAGE_SIZE) aligned to PAGE_SIZE off the map, from the highest
 * place that ends at or below `limit`, so that low memory stays whole. 0: there is no such place.
 * Page 0 is never handed out.
 */
uint64_t memory_map_take(struct memory_map *map, uint64_t size, uint64_t limit);

/* Usable bytes. */
uint64_t memory_map_total(const struct memory_map *map);

#endif
