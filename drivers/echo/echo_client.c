/* SPDX-License-Identifier: MIT */
/*
 * A sample driver, the guest's end: everything a VSC needs, and nothing else. It is written as for
 * Windows: its only interface to the system is VmbusKernelModeClientLibApi.h.
 */

#include "drivers/echo/echo_client.h"

#include <stddef.h>
#include <string.h>

#define TEN_SECONDS_FROM_NOW (-100000000) /* 100 ns units; negative: relative */

static VOID post_started(VMBCHANNEL Channel)
{
    struct echo_client *client = VmbChannelGetPointer(Channel);

    client->is_ready = TRUE;
}

static VOID suspended(VMBCHANNEL Channel)
{
    struct echo_client *client = VmbChannelGetPointer(Channel);

    client->is_ready = FALSE;
}

/* The server of this protocol sends nothing of its own; whoever does gets it back unread. */
static VOID process_packet(VMBCHANNEL Channel, VMBPACKETCOMPLETION Packet, PVOID Buffer,
                           UINT32 BufferLength, UINT32 Flags)
{
    (void)Channel;
    (void)Buffer;
    (void)BufferLength;
    (void)Flags;
    VmbChannelPacketComplete(Packet, NULL, 0);
}

static NTSTATUS configure(VMBCHANNEL channel)
{
    static const GUID class_of_device = ECHO_CLASS;
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;

    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelPostStarted = post_started;
    callbacks.EvtChannelSuspend = suspended;
    NTSTATUS status = VmbChannelInitSetStateChangeCallbacks(channel, &callbacks);
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetProcessPacketCallbacks(channel, process_packet, NULL);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetMaximumPacketSize(channel, sizeof(struct echo_message));
    }
    if (NT_SUCCESS(status)) {
        status = VmbClientChannelInitSetTargetPnp(channel, &class_of_device, NULL, NULL);
    }
    return status;
}

NTSTATUS echo_client_start(struct echo_client *client)
{
    memset(client, 0, sizeof(*client));
    NTSTATUS status = VmbChannelAllocate(NULL, FALSE, &client->channel);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    VmbChannelSetPointer(client->channel, client);
    status = configure(client->channel);
    if (NT_SUCCESS(status)) {
        status = VmbChannelEnable(client->channel);
    }
    if (!NT_SUCCESS(status)) {
        VmbChannelCleanup(client->channel);
        client->channel = NULL;
    }
    return status;
}

VOID echo_client_stop(struct echo_client *client)
{
    VmbChannelDisable(client->channel);
    VmbChannelCleanup(client->channel);
    client->channel = NULL;
}

NTSTATUS echo_client_exchange(struct echo_client *client, const void *data, UINT32 length,
                              void *answer)
{
    struct echo_message request;
    struct echo_message reply;
    UINT32 size = sizeof(reply); /* a multiple of 8 */
    LARGE_INTEGER timeout;

    if (length > ECHO_DATA_SIZE) {
        return STATUS_INVALID_PARAMETER;
    }
    timeout.QuadPart = TEN_SECONDS_FROM_NOW;
    request.length = length;
    request.sequence = ++client->sequence;
    memcpy(request.data, data, length);
    NTSTATUS status = VmbChannelSendSynchronousRequest(
        client->channel, &request, ECHO_MESSAGE_SIZE(length), NULL,
        VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION, &reply, &size, &timeout);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    /* The other end is not to be trusted with our memory. */
    if (size < ECHO_MESSAGE_SIZE(length) || reply.length != length ||
        reply.sequence != request.sequence) {
        return STATUS_UNSUCCESSFUL;
    }
    memcpy(answer, reply.data, length);
    return STATUS_SUCCESS;
}
