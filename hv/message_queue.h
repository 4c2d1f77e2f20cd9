/* SPDX-License-Identifier: MIT */
#ifndef HV_MESSAGE_QUEUE_H
#define HV_MESSAGE_QUEUE_H

/*
 * Messages on their way from the interrupt handler to deferred work: one producer, one consumer, no
 * lock. Entries are filled and read in place.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "hv/synic.h"

/*
 * Choice of ours, a power of two: a host answers RequestOffers with a dozen messages or two in a
 * row. When the queue is full the next one stays in its slot, and the rest with the host.
 */
#define HV_MESSAGE_QUEUE_LENGTH 16u
_Static_assert((HV_MESSAGE_QUEUE_LENGTH & (HV_MESSAGE_QUEUE_LENGTH - 1)) == 0, "power of two");

struct hv_message_queue {
    struct hv_message entries[HV_MESSAGE_QUEUE_LENGTH];
    _Atomic uint32_t added;   /* counts up for ever; written by the producer */
    _Atomic uint32_t removed; /* likewise, by the consumer; added - removed entries are queued */
};

/* Producer: the entry to fill next, NULL if the queue is full. It counts only once published. */
static inline struct hv_message *hv_message_queue_claim(struct hv_message_queue *queue)
{
    uint32_t added = atomic_load_explicit(&queue->added, memory_order_relaxed);
    uint32_t removed = atomic_load_explicit(&queue->removed, memory_order_acquire);
    if (added - removed == HV_MESSAGE_QUEUE_LENGTH) {
        return NULL;
    }
    return &queue->entries[added % HV_MESSAGE_QUEUE_LENGTH];
}

static inline void hv_message_queue_publish(struct hv_message_queue *queue)
{
    uint32_t added = atomic_load_explicit(&queue->added, memory_order_relaxed);
    atomic_store_explicit(&queue->added, added + 1, memory_order_release);
}

/* Consumer: the oldest entry, NULL if there is none. It stays valid until it is released. */
static inline const struct hv_message *hv_message_queue_front(struct hv_message_queue *queue)
{
    uint32_t removed = atomic_load_explicit(&queue->removed, memory_order_relaxed);
    if (atomic_load_explicit(&queue->added, memory_order_acquire) == removed) {
        return NULL;
    }
    return &queue->entries[removed % HV_MESSAGE_QUEUE_LENGTH];
}

static inline void hv_message_queue_release(struct hv_message_queue *queue)
{
    uint32_t removed = atomic_load_explicit(&queue->removed, memory_order_relaxed);
    atomic_store_explicit(&queue->removed, removed + 1, memory_order_release);
}

#endif
