/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "arch/cpu.h"
#include "fake_hypervisor.h"
#include "hv/hypervisor.h"
#include "hv/parts.h"
#include "hv/synic.h"
#include "kernel/clock.h"
#include "kernel/wait.h"
#include "test_arch.h"
#include "test_memory.h"

#define CONFIG HV_REGISTER_STIMER0_CONFIG
#define COUNT  (HV_REGISTER_STIMER0_CONFIG + 1)

static int setup(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    fake_hypervisor_reset();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    hv_stop();
    assert_int_equal(test_pages_held(), 0);
    return 0;
}

static void start_with_messages(void)
{
    fake.words.features &= ~HV_FEATURE_DIRECT_STIMER;
    hv_start();
    assert_string_equal(clock_event_name(), "Hyper-V synthetic timer, by message");
}

static void start_direct(void)
{
    hv_start();
    assert_string_equal(clock_event_name(), "Hyper-V synthetic timer, direct");
}

static uint64_t wait_for(uint64_t delay)
{
    struct event never;
    event_initialise(&never);
    uint64_t begin = clock_now();
    assert_false(event_wait(&never, begin + delay));
    return clock_now() - begin;
}

static void waits_end_on_time(void)
{
    static const uint64_t delays[] = {1,
                                      CLOCK_MICROSECOND,
                                      CLOCK_MILLISECOND,
                                      CLOCK_SECOND,
                                      100 * CLOCK_SECOND,
                                      UINT64_C(24) * 3600 * CLOCK_SECOND};
    for (size_t n = 0; n < sizeof(delays) / sizeof(delays[0]); n++) {
        uint64_t took = wait_for(delays[n]);
        assert_in_range(took, delays[n], delays[n] + CLOCK_MILLISECOND);
    }
}

static void direct_timers_end_waits_on_time(void **state)
{
    (void)state;
    start_direct();
    waits_end_on_time();
    uint64_t config = fake.registers[CONFIG];
    assert_true((config & HV_STIMER_DIRECT) != 0);
    assert_true((config & 2) == 0); /* one shot */
    assert_int_equal(config >> 13, 0);
    assert_int_equal(fake_slot(HV_SYNIC_SINT_TIMER)->type, 0);
    assert_true((fake.registers[HV_REGISTER_SINT0 + 5] & HV_SINT_MASKED) != 0);
}

static void timers_by_message_end_waits_on_time_and_free_their_slot(void **state)
{
    (void)state;
    start_with_messages();
    waits_end_on_time();
    uint64_t config = fake.registers[CONFIG];
    assert_true((config & HV_STIMER_DIRECT) == 0);
    assert_int_equal(config >> HV_STIMER_SINT_SHIFT, HV_SYNIC_SINT_TIMER);
    assert_int_equal(fake_slot(HV_SYNIC_SINT_TIMER)->type, 0);
    assert_int_equal(fake.queue_count, 0);
    assert_true((fake.registers[HV_REGISTER_SINT0 + 5] & HV_SINT_MASKED) == 0);
}

/* The fake fails a test that changes the configuration of a timer that runs. */
static void the_configuration_is_written_before_the_timer_runs_and_never_again(void **state)
{
    (void)state;
    start_direct();
    unsigned writes = fake_writes(CONFIG);
    for (unsigned n = 0; n < 20; n++) {
        (void)wait_for(n * CLOCK_MICROSECOND);
    }
    assert_int_equal(fake_writes(CONFIG), writes);
}

static void a_count_is_an_absolute_reference_time(void **state)
{
    (void)state;
    start_direct();
    (void)wait_for(CLOCK_SECOND);
    int at = fake_write_at(COUNT, 0);
    uint64_t last = 0;
    while (at >= 0) {
        last = fake.log[at].value;
        at = fake_write_at(COUNT, (unsigned)at + 1);
    }
    assert_in_range(last, test_time() - 2 * CLOCK_SECOND, test_time() + 2 * CLOCK_SECOND);
}

