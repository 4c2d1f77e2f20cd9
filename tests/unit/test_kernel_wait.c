/* SPDX-License-Identifier: MIT */
/* Waits: what ends them, what they run meanwhile, when they halt, and where they are forbidden. */
#include <string.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/lock.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "test_arch.h"

static struct event event;

/* What the host still has to do: an interrupt a step, with this handler. */
static unsigned host_interrupts;
static void (*host_handler)(void *context);
static void *host_context;

bool test_host_step(void)
{
    if (host_interrupts == 0) {
        return false;
    }
    host_interrupts--;
    assert_true(test_interrupt(host_handler, host_context));
    return true;
}

static void host_will(unsigned interrupts, void (*handler)(void *context), void *context)
{
    host_interrupts = interrupts;
    host_handler = handler;
    host_context = context;
}

static void set_event(void *context)
{
    event_set(context);
}

static void do_nothing(void *context)
{
    (void)context;
}

static int setup(void **state)
{
    event_initialise(&event);
    host_will(0, NULL, NULL);
    return test_arch_setup(state);
}

static void an_event_that_is_set_ends_the_wait_at_once(void **state)
{
    (void)state;
    event_set(&event);
    assert_true(event_wait(&event, 0));
    assert_true(event_wait(&event, WAIT_WITHOUT_LIMIT));
    assert_int_equal(test_halts(), 0);
    event_clear(&event);
    assert_false(event_wait(&event, 0));
}

static void a_handler_ends_the_wait(void **state)
{
    (void)state;
    host_will(1, set_event, &event);
    assert_true(event_wait(&event, WAIT_WITHOUT_LIMIT));
    assert_int_equal(test_halts(), 1);
}

static void other_interrupts_do_not_end_the_wait(void **state)
{
    (void)state;
    host_will(5, do_nothing, NULL);
    uint64_t deadline = clock_after(CLOCK_SECOND);
    assert_false(event_wait(&event, deadline));
    assert_int_equal(host_interrupts, 0);
    assert_true(clock_now() >= deadline);
}

static void a_wait_ends_at_its_limit_and_not_before(void **state)
{
    (void)state;
    uint64_t deadline = clock_after(30 * CLOCK_SECOND);
    assert_false(event_wait(&event, deadline));
    assert_true(clock_now() >= deadline);
    assert_true(clock_now() < deadline + CLOCK_MILLISECOND);
    assert_int_equal(test_halts(), 1);
}

static void queue_deferred(void *context)
{
    deferred_work_queue(context);
}

static void deferred_work_of_an_interrupt_ends_the_wait(void **state)
{
    (void)state;
    struct work_item item;

    work_item_initialise(&item, set_event, &event);
    host_will(1, queue_deferred, &item);
    assert_true(event_wait(&event, WAIT_WITHOUT_LIMIT));
}

static void queue_passive(void *context)
{
    passive_work_queue(context);
}

static void a_wait_runs_passive_work(void **state)
{
    (void)state;
    struct work_item item;

    work_item_initialise(&item, set_event, &event);
    passive_work_queue(&item);
    assert_true(event_wait(&event, WAIT_WITHOUT_LIMIT));
    assert_int_equal(test_halts(), 0);

    event_clear(&event);
    host_will(1, queue_passive, &item);
    assert_true(event_wait(&event, WAIT_WITHOUT_LIMIT));
}

/* The same with every gap there is: set by the handler, by deferred work, by passive work. */
static uint64_t interrupted_at;
static void (*interrupted_by)(void *context);

static void note_and_handle(void *context)
{
    interrupted_at = test_time();
    interrupted_by(context);
}

static void an_interrupt_at_any_moment_of_a_wait_ends_it(void **state)
{
    (void)state;
    struct work_item item;
    void (*const handlers[])(void *context) = {set_event, queue_deferred, queue_passive};
    void *const contexts[] = {&event, &item, &item};

    work_item_initialise(&item, set_event, &event);
    for (unsigned kind = 0; kind < 3; kind++) {
        for (unsigned moment = 1;; moment++) {
            event_clear(&event);
            interrupted_by = handlers[kind];
            test_interrupt_later(moment, note_and_handle, contexts[kind]);
            bool met = event_wait(&event, clock_after(CLOCK_SECOND));
            if (test_interrupt_still_to_come()) {
                assert_false(met);
                assert_true(moment > 4);
                break;
            }
            assert_true(met || moment > 4); /* the last ones come when the wait is over */
            assert_true(!met || test_time() - interrupted_at < CLOCK_MILLISECOND);
            (void)passive_work_run();
        }
    }
}

static struct event inner_event;
static bool inner_result;

static void wait_inside(void *context)
{
    (void)context;
    inner_result = event_wait(&inner_event, clock_after(CLOCK_SECOND));
    event_set(&event);
}

