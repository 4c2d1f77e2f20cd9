/* SPDX-License-Identifier: MIT */
/* Memory maps as firmware and monitors hand them over: unsorted, overlapping, in pieces, wrong. */
#include <stdlib.h>
#include <string.h>

#include "kernel/memory_map.h"
#include "kernel/pages.h"
#include "test_arch.h"

static struct memory_map map;

static int setup(void **state)
{
    (void)state;
    memset(&map, 0, sizeof(map));
    return 0;
}

static void assert_range(unsigned index, uint64_t base, uint64_t end)
{
    assert_true(index < map.count);
    assert_int_equal(map.ranges[index].base, base);
    assert_int_equal(map.ranges[index].end, end);
}

static void pieces_are_sorted_and_joined(void **state)
{
    (void)state;
    memory_map_add(&map, 0x300000, 0x100000);
    memory_map_add(&map, 0x100000, 0x100000);
    memory_map_add(&map, 0x800000, 0x1000);
    memory_map_add(&map, 0x200000, 0x100000); /* touches both */
    assert_int_equal(map.count, 2);
    assert_range(0, 0x100000, 0x400000);
    assert_range(1, 0x800000, 0x801000);
    assert_int_equal(memory_map_total(&map), 0x301000);
}

static void overlaps_count_once(void **state)
{
    (void)state;
    memory_map_add(&map, 0x100000, 0x300000);
    memory_map_add(&map, 0x200000, 0x100000);
    memory_map_add(&map, 0x300000, 0x300000);
    memory_map_add(&map, 0x100000, 0x300000);
    assert_int_equal(map.count, 1);
    assert_range(0, 0x100000, 0x600000);
}

static void only_whole_pages_count(void **state)
{
    (void)state;
    memory_map_add(&map, 0x100001, 0x3000);
    assert_range(0, 0x101000, 0x103000);
    memory_map_add(&map, 0x200fff, 0x1000);
    memory_map_add(&map, 0x300000, 0xfff);
    memory_map_add(&map, 0x400000, 0);
    assert_int_equal(map.count, 1);
}

static void page_zero_is_never_used(void **state)
{
    (void)state;
    memory_map_add(&map, 0, 0x9fc00);
    assert_int_equal(map.count, 1);
    assert_range(0, 0x1000, 0x9f000);
}

static void sizes_that_wrap_are_cut_at_the_limit(void **state)
{
    (void)state;
    memory_map_add(&map, 0x100000000, UINT64_MAX);
    assert_range(0, 0x100000000, MEMORY_MAP_LIMIT);
    memory_map_add(&map, UINT64_MAX - 0x1000, 0x1000);
    memory_map_add(&map, MEMORY_MAP_LIMIT, 0x1000);
    assert_int_equal(map.count, 1);
    memory_map_remove(&map, 0x200000000, UINT64_MAX);
    assert_range(0, 0x100000000, 0x200000000);
    memory_map_remove(&map, UINT64_MAX, UINT64_MAX);
    memory_map_remove(&map, 0x100000000, 0);
    assert_range(0, 0x100000000, 0x200000000);
}

static void what_is_removed_takes_every_page_it_touches(void **state)
{
    (void)state;
    memory_map_add(&map, 0x100000, 0x10000);
    memory_map_remove(&map, 0x103fff, 2);
    assert_int_equal(map.count, 2);
    assert_range(0, 0x100000, 0x103000);
    assert_range(1, 0x105000, 0x110000);
    memory_map_remove(&map, 0x0, 0x100001);
    assert_range(0, 0x101000, 0x103000);
    memory_map_remove(&map, 0x10f000, 0x100000);
    assert_range(1, 0x105000, 0x10f000);
    memory_map_remove(&map, 0x101000, 0xe000);
    assert_int_equal(map.count, 0);
}

static void a_hole_over_several_pieces_takes_them_all(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 10; i++) {
        memory_map_add(&map, 0x100000 + i * 0x2000, 0x1000);
    }
    memory_map_remove(&map, 0x102800, 0xd000);
    assert_int_equal(map.count, 3);
    assert_range(0, 0x100000, 0x101000);
    assert_range(1, 0x110000, 0x111000);
    assert_range(2, 0x112000, 0x113000);
}

