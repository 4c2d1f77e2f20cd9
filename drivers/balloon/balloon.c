/* SPDX-License-Identifier: MIT */
#include "drivers/balloon/balloon.h"

#include <inttypes.h>
#include <string.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/init.h"
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

/* Data pages of each ring: Linux's 5 pages less the control page. A response takes up to one. */
#define RING_DATA_PAGES 4u

/*
 * Choice of ours: messages that may wait for room in the ring. A host that reads nothing costs no
 * more memory than these.
 */
#define MESSAGES_WAITING_MAX 8u

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

#define IN(state_) (1u << (state_))

/* The one place where the state changes. Starts the clock for what the new state waits for. */
void balloon_enter(enum balloon_state next)
{
    static const unsigned allowed[BALLOON_STATES] = {
        [BALLOON_STOPPED] = IN(BALLOON_WAITING) | IN(BALLOON_FAILED),
        [BALLOON_WAITING] =
            IN(BALLOON_VERSION) | IN(BALLOON_FAILED) | IN(BALLOON_CLOSING) | IN(BALLOON_STOPPED),
        [BALLOON_VERSION] = IN(BALLOON_VERSION) | IN(BALLOON_CAPABILITIES) | IN(BALLOON_FAILED) |
                            IN(BALLOON_CLOSING),
        [BALLOON_CAPABILITIES] = IN(BALLOON_IDLE) | IN(BALLOON_FAILED) | IN(BALLOON_CLOSING),
        [BALLOON_IDLE] = IN(BALLOON_INFLATING) | IN(BALLOON_DEFLATING) | IN(BALLOON_REPLYING) |
                         IN(BALLOON_CLOSING),
        [BALLOON_INFLATING] = IN(BALLOON_IDLE) | IN(BALLOON_CLOSING),
        [BALLOON_DEFLATING] = IN(BALLOON_IDLE) | IN(BALLOON_REPLYING) | IN(BALLOON_CLOSING),
        [BALLOON_REPLYING] = IN(BALLOON_IDLE) | IN(BALLOON_CLOSING),
        [BALLOON_CLOSING] = IN(BALLOON_WAITING) | IN(BALLOON_STOPPED),
        [BALLOON_FAILED] = IN(BALLOON_STOPPED),
    };
    ASSERT((allowed[balloon.state] & IN(next)) != 0);
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
static void fail(const char *reason)
{
    log_warning("balloon", "%s; no dynamic memory", reason);
    balloon_enter(BALLOON_FAILED);
    passive_work_queue(&balloon.give_up_work);
}

static void give_up(void *context)
{
    (void)context;
    VmbChannelDisable(balloon.channel);
}

/* ---- sending ---- */

void balloon_message_left(VMBPACKET packet)
{
    VmbPacketFree(packet);
    atomic_fetch_sub(&balloon.messages_waiting, 1);
}

/* IRQL_DISPATCH: the message is in the ring, or never will be. */
void balloon_message_done(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    (void)status;
    (void)buffer;
    (void)length;
    balloon_message_left(packet);
}

bool balloon_send(enum dynamic_memory_message_type type, void *message, size_t size,
                  PFN_VMB_PACKET_COMPLETION_ROUTINE done)
{
    struct dynamic_memory_header header = {
        .type = (uint16_t)type, .size = (uint16_t)size, .transaction_id = ++balloon.transaction_id};
    memcpy(message, &header, sizeof(header));

    VMBPACKET packet = NULL;
    if (atomic_load(&balloon.messages_waiting) < MESSAGES_WAITING_MAX)
        packet = VmbPacketAllocate(balloon.channel);
    if (packet) {
        atomic_fetch_add(&balloon.messages_waiting, 1);
        VmbPacketSetCompletionRoutine(packet, done);
        if (NT_SUCCESS(VmbPacketSend(packet, message, (UINT32)size, NULL, 0)))
            return true;
        balloon_message_left(packet);
    }

    balloon.statistics.replies_dropped++;
    if (!balloon.dropped_reported) {
        balloon.dropped_reported = true;
        log_warning("balloon", "a message to the host (type %u) could not be sent; reported once",
                    (unsigned)type);
    }
    return false;
}

/* ---- negotiation ---- */

static void request_version(void)
{
    struct dynamic_memory_version_request request = {
        .version = versions[balloon.version_index],
        .flags =
            balloon.version_index + 1 == VERSION_COUNT ? DYNAMIC_MEMORY_VERSION_LAST_ATTEMPT : 0,
    };

    balloon_enter(BALLOON_VERSION);
    balloon_send(DYNAMIC_MEMORY_VERSION_REQUEST, &request, sizeof(request), balloon_message_done);
}

static void version_response(const void *message, size_t size)
{
    struct dynamic_memory_version_response response;
    (void)size;
    memcpy(&response, message, sizeof(response));

    if ((response.flags & DYNAMIC_MEMORY_VERSION_ACCEPTED) == 0) {
        if (balloon.version_index + 1 == VERSION_COUNT) {
            fail("the host refuses every protocol version from 2.0 to 0.3");
            return;
        }
        balloon.version_index++;
        request_version();
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

static void capabilities_response(const void *message, size_t size)
{
    struct dynamic_memory_capabilities_response response;
    (void)size;
    memcpy(&response, message, sizeof(response));

    if ((response.flags & DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED) == 0) {
        fail("the host refuses this guest's capabilities");
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

static void timer_passed(void *context)
{
    (void)context;
    if (clock_now() < balloon.deadline)
        return; /* armed anew since it expired */

    switch (balloon.state) {
    case BALLOON_VERSION:
        fail("the host does not answer the version request within 5 s");
        break;
    case BALLOON_CAPABILITIES:
        fail("the host does not answer the capabilities within 5 s");
        break;
    case BALLOON_IDLE:
    case BALLOON_INFLATING:
    case BALLOON_DEFLATING:
    case BALLOON_REPLYING:
        send_status();
        balloon.deadline += STATUS_INTERVAL;
        if (balloon.deadline < clock_now())
            balloon.deadline = clock_after(STATUS_INTERVAL);
        timer_arm(&balloon.timer, balloon.deadline);
        break;
    default:
        break;
    }
}

/* ---- receiving ---- */

/* What a host may send: when, how long at least, and who handles it. The rest is unknown. */
static const struct {
    size_t size;
    unsigned states;
    void (*handle)(const void *message, size_t size); /* size: as the header says, checked */
} host_messages[] = {
    [DYNAMIC_MEMORY_VERSION_RESPONSE] = {sizeof(struct dynamic_memory_version_response),
                                         IN(BALLOON_VERSION), version_response},
    [DYNAMIC_MEMORY_CAPABILITIES_RESPONSE] = {sizeof(struct dynamic_memory_capabilities_response),
                                              IN(BALLOON_CAPABILITIES), capabilities_response},
    [DYNAMIC_MEMORY_BALLOON_REQUEST] = {sizeof(struct dynamic_memory_balloon_request),
                                        IN(BALLOON_IDLE) | IN(BALLOON_DEFLATING),
                                        balloon_balloon_request},
    [DYNAMIC_MEMORY_UNBALLOON_REQUEST] = {sizeof(struct dynamic_memory_unballoon_request),
                                          IN(BALLOON_IDLE) | IN(BALLOON_DEFLATING),
                                          balloon_unballoon_request},
    [DYNAMIC_MEMORY_HOT_ADD_REQUEST] = {DYNAMIC_MEMORY_HOT_ADD_SIZE_WITHOUT_REGION,
                                        IN(BALLOON_IDLE) | IN(BALLOON_DEFLATING),
                                        balloon_hot_add_request},
    [DYNAMIC_MEMORY_INFORMATION] = {offsetof(struct dynamic_memory_information, maximum_pages),
                                    IN(BALLOON_CAPABILITIES) | IN(BALLOON_IDLE) |
                                        IN(BALLOON_INFLATING) | IN(BALLOON_DEFLATING) |
                                        IN(BALLOON_REPLYING),
                                    balloon_information},
};
#define HOST_MESSAGE_COUNT (sizeof(host_messages) / sizeof(host_messages[0]))

static void report_once(bool *reported, const char *what, const void *message, size_t length)
{
    if (*reported)
        return;
    *reported = true;
    struct dynamic_memory_header header = {0};
    memcpy(&header, message, length < sizeof(header) ? length : sizeof(header));
    log_warning("balloon",
                "%s message ignored: type %u, size %u, in a packet of %zu, state %s; reported once",
                what, header.type, header.size, length, balloon_state_name(balloon.state));
}

void balloon_malformed(const void *message, size_t length)
{
    balloon.statistics.messages_malformed++;
    report_once(&balloon.malformed_reported, "malformed", message, length);
}

/* The ring rounds `length` up to 8, so the header's size may be smaller, but never larger. */
static void receive(const void *message, size_t length, bool external_data)
{
    struct dynamic_memory_header header;

    balloon.statistics.messages++;
    if (external_data || length < sizeof(header) || length > DYNAMIC_MEMORY_MESSAGE_SIZE_MAX) {
        balloon_malformed(message, length);
        return;
    }
    memcpy(&header, message, sizeof(header));
    if (header.size < sizeof(header) || header.size > length) {
        balloon_malformed(message, length);
        return;
    }
    if (header.type >= HOST_MESSAGE_COUNT || !host_messages[header.type].handle) {
        balloon.statistics.messages_unknown++;
        report_once(&balloon.unknown_reported, "unknown", message, length);
        return;
    }
    if (header.size < host_messages[header.type].size) {
        balloon_malformed(message, length);
        return;
    }
    if ((host_messages[header.type].states & IN(balloon.state)) == 0) {
        balloon.statistics.messages_unexpected++;
        report_once(&balloon.unexpected_reported, "unexpected", message, length);
        return;
    }
    host_messages[header.type].handle(message, header.size);
}

static void packet_received(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                            UINT32 length, UINT32 flags)
{
    (void)channel;
    receive(buffer, length, (flags & VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA) != 0);
    VmbChannelPacketComplete(packet, NULL, 0);
}

/* ---- the channel's life ---- */

static NTSTATUS channel_opened(VMBCHANNEL channel)
{
    (void)channel;
    if (balloon_pages_prepare(&balloon.pages))
        return STATUS_SUCCESS;
    log_warning("balloon", "no memory for the list of pages; no dynamic memory");
    balloon_enter(BALLOON_FAILED);
    return STATUS_INSUFFICIENT_RESOURCES;
}

static void channel_post_started(VMBCHANNEL channel)
{
    (void)channel;
    balloon.version_index = 0;
    balloon.statistics.version = 0;
    request_version();
}

static void channel_suspended(VMBCHANNEL channel)
{
    (void)channel;
    /* It closes by itself: whoever closes it too, amid its closing, would wait for himself. */
    passive_work_cancel(&balloon.give_up_work);
    if (balloon.state == BALLOON_INFLATING)
        balloon.statistics.requests_partial++;
    if (balloon.state != BALLOON_FAILED)
        balloon_enter(BALLOON_CLOSING);
}

static void channel_closed(VMBCHANNEL channel)
{
    (void)channel;
    if (balloon.state == BALLOON_FAILED)
        return;
    log_info("balloon", "the channel is closed; the host keeps %" PRIu64 " pages",
             balloon.pages.count);
    if (balloon.ending) {
        balloon_enter(BALLOON_STOPPED);
        return;
    }
    balloon_enter(BALLOON_WAITING);
    passive_work_queue(&balloon.restart_work);
}

static void channel_pnp_failed(VMBCHANNEL channel, NTSTATUS status)
{
    (void)channel;
    if (balloon.state != BALLOON_WAITING)
        return; /* said already */
    if (status == STATUS_DEVICE_REMOVED) {
        passive_work_queue(&balloon.restart_work);
        return;
    }
    log_warning("balloon", "the channel does not open: status 0x%08" PRIx32 "; no dynamic memory",
                (uint32_t)status);
    balloon_enter(BALLOON_FAILED);
}

/* A rescinded device may be offered again: wait for that. */
static void restart(void *context)
{
    (void)context;
    if (balloon.state == BALLOON_WAITING && !NT_SUCCESS(VmbChannelEnable(balloon.channel)))
        fail("the channel cannot be enabled again");
}

/* Runs before VMBus says goodbye, since it was registered later. */
static void leave(void)
{
    balloon.ending = true;
    VmbChannelDisable(balloon.channel);
    if (balloon.state != BALLOON_STOPPED)
        balloon_enter(BALLOON_STOPPED);
}

static NTSTATUS configure(VMBCHANNEL channel)
{
    static const GUID class = DYNAMIC_MEMORY_CLASS_INITIALISER;
    static WCHAR name_text[] = u"balloon";
    const UNICODE_STRING name = {sizeof(name_text) - sizeof(WCHAR), sizeof(name_text), name_text};
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    NTSTATUS status;

    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = channel_opened;
    callbacks.EvtChannelPostStarted = channel_post_started;
    callbacks.EvtChannelSuspend = channel_suspended;
    callbacks.EvtChannelClosed = channel_closed;

    VmbChannelSetIncomingProcessingAtPassive(channel, TRUE);
    status = VmbChannelInitSetMaximumPacketSize(channel, DYNAMIC_MEMORY_MESSAGE_SIZE_MAX);
    if (NT_SUCCESS(status))
        status =
            VmbClientChannelInitSetRingBufferPageCount(channel, RING_DATA_PAGES, RING_DATA_PAGES);
    if (NT_SUCCESS(status))
        status = VmbChannelInitSetProcessPacketCallbacks(channel, packet_received, NULL);
    if (NT_SUCCESS(status))
        status = VmbChannelInitSetStateChangeCallbacks(channel, &callbacks);
    if (NT_SUCCESS(status))
        status = VmbChannelInitSetFriendlyName(channel, &name);
    if (NT_SUCCESS(status))
        status = VmbClientChannelInitSetTargetPnp(channel, &class, NULL, channel_pnp_failed);
    return status;
}

void balloon_start(void)
{
    timer_initialise(&balloon.timer, timer_expired, NULL);
    work_item_initialise(&balloon.timer_work, timer_passed, NULL);
    work_item_initialise(&balloon.restart_work, restart, NULL);
    work_item_initialise(&balloon.give_up_work, give_up, NULL);
    balloon_requests_initialise();

    NTSTATUS status = VmbChannelAllocate(NULL, FALSE, &balloon.channel);
    if (NT_SUCCESS(status)) {
        status = configure(balloon.channel);
        if (NT_SUCCESS(status)) {
            balloon_enter(BALLOON_WAITING);
            status = VmbChannelEnable(balloon.channel);
        }
        if (!NT_SUCCESS(status))
            VmbChannelCleanup(balloon.channel);
    }
    if (!NT_SUCCESS(status)) {
        log_warning("balloon", "cannot start: status 0x%08" PRIx32, (uint32_t)status);
        balloon_enter(BALLOON_FAILED);
        return;
    }
    balloon.exit_hook.leave = leave;
    exit_hook_register(&balloon.exit_hook);
}

INIT_ENTRY(INIT_DRIVERS, balloon_start);

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
    if (s->version == 0)
        return;
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
