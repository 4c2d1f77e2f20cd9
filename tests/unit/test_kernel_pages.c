/* SPDX-License-Identifier: MIT */
/*
 * The page allocator over memory that is reserved but not there until it is touched, so that the
 * size of a machine costs nothing. The allocator keeps its regions for ever: each test hot-adds one
 * of its own, and takes all pages of it at the end.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "kernel/memory_map.h"
#include "kernel/pages.h"
#include "kernel/start.h"
#include "test_arch.h"

#define GIB UINT64_C(0x40000000)

/* Below MEMORY_MAP_LIMIT, and where the sanitizers keep nothing. */
#define ARENA_BASE UINT64_C(0x200000000000)
#define ARENA_SIZE (UINT64_C(160) * GIB)

static uint64_t next_free = ARENA_BASE;

/* The first frame of so many that no test had yet, at `offset` frames behind a multiple of 1 GiB.
 */
static uint64_t new_frames(uint64_t count, uint64_t offset)
{
    uint64_t frame = (next_free >> PAGE_SHIFT) + offset;

    next_free += (count + offset + (GIB >> PAGE_SHIFT)) * PAGE_SIZE / GIB * GIB + GIB;
    assert_true(next_free <= ARENA_BASE + ARENA_SIZE);
    return frame;
}

static struct pages_statistics statistics(void)
{
    struct pages_statistics now;

    pages_statistics(&now);
    return now;
}

/* Leaves nothing for the next test. */
static int take_everything(void **state)
{
    (void)state;
    for (size_t count = (size_t)1 << 24; count > 0; count /= 2) {
        while (pages_allocate(count) != NULL) {
        }
    }
    assert_int_equal(statistics().free, 0);
    return 0;
}

