/* SPDX-License-Identifier: MIT */
/* Requests that are waited for (K11): answers, limits, and who may call from where. */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/wait.h"
#include "kernel/wall_clock.h"
#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION

static const UINT64 question = 0xABCD;

static void a_request_returns_the_answer(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    script_start(&script, &driver, answer_next);
    assert_int_equal(ask(&driver, 0), STATUS_SUCCESS);
    driver_end(&driver);
}

static void without_wait_it_returns_when_the_request_is_in_the_ring(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    assert_int_equal(VmbChannelSendSynchronousRequest(driver.channel, (void *)(uintptr_t)&question,
                                                      8, NULL, 0, NULL, NULL, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(host_take(&packet), 0xABCD);
    assert_int_equal(packet.flags, 0);
    driver_end(&driver);
}

static void answer_twice_the_size(struct driver *driver)
{
    const UINT64 answer[4] = {1, 2, 3, 4};
    struct ring_packet_in packet;

    (void)driver;
    (void)host_take(&packet);
    (void)host_put_completion(RELID, packet.transaction_id, answer, sizeof(answer));
}

static void an_answer_that_does_not_fit_tells_its_size(void **state)
{
    struct driver driver = {0};
    struct script script;
    UINT64 answer[2] = {0};
    UINT32 size = sizeof(answer);

    (void)state;
    driver_start(&driver);
    script_start(&script, &driver, answer_twice_the_size);
    assert_int_equal(VmbChannelSendSynchronousRequest(driver.channel, (void *)(uintptr_t)&question,
                                                      8, NULL, WAIT, answer, &size, NULL),
                     STATUS_BUFFER_TOO_SMALL);
    assert_int_equal(size, 32);
    assert_int_equal(answer[0], 0);
    /* Without a buffer it is dropped. */
    script_start(&script, &driver, answer_twice_the_size);
    assert_int_equal(VmbChannelSendSynchronousRequest(driver.channel, (void *)(uintptr_t)&question,
                                                      8, NULL, WAIT, NULL, NULL, NULL),
                     STATUS_SUCCESS);
    script_start(&script, &driver, answer_twice_the_size);
    assert_int_equal(VmbChannelSendSynchronousRequest(driver.channel, (void *)(uintptr_t)&question,
                                                      8, NULL, WAIT, NULL, &size, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(size, 0); /* that was written */
    driver_end(&driver);
}

static void bad_requests_are_refused_before_anything_is_sent(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[2048] = {0};
    UINT32 size = 12;
    UINT64 space[8];
    PMDL mdl = (PMDL)(void *)space;
    LARGE_INTEGER date = {.QuadPart = 1};

    (void)state;
    driver_start(&driver);
    MmInitializeMdl(mdl, bytes, 8);
    MmBuildMdlForNonPagedPool(mdl);
    VMBCHANNEL c = driver.channel;
    test_memory_fail(1);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 8, NULL, WAIT, 0, 0, NULL),
                     STATUS_INSUFFICIENT_RESOURCES);
    test_memory_fail(0);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 8, NULL, WAIT, bytes, &size, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 2000, NULL, WAIT, 0, 0, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 8, NULL, 0x10, 0, 0, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 8, NULL, WAIT | 2, 0, 0, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 8, mdl, 0, 0, 0, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 8, mdl, WAIT, 0, 0, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSendSynchronousRequest(c, bytes, 8, NULL, WAIT, 0, 0, &date),
                     STATUS_NOT_SUPPORTED);
    assert_false(host_has_packet());
    driver_end(&driver);
}

static void a_disabled_channel_answers_device_removed(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    assert_int_equal(ask(&driver, 0), STATUS_DEVICE_REMOVED);
    driver_end(&driver);
}

/* ---- limits ---- */

static void a_request_in_the_ring_is_cancelled_when_its_time_is_up(void **state)
{
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;

    (void)state;
    driver_start(&driver);
    uint64_t before = clock_now();
    assert_int_equal(ask(&driver, 3 * (int64_t)CLOCK_SECOND), STATUS_CANCELLED);
    assert_in_range(clock_now() - before, 3 * CLOCK_SECOND, 4 * CLOCK_SECOND);
    /* Its answer comes late: swallowed, once. */
    answer_next(&driver);
    settle();
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.CompletionsLate, 1);
    assert_string_equal(KmclChannelStateName(driver.channel), "active");
    /* And the next request gets its own. */
    struct script script;
    script_start(&script, &driver, answer_next);
    assert_int_equal(ask(&driver, 0), STATUS_SUCCESS);
    driver_end(&driver);
}

