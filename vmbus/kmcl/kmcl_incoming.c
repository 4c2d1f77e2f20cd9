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
    if (incoming == channel->spare || incoming->in_callback) {
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

/* Makes one of those that are kept for packets of usual size the spare one. */
static void find_spare(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    channel->spare = channel->incoming_free;
    if (channel->spare != NULL) {
        channel->incoming_free = (struct kmcl_incoming *)(void *)channel->spare->reply.next;
    }
    spin_lock_release(&channel->lock, level);
}

/* An object for `size` bytes. [drain] */
static struct kmcl_incoming *take_object(struct kmcl_channel *channel, uint32_t size)
{
    if (size <= channel->copy_size) {
        if (channel->spare == NULL) {
            find_spare(channel);
        }
        if (channel->spare != NULL) {
            return channel->spare;
        }
    }
    return kmcl_incoming_allocate(channel, size);
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

static inline uint32_t intake_ends(struct kmcl_channel *channel)
{
    return kmcl_intake_word(channel) & INTAKE_ENDS;
}

static bool quota_is_used_up(struct kmcl_channel *channel)
{
    return kmcl_outstanding(channel) >= atomic_load_explicit(&channel->quota, memory_order_relaxed);
}

/* The first three are what the ring answers. */
enum batch_end {
    BATCH_GOES_ON = RING_OK,
    BATCH_EMPTY = RING_EMPTY,    /* nothing more in the ring */
    BATCH_BROKEN = RING_CORRUPT, /* no more sense can be made of the ring */
    BATCH_BUDGET = 16,           /* others' turn */
    BATCH_QUOTA,                 /* the driver holds as much as it may */
    BATCH_HELD,                  /* the next packet is for PASSIVE */
    BATCH_STOPPED,               /* by VmbChannelPacketFail() or the state machine */
};

struct batch {
    uint32_t budget;    /* packets that may still be taken, by all batches of a drain */
    uint32_t delivered; /* less what was taken: so it is touched for what was taken and not meant
                           for the driver, or deferred */
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
        kmcl_intake_word_set(channel, kmcl_intake_word(channel) + 1);
    } else if (state == INCOMING_DEFERRED) {
        channel->held = incoming;
        batch->delivered--;
    } else if (state == INCOMING_RELEASED) {
        kmcl_incoming_recycle(channel, incoming);
    }
    spin_lock_release(&channel->lock, level);
    return state != INCOMING_DEFERRED;
}

/* Calls the driver with a packet. Returns whether it was completed inside the callback, the usual
 * case: then nobody else knows of it any more. [drain] */
static inline bool call_driver(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                               uint32_t offset, uint32_t flags)
{
    atomic_store_explicit(&incoming->state, INCOMING_DELIVERING, memory_order_relaxed);
    channel->process_packet(kmcl_channel_handle(channel), (VMBPACKETCOMPLETION)(void *)incoming,
                            incoming->copy + offset, incoming->packet.payload_length, flags);
    return atomic_load_explicit(&incoming->state, memory_order_acquire) == INCOMING_RELEASED;
}

/* Delivers a packet of any kind. [drain] Returns whether the next may follow. */
static bool deliver(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                    struct batch *batch)
{
    incoming->in_callback = true;
    if (!call_driver(channel, incoming, incoming->offset, kmcl_incoming_flags(incoming))) {
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

/* Whether this end takes a packet that is no completion: else it is not for it, or not well-formed.
 */
static bool is_for_driver(struct kmcl_channel *channel, struct kmcl_incoming *incoming)
{
    const uint16_t type = incoming->packet.type;

    incoming->offset = incoming->packet.extension_length;
    return (type == RING_PACKET_DATA_INBAND || type == channel->described_type) &&
           (!channel->is_pipe || open_pipe_packet(incoming));
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
        return BATCH_BROKEN;
    }
    if (packet == &kmcl_tombstone) {
        channel->statistics.CompletionsLate++;
        return BATCH_GOES_ON;
    }
    const uint32_t length = incoming != NULL ? in->payload_length : 0;
    channel->statistics.CompletionsReceived++;
    packet->routine(kmcl_packet_handle(packet),
                    length == in->payload_length ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES,
                    length > 0 ? incoming->copy + in->extension_length : NULL, length);
    return BATCH_GOES_ON;
}

/*
 * Takes what cannot go the short way of take_batch(): too large for the object at hand, or there is
 * none, or the quota is used up. BATCH_GOES_ON: *packet is taken, and kept in *incoming unless that
 * is NULL.
 */
static enum batch_end fetch(struct kmcl_channel *channel, struct ring_packet_in *packet,
                            struct kmcl_incoming **incoming)
{
    unsigned char *copy = NULL;
    enum ring_status status = ring_reader_peek(channel->reader, packet);

    if (status != RING_OK) {
        return (enum batch_end)status;
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

/* Whatever comes next, in `incoming` already unless that is NULL. [drain] */
static enum batch_end take_any(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                               struct batch *batch)
{
    struct ring_packet_in unkept;
    enum batch_end end = BATCH_GOES_ON;

    if (incoming == NULL) {
        end = fetch(channel, &unkept, &incoming);
        if (end != BATCH_GOES_ON) {
            return end; /* and nothing was taken */
        }
    }
    const struct ring_packet_in *packet = incoming != NULL ? &incoming->packet : &unkept;
    if (packet->type == RING_PACKET_COMPLETION) {
        end = take_completion(channel, incoming, packet);
    } else if (is_for_driver(channel, incoming)) {
        if (incoming->context_size > 0) {
            memset(incoming->copy + incoming->capacity, 0, incoming->context_size);
        }
        channel->statistics.PacketsReceived++;
        return deliver(channel, incoming, batch) ? BATCH_GOES_ON : BATCH_HELD;
    } else if (channel->statistics.PacketsDropped++ == 0) {
        kmcl_warn(channel, "dropped a packet of type", packet->type); /* said once a channel */
    }
    batch->delivered -= end == BATCH_GOES_ON;
    if (incoming != NULL) {
        keep_object(channel, incoming);
    }
    return end;
}

/* The packet that was deferred, if there is one. [drain] */
static enum batch_end take_held(struct kmcl_channel *channel, struct batch *batch)
{
    struct kmcl_incoming *held = channel->held;

    if (held == NULL || intake_ends(channel) != 0) {
        return BATCH_GOES_ON;
    }
    channel->held = NULL;
    batch->budget--;
    return deliver(channel, held, batch) ? BATCH_GOES_ON : BATCH_HELD;
}

/*
 * Takes packets until something ends the batch. The usual packet goes the short way, in which
 * little is looked at: it is in band, without a pipe's header or a driver's context, the object at
 * hand holds it, and the driver, which owes nothing, completes it inside the callback; then that
 * object takes the next one. [drain]
 */
static enum batch_end take_batch(struct kmcl_channel *channel, struct batch *batch)
{
    struct kmcl_incoming *incoming = channel->spare;
    enum batch_end end = take_held(channel, batch);

    while (end == BATCH_GOES_ON) {
        enum ring_status status = RING_TOO_LARGE;

        if (kmcl_intake_word(channel) != 0) {
            if (intake_ends(channel) != 0) {
                return BATCH_STOPPED;
            }
            if (quota_is_used_up(channel)) {
                incoming = NULL;
            }
        }
        if (incoming != NULL) {
            status = ring_reader_next(channel->reader, incoming->copy, channel->copy_size,
                                      &incoming->packet);
        }
        if (status == RING_OK && incoming->packet.type == channel->usual_type) {
            channel->statistics.PacketsReceived++;
            if (!call_driver(channel, incoming, incoming->packet.extension_length, 0)) {
                incoming->offset = incoming->packet.extension_length;
                end = settle_delivery(channel, incoming, batch) ? BATCH_GOES_ON : BATCH_HELD;
                incoming = channel->spare;
            }
        } else if (status == RING_OK || status == RING_TOO_LARGE) {
            end = take_any(channel, status == RING_OK ? incoming : NULL, batch);
            if (end != BATCH_GOES_ON && end != BATCH_HELD) {
                break; /* and nothing was taken */
            }
            incoming = channel->spare;
        } else {
            return (enum batch_end)status;
        }
        if (--batch->budget == 0 && end == BATCH_GOES_ON) {
            return BATCH_BUDGET;
        }
    }
    return end;
}

/* ---- before and after ---- */

/* Decides what follows a batch. Lock held. Returns whether it is another one. */
static bool choose_next(struct kmcl_channel *channel, enum batch_end end, bool passive)
{
    if (end == BATCH_BROKEN) {
        kmcl_intake_word_set(channel, kmcl_intake_word(channel) | INTAKE_ENDS_FAILED);
    }
    const uint32_t ends = intake_ends(channel);
    if ((ends & INTAKE_ENDS_STOP) != 0) {
        channel->intake = INTAKE_OFF;
        passive_work_queue(&channel->state_work);
        return false;
    }
    if (ends != 0) {
        channel->intake = (ends & INTAKE_ENDS_FAILED) != 0 ? INTAKE_FAILED : INTAKE_BLOCKED;
        return false;
    }
    if (end == BATCH_STOPPED || (end == BATCH_QUOTA && !quota_is_used_up(channel))) {
        return true; /* that is over meanwhile */
    }
    if (end == BATCH_QUOTA) {
        channel->intake = INTAKE_BLOCKED;
        return false;
    }
    if (end == BATCH_HELD || (end == BATCH_BUDGET && passive)) {
        channel->intake = INTAKE_SCHEDULED;
        passive_work_queue(&channel->drain_work);
        return false;
    }
    channel->intake = INTAKE_IDLE;
    channel->role->kick(channel); /* BATCH_BUDGET */
    return false;
}

/* Sends are published by the end of the batch, or when there is a good deal of them. Lock held. */
static uint32_t staging_limit(const struct kmcl_channel *channel)
{
    return ring_writer_largest(channel->writer) / 4;
}

/* Moves what can be moved from the queue into the ring; `limit` is for what comes then. Releases
 * the lock. */
static __attribute__((noinline)) void flush(struct kmcl_channel *channel, uint32_t limit,
                                            enum irql level)
{
    struct kmcl_followup followup;

    kmcl_followup_begin(&followup);
    kmcl_queue_flush(channel, &followup);
    channel->staging_limit = limit;
    spin_lock_release(&channel->lock, level);
    kmcl_followup_run(channel, &followup);
}

/* INTAKE_RUNNING is set by the caller, for us, and the limit of staging: 0 at PASSIVE. */
static void drain(struct kmcl_channel *channel, uint32_t limit)
{
    struct batch batch = {.budget = KMCL_DRAIN_BUDGET};
    bool again;
    enum batch_end end;

    do {
        const uint32_t budget = batch.budget;

        ring_reader_mask(channel->reader);
        end = take_batch(channel, &batch);
        if (ring_reader_publish(channel->reader)) {
            kmcl_signal(channel);
        }
        if (channel->processing_complete != NULL && batch.budget != budget) {
            channel->processing_complete(kmcl_channel_handle(channel),
                                         batch.delivered + budget - batch.budget);
            batch.delivered = 0;
        }
        /* Publishing looks at the ring too. */
        if (end == BATCH_BROKEN || channel->reader->fault.kind != RING_FAULT_NONE) {
            end = BATCH_BROKEN;
            kmcl_break(channel);
        }
        enum irql level = spin_lock_acquire(&channel->lock);
        /* Under the lock: an event that comes after the look finds INTAKE_IDLE. */
        if (end == BATCH_EMPTY && intake_ends(channel) == 0) {
            again = ring_reader_unmask(channel->reader);
            if (!again) {
                channel->intake = INTAKE_IDLE;
            }
        } else {
            again = choose_next(channel, end, limit == 0);
        }
        channel->staging_limit = 0;
        if (channel->queue_first != NULL) {
            flush(channel, again ? limit : 0, level);
            continue;
        }
        const bool signal = ring_writer_commit(channel->writer);
        if (again) {
            channel->staging_limit = limit;
        }
        spin_lock_release(&channel->lock, level);
        if (signal) {
            kmcl_signal(channel);
        }
    } while (again);
}

void kmcl_event(void *context)
{
    struct kmcl_channel *channel = context;
    uint32_t limit = 0;

    enum irql level = spin_lock_acquire(&channel->lock);
    if (channel->intake == INTAKE_IDLE) {
        if (channel->held != NULL ||
            atomic_load_explicit(&channel->at_passive, memory_order_relaxed)) {
            channel->intake = INTAKE_SCHEDULED;
            passive_work_queue(&channel->drain_work);
        } else {
            channel->intake = INTAKE_RUNNING;
            limit = staging_limit(channel);
            channel->staging_limit = limit;
        }
    }
    if (channel->queue_first != NULL) {
        flush(channel, channel->staging_limit, level);
    } else {
        spin_lock_release(&channel->lock, level);
    }
    if (limit != 0) {
        drain(channel, limit);
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
        drain(channel, 0);
    }
}

void kmcl_intake_start(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    channel->flowing = true;
    kmcl_intake_word_set(channel, kmcl_intake_word(channel) & ~INTAKE_ENDS_STOP);
    channel->intake = INTAKE_IDLE; /* or failed, as the first drain will find */
    flush(channel, 0, level);
    /* What came while nobody looked brought its signal then. */
    channel->role->kick(channel);
}

bool kmcl_intake_stop(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    channel->flowing = false;
    kmcl_intake_word_set(channel, kmcl_intake_word(channel) | INTAKE_ENDS_STOP);
    if (channel->intake != INTAKE_RUNNING) {
        channel->intake = INTAKE_OFF;
    }
    bool is_off = channel->intake == INTAKE_OFF;
    spin_lock_release(&channel->lock, level);
    return is_off;
}
