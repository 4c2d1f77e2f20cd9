/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_CONNECTION_H
#define VMBUS_CONNECTION_H

/* The state of the bus, and what its files call of one another. For this folder only. */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "kernel/lock.h"
#include "kernel/wait.h"
#include "vmbus/messages.h"
#include "vmbus/monitor_page.h"
#include "vmbus/vmbus.h"

/* What VERSION_RESPONSE said. */
struct vmbus_contact_answer {
    bool supported;
    uint8_t state; /* enum vmbus_contact_state */
    uint32_t connection_id;
    uint32_t features;
};

/* One guest has one bus. `lock` guards what is neither atomic nor said to be somebody's own. */
struct vmbus_bus {
    struct spin_lock lock;
    enum vmbus_connection_state state;
    uint32_t version;            /* asked for while connecting, then agreed on */
    uint32_t message_connection; /* where messages are posted to */
    uint64_t connected_at;

    atomic_bool contact_pending;        /* an INITIATE_CONTACT has no answer yet */
    struct vmbus_contact_answer answer; /* to be read when `answered` is set */
    struct event answered;
    struct event offers_delivered;
    struct event unloaded;
    uint64_t unload_deadline;

    /* Two: parent to child, then child to parent. NULL: signals go by hypercall only. */
    struct vmbus_monitor_page *monitor_pages;

    /* Acts on answers that only some guests ask for, and is set by whoever asks: no other guest's
     * image has their handlers. */
    vmbus_message_handler *rare_answer;

    struct vmbus_offer_listener *listeners;
    struct gpadl *gpadls;
    uint32_t gpadls_made;
    uint32_t next_open;

    /* Messages are counted by their handler, of which only one runs at a time. */
    struct vmbus_statistics statistics; /* without the next two */
    _Atomic uint64_t events_unknown;
    _Atomic uint64_t pages_kept;
    uint32_t reported[VMBUS_MESSAGE_UNEXPECTED + 1]; /* bit: type; one line a kind was printed */
    uint32_t offers_reported;                        /* bit: reason */

    /* By relid. Written under `lock`, read by the interrupt path without it. */
    _Atomic(struct vmbus_channel *) channels[VMBUS_RELID_END];
};
extern struct vmbus_bus vmbus_bus;

/* The lock of the bus: spin_lock_acquire() and spin_lock_release(), in fewer bytes a call. */
enum irql vmbus_lock(void);
void vmbus_unlock(enum irql previous);

/*
 * Posts a message of this connection, trying until `deadline`. VMBUS_UNAVAILABLE: not connected;
 * VMBUS_POST_FAILED. IRQL_PASSIVE.
 */
enum vmbus_status vmbus_post(const void *message, uint32_t size, uint64_t deadline);

/*
 * Whether what was shared over the connection that ended is the guest's again: waits for a running
 * UNLOAD. Only if the connection is not up. IRQL_PASSIVE.
 */
bool vmbus_connection_gave_memory_back(void);

/* Counts pages that are never reused, because the host may still write to them. Any IRQL. */
void vmbus_keep_pages(uint64_t count);

vmbus_message_handler vmbus_version_response_received;
vmbus_message_handler vmbus_unload_complete_received;

#endif
