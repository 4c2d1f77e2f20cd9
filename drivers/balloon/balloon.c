/* SPDX-License-Identifier: MIT */
#include "drivers/balloon/balloon.h"

#include <inttypes.h>
#include <string.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

/* The status goes to the host this often (Linux, QEMU). 100 ns units. */
#define STATUS_INTERVAL CLOCK_SECOND

/*
 * Choice of ours: the first goes out half a second after the negotiation. QEMU's own timer runs
 * from there too, in whole seconds, and a status that comes just as it expires ends QEMU (see
 * BALLOON_REPLY_DELAY).
 */
#define STATUS_DELAY (CLOCK_SECOND / 2)

/* The hot add alignment that is asked for: 2^7 MiB, as Linux does. */
#define HOT_ADD_ALIGNMENT_EXPONENT 7

static const uint32_t versions[] = {
    DYNAMIC_MEMORY_VERSION_2_0,
    DYNAMIC_MEMORY_VERSION_1_0,
    DYNAMIC_MEMORY_VERSION_0_3,
};
#define VERSION_COUNT (sizeof(versions) / sizeof(versions[0]))

struct balloon_device balloon;

/* ---- states ---- */

const char *balloon_state_name(enum balloon_state state)
{
    static const char *const names[BALLOON_STATES] = {
        [BALLOON_STOPPED] = "stopped",     [BALLOON_WAITING] = "waiting for the device",
        [BALLOON_VERSION] = "version",     [BALLOON_CAPABILITIES] = "capabilities",
        [BALLOON_IDLE] = "idle",           [BALLOON_INFLATING] = "inflating",
        [BALLOON_DEFLATING] = "deflating", [BALLOON_REPLYING] = "replying",
        [BALLOON_CLOSING] = "closing",     [BALLOON_FAILED] = "failed",
    };
    return (unsigned)state < BALLOON_STATES ? names[state] : "unknown";
}

/* The one place where the state changes. Starts the clock for what the new state waits for. */
void balloon_enter(enum balloon_state next)
{
    static const unsigned allowed[BALLOON_STATES] = {
        [BALLOON_STOPPED] = BALLOON_IN(BALLOON_WAITING) | BALLOON_IN(BALLOON_FAILED),
        [BALLOON_WAITING] = BALLOON_IN(BALLOON_VERSION) | BALLOON_IN(BALLOON_FAILED) |
                            BALLOON_IN(BALLOON_CLOSING) | BALLOON_IN(BALLOON_STOPPED),
        [BALLOON_VERSION] = BALLOON_IN(BALLOON_VERSION) | BALLOON_IN(BALLOON_CAPABILITIES) |
                            BALLOON_IN(BALLOON_FAILED) | BALLOON_IN(BALLOON_CLOSING),
        [BALLOON_CAPABILITIES] =
            BALLOON_IN(BALLOON_IDLE) | BALLOON_IN(BALLOON_FAILED) | BALLOON_IN(BALLOON_CLOSING),
        [BALLOON_IDLE] = BALLOON_IN(BALLOON_INFLATING) | BALLOON_IN(BALLOON_DEFLATING) |
                         BALLOON_IN(BALLOON_REPLYING) | BALLOON_IN(BALLOON_CLOSING),
        [BALLOON_INFLATING] = BALLOON_IN(BALLOON_IDLE) | BALLOON_IN(BALLOON_CLOSING),
        [BALLOON_DEFLATING] =
            BALLOON_IN(BALLOON_IDLE) | BALLOON_IN(BALLOON_REPLYING) | BALLOON_IN(BALLOON_CLOSING),
        [BALLOON_REPLYING] = BALLOON_IN(BALLOON_IDLE) | BALLOON_IN(BALLOON_CLOSING),
        [BALLOON_CLOSING] =
            BALLOON_IN(BALLOON_WAITING) | BALLOON_IN(BALLOON_FAILED) | BALLOON_IN(BALLOON_STOPPED),
        [BALLOON_FAILED] = BALLOON_IN(BALLOON_STOPPED),
    };
    ASSERT((allowed[balloon.state] & BALLOON_IN(next)) != 0);
    const enum balloon_state previous = balloon.state;
    balloon.state = next;

    switch (next) {
    case BALLOON_VERSION:
    case BALLOON_CAPABILITIES:
        balloon.deadline = clock_after(BALLOON_ANSWER_LIMIT);
        timer_arm(&balloon.timer, balloon.deadline);
        break;
    case BALLOON_IDLE:
        /* The status goes on while operations run: only the negotiation's end starts its clock. */
        if (previous == BALLOON_CAPABILITIES) {
            timer_cancel(&balloon.timer);
            if (!balloon.statistics.status_suppressed) {
                balloon.deadline = clock_after(STATUS_DELAY);
                timer_arm(&balloon.timer, balloon.deadline);
            }
        }
        break;
    case BALLOON_INFLATING:
    case BALLOON_DEFLATING:
    case BALLOON_REPLYING:
        break;
    default:
        timer_cancel(&balloon.timer);
        timer_cancel(&balloon.reply_timer);
        break;
    }
}

enum balloon_state balloon_state(void)
{
    return balloon.state;
}

/* Ends the conversation for good. Passive work closes the channel, since its callbacks must not. */
void balloon_fail(const char *reason)
{
    log_warning("balloon", "%s; no dynamic memory", reason);
    balloon_enter(BALLOON_FAILED);
    passive_work_queue(&balloon.give_up_work);
}

/* ---- negotiation ---- */