static void a_queued_request_is_taken_back_when_its_time_is_up(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(driver_send(&driver, i, 1000, 0), STATUS_SUCCESS);
    }
    assert_int_equal(ask(&driver, CLOCK_SECOND), STATUS_CANCELLED);
    assert_int_equal(driver_send(&driver, 5, 1000, 0), STATUS_SUCCESS);
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(host_take(&packet), i);
        settle();
    }
    assert_false(host_has_packet());
    driver_end(&driver);
}

static void late_answers_free_the_slots_that_the_requests_left(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet[64];
    unsigned given_up = 0;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(driver.channel, 4, 4),
                     STATUS_SUCCESS);
    driver_start(&driver);
    for (; given_up < 32; given_up++) {
        assert_int_equal(ask(&driver, CLOCK_MILLISECOND), STATUS_CANCELLED);
        (void)host_take(&packet[given_up]);
    }
    /* All slots are taken: what wants a completion waits, and keeps what does not behind it. */
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    assert_int_equal(driver_send(&driver, 2, 8, 0), STATUS_SUCCESS);
    assert_false(host_has_packet());
    (void)host_put_completion(RELID, packet[7].transaction_id, NULL, 0);
    settle();
    struct ring_packet_in in;
    assert_int_equal(host_take(&in), 1);
    (void)host_put_completion(RELID, in.transaction_id, NULL, 0);
    assert_int_equal(host_take(&in), 2);
    settle();
    assert_int_equal(driver.completions, 2);
    driver_end(&driver);
}

/* The host has lost the requests: it will never answer them, and does answer others. */
static void requests_that_are_never_answered_do_not_keep_later_ones_back(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    struct script script;

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(ask(&driver, CLOCK_MILLISECOND), STATUS_CANCELLED);
        (void)host_take(&packet);
    }
    script_start(&script, &driver, answer_next);
    assert_int_equal(ask(&driver, CLOCK_SECOND), STATUS_SUCCESS);
    driver_end(&driver);
}

static void send_without_completion(struct driver *driver)
{
    assert_int_equal(driver_send(driver, 7, 8, 0), STATUS_SUCCESS);
    assert_int_equal(driver->completions, 0);
}

/* The host owes so many answers that the next request finds no slot. What was sent behind it needs
 * none. */
static void what_waits_behind_a_request_goes_on_when_its_time_is_up(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    struct script script;

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 32; i++) {
        assert_int_equal(ask(&driver, CLOCK_MILLISECOND), STATUS_CANCELLED);
        (void)host_take(&packet);
    }
    script_start(&script, &driver, send_without_completion);
    test_memory_fail(1); /* for more slots */
    assert_int_equal(ask(&driver, CLOCK_MILLISECOND), STATUS_CANCELLED);
    test_memory_fail(0);
    assert_int_equal(driver.completions, 1);
    assert_int_equal(host_take(&packet), 7);
    driver_end(&driver);
}

static void a_zero_limit_does_not_queue(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    LARGE_INTEGER zero = {.QuadPart = 0};
    UINT64 word = 5;

    (void)state;
    driver_start(&driver);
    enum irql level = irql_raise_to_dispatch();
    assert_int_equal(
        VmbChannelSendSynchronousRequest(driver.channel, &word, 8, NULL, 0, NULL, NULL, &zero),
        STATUS_SUCCESS);
    irql_lower(level);
    assert_int_equal(host_take(&packet), 5);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(driver_send(&driver, i, 1000, 0), STATUS_SUCCESS);
    }
    level = irql_raise_to_dispatch();
    assert_int_equal(
        VmbChannelSendSynchronousRequest(driver.channel, &word, 8, NULL, 0, NULL, NULL, &zero),
        STATUS_BUFFER_OVERFLOW);
    irql_lower(level);
    assert_int_equal(
        VmbChannelSendSynchronousRequest(driver.channel, &word, 8, NULL, WAIT, NULL, NULL, &zero),
        STATUS_BUFFER_OVERFLOW);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(host_take(&packet), i);
        settle();
    }
    assert_false(host_has_packet());
    struct script script;
    script_start(&script, &driver, answer_next);
    assert_int_equal(
        VmbChannelSendSynchronousRequest(driver.channel, &word, 8, NULL, WAIT, NULL, NULL, &zero),
        STATUS_SUCCESS);
    driver_end(&driver);
}

static NTSTATUS ask_until(struct driver *driver, uint64_t date)
{
    UINT64 word = 1;
    LARGE_INTEGER timeout = {.QuadPart = (int64_t)date};

    return VmbChannelSendSynchronousRequest(driver->channel, &word, 8, NULL, WAIT, NULL, NULL,
                                            &timeout);
}

