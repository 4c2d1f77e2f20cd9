/* SPDX-License-Identifier: MIT */
/*
 * Packets of a saved server channel made anew. Parts are collected and checked as they come; only
 * when the last one is there, and the whole is found good, does anything change: first everything
 * that can fail without the driver, then the driver is called for each packet.
 */

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/kmcl/server/kmcl_saved.h"
#include "vmbus/kmcl/server/kmcl_server.h"
#include "vmbus/server/checksum.h"

struct kmcl_restore {
    unsigned char *bytes; /* all chunks so far, each found good; a multiple of 8 */
    uint32_t size;
    uint32_t chunks;
    uint32_t chunks_announced;
    uint32_t flags; /* of the channel */
    uint32_t checksum;
    uint32_t highest_slot;                /* of all transactions */
    bool complete;                        /* SAVED_END is there */
    const struct kmcl_saved_packet *open; /* the driver may take it: VmbPacketRestore() */
    uint32_t open_size;
    bool taken;
};

void kmcl_restore_free(struct kmcl_channel *channel)
{
    struct kmcl_restore *restore = channel->server->restore;

    if (restore != NULL) {
        memory_free(restore->bytes);
        memory_free(restore);
    }
    channel->server->restore = NULL;
}

/* ---- checking ---- */

static const void *body_of(const struct kmcl_saved_chunk *chunk)
{
    return chunk + 1;
}

static uint32_t body_size(const struct kmcl_saved_chunk *chunk)
{
    return chunk->size - (uint32_t)sizeof(*chunk);
}