void balloon_request_version(void)
{
    struct dynamic_memory_version_request request = {
        .version = versions[balloon.version_index],
        .flags =
            balloon.version_index + 1 == VERSION_COUNT ? DYNAMIC_MEMORY_VERSION_LAST_ATTEMPT : 0,
    };

    balloon_enter(BALLOON_VERSION);
    balloon_send(DYNAMIC_MEMORY_VERSION_REQUEST, &request, sizeof(request), balloon_message_done);
}

void balloon_version_response(const void *message, size_t size)
{
    struct dynamic_memory_version_response response;
    (void)size;
    memcpy(&response, message, sizeof(response));

    if ((response.flags & DYNAMIC_MEMORY_VERSION_ACCEPTED) == 0) {
        if (balloon.version_index + 1 == VERSION_COUNT) {
            balloon_fail("the host refuses every protocol version from 2.0 to 0.3");
            return;
        }
        balloon.version_index++;
        balloon_request_version();
        return;
    }

    /* Zero and all ones are what hosts know from Linux; what else they may be, no source says. */
    struct dynamic_memory_capabilities_report report = {
        .capabilities = DYNAMIC_MEMORY_CAN_BALLOON | DYNAMIC_MEMORY_CAN_HOT_ADD |
                        DYNAMIC_MEMORY_HOT_ADD_ALIGNMENT(HOT_ADD_ALIGNMENT_EXPONENT),
        .minimum_pages = 0,
        .maximum_page_number = UINT64_MAX,
    };
    balloon.statistics.version = versions[balloon.version_index];
    balloon_enter(BALLOON_CAPABILITIES);
    balloon_send(DYNAMIC_MEMORY_CAPABILITIES_REPORT, &report, sizeof(report), balloon_message_done);
}

void balloon_capabilities_response(const void *message, size_t size)
{
    struct dynamic_memory_capabilities_response response;
    (void)size;
    memcpy(&response, message, sizeof(response));

    if ((response.flags & DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED) == 0) {
        balloon_fail("the host refuses this guest's capabilities");
        return;
    }
    balloon.statistics.status_suppressed = (response.flags & DYNAMIC_MEMORY_SUPPRESS_STATUS) != 0;
    balloon_enter(BALLOON_IDLE);
    log_info("balloon", "dynamic memory %u.%u: balloon and hot add, %s",
             (unsigned)(balloon.statistics.version >> 16),
             (unsigned)(balloon.statistics.version & 0xffff),
             balloon.statistics.status_suppressed ? "the host wants no status"
                                                  : "status every second");
}

/* ---- status ---- */

/*
 * `committed` is what the host steers by: all that is in use, ballooned pages included as they come
 * out of the same allocator, and as a floor the reserve this guest keeps. So a host sees the guest
 * short of memory as soon as the reserve is touched.
 */
static void send_status(void)
{
    struct pages_statistics memory;

    pages_statistics(&memory);
    struct dynamic_memory_status_report report = {
        .available = memory.free,
        .committed = memory.total - memory.free + memory.tables + balloon_pages_reserve(),
        .zero_and_free = memory.free,
    };

    if (atomic_load(&balloon.messages_waiting) > 0) {
        balloon.statistics.status_skipped++;
        return;
    }
    if (balloon_send(DYNAMIC_MEMORY_STATUS_REPORT, &report, sizeof(report), balloon_message_done)) {
        balloon.statistics.status_reports++;
        balloon.statistics.reported_available = report.available;
        balloon.statistics.reported_committed = report.committed;
    }
}

/* IRQL_DISPATCH. */
static void timer_expired(void *context)
{
    (void)context;
    passive_work_queue(&balloon.timer_work);
}

/* Passive work. */
static void timer_passed(void *context)
{
    (void)context;
    if (clock_now() < balloon.deadline) {
        return; /* armed anew since it expired */
    }

    switch (balloon.state) {
    case BALLOON_VERSION:
        balloon_fail("the host does not answer the version request within 5 s");
        break;
    case BALLOON_CAPABILITIES:
        balloon_fail("the host does not answer the capabilities within 5 s");
        break;
    case BALLOON_IDLE:
    case BALLOON_INFLATING:
    case BALLOON_DEFLATING:
    case BALLOON_REPLYING:
        send_status();
        balloon.deadline += STATUS_INTERVAL;
        if (balloon.deadline < clock_now()) {
            balloon.deadline = clock_after(STATUS_INTERVAL);
        }
        timer_arm(&balloon.timer, balloon.deadline);
        break;
    default:
        break;
    }
}

void balloon_initialise(void)
{
    timer_initialise(&balloon.timer, timer_expired, NULL);
    work_item_initialise(&balloon.timer_work, timer_passed, NULL);
}

/* ---- reports ---- */

void balloon_statistics(struct balloon_statistics *out)
{
    *out = balloon.statistics;
    out->state = balloon.state;
    out->ballooned = balloon.pages.count;
}

void balloon_report(void)
{
    const struct balloon_statistics *s = &balloon.statistics;

    log_info("balloon", "state: %s", balloon_state_name(balloon.state));
    if (s->version == 0) {
        return;
    }
    log_info("balloon",
             "protocol %u.%u; pages: %" PRIu64 " held by the host, %" PRIu64 " taken, %" PRIu64
             " returned, %" PRIu64 " hot added",
             (unsigned)(s->version >> 16), (unsigned)(s->version & 0xffff), balloon.pages.count,
             s->taken, s->returned, s->hot_added);
    log_info("balloon",
             "messages: %" PRIu64 " received, %" PRIu64 " malformed, %" PRIu64 " unknown, %" PRIu64
             " unexpected; %" PRIu64 " status reports",
             s->messages, s->messages_malformed, s->messages_unknown, s->messages_unexpected,
             s->status_reports);
}
