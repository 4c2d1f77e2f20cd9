/* SPDX-License-Identifier: MIT */
/* Time: sources, continuity, timers and the device below them. */
#include <string.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/start.h"
#include "test_arch.h"

static uint64_t slow_time, fast_time;

static uint64_t read_slow(void)
{
    return slow_time;
}

static uint64_t read_fast(void)
{
    return fast_time;
}

static const struct clock_source slow = {"slow", 10, read_slow};
static const struct clock_source fast = {"fast", 20, read_fast};

static char order[16];

static void expired(void *context)
{
    size_t length = strlen(order);

    assert_int_equal(irql_current(), IRQL_DISPATCH);
    assert_true(length < sizeof(order) - 1);
    order[length] = *(const char *)context;
    order[length + 1] = '\0';
}

static struct timer timer_a, timer_b, timer_c;

static int setup(void **state)
{
    order[0] = '\0';
    timer_initialise(&timer_a, expired, "a");
    timer_initialise(&timer_b, expired, "b");
    timer_initialise(&timer_c, expired, "c");
    return test_arch_setup(state);
}

/* ---- sources; they come before any other clock of the program, so the first one can be seen ----
 */

static void time_stands_at_zero_without_a_source(void **state)
{
    (void)state;
    assert_false(clock_source_is_there());
    assert_string_equal(clock_source_name(), "none");
    assert_int_equal(clock_now(), 0);
    assert_int_equal(clock_after(5), 5);
}

static void time_is_counted_from_the_entry_of_the_guest_whatever_the_source_reads(void **state)
{
    (void)state;
    clock_initialise(arch_counter() - 1234); /* it makes a tick each 100 ns */
    slow_time = 5000;
    clock_source_register(&slow);
    assert_int_equal(clock_now(), 1234);
    slow_time += 70;
    assert_int_equal(clock_now(), 1304);
    assert_string_equal(clock_source_name(), "slow");
}

static void time_goes_on_over_a_change_to_a_better_source_and_back(void **state)
{
    (void)state;
    uint64_t before = clock_now();

    fast_time = UINT64_MAX - 10; /* it may even wrap: only differences count */
    clock_source_register(&fast);
    assert_string_equal(clock_source_name(), "fast");
    assert_int_equal(clock_now(), before);
    fast_time += 100;
    slow_time += 3;
    assert_int_equal(clock_now(), before + 100);

    clock_source_unregister(&fast);
    assert_string_equal(clock_source_name(), "slow");
    assert_int_equal(clock_now(), before + 100);
    slow_time += 7;
    assert_int_equal(clock_now(), before + 107);
}

static void a_worse_source_changes_nothing(void **state)
{
    (void)state;
    static const struct clock_source worse = {"worse", 5, read_fast};

    clock_source_register(&worse);
    assert_string_equal(clock_source_name(), "slow");
    clock_source_unregister(&worse);
    assert_string_equal(clock_source_name(), "slow");
}

static void time_never_runs_backwards(void **state)
{
    (void)state;
    uint64_t before = clock_now();

    slow_time -= 5000; /* behind its own start */
    assert_int_equal(clock_now(), before);
    slow_time += 4999;
    assert_int_equal(clock_now(), before);
    slow_time += 2;
    assert_int_equal(clock_now(), before + 1);
}

static void time_stands_when_the_last_source_goes(void **state)
{
    (void)state;
    uint64_t before = clock_now();

    clock_source_unregister(&slow);
    slow_time += 1000;
    assert_int_equal(clock_now(), before);
    clock_source_register(&slow);
    assert_int_equal(clock_now(), before);
    slow_time += 1;
    assert_int_equal(clock_now(), before + 1);
    clock_source_unregister(&slow);
}

static void a_deadline_saturates(void **state)
{
    (void)state;
    assert_true(clock_now() > 0);
    assert_true(clock_after(UINT64_MAX) == UINT64_MAX);
    assert_true(clock_after(UINT64_MAX - 1) == UINT64_MAX);
}

