/* SPDX-License-Identifier: MIT */
/* The driver's end of its channel: what goes out, what comes in, and how it opens and closes. */
#include <inttypes.h>
#include <string.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/init.h"
#include "kernel/log.h"

/* Data pages of each ring: Linux's 5 pages less the control page. A response takes up to one. */
#define RING_DATA_PAGES 4u

/*
 * Choice of ours: messages that may wait for room in the ring. A host that reads nothing costs no
 * more memory than these.
 */
#define MESSAGES_WAITING_MAX 8u

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
    if (atomic_load(&balloon.messages_waiting) < MESSAGES_WAITING_MAX) {
        packet = VmbPacketAllocate(balloon.channel);
    }
    if (packet != NULL) {
        atomic_fetch_add(&balloon.messages_waiting, 1);
        VmbPacketSetCompletionRoutine(packet, done);
        if (NT_SUCCESS(VmbPacketSend(packet, message, (UINT32)size, NULL, 0))) {
            return true;
        }
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

/* ---- receiving ---- */

/* What a host may send: when, how long at least, and who handles it. The rest is unknown. */
static const struct {
    size_t size;
    unsigned states;
    void (*handle)(const void *message, size_t size); /* size: as the header says, checked */
} host_messages[] = {
    [DYNAMIC_MEMORY_VERSION_RESPONSE] = {sizeof(struct dynamic_memory_version_response),
                                         BALLOON_IN(BALLOON_VERSION), balloon_version_response},
    [DYNAMIC_MEMORY_CAPABILITIES_RESPONSE] = {sizeof(struct dynamic_memory_capabilities_response),
                                              BALLOON_IN(BALLOON_CAPABILITIES),
                                              balloon_capabilities_response},
    [DYNAMIC_MEMORY_BALLOON_REQUEST] = {sizeof(struct dynamic_memory_balloon_request),
                                        BALLOON_IN(BALLOON_IDLE) | BALLOON_IN(BALLOON_DEFLATING),
                                        balloon_balloon_request},
    [DYNAMIC_MEMORY_UNBALLOON_REQUEST] = {sizeof(struct dynamic_memory_unballoon_request),
                                          BALLOON_IN(BALLOON_IDLE) | BALLOON_IN(BALLOON_DEFLATING),
                                          balloon_unballoon_request},
    [DYNAMIC_MEMORY_HOT_ADD_REQUEST] = {DYNAMIC_MEMORY_HOT_ADD_SIZE_WITHOUT_REGION,
                                        BALLOON_IN(BALLOON_IDLE) | BALLOON_IN(BALLOON_DEFLATING),
                                        balloon_hot_add_request},
    [DYNAMIC_MEMORY_INFORMATION] = {offsetof(struct dynamic_memory_information, maximum_pages),
                                    BALLOON_IN(BALLOON_CAPABILITIES) | BALLOON_IN(BALLOON_IDLE) |
                                        BALLOON_IN(BALLOON_INFLATING) |
                                        BALLOON_IN(BALLOON_DEFLATING) |
                                        BALLOON_IN(BALLOON_REPLYING),
                                    balloon_information},
};
#define HOST_MESSAGE_COUNT (sizeof(host_messages) / sizeof(host_messages[0]))

static void report_once(bool *reported, const char *what, const void *message, size_t length)
{
    if (*reported) {
        return;
    }
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
    if (header.type >= HOST_MESSAGE_COUNT || host_messages[header.type].handle == NULL) {
        balloon.statistics.messages_unknown++;
        report_once(&balloon.unknown_reported, "unknown", message, length);
        return;
    }
    if (header.size < host_messages[header.type].size) {
        balloon_malformed(message, length);
        return;
    }
    if ((host_messages[header.type].states & BALLOON_IN(balloon.state)) == 0) {
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

static void give_up(void *context)
{
    (void)context;
    VmbChannelDisable(balloon.channel);
}

static NTSTATUS channel_opened(VMBCHANNEL channel)
{
    (void)channel;
    if (balloon_pages_prepare(&balloon.pages)) {
        return STATUS_SUCCESS;
    }
    log_warning("balloon", "no memory for the list of pages; no dynamic memory");
    balloon_enter(BALLOON_FAILED);
    return STATUS_INSUFFICIENT_RESOURCES;
}

static void channel_post_started(VMBCHANNEL channel)
{
    (void)channel;
    balloon.version_index = 0;
    balloon.statistics.version = 0;
    balloon_request_version();
}

static void channel_suspended(VMBCHANNEL channel)
{
    (void)channel;
    /* The channel is closing already: work that disables it meanwhile would wait for itself. */
    passive_work_cancel(&balloon.give_up_work);
    if (balloon.state == BALLOON_INFLATING) {
        balloon.statistics.requests_partial++;
    }
    if (balloon.state != BALLOON_FAILED) {
        balloon_enter(BALLOON_CLOSING);
    }
}

static void channel_closed(VMBCHANNEL channel)
{
    (void)channel;
    if (balloon.state == BALLOON_FAILED) {
        return;
    }
    log_info("balloon", "the channel is closed; the host keeps %" PRIu64 " pages",
             balloon.pages.count);
    if (balloon.reopen.ended) {
        balloon_enter(BALLOON_STOPPED);
        return;
    }
    balloon_enter(reopen_after_close(&balloon.reopen) ? BALLOON_WAITING : BALLOON_FAILED);
}

static void channel_pnp_failed(VMBCHANNEL channel, NTSTATUS status)
{
    (void)channel;
    if (!balloon.reopen.ended && balloon.state == BALLOON_WAITING &&
        !reopen_after_failure(&balloon.reopen, status)) {
        balloon_enter(BALLOON_FAILED);
    }
}

static void not_reopened(void *context)
{
    (void)context;
    balloon_enter(BALLOON_FAILED);
}

/* Runs before VMBus says goodbye, since it was registered later. */
static void leave(void)
{
    reopen_end(&balloon.reopen);
    if (balloon.state != BALLOON_STOPPED) {
        balloon_enter(BALLOON_STOPPED);
    }
}

static NTSTATUS configure(VMBCHANNEL channel)
{
    static const GUID class = DYNAMIC_MEMORY_CLASS_INITIALISER;
    static WCHAR text[] = u"balloon";
    const UNICODE_STRING name = RTL_CONSTANT_STRING(text);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    NTSTATUS status;

    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = channel_opened;
    callbacks.EvtChannelPostStarted = channel_post_started;
    callbacks.EvtChannelSuspend = channel_suspended;
    callbacks.EvtChannelClosed = channel_closed;

    VmbChannelSetIncomingProcessingAtPassive(channel, TRUE);
    status = VmbChannelInitSetMaximumPacketSize(channel, DYNAMIC_MEMORY_MESSAGE_SIZE_MAX);
    if (NT_SUCCESS(status)) {
        status =
            VmbClientChannelInitSetRingBufferPageCount(channel, RING_DATA_PAGES, RING_DATA_PAGES);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetProcessPacketCallbacks(channel, packet_received, NULL);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetStateChangeCallbacks(channel, &callbacks);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetFriendlyName(channel, &name);
    }
    if (NT_SUCCESS(status)) {
        status = VmbClientChannelInitSetTargetPnp(channel, &class, NULL, channel_pnp_failed);
    }
    return status;
}

void balloon_start(void)
{
    balloon_initialise();
    work_item_initialise(&balloon.give_up_work, give_up, NULL);
    balloon_requests_initialise();

    NTSTATUS status = VmbChannelAllocate(NULL, FALSE, &balloon.channel);
    if (NT_SUCCESS(status)) {
        status = configure(balloon.channel);
        reopen_initialise(&balloon.reopen, "balloon", balloon.channel, not_reopened, NULL);
        if (NT_SUCCESS(status)) {
            balloon_enter(BALLOON_WAITING);
            status = VmbChannelEnable(balloon.channel);
        }
        if (!NT_SUCCESS(status)) {
            VmbChannelCleanup(balloon.channel);
        }
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
