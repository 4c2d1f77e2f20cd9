/* SPDX-License-Identifier: MIT */
/* MDL chains and page lists as ranges of the wire (M9: all of them). */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "vmbus/kmcl/kmcl_external.h"

static UINT8 *memory; /* 16 pages */
static UINT64 mdl_space[4][32];
static UINT64 header[512];
static const struct kmcl_external_limits wide = {65536, 8};

static int setup(void **state)
{
    (void)state;
    memory = aligned_alloc(PAGE_SIZE, 16 * PAGE_SIZE);
    memset(header, 0xEE, sizeof(header));
    return memory == NULL;
}

static int teardown(void **state)
{
    (void)state;
    free(memory);
    return 0;
}

/* MDL number `i` for `length` bytes at `offset` of the memory, behind the one before. */
static PMDL mdl(unsigned i, SIZE_T offset, SIZE_T length)
{
    PMDL new = (PMDL)(void *)mdl_space[i];

    MmInitializeMdl(new, memory + offset, length);
    MmBuildMdlForNonPagedPool(new);
    if (i > 0) {
        ((PMDL)(void *)mdl_space[i - 1])->Next = new;
    }
    return (PMDL)(void *)mdl_space[0];
}

static UINT64 frame(unsigned page)
{
    return ((uintptr_t)memory >> 12) + page;
}

static UINT64 range_word(UINT32 count, UINT32 offset)
{
    return (UINT64)offset << 32 | count;
}

