/* SPDX-License-Identifier: MIT */
/* The balloon moves real pages: from the allocator to the host, back, and new ones in. Also what a
 * hostile host sends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/unit/balloon/fake_kmcl.h"
#include "tests/unit/balloon/fake_pages.h"
#include "tests/unit/balloon/fixture.h"

#define RANGES_MAX 510u

/* All that was taken, over any number of responses. */
static uint64_t taken_ranges[64 * RANGES_MAX];
static size_t taken_count;

static uint64_t take_responses(unsigned *responses)
{
    uint64_t pages = 0;
    bool more = true;

    taken_count = 0;
    for (*responses = 0; more; (*responses)++) {
        size_t count;
        pages += take_balloon_response(&taken_ranges[taken_count], &count, &more);
        taken_count += count;
        assert_in_range(taken_count, 0, 63 * RANGES_MAX);
    }
    return pages;
}

static void return_taken(void)
{
    size_t done = 0;
    do {
        const size_t part = taken_count - done < RANGES_MAX ? taken_count - done : RANGES_MAX;
        host_returns(&taken_ranges[done], (uint32_t)part, done + part < taken_count);
        done += part;
    } while (done < taken_count);
}

static uint64_t spare_pages(void)
{
    return fake_pages_free_count() - (1024 + FIXTURE_PAGES / 64);
}

/* ---- up ---- */

static void a_small_request_is_answered_byte_for_byte(void **state)
{
    static const unsigned char expected[] = {
        7, 0, 24, 0, 3, 0, 0, 0, /* header */
        0, 0, 0,  0, 2, 0, 0, 0, /* one range, and no more */
        3, 0, 1,  0, 0, 5, 0, 0, /* five pages from frame 0x10003 on */
    };
    size_t size;
    (void)state;

    /* The ledger has taken the first three pages: a bit for each frame below 0x14000. */
    assert_true(fake_pages_is_allocated(FAKE_PAGES_FIRST_FRAME + 2));
    host_asks_for_pages(5);
    const unsigned char *bytes = take_message(DYNAMIC_MEMORY_BALLOON_RESPONSE, &size);
    assert_int_equal(size, sizeof(expected));
    assert_memory_equal(bytes, expected, size);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
    assert_int_equal(lines_with("ballooned 5 pages of 5 asked in 1 message; 5 held"), 1);
}

static void large_blocks_go_first(void **state)
{
    uint64_t ranges[RANGES_MAX];
    size_t count;
    bool more;
    (void)state;

    host_asks_for_pages(1024 + 3);
    assert_int_equal(take_balloon_response(ranges, &count, &more), 1024 + 3);
    assert_false(more);
    /* Single pages lie at the low end, where the ledger has broken the first block. */
    assert_int_equal(count, 2);
    assert_int_equal(dynamic_memory_range_count(ranges[0]), 3);
    assert_int_equal(dynamic_memory_range_first(ranges[1]) % 512, 0);
    assert_int_equal(dynamic_memory_range_count(ranges[1]), 1024);
}

/* Breaks all memory behind the first block into pieces: one page in `distance` is somebody else's.
 */
static void occupy_every(unsigned distance)
{
    for (uint64_t i = 4; i < FIXTURE_PAGES; i += distance)
        fake_pages_occupy(FAKE_PAGES_FIRST_FRAME + i);
}

static void pages_that_come_backwards_are_one_range_too(void **state)
{
    uint64_t ranges[RANGES_MAX];
    size_t count;
    bool more;
    (void)state;

    fake_pages_from_the_top = true;
    host_asks_for_pages(511);
    assert_int_equal(take_balloon_response(ranges, &count, &more), 511);
    assert_int_equal(count, 1);
    assert_int_equal(dynamic_memory_range_first(ranges[0]),
                     FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES - 511);
}