/* The last of the tests: nothing takes the date away again. */
static void a_limit_may_be_a_date_once_there_is_one(void **state)
{
    struct driver driver = {0};
    struct script script;
    const uint64_t date = WALL_CLOCK_UNIX_EPOCH + 1000 * CLOCK_SECOND;

    (void)state;
    driver_start(&driver);
    assert_false(wall_clock_is_set());
    assert_int_equal(ask_until(&driver, date), STATUS_NOT_SUPPORTED);
    assert_true(wall_clock_set(date));
    uint64_t before = clock_now();
    assert_int_equal(ask_until(&driver, date + 3 * CLOCK_SECOND), STATUS_CANCELLED);
    assert_in_range(clock_now() - before, 3 * CLOCK_SECOND, 4 * CLOCK_SECOND);
    before = clock_now();
    assert_int_equal(ask_until(&driver, 1), STATUS_CANCELLED); /* long ago */
    assert_in_range(clock_now() - before, 0, CLOCK_SECOND);
    struct ring_packet_in packet;
    (void)host_take(&packet);
    (void)host_take(&packet);
    script_start(&script, &driver, answer_next);
    assert_int_equal(ask_until(&driver, INT64_MAX), STATUS_SUCCESS);
    driver_end(&driver);
}

/* ---- where it may be called ---- */

static NTSTATUS status_by_letter[128];

static void ask_in_callback(struct driver *driver, char letter)
{
    static struct script script;

    if (letter == 'P') {
        script_start(&script, driver, answer_next);
    }
    status_by_letter[(unsigned char)letter] = ask(driver, 0);
}

static void only_post_started_of_the_state_callbacks_may_ask(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = ask_in_callback;
    driver_start(&driver);
    VmbChannelPause(driver.channel);
    assert_int_equal(status_by_letter['U'], STATUS_INVALID_DEVICE_REQUEST);
    driver_end(&driver);
    assert_int_equal(status_by_letter['O'], STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(status_by_letter['S'], STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(status_by_letter['P'], STATUS_SUCCESS);
    assert_int_equal(status_by_letter['C'], STATUS_DEVICE_REMOVED);
}

static void unsolicited_then_answer(struct driver *driver)
{
    UINT64 word = 3;

    (void)host_put_inband(RELID, 0, false, &word, 8);
    answer_next(driver);
    (void)host_put_inband(RELID, 0, false, &word, 8);
}

static void ask_among_packets(struct driver *driver, char letter)
{
    static struct script script;

    if (letter == 'P') {
        script_start(&script, driver, unsolicited_then_answer);
        assert_int_equal(ask(driver, 0), STATUS_SUCCESS);
        assert_true(driver->packets >= 1);
    }
}

static void packets_arrive_while_post_started_waits_for_its_answer(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = ask_among_packets;
    driver_start(&driver);
    assert_int_equal(driver.packets, 2);
    driver_end(&driver);
}

static void ask_in_packet(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                          UINT32 length)
{
    (void)buffer, (void)length;
    assert_int_equal(ask(driver, 0), STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelPacketComplete(packet, NULL, 0);
}

static void a_passive_packet_callback_may_not_ask_its_own_channel(void **state)
{
    struct driver driver = {0};
    UINT64 word = 1;

    (void)state;
    driver_make(&driver);
    driver.on_packet = ask_in_packet;
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, TRUE);
    driver_start(&driver);
    (void)host_put_inband(RELID, 0, false, &word, 8);
    settle();
    assert_int_equal(driver.packets, 1);
    driver_end(&driver);
}

static void asking_above_passive_stops_the_guest(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    enum irql level = irql_raise_to_dispatch();
    expect_panic((void)ask(&driver, 0));
    irql_lower(level);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(a_request_returns_the_answer),
        kmcl_test(without_wait_it_returns_when_the_request_is_in_the_ring),
        kmcl_test(an_answer_that_does_not_fit_tells_its_size),
        kmcl_test(bad_requests_are_refused_before_anything_is_sent),
        kmcl_test(a_disabled_channel_answers_device_removed),
        kmcl_test(a_request_in_the_ring_is_cancelled_when_its_time_is_up),
        kmcl_test(a_queued_request_is_taken_back_when_its_time_is_up),
        kmcl_test(late_answers_free_the_slots_that_the_requests_left),
        kmcl_test(requests_that_are_never_answered_do_not_keep_later_ones_back),
        kmcl_test(what_waits_behind_a_request_goes_on_when_its_time_is_up),
        kmcl_test(a_zero_limit_does_not_queue),
        kmcl_test(only_post_started_of_the_state_callbacks_may_ask),
        kmcl_test(packets_arrive_while_post_started_waits_for_its_answer),
        kmcl_test(a_passive_packet_callback_may_not_ask_its_own_channel),
        kmcl_test(asking_above_passive_stops_the_guest),
        kmcl_test(a_limit_may_be_a_date_once_there_is_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
