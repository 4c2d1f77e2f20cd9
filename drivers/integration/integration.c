/* SPDX-License-Identifier: MIT */
#include "drivers/integration/integration.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "drivers/integration/integration_negotiation.h"
#include "kernel/exit.h"
#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/panic.h"

/* All that were started, for reports and for the end. */
static struct integration_device *devices;
static struct exit_hook exit_hook;

/* ---- states ---- */

const char *integration_state_name(enum integration_state state)
{
    static const char *const names[INTEGRATION_STATES] = {
        [INTEGRATION_STOPPED] = "stopped", [INTEGRATION_WAITING] = "waiting for the device",
        [INTEGRATION_OPEN] = "open",       [INTEGRATION_NEGOTIATED] = "negotiated",
        [INTEGRATION_FAILED] = "failed",
    };
    return (unsigned)state < INTEGRATION_STATES ? names[state] : "unknown";
}

/* The one place where the state changes. */
static void enter(struct integration_device *device, enum integration_state next)
{
#define IN(state) (1u << (state))
    static const unsigned allowed[INTEGRATION_STATES] = {
        [INTEGRATION_STOPPED] = IN(INTEGRATION_WAITING),
        [INTEGRATION_WAITING] =
            IN(INTEGRATION_OPEN) | IN(INTEGRATION_FAILED) | IN(INTEGRATION_STOPPED),
        [INTEGRATION_OPEN] = IN(INTEGRATION_NEGOTIATED) | IN(INTEGRATION_OPEN) |
                             IN(INTEGRATION_WAITING) | IN(INTEGRATION_FAILED) |
                             IN(INTEGRATION_STOPPED),
        [INTEGRATION_NEGOTIATED] = IN(INTEGRATION_NEGOTIATED) | IN(INTEGRATION_OPEN) |
                                   IN(INTEGRATION_WAITING) | IN(INTEGRATION_FAILED) |
                                   IN(INTEGRATION_STOPPED),
        [INTEGRATION_FAILED] = IN(INTEGRATION_STOPPED),
    };
    ASSERT((allowed[device->state] & IN(next)) != 0);
#undef IN
    device->state = next;
}

/* ---- answers ---- */

/* At most DISPATCH: the ring has the answer, or there is none any more. The next request comes. */
static void give_back(struct integration_device *device)
{
    VMBPACKETCOMPLETION request = device->request;

    device->request = NULL;
    device->message = NULL;
    if (request != NULL) {
        VmbChannelPacketComplete(request, NULL, 0);
    }
}

static VOID answered(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct integration_device *device = VmbChannelGetPointer(VmbPacketGetChannel(packet));

    (void)status;
    (void)buffer;
    (void)length;
    device->answering = false;
    give_back(device);
}

/* The request goes back as long as it came: hosts measure it. */
static void send_answer(struct integration_device *device)
{
    device->answering = true;
    if (!NT_SUCCESS(VmbPacketSend(device->answer, device->message, device->length, NULL, 0))) {
        device->answering = false;
        give_back(device);
    }
}

static void answer(struct integration_device *device, uint32_t status)
{
    struct integration_header header;

    memcpy(&header, device->message, sizeof(header));
    header.status = status;
    header.flags = INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_RESPONSE;
    memcpy(device->message, &header, sizeof(header));
    device->statistics.requests++;
    device->statistics.refused += status != INTEGRATION_STATUS_OK ? 1 : 0;
    send_answer(device);
}

void integration_answer(struct integration_device *device, uint32_t status)
{
    enum irql level = irql_raise_to_dispatch();

    if (device->request != NULL && !device->answering) {
        answer(device, status);
    }
    irql_lower(level);
}

/* ---- requests ---- */

static void report_malformed(struct integration_device *device, const char *what, uint32_t length)
{
    device->statistics.malformed++;
    if (!device->malformed_reported) {
        device->malformed_reported = true;
        log_warning(device->service->name, "%s, %" PRIu32 " bytes; reported once", what, length);
    }
}

