/* SPDX-License-Identifier: MIT */
#include "tests/el2/bus.h"

#include <stdatomic.h>
#include <stddef.h>
#include <string.h>

#include "hv/synic.h"
#include "hv/tlfs.h"
#include "kernel/work.h"
#include "tests/el2/configuration.h"
#include "tests/el2/guest_pages.h"
#include "tests/el2/lock.h"
#include "tests/el2/processor.h"
#include "tests/el2/synic.h"
#include "tests/el2/trace.h"
#include "vmbus/server/server.h"

/* As many buffers as a real host's port has (Linux drivers/hv/connection.c). */
#define PORT_BUFFERS 16u

struct posted {
    uint32_t connection_id;
    uint32_t size;
    uint8_t payload[HV_MESSAGE_PAYLOAD_MAXIMUM];
};

static struct vmbus_server *server;
static struct work_item work;

/* Messages of the guest that the server has not taken. */
static struct {
    struct machine_lock lock;
    struct posted buffers[PORT_BUFFERS];
    uint32_t first;
    uint32_t count;
} port;

/* Signals likewise, a bit a channel. */
static _Atomic uint64_t signals[VMBUS_RELID_END / 64];
static atomic_bool slot_free;
static atomic_bool slot_passed_over; /* it may be free: it was not looked at */

/* Something came that the executive has not begun to work on; and it may. */
static atomic_bool pending;
static atomic_bool released;

/* ---- the guest's side ---- */

static void wake(void)
{
    atomic_store_explicit(&pending, true, memory_order_release);
    processors_notify_host();
}

hv_status bus_post(uint32_t connection_id, const void *payload, uint32_t size)
{
    hv_status status = HV_STATUS_INSUFFICIENT_BUFFERS;

    if (connection_id != VMBUS_CONNECTION_ID_MESSAGES &&
        (connection_id != VMBUS_CONNECTION_ID_MULTI_CLIENT ||
         configuration()->version < VMBUS_VERSION_5_0)) {
        return HV_STATUS_INVALID_CONNECTION_ID;
    }
    machine_lock(&port.lock);
    if (port.count < PORT_BUFFERS) {
        struct posted *buffer = &port.buffers[(port.first + port.count++) % PORT_BUFFERS];
        buffer->connection_id = connection_id;
        buffer->size = size;
        memcpy(buffer->payload, payload, size);
        status = HV_STATUS_SUCCESS;
    }
    machine_unlock(&port.lock);
    wake();
    return status;
}

hv_status bus_signal(uint32_t connection_id, uint32_t flag)
{
    const uint32_t relid = connection_id - VMBUS_SERVER_CONNECTION_ID_BASE;

    if (relid < VMBUS_RELID_FIRST || relid >= VMBUS_RELID_END) {
        return HV_STATUS_INVALID_CONNECTION_ID;
    }
    if (flag != 0) {
        return HV_STATUS_INVALID_PORT_ID;
    }
    atomic_fetch_or_explicit(&signals[relid / 64], UINT64_C(1) << relid % 64, memory_order_release);
    wake();
    return HV_STATUS_SUCCESS;
}

void bus_slot_free(void)
{
    atomic_store_explicit(&slot_free, true, memory_order_release);
    wake();
}

bool bus_is_pending(void)
{
    return atomic_load_explicit(&pending, memory_order_acquire);
}

bool bus_guest_takes(void)
{
    return atomic_load_explicit(&slot_free, memory_order_acquire);
}

void bus_release(void)
{
    atomic_store_explicit(&released, true, memory_order_release);
}

/* ---- the executive's side ---- */

/* The oldest message, which stays where it is; false: there is none. */
static bool peek(struct posted *out)
{
    machine_lock(&port.lock);
    const bool any = port.count != 0;
    if (any) {
        *out = port.buffers[port.first];
    }
    machine_unlock(&port.lock);
    return any;
}