static void nothing(void *context)
{
    (void)context;
}

static void a_delay_without_end_stays_within_an_hour(void **state)
{
    (void)state;
    start_direct();
    struct timer timer;
    timer_initialise(&timer, nothing, NULL);
    timer_arm(&timer, UINT64_MAX / 2);
    assert_in_range(fake.registers[COUNT], test_time(),
                    test_time() + UINT64_C(3600) * CLOCK_SECOND);
    /* It ends early and is armed again, and the timer does not expire. */
    fake_time_pass(UINT64_C(3) * 3600 * CLOCK_SECOND);
    assert_true(timer.armed);
    assert_true(fake.registers[COUNT] > test_time());
    assert_true(timer_cancel(&timer));
}

static void other_messages_at_the_timers_sint_are_dropped(void **state)
{
    (void)state;
    start_with_messages();
    struct hv_statistics before, after;
    hv_statistics(&before);
    fake_host_send(HV_SYNIC_SINT_TIMER, 1, "vmbus", 5);
    fake_host_send(HV_SYNIC_SINT_TIMER, 77, "what", 4);
    (void)fake_interrupts_deliver();
    hv_statistics(&after);
    assert_int_equal(after.messages_dropped, before.messages_dropped + 2);
    assert_int_equal(fake_slot(HV_SYNIC_SINT_TIMER)->type, 0);
    waits_end_on_time();
}

static void only_an_expiry_is_taken_for_one(void **state)
{
    (void)state;
    start_with_messages();
    struct timer timer;
    timer_initialise(&timer, nothing, NULL);
    timer_arm(&timer, clock_after(CLOCK_SECOND));
    unsigned writes = fake_writes(COUNT);
    fake_host_send(HV_SYNIC_SINT_TIMER, 77, "what", 4);
    (void)fake_interrupts_deliver();
    assert_int_equal(fake_writes(COUNT), writes); /* the kernel had no reason to arm it again */
    assert_true(timer_cancel(&timer));
}

static void other_arm(uint64_t delay)
{
    (void)delay;
}

static void other_disarm(void)
{
}

static void a_better_timer_disarms_this_one(void **state)
{
    (void)state;
    static const struct clock_event other = {"other", 1000, other_arm, other_disarm};
    start_direct();
    struct timer timer;
    timer_initialise(&timer, nothing, NULL);
    timer_arm(&timer, clock_after(CLOCK_SECOND));
    clock_event_register(&other);
    assert_int_equal(fake.registers[COUNT], 0);
    assert_int_equal(fake.registers[CONFIG] & 1, 0);
    clock_event_unregister(&other);
    assert_true(timer_cancel(&timer));
}

static void stopping_masks_the_timers_sint_and_frees_its_slot(void **state)
{
    (void)state;
    start_with_messages();
    fake_slot(HV_SYNIC_SINT_TIMER)->type = 77;
    fake_slot(HV_SYNIC_SINT_TIMER)->flags = HV_MESSAGE_FLAG_PENDING;
    hv_stimer_stop(hv_this_processor());
    assert_true((fake.registers[HV_REGISTER_SINT0 + 5] & HV_SINT_MASKED) != 0);
    assert_int_equal(fake_slot(HV_SYNIC_SINT_TIMER)->type, 0);
    assert_int_equal(fake.end_of_messages, 1);
    assert_true(arch_interrupts_disable());
    arch_interrupts_restore(true);
    assert_null(fake.vectors[1].handler);
}

static void a_timer_message_at_the_bus_does_not_block_it(void **state)
{
    (void)state;
    start_with_messages();
    fake_host_send(HV_SYNIC_SINT_VMBUS, HV_MESSAGE_TYPE_TIMER_EXPIRED, "timer", 5);
    (void)fake_interrupts_deliver();
    assert_int_equal(fake_slot(HV_SYNIC_SINT_VMBUS)->type, 0);
}

