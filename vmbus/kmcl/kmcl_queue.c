/* SPDX-License-Identifier: MIT */
/*
 * The outgoing ring, and the queue of what waits for it. One order for all: nothing goes into the
 * ring past something that waits, or a large packet could wait for ever behind small ones that keep
 * the ring from draining to its size.
 */

#include <string.h>

#include "vmbus/kmcl/kmcl.h"

struct kmcl_packet kmcl_tombstone;

/* Header of a payload on a pipe (OpenVMM vmbus_async; mu_msvm VmbusPacketFormat.h). */
struct pipe_header {
    uint32_t type;
    uint32_t length;
};
_Static_assert(sizeof(struct pipe_header) == KMCL_PIPE_HEADER_SIZE, "pipe header");

static struct kmcl_packet *packet_of(struct kmcl_send *send)
{
    return (struct kmcl_packet *)(void *)send;
}

static struct kmcl_incoming *incoming_of(struct kmcl_send *send)
{
    return (struct kmcl_incoming *)(void *)send;
}

/* ---- the ring ---- */

static bool wants_completion(const struct kmcl_send *send)
{
    return !send->is_reply && send->wire.flags != 0;
}

static bool has_slot(const struct kmcl_channel *channel, const struct kmcl_send *send)
{
    return !wants_completion(send) || channel->transactions.first_free != 0;
}

/* Into the ring, if there is a slot for it. Lock held. */
static inline enum ring_status put_packet(struct kmcl_channel *channel, struct kmcl_packet *packet)
{
    struct ring_packet_out *wire = &packet->send.wire;
    enum ring_status status;

    if (channel->is_pipe) {
        const struct pipe_header header = {KMCL_PIPE_DATA, wire->payload_length};

        if (wire->payload_length > KMCL_PIPE_PAYLOAD_LIMIT) {
            return RING_TOO_LARGE;
        }
        memcpy(packet->storage + wire->extension_length, &header, sizeof(header));
        wire->head_length = wire->extension_length + (uint32_t)sizeof(header);
        wire->head = packet->storage;
    }
    if (wire->flags == 0) {
        status = ring_writer_put(channel->writer, wire);
    } else {
        /* Into the table first: the host may answer as soon as it is told. */
        wire->transaction_id = kmcl_transaction_begin(&channel->transactions, packet);
        if (wire->transaction_id == 0) {
            return RING_FULL;
        }
        status = ring_writer_put(channel->writer, wire);
        if (status == RING_OK) {
            packet->state = PACKET_PENDING;
        } else {
            (void)kmcl_transaction_end(&channel->transactions, wire->transaction_id);
        }
    }
    channel->statistics.PacketsSent += status == RING_OK;
    return status;
}

/* Lock held. */
static enum ring_status put(struct kmcl_channel *channel, struct kmcl_send *send)
{
    if (!send->is_reply) {
        return put_packet(channel, packet_of(send));
    }
    enum ring_status status = ring_writer_put(channel->writer, &send->wire);
    channel->statistics.CompletionsSent += status == RING_OK;
    return status;
}

/* Whether the host must be signalled now. Lock held. */
static __attribute__((noinline)) bool commit_unless_staging(struct kmcl_channel *channel)
{
    return ring_writer_staged(channel->writer) > channel->staging_limit &&
           ring_writer_commit(channel->writer);
}

/* ---- what follows, without the lock ---- */

extern inline void kmcl_followup_begin(struct kmcl_followup *followup);
extern inline void kmcl_followup_run(struct kmcl_channel *channel, struct kmcl_followup *followup);

static void followup_add(struct kmcl_followup *followup, struct kmcl_packet *packet,
                         NTSTATUS status)
{
    packet->status = status;
    packet->state = PACKET_IDLE;
    packet->next_done = NULL;
    *followup->done_end = packet;
    followup->done_end = &packet->next_done;
}

void kmcl_signal(struct kmcl_channel *channel)
{
    channel->statistics.Signals++;
    channel->role->signal(channel);
}

void kmcl_followup_finish(struct kmcl_channel *channel, struct kmcl_followup *followup)
{
    struct kmcl_packet *packet = followup->done;

    if (followup->signal) {
        kmcl_signal(channel);
    }
    if (followup->broken) {
        kmcl_break(channel);
    }
    while (packet != NULL) {
        struct kmcl_packet *next = packet->next_done;
        packet->routine(kmcl_packet_handle(packet), packet->status, NULL, 0);
        packet = next;
    }
}

/* ---- the queue ---- */

static void append(struct kmcl_channel *channel, struct kmcl_send *send)
{
    send->next = NULL;
    if (channel->queue_last != NULL) {
        channel->queue_last->next = send;
    } else {
        channel->queue_first = send;
    }
    channel->queue_last = send;
}

/* Takes out what stands behind `before`, or first if that is NULL. */
static void unlink_behind(struct kmcl_channel *channel, struct kmcl_send *before)
{
    struct kmcl_send **link = before != NULL ? &before->next : &channel->queue_first;

    *link = (*link)->next;
    if (*link == NULL) {
        channel->queue_last = before;
    }
}

