/* SPDX-License-Identifier: MIT */
#include "drivers/shutdown/shutdown.h"

#include <inttypes.h>
#include <string.h>

#include "drivers/shutdown/shutdown_device.h"
#include "drivers/shutdown/shutdown_protocol.h"
#include "kernel/exit.h"
#include "kernel/init.h"
#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/panic.h"

/* Choice of ours: a host that takes no answer out of its ring for so long is not waited for. */
#define SHUTDOWN_ANSWER_LIMIT (5 * CLOCK_SECOND)

/*
 * Choice of ours: how long the host has to read the answer before the channel closes. Nothing tells
 * the guest that it has, and a host may look at the close first.
 */
#define SHUTDOWN_READ_TIME (CLOCK_SECOND / 5)

#define LOOK_INTERVAL (CLOCK_SECOND / 100)

struct shutdown_driver shutdown_driver;

/* The one place where the state changes. */
static void enter(enum shutdown_state next)
{
    static const unsigned allowed[SHUTDOWN_STATES] = {
        [SHUTDOWN_IDLE] = 1u << SHUTDOWN_ASKING,
        [SHUTDOWN_ASKING] = 1u << SHUTDOWN_IDLE | 1u << SHUTDOWN_LEAVING,
        [SHUTDOWN_LEAVING] = 0,
    };
    ASSERT((allowed[shutdown_driver.state] & 1u << next) != 0);
    shutdown_driver.state = next;
}

static const char *what_is_asked(void)
{
    return shutdown_driver.request.restart ? "restart" : "power off";
}

bool shutdown_is_under_way(void)
{
    return shutdown_driver.state == SHUTDOWN_LEAVING;
}

void shutdown_set_hook(enum shutdown_answer (*hook)(const struct shutdown_request *request))
{
    shutdown_driver.hook = hook;
}

/* ---- answers ---- */

void shutdown_agree(void)
{
    const enum irql level = irql_raise_to_dispatch();

    if (shutdown_driver.state == SHUTDOWN_ASKING) {
        enter(SHUTDOWN_LEAVING);
        shutdown_driver.deadline = clock_after(SHUTDOWN_ANSWER_LIMIT);
        integration_answer(&shutdown_driver.device, INTEGRATION_STATUS_OK);
        timer_arm(&shutdown_driver.timer, clock_now());
    }
    irql_lower(level);
}

void shutdown_refuse(void)
{
    const enum irql level = irql_raise_to_dispatch();

    if (shutdown_driver.state == SHUTDOWN_ASKING) {
        if (shutdown_driver.request.force) {
            shutdown_agree();
        } else {
            log_info("shutdown", "the application refuses to %s", what_is_asked());
            (void)timer_cancel(&shutdown_driver.timer);
            enter(SHUTDOWN_IDLE);
            integration_answer(&shutdown_driver.device, INTEGRATION_STATUS_FAILURE);
        }
    }
    irql_lower(level);
}

/* IRQL_DISPATCH. */
static void timer_expired(void *context)
{
    (void)context;
    if (shutdown_driver.state == SHUTDOWN_ASKING) {
        log_warning("shutdown", "the application has not answered in time");
        shutdown_agree();
    } else if (shutdown_driver.state == SHUTDOWN_LEAVING) {
        if (shutdown_driver.answered_at == 0 && !shutdown_driver.device.answering) {
            shutdown_driver.answered_at = clock_now();
        }
        const bool has_left = shutdown_driver.answered_at != 0 &&
                              clock_now() - shutdown_driver.answered_at >= SHUTDOWN_READ_TIME;
        if (has_left || clock_now() >= shutdown_driver.deadline) {
            passive_work_queue(&shutdown_driver.leave_work);
        } else {
            timer_arm(&shutdown_driver.timer, clock_after(LOOK_INTERVAL));
        }
    }
}

/* ---- passive work ---- */

static void ask(void *context)
{
    (void)context;
    if (shutdown_driver.state != SHUTDOWN_ASKING) {
        return;
    }
    enum shutdown_answer answer = SHUTDOWN_AGREE;
    if (shutdown_driver.hook != NULL) {
        const struct shutdown_request request = shutdown_driver.request;
        answer = shutdown_driver.hook(&request);
    }
    if (answer == SHUTDOWN_AGREE) {
        shutdown_agree();
    } else if (answer == SHUTDOWN_REFUSE) {
        shutdown_refuse();
    }
}

static void leave(void *context)
{
    (void)context;
    log_info("shutdown", "%s, as the host asked", what_is_asked());
    if (shutdown_driver.request.restart) {
        kernel_restart();
    }
    kernel_exit(EXIT_STATUS_SUCCESS);
}

/* ---- the service ---- */

static uint32_t requested(struct integration_device *device, void *body, uint32_t size)
{
    uint32_t words[3];
    uint64_t limit = SHUTDOWN_LIMIT;

    (void)device;
    (void)size;
    memcpy(words, body, sizeof(words));
    const uint32_t flags = words[2];
    if ((flags & ~(SHUTDOWN_FLAG_FORCE | SHUTDOWN_FLAG_RESTART)) != 0) {
        log_warning("shutdown", "refused: flags 0x%" PRIx32 " ask for what this guest cannot do",
                    flags);
        return INTEGRATION_STATUS_FAILURE;
    }
    if (shutdown_driver.state != SHUTDOWN_IDLE) {
        return INTEGRATION_STATUS_FAILURE;
    }
    shutdown_driver.request = (struct shutdown_request){
        .restart = (flags & SHUTDOWN_FLAG_RESTART) != 0,
        .force = (flags & SHUTDOWN_FLAG_FORCE) != 0,
        .reason = words[0],
        .seconds = words[1],
    };
    if (words[1] != 0) {
        limit = (uint64_t)words[1] * CLOCK_SECOND;
    }
    log_info("shutdown", "the host asks for a %s%s, reason 0x%" PRIx32, what_is_asked(),
             shutdown_driver.request.force ? ", by force" : "", words[0]);
    enter(SHUTDOWN_ASKING);
    timer_arm(&shutdown_driver.timer, clock_after(limit));
    passive_work_queue(&shutdown_driver.ask_work);
    return INTEGRATION_ANSWER_LATER;
}

/* The host that asked is gone, and its request with it. */
static void closing(struct integration_device *device)
{
    const enum irql level = irql_raise_to_dispatch();

    (void)device;
    if (shutdown_driver.state == SHUTDOWN_ASKING) {
        log_info("shutdown", "the host took its request back");
        (void)timer_cancel(&shutdown_driver.timer);
        enter(SHUTDOWN_IDLE);
    }
    irql_lower(level);
}

static const struct integration_service service = {
    .name = "shutdown",
    .device_class = SHUTDOWN_CLASS_INITIALISER,
    .type = INTEGRATION_SHUTDOWN,
    .body_size_minimum = SHUTDOWN_MESSAGE_SIZE_MINIMUM,
    .message_size = sizeof(struct integration_header) + sizeof(struct shutdown_message),
    /* No wire difference is known between the versions from 3.0 on. */
    .versions = {{3, 2}, {3, 1}, {3, 0}, {1, 0}},
    .request = requested,
    .closing = closing,
};

void shutdown_start(void)
{
    timer_initialise(&shutdown_driver.timer, timer_expired, NULL);
    work_item_initialise(&shutdown_driver.ask_work, ask, NULL);
    work_item_initialise(&shutdown_driver.leave_work, leave, NULL);
    integration_start(&shutdown_driver.device, &service);
}

INIT_ENTRY(INIT_DRIVERS, shutdown_start);
