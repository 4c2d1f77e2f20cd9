/* SPDX-License-Identifier: MIT */
/*
 * Tells the guest the time: "sync" when it opens the channel or the host's clock was stepped, a
 * sample at a steady pace behind each answer (OpenVMM vmbus_ic timesync).
 */

#include "tests/host/timesync.h"

#include <string.h>

#include "drivers/timesync/timesync_protocol.h"
#include "tests/host/integration.h"
#include "tests/host/machine.h"

struct timesync {
    struct host_integration integration;
    bool sync_is_due;
    UINT8 asked; /* flags of the message under way */
    struct timesync_counters {
        UINT64 step; /* added to the machine's clock, modulo 2^64 */
        UINT64 syncs;
        UINT64 samples;
        UINT64 refused;
    } counters;
};

static struct timesync *timesync_of(struct host_integration *integration)
{
    return (struct timesync *)(void *)integration;
}

static UINT64 host_time(const struct timesync *timesync)
{
    return machine_wall_clock() + timesync->counters.step;
}

/* Idle. At most DISPATCH. */
static void tell(struct timesync *timesync)
{
    const UINT8 flags = timesync->sync_is_due ? TIMESYNC_SYNC : TIMESYNC_SAMPLE;

    timesync->sync_is_due = false;
    timesync->asked = flags;
    if (timesync->integration.version.major >= 4) {
        const struct timesync_message_4 message = {
            .reference_time = machine_reference_time(),
            .host_time = host_time(timesync),
            .flags = flags,
            .stratum = 1, /* choice of ours: no leap second, a clock of its own */
        };
        (void)host_integration_request(&timesync->integration, &message, sizeof(message));
    } else {
        const struct timesync_message_3 message = {
            .host_time = host_time(timesync),
            .flags = flags,
        };
        (void)host_integration_request(&timesync->integration, &message, TIMESYNC_MESSAGE_3_SIZE);
    }
}

static void sample_due(struct host_integration *integration)
{
    if (host_integration_is_idle(integration)) {
        tell(timesync_of(integration));
    }
}

static void negotiated(struct host_integration *integration)
{
    struct timesync *timesync = timesync_of(integration);

    timesync->sync_is_due = true;
    tell(timesync);
}

static bool answered(struct host_integration *integration, UINT32 status, const void *body,
                     UINT32 size)
{
    struct timesync *timesync = timesync_of(integration);
    struct timesync_counters *counters = &timesync->counters;

    (void)body;
    (void)size;
    if (status != INTEGRATION_STATUS_OK) {
        counters->refused++;
        host_device_event(&integration->device, "the guest refuses the time: status 0x%08x",
                          status);
    } else if (timesync->asked == TIMESYNC_SYNC) {
        counters->syncs++;
        host_device_event(&integration->device, "the guest's clock is synchronised");
    } else {
        counters->samples++;
    }
    if (timesync->sync_is_due) {
        tell(timesync);
    } else {
        timer_arm(&integration->timer, clock_after(integration->interval));
    }
    return true;
}

static const struct host_integration_service service = {
    .type = INTEGRATION_TIMESYNC,
    .message_size = sizeof(struct integration_header) + 256,
    .versions = {{1, 0}, {3, 0}, {4, 0}},
    .negotiated = negotiated,
    .answered = answered,
    .due = sample_due,
    .interval_milliseconds = 5000,
};

static bool create(struct host_device *device, const char *options,
                   const struct host_output *errors)
{
    return host_integration_create(device, &service, options, errors);
}

static bool save(struct host_device *device, void *buffer, size_t capacity, size_t *size)
{
    const struct timesync *timesync = timesync_of(host_integration_of(device));

    return host_save_state(&timesync->counters, sizeof(timesync->counters), buffer, capacity, size);
}

static bool restore(struct host_device *device, const void *bytes, size_t size)
{
    struct timesync *timesync = timesync_of(host_integration_of(device));

    return host_restore_state(&timesync->counters, sizeof(timesync->counters), bytes, size);
}

static bool print_status(struct host_device *device, char *const arguments[], unsigned count,
                         const struct host_output *reply)
{
    const struct timesync *timesync = timesync_of(host_integration_of(device));
    const struct timesync_counters *counters = &timesync->counters;

    (void)arguments;
    (void)count;
    host_integration_print(&timesync->integration, reply);
    host_print(reply, "host_time=%llu reference_time=%llu syncs=%llu samples=%llu refused=%llu",
               (unsigned long long)host_time(timesync),
               (unsigned long long)machine_reference_time(), (unsigned long long)counters->syncs,
               (unsigned long long)counters->samples, (unsigned long long)counters->refused);
    return true;
}

/* Steps the clock, of which the next sample tells. */
static bool slip(struct host_device *device, char *const arguments[], unsigned count,
                 const struct host_output *reply)
{
    struct timesync *timesync = timesync_of(host_integration_of(device));
    const bool is_back = arguments[0][0] == '-';
    UINT64 seconds;

    (void)count;
    if (!host_number(arguments[0] + (is_back || arguments[0][0] == '+' ? 1 : 0), &seconds) ||
        seconds > UINT64_C(100000000000)) {
        host_print(reply, "%s: %s is no number of seconds", device->name, arguments[0]);
        return false;
    }
    if (is_back) {
        timesync->counters.step -= seconds * CLOCK_SECOND;
    } else {
        timesync->counters.step += seconds * CLOCK_SECOND;
    }
    return true;
}

/* The same, and the guest hears of it at once, or behind the answer that is under way. */
static bool step(struct host_device *device, char *const arguments[], unsigned count,
                 const struct host_output *reply)
{
    struct timesync *timesync = timesync_of(host_integration_of(device));

    if (!slip(device, arguments, count, reply)) {
        return false;
    }
    timesync->sync_is_due = true;
    if (host_integration_is_idle(&timesync->integration)) {
        (void)timer_cancel(&timesync->integration.timer);
        tell(timesync);
    }
    return true;
}

static const struct host_option options[] = {
    {"interval", "MILLISECONDS", "between an answer and the next sample (5000)"},
    HOST_INTEGRATION_OPTIONS,
    {NULL, NULL, NULL},
};

static const struct host_command commands[] = {
    {"step", "[+-]SECONDS", "steps the clock that the guest is told, and synchronises it", 1, 1,
     step},
    {"slip", "[+-]SECONDS", "steps that clock, and leaves it to the next sample to tell", 1, 1,
     slip},
    {"status", "", "the time, and what was told of it", 0, 0, print_status},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct host_device_type timesync_device_type = {
    .name = "timesync",
    .purpose = "tells the guest what time it is",
    .size = sizeof(struct timesync),
    .device_class = TIMESYNC_CLASS_INITIALISER,
    .instance = TIMESYNC_INSTANCE_INITIALISER,
    .options = options,
    .commands = commands,
    .create = create,
    .save = save,
    .restore = restore,
    .destroy = host_integration_destroy,
};
