/* SPDX-License-Identifier: MIT */
/* A channel that fails: the ways not to connect, rescind at every step. */

#include <string.h>

#include "tests/unit/kmcl/kmcl_test.h"

#define FULL_LIFE "opened started post-started suspend closed "

/* ---- failures to connect (K13) ---- */

static void an_open_that_the_host_refuses_is_reported(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.open_status = 0xC0000022;
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_int_equal((UINT32)driver.failure, 0xC0000022);
    assert_string_equal(KmclChannelStateName(driver.channel), "disabled");
    host.open_status = 0;
    driver_start(&driver);
    assert_trace(&driver, "failure opened started post-started ");
    driver_end(&driver);
}

static void an_odd_open_status_still_is_a_failure(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.open_status = 1;
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_int_equal(driver.failure, STATUS_UNSUCCESSFUL);
    driver_end(&driver);
}

/* M4 */
static void a_ring_gpadl_that_the_host_refuses_costs_that_channel_alone(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.gpadl_status = 0x80000001;
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_int_equal(driver.failure, STATUS_INSUFFICIENT_RESOURCES);
    driver_end(&driver);
}

/* M16 */
static void an_open_that_is_never_answered_ends_after_the_limit(void **state)
{
    struct driver driver = {0};
    uint64_t before;

    (void)state;
    host.open = HOST_IS_SILENT;
    before = test_time();
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_int_equal(driver.failure, STATUS_IO_TIMEOUT);
    assert_in_range(test_time() - before, VMBUS_ANSWER_LIMIT, 3 * VMBUS_ANSWER_LIMIT);
    driver_end(&driver);
}

static void a_rescind_while_opening_is_reported(void **state)
{
    static const UINT32 at[] = {HOST_GPADL_HEADER, HOST_OPEN};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct driver driver = {0};
        host.rescind_type = at[i];
        host.rescind_count = 1;
        host.rescind_at_once = true;
        driver_start(&driver);
        assert_trace(&driver, "failure ");
        assert_int_equal(driver.failure, STATUS_DEVICE_REMOVED);
        driver_end(&driver);
        settle();
        assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
        (void)vmbus_disconnect();
        host_reset();
    }
}

static void no_memory_at_any_point_of_opening_is_reported(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (unsigned nth = 1; nth < 12; nth++) {
        struct driver driver = {0};
        driver_make(&driver);
        struct host_offer offer = host_plain_offer(RELID);
        if (host_channel(RELID) == NULL) {
            host_add(&offer);
            vmbus_test_connect();
        }
        assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
        test_memory_fail(nth);
        settle();
        test_memory_fail(0);
        if (strcmp(driver.trace, "failure ") == 0) {
            assert_int_equal(driver.failure, STATUS_INSUFFICIENT_RESOURCES);
            failures++;
        } else {
            assert_trace(&driver, "opened started post-started ");
        }
        driver_end(&driver);
    }
    assert_true(failures >= 3);
}

static void a_failing_opened_callback_takes_the_channel_back(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.opened_status = STATUS_UNSUCCESSFUL;
    driver_start(&driver);
    assert_trace(&driver, "opened ");
    assert_false(host_is_open(RELID));
    assert_string_equal(KmclChannelStateName(driver.channel), "disabled");
    driver.opened_status = STATUS_SUCCESS;
    driver_start(&driver);
    assert_trace(&driver, "opened opened started post-started ");
    driver_end(&driver);
}

/* ---- rescind at every step (M15) ---- */

static char rescind_letter;

static void rescind_in_callback(struct driver *driver, char letter)
{
    (void)driver;
    if (letter == rescind_letter) {
        host_rescind(RELID);
        while (test_host_step()) {
        }
    }
}

static void check_rescind_in(char letter, const char *trace)
{
    struct driver driver = {0};

    driver_make(&driver);
    rescind_letter = letter;
    driver.on_state = rescind_in_callback;
    driver_start(&driver);
    if (letter == 'U' || letter == 'C') {
        VmbChannelDisable(driver.channel);
    }
    settle();
    assert_trace(&driver, trace);
    assert_string_equal(KmclChannelStateName(driver.channel), "disabled");
    driver_end(&driver);
    settle();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    assert_trace(&driver, trace);
}

static void a_rescind_during_opened_closes_without_starting(void **state)
{
    (void)state;
    check_rescind_in('O', "opened closed ");
}

static void a_rescind_during_started_suspends_and_closes(void **state)
{
    (void)state;
    check_rescind_in('S', "opened started suspend closed ");
}

static void a_rescind_during_post_started_suspends_and_closes(void **state)
{
    (void)state;
    check_rescind_in('P', FULL_LIFE);
}

static void a_rescind_during_suspend_changes_nothing(void **state)
{
    (void)state;
    check_rescind_in('U', FULL_LIFE);
}

static void a_rescind_during_closed_changes_nothing(void **state)
{
    (void)state;
    check_rescind_in('C', FULL_LIFE);
}

static void a_rescind_while_active_disables_the_channel_for_good(void **state)
{
    struct driver driver = {0};
    struct host_offer again = host_plain_offer(RELID + 1);

    (void)state;
    driver_start(&driver);
    host_rescind(RELID);
    settle();
    assert_trace(&driver, FULL_LIFE);
    assert_int_equal(host_count(HOST_CLOSE), 0);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    host_add(&again);
    settle();
    assert_trace(&driver, FULL_LIFE);
    driver.trace[0] = 0;
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    settle();
    assert_trace(&driver, "opened started post-started ");
    driver_end(&driver);
}

static void a_rescind_while_paused_closes(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    VmbChannelPause(driver.channel);
    driver.trace[0] = 0;
    host_rescind(RELID);
    settle();
    assert_trace(&driver, "closed ");
    driver_end(&driver);
}

static void a_rescind_before_the_worker_sees_the_offer_is_reported(void **state)
{
    struct driver driver = {0};
    struct host_offer offer = host_plain_offer(RELID);

    (void)state;
    driver_make(&driver);
    host_add(&offer);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    host_rescind(RELID);
    while (test_host_step()) {
    }
    settle();
    assert_trace(&driver, "failure ");
    assert_int_equal(driver.failure, STATUS_DEVICE_REMOVED);
    driver_end(&driver);
}

static void losing_the_connection_closes_the_channel(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    (void)vmbus_disconnect();
    settle();
    assert_trace(&driver, FULL_LIFE);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(an_open_that_the_host_refuses_is_reported),
        kmcl_test(an_odd_open_status_still_is_a_failure),
        kmcl_test(a_ring_gpadl_that_the_host_refuses_costs_that_channel_alone),
        kmcl_test(an_open_that_is_never_answered_ends_after_the_limit),
        kmcl_test(a_rescind_while_opening_is_reported),
        kmcl_test(no_memory_at_any_point_of_opening_is_reported),
        kmcl_test(a_failing_opened_callback_takes_the_channel_back),
        kmcl_test(a_rescind_during_opened_closes_without_starting),
        kmcl_test(a_rescind_during_started_suspends_and_closes),
        kmcl_test(a_rescind_during_post_started_suspends_and_closes),
        kmcl_test(a_rescind_during_suspend_changes_nothing),
        kmcl_test(a_rescind_during_closed_changes_nothing),
        kmcl_test(a_rescind_while_active_disables_the_channel_for_good),
        kmcl_test(a_rescind_while_paused_closes),
        kmcl_test(a_rescind_before_the_worker_sees_the_offer_is_reported),
        kmcl_test(losing_the_connection_closes_the_channel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
