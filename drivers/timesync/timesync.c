/* SPDX-License-Identifier: MIT */
#include "drivers/timesync/timesync.h"

#include <inttypes.h>
#include <string.h>

#include "drivers/timesync/timesync_device.h"
#include "drivers/timesync/timesync_protocol.h"
#include "kernel/clock.h"
#include "kernel/init.h"
#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/wall_clock.h"

struct timesync_driver timesync_driver;

void timesync_status(struct timesync_status *out)
{
    const enum irql level = irql_raise_to_dispatch();

    *out = timesync_driver.status;
    irql_lower(level);
}

static void set(uint64_t host_now, bool was_set)
{
    struct timesync_status *status = &timesync_driver.status;
    char text[WALL_CLOCK_TEXT_SIZE];

    (void)wall_clock_set(host_now); /* was checked */
    status->set++;
    wall_clock_format(host_now, text);
    if (!was_set) {
        log_info("timesync", "the wall clock is set to %s", text);
        return;
    }
    const bool is_ahead = status->offset > 0;
    const uint64_t off =
        is_ahead ? (uint64_t)status->offset : UINT64_C(0) - (uint64_t)status->offset;
    log_info("timesync", "the wall clock is set to %s; it was %" PRIu64 ".%06" PRIu64 " s %s", text,
             off / CLOCK_SECOND, off % CLOCK_SECOND / CLOCK_MICROSECOND,
             is_ahead ? "ahead" : "behind");
}

/* What the host's clock says at this moment. */
static void take(uint64_t host_now, uint8_t flags)
{
    struct timesync_status *status = &timesync_driver.status;
    const bool was_set = wall_clock_is_set();
    const uint64_t guest_now = wall_clock_now();

    status->offset = was_set ? (int64_t)(guest_now - host_now) : 0;
    status->measured = clock_now();
    const uint64_t off = guest_now > host_now ? guest_now - host_now : host_now - guest_now;
    if (flags == TIMESYNC_SYNC) {
        status->syncs++;
        set(host_now, was_set);
    } else {
        status->samples++;
        if (!was_set || off >= TIMESYNC_TOLERANCE) {
            set(host_now, was_set);
        }
    }
}

static uint32_t refuse(uint64_t host_time)
{
    if (timesync_driver.status.refused++ == 0) {
        log_warning("timesync", "no time: %" PRIu64 ", or its moment; reported once", host_time);
    }
    return INTEGRATION_STATUS_INVALID_ARGUMENT;
}

/* A message may have waited somewhere; only version 4.0 tells for how long. */
static uint32_t request(struct integration_device *device, void *body, uint32_t size)
{
    struct timesync_status *status = &timesync_driver.status;
    struct timesync_message_4 message = {0};
    uint64_t age = 0;
    uint64_t reference;
    uint8_t flags;

    memcpy(&message, body, size < sizeof(message) ? size : sizeof(message));
    status->age_is_known = device->version.major >= 4 && clock_shared_with_host(&reference);
    if (device->version.major >= 4) {
        flags = message.flags;
        if (status->age_is_known) {
            age = reference - message.reference_time; /* very large if that is yet to come */
            if (age > TIMESYNC_AGE_MAX) {
                return refuse(message.host_time);
            }
        }
        status->leap = message.leap;
        status->stratum = message.stratum;
    } else if (size >= TIMESYNC_MESSAGE_3_SIZE_MINIMUM) {
        flags = ((const uint8_t *)body)[offsetof(struct timesync_message_3, flags)];
    } else {
        return INTEGRATION_STATUS_INVALID_ARGUMENT;
    }
    if (flags != TIMESYNC_SYNC && flags != TIMESYNC_SAMPLE) {
        return INTEGRATION_STATUS_OK; /* a probe, or what nobody knows: the echo is all */
    }
    if (message.host_time < WALL_CLOCK_UNIX_EPOCH || message.host_time >= WALL_CLOCK_END - age) {
        return refuse(message.host_time);
    }
    status->age = age;
    take(message.host_time + age, flags);
    return INTEGRATION_STATUS_OK;
}

static const struct integration_service service = {
    .name = "timesync",
    .device_class = TIMESYNC_CLASS_INITIALISER,
    .type = INTEGRATION_TIMESYNC,
    .body_size_minimum = TIMESYNC_MESSAGE_4_SIZE_MINIMUM,
    /* Choice of ours: room for all versions that a host may list. */
    .message_size = 1024,
    .versions = {{4, 0}, {3, 0}, {1, 0}},
    .request = request,
};

void timesync_start(void)
{
    integration_start(&timesync_driver.device, &service);
}

INIT_ENTRY(INIT_DRIVERS, timesync_start);
