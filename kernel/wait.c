/* SPDX-License-Identifier: MIT */
#include "kernel/wait.h"

#include <stddef.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"

void event_initialise(struct event *event)
{
    atomic_init(&event->set, false);
}

void event_set(struct event *event)
{
    atomic_store_explicit(&event->set, true, memory_order_release);
}

void event_clear(struct event *event)
{
    atomic_store_explicit(&event->set, false, memory_order_release);
}

bool event_is_set(struct event *event)
{
    return atomic_load_explicit(&event->set, memory_order_acquire);
}

static bool event_condition(void *context)
{
    struct event *event = context;

    return event_is_set(event);
}

bool event_wait(struct event *event, uint64_t deadline)
{
    return wait_until(event_condition, event, deadline);
}

/* The limit of a wait needs no action of its own: its interrupt ends the halt, and the loop looks
 * at the clock. */
static void limit_reached(void *context)
{
    (void)context;
}

/*
 * Halts until an interrupt, unless there is something to do. The last look happens with interrupts
 * off, and arch_wait_for_interrupt() turns them on and halts in one step: what comes in between
 * ends the halt at once. The look happens at IRQL_DISPATCH, so that a condition that takes a lock
 * does not run deferred work with interrupts off.
 */
static void halt_unless_ready(struct cpu *cpu, bool (*condition)(void *context), void *context,
                              const struct timer *limit)
{
    enum irql previous = irql_raise_to_dispatch();
    (void)arch_interrupts_disable();

    bool limit_is_over = limit != NULL && !limit->armed;
    if (limit_is_over || condition(context) || deferred_work_pending(cpu) ||
        passive_work_pending(cpu)) {
        arch_interrupts_enable();
        irql_lower(previous);
        return;
    }
    irql_set(cpu, previous);
    if (limit != NULL && !clock_event_is_there()) {
        /* Nothing would end a halt at the limit: poll. */
        arch_interrupts_enable();
        arch_relax();
        return;
    }
    cpu->statistics.halts++;
    arch_wait_for_interrupt();
}

static void check_that_waiting_is_allowed(void)
{
    bool interrupts = arch_interrupts_disable();

    arch_interrupts_restore(interrupts);
    if (irql_current() != IRQL_PASSIVE) {
        panic("wait at %s level", irql_name(irql_current()));
    }
    if (!interrupts) {
        panic("wait with interrupts off");
    }
}

bool wait_until(bool (*condition)(void *context), void *context, uint64_t deadline)
{
    struct cpu *cpu = arch_this_cpu();
    struct timer timer;
    struct timer *limit = NULL;
    bool met;

    check_that_waiting_is_allowed();
    for (;;) {
        met = condition(context);
        if (met || (deadline != WAIT_WITHOUT_LIMIT && clock_now() >= deadline)) {
            break;
        }
        if (passive_work_run_one(cpu)) {
            continue;
        }
        if (limit == NULL && deadline != WAIT_WITHOUT_LIMIT) {
            limit = &timer;
            timer_initialise(limit, limit_reached, NULL);
            timer_arm(limit, deadline);
        }
        halt_unless_ready(cpu, condition, context, limit);
    }
    if (limit != NULL) {
        (void)timer_cancel(limit);
    }
    return met;
}