/* What is to go next. While packets do not flow, completions alone do. */
static struct kmcl_send *next_to_go(const struct kmcl_channel *channel, struct kmcl_send **before)
{
    struct kmcl_send *send = channel->queue_first;

    *before = NULL;
    while (send != NULL && !channel->flowing && !send->is_reply) {
        *before = send;
        send = send->next;
    }
    return send;
}

/* Bytes of memory that an incoming object keeps while its completion waits. */
static uint32_t size_of(const struct kmcl_incoming *incoming)
{
    return incoming->capacity + incoming->context_size;
}

void kmcl_queue_reply_ended(struct kmcl_channel *channel, struct kmcl_incoming *incoming)
{
    channel->replies_waiting -= size_of(incoming);
    kmcl_incoming_recycle(channel, incoming);
    if (channel->replies_waiting <= KMCL_REPLIES_LIMIT / 2 &&
        (kmcl_intake_word(channel) & INTAKE_ENDS_FULL) != 0) {
        kmcl_intake_word_set(channel, kmcl_intake_word(channel) & ~INTAKE_ENDS_FULL);
        if (channel->intake == INTAKE_BLOCKED) {
            channel->intake = INTAKE_IDLE;
            channel->role->kick(channel);
        }
    }
}

/* It is in the ring, or, with another status, never will be. */
static void leave_queue(struct kmcl_channel *channel, struct kmcl_send *send, NTSTATUS status,
                        struct kmcl_followup *followup)
{
    if (send->is_reply) {
        kmcl_queue_reply_ended(channel, incoming_of(send));
    } else if (status != STATUS_SUCCESS || !wants_completion(send)) {
        followup_add(followup, packet_of(send), status);
    }
}

/* Asks the host for a signal when there is room. It must know of all that fills the ring. */
static enum ring_status wait_for_room(struct kmcl_channel *channel, const struct kmcl_send *send,
                                      struct kmcl_followup *followup)
{
    followup->signal |= ring_writer_commit(channel->writer);
    return ring_writer_arm(channel->writer,
                           ring_packet_size(send->wire.head_length, send->wire.payload_length));
}

void kmcl_queue_flush(struct kmcl_channel *channel, struct kmcl_followup *followup)
{
    struct kmcl_send *before;
    struct kmcl_send *send;

    if (channel->writer == NULL) {
        return;
    }
    while ((send = next_to_go(channel, &before)) != NULL && has_slot(channel, send)) {
        enum ring_status status = put(channel, send);

        if (status == RING_OK || status == RING_TOO_LARGE) {
            unlink_behind(channel, before);
            leave_queue(channel, send,
                        status == RING_OK ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER, followup);
            continue;
        }
        if (status == RING_FULL) {
            status = wait_for_room(channel, send, followup);
        }
        if (status == RING_FULL) {
            break; /* an event will come */
        }
        if (status != RING_OK) {
            followup->broken = true;
            break;
        }
    }
    if (channel->queue_first == NULL) {
        ring_writer_disarm(channel->writer);
    }
    followup->signal |= commit_unless_staging(channel);
}

/* ---- packets ---- */

void kmcl_queue_append(struct kmcl_channel *channel, struct kmcl_send *send, void *payload)
{
    if (send->wire.payload_length > 0) {
        memmove(payload, send->wire.payload, send->wire.payload_length);
    }
    send->wire.payload = payload;
    append(channel, send);
    if (send->is_reply) {
        channel->replies_waiting += size_of(incoming_of(send));
        if (channel->replies_waiting > KMCL_REPLIES_LIMIT) {
            kmcl_intake_word_set(channel, kmcl_intake_word(channel) | INTAKE_ENDS_FULL);
        }
    }
}

/* It did not go into the ring, for that reason. Releases the lock. */
static __attribute__((noinline)) NTSTATUS not_sent(struct kmcl_packet *packet, bool may_wait,
                                                   enum ring_status status, enum irql level)
{
    struct kmcl_channel *channel = packet->channel;
    const uint32_t length = packet->send.wire.payload_length;
    struct kmcl_followup followup;
    NTSTATUS result = STATUS_SUCCESS;

    kmcl_followup_begin(&followup);
    if (status == RING_TOO_LARGE || kmcl_is_too_long_for_pipe(channel, length)) {
        result = STATUS_INVALID_PARAMETER;
    } else if (!may_wait) {
        result = STATUS_BUFFER_OVERFLOW;
        followup.broken = status == RING_CORRUPT;
    } else {
        /* A broken ring shows again when the queue is looked at. */
        channel->statistics.PacketsQueued++;
        packet->state = PACKET_QUEUED;
        kmcl_queue_append(channel, &packet->send,
                          packet->storage + packet->header_capacity + KMCL_PIPE_HEADER_SIZE);
        kmcl_queue_flush(channel, &followup);
    }
    spin_lock_release(&channel->lock, level);
    kmcl_followup_run(channel, &followup);
    return result;
}

