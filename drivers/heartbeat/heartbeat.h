/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_HEARTBEAT_HEARTBEAT_H
#define DRIVERS_HEARTBEAT_HEARTBEAT_H

/*
 * Answers the host's heartbeats, so that it knows that this guest's interrupts and deferred work
 * run. It starts by itself (INIT_DRIVERS); an application may add how it is doing.
 */

#include <stdint.h>

enum heartbeat_application_state {
    HEARTBEAT_APPLICATION_UNKNOWN = 0, /* until the application says something */
    HEARTBEAT_APPLICATION_HEALTHY = 1,
    HEARTBEAT_APPLICATION_CRITICAL = 2,
    HEARTBEAT_APPLICATION_STOPPED = 3,
};

/* Goes out with the next heartbeats, if the host leaves room for it. Any IRQL. */
void heartbeat_set_application_state(enum heartbeat_application_state state);

/* Heartbeats answered since start. Any IRQL. */
uint64_t heartbeat_count(void);

#endif