static int reserve_arena(void **state)
{
    (void)state;
    void *arena = mmap((void *)(uintptr_t)ARENA_BASE, ARENA_SIZE, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    return arena == (void *)(uintptr_t)ARENA_BASE ? 0 : -1;
}

static bool is_aligned(uint64_t frame, size_t count)
{
    uint64_t alignment = 1;

    while (alignment * 2 <= count && alignment < 512) {
        alignment *= 2;
    }
    return frame % alignment == 0;
}

/* ---- start ---- */

static void nothing_can_be_had_from_nothing(void **state)
{
    (void)state;
    assert_null(pages_allocate(1));
    assert_null(pages_allocate(1000));
    assert_null(pages_allocate(0));
    assert_int_equal(statistics().total, 0);
    assert_false(pages_are_allocated(0, 1));
    expect_panic(pages_free(page_address(5), 1));
}

static void boot_hands_over_every_range_that_can_hold_its_tables(void **state)
{
    (void)state;
    static struct memory_map map;
    uint64_t frames[3] = {new_frames(300, 1), new_frames(1, 0), new_frames(50000, 77)};
    uint64_t counts[3] = {300, 1, 50000};

    for (unsigned i = 0; i < 3; i++) {
        memory_map_add(&map, frames[i] << PAGE_SHIFT, counts[i] << PAGE_SHIFT);
    }
    pages_initialise(&map);
    struct pages_statistics now = statistics();
    assert_int_equal(now.total + now.tables, 300 + 50000);
    assert_int_equal(now.free, now.total);
    assert_int_equal(now.end_frame, frames[2] + 50000);
    /* Two bits a page and a little: 50,000 pages need 4 pages of tables. */
    assert_in_range(now.tables, 2, 6);
}

/* ---- allocation ---- */

static void runs_are_aligned_to_their_size(void **state)
{
    (void)state;
    assert_true(pages_hot_add(new_frames(20000, 3), 20000));
    uint64_t free = statistics().free;
    uint64_t taken = 0;
    for (size_t count = 1; count <= 2048; count = count * 3 / 2 + 1) {
        void *run = pages_allocate(count);
        assert_non_null(run);
        assert_true(is_aligned(page_frame_of(run), count));
        assert_true(pages_are_allocated(page_frame_of(run), count));
        taken += count;
        assert_int_equal(statistics().free, free - taken);
    }
}

static void zeroed_pages_are_zero(void **state)
{
    (void)state;
    static const char zeros[3 * PAGE_SIZE];

    assert_true(pages_hot_add(new_frames(100, 0), 100));
    void *dirty = pages_allocate(3);
    memset(dirty, 0x5a, 3 * PAGE_SIZE);
    pages_free(dirty, 3);
    void *clean = pages_allocate_zeroed(3);
    assert_ptr_equal(clean, dirty);
    assert_memory_equal(clean, zeros, sizeof(zeros));
}

static void any_part_of_a_run_can_be_freed_in_any_order(void **state)
{
    (void)state;
    assert_true(pages_hot_add(new_frames(2048, 0), 2048));
    uint64_t free = statistics().free;
    char *run = pages_allocate(1000);
    assert_non_null(run);
    for (size_t i = 1; i < 1000; i += 2) {
        pages_free(run + i * PAGE_SIZE, 1);
    }
    assert_int_equal(statistics().free, free - 500);
    for (size_t i = 0; i < 1000; i += 2) {
        pages_free(run + i * PAGE_SIZE, 1);
    }
    assert_int_equal(statistics().free, free);
    /* All of it grew together again. */
    char *again = pages_allocate(1000);
    assert_ptr_equal(again, run);
    pages_free(run + 300 * PAGE_SIZE, 700);
    pages_free(run, 300);
    assert_int_equal(statistics().free, free);
}

static void a_run_may_start_in_the_middle_of_a_larger_block(void **state)
{
    (void)state;
    uint64_t frame = new_frames(64, 0);
    assert_true(pages_hot_add(frame, 64));
    (void)take_everything(state);

    /* Free: pages 12 to 18. A run of 5 starts at 12, over blocks of 4 and 2 pages. */
    pages_free(page_address(frame + 12), 7);
    assert_ptr_equal(pages_allocate(5), page_address(frame + 12));
    pages_free(page_address(frame + 12), 5);
    assert_ptr_equal(pages_allocate(7), page_address(frame + 12));
    assert_null(pages_allocate(1));
    /* Free: pages 13 to 18. Six in a row, but no four of them start at a multiple of four. */
    pages_free(page_address(frame + 13), 6);
    assert_null(pages_allocate(4));
    assert_ptr_equal(pages_allocate(3), page_address(frame + 14));
}

static void what_is_free_already_cannot_be_freed(void **state)
{
    (void)state;
    uint64_t frame = new_frames(1100, 0);
    assert_true(pages_hot_add(frame, 1100));
    char *run = pages_allocate(512);
    uint64_t free = statistics().free;

    pages_free(run + PAGE_SIZE, 1);
    expect_panic(pages_free(run + PAGE_SIZE, 1));
    expect_panic(pages_free(run, 2));
    expect_panic(pages_free(run, 512));
    expect_panic(pages_free(run + 100, 1));
    expect_panic(pages_free(page_address(frame), 1)); /* the allocator's own table */
    expect_panic(pages_free(page_address(frame + 1099), 2));
    expect_panic(pages_free(page_address(UINT64_MAX >> PAGE_SHIFT), SIZE_MAX));
    expect_panic(pages_free(run + 2 * PAGE_SIZE, SIZE_MAX));
    pages_free(run, 0);
    assert_int_equal(statistics().free, free + 1);
}

static void a_frame_counts_as_allocated_only_while_it_is(void **state)
{
    (void)state;
    uint64_t frame = new_frames(600, 0);
    assert_true(pages_hot_add(frame, 600));
    char *run = pages_allocate(64);
    uint64_t first = page_frame_of(run);

    assert_true(pages_are_allocated(first, 64));
    assert_true(pages_are_allocated(first + 13, 1));
    assert_false(pages_are_allocated(first, 65));
    assert_false(pages_are_allocated(first, 0));
    assert_false(pages_are_allocated(first, UINT64_MAX));
    assert_false(pages_are_allocated(UINT64_MAX, 1));
    assert_false(pages_are_allocated(UINT64_MAX, 2));
    assert_false(pages_are_allocated(frame, 1)); /* the allocator's own table */
    pages_free(run + 63 * PAGE_SIZE, 1);
    assert_false(pages_are_allocated(first, 64));
    assert_true(pages_are_allocated(first, 63));
}

/* ---- hot add ---- */

static void hot_added_memory_is_mapped_and_used(void **state)
{
    (void)state;
    uint64_t frame = new_frames(32768, 0);
    struct pages_statistics before = statistics();
    unsigned calls = test_map_memory_calls;

    assert_true(pages_hot_add(frame, 32768));
    assert_int_equal(test_map_memory_calls, calls + 1);
    struct pages_statistics after = statistics();
    assert_int_equal(after.total + after.tables, before.total + before.tables + 32768);
    assert_int_equal(after.end_frame, frame + 32768);
    assert_non_null(pages_allocate(30000));
}

static void hot_add_that_cannot_be_right_is_refused(void **state)
{
    (void)state;
    uint64_t frame = new_frames(2048, 0);
    assert_true(pages_hot_add(frame + 1024, 512));
    struct pages_statistics before = statistics();
    unsigned calls = test_map_memory_calls;

    assert_false(pages_hot_add(frame + 1024, 512));
    assert_false(pages_hot_add(frame + 1024, 1)); /* only the other one's tables */
    assert_false(pages_hot_add(frame + 1535, 1024));
    assert_false(pages_hot_add(frame, 1025));
    assert_false(pages_hot_add(frame, 2048));
    assert_false(pages_hot_add(0, 512));
    assert_false(pages_hot_add(frame, 0));
    assert_false(pages_hot_add(frame, 1)); /* no room for its tables */
    assert_false(pages_hot_add(MEMORY_MAP_LIMIT >> PAGE_SHIFT, 512));
    assert_false(pages_hot_add(frame, UINT64_MAX));
    assert_false(pages_hot_add(UINT64_MAX, 512));
    assert_int_equal(test_map_memory_calls, calls);

    test_map_memory_works = false;
    assert_false(pages_hot_add(frame, 1024));
    test_map_memory_works = true;
    struct pages_statistics after = statistics();
    assert_memory_equal(&after, &before, sizeof(after));
    /* Neighbours on both sides are fine. */
    assert_true(pages_hot_add(frame, 1024));
    assert_true(pages_hot_add(frame + 1536, 512));
}

/* ---- size ---- */

static void a_machine_of_64_gib_is_managed_whole(void **state)
{
    (void)state;
    const uint64_t count = 64 * GIB >> PAGE_SHIFT;
    uint64_t frame = new_frames(count, 0);
    struct pages_statistics before = statistics();

    assert_true(pages_hot_add(frame, count));
    struct pages_statistics after = statistics();
    assert_int_equal(after.free - before.free, after.total - before.total);
    /* Tables cost about 2 bits a page: 1/16384 of the memory. */
    assert_in_range(after.tables - before.tables, 1024, 1100);

    /* One page left in the middle of a machine that is otherwise full is found. */
    (void)take_everything(state);
    pages_free(page_address(frame + count / 2 + 1), 1);
    assert_null(pages_allocate(2));
    assert_ptr_equal(pages_allocate(1), page_address(frame + count / 2 + 1));

    /* All but the allocator's tables goes back in one piece and comes out in one piece. */
    uint64_t tables = after.tables - before.tables;
    pages_free(page_address(frame + tables), count - tables);
    assert_int_equal(statistics().free, count - tables);
    uint64_t aligned = (tables + 511) / 512 * 512;
    assert_null(pages_allocate(count - aligned + 1));
    assert_ptr_equal(pages_allocate(count - aligned), page_address(frame + aligned));
}

/* ---- everything at once, against a model that knows each page ---- */

#define MODEL_PAGES 3000u

struct model {
    uint64_t first;
    uint64_t count;
    bool held[MODEL_PAGES];
    uint64_t free;
};

static bool model_has_run(const struct model *model, size_t count)
{
    for (uint64_t start = 0; start + count <= model->count; start++) {
        uint64_t i = 0;
        if (!is_aligned(model->first + start, count)) {
            continue;
        }
        while (i < count && !model->held[start + i]) {
            i++;
        }
        if (i == count) {
            return true;
        }
    }
    return false;
}

static void model_set(struct model *model, uint64_t frame, uint64_t count, bool held)
{
    assert_true(frame >= model->first && frame + count <= model->first + model->count);
    for (uint64_t i = frame - model->first; i < frame - model->first + count; i++) {
        assert_true(model->held[i] != held);
        model->held[i] = held;
    }
    model->free = held ? model->free - count : model->free + count;
}

static void allocate_something(struct model *model)
{
    size_t count = (size_t)(rand() % 4 == 0 ? rand() % 1200 : rand() % 20) + 1;
    void *run = pages_allocate(count);

    if (run == NULL) {
        assert_false(model_has_run(model, count));
        return;
    }
    assert_true(is_aligned(page_frame_of(run), count));
    model_set(model, page_frame_of(run), count, true);
}

static void free_something(struct model *model)
{
    uint64_t start = (uint64_t)rand() % model->count;
    uint64_t limit = (uint64_t)rand() % 400 + 1;
    uint64_t count = 0;

    while (count < limit && start + count < model->count && model->held[start + count]) {
        count++;
    }
    if (count != 0) {
        pages_free(page_address(model->first + start), count);
        model_set(model, model->first + start, count, false);
    }
}

static void ask_something(const struct model *model)
{
    uint64_t start = (uint64_t)rand() % model->count;
    uint64_t count = (uint64_t)rand() % 40 + 1;
    bool held = start + count <= model->count;

    for (uint64_t i = start; held && i < start + count; i++) {
        held = model->held[i];
    }
    assert_int_equal(pages_are_allocated(model->first + start, count), held);
}

static void random_operations_match_a_model(void **state)
{
    (void)state;
    static struct model model;

    for (unsigned round = 0; round < 6; round++) {
        srand(round + 1);
        uint64_t frame = new_frames(MODEL_PAGES, round * 97 + 1);
        uint64_t tables = statistics().tables;
        assert_true(pages_hot_add(frame, MODEL_PAGES));
        tables = statistics().tables - tables;
        memset(&model, 0, sizeof(model));
        model.first = frame + tables;
        model.count = MODEL_PAGES - tables;
        model.free = model.count;
        for (unsigned i = 0; i < 4000; i++) {
            /* Phases that fill and phases that empty. */
            if (rand() % 100 < (i / 500 % 2 == 0 ? 65 : 35)) {
                allocate_something(&model);
            } else {
                free_something(&model);
            }
            ask_something(&model);
            assert_int_equal(statistics().free, model.free);
        }
        (void)take_everything(state);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_can_be_had_from_nothing, test_arch_setup),
#define TEST(name) cmocka_unit_test_setup_teardown(name, test_arch_setup, take_everything)
        TEST(boot_hands_over_every_range_that_can_hold_its_tables),
        TEST(runs_are_aligned_to_their_size),
        TEST(zeroed_pages_are_zero),
        TEST(any_part_of_a_run_can_be_freed_in_any_order),
        TEST(a_run_may_start_in_the_middle_of_a_larger_block),
        TEST(what_is_free_already_cannot_be_freed),
        TEST(a_frame_counts_as_allocated_only_while_it_is),
        TEST(hot_added_memory_is_mapped_and_used),
        TEST(hot_add_that_cannot_be_right_is_refused),
        TEST(a_machine_of_64_gib_is_managed_whole),
        TEST(random_operations_match_a_model),
    };
    return cmocka_run_group_tests(tests, reserve_arena, NULL);
}
