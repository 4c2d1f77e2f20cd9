/* SPDX-License-Identifier: MIT */
/*
 * The drain: takes packets out of the incoming ring and hands them on, one drain at a time for a
 * channel. It runs in the owner's event callback at DISPATCH, or as passive work if the driver
 * wants PASSIVE or a packet was deferred.
 *
 * A batch is what is taken between two looks that find the ring empty, or until something else
 * stops it. The ring's signals are off during it; the read index is published at its end, the
 * driver is told, and signals are asked for again with one more look (vmbus/ring.h). Sends from
 * callbacks at DISPATCH are staged and published once, at the end of the batch; at PASSIVE they are
 * not, because a callback there may wait for what a send of its own brings about.
 */

#include <string.h>

#include "kernel/irql.h"
#include "kernel/pages.h"
#include "vmbus/kmcl/kmcl.h"

/* ---- objects ---- */

struct kmcl_incoming *kmcl_incoming_allocate(struct kmcl_channel *channel, uint32_t size)
{
    const uint32_t capacity = size > channel->copy_size ? size : channel->copy_size;
    struct kmcl_incoming *incoming =
        memory_allocate(sizeof(*incoming) + capacity + channel->context_size);

    if (incoming != NULL) {
        incoming->channel = channel;
        incoming->capacity = capacity;
        incoming->context_size = channel->context_size;
        incoming->reply.is_reply = true;
    }
    return incoming;
}

bool kmcl_incoming_prepare(struct kmcl_channel *channel)
{
    uint32_t size = channel->packet_size;

    size = size > KMCL_INCOMING_SIZE_FLOOR ? size : KMCL_INCOMING_SIZE_FLOOR;
    channel->copy_size = ((size + 7) & ~7u) + KMCL_PIPE_HEADER_SIZE;
    channel->spare = kmcl_incoming_allocate(channel, 0);
    return channel->spare != NULL;
}

void kmcl_incoming_recycle(struct kmcl_channel *channel, struct kmcl_incoming *incoming)
{
    if (incoming->in_callback) {
        atomic_store_explicit(&incoming->state, INCOMING_RELEASED, memory_order_release);
        return;
    }
    if (incoming->capacity != channel->copy_size) {
        memory_free(incoming);
        return;
    }
    atomic_store_explicit(&incoming->state, INCOMING_FREE, memory_order_relaxed);
    incoming->reply.next = (struct kmcl_send *)(void *)channel->incoming_free;
    channel->incoming_free = incoming;
}

/* One of those that are kept for packets of usual size. */
static __attribute__((noinline)) struct kmcl_incoming *find_spare(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    struct kmcl_incoming *incoming = channel->incoming_free;

    if (incoming != NULL) {
        channel->incoming_free = (struct kmcl_incoming *)(void *)incoming->reply.next;
    }
    spin_lock_release(&channel->lock, level);
    channel->spare = incoming != NULL ? incoming : kmcl_incoming_allocate(channel, 0);
    return channel->spare;
}

/* An object for `size` bytes; usually the one that the packet before has left. [drain] */
static inline struct kmcl_incoming *take_object(struct kmcl_channel *channel, uint32_t size)
{
    if (size > channel->copy_size) {
        return kmcl_incoming_allocate(channel, size);
    }
    return channel->spare != NULL ? channel->spare : find_spare(channel);
}

static __attribute__((noinline)) void recycle(struct kmcl_channel *channel,
                                              struct kmcl_incoming *incoming)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    kmcl_incoming_recycle(channel, incoming);
    spin_lock_release(&channel->lock, level);
}

/* The drain is done with it. [drain] */
static inline void keep_object(struct kmcl_channel *channel, struct kmcl_incoming *incoming)
{
    if (incoming != channel->spare) {
        recycle(channel, incoming);
    }
}

