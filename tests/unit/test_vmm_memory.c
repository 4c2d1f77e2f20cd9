/* SPDX-License-Identifier: MIT */
/* The memory of a guest of tests/vmm: which frames are some, and pieces of them in any order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "kernel/pages.h"
#include "tests/vmm/guest_memory.h"

#define MIB (UINT64_C(1) << 20)

/* Its first and its last page are in memory, the hole is not; nothing is touched that need not be.
 */
static struct guest_memory memory;

static int create(void **state)
{
    (void)state;
    memset(&memory, 0, sizeof(memory));
    return guest_memory_create(&memory, GUEST_HOLE_START + 16 * MIB) ? 0 : -1;
}

static int destroy(void **state)
{
    (void)state;
    free(memory.taken);
    (void)munmap(memory.base, memory.size + GUEST_ADDED_MOST);
    return close(memory.file);
}

static uint8_t *page(uint64_t frame)
{
    return guest_memory_at(&memory, frame << PAGE_SHIFT, PAGE_SIZE);
}

static void addresses_outside_are_no_memory(void **state)
{
    (void)state;
    assert_ptr_equal(guest_memory_at(&memory, 0, 1), memory.base);
    assert_non_null(guest_memory_at(&memory, GUEST_HOLE_START - 1, 1));
    assert_null(guest_memory_at(&memory, GUEST_HOLE_START - 1, 2));
    assert_null(guest_memory_at(&memory, GUEST_HOLE_START, 1));
    assert_null(guest_memory_at(&memory, GUEST_HOLE_END - 1, 1));
    assert_ptr_equal(guest_memory_at(&memory, GUEST_HOLE_END, 16 * MIB),
                     memory.base + GUEST_HOLE_START);
    assert_null(guest_memory_at(&memory, GUEST_HOLE_END, 16 * MIB + 1));
    assert_null(guest_memory_at(&memory, UINT64_MAX, 1));
    assert_null(guest_memory_at(&memory, 0, UINT64_MAX));
}

static void frames_in_order_are_used_where_they_lie(void **state)
{
    const uint64_t frames[] = {7, 8, 9};
    void *piece = guest_memory_map_frames(&memory, frames, 3);

    (void)state;
    assert_ptr_equal(piece, page(7));
    guest_memory_unmap_frames(&memory, piece, 3);
    memset(page(7), 1, 3 * PAGE_SIZE); /* it is still there */
}

static void frames_in_any_order_become_one_piece(void **state)
{
    const uint64_t frames[] = {
        (GUEST_HOLE_END >> PAGE_SHIFT) + 1, 5, 6, 5, 0, (GUEST_HOLE_START >> PAGE_SHIFT) - 1,
        GUEST_HOLE_END >> PAGE_SHIFT};
    const size_t count = sizeof(frames) / sizeof(frames[0]);
    uint8_t *piece = guest_memory_map_frames(&memory, frames, count);

    (void)state;
    assert_non_null(piece);
    for (size_t i = 0; i < count; i++) {
        piece[i * PAGE_SIZE] = (uint8_t)(i + 1);
        assert_int_equal(*page(frames[i]), i + 1);
        page(frames[i])[PAGE_SIZE - 1] = (uint8_t)(0x80 + i);
        assert_int_equal(piece[(i + 1) * PAGE_SIZE - 1], 0x80 + i);
    }
    guest_memory_unmap_frames(&memory, piece, count);
}

static void a_wild_frame_spoils_the_piece(void **state)
{
    static const uint64_t wild[] = {
        GUEST_HOLE_START >> PAGE_SHIFT,
        (GUEST_HOLE_END >> PAGE_SHIFT) - 1,
        (GUEST_HOLE_END + 16 * MIB) >> PAGE_SHIFT,
        UINT64_C(0xFFFFFFFFFFFFF),
        UINT64_C(1) << 52, /* shifted it would be frame 0 */
        UINT64_MAX,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
        const uint64_t alone[] = {wild[i]};
        const uint64_t first[] = {wild[i], 3};
        const uint64_t last[] = {3, 1, wild[i]};
        assert_null(guest_memory_map_frames(&memory, alone, 1));
        assert_null(guest_memory_map_frames(&memory, first, 2));
        assert_null(guest_memory_map_frames(&memory, last, 3));
    }
    assert_null(guest_memory_map_frames(&memory, wild, 0));
}

static void frames_do_not_run_over_the_hole(void **state)
{
    const uint64_t frames[] = {(GUEST_HOLE_START >> PAGE_SHIFT) - 1,
                               GUEST_HOLE_START >> PAGE_SHIFT};

    (void)state;
    assert_null(guest_memory_map_frames(&memory, frames, 2));
}

