/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_WAIT_H
#define KERNEL_WAIT_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* An event stays set until it is cleared (a notification event in Windows' words). */
struct event {
    atomic_bool set;
};

/* For waits that something else is bound to end: a rescind, a close, an exit. Say what in a comment
 * at the call. */
#define WAIT_WITHOUT_LIMIT UINT64_MAX

void event_initialise(struct event *event);
void event_set(struct event *event);   /* any IRQL */
void event_clear(struct event *event); /* any IRQL */
bool event_is_set(struct event *event);

/*
 * Waits until the event is set or the kernel clock reaches `deadline` (absolute, 100 ns units of
 * clock_now()). Runs pending passive work meanwhile, so a wait nests: the work it runs may wait
 * itself. Halts the processor when there is none. Returns whether the event was set. IRQL_PASSIVE
 * only: a wait anywhere else is a bug that panics with a message.
 */
bool event_wait(struct event *event, uint64_t deadline);

/* The same for a condition that something at DISPATCH level, a handler or passive work makes true.
 */
bool wait_until(bool (*condition)(void *context), void *context, uint64_t deadline);

#endif
