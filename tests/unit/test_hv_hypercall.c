/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "arch/cpu.h"
#include "fake_hypervisor.h"
#include "hv/hypercall.h"
#include "hv/hypervisor.h"
#include "hv/parts.h"
#include "hv/synic.h"
#include "kernel/clock.h"
#include "kernel/irql.h"
#include "test_arch.h"
#include "test_memory.h"

static struct hv_statistics at_start;

static struct hv_statistics statistics(void)
{
    struct hv_statistics now;
    hv_statistics(&now);
    return now;
}

static int start(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    fake_hypervisor_reset();
    hv_start();
    at_start = statistics();
    fake.hypercalls = 0;
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hv_stop();
    assert_int_equal(test_pages_held(), 0);
    return 0;
}

static void answers_will_be(hv_status first, hv_status second, hv_status third)
{
    fake.statuses[0] = first;
    fake.statuses[1] = second;
    fake.statuses[2] = third;
    fake.statuses_count = 3;
}

static const hv_status all_statuses[] = {
    HV_STATUS_SUCCESS,
    HV_STATUS_INVALID_HYPERCALL_CODE,
    HV_STATUS_INVALID_HYPERCALL_INPUT,
    HV_STATUS_INVALID_ALIGNMENT,
    HV_STATUS_INVALID_PARAMETER,
    HV_STATUS_ACCESS_DENIED,
    HV_STATUS_INSUFFICIENT_MEMORY,
    HV_STATUS_INVALID_PORT_ID,
    HV_STATUS_INVALID_CONNECTION_ID,
    HV_STATUS_INSUFFICIENT_BUFFERS,
    HV_STATUS_INVALID_SYNIC_STATE,
    HV_STATUS_TIME_OUT,
    0x0073,
    0xFFFF,
};
#define STATUSES (sizeof(all_statuses) / sizeof(all_statuses[0]))

static bool is_transient(hv_status status)
{
    return status == HV_STATUS_INSUFFICIENT_BUFFERS || status == HV_STATUS_INSUFFICIENT_MEMORY ||
           status == HV_STATUS_TIME_OUT;
}

/* ---- one attempt ---- */

static void a_message_is_posted_from_an_aligned_block_that_stays_in_one_page(void **state)
{
    (void)state;
    uint8_t payload[240];
    for (unsigned size = 0; size <= 240; size++) {
        memset(payload, (int)size, sizeof(payload));
        assert_int_equal(hv_post_message(0x123456, payload, size), HV_STATUS_SUCCESS);
        assert_int_equal(fake.last_control, 0x5C);
        assert_int_equal(fake.last_input % 256, 0);
        assert_int_equal(fake.last_output, 0);
        assert_int_equal(fake.last_post.connection_id, 0x123456);
        assert_int_equal(fake.last_post.reserved, 0);
        assert_int_equal(fake.last_post.message_type, 1);
        assert_int_equal(fake.last_post.payload_size, size);
        assert_memory_equal(fake.last_post.payload, payload, size);
    }
    assert_int_equal(statistics().posts, at_start.posts + 241);
    assert_int_equal(statistics().post_failures, at_start.post_failures);
}

