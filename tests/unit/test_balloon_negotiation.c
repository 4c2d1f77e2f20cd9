/* SPDX-License-Identifier: MIT */
/* How the balloon driver and its host come to terms, what the driver reports, and how they part. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/unit/balloon/fake_kmcl.h"
#include "tests/unit/balloon/fake_pages.h"
#include "tests/unit/balloon/fixture.h"
#include "tests/unit/support/test_arch.h"

#define ALMOST_THE_LIMIT (BALLOON_ANSWER_LIMIT - CLOCK_MILLISECOND)

static void expect_bytes(enum dynamic_memory_message_type type, const unsigned char *expected,
                         size_t expected_size)
{
    size_t size;
    const unsigned char *bytes = take_message(type, &size);

    assert_int_equal(size, expected_size);
    assert_memory_equal(bytes, expected, expected_size);
}

static void the_channel_is_set_up_for_the_protocol(void **state)
{
    static const unsigned char class[16] = {0xdc, 0x74, 0x50, 0x52, 0x85, 0x89, 0xe2, 0x46,
                                            0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02};
    (void)state;

    assert_int_equal(fake_kmcl.state, FAKE_KMCL_ENABLED);
    assert_memory_equal(&fake_kmcl.type, class, sizeof(class));
    assert_true(fake_kmcl.any_instance);
    assert_true(fake_kmcl.passive);
    assert_true(fake_kmcl.named);
    assert_int_equal(fake_kmcl.maximum_packet_size, 4096);
    assert_int_equal(fake_kmcl.incoming_pages, 4);
    assert_int_equal(fake_kmcl.outgoing_pages, 4);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
}

static void without_a_device_nothing_is_sent(void **state)
{
    (void)state;
    pass_time(20 * CLOCK_SECOND);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
}

static void version_2_0_is_asked_for_first(void **state)
{
    static const unsigned char expected[] = {1, 0, 16, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0};
    (void)state;

    fake_kmcl_open();
    expect_bytes(DYNAMIC_MEMORY_VERSION_REQUEST, expected, sizeof(expected));
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_VERSION);
}

static void refused_versions_are_followed_by_older_ones(void **state)
{
    static const unsigned char second[] = {1, 0, 16, 0, 2, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0};
    static const unsigned char last[] = {1, 0, 16, 0, 3, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0, 0};
    (void)state;

    fake_kmcl_open();
    take_message(DYNAMIC_MEMORY_VERSION_REQUEST, NULL);
    host_says_version(false);
    expect_bytes(DYNAMIC_MEMORY_VERSION_REQUEST, second, sizeof(second));
    host_says_version(false);
    expect_bytes(DYNAMIC_MEMORY_VERSION_REQUEST, last, sizeof(last));
    host_says_version(true);
    take_message(DYNAMIC_MEMORY_CAPABILITIES_REPORT, NULL);
    assert_int_equal(statistics().version, 0x00000003);
}

static void a_host_that_refuses_every_version_is_left(void **state)
{
    (void)state;
    fake_kmcl_open();
    host_says_version(false);
    host_says_version(false);
    host_says_version(false);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
    assert_int_equal(lines_with("refuses every protocol version"), 1);
    pass_time(20 * CLOCK_SECOND);
    assert_int_equal(fake_kmcl.enabled, 1);
}

static void a_version_that_is_not_answered_ends_after_5_seconds(void **state)
{
    (void)state;
    fake_kmcl_open();
    pass_time(ALMOST_THE_LIMIT);
    assert_int_equal(balloon_state(), BALLOON_VERSION);
    pass_time(2 * CLOCK_MILLISECOND);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
    assert_int_equal(lines_with("does not answer"), 1);
}

static void capabilities_that_are_not_answered_end_after_5_seconds(void **state)
{
    (void)state;
    fake_kmcl_open();
    host_says_version(true);
    pass_time(ALMOST_THE_LIMIT);
    assert_int_equal(balloon_state(), BALLOON_CAPABILITIES);
    pass_time(2 * CLOCK_MILLISECOND);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
}

static void each_step_has_its_own_5_seconds(void **state)
{
    (void)state;
    fake_kmcl_open();
    pass_time(ALMOST_THE_LIMIT);
    host_says_version(false);
    pass_time(ALMOST_THE_LIMIT);
    host_says_version(true);
    pass_time(ALMOST_THE_LIMIT);
    host_says_capabilities(DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void an_answer_amid_the_limit_work_counts(void **state)
{
    (void)state;
    /* The limit has passed and its work is queued, but the answer is handled first: the new step
     * has its own limit. */
    fake_kmcl_open();
    passive_work_queue(&balloon.timer_work);
    host_says_version(true);
    run();
    assert_int_equal(balloon_state(), BALLOON_CAPABILITIES);
}

