/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_CHANNEL_H
#define VMBUS_CHANNEL_H

/*
 * The inside of a channel, for this folder only.
 *
 *   OFFERED -> GPADL_PENDING -> GPADL_READY -> OPENING -> OPEN -> CLOSING -> OFFERED
 *
 * with ways back from each step that fails, and RELEASED at the end from any. A rescind is no state
 * but a mark: it may come at any time, releases every wait, and whoever holds the channel walks it
 * back to OFFERED and gives it up.
 *
 * Levels: messages are handled at DISPATCH on the processor whose VP was named to the host. A
 * caller at PASSIVE on that processor therefore never runs beside a handler or an event callback.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/wait.h"
#include "kernel/work.h"
#include "vmbus/messages.h"
#include "vmbus/vmbus.h"

/*
 * The bus lock guards what is not atomic, except where said. What is used often comes first: within
 * 128 bytes x86-64 names it with a byte, and a burst of packets touches two cache lines of it.
 */
struct vmbus_channel {
    enum vmbus_channel_state state;
    unsigned
        references; /* the table's, the owner's, and those of code that has let go of the lock */
    const struct vmbus_channel_owner *owner;
    atomic_bool rescinded; /* or the connection ended */

    /* The open channel. Written by the owner's calls, at PASSIVE. */
    atomic_bool live;           /* rings are set up: events are delivered, signals sent */
    bool open_pending;          /* OPEN_CHANNEL is on its way */
    bool move_pending;          /* MODIFY_CHANNEL is */
    uint32_t monitor_bit;       /* to set at `monitor` */
    _Atomic uint32_t *monitor;  /* NULL: signal by hypercall */
    unsigned char *ring_memory; /* as long as it may have to be freed */
    uint32_t ring_pages;        /* of both rings with their control pages */
    uint32_t ring_gpadl;

    uint32_t open_id;
    uint32_t open_status;
    uint32_t move_status;

    struct vmbus_offer offer; /* never changes */
    struct work_item event_work;
    struct event open_answered;
    struct ring_writer outgoing;
    struct ring_reader incoming;
};

/* Rescinded, or without a connection. Any IRQL. */
static inline bool vmbus_channel_lost(const struct vmbus_channel *channel)
{
    return atomic_load_explicit(&channel->rescinded, memory_order_acquire);
}

/* What a new channel needs beside its offer; the memory is zeroed. */
void vmbus_channel_initialise(struct vmbus_channel *channel);

/* The one place where a channel's state changes. RELEASED stays. Under the bus lock. */
void vmbus_channel_transition(struct vmbus_channel *channel, enum vmbus_channel_state state);

/*
 * The offer is gone, by a rescind or with its connection: marks it and releases every wait. Returns
 * whether this is news. Under the bus lock.
 */
bool vmbus_channel_lose(struct vmbus_channel *channel);

/* The host set this event flag, any number: queues the channel, or counts it. IRQL_DEVICE. */
void vmbus_channel_event(uint32_t flag);

/* Frees the rings' memory, if there still is some, or keeps it for ever. At or below DISPATCH. */
void vmbus_channel_free_rings(struct vmbus_channel *channel, bool given_back);

/* No event callback of this channel runs after it. IRQL_PASSIVE. */
void vmbus_channel_stop_events(struct vmbus_channel *channel);

vmbus_message_handler vmbus_open_result_received;

#endif