static void passive_work_may_wait_itself(void **state)
{
    (void)state;
    struct work_item item;

    event_initialise(&inner_event);
    work_item_initialise(&item, wait_inside, NULL);
    passive_work_queue(&item);
    host_will(1, set_event, &inner_event);
    assert_true(event_wait(&event, clock_after(2 * CLOCK_SECOND)));
    assert_true(inner_result);
}

static void queue_again(void *context)
{
    struct work_item *item = context;

    passive_work_queue(item);
}

static void endless_passive_work_does_not_hold_up_the_limit(void **state)
{
    (void)state;
    struct work_item item;

    work_item_initialise(&item, queue_again, &item);
    passive_work_queue(&item);
    uint64_t deadline = clock_after(CLOCK_MILLISECOND);
    assert_false(event_wait(&event, deadline));
    assert_true(passive_work_cancel(&item));
}

/* Work that begets itself, as a device makes a driver do that answers each packet at once: longer
 * than any test of it lasts. */
#define ENDLESS 1000000u

struct endless {
    struct work_item item;
    unsigned runs;
};

static void run_endless(void *context)
{
    struct endless *endless = context;

    if (++endless->runs < ENDLESS) {
        deferred_work_queue(&endless->item);
    }
}

static void begin_endless(void *context)
{
    struct endless *endless = context;

    endless->runs = 0;
    work_item_initialise(&endless->item, run_endless, endless);
    deferred_work_queue(&endless->item);
}

/* It is still at it. */
static void expect_endless(struct endless *endless)
{
    assert_true(deferred_work_cancel(&endless->item));
    assert_true(endless->runs < ENDLESS);
}

static void endless_deferred_work_does_not_hold_up_the_limit(void **state)
{
    (void)state;
    struct endless endless;

    begin_endless(&endless);
    assert_false(event_wait(&event, clock_after(10 * CLOCK_MICROSECOND)));
    expect_endless(&endless);
}

static void endless_deferred_work_leaves_passive_work_its_turn(void **state)
{
    (void)state;
    struct endless endless;
    struct work_item passive;

    begin_endless(&endless);
    work_item_initialise(&passive, set_event, &event);
    passive_work_queue(&passive);
    assert_true(event_wait(&event, WAIT_WITHOUT_LIMIT));
    expect_endless(&endless);
}

static void endless_deferred_work_of_an_interrupt_lets_the_interrupted_go_on(void **state)
{
    (void)state;
    struct endless endless;

    assert_true(test_interrupt(begin_endless, &endless));
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    expect_endless(&endless);
}

static void deferred_work_left_over_runs_before_the_halt(void **state)
{
    (void)state;
    struct endless endless;

    begin_endless(&endless);
    endless.runs = ENDLESS - 1000;
    assert_false(event_wait(&event, clock_after(CLOCK_SECOND)));
    assert_int_equal(endless.runs, ENDLESS);
    assert_int_equal(test_halts(), 1);
}

/* The last look before the halt: an interrupt that comes right behind it must not be slept through.
 */
struct late {
    unsigned looks;
    unsigned looks_with_interrupts_off;
    bool happened;
};

static void happen(void *context)
{
    ((struct late *)context)->happened = true;
}

static bool look(void *context)
{
    struct late *late = context;
    bool interrupts = arch_interrupts_disable();

    arch_interrupts_restore(interrupts);
    late->looks++;
    if (!interrupts && !late->happened) {
        late->looks_with_interrupts_off++;
        host_will(1, happen, late);
    }
    return late->happened;
}

static void an_interrupt_behind_the_last_look_ends_the_halt(void **state)
{
    (void)state;
    struct late late = {0};

    assert_true(wait_until(look, &late, clock_after(CLOCK_SECOND)));
    assert_int_equal(late.looks_with_interrupts_off, 1);
    assert_int_equal(test_halts(), 1);
}

/* A condition that becomes true between the first look and the last one: no halt. */
static bool true_at_second_look(void *context)
{
    return ++*(unsigned *)context >= 2;
}

static void a_condition_met_before_the_halt_prevents_it(void **state)
{
    (void)state;
    unsigned looks = 0;

    assert_true(wait_until(true_at_second_look, &looks, WAIT_WITHOUT_LIMIT));
    assert_int_equal(test_halts(), 0);
}

/* Work that is queued by the last look itself, as a condition that takes a lock would see it. */
static struct work_item late_item;

static bool queue_at_last_look(void *context)
{
    bool interrupts = arch_interrupts_disable();

    arch_interrupts_restore(interrupts);
    if (!interrupts && *(bool *)context) {
        *(bool *)context = false;
        deferred_work_queue(&late_item);
    }
    return event_is_set(&event);
}

static void deferred_work_pending_at_the_last_look_prevents_the_halt(void **state)
{
    (void)state;
    bool first = true;

    work_item_initialise(&late_item, set_event, &event);
    assert_true(wait_until(queue_at_last_look, &first, WAIT_WITHOUT_LIMIT));
    assert_int_equal(test_halts(), 0);
}