static void pages_are_given_and_had_back_once(void **state)
{
    (void)state;
    *page(20) = 7;
    assert_true(guest_memory_take(&memory, 20, 3));
    assert_int_equal(*page(20), 0);
    assert_false(guest_memory_take(&memory, 22, 2));
    assert_false(guest_memory_return(&memory, 19, 2));
    assert_true(guest_memory_return(&memory, 21, 2));
    assert_false(guest_memory_return(&memory, 20, 3));
    assert_true(guest_memory_return(&memory, 20, 1));
    assert_false(guest_memory_take(&memory, GUEST_HOLE_START >> PAGE_SHIFT, 1));
    assert_false(guest_memory_take(&memory, 0, 0));
    assert_false(guest_memory_take(&memory, 1, UINT64_MAX));
    assert_false(guest_memory_take(&memory, UINT64_MAX, 1));
}

static void added_memory_lies_above_all_and_aligned(void **state)
{
    const uint64_t first = GUEST_HOLE_END + 128 * MIB;

    (void)state;
    assert_null(guest_memory_at(&memory, first, 1));
    assert_true(guest_memory_add(&memory, 128 * MIB, 128 * MIB));
    assert_int_equal(memory.added[0].address, first);
    assert_ptr_equal(guest_memory_at(&memory, first, 128 * MIB), guest_memory_of_added(&memory, 0));
    *(uint8_t *)guest_memory_at(&memory, first, 1) = 9;
    assert_true(guest_memory_add(&memory, 2 * MIB, PAGE_SIZE));
    assert_int_equal(memory.added[1].address, first + 128 * MIB);
    assert_null(guest_memory_at(&memory, first + 127 * MIB, 2 * MIB)); /* two pieces */
    assert_null(guest_memory_at(&memory, first + 130 * MIB, 1));
    assert_true(guest_memory_take(&memory, first >> PAGE_SHIFT, 1));
    assert_int_equal(*(uint8_t *)guest_memory_at(&memory, first, 1), 0);
    const uint64_t frames[] = {first >> PAGE_SHIFT, 2};
    uint8_t *piece = guest_memory_map_frames(&memory, frames, 2);
    assert_non_null(piece);
    guest_memory_unmap_frames(&memory, piece, 2);
}

static void there_is_an_end_to_adding(void **state)
{
    (void)state;
    assert_false(guest_memory_add(&memory, 0, PAGE_SIZE));
    assert_false(guest_memory_add(&memory, GUEST_ADDED_MOST + PAGE_SIZE, PAGE_SIZE));
    for (unsigned i = 0; i < GUEST_ADDED_RANGES; i++) {
        assert_true(guest_memory_add(&memory, PAGE_SIZE, PAGE_SIZE));
    }
    assert_false(guest_memory_add(&memory, PAGE_SIZE, PAGE_SIZE));
}

static uint64_t checksum(void)
{
    uint64_t sum;

    assert_true(guest_memory_checksum(&memory, &sum));
    return sum;
}

static void each_word_of_memory_and_its_place_are_in_the_checksum(void **state)
{
    const uint64_t places[] = {0, 1, 511, 512, (GUEST_HOLE_START >> 3) - 1, GUEST_HOLE_START >> 3};
    uint64_t *words = (uint64_t *)(void *)memory.base;
    uint64_t seen[2 * sizeof(places) / sizeof(places[0]) + 1];
    size_t count = 0;

    (void)state;
    seen[count++] = checksum();
    for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        for (uint64_t value = 1; value <= 2; value++) {
            words[places[i]] = value;
            seen[count++] = checksum();
        }
        words[places[i]] = 0; /* touched, and as it was */
        assert_int_equal(checksum(), seen[0]);
    }
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(seen[i], seen[k]);
        }
    }
}

int main(void)
{
#define memory_test(name) cmocka_unit_test_setup_teardown(name, create, destroy)
    const struct CMUnitTest tests[] = {
        memory_test(addresses_outside_are_no_memory),
        memory_test(frames_in_order_are_used_where_they_lie),
        memory_test(frames_in_any_order_become_one_piece),
        memory_test(a_wild_frame_spoils_the_piece),
        memory_test(frames_do_not_run_over_the_hole),
        memory_test(pages_are_given_and_had_back_once),
        memory_test(added_memory_lies_above_all_and_aligned),
        memory_test(there_is_an_end_to_adding),
        memory_test(each_word_of_memory_and_its_place_are_in_the_checksum),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