/* ---- timers ---- */

static void timers_expire_in_the_order_of_their_deadlines(void **state)
{
    (void)state;
    uint64_t now = clock_now();

    timer_arm(&timer_c, now + 3000);
    timer_arm(&timer_a, now + 1000);
    timer_arm(&timer_b, now + 2000);
    test_time_pass(900);
    assert_string_equal(order, "");
    test_time_pass(1000);
    assert_string_equal(order, "a");
    test_time_pass(5000);
    assert_string_equal(order, "abc");
    assert_false(timer_a.armed || timer_b.armed || timer_c.armed);
}

static uint64_t expired_at;

static void note_time(void *context)
{
    (void)context;
    expired_at = clock_now();
}

static void a_timer_is_never_early(void **state)
{
    (void)state;
    struct timer timer;

    timer_initialise(&timer, note_time, NULL);
    for (uint64_t delay = 0; delay < 200; delay += 7) {
        uint64_t deadline = clock_after(delay);
        expired_at = 0;
        timer_arm(&timer, deadline);
        test_time_pass(delay + 100);
        assert_true(expired_at >= deadline);
        assert_true(expired_at < deadline + 100);
    }
}

static void arming_an_armed_timer_moves_it(void **state)
{
    (void)state;
    uint64_t now = clock_now();

    timer_arm(&timer_a, now + 1000);
    timer_arm(&timer_a, now + 3000);
    test_time_pass(2000);
    assert_string_equal(order, "");
    test_time_pass(2000);
    assert_string_equal(order, "a");
    timer_arm(&timer_b, clock_after(9000));
    timer_arm(&timer_b, clock_after(10));
    test_time_pass(1000);
    assert_string_equal(order, "ab");
}

static void a_cancelled_timer_does_not_expire(void **state)
{
    (void)state;
    timer_arm(&timer_a, clock_after(1000));
    timer_arm(&timer_b, clock_after(1000));
    assert_true(timer_cancel(&timer_a));
    assert_false(timer_cancel(&timer_a));
    test_time_pass(5000);
    assert_string_equal(order, "b");
    assert_false(timer_cancel(&timer_b));
}

static void a_deadline_that_is_over_expires_at_once(void **state)
{
    (void)state;
    timer_arm(&timer_a, 0);
    test_time_pass(10);
    assert_string_equal(order, "a");
}

static struct timer periodic;
static unsigned periods;

static void next_period(void *context)
{
    (void)context;
    if (++periods < 5) {
        timer_arm(&periodic, clock_after(100));
    }
}

static void a_timer_may_arm_itself_again_while_it_expires(void **state)
{
    (void)state;
    periods = 0;
    timer_initialise(&periodic, next_period, NULL);
    timer_arm(&periodic, clock_after(100));
    test_time_pass(100000);
    assert_int_equal(periods, 5);
}

static void timers_wait_for_dispatch_level_to_end(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    timer_arm(&timer_a, clock_after(100));
    test_time_pass(1000);
    assert_string_equal(order, "");
    irql_lower(previous);
    assert_string_equal(order, "a");
}

/* ---- the device ---- */

static unsigned arms, disarms;
static uint64_t last_delay;

static void count_arm(uint64_t delay)
{
    arms++;
    last_delay = delay;
}

static void count_disarm(void)
{
    disarms++;
}

static const struct clock_event device = {"device", 50, count_arm, count_disarm};
static const struct clock_event better = {"better", 60, count_arm, count_disarm};

static void fire(void *context)
{
    (void)context;
    timers_interrupt();
}

