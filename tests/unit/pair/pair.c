/* SPDX-License-Identifier: MIT */
#include "tests/unit/pair/pair.h"

#include <string.h>

#include "numbered_packet.h"

const GUID pair_type = {0x12345678, 0x9abc, 0xdef0, {1, 2, 3, 4, 5, 6, 7, 8}};
const GUID pair_instance = {0x87654321, 0xcba9, 0x0fed, {8, 7, 6, 5, 4, 3, 2, 1}};

struct end client;
struct end server;

int pair_setup(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    loopback_start(NULL);
    memset(&client, 0, sizeof(client));
    memset(&server, 0, sizeof(server));
    return 0;
}

int pair_teardown(void **state)
{
    (void)state;
    test_memory_fail(0);
    if (client.channel != NULL) {
        pair_end(&client);
    }
    if (server.channel != NULL) {
        pair_end(&server);
    }
    if (vmbus_connection_state() == VMBUS_CONNECTED) {
        assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    }
    loopback_run();
    assert_int_equal(loopback_maps(), 0);
    loopback_end();
    assert_int_equal(test_memory_held(), 0);
    assert_int_equal(test_pages_held(), 0);
    return 0;
}

void settle(void)
{
    loopback_run();
}

static struct end *end_of(VMBCHANNEL channel)
{
    return VmbChannelGetPointer(channel);
}

static void note(VMBCHANNEL channel, char letter)
{
    struct end *end = end_of(channel);
    const size_t used = strlen(end->trace);

    assert_int_equal(irql_current(), IRQL_PASSIVE);
    assert_true(used + 2 < sizeof(end->trace));
    end->trace[used] = letter;
    end->trace[used + 1] = '\0';
    if (end->on_state != NULL) {
        end->on_state(end, letter);
    }
}

static NTSTATUS opened(VMBCHANNEL channel)
{
    note(channel, 'O');
    return end_of(channel)->opened_status;
}

static VOID started(VMBCHANNEL channel)
{
    note(channel, 'S');
}

static VOID post_started(VMBCHANNEL channel)
{
    note(channel, 'P');
}

static VOID suspended(VMBCHANNEL channel)
{
    note(channel, 'U');
}

static VOID closed(VMBCHANNEL channel)
{
    note(channel, 'C');
}

static VOID failed(VMBCHANNEL channel, NTSTATUS status)
{
    end_of(channel)->failure = status;
    note(channel, 'F');
}

static VOID process_packet(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                           UINT32 length, UINT32 flags)
{
    struct end *end = end_of(channel);

    assert_true(((uintptr_t)buffer & 7) == 0);
    end->packets++;
    end->level = irql_current();
    end->last_flags = flags;
    end->last_length = length;
    memcpy(end->last, buffer, length < sizeof(end->last) ? length : sizeof(end->last));
    if (end->on_packet != NULL) {
        end->on_packet(end, packet, buffer, length, flags);
    } else {
        VmbChannelPacketComplete(packet, buffer, length);
    }
}

static VOID processing_complete(VMBCHANNEL channel, UINT32 count)
{
    struct end *end = end_of(channel);

    (void)count;
    end->batches++;
    if (end->on_batch != NULL) {
        end->on_batch(end);
    }
}

void pair_keep(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
               UINT32 flags)
{
    (void)buffer, (void)length, (void)flags;
    assert_true(end->kept_count < 256);
    end->kept[end->kept_count++] = packet;
}

void pair_make(struct end *end, BOOLEAN is_server)
{
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    HANDLE bus = KmclServerHandle(loopback_server);

    assert_int_equal(VmbChannelAllocate(NULL, is_server, &end->channel), STATUS_SUCCESS);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = opened;
    callbacks.EvtChannelStarted = started;
    callbacks.EvtChannelPostStarted = post_started;
    callbacks.EvtChannelSuspend = suspended;
    callbacks.EvtChannelClosed = closed;
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(end->channel, &callbacks),
                     STATUS_SUCCESS);
    assert_int_equal(
        VmbChannelInitSetProcessPacketCallbacks(end->channel, process_packet, processing_complete),
        STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(end->channel, 1024), STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(end->channel, 65536, 4), STATUS_SUCCESS);
    if (is_server) {
        assert_int_equal(VmbServerChannelInitSetVmbusHandle(end->channel, bus), STATUS_SUCCESS);
        assert_int_equal(
            VmbServerChannelInitSetTargetInterfaceId(end->channel, pair_type, pair_instance),
            STATUS_SUCCESS);
    } else {
        assert_int_equal(VmbClientChannelInitSetTargetPnp(end->channel, &pair_type, NULL, failed),
                         STATUS_SUCCESS);
        assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(end->channel, 1, 1),
                         STATUS_SUCCESS);
    }
    VmbChannelSetPointer(end->channel, end);
}

void pair_start(void)
{
    if (server.channel == NULL) {
        pair_make(&server, TRUE);
    }
    if (client.channel == NULL) {
        pair_make(&client, FALSE);
    }
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    VmbChannelStart(server.channel);
    if (vmbus_connection_state() != VMBUS_CONNECTED) {
        assert_int_equal(vmbus_connect(), VMBUS_OK);
    }
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
}

void pair_end(struct end *end)
{
    VmbChannelDisable(end->channel);
    assert_state(*end, "disabled");
    VmbChannelCleanup(end->channel);
    end->channel = NULL;
}

VOID pair_recorded(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct end *end = end_of(VmbPacketGetChannel(packet));

    assert_true(end->completions < 1024);
    end->completed[end->completions++] = (uintptr_t)VmbPacketGetPointer(packet);
    end->completion_status = status;
    end->completion_length = length;
    assert_true((buffer == NULL) == (length == 0));
    if (buffer != NULL) {
        memcpy(end->completion, buffer, length);
    }
    VmbPacketFree(packet);
}

VMBPACKET pair_packet(struct end *end, unsigned long long number)
{
    return numbered_packet(end->channel, pair_recorded, number);
}

NTSTATUS pair_send(struct end *end, unsigned long long number, UINT32 length, UINT32 flags)
{
    return numbered_send(pair_packet(end, number), number, length, flags);
}

static UINT32 seed = 1;

void draw_from(UINT32 start)
{
    seed = start;
}

UINT32 draw(UINT32 limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}
