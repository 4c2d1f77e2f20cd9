/* SPDX-License-Identifier: MIT */
/*
 * Shows the integration services at work: what the host offers, heartbeats, the time and how far it
 * was off, key-value pairs of the host, and a shutdown that the application is asked about first.
 * Words of the command line:
 *
 *   run=n         seconds to stay (else: until the host ends it)
 *
 *   hostname=x    what the host is told
 *
 *   refuse=1      says no to a shutdown
 *
 *   later=n       says yes to a shutdown, but only after so many seconds
 *
 *   load=1        loads a load device meanwhile (drivers/load)
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "drivers/heartbeat/heartbeat.h"
#include "drivers/integration/integration.h"
#include "drivers/kvp/kvp.h"
#include "drivers/load/load.h"
#include "drivers/shutdown/shutdown.h"
#include "drivers/timesync/timesync.h"
#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/exit.h"
#include "kernel/log.h"
#include "kernel/wait.h"
#include "kernel/wall_clock.h"
#include "vmbus/vmbus.h"

static uint64_t agree_at = UINT64_MAX;

/* The host waits for this answer; then the guest ends in order. */
static enum shutdown_answer asked(const struct shutdown_request *request)
{
    const uint64_t later = command_line_number("later", 0);

    log_info("services", "the host asks for a %s, seconds=%" PRIu32 " force=%d",
             request->restart ? "restart" : "power off", request->seconds, request->force);
    if (command_line_number("refuse", 0) != 0) {
        return SHUTDOWN_REFUSE;
    }
    if (later == 0) {
        return SHUTDOWN_AGREE;
    }
    agree_at = clock_after(later * CLOCK_SECOND);
    return SHUTDOWN_LATER;
}

/* Lines for programs: words of key=value. */
static void print_figures(const char *moment)
{
    struct timesync_status time;
    char text[WALL_CLOCK_TEXT_SIZE] = "not known";

    timesync_status(&time);
    if (wall_clock_is_set()) {
        wall_clock_format(wall_clock_now(), text);
    }
    log_info("services", "at=%s heartbeats=%" PRIu64 " kvp_changes=%" PRIu64, moment,
             heartbeat_count(), kvp_changes());
    log_info("services",
             "at=%s time_set=%" PRIu64 " syncs=%" PRIu64 " samples=%" PRIu64 " offset_us=%" PRId64
             " age_us=%" PRIu64 " wall_clock=%" PRIu64 ", %s",
             moment, time.set, time.syncs, time.samples, time.offset / (int64_t)CLOCK_MICROSECOND,
             time.age / CLOCK_MICROSECOND, wall_clock_now(), text);
}

static void print_pairs(enum kvp_pool pool, const char *name)
{
    static char key[KVP_KEY_TEXT_SIZE];
    static char value[KVP_VALUE_TEXT_SIZE];

    for (uint32_t i = 0; kvp_enumerate(pool, i, key, sizeof(key), value, sizeof(value)); i++) {
        log_info("services", "kvp %s %" PRIu32 ": %s=%s", name, i, key, value);
    }
}

/* What the host can read under the name "seconds". */
static void tell_seconds(void)
{
    char text[24];

    (void)snprintf(text, sizeof(text), "%" PRIu64, clock_now() / CLOCK_SECOND);
    (void)kvp_set("seconds", text);
}

static void work_until(uint64_t end, bool load)
{
    const struct load_parameters parameters = {.packets = UINT64_MAX, .size = 200, .burst = 8};
    uint64_t changes = 0;
    struct event nothing;

    event_initialise(&nothing);
    while (clock_now() < end) {
        /* Nobody sets this event: the drivers get a fifth of a second to work in. */
        (void)event_wait(&nothing, clock_after(CLOCK_SECOND / 5));
        tell_seconds();
        if (kvp_changes() != changes) {
            changes = kvp_changes();
            print_pairs(KVP_POOL_EXTERNAL, "external");
            print_pairs(KVP_POOL_AUTO_EXTERNAL, "auto-external");
            print_figures("now");
        }
        if (clock_now() >= agree_at) {
            agree_at = UINT64_MAX;
            shutdown_agree();
        }
        if (load) {
            (void)load_start(&parameters); /* not if it runs, or the device is not there */
        }
    }
}

int main(void)
{
    const uint64_t seconds = command_line_number("run", 0);
    const bool load = command_line_number("load", 0) != 0;

    if (vmbus_connection_state() != VMBUS_CONNECTED) {
        log_warning("services", "no VMBus connection");
        return EXIT_STATUS_NO_VMBUS;
    }
    shutdown_set_hook(asked);
    heartbeat_set_application_state(HEARTBEAT_APPLICATION_HEALTHY);
    (void)kvp_set("application", "services");
    if (load) {
        load_driver_start();
    }
    /* The host speaks first: a second is enough for those that are there. */
    work_until(clock_after(CLOCK_SECOND), load);
    vmbus_report();
    integration_report();
    print_figures("start");
    work_until(seconds != 0 ? clock_after(seconds * CLOCK_SECOND) : UINT64_MAX, load);
    integration_report();
    print_figures("end");
    return EXIT_STATUS_SUCCESS;
}