static void release(void)
{
    machine_lock(&port.lock);
    port.first = (port.first + 1) % PORT_BUFFERS;
    port.count--;
    machine_unlock(&port.lock);
}

static void take_messages(void)
{
    static bool traced; /* the oldest message was offered to the server before */
    struct posted message;

    while (peek(&message)) {
        if (!traced) {
            trace_message(TRACE_FROM_GUEST, message.payload, message.size);
        }
        traced = vmbus_server_message(server, message.connection_id, message.payload,
                                      message.size) == HV_STATUS_INSUFFICIENT_BUFFERS;
        if (traced) {
            return; /* the guest has answers to take first; then its slot becomes free */
        }
        release();
    }
}

static void take_signals(void)
{
    for (uint32_t word = 0; word < VMBUS_RELID_END / 64; word++) {
        uint64_t bits = atomic_exchange_explicit(&signals[word], 0, memory_order_acquire);
        for (; bits != 0; bits &= bits - 1) {
            const uint32_t relid = word * 64 + (uint32_t)__builtin_ctzll(bits);
            (void)vmbus_server_signal(server, VMBUS_SERVER_CONNECTION_ID_BASE + relid, 0);
        }
    }
}

/* Since it was last run the executive has given the guest a message. */
static bool has_posted;

static void run(void *context)
{
    (void)context;
    has_posted = false;
    const bool passed_over =
        atomic_exchange_explicit(&slot_passed_over, false, memory_order_relaxed);
    if (atomic_exchange_explicit(&slot_free, false, memory_order_acquire) || passed_over) {
        vmbus_server_slot_free(server);
    }
    take_messages();
    take_signals();
}

void bus_interrupt(void)
{
    if (atomic_exchange_explicit(&released, false, memory_order_acq_rel) &&
        atomic_exchange_explicit(&pending, false, memory_order_acq_rel)) {
        deferred_work_queue(&work);
    }
}

/* ---- the server's machine ---- */

static enum vmbus_server_posted post(void *context, uint32_t vp, uint32_t sint, const void *payload,
                                     uint32_t size)
{
    static const enum vmbus_server_posted results[] = {
        [SYNIC_POSTED] = VMBUS_SERVER_POSTED,
        [SYNIC_SLOT_BUSY] = VMBUS_SERVER_SLOT_BUSY,
        [SYNIC_OFF] = VMBUS_SERVER_POST_FAILED,
    };

    (void)context;
    if (configuration()->delivery == DELIVERY_LATER && has_posted) {
        /* The next one meets the guest at another instruction. */
        atomic_store_explicit(&slot_passed_over, true, memory_order_relaxed);
        wake();
        return VMBUS_SERVER_SLOT_BUSY;
    }
    const enum synic_posted posted = synic_post(vp, sint, HV_MESSAGE_TYPE_VMBUS, payload, size);
    has_posted = posted == SYNIC_POSTED;
    if (posted != SYNIC_SLOT_BUSY) {
        trace_message(posted == SYNIC_POSTED ? TRACE_TO_GUEST : TRACE_LOST, payload, size);
    }
    return results[posted];
}

static bool event(void *context, uint32_t vp, uint32_t flag)
{
    (void)context;
    return synic_event(vp, HV_SYNIC_SINT_VMBUS, flag);
}

static void *map(void *context, const uint64_t *frames, size_t count, bool writable)
{
    (void)context;
    (void)writable;
    return guest_pages_map(frames, count);
}

static void unmap(void *context, void *address, size_t count)
{
    (void)context;
    guest_pages_unmap(address, count);
}

struct vmbus_server *bus_start(void)
{
    static const struct vmbus_server_host machine = {
        .map = map,
        .unmap = unmap,
        .post = post,
        .event = event,
    };
    const struct vmbus_server_options options = {.version_maximum = configuration()->version};

    work_item_initialise(&work, run, NULL);
    server = vmbus_server_create(&machine, &options);
    return server;
}
