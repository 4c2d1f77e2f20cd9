/* SPDX-License-Identifier: MIT */
/* Levels and work: what runs when, in which order, at which level. */
#include <string.h>

#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/irql.h"
#include "kernel/lock.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "test_arch.h"

/* What ran, a letter each. */
static char trace[64];

static void note(char letter)
{
    size_t length = strlen(trace);

    assert_true(length < sizeof(trace) - 1);
    trace[length] = letter;
    trace[length + 1] = '\0';
}

static struct work_item item_a, item_b, item_c, item_d;
static enum irql seen_level;
static bool seen_interrupts;

static bool interrupts_are_on(void)
{
    bool on = arch_interrupts_disable();

    arch_interrupts_restore(on);
    return on;
}

static void run_letter(void *context)
{
    note(*(const char *)context);
    seen_level = irql_current();
    seen_interrupts = interrupts_are_on();
}

static int setup(void **state)
{
    trace[0] = '\0';
    work_item_initialise(&item_a, run_letter, "a");
    work_item_initialise(&item_b, run_letter, "b");
    work_item_initialise(&item_c, run_letter, "c");
    work_item_initialise(&item_d, run_letter, "d");
    return test_arch_setup(state);
}

static void raising_and_lowering_nests(void **state)
{
    (void)state;
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    enum irql outer = irql_raise_to_dispatch();
    assert_int_equal(outer, IRQL_PASSIVE);
    enum irql inner = irql_raise_to_dispatch();
    assert_int_equal(inner, IRQL_DISPATCH);
    irql_lower(inner);
    assert_int_equal(irql_current(), IRQL_DISPATCH);
    irql_lower(outer);
    assert_int_equal(irql_current(), IRQL_PASSIVE);
}

static void lowering_what_was_not_raised_panics(void **state)
{
    (void)state;
    expect_panic(irql_lower(IRQL_PASSIVE));
}

static void deferred_work_runs_at_once_from_passive_level(void **state)
{
    (void)state;
    deferred_work_queue(&item_a);
    assert_string_equal(trace, "a");
    assert_int_equal(seen_level, IRQL_DISPATCH);
    assert_true(seen_interrupts);
    assert_int_equal(irql_current(), IRQL_PASSIVE);
}

static void deferred_work_waits_for_the_level_to_fall(void **state)
{
    (void)state;
    enum irql outer = irql_raise_to_dispatch();
    enum irql inner = irql_raise_to_dispatch();
    deferred_work_queue(&item_b);
    deferred_work_queue(&item_a);
    irql_lower(inner);
    assert_string_equal(trace, "");
    irql_lower(outer);
    assert_string_equal(trace, "ba");
}

static void work_queued_twice_runs_once(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    deferred_work_queue(&item_a);
    deferred_work_queue(&item_a);
    irql_lower(previous);
    assert_string_equal(trace, "a");
    deferred_work_queue(&item_a);
    assert_string_equal(trace, "aa");
}

static void release_runs_what_was_queued_under_the_lock(void **state)
{
    (void)state;
    struct spin_lock lock;

    spin_lock_initialise(&lock);
    enum irql previous = spin_lock_acquire(&lock);
    assert_int_equal(irql_current(), IRQL_DISPATCH);
    deferred_work_queue(&item_a);
    assert_string_equal(trace, "");
    spin_lock_release(&lock, previous);
    assert_string_equal(trace, "a");
}

static unsigned repetitions;

static void run_again(void *context)
{
    note('r');
    if (++repetitions < 3) {
        deferred_work_queue(context);
    }
}

static void an_item_may_queue_itself_while_it_runs(void **state)
{
    (void)state;
    struct work_item item;

    repetitions = 0;
    work_item_initialise(&item, run_again, &item);
    deferred_work_queue(&item);
    assert_string_equal(trace, "rrr");
}

static void queue_a_and_b(void *context)
{
    (void)context;
    assert_int_equal(irql_current(), IRQL_DEVICE);
    assert_false(interrupts_are_on());
    deferred_work_queue(&item_a);
    deferred_work_queue(&item_b);
    assert_string_equal(trace, "");
}

static void work_of_an_interrupt_runs_behind_the_handler_with_interrupts_on(void **state)
{
    (void)state;
    assert_true(test_interrupt(queue_a_and_b, NULL));
    assert_string_equal(trace, "ab");
    assert_int_equal(seen_level, IRQL_DISPATCH);
    assert_true(seen_interrupts);
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    assert_true(interrupts_are_on());
}

static void work_of_an_interrupt_at_dispatch_level_waits_for_who_was_interrupted(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    assert_true(test_interrupt(queue_a_and_b, NULL));
    assert_string_equal(trace, "");
    assert_int_equal(irql_current(), IRQL_DISPATCH);
    irql_lower(previous);
    assert_string_equal(trace, "ab");
}

static void queue_a_and_b_only(void *context)
{
    (void)context;
    deferred_work_queue(&item_a);
    deferred_work_queue(&item_b);
}

static void queue_context(void *context)
{
    deferred_work_queue(context);
}

/* Starts, is interrupted by an interrupt that queues d, ends. */
static void run_interrupted(void *context)
{
    (void)context;
    note('<');
    assert_true(test_interrupt(queue_context, &item_d));
    note('>');
}

static void deferred_work_does_not_nest(void **state)
{
    (void)state;
    struct work_item item;

    work_item_initialise(&item, run_interrupted, NULL);
    assert_true(test_interrupt(queue_context, &item));
    assert_string_equal(trace, "<>d");

    trace[0] = '\0';
    deferred_work_queue(&item);
    assert_string_equal(trace, "<>d");
}

