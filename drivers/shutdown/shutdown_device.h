/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_SHUTDOWN_SHUTDOWN_DEVICE_H
#define DRIVERS_SHUTDOWN_SHUTDOWN_DEVICE_H

#include "drivers/integration/integration.h"
#include "drivers/shutdown/shutdown.h"

/* For the driver and its tests. */

enum shutdown_state {
    SHUTDOWN_IDLE,
    SHUTDOWN_ASKING,  /* the application; limit: the request's */
    SHUTDOWN_LEAVING, /* the answer goes out; limit: SHUTDOWN_ANSWER_LIMIT, then the guest ends */
    SHUTDOWN_STATES,
};

struct shutdown_driver {
    struct integration_device device;
    enum shutdown_state state;
    enum shutdown_answer (*hook)(const struct shutdown_request *request);
    struct shutdown_request request;
    uint64_t deadline;
    uint64_t answered_at; /* the answer was in the ring; 0: not yet */
    struct timer timer;
    struct work_item ask_work;
    struct work_item leave_work;
};
extern struct shutdown_driver shutdown_driver;
void shutdown_start(void);

#endif