static void a_long_answer_is_split_into_messages_of_a_page(void **state)
{
    unsigned responses;
    (void)state;

    occupy_every(2);
    host_asks_for_pages(5000);
    assert_int_equal(messages_left(), 10);
    assert_int_equal(take_responses(&responses), 5000);
    assert_int_equal(responses, 10); /* 510 pages in each but the last */
    assert_int_equal(messages_left(), 0);
    assert_int_equal(statistics().responses, 10);
    assert_int_equal(statistics().requests, 1);
    assert_int_equal(statistics().requests_partial, 0);
    assert_int_equal(lines_with("ballooned 5000 pages of 5000 asked in 10 messages"), 1);

    const size_t free_before = fake_pages_free_count();
    return_taken();
    assert_int_equal(fake_pages_free_count(), free_before + 5000);
    assert_int_equal(statistics().ballooned, 0);
}

static void a_long_request_lets_others_work_in_between(void **state)
{
    unsigned responses;
    (void)state;

    occupy_every(512);
    host_asks_for_pages(10000);
    assert_int_equal(take_responses(&responses), 10000);
    assert_int_equal(responses, 3); /* 4096 single pages in each but the last */
}

static void the_next_message_waits_until_the_last_is_in_the_ring(void **state)
{
    unsigned responses;
    (void)state;

    occupy_every(2);
    fake_kmcl.ring_is_full = true;
    host_asks_for_pages(1000);
    assert_int_equal(statistics().responses, 1);
    assert_int_equal(statistics().ballooned, 510);
    fake_kmcl_make_room();
    run();
    assert_int_equal(take_responses(&responses), 1000);
    assert_int_equal(responses, 2);
}

static void a_request_beyond_the_reserve_is_met_in_part(void **state)
{
    unsigned responses;
    const uint64_t spare = spare_pages();
    (void)state;

    host_asks_for_pages(UINT32_MAX);
    assert_int_equal(take_responses(&responses), spare);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(fake_pages_free_count(), 1024 + FIXTURE_PAGES / 64);
    assert_int_equal(statistics().requests_partial, 1);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
    return_taken();
    assert_int_equal(spare_pages(), spare);
}