static void capabilities_are_balloon_and_hot_add_in_steps_of_128_mib(void **state)
{
    static const unsigned char expected[32] = {
        3, 0, 32, 0, 2, 0, 0, 0, 0x1f, 0,    0,    0,    0,    0,    0,    0,
        0, 0, 0,  0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    (void)state;

    fake_kmcl_open();
    take_message(DYNAMIC_MEMORY_VERSION_REQUEST, NULL);
    host_says_version(true);
    expect_bytes(DYNAMIC_MEMORY_CAPABILITIES_REPORT, expected, sizeof(expected));
}

static void a_host_that_refuses_the_capabilities_is_left(void **state)
{
    (void)state;
    fake_kmcl_open();
    host_says_version(true);
    host_says_capabilities(0);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
    assert_int_equal(lines_with("refuses this guest's capabilities"), 1);
}

static void answers_nobody_waits_for_are_ignored(void **state)
{
    (void)state;
    host_says_version(false);
    host_says_capabilities(0);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
    assert_int_equal(statistics().messages_unexpected, 2);
    assert_int_equal(lines_with("unexpected message"), 1);
    assert_int_equal(messages_left(), 0);
}

static void requests_before_the_negotiation_is_over_are_ignored(void **state)
{
    const uint64_t range = dynamic_memory_range(FAKE_PAGES_FIRST_FRAME, 1);
    (void)state;

    fake_kmcl_open();
    forget_messages();
    host_asks_for_pages(1);
    host_returns(&range, 1, false);
    host_adds(dynamic_memory_range(FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES, 512));
    assert_int_equal(messages_left(), 0);
    assert_int_equal(statistics().messages_unexpected, 3);
    assert_int_equal(fake_pages_hot_add_calls, 0);
    assert_int_equal(balloon_state(), BALLOON_VERSION);
}

/* ---- the status ---- */

static void the_status_goes_out_every_second(void **state)
{
    (void)state;
    pass_time(CLOCK_SECOND / 2 - CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 0);
    pass_time(2 * CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 1);
    pass_time(CLOCK_SECOND - 2 * CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 1);
    pass_time(2 * CLOCK_MILLISECOND);
    assert_int_equal(messages_left(), 2);
    pass_time(8 * CLOCK_SECOND);
    assert_int_equal(messages_left(), 10);
    assert_int_equal(statistics().status_reports, 10);
}

/* Whoever held the processor for long, or stopped the whole guest: the host gets one, not all. */
static void status_reports_that_were_missed_are_not_made_up_for(void **state)
{
    (void)state;
    pass_time(CLOCK_SECOND);
    assert_int_equal(messages_left(), 1);
    test_time_pass(10 * CLOCK_SECOND);
    pass_time(CLOCK_SECOND / 2);
    assert_int_equal(messages_left(), 2);
    pass_time(CLOCK_SECOND);
    assert_int_equal(messages_left(), 3);
}

static void a_host_that_wants_no_status_gets_none(void **state)
{
    (void)state;
    assert_true(statistics().status_suppressed);
    pass_time(20 * CLOCK_SECOND);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void expect_status(uint64_t available, uint64_t committed)
{
    struct dynamic_memory_status_report report;
    size_t size;
    const unsigned char *bytes = take_message(DYNAMIC_MEMORY_STATUS_REPORT, &size);

    assert_int_equal(size, 48);
    memcpy(&report, bytes, sizeof(report));
    assert_int_equal(report.available, available);
    assert_int_equal(report.committed, committed);
    assert_int_equal(report.page_file_size, 0);
    assert_int_equal(report.zero_and_free, available);
    assert_int_equal(report.page_file_writes, 0);
    assert_int_equal(report.io_difference, 0);
    assert_int_equal(statistics().reported_available, available);
    assert_int_equal(statistics().reported_committed, committed);
}

static void the_status_is_what_the_allocator_says(void **state)
{
    /* 64 MiB: 1024 pages and a 64th; the allocator's tables are three pages. */
    const uint64_t reserve = 1024 + FIXTURE_PAGES / 64;
    const uint64_t ledger = FIXTURE_PAGES - fake_pages_free_count();
    (void)state;

    pass_time(CLOCK_SECOND);
    expect_status(FIXTURE_PAGES - ledger, ledger + 3 + reserve);

    void *held = pages_allocate(100);
    pass_time(CLOCK_SECOND);
    expect_status(FIXTURE_PAGES - ledger - 100, ledger + 100 + 3 + reserve);
    pages_free(held, 100);
}

static void ballooned_pages_count_as_committed(void **state)
{
    const uint64_t free_before = fake_pages_free_count();
    (void)state;

    host_asks_for_pages(5000);
    forget_messages();
    balloon.transaction_id = 2;
    pass_time(CLOCK_SECOND);
    expect_status(free_before - 5000, FIXTURE_PAGES - free_before + 5000 + 3 + 1024 + 256);
}

static void the_status_waits_for_room_in_the_ring(void **state)
{
    (void)state;
    fake_kmcl.ring_is_full = true;
    pass_time(10 * CLOCK_SECOND + CLOCK_MILLISECOND);
    assert_int_equal(statistics().status_reports, 1);
    assert_int_equal(statistics().status_skipped, 9);
    fake_kmcl_make_room();
    assert_int_equal(messages_left(), 1);
    pass_time(CLOCK_SECOND);
    assert_int_equal(messages_left(), 2);
}

/* ---- the end ---- */

static void negotiate_again(void)
{

    assert_int_equal(fake_kmcl.enabled, 2);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
    forget_messages();
    fake_kmcl_open();
    assert_int_equal(messages_left(), 1);
    assert_int_equal(statistics().version, 0);
    host_says_version(true);
    host_says_capabilities(DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void a_rescind_while_a_version_is_asked_for_starts_over(void **state)
{
    (void)state;
    fake_kmcl_open();
    host_says_version(false);
    fake_kmcl_rescind();
    run();
    negotiate_again();
    assert_int_equal(statistics().version, 0x00020000);
}

static void a_rescind_while_capabilities_are_reported_starts_over(void **state)
{
    (void)state;
    fake_kmcl_open();
    host_says_version(true);
    fake_kmcl_rescind();
    run();
    negotiate_again();
}

static void a_rescind_ends_the_status(void **state)
{
    (void)state;
    fake_kmcl_rescind();
    run();
    pass_time(10 * CLOCK_SECOND);
    assert_int_equal(messages_left(), 0);
    negotiate_again();
}

static void a_rescind_amid_a_list_of_pages_starts_over(void **state)
{
    (void)state;
    host_returns(NULL, 0, true);
    assert_int_equal(balloon_state(), BALLOON_DEFLATING);
    fake_kmcl_rescind();
    run();
    negotiate_again();
}

static void pages_stay_with_the_host_after_a_rescind(void **state)
{
    uint64_t ranges[510];
    size_t count;
    bool more;
    const size_t free_before = fake_pages_free_count();
    (void)state;

    host_asks_for_pages(1000);
    assert_int_equal(take_balloon_response(ranges, &count, &more), 1000);
    fake_kmcl_rescind();
    run();
    assert_int_equal(fake_pages_free_count(), free_before - 1000);
    assert_int_equal(statistics().ballooned, 1000);

    /* And the host that offers the device again can return them. */
    negotiate_again();
    host_returns(ranges, (uint32_t)count, false);
    assert_int_equal(fake_pages_free_count(), free_before);
}

static void a_rescind_before_the_answer_starts_over(void **state)
{
    const size_t free_before = fake_pages_free_count();
    const struct dynamic_memory_balloon_request request = {
        .header = {DYNAMIC_MEMORY_BALLOON_REQUEST, sizeof(request), 1}, .pages = 100};
    const struct dynamic_memory_unballoon_request list = {
        .header = {DYNAMIC_MEMORY_UNBALLOON_REQUEST, sizeof(list), 1}};
    (void)state;

    fake_kmcl_receive(&request, sizeof(request));
    assert_int_equal(balloon_state(), BALLOON_INFLATING);
    fake_kmcl_rescind();
    run();
    negotiate_again();
    forget_messages();
    pass_time(CLOCK_SECOND / 4);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(fake_pages_free_count(), free_before);

    fake_kmcl_receive(&list, sizeof(list));
    assert_int_equal(balloon_state(), BALLOON_REPLYING);
    fake_kmcl_rescind();
    pass_time(CLOCK_SECOND / 4);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
}

static void a_failed_negotiation_followed_by_a_rescind_closes_once(void **state)
{
    (void)state;
    fake_kmcl_open();
    host_says_version(true);
    struct dynamic_memory_capabilities_response refusal = {
        .header = {DYNAMIC_MEMORY_CAPABILITIES_RESPONSE, sizeof(refusal), 1}};
    fake_kmcl_receive(&refusal, sizeof(refusal));
    fake_kmcl_rescind(); /* before the work that closes the channel has run */
    run();
    assert_int_equal(fake_kmcl.disabled, 0);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
}

static void a_channel_that_does_not_open_is_reported(void **state)
{
    (void)state;
    fake_kmcl_fail_to_open(STATUS_INSUFFICIENT_RESOURCES);
    run();
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(lines_with("does not open: status 0xc000009a"), 1);
}

static void an_offer_taken_back_while_opening_is_waited_for_again(void **state)
{
    (void)state;
    fake_kmcl_fail_to_open(STATUS_DEVICE_REMOVED);
    run();
    negotiate_again();
}

static void without_memory_for_the_ledger_the_channel_does_not_open(void **state)
{
    (void)state;
    fake_pages_reset(1);
    fake_kmcl_open();
    run();
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
    assert_int_equal(lines_with("no memory for the list of pages"), 1);
}

static void a_driver_that_cannot_start_says_so(void **state)
{
    balloon.exit_hook.leave();
    fixture_reset(state);
    fake_kmcl.enable_fails = true;
    balloon_start();
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_NONE);
    assert_int_equal(lines_with("cannot start: status 0xc000009a"), 1);
}

static void a_channel_that_cannot_be_enabled_ends_the_driver(void **state)
{
    (void)state;
    fake_kmcl.enable_fails = true;
    fake_kmcl_rescind();
    run();
    assert_int_equal(balloon_state(), BALLOON_FAILED);
}

static void leaving_closes_the_channel_for_good(void **state)
{
    (void)state;
    balloon.exit_hook.leave();
    run();
    assert_int_equal(balloon_state(), BALLOON_STOPPED);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
    assert_int_equal(fake_kmcl.enabled, 1);
    pass_time(10 * CLOCK_SECOND);
    assert_int_equal(messages_left(), 0);
}

static void leaving_without_a_device_is_quiet(void **state)
{
    (void)state;
    balloon.exit_hook.leave();
    run();
    assert_int_equal(balloon_state(), BALLOON_STOPPED);
}

static void a_channel_that_takes_long_to_close_is_waited_for(void **state)
{
    (void)state;
    fake_kmcl.still_closing = true;
    fake_kmcl_rescind();
    pass_time(20 * CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
    assert_int_equal(fake_kmcl.enabled, 1);
    fake_kmcl.still_closing = false;
    pass_time(CLOCK_SECOND / 10);
    negotiate_again();
    pass_time(CLOCK_SECOND / 2);
    assert_int_equal(messages_left(), 3);
}

static void a_channel_that_never_closes_is_given_up(void **state)
{
    (void)state;
    fake_kmcl.still_closing = true;
    fake_kmcl_rescind();
    pass_time(31 * CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.disabled, 0);
    assert_int_equal(lines_with("cannot be enabled again"), 1);
}

static void a_channel_the_host_broke_stays_closed(void **state)
{
    (void)state;
    fake_kmcl.ring_faults = 1;
    fake_kmcl_rescind();
    pass_time(CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(fake_kmcl.enabled, 1);
    assert_int_equal(lines_with("the host broke the channel"), 1);
}

static void the_report_tells_state_and_counts(void **state)
{
    (void)state;
    balloon_report();
    assert_int_equal(lines_with("state: waiting for the device"), 1);
    assert_int_equal(lines_with("protocol"), 0);
    fake_kmcl_open();
    host_says_version(true);
    host_says_capabilities(DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED);
    host_asks_for_pages(7);
    balloon_report();
    assert_int_equal(lines_with("state: idle"), 1);
    assert_int_equal(lines_with("protocol 2.0; pages: 7 held by the host, 7 taken"), 1);
    assert_int_equal(lines_with("messages: 3 received, 0 malformed"), 1);
}

static void a_message_that_cannot_be_sent_is_reported_once(void **state)
{
    (void)state;
    fake_kmcl.allocate_fails = true;
    pass_time(3 * CLOCK_SECOND + CLOCK_MILLISECOND);
    fake_kmcl.allocate_fails = false;
    fake_kmcl.send_fails = true;
    pass_time(CLOCK_SECOND);
    assert_int_equal(statistics().replies_dropped, 4);
    assert_int_equal(statistics().status_reports, 0);
    assert_int_equal(lines_with("could not be sent"), 1);
    fake_kmcl.send_fails = false;
    pass_time(CLOCK_SECOND);
    assert_int_equal(statistics().status_reports, 1);
}

#define WAITING(test_) cmocka_unit_test_setup_teardown(test_, fixture_start, fixture_end)
#define NEGOTIATED(test_)                                                                          \
    cmocka_unit_test_setup_teardown(test_, fixture_start_negotiated, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WAITING(the_channel_is_set_up_for_the_protocol),
        WAITING(without_a_device_nothing_is_sent),
        WAITING(version_2_0_is_asked_for_first),
        WAITING(refused_versions_are_followed_by_older_ones),
        WAITING(a_host_that_refuses_every_version_is_left),
        WAITING(a_version_that_is_not_answered_ends_after_5_seconds),
        WAITING(capabilities_that_are_not_answered_end_after_5_seconds),
        WAITING(each_step_has_its_own_5_seconds),
        WAITING(an_answer_amid_the_limit_work_counts),
        WAITING(capabilities_are_balloon_and_hot_add_in_steps_of_128_mib),
        WAITING(a_host_that_refuses_the_capabilities_is_left),
        NEGOTIATED(answers_nobody_waits_for_are_ignored),
        WAITING(requests_before_the_negotiation_is_over_are_ignored),
        NEGOTIATED(the_status_goes_out_every_second),
        NEGOTIATED(status_reports_that_were_missed_are_not_made_up_for),
        cmocka_unit_test_setup_teardown(a_host_that_wants_no_status_gets_none,
                                        fixture_start_negotiated_without_status, fixture_end),
        NEGOTIATED(the_status_is_what_the_allocator_says),
        NEGOTIATED(ballooned_pages_count_as_committed),
        NEGOTIATED(the_status_waits_for_room_in_the_ring),
        WAITING(a_rescind_while_a_version_is_asked_for_starts_over),
        WAITING(a_rescind_while_capabilities_are_reported_starts_over),
        NEGOTIATED(a_rescind_ends_the_status),
        NEGOTIATED(a_rescind_amid_a_list_of_pages_starts_over),
        NEGOTIATED(pages_stay_with_the_host_after_a_rescind),
        NEGOTIATED(a_rescind_before_the_answer_starts_over),
        WAITING(a_failed_negotiation_followed_by_a_rescind_closes_once),
        WAITING(a_channel_that_does_not_open_is_reported),
        WAITING(an_offer_taken_back_while_opening_is_waited_for_again),
        WAITING(without_memory_for_the_ledger_the_channel_does_not_open),
        WAITING(a_driver_that_cannot_start_says_so),
        NEGOTIATED(a_channel_that_cannot_be_enabled_ends_the_driver),
        NEGOTIATED(a_channel_that_takes_long_to_close_is_waited_for),
        NEGOTIATED(a_channel_that_never_closes_is_given_up),
        NEGOTIATED(a_channel_the_host_broke_stays_closed),
        WAITING(the_report_tells_state_and_counts),
        NEGOTIATED(leaving_closes_the_channel_for_good),
        WAITING(leaving_without_a_device_is_quiet),
        NEGOTIATED(a_message_that_cannot_be_sent_is_reported_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