void kmcl_intake_discard(struct kmcl_channel *channel)
{
    struct kmcl_incoming *next;

    for (struct kmcl_incoming *at = channel->incoming_free; at != NULL; at = next) {
        next = (struct kmcl_incoming *)(void *)at->reply.next;
        memory_free(at);
    }
    channel->incoming_free = NULL;
    memory_free(channel->spare);
    channel->spare = NULL;
    if (channel->held != NULL) {
        kmcl_external_release(channel->held);
    }
    memory_free(channel->held);
    channel->held = NULL;
}

/* ---- one batch ---- */

static uint32_t outstanding(struct kmcl_channel *channel)
{
    return atomic_load_explicit(&channel->outstanding, memory_order_relaxed);
}

static bool quota_is_used_up(struct kmcl_channel *channel)
{
    return outstanding(channel) >= atomic_load_explicit(&channel->quota, memory_order_relaxed);
}

static unsigned intake_ends(struct kmcl_channel *channel)
{
    return atomic_load_explicit(&channel->intake_ends, memory_order_relaxed);
}

enum batch_end {
    BATCH_GOES_ON,
    BATCH_EMPTY,   /* nothing more in the ring */
    BATCH_BUDGET,  /* others' turn */
    BATCH_QUOTA,   /* the driver holds as much as it may */
    BATCH_HELD,    /* the next packet is for PASSIVE */
    BATCH_STOPPED, /* by VmbChannelPacketFail() or the state machine */
    BATCH_BROKEN,  /* no more sense can be made of the ring */
};

struct batch {
    uint32_t delivered;
    bool consumed; /* anything at all */
};

/* The callback has returned without being done with its packet. Returns whether the next may
 * follow. */
static __attribute__((noinline)) bool
settle_delivery(struct kmcl_channel *channel, struct kmcl_incoming *incoming, struct batch *batch)
{
    uint32_t state = INCOMING_DELIVERING;
    enum irql level = spin_lock_acquire(&channel->lock);

    if (channel->spare == incoming) {
        channel->spare = NULL;
    }
    incoming->in_callback = false;
    if (atomic_compare_exchange_strong_explicit(&incoming->state, &state, INCOMING_OWNED,
                                                memory_order_acq_rel, memory_order_acquire)) {
        atomic_store_explicit(&channel->outstanding, outstanding(channel) + 1,
                              memory_order_relaxed);
    } else if (state == INCOMING_DEFERRED) {
        channel->held = incoming;
        batch->delivered--;
    } else if (state == INCOMING_RELEASED) {
        kmcl_incoming_recycle(channel, incoming);
    }
    spin_lock_release(&channel->lock, level);
    return state != INCOMING_DEFERRED;
}

/* Calls the driver with a packet. [drain] Returns whether the next may follow. */
static inline bool deliver(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                           struct batch *batch)
{
    incoming->in_callback = true;
    atomic_store_explicit(&incoming->state, INCOMING_DELIVERING, memory_order_relaxed);
    channel->process_packet(kmcl_channel_handle(channel), (VMBPACKETCOMPLETION)(void *)incoming,
                            incoming->copy + incoming->offset, incoming->packet.payload_length,
                            kmcl_incoming_flags(incoming));
    batch->delivered++;
    /* Completed inside the callback, the usual case: nobody else knows of it any more. */
    if (atomic_load_explicit(&incoming->state, memory_order_acquire) != INCOMING_RELEASED) {
        return settle_delivery(channel, incoming, batch);
    }
    incoming->in_callback = false;
    keep_object(channel, incoming);
    return true;
}

