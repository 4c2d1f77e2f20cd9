/* SPDX-License-Identifier: MIT */
#include "kernel/work.h"

#include <stddef.h>

#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"

void work_item_initialise(struct work_item *item, void (*run)(void *context), void *context)
{
    item->next = NULL;
    item->run = run;
    item->context = context;
    atomic_init(&item->queued, false);
}

/* Interrupts are off for all three. */
static void queue_append(struct work_queue *queue, struct work_item *item)
{
    item->next = NULL;
    if (queue->last != NULL) {
        queue->last->next = item;
    } else {
        queue->first = item;
    }
    queue->last = item;
}

static struct work_item *queue_take(struct work_queue *queue)
{
    struct work_item *item = queue->first;

    if (item != NULL) {
        queue->first = item->next;
        if (queue->first == NULL) {
            queue->last = NULL;
        }
    }
    return item;
}

static bool queue_remove(struct work_queue *queue, const struct work_item *item)
{
    struct work_item *before = NULL;

    for (struct work_item *at = queue->first; at != NULL; before = at, at = at->next) {
        if (at != item) {
            continue;
        }
        if (before != NULL) {
            before->next = at->next;
        } else {
            queue->first = at->next;
        }
        if (queue->last == at) {
            queue->last = before;
        }
        return true;
    }
    return false;
}

static bool run_one(struct work_queue *queue)
{
    if (!work_queue_has_items(queue)) {
        return false; /* most looks end here */
    }
    bool interrupts = arch_interrupts_disable();
    struct work_item *item = queue_take(queue);

    if (item == NULL) {
        arch_interrupts_restore(interrupts);
        return false;
    }
    void (*run)(void *context) = item->run;
    void *context = item->context;
    /* From here on the item may be queued again, by itself too, or be gone: its memory is not
     * touched any more. */
    atomic_store_explicit(&item->queued, false, memory_order_release);
    arch_interrupts_restore(interrupts);
    run(context);
    return true;
}

static bool cancel(struct work_queue *queue, struct work_item *item)
{
    bool interrupts = arch_interrupts_disable();
    bool removed = queue_remove(queue, item);

    if (removed) {
        atomic_store_explicit(&item->queued, false, memory_order_release);
    }
    arch_interrupts_restore(interrupts);
    return removed;
}

/* Returns whether interrupts are on. */
static bool queue_item(struct work_queue *queue, struct work_item *item)
{
    bool interrupts = arch_interrupts_disable();

    if (!atomic_exchange_explicit(&item->queued, true, memory_order_acq_rel)) {
        queue_append(queue, item);
    }
    arch_interrupts_restore(interrupts);
    return interrupts;
}

void deferred_work_queue(struct work_item *item)
{
    struct cpu *cpu = arch_this_cpu();
    bool interrupts = queue_item(&cpu->deferred, item);

    /* With interrupts off at passive level it has to wait: for an interrupt, a lowering of the
     * level, or a wait. */
    if (interrupts && cpu_level(cpu) < IRQL_DISPATCH) {
        irql_lower(irql_raise_to_dispatch());
    }
}

void passive_work_queue(struct work_item *item)
{
    (void)queue_item(&arch_this_cpu()->passive, item);
}

bool deferred_work_cancel(struct work_item *item)
{
    return cancel(&arch_this_cpu()->deferred, item);
}

bool passive_work_cancel(struct work_item *item)
{
    return cancel(&arch_this_cpu()->passive, item);
}

bool deferred_work_run_one(struct cpu *cpu)
{
    bool ran = run_one(&cpu->deferred);

    cpu->statistics.deferred_items += ran;
    return ran;
}

bool passive_work_run_one(struct cpu *cpu)
{
    bool ran = run_one(&cpu->passive);

    cpu->statistics.passive_items += ran;
    return ran;
}

bool passive_work_run(void)
{
    struct cpu *cpu = arch_this_cpu();
    bool ran = false;

    if (cpu_level(cpu) != IRQL_PASSIVE) {
        panic("passive work run at %s level", irql_name(cpu_level(cpu)));
    }
    while (passive_work_pending(cpu)) {
        ran |= passive_work_run_one(cpu);
    }
    return ran;
}
