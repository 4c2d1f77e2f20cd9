/* SPDX-License-Identifier: MIT */
#include "kernel/memory_map.h"

#include "kernel/pages.h"

static uint64_t end_of(uint64_t base, uint64_t size)
{
    uint64_t end = base + size;

    return end < base || end > MEMORY_MAP_LIMIT ? MEMORY_MAP_LIMIT : end;
}

static void delete_range(struct memory_map *map, uint32_t index)
{
    for (uint32_t i = index + 1; i < map->count; i++) {
        map->ranges[i - 1] = map->ranges[i];
    }
    map->count--;
}

/* Makes room for one more: the smallest piece, or the new one if that is smaller, is left out. */
static bool make_room(struct memory_map *map, uint64_t size)
{
    if (map->count < MEMORY_MAP_RANGES) {
        return true;
    }
    uint32_t smallest = 0;
    for (uint32_t i = 1; i < map->count; i++) {
        if (map->ranges[i].end - map->ranges[i].base <
            map->ranges[smallest].end - map->ranges[smallest].base) {
            smallest = i;
        }
    }
    uint64_t smallest_size = map->ranges[smallest].end - map->ranges[smallest].base;
    if (size <= smallest_size) {
        map->left_out += size;
        return false;
    }
    map->left_out += smallest_size;
    delete_range(map, smallest);
    return true;
}

static void insert_range(struct memory_map *map, uint64_t base, uint64_t end)
{
    if (!make_room(map, end - base)) {
        return;
    }
    uint32_t at = map->count;
    while (at > 0 && map->ranges[at - 1].base > base) {
        map->ranges[at] = map->ranges[at - 1];
        at--;
    }
    map->ranges[at] = (struct memory_range){base, end};
    map->count++;
}

void memory_map_add(struct memory_map *map, uint64_t base, uint64_t size)
{
    uint64_t end = end_of(base, size) & ~(uint64_t)(PAGE_SIZE - 1);

    if (base >= MEMORY_MAP_LIMIT) {
        return;
    }
    base = (base + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
    if (base == 0) {
        base = PAGE_SIZE; /* address 0 stays unmapped */
    }
    if (base >= end) {
        return;
    }
    /* Whatever overlaps or touches the new range becomes part of it. */
    for (uint32_t i = 0; i < map->count;) {
        struct memory_range *range = &map->ranges[i];
        if (range->end < base || range->base > end) {
            i++;
            continue;
        }
        base = range->base < base ? range->base : base;
        end = range->end > end ? range->end : end;
        delete_range(map, i);
    }
    insert_range(map, base, end);
}

void memory_map_remove(struct memory_map *map, uint64_t base, uint64_t size)
{
    uint64_t end = end_of(base, size);

    if (size == 0 || base >= MEMORY_MAP_LIMIT) {
        return;
    }
    base &= ~(uint64_t)(PAGE_SIZE - 1);
    end = (end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);
    for (uint32_t i = 0; i < map->count;) {
        struct memory_range range = map->ranges[i];
        if (range.end <= base || range.base >= end) {
            i++;
            continue;
        }
        delete_range(map, i);
        if (range.base < base) {
            insert_range(map, range.base, base);
            i++;
        }
        if (range.end > end) {
            insert_range(map, end, range.end);
            return; /* sorted: nothing behind it can overlap */
        }
    }
}

uint64_t memory_map_take(struct memory_map *map, uint64_t size, uint64_t limit)
{
    for (uint32_t i = map->count; i-- > 0;) {
        struct memory_range *range = &map->ranges[i];
        uint64_t end = range->end < limit ? range->end : limit & ~(uint64_t)(PAGE_SIZE - 1);
        if (end < range->base || end - range->base < size) {
            continue;
        }
        uint64_t base = end - size;
        memory_map_remove(map, base, size);
        return base;
    }
    return 0;
}

uint64_t memory_map_total(const struct memory_map *map)
{
    uint64_t total = 0;

    for (uint32_t i = 0; i < map->count; i++) {
        total += map->ranges[i].end - map->ranges[i].base;
    }
    return total;
}