/* Finds a pipe's payload in the copy, behind the extension. */
static bool open_pipe_packet(struct kmcl_incoming *incoming)
{
    struct ring_packet_in *packet = &incoming->packet;
    const unsigned char *header = incoming->copy + packet->extension_length;
    uint32_t type;
    uint32_t length;

    if (packet->payload_length < KMCL_PIPE_HEADER_SIZE) {
        return false;
    }
    memcpy(&type, header, sizeof(type));
    memcpy(&length, header + sizeof(type), sizeof(length));
    if (type != KMCL_PIPE_DATA || length > packet->payload_length - KMCL_PIPE_HEADER_SIZE ||
        length > KMCL_PIPE_PAYLOAD_LIMIT) {
        return false;
    }
    incoming->offset += KMCL_PIPE_HEADER_SIZE;
    packet->payload_length = length;
    return true;
}

/* Not for this end, or not well-formed: costs this packet. Said once a channel. */
static __attribute__((noinline)) enum batch_end drop(struct kmcl_channel *channel,
                                                     struct kmcl_incoming *incoming)
{
    if (channel->statistics.PacketsDropped++ == 0) {
        kmcl_warn(channel, "dropped a packet of type", incoming->packet.type);
    }
    keep_object(channel, incoming);
    return BATCH_GOES_ON;
}

/* Any packet but a completion. */
static inline enum batch_end take_data(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                                       struct batch *batch)
{
    const uint16_t type = incoming->packet.type;

    incoming->offset = incoming->packet.extension_length;
    if ((type != RING_PACKET_DATA_INBAND && type != channel->described_type) ||
        (channel->is_pipe && !open_pipe_packet(incoming))) {
        return drop(channel, incoming);
    }
    if (incoming->context_size > 0) {
        memset(incoming->copy + incoming->capacity, 0, incoming->context_size);
    }
    channel->statistics.PacketsReceived++;
    return deliver(channel, incoming, batch) ? BATCH_GOES_ON : BATCH_HELD;
}

/* A completion; `incoming`, which holds its payload, is NULL if there was no memory for that. */
static enum batch_end take_completion(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                                      const struct ring_packet_in *in)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    struct kmcl_packet *packet = kmcl_transaction_end(&channel->transactions, in->transaction_id);

    if (packet != NULL && packet != &kmcl_tombstone) {
        packet->state = PACKET_IDLE;
    }
    spin_lock_release(&channel->lock, level);
    if (packet == NULL) {
        channel->statistics.CompletionsUnknown++;
        kmcl_warn(channel, "completion of an unknown transaction:", in->transaction_id);
    } else if (packet == &kmcl_tombstone) {
        channel->statistics.CompletionsLate++;
    } else {
        const uint32_t length = incoming != NULL ? in->payload_length : 0;

        channel->statistics.CompletionsReceived++;
        packet->routine(kmcl_packet_handle(packet),
                        length == in->payload_length ? STATUS_SUCCESS
                                                     : STATUS_INSUFFICIENT_RESOURCES,
                        length > 0 ? incoming->copy + in->extension_length : NULL, length);
    }
    if (incoming != NULL) {
        keep_object(channel, incoming);
    }
    return packet != NULL ? BATCH_GOES_ON : BATCH_BROKEN;
}

/*
 * Takes what cannot go the short way of take_next(): too large for the object at hand, or there is
 * none, or the quota is used up. BATCH_GOES_ON: *packet is taken, and kept in *incoming unless that
 * is NULL.
 */
static __attribute__((noinline)) enum batch_end
fetch(struct kmcl_channel *channel, struct ring_packet_in *packet, struct kmcl_incoming **incoming)
{
    unsigned char *copy = NULL;
    enum ring_status status = ring_reader_peek(channel->reader, packet);

    if (status != RING_OK) {
        return status == RING_EMPTY ? BATCH_EMPTY : BATCH_BROKEN;
    }
    const bool is_completion = packet->type == RING_PACKET_COMPLETION;
    if (!is_completion && quota_is_used_up(channel)) {
        return BATCH_QUOTA;
    }
    *incoming = take_object(channel, packet->extension_length + packet->payload_length);
    if (*incoming != NULL) {
        (*incoming)->packet = *packet;
        copy = (*incoming)->copy;
    } else if (!is_completion) {
        kmcl_warn(channel, "no memory for a packet of bytes:", packet->payload_length);
        return BATCH_BROKEN;
    }
    ring_reader_take(channel->reader, packet, copy,
                     copy != NULL ? copy + packet->extension_length : NULL);
    return BATCH_GOES_ON;
}