static void the_device_is_only_programmed_for_something_earlier(void **state)
{
    (void)state;
    arms = disarms = 0;
    clock_event_register(&device);
    assert_string_equal(clock_event_name(), "device");
    timer_arm(&timer_a, clock_after(1000));
    assert_int_equal(arms, 1);
    assert_in_range(last_delay, 900, 1000);
    timer_arm(&timer_b, clock_after(5000));
    assert_int_equal(arms, 1);
    assert_true(timer_cancel(&timer_a));
    timer_arm(&timer_a, clock_after(2000));
    assert_int_equal(arms, 1);
    timer_arm(&timer_c, clock_after(500));
    assert_int_equal(arms, 2);
    assert_in_range(last_delay, 400, 500);

    /* An interrupt before any deadline, such as a device with a short range needs: programmed
     * again. */
    assert_true(test_interrupt(fire, NULL));
    assert_string_equal(order, "");
    assert_int_equal(arms, 3);

    (void)timer_cancel(&timer_a);
    (void)timer_cancel(&timer_b);
    (void)timer_cancel(&timer_c);
    assert_true(test_interrupt(fire, NULL));
    assert_int_equal(arms, 3);
    clock_event_unregister(&device);
    assert_int_equal(disarms, 1);
    assert_string_equal(clock_event_name(), "virtual timer");
}

static void an_interrupt_just_before_the_deadline_expires_nothing(void **state)
{
    (void)state;
    clock_event_register(&device);
    uint64_t deadline = clock_after(1000);
    timer_arm(&timer_a, deadline);
    test_time_pass(deadline - 20 - clock_now());
    assert_true(test_interrupt(fire, NULL));
    assert_string_equal(order, "");
    test_time_pass(20);
    assert_true(test_interrupt(fire, NULL));
    assert_string_equal(order, "a");
    clock_event_unregister(&device);
}

static void timers_move_to_a_better_device(void **state)
{
    (void)state;
    arms = disarms = 0;
    clock_event_register(&device);
    timer_arm(&timer_a, clock_after(1000));
    clock_event_register(&better);
    assert_int_equal(arms, 2);
    assert_int_equal(disarms, 1);
    clock_event_unregister(&better);
    assert_int_equal(arms, 3);
    clock_event_unregister(&device);
    test_time_pass(2000);
    assert_string_equal(order, "a");
}

/* Each is a mistake of ours that has to be seen at the start. */
static void more_sources_than_there_is_room_for_stop_the_guest(void **state)
{
    static const struct clock_source poor[4] = {
        {"a", 0, read_slow}, {"b", 0, read_slow}, {"c", 0, read_slow}, {"d", 0, read_slow}};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        clock_source_register(&poor[i]);
    }
    expect_panic(clock_source_register(&poor[3]));
    assert_non_null(strstr(test_panic_message(), "no room for clock source"));
    for (unsigned i = 0; i < 3; i++) {
        clock_source_unregister(&poor[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_stands_at_zero_without_a_source),
        cmocka_unit_test(time_is_counted_from_the_entry_of_the_guest_whatever_the_source_reads),
        cmocka_unit_test(time_goes_on_over_a_change_to_a_better_source_and_back),
        cmocka_unit_test(a_worse_source_changes_nothing),
        cmocka_unit_test(time_never_runs_backwards),
        cmocka_unit_test(time_stands_when_the_last_source_goes),
        cmocka_unit_test(a_deadline_saturates),
        cmocka_unit_test_setup(timers_expire_in_the_order_of_their_deadlines, setup),
        cmocka_unit_test_setup(a_timer_is_never_early, setup),
        cmocka_unit_test_setup(arming_an_armed_timer_moves_it, setup),
        cmocka_unit_test_setup(a_cancelled_timer_does_not_expire, setup),
        cmocka_unit_test_setup(a_deadline_that_is_over_expires_at_once, setup),
        cmocka_unit_test_setup(a_timer_may_arm_itself_again_while_it_expires, setup),
        cmocka_unit_test_setup(timers_wait_for_dispatch_level_to_end, setup),
        cmocka_unit_test_setup(the_device_is_only_programmed_for_something_earlier, setup),
        cmocka_unit_test_setup(an_interrupt_just_before_the_deadline_expires_nothing, setup),
        cmocka_unit_test_setup(timers_move_to_a_better_device, setup),
        cmocka_unit_test_setup(more_sources_than_there_is_room_for_stop_the_guest, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
