/* SPDX-License-Identifier: MIT */
#include "tests/unit/balloon/fake_kmcl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kmcl_extensions.h"

#include "kernel/irql.h"
#include "kernel/work.h"

struct VMBCHANNEL__ {
    PFN_VMB_CHANNEL_PROCESS_PACKET process_packet;
    PFN_VMB_CHANNEL_PNP_FAILURE pnp_failure;
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    bool in_callback;
    unsigned deliveries;
};

struct VMBPACKET__ {
    struct VMBPACKET__ *next;
    PFN_VMB_PACKET_COMPLETION_ROUTINE done;
    bool busy;
    struct fake_kmcl_message message;
};

struct VMBPACKETCOMPLETION__ {
    bool completed;
};

struct fake_kmcl fake_kmcl;
static struct VMBCHANNEL__ channel_object;
static VMBPACKET waiting;

void fake_kmcl_reset(void)
{
    memset(&fake_kmcl, 0, sizeof(fake_kmcl));
    memset(&channel_object, 0, sizeof(channel_object));
    waiting = NULL;
}

/* ---- the test's side ---- */

static void complete(VMBPACKET packet, NTSTATUS status)
{
    const enum irql previous = irql_raise_to_dispatch();
    packet->busy = false;
    packet->done(packet, status, NULL, 0);
    irql_lower(previous);
}

static void into_ring(VMBPACKET packet)
{
    assert_in_range(fake_kmcl.sent_count, 0, FAKE_KMCL_MESSAGES_MAXIMUM - 1);
    fake_kmcl.sent[fake_kmcl.sent_count++] = packet->message;
    complete(packet, STATUS_SUCCESS);
}

static VMBPACKET take_waiting(void)
{
    VMBPACKET packet = waiting;
    if (packet)
        waiting = packet->next;
    return packet;
}

void fake_kmcl_make_room(void)
{
    VMBPACKET packet;

    fake_kmcl.ring_is_full = false;
    while ((packet = take_waiting()) != NULL)
        into_ring(packet);
}

void fake_kmcl_open(void)
{
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_ENABLED);
    channel_object.in_callback = true;
    fake_kmcl.state = FAKE_KMCL_OPEN;
    const NTSTATUS status = channel_object.callbacks.EvtChannelOpened
                                ? channel_object.callbacks.EvtChannelOpened(&channel_object)
                                : STATUS_SUCCESS;
    if (!NT_SUCCESS(status)) {
        fake_kmcl.state = FAKE_KMCL_DISABLED;
    } else {
        if (channel_object.callbacks.EvtChannelStarted)
            channel_object.callbacks.EvtChannelStarted(&channel_object);
        if (channel_object.callbacks.EvtChannelPostStarted)
            channel_object.callbacks.EvtChannelPostStarted(&channel_object);
    }
    channel_object.in_callback = false;
}

void fake_kmcl_fail_to_open(NTSTATUS status)
{
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_ENABLED);
    fake_kmcl.state = FAKE_KMCL_DISABLED;
    channel_object.in_callback = true;
    channel_object.pnp_failure(&channel_object, status);
    channel_object.in_callback = false;
}

static void close_channel(void)
{
    VMBPACKET packet;

    assert_false(channel_object.in_callback);
    if (fake_kmcl.state == FAKE_KMCL_OPEN) {
        channel_object.in_callback = true;
        if (channel_object.callbacks.EvtChannelSuspend)
            channel_object.callbacks.EvtChannelSuspend(&channel_object);
        while ((packet = take_waiting()) != NULL)
            complete(packet, STATUS_DEVICE_REMOVED);
        fake_kmcl.state = FAKE_KMCL_ENABLED;
        if (channel_object.callbacks.EvtChannelClosed)
            channel_object.callbacks.EvtChannelClosed(&channel_object);
        channel_object.in_callback = false;
    }
    fake_kmcl.state = FAKE_KMCL_DISABLED;
}

void fake_kmcl_rescind(void)
{
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_OPEN);
    close_channel();
}

static void deliver(const void *message, size_t length, uint32_t flags)
{
    const size_t padded = (length + 7) & ~(size_t)7;
    struct VMBPACKETCOMPLETION__ completion = {false};
    /* Of exactly this size, so that a read behind it is seen. */
    unsigned char *copy = calloc(1, padded > 0 ? padded : 1);

    assert_non_null(copy);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_OPEN);
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    if (length > 0)
        memcpy(copy, message, length);
    channel_object.in_callback = true;
    channel_object.process_packet(&channel_object, &completion, copy, (UINT32)padded, flags);
    channel_object.in_callback = false;
    assert_true(completion.completed);
    free(copy);
}

void fake_kmcl_receive(const void *message, size_t length)
{
    deliver(message, length, 0);
}

void fake_kmcl_receive_with_external_data(const void *message, size_t length)
{
    deliver(message, length, VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA);
}

/* ---- the driver's side ---- */

static void check_configurable(VMBCHANNEL channel)
{
    assert_ptr_equal(channel, &channel_object);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
}

NTSTATUS VmbChannelAllocate(PDEVICE_OBJECT parent, BOOLEAN is_server, VMBCHANNEL *channel)
{
    (void)parent;
    assert_false(is_server);
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_NONE);
    fake_kmcl.state = FAKE_KMCL_DISABLED;
    *channel = &channel_object;
    return STATUS_SUCCESS;
}

