/* SPDX-License-Identifier: MIT */
/* Sends a heartbeat at a steady pace, and counts those that were not answered by the next. */

#include "tests/host/heartbeat.h"

#include <string.h>

#include "drivers/heartbeat/heartbeat_protocol.h"
#include "tests/host/integration.h"

struct heartbeat {
    struct host_integration integration;
    UINT64 deadline; /* of the next one; clock_now() */
    bool is_late;    /* said, for the one that is under way */
    /* From here on it is saved. */
    struct heartbeat_counters {
        UINT64 sequence; /* of the last one that was sent */
        UINT64 sent;
        UINT64 answered;
        UINT64 late;  /* not answered when the next was due */
        UINT64 wrong; /* answered with another sequence number */
        UINT32 application_state;
        UINT32 reserved;
    } counters;
};

static struct heartbeat *heartbeat_of(struct host_integration *integration)
{
    return (struct heartbeat *)(void *)integration;
}

static void beat(struct host_integration *integration)
{
    struct heartbeat *heartbeat = heartbeat_of(integration);
    struct heartbeat_counters *counters = &heartbeat->counters;

    heartbeat->deadline += integration->interval;
    if (heartbeat->deadline < clock_now()) {
        heartbeat->deadline = clock_after(integration->interval);
    }
    timer_arm(&integration->timer, heartbeat->deadline);
    if (host_integration_is_idle(integration)) {
        const struct heartbeat_message message = {.sequence = ++counters->sequence};
        if (host_integration_request(integration, &message, sizeof(message))) {
            counters->sent++;
        }
    } else if (integration->state == HOST_INTEGRATION_ASKED) {
        counters->late++;
        if (!heartbeat->is_late) {
            heartbeat->is_late = true;
            host_device_event(&integration->device, "heartbeat %llu is not answered",
                              (unsigned long long)counters->sequence);
        }
    }
}

static void negotiated(struct host_integration *integration)
{
    struct heartbeat *heartbeat = heartbeat_of(integration);

    heartbeat->is_late = false;
    heartbeat->deadline = clock_now();
    beat(integration);
}

static bool answered(struct host_integration *integration, UINT32 status, const void *body,
                     UINT32 size)
{
    struct heartbeat *heartbeat = heartbeat_of(integration);
    struct heartbeat_counters *counters = &heartbeat->counters;
    struct heartbeat_message message = {0};

    (void)status;
    if (size < HEARTBEAT_MESSAGE_SIZE_MINIMUM) {
        return false;
    }
    memcpy(&message, body, size < sizeof(message) ? size : sizeof(message));
    if (message.sequence != counters->sequence + 1) {
        counters->wrong++;
        host_device_event(&integration->device, "heartbeat %llu is answered with %llu",
                          (unsigned long long)counters->sequence,
                          (unsigned long long)message.sequence);
        return true;
    }
    counters->sequence++; /* the guest's number is the last one of both */
    counters->answered++;
    if (counters->answered == 1) {
        host_device_event(&integration->device, "the first heartbeat is answered");
    }
    if (heartbeat->is_late) {
        heartbeat->is_late = false;
        host_device_event(&integration->device, "heartbeats are answered again");
    }
    if (message.application_state != counters->application_state) {
        counters->application_state = message.application_state;
        host_device_event(&integration->device, "the application's state is %u",
                          message.application_state);
    }
    return true;
}

static const struct host_integration_service service = {
    .type = INTEGRATION_HEARTBEAT,
    .message_size = sizeof(struct integration_header) + 256,
    .versions = {{1, 0}, {3, 0}},
    .negotiated = negotiated,
    .answered = answered,
    .due = beat,
    .interval_milliseconds = 2000, /* Hyper-V's, as Linux hv_util.c tells */
};

static bool create(struct host_device *device, const char *options,
                   const struct host_output *errors)
{
    return host_integration_create(device, &service, options, errors);
}

static bool save(struct host_device *device, void *buffer, size_t capacity, size_t *size)
{
    const struct heartbeat *heartbeat = heartbeat_of(host_integration_of(device));

    return host_save_state(&heartbeat->counters, sizeof(heartbeat->counters), buffer, capacity,
                           size);
}

static bool restore(struct host_device *device, const void *bytes, size_t size)
{
    struct heartbeat *heartbeat = heartbeat_of(host_integration_of(device));

    return host_restore_state(&heartbeat->counters, sizeof(heartbeat->counters), bytes, size);
}

static bool print_status(struct host_device *device, char *const arguments[], unsigned count,
                         const struct host_output *reply)
{
    const struct heartbeat *heartbeat = heartbeat_of(host_integration_of(device));
    const struct heartbeat_counters *counters = &heartbeat->counters;

    (void)arguments;
    (void)count;
    host_integration_print(&heartbeat->integration, reply);
    host_print(reply, "sent=%llu answered=%llu late=%llu wrong=%llu application=%u",
               (unsigned long long)counters->sent, (unsigned long long)counters->answered,
               (unsigned long long)counters->late, (unsigned long long)counters->wrong,
               counters->application_state);
    return true;
}

static const struct host_option options[] = {
    {"interval", "MILLISECONDS", "between two heartbeats (2000)"},
    HOST_INTEGRATION_OPTIONS,
    {NULL, NULL, NULL},
};

static const struct host_command commands[] = {
    {"status", "", "heartbeats sent and answered", 0, 0, print_status},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct host_device_type heartbeat_device_type = {
    .name = "heartbeat",
    .purpose = "asks the guest at a steady pace whether it lives",
    .size = sizeof(struct heartbeat),
    .device_class = HEARTBEAT_CLASS_INITIALISER,
    /* Hyper-V's differs from guest to guest; choice of ours. */
    .instance = {0xfd149e91, 0x82e0, 0x4a7d, {0xaf, 0xa6, 0x2a, 0x41, 0x66, 0xcb, 0xd7, 0xc0}},
    .options = options,
    .commands = commands,
    .create = create,
    .save = save,
    .restore = restore,
    .destroy = host_integration_destroy,
};
