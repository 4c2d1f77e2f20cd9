/* SPDX-License-Identifier: MIT */
#include "tests/unit/pair/host.h"

#include <string.h>

#include "drivers/integration/integration_protocol.h"
#include "kernel/clock.h"
#include "kernel/wait.h"
#include "tests/host/machine.h"

/* ---- lines ---- */

char host_lines[16384];

static void collect(void *context, const char *text)
{
    (void)context;
    /* What is too much is of no interest: tests forget what they do not need. */
    if (strlen(host_lines) + strlen(text) + 2 < sizeof(host_lines)) {
        strcat(host_lines, text);
        strcat(host_lines, "\n");
    }
}

const struct host_output host_output = {collect, NULL};

void host_forget(void)
{
    host_lines[0] = '\0';
}

/* ---- devices ---- */

struct host_device *host_create(const char *text)
{
    host_forget();
    return host_device_create(KmclServerHandle(loopback_server), text, &host_output, &host_output);
}

struct host_device *host_offer(const char *text)
{
    struct host_device *device = host_create(text);

    assert_non_null(device);
    assert_true(host_device_enable(device, &host_output));
    host_device_start(device);
    return device;
}

bool host_command(struct host_device *device, const char *line)
{
    host_forget();
    return host_device_command(device, line, &host_output);
}

void pass_time(UINT64 duration)
{
    struct event never;

    event_initialise(&never);
    event_wait(&never, clock_after(duration));
    settle();
}

UINT64 host_saved[65536];
size_t host_saved_size;

void host_save(struct host_device *device)
{
    size_t capacity = 0;
    NTSTATUS status;

    host_device_pause(device);
    while ((status = host_device_save(device, host_saved, capacity, &host_saved_size)) ==
           STATUS_BUFFER_TOO_SMALL) {
        capacity += 8;
        assert_true(capacity <= sizeof(host_saved));
    }
    assert_int_equal(status, STATUS_SUCCESS);
    assert_true(host_saved_size <= capacity);
}

struct host_device *host_move(struct host_device *device, const char *text)
{
    host_save(device);
    host_device_destroy(device);
    struct host_device *moved = host_create(text);
    assert_non_null(moved);
    assert_int_equal(host_device_restore(moved, host_saved, host_saved_size), STATUS_SUCCESS);
    return moved;
}

/* ---- the machine ---- */

UINT64 machine_wall_offset;
bool machine_refuses;
UINT64 machine_taken;
UINT64 machine_added_at;

/* Ahead of the guest's clock, which starts later. */
uint64_t machine_reference_time(void)
{
    return test_time() + 1000 * CLOCK_SECOND;
}

uint64_t machine_wall_clock(void)
{
    return test_time() + machine_wall_offset;
}

uint64_t machine_memory_pages(void)
{
    return 16384;
}

bool machine_memory_take(uint64_t first_frame, uint64_t count)
{
    (void)first_frame;
    machine_taken += machine_refuses ? 0 : count;
    return !machine_refuses;
}

bool machine_memory_return(uint64_t first_frame, uint64_t count)
{
    (void)first_frame;
    machine_taken -= machine_refuses ? 0 : count;
    return !machine_refuses;
}

bool machine_memory_add(uint64_t count, uint64_t alignment, uint64_t *first_frame)
{
    (void)count;
    (void)alignment;
    *first_frame = machine_added_at;
    return !machine_refuses;
}

/* ---- peers ---- */

static VOID peer_started(VMBCHANNEL channel)
{
    ((struct peer *)VmbChannelGetPointer(channel))->is_open = true;
}

static VOID peer_closed(VMBCHANNEL channel)
{
    ((struct peer *)VmbChannelGetPointer(channel))->is_open = false;
}

static VOID peer_received(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                          UINT32 length, UINT32 flags)
{
    struct peer *peer = VmbChannelGetPointer(channel);

    (void)flags;
    assert_true(length <= sizeof(peer->received));
    memcpy(peer->received, buffer, length);
    peer->length = length;
    peer->count++;
    if (peer->reads_nothing) {
        peer->held = packet;
        return;
    }
    VmbChannelPacketComplete(packet, NULL, 0);
}

void peer_make(struct peer *peer, bool is_server, const GUID *device_class, const GUID *instance,
               bool is_pipe)
{
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;

    memset(peer, 0, sizeof(*peer));
    assert_int_equal(VmbChannelAllocate(NULL, is_server, &peer->channel), STATUS_SUCCESS);
    VmbChannelSetPointer(peer->channel, peer);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelPostStarted = peer_started;
    callbacks.EvtChannelClosed = peer_closed;
    VmbChannelInitSetStateChangeCallbacks(peer->channel, &callbacks);
    VmbChannelInitSetProcessPacketCallbacks(peer->channel, peer_received, NULL);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(peer->channel, 16384), STATUS_SUCCESS);
    if (is_server) {
        VmbServerChannelInitSetFlags(peer->channel,
                                     is_pipe ? VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE : 0);
        VmbServerChannelInitSetVmbusHandle(peer->channel, KmclServerHandle(loopback_server));
        VmbServerChannelInitSetTargetInterfaceId(peer->channel, *device_class, *instance);
    } else {
        VmbChannelInitSetFlags(peer->channel, is_pipe ? VMBUS_CHANNEL_INIT_FLAG_IS_PIPE : 0);
        VmbClientChannelInitSetTargetPnp(peer->channel, device_class, NULL, NULL);
    }
    assert_int_equal(VmbChannelEnable(peer->channel), STATUS_SUCCESS);
    if (is_server) {
        VmbChannelStart(peer->channel);
    }
}

void peer_send(struct peer *peer, const void *bytes, UINT32 length)
{
    VMBPACKET packet = VmbPacketAllocate(peer->channel);

    assert_non_null(packet);
    assert_int_equal(VmbPacketSend(packet, (void *)(uintptr_t)bytes, length, NULL, 0),
                     STATUS_SUCCESS);
}

void peer_send_integration(struct peer *peer, UINT16 type, UINT8 flags, UINT8 transaction_id,
                           const void *body, UINT32 size)
{
    UINT8 bytes[16384];
    struct integration_header header = {
        .framework = {3, 0},
        .type = type,
        .version = {3, 0},
        .body_size = (UINT16)size,
        .transaction_id = transaction_id,
        .flags = flags,
    };

    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), body, size);
    peer_send(peer, bytes, (UINT32)sizeof(header) + size);
}

const UINT8 *peer_next(struct peer *peer)
{
    settle();
    assert_int_equal(peer->count, peer->fetched + 1);
    peer->fetched++;
    return peer->received;
}

void peer_stops_reading(struct peer *peer)
{
    peer->reads_nothing = true;
    VmbChannelSetTransactionQuota(peer->channel, 1);
}

void peer_reads(struct peer *peer)
{
    VMBPACKETCOMPLETION held = peer->held;

    peer->reads_nothing = false;
    peer->held = NULL;
    if (held != NULL) {
        VmbChannelPacketComplete(held, NULL, 0);
    }
}

void peer_end(struct peer *peer)
{
    peer_reads(peer);
    VmbChannelDisable(peer->channel);
    VmbChannelCleanup(peer->channel);
    peer->channel = NULL;
}
