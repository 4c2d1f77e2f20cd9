/* SPDX-License-Identifier: MIT */
#include "drivers/heartbeat/heartbeat.h"

#include <stdatomic.h>
#include <string.h>

#include "drivers/heartbeat/heartbeat_device.h"
#include "drivers/heartbeat/heartbeat_protocol.h"
#include "kernel/init.h"

struct integration_device heartbeat_device;

static _Atomic uint32_t application_state;
static _Atomic uint64_t answered;

static uint32_t beat(struct integration_device *device, void *body, uint32_t size)
{
    struct heartbeat_message message;
    const uint32_t length =
        size < sizeof(message) ? HEARTBEAT_MESSAGE_SIZE_MINIMUM : (uint32_t)sizeof(message);

    (void)device;
    memcpy(&message, body, length);
    message.sequence++;
    message.application_state = atomic_load(&application_state);
    memcpy(body, &message, length);
    atomic_fetch_add(&answered, 1);
    return INTEGRATION_STATUS_OK;
}

static const struct integration_service service = {
    .name = "heartbeat",
    .device_class = HEARTBEAT_CLASS_INITIALISER,
    .type = INTEGRATION_HEARTBEAT,
    .body_size_minimum = HEARTBEAT_MESSAGE_SIZE_MINIMUM,
    /* Choice of ours: room for all versions that a host may list. */
    .message_size = 1024,
    .versions = {{3, 0}, {1, 0}},
    .request = beat,
};

void heartbeat_set_application_state(enum heartbeat_application_state state)
{
    atomic_store(&application_state, (uint32_t)state);
}

uint64_t heartbeat_count(void)
{
    return atomic_load(&answered);
}

void heartbeat_start(void)
{
    integration_start(&heartbeat_device, &service);
}

INIT_ENTRY(INIT_DRIVERS, heartbeat_start);
