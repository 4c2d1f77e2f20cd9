/* SPDX-License-Identifier: MIT */
#ifndef TESTS_MACHINE_H
#define TESTS_MACHINE_H

/*
 * A guest and a host of the bus in one process, each a processor of the executive with a struct cpu
 * of its own: for the figures of KMCL, where one thread is both in turn, and for tests in which
 * they are two threads. It stands behind the guest's hv_* functions and the server's struct
 * vmbus_server_host, and does no more than these have to. Nothing of it needs a test library.
 *
 * The guest's interrupts come when it turns interrupts on, waits, or calls machine_step(); the
 * host's thread handles what the guest sent in machine_step().
 */

#include <stdbool.h>
#include <stdint.h>

#include "vmbus/server/server.h"

enum machine_processor {
    MACHINE_GUEST,
    MACHINE_HOST,
    MACHINE_PROCESSORS,
};

extern struct vmbus_server *machine_server;

/* Two processors without work, and a server; the caller is the guest from now on. With two threads
 * another one enters as the host, and steps until the end. */
void machine_start(bool two_threads);

/* Destroys the server. By the one thread that is left. */
void machine_end(void);

/* The caller is that processor from now on: at PASSIVE, with interrupts on. */
void machine_enter(enum machine_processor processor);

/* Does what this processor has to do: interrupts, deferred and passive work. False: nothing. */
bool machine_step(void);

/* One thread: both in turn until nothing moves. The caller is the guest, before and after. */
void machine_settle(void);

/* Allocations of memory and pages that succeeded, and those not yet freed. */
uint64_t machine_allocations(void);
uint64_t machine_allocated(void);

/* For what must not happen: says it and aborts. */
_Noreturn void machine_fail(const char *what);

#endif