static void one_page_becomes_one_range(void **state)
{
    UINT32 length = 0;

    (void)state;
    assert_int_equal(kmcl_external_from_mdl(header, &wide, mdl(0, 0, PAGE_SIZE), 0, 0, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, 24);
    assert_int_equal(header[0], (UINT64)1 << 32); /* reserved, one range */
    assert_int_equal(header[1], range_word(PAGE_SIZE, 0));
    assert_int_equal(header[2], frame(0));
}

static void two_bytes_over_a_page_boundary_name_two_pages(void **state)
{
    UINT32 length = 0;

    (void)state;
    assert_int_equal(kmcl_external_from_mdl(header, &wide, mdl(0, 4095, 2), 0, 0, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, 32);
    assert_int_equal(header[1], range_word(2, 4095));
    assert_int_equal(header[2], frame(0));
    assert_int_equal(header[3], frame(1));
}

static void a_chain_becomes_a_range_for_each_mdl(void **state)
{
    UINT32 length = 0;

    (void)state;
    (void)mdl(0, 10, 100);
    (void)mdl(1, 2 * PAGE_SIZE, 2 * PAGE_SIZE);
    PMDL chain = mdl(2, 5 * PAGE_SIZE + 8, 16);
    assert_int_equal(kmcl_external_from_mdl(header, &wide, chain, 0, 0, &length), STATUS_SUCCESS);
    assert_int_equal(length, 8 + 16 + 24 + 16);
    assert_int_equal(header[0] >> 32, 3);
    assert_int_equal(header[1], range_word(100, 10));
    assert_int_equal(header[2], frame(0));
    assert_int_equal(header[3], range_word(2 * PAGE_SIZE, 0));
    assert_int_equal(header[4], frame(2));
    assert_int_equal(header[5], frame(3));
    assert_int_equal(header[6], range_word(16, 8));
    assert_int_equal(header[7], frame(5));
}

static void a_window_is_cut_across_the_chain(void **state)
{
    UINT32 length = 0;

    (void)state;
    (void)mdl(0, 0, PAGE_SIZE);
    (void)mdl(1, PAGE_SIZE, 0);
    PMDL chain = mdl(2, 2 * PAGE_SIZE, 2 * PAGE_SIZE);
    assert_int_equal(kmcl_external_from_mdl(header, &wide, chain, 4000, 200, &length),
                     STATUS_SUCCESS);
    assert_int_equal(header[0] >> 32, 2);
    assert_int_equal(header[1], range_word(96, 4000));
    assert_int_equal(header[2], frame(0));
    assert_int_equal(header[3], range_word(104, 0));
    assert_int_equal(header[4], frame(2));
    /* All of it lies in the last MDL, beyond its first page. */
    assert_int_equal(kmcl_external_from_mdl(header, &wide, chain, 2 * PAGE_SIZE + 5, 10, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, 24);
    assert_int_equal(header[1], range_word(10, 5));
    assert_int_equal(header[2], frame(3));
    /* From the offset to the end. */
    assert_int_equal(kmcl_external_from_mdl(header, &wide, chain, 5000, 0, &length),
                     STATUS_SUCCESS);
    assert_int_equal(header[1], range_word(3 * PAGE_SIZE - 5000, 904));
}

static void a_window_outside_the_chain_is_refused(void **state)
{
    UINT32 length = 0;

    (void)state;
    (void)mdl(0, 0, 100);
    PMDL chain = mdl(1, PAGE_SIZE, 100);
    static const UINT32 windows[][2] = {{0, 201},
                                        {100, 101},
                                        {199, 2},
                                        {200, 0},
                                        {200, 1},
                                        {UINT32_MAX, 0},
                                        {UINT32_MAX, UINT32_MAX}};
    for (unsigned i = 0; i < 7; i++) {
        assert_int_equal(
            kmcl_external_from_mdl(header, &wide, chain, windows[i][0], windows[i][1], &length),
            STATUS_INVALID_PARAMETER);
    }
    assert_int_equal(kmcl_external_from_mdl(header, &wide, chain, 0, 200, &length), STATUS_SUCCESS);
    assert_int_equal(kmcl_external_from_mdl(header, &wide, mdl(0, 0, 0), 0, 0, &length),
                     STATUS_INVALID_PARAMETER);
}

static void limits_hold(void **state)
{
    const struct kmcl_external_limits none = {0, 0};
    const struct kmcl_external_limits narrow = {100, 2};
    UINT32 length = 0;

    (void)state;
    assert_int_equal(kmcl_external_from_mdl(header, &none, mdl(0, 0, 1), 0, 0, &length),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(kmcl_external_from_mdl(header, &narrow, mdl(0, 0, 100), 0, 0, &length),
                     STATUS_SUCCESS);
    assert_int_equal(kmcl_external_from_mdl(header, &narrow, mdl(0, 0, 101), 0, 0, &length),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(kmcl_external_from_mdl(header, &narrow, mdl(0, 0, 101), 1, 0, &length),
                     STATUS_SUCCESS);
    (void)mdl(0, 0, 10);
    (void)mdl(1, 0, 10);
    assert_int_equal(kmcl_external_from_mdl(header, &narrow, mdl(2, 0, 10), 0, 0, &length),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(kmcl_external_from_mdl(header, &narrow, mdl(2, 0, 10), 10, 0, &length),
                     STATUS_SUCCESS);
}

static void the_worst_case_fits_the_announced_header(void **state)
{
    const struct kmcl_external_limits limits = {8, 4};
    UINT32 length = 0;

    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        (void)mdl(i, i * 2 * PAGE_SIZE + 4095, 2);
    }
    UINT8 *exact = malloc(kmcl_external_header_size(&limits));
    assert_int_equal(
        kmcl_external_from_mdl(exact, &limits, (PMDL)(void *)mdl_space[0], 0, 0, &length),
        STATUS_SUCCESS);
    assert_int_equal(length, kmcl_external_header_size(&limits));
    free(exact);
    assert_int_equal(kmcl_external_header_size(&(struct kmcl_external_limits){0, 0}), 0);
}

static void a_forced_length_reaches_to_the_end_of_the_last_page(void **state)
{
    UINT32 length = 0;

    (void)state;
    (void)mdl(1, 8 * PAGE_SIZE, 100);
    PMDL chain = mdl(0, 100, 50);
    chain->Next = (PMDL)(void *)mdl_space[1];
    assert_int_equal(kmcl_external_from_forced_mdl(header, &wide, chain, 10, 3986, &length),
                     STATUS_SUCCESS);
    assert_int_equal(length, 24);
    assert_int_equal(header[0] >> 32, 1);
    assert_int_equal(header[1], range_word(3986, 110));
    assert_int_equal(kmcl_external_from_forced_mdl(header, &wide, chain, 10, 3987, &length),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(kmcl_external_from_forced_mdl(header, &wide, chain, 0, UINT32_MAX, &length),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(kmcl_external_from_forced_mdl(header, &wide, chain, 10, 0, &length),
                     STATUS_SUCCESS);
    assert_int_equal(header[1], range_word(40, 110));
    assert_int_equal(kmcl_external_from_forced_mdl(header, &wide, chain, 50, 0, &length),
                     STATUS_INVALID_PARAMETER);
}

static void page_lists_are_one_range_of_whole_pages(void **state)
{
    const UINT64 frames[] = {77, 5, 123456789012};
    const struct kmcl_external_limits two = {2 * PAGE_SIZE + 4095, 1};
    UINT32 length = 0;

    (void)state;
    assert_int_equal(kmcl_external_from_frames(header, &wide, frames, 3, &length), STATUS_SUCCESS);
    assert_int_equal(length, 40);
    assert_int_equal(header[1], range_word(3 * PAGE_SIZE, 0));
    assert_memory_equal(&header[2], frames, sizeof(frames));
    assert_int_equal(kmcl_external_from_frames(header, &two, frames, 2, &length), STATUS_SUCCESS);
    assert_int_equal(kmcl_external_from_frames(header, &two, frames, 3, &length),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(kmcl_external_from_frames(header, &wide, frames, 0, &length),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(kmcl_external_from_frames(header, &wide, frames, 1u << 20, &length),
                     STATUS_INVALID_PARAMETER);
}

#define external_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        external_test(one_page_becomes_one_range),
        external_test(two_bytes_over_a_page_boundary_name_two_pages),
        external_test(a_chain_becomes_a_range_for_each_mdl),
        external_test(a_window_is_cut_across_the_chain),
        external_test(a_window_outside_the_chain_is_refused),
        external_test(limits_hold),
        external_test(the_worst_case_fits_the_announced_header),
        external_test(a_forced_length_reaches_to_the_end_of_the_last_page),
        external_test(page_lists_are_one_range_of_whole_pages),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