static struct spin_lock condition_lock = SPIN_LOCK_INITIALISER;

static bool locked_condition(void *context)
{
    enum irql previous = spin_lock_acquire(&condition_lock);
    bool set = event_is_set(context);

    spin_lock_release(&condition_lock, previous);
    return set;
}

static void a_condition_may_take_a_lock(void **state)
{
    (void)state;
    host_will(2, set_event, &event);
    assert_true(wait_until(locked_condition, &event, WAIT_WITHOUT_LIMIT));
    assert_int_equal(irql_current(), IRQL_PASSIVE);
}

static uint64_t read_test_time(void)
{
    return test_time();
}

static void a_limit_that_is_over_before_the_halt_prevents_it(void **state)
{
    (void)state;
    /* The interrupt of the limit comes as soon as interrupts are on again: a halt behind it would
     * last for ever. */
    test_timer_arm_time = 2 * CLOCK_SECOND;
    assert_false(event_wait(&event, clock_after(CLOCK_SECOND)));
    assert_int_equal(test_halts(), 0);
}

static void without_a_timer_a_wait_polls(void **state)
{
    (void)state;
    static const struct clock_source source = {"only", 50, read_test_time};

    test_clock_remove();
    clock_source_register(&source);
    uint64_t deadline = clock_after(CLOCK_MILLISECOND);
    assert_false(event_wait(&event, deadline));
    assert_true(clock_now() >= deadline);
    assert_int_equal(test_halts(), 0);
    clock_source_unregister(&source);
}

static void waiting_at_dispatch_level_panics(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    expect_panic((void)event_wait(&event, clock_after(1)));
    assert_non_null(strstr(test_panic_message(), "dispatch"));
    irql_lower(previous);
}

static void waiting_with_interrupts_off_panics(void **state)
{
    (void)state;
    (void)arch_interrupts_disable();
    expect_panic((void)event_wait(&event, clock_after(1)));
    arch_interrupts_enable();
}

static void waits_in_a_row_program_the_device_once(void **state)
{
    (void)state;
    /* Each ends long before its limit; the limits only grow, so the first interrupt armed is early
     * enough for all. */
    uint64_t first_limit = clock_after(10 * CLOCK_SECOND);
    for (unsigned i = 0; i < 10; i++) {
        event_clear(&event);
        host_will(1, set_event, &event);
        assert_true(event_wait(&event, clock_after(10 * CLOCK_SECOND)));
    }
    assert_true(clock_now() < first_limit);
    /* The interrupt nobody needs any more comes, and the next wait still ends at its limit. */
    event_clear(&event);
    uint64_t deadline = clock_after(20 * CLOCK_SECOND);
    assert_false(event_wait(&event, deadline));
    assert_true(clock_now() >= deadline && clock_now() < deadline + CLOCK_SECOND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_event_that_is_set_ends_the_wait_at_once, setup),
        cmocka_unit_test_setup(a_handler_ends_the_wait, setup),
        cmocka_unit_test_setup(other_interrupts_do_not_end_the_wait, setup),
        cmocka_unit_test_setup(a_wait_ends_at_its_limit_and_not_before, setup),
        cmocka_unit_test_setup(deferred_work_of_an_interrupt_ends_the_wait, setup),
        cmocka_unit_test_setup(a_wait_runs_passive_work, setup),
        cmocka_unit_test_setup(passive_work_may_wait_itself, setup),
        cmocka_unit_test_setup(endless_passive_work_does_not_hold_up_the_limit, setup),
        cmocka_unit_test_setup(endless_deferred_work_does_not_hold_up_the_limit, setup),
        cmocka_unit_test_setup(endless_deferred_work_leaves_passive_work_its_turn, setup),
        cmocka_unit_test_setup(endless_deferred_work_of_an_interrupt_lets_the_interrupted_go_on,
                               setup),
        cmocka_unit_test_setup(deferred_work_left_over_runs_before_the_halt, setup),
        cmocka_unit_test_setup(an_interrupt_behind_the_last_look_ends_the_halt, setup),
        cmocka_unit_test_setup(an_interrupt_at_any_moment_of_a_wait_ends_it, setup),
        cmocka_unit_test_setup(a_condition_met_before_the_halt_prevents_it, setup),
        cmocka_unit_test_setup(deferred_work_pending_at_the_last_look_prevents_the_halt, setup),
        cmocka_unit_test_setup(a_condition_may_take_a_lock, setup),
        cmocka_unit_test_setup(a_limit_that_is_over_before_the_halt_prevents_it, setup),
        cmocka_unit_test_setup(waiting_at_dispatch_level_panics, setup),
        cmocka_unit_test_setup(waiting_with_interrupts_off_panics, setup),
        cmocka_unit_test_setup(waits_in_a_row_program_the_device_once, setup),
        cmocka_unit_test_setup(without_a_timer_a_wait_polls, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