/* Tells the host of what is in the ring, unless a drain will. Releases the lock. */
static inline void publish(struct kmcl_channel *channel, enum irql level)
{
    const bool signal = ring_writer_may_stage_above(channel->writer, channel->staging_limit) &&
                        commit_unless_staging(channel);

    spin_lock_release(&channel->lock, level);
    if (signal) {
        kmcl_signal(channel);
    }
}

/* A packet that has been described. Releases the lock. */
static __attribute__((noinline)) NTSTATUS send(struct kmcl_packet *packet, bool may_wait,
                                               enum irql level)
{
    struct kmcl_channel *channel = packet->channel;
    const bool is_done = packet->send.wire.flags == 0; /* the packet may be gone behind the lock */
    enum ring_status status = RING_FULL;

    if (channel->flowing && channel->queue_first == NULL) {
        status = put_packet(channel, packet);
    }
    if (status != RING_OK) {
        return not_sent(packet, may_wait, status, level);
    }
    publish(channel, level);
    if (is_done) {
        packet->routine(kmcl_packet_handle(packet), STATUS_SUCCESS, NULL, 0);
    }
    return STATUS_SUCCESS;
}

NTSTATUS kmcl_queue_packet(struct kmcl_packet *packet, bool may_wait)
{
    return send(packet, may_wait, spin_lock_acquire(&packet->channel->lock));
}

/*
 * The usual packet goes the short way, which has little to look at: it is in band, wants no
 * completion, nothing waits before it and there is room. What does not hold leads to the functions
 * that find out what is to be done, or is wrong.
 */
NTSTATUS VmbPacketSend(VMBPACKET PacketObject, PVOID Buffer, UINT32 BufferLength,
                       PMDL ExternalDataMdl, UINT32 Flags)
{
    struct kmcl_packet *packet = kmcl_packet_of(PacketObject);

    if (packet == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (packet->state == PACKET_IDLE && packet->routine != NULL && Buffer != NULL &&
        BufferLength <= packet->payload_capacity && ExternalDataMdl == NULL &&
        Flags <= VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION) {
        kmcl_packet_describe(packet, Buffer, BufferLength, (uint16_t)Flags);
    } else {
        NTSTATUS status =
            kmcl_packet_prepare_any(packet, Buffer, BufferLength, ExternalDataMdl, Flags);

        if (status != STATUS_SUCCESS) {
            return status;
        }
    }
    struct kmcl_channel *channel = packet->channel;
    const enum irql level = spin_lock_acquire(&channel->lock);
    if (packet->send.wire.flags != 0 || !channel->flowing || channel->queue_first != NULL ||
        channel->is_pipe || ring_writer_put(channel->writer, &packet->send.wire) != RING_OK) {
        return send(packet, true, level);
    }
    channel->statistics.PacketsSent++;
    publish(channel, level);
    packet->routine(PacketObject, STATUS_SUCCESS, NULL, 0);
    return STATUS_SUCCESS;
}

bool kmcl_queue_reply(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                      struct kmcl_followup *followup)
{
    struct kmcl_send *before;

    if (channel->writer == NULL) {
        return false;
    }
    if (next_to_go(channel, &before) == NULL) {
        enum ring_status status = put(channel, &incoming->reply);

        if (status == RING_OK || status == RING_TOO_LARGE) {
            followup->signal |= commit_unless_staging(channel);
            return false;
        }
    }
    kmcl_queue_append(channel, &incoming->reply, incoming->copy);
    kmcl_queue_flush(channel, followup);
    return true;
}

void kmcl_queue_cancel(struct kmcl_packet *packet)
{
    struct kmcl_channel *channel = packet->channel;
    struct kmcl_send *before = NULL;

    if (packet->state == PACKET_QUEUED) {
        for (struct kmcl_send *at = channel->queue_first; at != &packet->send; at = at->next) {
            before = at;
        }
        unlink_behind(channel, before);
    } else {
        kmcl_transaction_replace(&channel->transactions, packet->send.wire.transaction_id,
                                 &kmcl_tombstone);
    }
    packet->state = PACKET_IDLE;
}

void kmcl_queue_abort(struct kmcl_channel *channel, NTSTATUS status)
{
    struct kmcl_followup followup;
    struct kmcl_packet *packet;
    uint32_t cursor = 0;

    kmcl_followup_begin(&followup);
    enum irql level = spin_lock_acquire(&channel->lock);
    while ((packet = kmcl_transaction_end_any(&channel->transactions, &cursor)) != NULL) {
        if (packet != &kmcl_tombstone) {
            followup_add(&followup, packet, status);
        }
    }
    struct kmcl_send *send = channel->queue_first;
    channel->queue_first = NULL;
    channel->queue_last = NULL;
    while (send != NULL) {
        struct kmcl_send *next = send->next;
        leave_queue(channel, send, status, &followup);
        send = next;
    }
    spin_lock_release(&channel->lock, level);
    kmcl_followup_run(channel, &followup);
}
