/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_WORK_H
#define KERNEL_WORK_H

#include <stdatomic.h>
#include <stdbool.h>

/*
 * Work handed from one level to a lower one. The item is the caller's memory and must stay valid
 * until it has run or was cancelled. An item is queued at most once at a time: queueing a queued
 * item does nothing. It may queue itself again while it runs. Items of one queue run in the order
 * they were queued, one after the other.
 */
struct work_item {
    struct work_item *next;
    void (*run)(void *context);
    void *context;
    atomic_bool queued;
};

/* Makes an item that is not queued. */
void work_item_initialise(struct work_item *item, void (*run)(void *context), void *context);

/* Runs the item at IRQL_DISPATCH as soon as this processor falls below that level; behind very many
 * others perhaps only the next time that it does so, or waits. Any IRQL. */
void deferred_work_queue(struct work_item *item);

/* Runs the item at IRQL_PASSIVE, when main() or another passive item waits or ends. Any IRQL. */
void passive_work_queue(struct work_item *item);

/* Takes a queued item back. Returns false if it was not queued (never, already run, or running
 * now). Any IRQL. */
bool deferred_work_cancel(struct work_item *item);
bool passive_work_cancel(struct work_item *item);

/* Runs passive work that is pending, until there is none. IRQL_PASSIVE. Returns whether anything
 * ran. */
bool passive_work_run(void);

#endif
