/* SPDX-License-Identifier: MIT */
/*
 * A first guest: says what it runs on, then lets the balloon driver work for a while. Copy it to
 * start your own.
 *
 * Everything below main() has started already: the hypervisor's interface, VMBus, and each driver
 * that is linked in. main() is the guest's only thread; what drivers have to do happens while it
 * waits, so a guest that waits for something works. The value it returns is the exit status the
 * outside sees (kernel/exit.h).
 *
 * Words of the command line:
 *   run=<seconds>   how long to stay once the balloon is there, or has been waited for (default 5)
 *   idle=<seconds>  leave before that, once the host has asked the balloon for something and then
 * for nothing for so long report=1        figures every second, not only at the start and at the
 * end
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>

#include "drivers/balloon/balloon.h"
#include "hv/hypervisor.h"
#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/exit.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "vmbus/vmbus.h"

/* Lines for programs: words of key=value, pages of 4 KiB. */
static void print_figures(const char *moment)
{
    struct pages_statistics pages;
    struct balloon_statistics balloon;

    pages_statistics(&pages);
    balloon_statistics(&balloon);
    log_info("hello", "pages at=%s total=%" PRIu64 " free=%" PRIu64 " tables=%" PRIu64, moment,
             pages.total, pages.free, pages.tables);
    log_info("hello",
             "balloon at=%s held=%" PRIu64 " taken=%" PRIu64 " returned=%" PRIu64
             " refused=%" PRIu64 " added=%" PRIu64 " available=%" PRIu64 " committed=%" PRIu64,
             moment, balloon.ballooned, balloon.taken, balloon.returned, balloon.pages_refused,
             balloon.hot_added, balloon.reported_available, balloon.reported_committed);
}

/* The layers below have said what they found; this says what to do about it, in one line. */
static int check_host(void)
{
    switch (hv_presence()) {
    case HV_PRESENT:
        break;
    case HV_WITHOUT_SYNIC:
        log_warning("hello", "no SynIC, so no VMBus: QEMU needs hv-vpindex,hv-synic in its -cpu");
        return EXIT_STATUS_NO_SYNIC;
    default:
        log_warning("hello", "no Hyper-V: use Hyper-V itself, or QEMU with KVM and hv-* in -cpu");
        return EXIT_STATUS_NO_HYPERV;
    }
    if (vmbus_connection_state() != VMBUS_CONNECTED) {
        log_warning("hello", "no VMBus connection: QEMU needs -device vmbus-bridge");
        return EXIT_STATUS_NO_VMBUS;
    }
    return EXIT_STATUS_SUCCESS;
}

static bool balloon_has_settled(void *context)
{
    const enum balloon_state state = balloon_state();

    (void)context;
    return state != BALLOON_WAITING && state != BALLOON_VERSION && state != BALLOON_CAPABILITIES;
}

static uint64_t balloon_operations(void)
{
    struct balloon_statistics balloon;

    balloon_statistics(&balloon);
    return balloon.requests + balloon.unballoon_requests + balloon.hot_add_requests;
}

static void work_until(uint64_t end, uint64_t idle_limit, bool report)
{
    uint64_t operations = balloon_operations();
    uint64_t idle_since = UINT64_MAX; /* nothing was asked for yet */
    struct event nothing;

    event_initialise(&nothing);
    while (clock_now() < end &&
           (idle_since == UINT64_MAX || clock_now() - idle_since < idle_limit)) {
        /* Nobody sets this event: the drivers get a second to work in. */
        event_wait(&nothing, clock_after(CLOCK_SECOND));
        if (balloon_operations() != operations) {
            operations = balloon_operations();
            idle_since = clock_now();
        }
        if (report)
            print_figures("now");
    }
}

int main(void)
{
    const uint64_t seconds = command_line_number("run", 5);
    const uint64_t idle_limit = command_line_number("idle", UINT32_MAX) * CLOCK_SECOND;
    const bool report = command_line_number("report", 0) != 0;

    const int status = check_host();
    if (status != EXIT_STATUS_SUCCESS)
        return status;
    hv_report();

    /* A host without a balloon never offers one, so it is no failure if this wait runs out. */
    wait_until(balloon_has_settled, NULL, clock_after(BALLOON_ANSWER_LIMIT));
    vmbus_report();
    log_info("hello", "vmbus connected_us=%" PRIu64, vmbus_connected_at() / CLOCK_MICROSECOND);
    balloon_report();

    print_figures("start");
    work_until(clock_after(seconds * CLOCK_SECOND), idle_limit, report);
    balloon_report();
    print_figures("end");
    return balloon_state() == BALLOON_FAILED ? EXIT_STATUS_FAILURE : EXIT_STATUS_SUCCESS;
}
