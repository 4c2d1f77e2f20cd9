/* SPDX-License-Identifier: MIT */
#ifndef VMM_EXECUTIVE_H
#define VMM_EXECUTIVE_H

/*
 * The executive (kernel/) as one thread of a Linux process. Its processor is that thread, its
 * interrupts are open files that became ready, and it takes them where it halts: in
 * arch_wait_for_interrupt(). So bus and devices, which live on it, are never interrupted by
 * themselves, and no code of theirs ever runs on two threads.
 */

#include <stdbool.h>
#include <stdint.h>

#include "kernel/irql.h"
#include "kernel/work.h"

/* Makes the calling thread the executive's processor, with clock and timer. Once. */
void executive_start(void);

/*
 * Runs a function on the executive's processor at DISPATCH, and waits for its end. For the threads
 * of the guest's processors: it is how they reach the bus. The executive must not wait for a thread
 * that calls this other than in its own waits (kernel/wait.h).
 */
void executive_call(void (*run)(void *context), void *context);

/*
 * A file whose readiness runs work. With `counts` it is an eventfd or a timerfd, whose count is
 * taken with the interrupt: however often it was written, the work runs once. Otherwise the work
 * has to read the file, and is not run again before source_rearm(): so it may wait without being
 * entered twice.
 */
struct source {
    int file;
    bool counts;
    enum irql level; /* at which the work runs: IRQL_DISPATCH or IRQL_PASSIVE */
    struct work_item work;
};

/* An eventfd of its own, for other threads (source_raise()) or for KVM. Without `run` it ends a
 * halt, so that a wait looks at its condition again. False: errno says why. */
bool source_create(struct source *source, enum irql level, void (*run)(void *context),
                   void *context);

/* A file that somebody else opened, and closes after source_remove(). False: errno says why. */
bool source_watch(struct source *source, int file, enum irql level, void (*run)(void *context),
                  void *context);

/* Any thread. */
void source_raise(const struct source *source);

void source_rearm(struct source *source);

/* No work of it runs any more. Closes what source_create() opened. */
void source_remove(struct source *source);

/* The name of the program for the start of lines on standard error. */
#define VMM_NAME "barebus-vmm"

/* Ends the process: a fault of this program or of the machine it runs on. Any thread. */
_Noreturn void die(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* One line on standard error. Any thread. */
void say(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