static NTSTATUS check_channel(const struct kmcl_channel *channel, struct kmcl_restore *restore,
                              const struct kmcl_saved_chunk *chunk)
{
    const struct kmcl_saved_channel *saved = body_of(chunk);
    const struct vmbus_server_offer *offer = &channel->server->offer;

    if (body_size(chunk) != sizeof(*saved) ||
        (saved->flags != 0 && (saved->flags & ~KMCL_SAVED_FAILED) != KMCL_SAVED_OPEN)) {
        return STATUS_CRC_ERROR;
    }
    if (!vmbus_guid_equal(kmcl_guid(&saved->interface_type), &offer->interface_type) ||
        !vmbus_guid_equal(kmcl_guid(&saved->interface_instance), &offer->interface_instance) ||
        saved->sub_channel_index != offer->sub_channel_index) {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    restore->chunks_announced = saved->chunks;
    restore->flags = saved->flags;
    return saved->packet_size <= channel->packet_size ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER;
}

static NTSTATUS check_packet(const struct kmcl_channel *channel, struct kmcl_restore *restore,
                             const struct kmcl_saved_chunk *chunk)
{
    const struct kmcl_saved_packet *saved = body_of(chunk);

    if (body_size(chunk) < sizeof(*saved) || saved->payload_length > RING_PACKET_SIZE_MAX ||
        saved->extension_length > RING_PACKET_SIZE_MAX || saved->extension_length % 8 != 0 ||
        saved->driver_length > KMCL_SAVED_DRIVER_LIMIT ||
        body_size(chunk) != sizeof(*saved) + saved->extension_length +
                                kmcl_saved_padded(saved->payload_length) +
                                kmcl_saved_padded(saved->driver_length) ||
        saved->flags > RING_PACKET_FLAG_COMPLETION_REQUESTED || saved->in_ring > 1) {
        return STATUS_CRC_ERROR;
    }
    const uint32_t slot = (uint32_t)saved->transaction_id;
    if (saved->in_ring != 0) {
        if (restore->flags == 0 || slot == 0 || slot > KMCL_TRANSACTION_LIMIT ||
            saved->flags == 0 || saved->payload_length != 0 || saved->extension_length != 0) {
            return STATUS_CRC_ERROR;
        }
        restore->highest_slot = slot > restore->highest_slot ? slot : restore->highest_slot;
    }
    if (chunk->kind == SAVED_FORGOTTEN) {
        return saved->in_ring != 0 ? STATUS_SUCCESS : STATUS_CRC_ERROR;
    }
    if (channel->server->restore_packet == NULL) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    return saved->payload_length <= channel->packet_size &&
                   saved->extension_length <= channel->header_capacity
               ? STATUS_SUCCESS
               : STATUS_INVALID_PARAMETER;
}

static NTSTATUS check_reply(const struct kmcl_channel *channel,
                            const struct kmcl_saved_chunk *chunk)
{
    const struct kmcl_saved_reply *saved = body_of(chunk);

    if (body_size(chunk) < sizeof(*saved) || saved->payload_length > body_size(chunk) ||
        body_size(chunk) != sizeof(*saved) + kmcl_saved_padded(saved->payload_length)) {
        return STATUS_CRC_ERROR;
    }
    return saved->payload_length <= channel->packet_size ? STATUS_SUCCESS
                                                         : STATUS_INVALID_PARAMETER;
}

static NTSTATUS check_held(const struct kmcl_saved_chunk *chunk)
{
    const struct kmcl_saved_held *saved = body_of(chunk);

    /* A packet of the ring, so that no sum below is too large for 32 bits. */
    if (body_size(chunk) < sizeof(*saved) || chunk->number != 1 ||
        saved->copy_length > RING_PACKET_SIZE_MAX ||
        saved->extension_length > RING_PACKET_SIZE_MAX ||
        saved->payload_length > RING_PACKET_SIZE_MAX || saved->extension_length % 8 != 0 ||
        (saved->payload_offset != saved->extension_length &&
         saved->payload_offset != saved->extension_length + KMCL_PIPE_HEADER_SIZE) ||
        body_size(chunk) != sizeof(*saved) + saved->copy_length ||
        saved->copy_length != kmcl_saved_padded(saved->payload_offset + saved->payload_length) ||
        (saved->flags & ~(uint32_t)VMBUS_CHANNEL_PROCESS_PACKET_FLAGS) != 0 ||
        saved->reply_wanted > 1) {
        return STATUS_CRC_ERROR;
    }
    return STATUS_SUCCESS;
}

static NTSTATUS check_body(const struct kmcl_channel *channel, struct kmcl_restore *restore,
                           const struct kmcl_saved_chunk *chunk)
{
    const bool needs_open = chunk->kind == SAVED_REPLY || chunk->kind == SAVED_HELD;

    if ((chunk->number == 0) != (chunk->kind == SAVED_CHANNEL) ||
        (needs_open && restore->flags == 0)) {
        return STATUS_CRC_ERROR;
    }
    switch (chunk->kind) {
    case SAVED_CHANNEL:
        return check_channel(channel, restore, chunk);
    case SAVED_PACKET:
    case SAVED_FORGOTTEN:
        return check_packet(channel, restore, chunk);
    case SAVED_REPLY:
        return check_reply(channel, chunk);
    case SAVED_HELD:
        return check_held(chunk);
    case SAVED_END:
        restore->complete = true;
        return body_size(chunk) == 0 && restore->chunks + 1 == restore->chunks_announced
                   ? STATUS_SUCCESS
                   : STATUS_CRC_ERROR;
    default:
        return STATUS_CRC_ERROR;
    }
}

/* Checks the chunk at restore->size, of which `left` bytes are there. */
static NTSTATUS check_chunk(const struct kmcl_channel *channel, struct kmcl_restore *restore,
                            uint32_t left)
{
    struct kmcl_saved_chunk *chunk =
        (struct kmcl_saved_chunk *)(void *)(restore->bytes + restore->size);

    if (left < sizeof(*chunk)) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    if (chunk->magic != KMCL_SAVED_MAGIC) {
        return restore->chunks == 0 ? STATUS_INVALID_SIGNATURE : STATUS_CRC_ERROR;
    }
    if (chunk->format != KMCL_SAVED_FORMAT) {
        return STATUS_REVISION_MISMATCH;
    }
    if (chunk->size < sizeof(*chunk) || chunk->size % 8 != 0 || chunk->size > left) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    const uint32_t checksum = chunk->checksum;
    chunk->checksum = 0;
    restore->checksum = vmbus_checksum(restore->checksum, chunk, chunk->size);
    if (restore->checksum != checksum || chunk->number != restore->chunks || restore->complete) {
        return STATUS_CRC_ERROR;
    }
    return check_body(channel, restore, chunk);
}

/* Takes a part over and checks the chunks in it. */
static NTSTATUS collect(const struct kmcl_channel *channel, struct kmcl_restore *restore,
                        const void *buffer, uint32_t size)
{
    if (size == 0) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    if (size > KMCL_SAVED_LIMIT - restore->size) {
        return STATUS_INVALID_PARAMETER;
    }
    const uint32_t total = restore->size + size;
    unsigned char *bytes = memory_allocate(total);
    if (bytes == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (restore->size > 0) {
        memcpy(bytes, restore->bytes, restore->size);
    }
    memcpy(bytes + restore->size, buffer, size);
    memory_free(restore->bytes);
    restore->bytes = bytes;
    while (restore->size < total) {
        NTSTATUS status = check_chunk(channel, restore, total - restore->size);
        if (status != STATUS_SUCCESS) {
            return status;
        }
        const struct kmcl_saved_chunk *chunk =
            (const struct kmcl_saved_chunk *)(void *)(bytes + restore->size);
        restore->chunks++;
        restore->size += chunk->size;
    }
    return restore->complete ? STATUS_SUCCESS : STATUS_MORE_PROCESSING_REQUIRED;
}

/* ---- changing ---- */

/* Takes every packet out again: they are the driver's, idle. */
static void take_back(struct kmcl_channel *channel)
{
    struct kmcl_packet *packet;
    struct kmcl_send *send;
    uint32_t cursor = 0;

    enum irql level = spin_lock_acquire(&channel->lock);
    while ((packet = kmcl_transaction_end_any(&channel->transactions, &cursor)) != NULL) {
        if (packet != &kmcl_tombstone) {
            packet->state = PACKET_IDLE;
        }
    }
    while ((send = channel->queue_first) != NULL) {
        channel->queue_first = send->next;
        if (send->is_reply) {
            kmcl_queue_reply_ended(channel, (struct kmcl_incoming *)(void *)send);
        } else {
            ((struct kmcl_packet *)(void *)send)->state = PACKET_IDLE;
        }
    }
    channel->queue_last = NULL;
    spin_lock_release(&channel->lock, level);
    kmcl_intake_discard(channel);
}

/* Makes room for all transactions, and enters each as one that nobody waits for. */
static NTSTATUS enter_transactions(struct kmcl_channel *channel, const struct kmcl_restore *restore)
{
    struct kmcl_transaction_table *table = &channel->transactions;
    uint32_t capacity = 32;
    struct kmcl_transaction *unused = NULL;
    NTSTATUS status = STATUS_SUCCESS;

    while (capacity < restore->highest_slot) {
        capacity *= 2;
    }
    if (restore->highest_slot > table->capacity) {
        unused = memory_allocate(capacity * sizeof(*unused));
        if (unused == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    enum irql level = spin_lock_acquire(&channel->lock);
    if (unused != NULL) {
        unused = kmcl_transaction_grow(table, unused, capacity);
    }
    for (uint32_t at = 0; at < restore->size;) {
        const struct kmcl_saved_chunk *chunk =
            (const struct kmcl_saved_chunk *)(void *)(restore->bytes + at);
        const struct kmcl_saved_packet *saved = body_of(chunk);
        at += chunk->size;
        if ((chunk->kind == SAVED_PACKET || chunk->kind == SAVED_FORGOTTEN) &&
            saved->in_ring != 0 &&
            !kmcl_transaction_enter(table, saved->transaction_id, &kmcl_tombstone)) {
            status = STATUS_CRC_ERROR; /* twice the same */
        }
    }
    kmcl_transaction_relist(table);
    spin_lock_release(&channel->lock, level);
    memory_free(unused);
    return status;
}

static NTSTATUS restore_packet(struct kmcl_channel *channel, struct kmcl_restore *restore,
                               const struct kmcl_saved_packet *saved)
{
    const uint32_t lib_size = (uint32_t)sizeof(*saved) + saved->extension_length +
                              kmcl_saved_padded(saved->payload_length);
    unsigned char *bytes = (unsigned char *)(uintptr_t)saved;

    restore->open = saved;
    restore->open_size = lib_size;
    restore->taken = false;
    NTSTATUS status = channel->server->restore_packet(
        kmcl_channel_handle(channel), bytes, lib_size,
        saved->driver_length > 0 ? bytes + lib_size : NULL, saved->driver_length);
    restore->open = NULL;
    return NT_SUCCESS(status) ? STATUS_SUCCESS : status;
}

NTSTATUS VmbPacketRestore(VMBPACKET PacketObject, PVOID Buffer, ULONG BufferSize)
{
    struct kmcl_packet *packet = kmcl_packet_of(PacketObject);
    struct kmcl_channel *channel = packet != NULL ? packet->channel : NULL;
    struct kmcl_restore *restore =
        channel != NULL && channel->is_server ? channel->server->restore : NULL;

    if (restore == NULL || packet->state != PACKET_IDLE) {
        return STATUS_INVALID_PARAMETER_1;
    }
    const struct kmcl_saved_packet *saved = restore->open;
    if (saved == NULL || Buffer != saved || restore->taken) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (BufferSize != restore->open_size) {
        return STATUS_INVALID_PARAMETER_3;
    }
    const unsigned char *extension = (const unsigned char *)(saved + 1);
    NTSTATUS status = kmcl_packet_prepare(packet, extension + saved->extension_length,
                                          saved->payload_length, saved->flags, 0);
    if (status != STATUS_SUCCESS) {
        return status;
    }
    if (saved->extension_length > packet->header_capacity ||
        kmcl_is_too_long_for_pipe(channel, saved->payload_length)) {
        return STATUS_INVALID_PARAMETER; /* made with other limits */
    }
    if (saved->extension_length > 0) {
        memcpy(packet->storage, extension, saved->extension_length);
        kmcl_server_add_transfer_pages(packet, saved->extension_length);
    }
    enum irql level = spin_lock_acquire(&channel->lock);
    if (saved->in_ring != 0) {
        packet->send.wire.transaction_id = saved->transaction_id;
        packet->state = PACKET_PENDING;
        kmcl_transaction_replace(&channel->transactions, saved->transaction_id, packet);
    } else {
        packet->state = PACKET_QUEUED;
        kmcl_queue_append(channel, &packet->send,
                          packet->storage + packet->header_capacity + KMCL_PIPE_HEADER_SIZE);
    }
    spin_lock_release(&channel->lock, level);
    restore->taken = true;
    return STATUS_SUCCESS;
}

static NTSTATUS restore_reply(struct kmcl_channel *channel, const struct kmcl_saved_reply *saved)
{
    struct kmcl_incoming *incoming = kmcl_incoming_allocate(channel, saved->payload_length);

    if (incoming == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    atomic_store_explicit(&incoming->state, INCOMING_REPLYING, memory_order_relaxed);
    incoming->reply.wire.type = RING_PACKET_COMPLETION;
    incoming->reply.wire.transaction_id = saved->transaction_id;
    incoming->reply.wire.payload_length = saved->payload_length;
    incoming->reply.wire.payload = saved + 1;
    enum irql level = spin_lock_acquire(&channel->lock);
    kmcl_queue_append(channel, &incoming->reply, incoming->copy);
    spin_lock_release(&channel->lock, level);
    return STATUS_SUCCESS;
}

static NTSTATUS restore_held(struct kmcl_channel *channel, const struct kmcl_saved_held *saved)
{
    struct kmcl_incoming *incoming = kmcl_incoming_allocate(channel, saved->copy_length);

    if (incoming == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    atomic_store_explicit(&incoming->state, INCOMING_DEFERRED, memory_order_relaxed);
    incoming->packet = (struct ring_packet_in){
        .type = saved->flags != 0 ? RING_PACKET_DATA_GPA_DIRECT : RING_PACKET_DATA_INBAND,
        .flags = saved->reply_wanted != 0 ? RING_PACKET_FLAG_COMPLETION_REQUESTED : 0,
        .transaction_id = saved->transaction_id,
        .extension_length = saved->extension_length,
        .payload_length = saved->payload_length,
    };
    incoming->offset = saved->payload_offset;
    memcpy(incoming->copy, saved + 1, saved->copy_length);
    channel->held = incoming;
    return STATUS_SUCCESS;
}

bool kmcl_restore_prepare(struct kmcl_channel *channel)
{
    struct kmcl_incoming *held = channel->held;

    if (held == NULL || held->capacity >= channel->copy_size) {
        return true;
    }
    struct kmcl_incoming *larger = kmcl_incoming_allocate(channel, 0);
    if (larger == NULL) {
        return false;
    }
    atomic_store_explicit(&larger->state, INCOMING_DEFERRED, memory_order_relaxed);
    larger->packet = held->packet;
    larger->offset = held->offset;
    memcpy(larger->copy, held->copy, held->capacity);
    memory_free(held);
    channel->held = larger;
    return true;
}

static NTSTATUS restore_chunk(struct kmcl_channel *channel, struct kmcl_restore *restore,
                              const struct kmcl_saved_chunk *chunk)
{
    switch (chunk->kind) {
    case SAVED_PACKET:
        return restore_packet(channel, restore, body_of(chunk));
    case SAVED_REPLY:
        return restore_reply(channel, body_of(chunk));
    case SAVED_HELD:
        return restore_held(channel, body_of(chunk));
    default:
        return STATUS_SUCCESS;
    }
}

static NTSTATUS apply(struct kmcl_channel *channel, struct kmcl_restore *restore)
{
    struct kmcl_server_channel *server = channel->server;
    NTSTATUS status = enter_transactions(channel, restore);

    for (uint32_t at = 0; status == STATUS_SUCCESS && at < restore->size;) {
        const struct kmcl_saved_chunk *chunk =
            (const struct kmcl_saved_chunk *)(void *)(restore->bytes + at);
        at += chunk->size;
        status = restore_chunk(channel, restore, chunk);
    }
    server->has_restored = false;
    if (status != STATUS_SUCCESS) {
        take_back(channel);
    } else if (server->offer.force_new) {
        kmcl_queue_abort(channel, STATUS_CANCELLED);
        kmcl_intake_discard(channel);
    } else {
        server->has_restored = restore->flags != 0;
        server->restored_failed = (restore->flags & KMCL_SAVED_FAILED) != 0;
    }
    return status;
}

static bool has_packets(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    const bool has =
        channel->queue_first != NULL || channel->transactions.live > 0 || channel->held != NULL;

    spin_lock_release(&channel->lock, level);
    return has;
}

NTSTATUS VmbChannelRestoreFromBuffer(VMBCHANNEL Channel, PVOID Buffer, ULONG BufferSize)
{
    struct kmcl_channel *channel = kmcl_server_find(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (Buffer == NULL && BufferSize > 0) {
        return STATUS_INVALID_PARAMETER_2;
    }
    kmcl_require_passive(__func__);
    struct kmcl_server_channel *server = channel->server;
    if (channel->state != KMCL_DISABLED || channel->worker_running || server->save != NULL ||
        has_packets(channel) || (server->restore != NULL && server->restore->complete)) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (server->restore == NULL) {
        server->restore = memory_allocate(sizeof(*server->restore));
        if (server->restore == NULL) {
            return STATUS_INSUFFICIENT_RESOURCES;
        }
    }
    NTSTATUS status = collect(channel, server->restore, Buffer, BufferSize);
    if (status == STATUS_SUCCESS) {
        status = apply(channel, server->restore);
    }
    if (status != STATUS_MORE_PROCESSING_REQUIRED) {
        kmcl_restore_free(channel);
    }
    return status;
}