VOID VmbChannelCleanup(VMBCHANNEL channel)
{
    check_configurable(channel);
    assert_int_equal(fake_kmcl.packets, 0);
    fake_kmcl.state = FAKE_KMCL_NONE;
}

NTSTATUS VmbChannelEnable(VMBCHANNEL channel)
{
    check_configurable(channel);
    assert_false(channel->in_callback);
    if (fake_kmcl.still_closing)
        return STATUS_INVALID_DEVICE_REQUEST;
    if (fake_kmcl.enable_fails)
        return STATUS_INSUFFICIENT_RESOURCES;
    fake_kmcl.state = FAKE_KMCL_ENABLED;
    fake_kmcl.enabled++;
    return STATUS_SUCCESS;
}

VOID VmbChannelDisable(VMBCHANNEL channel)
{
    assert_ptr_equal(channel, &channel_object);
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    fake_kmcl.disabled++;
    close_channel();
    passive_work_run(); /* a wait for the host's answer does so */
    assert_int_equal(fake_kmcl.state, FAKE_KMCL_DISABLED);
}

NTSTATUS VmbChannelInitSetMaximumPacketSize(VMBCHANNEL channel, UINT32 size)
{
    check_configurable(channel);
    fake_kmcl.maximum_packet_size = size;
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetProcessPacketCallbacks(VMBCHANNEL channel,
                                                 PFN_VMB_CHANNEL_PROCESS_PACKET process_packet,
                                                 PFN_VMB_CHANNEL_PROCESSING_COMPLETE complete_)
{
    (void)complete_;
    check_configurable(channel);
    channel->process_packet = process_packet;
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetStateChangeCallbacks(VMBCHANNEL channel,
                                               PVMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks)
{
    check_configurable(channel);
    assert_int_equal(callbacks->Version, 1);
    assert_int_equal(callbacks->Size, sizeof(*callbacks));
    channel->callbacks = *callbacks;
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetFriendlyName(VMBCHANNEL channel, PCUNICODE_STRING name)
{
    check_configurable(channel);
    fake_kmcl.named = name->Length > 0;
    return STATUS_SUCCESS;
}

NTSTATUS VmbClientChannelInitSetRingBufferPageCount(VMBCHANNEL channel, UINT32 incoming,
                                                    UINT32 outgoing)
{
    check_configurable(channel);
    fake_kmcl.incoming_pages = incoming;
    fake_kmcl.outgoing_pages = outgoing;
    return STATUS_SUCCESS;
}

NTSTATUS VmbClientChannelInitSetTargetPnp(VMBCHANNEL channel, LPCGUID type, LPCGUID instance,
                                          PFN_VMB_CHANNEL_PNP_FAILURE failure)
{
    check_configurable(channel);
    fake_kmcl.type = *type;
    fake_kmcl.any_instance = instance == NULL;
    channel->pnp_failure = failure;
    return STATUS_SUCCESS;
}

VOID KmclChannelGetStatistics(VMBCHANNEL channel, PKMCL_CHANNEL_STATISTICS statistics)
{
    assert_ptr_equal(channel, &channel_object);
    *statistics = (KMCL_CHANNEL_STATISTICS){.RingFaults = fake_kmcl.ring_faults};
}

VOID VmbChannelSetIncomingProcessingAtPassive(VMBCHANNEL channel, BOOLEAN passive)
{
    assert_ptr_equal(channel, &channel_object);
    fake_kmcl.passive = passive;
}

VOID VmbChannelPacketComplete(VMBPACKETCOMPLETION completion, PVOID buffer, UINT32 size)
{
    (void)buffer;
    assert_int_equal(size, 0); /* nothing is ever completed in this protocol */
    assert_false(completion->completed);
    completion->completed = true;
}

VMBPACKET VmbPacketAllocate(VMBCHANNEL channel)
{
    assert_ptr_equal(channel, &channel_object);
    if (fake_kmcl.allocate_fails)
        return NULL;
    VMBPACKET packet = calloc(1, sizeof(*packet));
    assert_non_null(packet);
    fake_kmcl.packets++;
    return packet;
}

VOID VmbPacketFree(VMBPACKET packet)
{
    assert_false(packet->busy);
    fake_kmcl.packets--;
    free(packet);
}

VOID VmbPacketSetCompletionRoutine(VMBPACKET packet, PFN_VMB_PACKET_COMPLETION_ROUTINE done)
{
    assert_false(packet->busy);
    packet->done = done;
}

NTSTATUS VmbPacketSend(VMBPACKET packet, PVOID buffer, UINT32 length, PMDL external, UINT32 flags)
{
    assert_false(packet->busy);
    assert_non_null(packet->done);
    assert_null(external);
    assert_int_equal(flags, 0);
    assert_in_range(length, 8, fake_kmcl.maximum_packet_size);
    if (fake_kmcl.send_fails)
        return STATUS_INSUFFICIENT_RESOURCES;
    packet->busy = true;
    packet->next = NULL;
    packet->message.length = length;
    memcpy(packet->message.bytes, buffer, length);
    if (!fake_kmcl.ring_is_full) {
        into_ring(packet);
        return STATUS_SUCCESS;
    }
    VMBPACKET *at = &waiting;
    while (*at)
        at = &(*at)->next;
    *at = packet;
    return STATUS_SUCCESS;
}