static void negotiate(struct integration_device *device, struct integration_header *header)
{
    const enum integration_state before = device->state;

    enter(device, INTEGRATION_OPEN);
    header->body_size =
        integration_negotiate(device->service->versions, device->message + sizeof(*header),
                              header->body_size, &device->framework, &device->version);
    header->status = INTEGRATION_STATUS_OK;
    header->flags = INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_RESPONSE;
    memcpy(device->message, header, sizeof(*header));
    if (device->framework.major != 0) {
        device->statistics.negotiations++;
        enter(device, INTEGRATION_NEGOTIATED);
        if (before == INTEGRATION_OPEN) {
            log_info(device->service->name, "version %u.%u, framework %u.%u", device->version.major,
                     device->version.minor, device->framework.major, device->framework.minor);
        }
        if (device->service->negotiated != NULL) {
            device->service->negotiated(device);
        }
    } else {
        report_malformed(device, "the host has no version in common with this driver",
                         device->length);
    }
    send_answer(device);
}

/* What is well-formed gets an answer, so that a host that waits for it goes on. False: it is not.
 */
static bool take(struct integration_device *device)
{
    const struct integration_service *service = device->service;
    struct integration_header header;

    if (device->length < sizeof(header) || device->length > service->message_size) {
        return false;
    }
    memcpy(&header, device->message, sizeof(header));
    if (header.body_size > device->length - sizeof(header) ||
        (header.flags & INTEGRATION_FLAG_RESPONSE) != 0) {
        return false;
    }
    if (header.type == INTEGRATION_NEGOTIATE) {
        if (header.body_size < INTEGRATION_NEGOTIATE_ANSWER_SIZE) {
            return false;
        }
        negotiate(device, &header);
        return true;
    }
    uint32_t status;
    if (header.type != service->type) {
        status = INTEGRATION_STATUS_NOT_SUPPORTED;
    } else if (device->state != INTEGRATION_NEGOTIATED) {
        status = INTEGRATION_STATUS_FAILURE;
    } else if (header.body_size < service->body_size_minimum) {
        report_malformed(device, "a request is too short", device->length);
        status = INTEGRATION_STATUS_INVALID_ARGUMENT;
    } else {
        status = service->request(device, device->message + sizeof(header), header.body_size);
    }
    if (status != INTEGRATION_ANSWER_LATER) {
        answer(device, status);
    }
    return true;
}

static VOID packet_received(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                            UINT32 length, UINT32 flags)
{
    struct integration_device *device = VmbChannelGetPointer(channel);

    (void)flags;
    device->request = packet;
    device->message = buffer;
    device->length = length;
    if (!take(device)) {
        report_malformed(device, "a message is malformed", length);
        give_back(device);
    }
}

/* ---- the channel's life ---- */

static NTSTATUS channel_opened(VMBCHANNEL channel)
{
    struct integration_device *device = VmbChannelGetPointer(channel);

    device->statistics.opened++;
    enter(device, INTEGRATION_OPEN);
    return STATUS_SUCCESS;
}

/* The library waits for what was delivered; an answer that waits for room need not hold it up. */
static VOID channel_suspended(VMBCHANNEL channel)
{
    struct integration_device *device = VmbChannelGetPointer(channel);

    if (device->service->closing != NULL) {
        device->service->closing(device);
    }
    enum irql level = irql_raise_to_dispatch();
    give_back(device);
    irql_lower(level);
}

static VOID channel_closed(VMBCHANNEL channel)
{
    struct integration_device *device = VmbChannelGetPointer(channel);

    if (device->reopen.ended) {
        enter(device, INTEGRATION_STOPPED);
        return;
    }
    enter(device, reopen_after_close(&device->reopen) ? INTEGRATION_WAITING : INTEGRATION_FAILED);
}

static VOID channel_failed(VMBCHANNEL channel, NTSTATUS status)
{
    struct integration_device *device = VmbChannelGetPointer(channel);

    if (!device->reopen.ended && device->state == INTEGRATION_WAITING &&
        !reopen_after_failure(&device->reopen, status)) {
        enter(device, INTEGRATION_FAILED);
    }
}