static void without_the_privilege_the_registers_are_left_alone(void **state)
{
    (void)state;
    fake.words.privileges &= ~HV_PRIVILEGE_STIMER;
    hv_start(); /* the fake fails on an access */
    assert_string_equal(clock_event_name(), "virtual timer");
}

static void without_reference_time_there_is_no_timer(void **state)
{
    (void)state;
    fake.words.privileges &= ~HV_PRIVILEGE_TIME_REF_COUNT;
    hv_start();
    assert_string_equal(clock_event_name(), "virtual timer");
    (void)wait_for(CLOCK_MILLISECOND);
}

static void without_a_sint_that_takes_it_there_is_no_timer_by_message(void **state)
{
    (void)state;
    fake.words.features &= ~HV_FEATURE_DIRECT_STIMER;
    fake.refuses[HV_REGISTER_SINT0 + HV_SYNIC_SINT_TIMER] = true;
    hv_start();
    assert_string_equal(clock_event_name(), "virtual timer");
    assert_int_equal(hv_presence(), HV_PRESENT);
    assert_non_null(strstr(test_console(), "synthetic timer"));
    unsigned attached = 0;
    for (unsigned n = 0; n < FAKE_VECTORS; n++) {
        attached += fake.vectors[n].handler != NULL;
    }
    assert_int_equal(attached, 1); /* the bus's */
}

static void without_a_vector_there_is_no_timer(void **state)
{
    (void)state;
    for (unsigned direct = 0; direct < 2; direct++) {
        fake_hypervisor_reset();
        fake.vectors_available = 1;
        fake.words.features &= direct == 1 ? UINT64_MAX : ~HV_FEATURE_DIRECT_STIMER;
        hv_start();
        assert_string_equal(clock_event_name(), "virtual timer");
        assert_int_equal(hv_presence(), HV_PRESENT);
        hv_stop();
    }
}

static void an_endless_host_does_not_keep_the_timers_handler_busy(void **state)
{
    (void)state;
    start_with_messages();
    fake.endless = true;
    fake_host_send(HV_SYNIC_SINT_TIMER, 77, "what", 4);
    assert_true(fake_interrupt_deliver_one());
    assert_in_range(fake.end_of_messages, 2, 1000);
    fake.endless = false;
    fake.queue_count = 0;
    (void)fake_interrupts_deliver();
    assert_int_equal(fake_slot(HV_SYNIC_SINT_TIMER)->type, 0);
}

static void stopping_disarms_the_timer_before_it_is_reconfigured(void **state)
{
    (void)state;
    start_direct();
    struct timer timer;
    timer_initialise(&timer, nothing, NULL);
    timer_arm(&timer, clock_after(CLOCK_SECOND));
    assert_true((fake.registers[CONFIG] & 1) != 0);
    hv_stop();
    assert_int_equal(fake.registers[CONFIG], 0);
    assert_int_equal(fake.registers[COUNT], 0);
    assert_string_equal(clock_event_name(), "virtual timer");
    assert_true(timer_cancel(&timer));
    hv_start();
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(direct_timers_end_waits_on_time),
        TEST(timers_by_message_end_waits_on_time_and_free_their_slot),
        TEST(the_configuration_is_written_before_the_timer_runs_and_never_again),
        TEST(a_count_is_an_absolute_reference_time),
        TEST(a_delay_without_end_stays_within_an_hour),
        TEST(other_messages_at_the_timers_sint_are_dropped),
        TEST(only_an_expiry_is_taken_for_one),
        TEST(a_better_timer_disarms_this_one),
        TEST(stopping_masks_the_timers_sint_and_frees_its_slot),
        TEST(a_timer_message_at_the_bus_does_not_block_it),
        TEST(without_the_privilege_the_registers_are_left_alone),
        TEST(without_reference_time_there_is_no_timer),
        TEST(without_a_sint_that_takes_it_there_is_no_timer_by_message),
        TEST(without_a_vector_there_is_no_timer),
        TEST(an_endless_host_does_not_keep_the_timers_handler_busy),
        TEST(stopping_disarms_the_timer_before_it_is_reconfigured),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