/* The usual packet goes from the ring to its place in one step. [drain] */
static inline enum batch_end take_next(struct kmcl_channel *channel, struct batch *batch)
{
    struct kmcl_incoming *incoming = channel->spare;
    struct ring_packet_in unkept;
    struct ring_packet_in *packet = &unkept;
    enum ring_status status = RING_TOO_LARGE;

    if (incoming != NULL && !quota_is_used_up(channel)) {
        packet = &incoming->packet;
        status = ring_reader_next(channel->reader, incoming->copy, channel->copy_size, packet);
    }
    if (status == RING_TOO_LARGE) {
        enum batch_end end = fetch(channel, packet, &incoming);

        if (end != BATCH_GOES_ON) {
            return end;
        }
    } else if (status != RING_OK) {
        return status == RING_EMPTY ? BATCH_EMPTY : BATCH_BROKEN;
    }
    if (packet->type == RING_PACKET_COMPLETION) {
        return take_completion(channel, incoming, packet);
    }
    return take_data(channel, incoming, batch);
}

/* Takes packets until something ends the batch. [drain] */
static enum batch_end take_batch(struct kmcl_channel *channel, struct batch *batch,
                                 unsigned *budget)
{
    const unsigned before = *budget;
    struct kmcl_incoming *held = channel->held;
    enum batch_end end = BATCH_GOES_ON;

    if (held != NULL && intake_ends(channel) == 0) {
        channel->held = NULL;
        batch->consumed = true;
        end = deliver(channel, held, batch) ? BATCH_GOES_ON : BATCH_HELD;
    }
    for (; end == BATCH_GOES_ON; --*budget) {
        if (intake_ends(channel) != 0) {
            end = BATCH_STOPPED;
            break;
        }
        if (*budget == 0) {
            end = BATCH_BUDGET;
            break;
        }
        end = take_next(channel, batch);
        if (end != BATCH_GOES_ON && end != BATCH_HELD) {
            break; /* and nothing was taken */
        }
    }
    batch->consumed |= *budget != before;
    return end;
}

/* ---- before and after ---- */

/* Decides what follows a batch. Lock held. Returns whether it is another one. */
static bool choose_next(struct kmcl_channel *channel, enum batch_end end, bool passive)
{
    if ((intake_ends(channel) & INTAKE_ENDS_STOP) != 0) {
        channel->intake = INTAKE_OFF;
        passive_work_queue(&channel->state_work);
        return false;
    }
    if (intake_ends(channel) != 0) {
        channel->intake =
            (intake_ends(channel) & INTAKE_ENDS_FAILED) != 0 ? INTAKE_FAILED : INTAKE_BLOCKED;
        return false;
    }
    if (end == BATCH_QUOTA) {
        if (!quota_is_used_up(channel)) {
            return true; /* completed meanwhile */
        }
        channel->intake = INTAKE_BLOCKED;
        return false;
    }
    if (end == BATCH_HELD || (end == BATCH_BUDGET && passive)) {
        channel->intake = INTAKE_SCHEDULED;
        passive_work_queue(&channel->drain_work);
        return false;
    }
    if (end == BATCH_BUDGET) {
        channel->intake = INTAKE_IDLE;
        return false;
    }
    /* Under the lock: an event that comes after the look finds INTAKE_IDLE. */
    if (ring_reader_unmask(channel->reader)) {
        return true;
    }
    channel->intake = INTAKE_IDLE;
    return false;
}

/* Sends are published by the end of the batch, or when there is a good deal of them. Lock held. */
static void start_staging(struct kmcl_channel *channel)
{
    channel->staging_limit = ring_writer_largest(channel->writer) / 4;
}