static void a_payload_that_is_too_large_never_reaches_the_host(void **state)
{
    (void)state;
    static const uint8_t payload[300];
    assert_int_equal(hv_post_message(1, payload, 241), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(hv_post_message(1, payload, UINT32_MAX), HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(fake.hypercalls, 0);
}

static void interrupts_are_as_before_behind_a_post(void **state)
{
    (void)state;
    (void)hv_post_message(1, "x", 1);
    assert_true(arch_interrupts_disable());
    (void)hv_post_message(1, "x", 1);
    assert_false(arch_interrupts_disable());
    arch_interrupts_restore(true);
}

static void only_the_status_of_the_result_counts(void **state)
{
    (void)state;
    for (size_t n = 0; n < STATUSES; n++) {
        answers_will_be(all_statuses[n], all_statuses[n], 0);
        assert_int_equal(hv_post_message(1, "x", 1), all_statuses[n]);
        assert_int_equal(hv_signal_event(17), all_statuses[n]);
        fake.statuses_count = 0;
    }
    assert_int_equal(statistics().post_failures, at_start.post_failures + STATUSES - 1);
    assert_int_equal(statistics().signal_failures, at_start.signal_failures + STATUSES - 1);
    assert_int_equal(statistics().signals, at_start.signals + STATUSES);
}

static void a_signal_is_a_fast_call_with_flag_0(void **state)
{
    (void)state;
    assert_int_equal(hv_signal_event(0xABCDEF), HV_STATUS_SUCCESS);
    assert_int_equal(fake.last_control, 0x1005D);
    assert_int_equal(fake.last_input, 0xABCDEF);
    assert_int_equal(fake.last_output, 0);
    assert_int_equal(hv_signal_event(UINT32_MAX), HV_STATUS_SUCCESS);
    assert_int_equal(fake.last_input, UINT32_MAX); /* nothing above: that is the flag number */
}

static void calls_may_be_made_at_dispatch_level(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    assert_int_equal(hv_post_message(1, "x", 1), HV_STATUS_SUCCESS);
    assert_int_equal(hv_signal_event(1), HV_STATUS_SUCCESS);
    irql_lower(previous);
}

static void calls_without_the_interface_fail_and_do_not_enter_the_hypervisor(void **state)
{
    (void)state;
    hv_stop();
    assert_int_equal(hv_post_message(1, "x", 1), HV_STATUS_INVALID_HYPERCALL_CODE);
    assert_int_equal(hv_post_message_with_retry(1, "x", 1, true, clock_after(CLOCK_SECOND)),
                     HV_STATUS_INVALID_HYPERCALL_CODE);
    assert_int_equal(hv_signal_event(1), HV_STATUS_INVALID_HYPERCALL_CODE);
    assert_int_equal(fake.hypercalls, 0);
    hv_start();
}

/* ---- several attempts ---- */

static void a_transient_status_is_tried_again_and_any_other_is_final(void **state)
{
    (void)state;
    for (size_t n = 0; n < STATUSES; n++) {
        hv_status status = all_statuses[n];
        unsigned before = fake.hypercalls;
        answers_will_be(status, status, HV_STATUS_SUCCESS);
        hv_status result =
            hv_post_message_with_retry(1, "x", 1, false, clock_after(5 * CLOCK_SECOND));
        assert_int_equal(result, is_transient(status) ? HV_STATUS_SUCCESS : status);
        assert_int_equal(fake.hypercalls - before, is_transient(status) ? 3 : 1);
        fake.statuses_count = 0;
    }
    assert_int_equal(statistics().post_retries, at_start.post_retries + 3 * 2);
}

/* A host throttles with it once a connection stands, and refuses the first contact with it. */
static void an_invalid_connection_is_transient_only_if_the_connection_exists(void **state)
{
    (void)state;
    answers_will_be(HV_STATUS_INVALID_CONNECTION_ID, HV_STATUS_SUCCESS, HV_STATUS_SUCCESS);
    assert_int_equal(hv_post_message_with_retry(4, "x", 1, false, clock_after(CLOCK_SECOND)),
                     HV_STATUS_INVALID_CONNECTION_ID);
    answers_will_be(HV_STATUS_INVALID_CONNECTION_ID, HV_STATUS_SUCCESS, HV_STATUS_SUCCESS);
    assert_int_equal(hv_post_message_with_retry(4, "x", 1, true, clock_after(CLOCK_SECOND)),
                     HV_STATUS_SUCCESS);
}

static void stay_busy(void)
{
    fake.statuses[0] = HV_STATUS_INSUFFICIENT_BUFFERS;
    fake.statuses_count = 1;
}

static void a_host_that_stays_busy_is_given_up_at_the_deadline(void **state)
{
    (void)state;
    fake.on_hypercall = stay_busy;
    uint64_t begin = clock_now();
    uint64_t deadline = begin + 10 * CLOCK_MILLISECOND;
    assert_int_equal(hv_post_message_with_retry(1, "x", 1, true, deadline),
                     HV_STATUS_INSUFFICIENT_BUFFERS);
    assert_true(clock_now() >= deadline);
    assert_true(clock_now() < deadline + CLOCK_MILLISECOND);
    /* 1, 2, 4 ... 512 us are ten attempts in 1023 us, then one a millisecond. */
    assert_in_range(fake.hypercalls, 18, 22);
}

static void a_deadline_that_is_over_still_gets_one_attempt(void **state)
{
    (void)state;
    fake.on_hypercall = stay_busy;
    assert_int_equal(hv_post_message_with_retry(1, "x", 1, true, 0),
                     HV_STATUS_INSUFFICIENT_BUFFERS);
    assert_int_equal(fake.hypercalls, 1);
    fake.on_hypercall = NULL;
    fake.statuses_count = 0;
    assert_int_equal(hv_post_message_with_retry(1, "x", 1, true, 0), HV_STATUS_SUCCESS);
}

static uint64_t attempt_times[16];
static unsigned attempts;

static void note_time(void)
{
    if (attempts < 16) {
        attempt_times[attempts++] = test_time();
    }
    stay_busy();
}

static void the_back_off_doubles_from_a_microsecond_to_a_millisecond(void **state)
{
    (void)state;
    attempts = 0;
    fake.on_hypercall = note_time;
    (void)hv_post_message_with_retry(1, "x", 1, true, clock_after(100 * CLOCK_MILLISECOND));
    assert_int_equal(attempts, 16);
    uint64_t delay = CLOCK_MICROSECOND;
    for (unsigned n = 1; n < 16; n++) {
        uint64_t gap = attempt_times[n] - attempt_times[n - 1];
        assert_in_range(gap, delay, delay + 200); /* a step of the host takes 10 us */
        delay = delay * 2 < CLOCK_MILLISECOND ? delay * 2 : CLOCK_MILLISECOND;
    }
}

static void retries_wait_and_so_need_passive_level(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    expect_panic((void)hv_post_message_with_retry(1, "x", 1, true, clock_after(CLOCK_SECOND)));
    irql_lower(previous);
    assert_int_equal(fake.hypercalls, 0);
}

/* ---- a host that takes no more until we have read its messages ---- */

static unsigned messages_seen;

static void count_message(void *context, const struct hv_message *message)
{
    (void)context;
    (void)message;
    messages_seen++;
}

static void no_event(void *context, uint32_t flag)
{
    (void)context;
    (void)flag;
}

static const struct hv_synic_client client = {.message = count_message, .event = no_event};

static void busy_until_its_messages_were_read(void)
{
    if (messages_seen < 5) {
        stay_busy();
    }
}

static void incoming_messages_are_served_between_attempts(void **state)
{
    (void)state;
    messages_seen = 0;
    assert_true(hv_synic_attach(&client));
    bool interrupts = arch_interrupts_disable();
    for (unsigned n = 0; n < 5; n++) {
        fake_host_send(HV_SYNIC_SINT_VMBUS, HV_MESSAGE_TYPE_VMBUS, &n, sizeof(n));
    }
    arch_interrupts_restore(interrupts);
    fake.on_hypercall = busy_until_its_messages_were_read;
    assert_int_equal(hv_post_message_with_retry(1, "x", 1, true, clock_after(CLOCK_SECOND)),
                     HV_STATUS_SUCCESS);
    assert_int_equal(messages_seen, 5);
    hv_synic_detach(&client);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_is_posted_from_an_aligned_block_that_stays_in_one_page),
        TEST(a_payload_that_is_too_large_never_reaches_the_host),
        TEST(interrupts_are_as_before_behind_a_post),
        TEST(only_the_status_of_the_result_counts),
        TEST(a_signal_is_a_fast_call_with_flag_0),
        TEST(calls_may_be_made_at_dispatch_level),
        TEST(calls_without_the_interface_fail_and_do_not_enter_the_hypervisor),
        TEST(a_transient_status_is_tried_again_and_any_other_is_final),
        TEST(an_invalid_connection_is_transient_only_if_the_connection_exists),
        TEST(a_host_that_stays_busy_is_given_up_at_the_deadline),
        TEST(a_deadline_that_is_over_still_gets_one_attempt),
        TEST(the_back_off_doubles_from_a_microsecond_to_a_millisecond),
        TEST(retries_wait_and_so_need_passive_level),
        TEST(incoming_messages_are_served_between_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