static void a_cancelled_item_does_not_run(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    deferred_work_queue(&item_a);
    deferred_work_queue(&item_b);
    deferred_work_queue(&item_c);
    assert_true(deferred_work_cancel(&item_b));
    assert_false(deferred_work_cancel(&item_b));
    assert_true(deferred_work_cancel(&item_c)); /* the last one */
    deferred_work_queue(&item_d);
    irql_lower(previous);
    assert_string_equal(trace, "ad");
    assert_false(deferred_work_cancel(&item_a));

    /* It can be queued again. */
    deferred_work_queue(&item_b);
    assert_string_equal(trace, "adb");
}

static void queue_passive(void *context)
{
    passive_work_queue(context);
}

static void passive_work_runs_when_it_is_asked_for(void **state)
{
    (void)state;
    passive_work_queue(&item_a);
    assert_true(test_interrupt(queue_passive, &item_b));
    assert_string_equal(trace, "");
    assert_true(passive_work_run());
    assert_string_equal(trace, "ab");
    assert_int_equal(seen_level, IRQL_PASSIVE);
    assert_false(passive_work_run());

    passive_work_queue(&item_c);
    assert_true(passive_work_cancel(&item_c));
    assert_false(passive_work_run());
}

static void passive_work_at_dispatch_level_panics(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    expect_panic((void)passive_work_run());
    irql_lower(previous);
}

static void raise_and_lower(void *context)
{
    (void)context;
    expect_panic((void)irql_raise_to_dispatch());
}

static void handlers_must_not_take_locks(void **state)
{
    (void)state;
    assert_true(test_interrupt(raise_and_lower, NULL));
}

static void work_queued_with_interrupts_off_runs_when_the_level_falls(void **state)
{
    (void)state;
    bool interrupts = arch_interrupts_disable();
    deferred_work_queue(&item_a);
    assert_string_equal(trace, "");
    arch_interrupts_restore(interrupts);
    irql_lower(irql_raise_to_dispatch());
    assert_string_equal(trace, "a");
}

static void work_of_an_interrupt_at_any_moment_of_a_lowering_runs(void **state)
{
    (void)state;
    for (unsigned moment = 1;; moment++) {
        trace[0] = '\0';
        enum irql previous = irql_raise_to_dispatch();
        deferred_work_queue(&item_a);
        test_interrupt_later(moment, queue_context, &item_b);
        irql_lower(previous);
        if (test_interrupt_still_to_come()) {
            assert_true(moment > 2);
            return;
        }
        assert_string_equal(trace, "ab");
        assert_int_equal(irql_current(), IRQL_PASSIVE);
    }
}

static void work_of_an_interrupt_at_any_moment_of_an_interrupt_exit_runs(void **state)
{
    (void)state;
    for (unsigned moment = 1;; moment++) {
        trace[0] = '\0';
        test_interrupt_later(moment, queue_context, &item_d);
        assert_true(test_interrupt(queue_a_and_b_only, NULL));
        if (test_interrupt_still_to_come()) {
            assert_true(moment > 3);
            return;
        }
        assert_string_equal(trace, "abd");
        assert_int_equal(irql_current(), IRQL_PASSIVE);
    }
}

static void what_runs_is_counted(void **state)
{
    (void)state;
    const struct cpu_statistics *counters = &arch_this_cpu()->statistics;

    assert_true(test_interrupt(queue_a_and_b, NULL));
    passive_work_queue(&item_c);
    (void)passive_work_run();
    assert_int_equal(counters->interrupts, 1);
    assert_int_equal(counters->deferred_items, 2);
    assert_int_equal(counters->passive_items, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(raising_and_lowering_nests, setup),
        cmocka_unit_test_setup(lowering_what_was_not_raised_panics, setup),
        cmocka_unit_test_setup(deferred_work_runs_at_once_from_passive_level, setup),
        cmocka_unit_test_setup(deferred_work_waits_for_the_level_to_fall, setup),
        cmocka_unit_test_setup(work_queued_twice_runs_once, setup),
        cmocka_unit_test_setup(release_runs_what_was_queued_under_the_lock, setup),
        cmocka_unit_test_setup(an_item_may_queue_itself_while_it_runs, setup),
        cmocka_unit_test_setup(work_of_an_interrupt_runs_behind_the_handler_with_interrupts_on,
                               setup),
        cmocka_unit_test_setup(work_of_an_interrupt_at_dispatch_level_waits_for_who_was_interrupted,
                               setup),
        cmocka_unit_test_setup(deferred_work_does_not_nest, setup),
        cmocka_unit_test_setup(a_cancelled_item_does_not_run, setup),
        cmocka_unit_test_setup(passive_work_runs_when_it_is_asked_for, setup),
        cmocka_unit_test_setup(passive_work_at_dispatch_level_panics, setup),
        cmocka_unit_test_setup(handlers_must_not_take_locks, setup),
        cmocka_unit_test_setup(work_queued_with_interrupts_off_runs_when_the_level_falls, setup),
        cmocka_unit_test_setup(work_of_an_interrupt_at_any_moment_of_a_lowering_runs, setup),
        cmocka_unit_test_setup(work_of_an_interrupt_at_any_moment_of_an_interrupt_exit_runs, setup),
        cmocka_unit_test_setup(what_runs_is_counted, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