/* INTAKE_RUNNING is set by the caller, for us. */
static void drain(struct kmcl_channel *channel, bool passive)
{
    unsigned budget = KMCL_DRAIN_BUDGET;
    bool again;
    enum batch_end end;

    do {
        struct batch batch = {0, false};
        struct kmcl_followup followup;

        ring_reader_mask(channel->reader);
        end = take_batch(channel, &batch, &budget);
        if (ring_reader_publish(channel->reader)) {
            kmcl_signal(channel);
        }
        if (batch.consumed && channel->processing_complete != NULL) {
            channel->processing_complete(kmcl_channel_handle(channel), batch.delivered);
        }
        kmcl_followup_begin(&followup);
        enum irql level = spin_lock_acquire(&channel->lock);
        /* Publishing looks at the ring too. */
        if (end == BATCH_BROKEN || channel->reader->fault.kind != RING_FAULT_NONE) {
            atomic_fetch_or_explicit(&channel->intake_ends, INTAKE_ENDS_FAILED,
                                     memory_order_relaxed);
            followup.broken = true;
        }
        again = choose_next(channel, end, passive);
        channel->staging_limit = 0;
        kmcl_queue_flush(channel, &followup);
        if (again && !passive) {
            start_staging(channel);
        }
        spin_lock_release(&channel->lock, level);
        kmcl_followup_run(channel, &followup);
    } while (again);
    if (end == BATCH_BUDGET && !passive) {
        channel->role->kick(channel);
    }
}

/* Releases the lock. */
static __attribute__((noinline)) void flush(struct kmcl_channel *channel, enum irql level)
{
    struct kmcl_followup followup;

    kmcl_followup_begin(&followup);
    kmcl_queue_flush(channel, &followup);
    spin_lock_release(&channel->lock, level);
    kmcl_followup_run(channel, &followup);
}

void kmcl_event(void *context)
{
    struct kmcl_channel *channel = context;
    bool mine = false;

    enum irql level = spin_lock_acquire(&channel->lock);
    if (channel->intake == INTAKE_IDLE) {
        if (channel->held != NULL ||
            atomic_load_explicit(&channel->at_passive, memory_order_relaxed)) {
            channel->intake = INTAKE_SCHEDULED;
            passive_work_queue(&channel->drain_work);
        } else {
            channel->intake = INTAKE_RUNNING;
            start_staging(channel);
            mine = true;
        }
    }
    if (channel->queue_first != NULL) {
        flush(channel, level);
    } else {
        spin_lock_release(&channel->lock, level);
    }
    if (mine) {
        drain(channel, false);
    }
}

void kmcl_drain_work(void *context)
{
    struct kmcl_channel *channel = context;
    bool mine = false;

    enum irql level = spin_lock_acquire(&channel->lock);
    if (channel->intake == INTAKE_SCHEDULED) {
        channel->intake = INTAKE_RUNNING;
        mine = true;
    }
    spin_lock_release(&channel->lock, level);
    if (mine) {
        drain(channel, true);
    }
}

void kmcl_intake_start(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    channel->flowing = true;
    atomic_fetch_and_explicit(&channel->intake_ends, (uint8_t)~INTAKE_ENDS_STOP,
                              memory_order_relaxed);
    channel->intake = INTAKE_IDLE; /* or failed, as the first drain will find */
    flush(channel, level);
    /* What came while nobody looked brought its signal then. */
    channel->role->kick(channel);
}

bool kmcl_intake_stop(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    channel->flowing = false;
    atomic_fetch_or_explicit(&channel->intake_ends, INTAKE_ENDS_STOP, memory_order_relaxed);
    if (channel->intake != INTAKE_RUNNING) {
        channel->intake = INTAKE_OFF;
    }
    bool is_off = channel->intake == INTAKE_OFF;
    spin_lock_release(&channel->lock, level);
    return is_off;
}