static void not_reopened(void *context)
{
    enter(context, INTEGRATION_FAILED);
}

void integration_end(void)
{
    for (struct integration_device *device = devices; device != NULL; device = device->next) {
        reopen_end(&device->reopen);
        if (device->state != INTEGRATION_STOPPED) {
            enter(device, INTEGRATION_STOPPED);
        }
        VmbPacketFree(device->answer);
        VmbChannelCleanup(device->channel);
    }
    devices = NULL;
}

static NTSTATUS configure(struct integration_device *device)
{
    const struct integration_service *service = device->service;
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    WCHAR wide[32];
    UNICODE_STRING name = {0, sizeof(wide), wide};

    for (; service->name[name.Length / sizeof(WCHAR)] != '\0' && name.Length < sizeof(wide);
         name.Length = (USHORT)(name.Length + sizeof(WCHAR))) {
        wide[name.Length / sizeof(WCHAR)] =
            (unsigned char)service->name[name.Length / sizeof(WCHAR)];
    }
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = channel_opened;
    callbacks.EvtChannelSuspend = channel_suspended;
    callbacks.EvtChannelClosed = channel_closed;
    NTSTATUS status = VmbChannelInitSetStateChangeCallbacks(device->channel, &callbacks);
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetProcessPacketCallbacks(device->channel, packet_received, NULL);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetFlags(device->channel, VMBUS_CHANNEL_INIT_FLAG_IS_PIPE);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetMaximumPacketSize(device->channel, service->message_size);
    }
    if (NT_SUCCESS(status)) {
        /* Raised to what the messages need. */
        status = VmbClientChannelInitSetRingBufferPageCount(device->channel, 1, 1);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetFriendlyName(device->channel, &name);
    }
    if (NT_SUCCESS(status)) {
        status = VmbClientChannelInitSetTargetPnp(device->channel, &service->device_class, NULL,
                                                  channel_failed);
    }
    VmbChannelSetTransactionQuota(device->channel, 1);
    return status;
}

static NTSTATUS start(struct integration_device *device)
{
    NTSTATUS status = VmbChannelAllocate(NULL, FALSE, &device->channel);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    VmbChannelSetPointer(device->channel, device);
    status = configure(device);
    if (!NT_SUCCESS(status)) {
        goto err_configure;
    }
    status = STATUS_INSUFFICIENT_RESOURCES;
    device->answer = VmbPacketAllocate(device->channel);
    if (device->answer == NULL) {
        goto err_configure;
    }
    VmbPacketSetCompletionRoutine(device->answer, answered);
    reopen_initialise(&device->reopen, device->service->name, device->channel, not_reopened,
                      device);
    enter(device, INTEGRATION_WAITING);
    status = VmbChannelEnable(device->channel);
    if (NT_SUCCESS(status)) {
        return status;
    }
    enter(device, INTEGRATION_STOPPED);
    VmbPacketFree(device->answer);
err_configure:
    VmbChannelCleanup(device->channel);
    return status;
}

void integration_start(struct integration_device *device, const struct integration_service *service)
{
    device->service = service;
    const NTSTATUS status = start(device);
    if (!NT_SUCCESS(status)) {
        log_warning(service->name, "cannot start: status 0x%08" PRIx32, (uint32_t)status);
        return;
    }
    if (exit_hook.leave == NULL) {
        exit_hook.leave = integration_end; /* before VMBus says goodbye: registered later */
        exit_hook_register(&exit_hook);
    }
    device->next = devices;
    devices = device;
}

void integration_report(void)
{
    for (const struct integration_device *device = devices; device != NULL; device = device->next) {
        const struct integration_statistics *s = &device->statistics;
        log_info(device->service->name,
                 "%s, version %u.%u: %" PRIu64 " requests, %" PRIu64 " refused, %" PRIu64
                 " malformed",
                 integration_state_name(device->state), device->version.major,
                 device->version.minor, s->requests, s->refused, s->malformed);
    }
}