static void with_nothing_to_give_the_answer_is_empty(void **state)
{
    static const unsigned char expected[] = {7, 0, 16, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0};
    void *held = pages_allocate((size_t)spare_pages());
    size_t size;
    (void)state;

    assert_non_null(held);
    host_asks_for_pages(1);
    const unsigned char *bytes = take_message(DYNAMIC_MEMORY_BALLOON_RESPONSE, &size);
    assert_int_equal(size, sizeof(expected));
    assert_memory_equal(bytes, expected, size);
    assert_int_equal(statistics().requests_partial, 1);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void memory_that_goes_away_amid_a_request_ends_it(void **state)
{
    uint64_t ranges[RANGES_MAX];
    size_t count;
    bool more;
    (void)state;

    occupy_every(2);
    fake_kmcl.ring_is_full = true;
    host_asks_for_pages(1000);
    while (spare_pages() > 0)
        assert_non_null(pages_allocate(1));
    fake_kmcl_make_room();
    run();
    assert_int_equal(take_balloon_response(ranges, &count, &more), 510);
    assert_true(more);
    assert_int_equal(take_balloon_response(ranges, &count, &more), 0);
    assert_false(more);
    assert_int_equal(messages_left(), 0);
}

static void a_request_for_nothing_gets_an_empty_answer(void **state)
{
    unsigned responses;
    (void)state;

    host_asks_for_pages(0);
    assert_int_equal(take_responses(&responses), 0);
    assert_int_equal(responses, 1);
    assert_int_equal(statistics().requests_partial, 0);
}

static void a_second_request_amid_the_first_is_ignored(void **state)
{
    const uint64_t range = dynamic_memory_range(FAKE_PAGES_FIRST_FRAME, 1);
    unsigned responses;
    (void)state;

    occupy_every(2);
    fake_kmcl.ring_is_full = true;
    host_asks_for_pages(1000);
    host_asks_for_pages(7);
    host_returns(&range, 1, false);
    host_adds(dynamic_memory_range(FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES, 512));
    assert_int_equal(statistics().messages_unexpected, 3);
    fake_kmcl_make_room();
    run();
    assert_int_equal(take_responses(&responses), 1000);
    assert_int_equal(messages_left(), 0);
}

static void a_request_right_after_the_last_answer_is_served(void **state)
{
    unsigned responses;
    (void)state;

    host_asks_for_pages(3);
    host_asks_for_pages(4);
    assert_int_equal(take_responses(&responses), 3);
    assert_int_equal(take_responses(&responses), 4);
    assert_int_equal(statistics().ballooned, 7);
}

static void a_request_while_the_last_answer_still_waits_is_served_after_it(void **state)
{
    unsigned responses;
    (void)state;

    fake_kmcl.ring_is_full = true;
    host_asks_for_pages(3);
    host_asks_for_pages(4);
    assert_int_equal(statistics().responses, 1);
    assert_int_equal(statistics().ballooned, 3);
    fake_kmcl_make_room();
    run();
    assert_int_equal(take_responses(&responses), 3);
    assert_int_equal(take_responses(&responses), 4);
    assert_int_equal(lines_with("ballooned 4 pages of 4 asked in 1 message; 7 held"), 1);
}

static void a_large_block_is_taken_whole(void **state)
{
    unsigned responses;
    (void)state;

    host_asks_for_pages(512);
    assert_int_equal(take_responses(&responses), 512);
    assert_int_equal(taken_count, 1);
    assert_int_equal(dynamic_memory_range_first(taken_ranges[0]) % 512, 0);
}

static void pages_of_an_answer_that_never_left_are_the_guests(void **state)
{
    const size_t free_before = fake_pages_free_count();
    (void)state;

    occupy_every(2);
    const size_t occupied = free_before - fake_pages_free_count();
    fake_kmcl.ring_is_full = true;
    host_asks_for_pages(1000);
    assert_int_equal(statistics().ballooned, 510);
    fake_kmcl_rescind();
    run();
    assert_int_equal(statistics().ballooned, 0);
    assert_int_equal(statistics().taken, 0);
    assert_int_equal(statistics().requests_partial, 1);
    assert_int_equal(fake_pages_free_count(), free_before - occupied);
}

static void pages_of_an_answer_that_cannot_be_sent_are_the_guests(void **state)
{
    const size_t free_before = fake_pages_free_count();
    (void)state;

    fake_kmcl.send_fails = true;
    host_asks_for_pages(1000);
    assert_int_equal(fake_pages_free_count(), free_before);
    assert_int_equal(statistics().ballooned, 0);
    assert_int_equal(statistics().replies_dropped, 1);
    assert_int_equal(statistics().requests_partial, 1);
    assert_int_equal(lines_with("ballooned 0 pages of 1000 asked"), 1);
    assert_int_equal(balloon_state(), BALLOON_IDLE);

    fake_kmcl.send_fails = false;
    host_asks_for_pages(1000);
    assert_int_equal(messages_left(), 1);
    assert_int_equal(statistics().ballooned, 1000);
}

static void a_request_after_a_lost_answer_starts_clean(void **state)
{
    unsigned responses;
    (void)state;

    fake_kmcl.ring_is_full = true;
    host_asks_for_pages(1000);
    fake_kmcl_rescind();
    fake_kmcl.ring_is_full = false;
    run();
    fake_kmcl_open();
    host_says_version(true);
    host_says_capabilities(DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED);
    forget_messages();
    balloon.transaction_id = 2;
    host_asks_for_pages(3);
    assert_int_equal(take_responses(&responses), 3);
    assert_int_equal(statistics().ballooned, 3);
}

/* ---- when ---- */

static void an_answer_takes_its_time(void **state)
{
    const struct dynamic_memory_balloon_request request = {
        .header = {DYNAMIC_MEMORY_BALLOON_REQUEST, sizeof(request), 1}, .pages = 1000};
    const struct dynamic_memory_unballoon_request list = {
        .header = {DYNAMIC_MEMORY_UNBALLOON_REQUEST, sizeof(list), 1}};
    (void)state;

    occupy_every(2);
    fake_kmcl_receive(&request, sizeof(request));
    pass_time(BALLOON_REPLY_DELAY - CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 0);
    pass_time(CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 2); /* the second message follows the first at once */

    forget_messages();
    fake_kmcl_receive(&list, sizeof(list));
    assert_int_equal(balloon_state(), BALLOON_REPLYING);
    fake_kmcl_receive(&request, sizeof(request));
    assert_int_equal(statistics().messages_unexpected, 1);
    pass_time(BALLOON_REPLY_DELAY - CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 0);
    pass_time(CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 1);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void work_queued_early_does_not_answer_early(void **state)
{
    const struct dynamic_memory_balloon_request request = {
        .header = {DYNAMIC_MEMORY_BALLOON_REQUEST, sizeof(request), 1}, .pages = 1};
    (void)state;

    fake_kmcl_receive(&request, sizeof(request));
    passive_work_queue(&balloon.reply_work);
    run();
    assert_int_equal(messages_left(), 0);
    pass_time(BALLOON_REPLY_DELAY);
    assert_int_equal(messages_left(), 1);
}

/* ---- down ---- */

static void returned_pages_are_confirmed_once(void **state)
{
    static const unsigned char expected[] = {9, 0, 8, 0, 4, 0, 0, 0};
    unsigned responses;
    size_t size;
    const size_t free_before = fake_pages_free_count();
    (void)state;

    host_asks_for_pages(8192);
    assert_int_equal(take_responses(&responses), 8192);
    return_taken();
    const unsigned char *bytes = take_message(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, &size);
    assert_int_equal(size, sizeof(expected));
    assert_memory_equal(bytes, expected, size);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(fake_pages_free_count(), free_before);
    assert_int_equal(statistics().returned, 8192);
    assert_int_equal(statistics().pages_refused, 0);
    assert_int_equal(statistics().unballoon_requests, 1);
    assert_int_equal(lines_with("did not hold"), 0);
    assert_int_equal(lines_with("got 8192 pages back in 1 message; 0 held"), 1);
}

static void a_list_in_parts_is_confirmed_at_its_end(void **state)
{
    unsigned responses;
    (void)state;

    host_asks_for_pages(600);
    take_responses(&responses);
    assert_int_equal(taken_count, 2);
    host_returns(&taken_ranges[0], 1, true);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_DEFLATING);
    host_returns(NULL, 0, true);
    host_returns(&taken_ranges[1], 1, true);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(statistics().ballooned, 0); /* the pages are in use as they come */
    host_returns(NULL, 0, false);
    take_message(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, NULL);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
    assert_int_equal(lines_with("got 600 pages back in 4 messages"), 1);
}

static void a_list_without_pages_is_confirmed(void **state)
{
    (void)state;
    host_returns(NULL, 0, false);
    take_message(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, NULL);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void a_list_that_breaks_off_does_not_block_the_next_request(void **state)
{
    unsigned responses;
    (void)state;

    host_returns(NULL, 0, true);
    host_asks_for_pages(3);
    assert_int_equal(take_responses(&responses), 3);
    assert_int_equal(lines_with("broke off"), 1);
    host_returns(NULL, 0, true);
    host_adds(dynamic_memory_range(FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES, 512));
    expect_hot_add_response(512, 1);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

/* Takes 100 pages; returns their first frame. They are in one range. */
static uint64_t take_a_hundred(void)
{
    unsigned responses;

    host_asks_for_pages(100);
    assert_int_equal(take_responses(&responses), 100);
    assert_int_equal(taken_count, 1);
    return dynamic_memory_range_first(taken_ranges[0]);
}

static void expect_refused(uint64_t range, uint64_t refused)
{
    const size_t free_before = fake_pages_free_count();
    const uint64_t held_before = statistics().ballooned;
    const uint64_t refused_before = statistics().pages_refused;

    host_returns(&range, 1, false);
    take_message(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, NULL);
    assert_int_equal(fake_pages_free_count(), free_before);
    assert_int_equal(statistics().ballooned, held_before);
    assert_int_equal(statistics().pages_refused, refused_before + refused);
}

static void pages_the_host_does_not_hold_are_refused(void **state)
{
    const uint64_t first = take_a_hundred();
    (void)state;

    expect_refused(dynamic_memory_range(FAKE_PAGES_FIRST_FRAME, 2), 2); /* the ledger itself */
    expect_refused(dynamic_memory_range(first + 100, 5), 5);            /* free */
    expect_refused(dynamic_memory_range(first - 1, 1), 1);
    expect_refused(dynamic_memory_range(0, 1), 1);
    expect_refused(dynamic_memory_range(0, 64), 64);
    expect_refused(dynamic_memory_range(FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES, 1), 1);
    expect_refused(dynamic_memory_range(FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES - 1, 2), 2);
    assert_int_equal(lines_with("pages it did not hold"), 1);
}

static void ranges_at_the_end_of_all_frames_are_refused(void **state)
{
    const uint64_t last = DYNAMIC_MEMORY_RANGE_FRAME_END - 1;
    (void)state;

    take_a_hundred();
    expect_refused(dynamic_memory_range(last, 1), 1);
    expect_refused(dynamic_memory_range(last, 2), 2);
    expect_refused(UINT64_MAX, 0xffffff);
    expect_refused(dynamic_memory_range(UINT64_C(1) << 39, 0xffffff), 0xffffff);
}

static void an_empty_range_is_nothing(void **state)
{
    const uint64_t first = take_a_hundred();
    (void)state;

    expect_refused(dynamic_memory_range(first, 0), 0);
    expect_refused(dynamic_memory_range(0, 0), 0);
    expect_refused(dynamic_memory_range(DYNAMIC_MEMORY_RANGE_FRAME_END - 1, 0), 0);
}

static void pages_returned_twice_are_refused_the_second_time(void **state)
{
    const uint64_t first = take_a_hundred();
    const uint64_t overlapping[] = {
        dynamic_memory_range(first, 60),
        dynamic_memory_range(first + 40, 60),
        dynamic_memory_range(first, 100),
    };
    const size_t free_before = fake_pages_free_count();
    (void)state;

    host_returns(overlapping, 3, false);
    assert_int_equal(fake_pages_free_count(), free_before + 100);
    assert_int_equal(statistics().returned, 100);
    assert_int_equal(statistics().pages_refused, 20 + 100);
    assert_int_equal(statistics().ballooned, 0);
}

static void of_a_range_that_is_held_in_part_only_that_part_is_taken(void **state)
{
    const uint64_t first = take_a_hundred();
    const uint64_t hole = dynamic_memory_range(first + 10, 20);
    const size_t free_before = fake_pages_free_count();
    (void)state;

    host_returns(&hole, 1, false);
    assert_int_equal(fake_pages_free_count(), free_before + 20);

    const uint64_t everything = dynamic_memory_range(0, 0xffffff);
    host_returns(&everything, 1, false);
    assert_int_equal(fake_pages_free_count(), free_before + 100);
    assert_int_equal(statistics().returned, 100);
    assert_int_equal(statistics().pages_refused, 0xffffff - 80);
}

static void hostile_lists_do_not_take_for_ever(void **state)
{
    uint64_t ranges[RANGES_MAX];
    (void)state;

    for (size_t i = 0; i < RANGES_MAX; i++)
        ranges[i] = dynamic_memory_range(0, 0xffffff);
    take_a_hundred();
    host_returns(ranges, RANGES_MAX, false);
    assert_int_equal(statistics().returned, 100);
    assert_int_equal(statistics().pages_refused, UINT64_C(0xffffff) * RANGES_MAX - 100);
}

/* ---- new memory ---- */

#define BEHIND (FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES)

static void added_memory_is_used_and_confirmed(void **state)
{
    static const unsigned char expected[] = {11, 0, 16, 0, 3, 0, 0, 0, 0, 64, 0, 0, 1, 0, 0, 0};
    const size_t free_before = fake_pages_free_count();
    size_t size;
    (void)state;

    host_adds(dynamic_memory_range(BEHIND, 16384));
    const unsigned char *bytes = take_message(DYNAMIC_MEMORY_HOT_ADD_RESPONSE, &size);
    assert_int_equal(size, sizeof(expected));
    assert_memory_equal(bytes, expected, size);
    /* The ledger has grown, from 3 pages to the bits of 0x18000 frames, which are 3 as well. */
    assert_int_equal(fake_pages_free_count(), free_before + 16384);
    assert_int_equal(statistics().hot_added, 16384);
    assert_int_equal(statistics().hot_add_requests, 1);
    assert_int_equal(lines_with("hot added 16384 pages at frame 0x14000"), 1);
}

static void added_memory_can_be_ballooned(void **state)
{
    unsigned responses;
    (void)state;

    host_asks_for_pages(100); /* the ledger keeps what it knows while it grows */
    take_responses(&responses);
    const uint64_t earlier = taken_ranges[0];
    host_adds_in_region(dynamic_memory_range(BEHIND, 32768), dynamic_memory_range(BEHIND, 32768));
    expect_hot_add_response(32768, 1);
    host_asks_for_pages(40000);
    assert_int_equal(take_responses(&responses), 40000);
    return_taken();
    take_message(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, NULL);
    host_returns(&earlier, 1, false);
    assert_int_equal(statistics().ballooned, 0);
    assert_int_equal(statistics().pages_refused, 0);
}

static void a_region_may_be_larger_than_the_range(void **state)
{
    (void)state;
    host_adds_in_region(dynamic_memory_range(BEHIND + 512, 1024),
                        dynamic_memory_range(BEHIND, 32768));
    expect_hot_add_response(1024, 1);
}

static void expect_hot_add_refused(uint64_t range, uint64_t region)
{
    const size_t free_before = fake_pages_free_count();

    host_adds_in_region(range, region);
    expect_hot_add_response(0, 0);
    assert_int_equal(fake_pages_free_count(), free_before);
}

static void memory_outside_its_region_is_refused(void **state)
{
    (void)state;
    expect_hot_add_refused(dynamic_memory_range(BEHIND, 1024), dynamic_memory_range(BEHIND, 1023));
    expect_hot_add_refused(dynamic_memory_range(BEHIND, 1024),
                           dynamic_memory_range(BEHIND + 1, 32768));
    expect_hot_add_refused(dynamic_memory_range(BEHIND, 1024), 0);
    assert_int_equal(fake_pages_hot_add_calls, 0);
    assert_int_equal(statistics().hot_add_refused, 3);
}

static void memory_that_makes_no_sense_is_refused(void **state)
{
    const uint64_t last = DYNAMIC_MEMORY_RANGE_FRAME_END - 1;
    (void)state;

    expect_hot_add_refused(0, 0);
    expect_hot_add_refused(dynamic_memory_range(BEHIND, 0), dynamic_memory_range(BEHIND, 512));
    expect_hot_add_refused(dynamic_memory_range(last, 2), dynamic_memory_range(last, 2));
    expect_hot_add_refused(UINT64_MAX, UINT64_MAX);
    assert_int_equal(fake_pages_hot_add_calls, 0);
}

static void memory_too_far_up_for_a_ledger_is_refused(void **state)
{
    const uint64_t far = dynamic_memory_range(UINT64_C(1) << 39, 32768);
    (void)state;

    expect_hot_add_refused(far, far);
    assert_int_equal(fake_pages_hot_add_calls, 0);
}

static void memory_the_allocator_does_not_take_is_refused(void **state)
{
    const uint64_t known = dynamic_memory_range(BEHIND - 512, 1024);
    (void)state;

    expect_hot_add_refused(known, known); /* half of it is there already */
    fake_pages_hot_add_works = false;
    expect_hot_add_refused(dynamic_memory_range(BEHIND, 32768),
                           dynamic_memory_range(BEHIND, 32768));
    fake_pages_hot_add_works = true;
    host_adds(dynamic_memory_range(BEHIND, 32768));
    expect_hot_add_response(32768, 1);
}

/* ---- any order ---- */

static void no_page_is_lost_in_any_order_of_requests(void **state)
{
    const size_t free_before = fake_pages_free_count();
    static uint64_t held[4096];
    size_t held_count = 0;
    uint64_t pages_held = 0;
    (void)state;

    srand(20);
    for (unsigned round = 0; round < 2000; round++) {
        forget_messages();
        balloon.transaction_id = 0;
        if (rand() % 2 == 0) {
            const uint64_t wanted = (uint64_t)(rand() % 3000);
            const uint64_t spare = spare_pages();
            host_asks_for_pages((uint32_t)wanted);
            for (size_t i = 0; i < balloon.response_ranges; i++) {
                held[held_count++] = balloon.response.ranges[i];
                assert_in_range(held_count, 0, 4095);
            }
            pages_held += wanted < spare ? wanted : spare;
        } else if (held_count > 0) {
            /* A part of some range, so that what is held gets into pieces. */
            const size_t at = (size_t)rand() % held_count;
            const uint64_t first = dynamic_memory_range_first(held[at]);
            const uint64_t count = dynamic_memory_range_count(held[at]);
            const uint64_t part = 1 + (uint64_t)rand() % count;
            const uint64_t range = dynamic_memory_range(first, part);
            host_returns(&range, 1, false);
            pages_held -= part;
            if (part == count)
                held[at] = held[--held_count];
            else
                held[at] = dynamic_memory_range(first + part, count - part);
        }
        assert_int_equal(statistics().ballooned, pages_held);
        assert_int_equal(fake_pages_free_count(), free_before - pages_held);
    }
    while (held_count > 0) {
        forget_messages();
        host_returns(&held[--held_count], 1, false);
    }
    assert_int_equal(statistics().ballooned, 0);
    assert_int_equal(statistics().pages_refused, 0);
    assert_int_equal(fake_pages_free_count(), free_before);
}

#define TEST(test_)                                                                                \
    cmocka_unit_test_setup_teardown(test_, fixture_start_negotiated_without_status, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_small_request_is_answered_byte_for_byte),
        TEST(large_blocks_go_first),
        TEST(pages_that_come_backwards_are_one_range_too),
        TEST(a_long_answer_is_split_into_messages_of_a_page),
        TEST(a_long_request_lets_others_work_in_between),
        TEST(the_next_message_waits_until_the_last_is_in_the_ring),
        TEST(a_request_beyond_the_reserve_is_met_in_part),
        TEST(with_nothing_to_give_the_answer_is_empty),
        TEST(memory_that_goes_away_amid_a_request_ends_it),
        TEST(a_request_for_nothing_gets_an_empty_answer),
        TEST(a_second_request_amid_the_first_is_ignored),
        TEST(a_request_right_after_the_last_answer_is_served),
        TEST(a_request_while_the_last_answer_still_waits_is_served_after_it),
        TEST(a_large_block_is_taken_whole),
        TEST(pages_of_an_answer_that_never_left_are_the_guests),
        TEST(pages_of_an_answer_that_cannot_be_sent_are_the_guests),
        TEST(a_request_after_a_lost_answer_starts_clean),
        TEST(an_answer_takes_its_time),
        TEST(work_queued_early_does_not_answer_early),
        TEST(returned_pages_are_confirmed_once),
        TEST(a_list_in_parts_is_confirmed_at_its_end),
        TEST(a_list_without_pages_is_confirmed),
        TEST(a_list_that_breaks_off_does_not_block_the_next_request),
        TEST(pages_the_host_does_not_hold_are_refused),
        TEST(ranges_at_the_end_of_all_frames_are_refused),
        TEST(an_empty_range_is_nothing),
        TEST(pages_returned_twice_are_refused_the_second_time),
        TEST(of_a_range_that_is_held_in_part_only_that_part_is_taken),
        TEST(hostile_lists_do_not_take_for_ever),
        TEST(added_memory_is_used_and_confirmed),
        TEST(added_memory_can_be_ballooned),
        TEST(a_region_may_be_larger_than_the_range),
        TEST(memory_outside_its_region_is_refused),
        TEST(memory_that_makes_no_sense_is_refused),
        TEST(memory_too_far_up_for_a_ledger_is_refused),
        TEST(memory_the_allocator_does_not_take_is_refused),
        TEST(no_page_is_lost_in_any_order_of_requests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
