/* SPDX-License-Identifier: MIT */
/*
 * A sample driver, the host's end: everything a VSP needs, and nothing else. It is written as for
 * Windows: its only interface to the system is VmbusKernelModeClientLibApi.h.
 */

#include "tests/host/echo_server.h"

#include <stddef.h>
#include <string.h>

static NTSTATUS opened(VMBCHANNEL Channel)
{
    struct echo_server *server = VmbChannelGetPointer(Channel);

    server->is_open = TRUE;
    return STATUS_SUCCESS;
}

static VOID closed(VMBCHANNEL Channel)
{
    struct echo_server *server = VmbChannelGetPointer(Channel);

    server->is_open = FALSE;
}

static VOID process_packet(VMBCHANNEL Channel, VMBPACKETCOMPLETION Packet, PVOID Buffer,
                           UINT32 BufferLength, UINT32 Flags)
{
    struct echo_server *server = VmbChannelGetPointer(Channel);
    const struct echo_message *message = Buffer;

    (void)Flags;
    /* The guest may have sent anything. An empty answer is no message of this protocol, so its
     * driver will know. */
    if (BufferLength < ECHO_MESSAGE_SIZE(0) || message->length > ECHO_DATA_SIZE ||
        ECHO_MESSAGE_SIZE(message->length) > BufferLength) {
        server->malformed++;
        VmbChannelPacketComplete(Packet, NULL, 0);
        return;
    }
    server->echoed++;
    VmbChannelPacketComplete(Packet, Buffer, ECHO_MESSAGE_SIZE(message->length));
}

static NTSTATUS configure(VMBCHANNEL channel, HANDLE bus, GUID instance)
{
    static const GUID class_of_device = ECHO_CLASS;
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;

    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = opened;
    callbacks.EvtChannelClosed = closed;
    NTSTATUS status = VmbChannelInitSetStateChangeCallbacks(channel, &callbacks);
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetProcessPacketCallbacks(channel, process_packet, NULL);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetMaximumPacketSize(channel, sizeof(struct echo_message));
    }
    if (NT_SUCCESS(status)) {
        status = VmbServerChannelInitSetTargetInterfaceId(channel, class_of_device, instance);
    }
    if (NT_SUCCESS(status)) {
        status = VmbServerChannelInitSetVmbusHandle(channel, bus);
    }
    return status;
}

NTSTATUS echo_server_create(struct echo_server *server, HANDLE bus, GUID instance)
{
    memset(server, 0, sizeof(*server));
    NTSTATUS status = VmbChannelAllocate(NULL, TRUE, &server->channel);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    VmbChannelSetPointer(server->channel, server);
    status = configure(server->channel, bus, instance);
    if (!NT_SUCCESS(status)) {
        VmbChannelCleanup(server->channel);
        server->channel = NULL;
    }
    return status;
}

NTSTATUS echo_server_start(struct echo_server *server, HANDLE bus, GUID instance)
{
    NTSTATUS status = echo_server_create(server, bus, instance);
    if (!NT_SUCCESS(status)) {
        return status;
    }
    status = VmbChannelEnable(server->channel);
    if (!NT_SUCCESS(status)) {
        VmbChannelCleanup(server->channel);
        server->channel = NULL;
        return status;
    }
    VmbChannelStart(server->channel);
    return STATUS_SUCCESS;
}

VOID echo_server_stop(struct echo_server *server)
{
    VmbChannelDisable(server->channel);
    VmbChannelCleanup(server->channel);
    server->channel = NULL;
}