static void of_too_many_pieces_the_smallest_are_left_out(void **state)
{
    (void)state;
    uint64_t total = 0;

    for (uint64_t i = 0; i < 2 * MEMORY_MAP_RANGES; i++) {
        uint64_t size = (1 + i % 7) * PAGE_SIZE;
        memory_map_add(&map, 0x100000 + i * 0x10000, size);
        total += size;
    }
    assert_int_equal(map.count, MEMORY_MAP_RANGES);
    assert_int_equal(memory_map_total(&map) + map.left_out, total);
    for (unsigned i = 0; i < map.count; i++) {
        assert_true(map.ranges[i].end - map.ranges[i].base >= 4 * PAGE_SIZE);
        assert_true(i == 0 || map.ranges[i - 1].end < map.ranges[i].base);
    }
    /* A hole in a full table leaves the smaller half out rather than writing behind the table. */
    uint64_t before = memory_map_total(&map) + map.left_out;
    memory_map_remove(&map, map.ranges[64].base + PAGE_SIZE, PAGE_SIZE);
    assert_int_equal(map.count, MEMORY_MAP_RANGES);
    assert_int_equal(memory_map_total(&map) + map.left_out, before - PAGE_SIZE);
}

static void pieces_are_taken_from_the_highest_place_below_the_limit(void **state)
{
    (void)state;
    memory_map_add(&map, 0x1000, 0x4000);
    memory_map_add(&map, 0x100000, 0x10000);
    memory_map_add(&map, 0x200000, 0x100000000);
    assert_int_equal(memory_map_take(&map, 0x2000, 0x250000), 0x24e000);
    assert_int_equal(memory_map_take(&map, 0x1000, 0x200000), 0x10f000);
    assert_int_equal(memory_map_take(&map, 0x10000, 0x200000), 0);
    assert_int_equal(memory_map_take(&map, 0xf000, 0x200000), 0x100000);
    assert_int_equal(memory_map_take(&map, 0x1000, 0x200800), 0x4000);
    assert_int_equal(memory_map_take(&map, 0x1000, 0x1800), 0);
    assert_int_equal(memory_map_take(&map, 0x1000, 0x800), 0);
}

/* Against a page by page model, in the order boot uses: everything added, then everything reserved
 * taken out. */
#define MODEL_PAGES 512u

static void random_maps_match_a_model(void **state)
{
    (void)state;
    srand(1);
    for (unsigned round = 0; round < 500; round++) {
        bool usable[MODEL_PAGES] = {false};
        memset(&map, 0, sizeof(map));
        for (unsigned i = 0; i < 40; i++) {
            bool add = i < 25;
            uint64_t base = (unsigned)rand() % (MODEL_PAGES * PAGE_SIZE);
            uint64_t size = (unsigned)rand() % (24 * PAGE_SIZE);
            uint64_t first = add ? (base + PAGE_SIZE - 1) / PAGE_SIZE : base / PAGE_SIZE;
            uint64_t end =
                add ? (base + size) / PAGE_SIZE : (base + size + PAGE_SIZE - 1) / PAGE_SIZE;
            for (uint64_t page = first; page < end && page < MODEL_PAGES && size > 0; page++) {
                usable[page] = add && page != 0;
            }
            (add ? memory_map_add : memory_map_remove)(&map, base, size);
        }
        bool mapped[MODEL_PAGES] = {false};
        for (unsigned i = 0; i < map.count; i++) {
            assert_true(i == 0 || map.ranges[i - 1].end < map.ranges[i].base);
            for (uint64_t page = map.ranges[i].base / PAGE_SIZE;
                 page < map.ranges[i].end / PAGE_SIZE && page < MODEL_PAGES; page++) {
                mapped[page] = true;
            }
        }
        assert_int_equal(map.left_out, 0);
        assert_memory_equal(mapped, usable, sizeof(usable));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(pieces_are_sorted_and_joined, setup),
        cmocka_unit_test_setup(overlaps_count_once, setup),
        cmocka_unit_test_setup(only_whole_pages_count, setup),
        cmocka_unit_test_setup(page_zero_is_never_used, setup),
        cmocka_unit_test_setup(sizes_that_wrap_are_cut_at_the_limit, setup),
        cmocka_unit_test_setup(what_is_removed_takes_every_page_it_touches, setup),
        cmocka_unit_test_setup(a_hole_over_several_pieces_takes_them_all, setup),
        cmocka_unit_test_setup(of_too_many_pieces_the_smallest_are_left_out, setup),
        cmocka_unit_test_setup(pieces_are_taken_from_the_highest_place_below_the_limit, setup),
        cmocka_unit_test_setup(random_maps_match_a_model, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
