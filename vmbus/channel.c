/* SPDX-License-Identifier: MIT */
#include "vmbus/channel.h"

#include <string.h>

#include "hv/hypercall.h"
#include "hv/hypervisor.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/connection.h"
#include "vmbus/gpadl.h"
#include "vmbus/offers.h"

/* ---- states ---- */

void vmbus_channel_transition(struct vmbus_channel *channel, enum vmbus_channel_state state)
{
    static const uint8_t allowed[] = {
        [VMBUS_CHANNEL_OFFERED] = 1u << VMBUS_CHANNEL_GPADL_PENDING,
        [VMBUS_CHANNEL_GPADL_PENDING] =
            1u << VMBUS_CHANNEL_GPADL_READY | 1u << VMBUS_CHANNEL_OFFERED,
        [VMBUS_CHANNEL_GPADL_READY] = 1u << VMBUS_CHANNEL_OPENING | 1u << VMBUS_CHANNEL_CLOSING,
        [VMBUS_CHANNEL_OPENING] = 1u << VMBUS_CHANNEL_OPEN | 1u << VMBUS_CHANNEL_CLOSING,
        [VMBUS_CHANNEL_OPEN] = 1u << VMBUS_CHANNEL_CLOSING,
        [VMBUS_CHANNEL_CLOSING] = 1u << VMBUS_CHANNEL_OFFERED,
    };

    if (channel->state == VMBUS_CHANNEL_RELEASED) {
        return; /* the connection ended under a caller who walks the channel back */
    }
    ASSERT(state == VMBUS_CHANNEL_RELEASED || (allowed[channel->state] & 1u << state) != 0);
    channel->state = state;
}

static void enter(struct vmbus_channel *channel, enum vmbus_channel_state state)
{
    enum irql previous = vmbus_lock();

    vmbus_channel_transition(channel, state);
    vmbus_unlock(previous);
}

const struct vmbus_offer *vmbus_channel_offer(const struct vmbus_channel *channel)
{
    return &channel->offer;
}

enum vmbus_channel_state vmbus_channel_state(const struct vmbus_channel *channel)
{
    return channel->state;
}

bool vmbus_channel_is_rescinded(const struct vmbus_channel *channel)
{
    return vmbus_channel_lost(channel);
}

bool vmbus_channel_lose(struct vmbus_channel *channel)
{
    bool news = !atomic_exchange_explicit(&channel->rescinded, true, memory_order_acq_rel);

    vmbus_gpadl_release_waits(channel);
    event_set(&channel->open_answered);
    return news;
}

bool vmbus_channel_claim(struct vmbus_channel *channel, const struct vmbus_channel_owner *owner)
{
    enum irql previous = vmbus_lock();
    bool free = channel->owner == NULL && !vmbus_channel_lost(channel);

    if (free) {
        channel->owner = owner;
        channel->references++;
    }
    vmbus_unlock(previous);
    return free;
}

bool vmbus_channel_unclaim(struct vmbus_channel *channel)
{
    enum irql previous = vmbus_lock();
    bool lost = vmbus_channel_lost(channel);
    bool given_back = true;

    ASSERT(channel->owner != NULL);
    ASSERT(channel->state == VMBUS_CHANNEL_OFFERED || channel->state == VMBUS_CHANNEL_RELEASED);
    channel->owner = NULL; /* from here on a rescind is the bus's to answer */
    vmbus_unlock(previous);
    if (lost) {
        given_back = vmbus_channel_release(channel);
    }
    vmbus_channel_put(channel);
    return given_back;
}

/* ---- events ---- */

static void deliver_event(void *context)
{
    struct vmbus_channel *channel = context;

    if (atomic_load_explicit(&channel->live, memory_order_acquire)) {
        channel->owner->event(channel->owner->context);
    }
}

void vmbus_channel_initialise(struct vmbus_channel *channel)
{
    work_item_initialise(&channel->event_work, deliver_event, channel);
}

void vmbus_channel_kick(struct vmbus_channel *channel)
{
    if (atomic_load_explicit(&channel->live, memory_order_acquire)) {
        deferred_work_queue(&channel->event_work);
    }
}

void vmbus_channel_event(uint32_t flag)
{
    struct vmbus_channel *channel = flag < VMBUS_RELID_END ? vmbus_channel_by_relid(flag) : NULL;

    if (channel == NULL || !atomic_load_explicit(&channel->live, memory_order_acquire)) {
        atomic_fetch_add_explicit(&vmbus_bus.events_unknown, 1, memory_order_relaxed);
        return;
    }
    deferred_work_queue(&channel->event_work);
}

void vmbus_channel_stop_events(struct vmbus_channel *channel)
{
    /* Deferred work of this processor is not running, or this code would not. */
    atomic_store_explicit(&channel->live, false, memory_order_release);
    (void)deferred_work_cancel(&channel->event_work);
    channel->monitor = NULL;
}

/* ---- signals ---- */

static void set_up_monitor(struct vmbus_channel *channel)
{
    uint32_t id = channel->offer.monitor_id;

    if (channel->offer.monitor_allocated && vmbus_bus.monitor_pages != NULL) {
        channel->monitor = &vmbus_bus.monitor_pages[1].group[id / VMBUS_MONITOR_GROUP_SIZE].pending;
        channel->monitor_bit = 1u << id % VMBUS_MONITOR_GROUP_SIZE;
    }
}

void vmbus_channel_signal(struct vmbus_channel *channel)
{
    if (!atomic_load_explicit(&channel->live, memory_order_acquire)) {
        return;
    }
    if (channel->monitor != NULL) {
        atomic_fetch_or_explicit(channel->monitor, channel->monitor_bit, memory_order_release);
    } else {
        (void)hv_signal_event(channel->offer.connection_id);
    }
}

enum vmbus_status vmbus_channel_set_monitor_latency(struct vmbus_channel *channel, uint16_t latency,
                                                    uint16_t *original)
{
    uint32_t id = channel->offer.monitor_id;

    if (!channel->offer.monitor_allocated || vmbus_bus.monitor_pages == NULL) {
        return VMBUS_UNAVAILABLE;
    }
    *original = atomic_exchange_explicit(
        &vmbus_bus.monitor_pages[1]
             .latency[id / VMBUS_MONITOR_GROUP_SIZE][id % VMBUS_MONITOR_GROUP_SIZE],
        latency, memory_order_relaxed);
    return VMBUS_OK;
}

/* ---- the rings' memory ---- */

void vmbus_channel_free_rings(struct vmbus_channel *channel, bool given_back)
{
    unsigned char *memory = channel->ring_memory;

    channel->ring_memory = NULL;
    if (memory == NULL) {
        return;
    }
    if (given_back) {
        pages_free(memory, channel->ring_pages);
    } else {
        vmbus_keep_pages(channel->ring_pages);
        log_warning("vmbus", "channel %u: the host does not give %u pages of its rings back",
                    (unsigned)channel->offer.relid, (unsigned)channel->ring_pages);
    }
}

/* What becomes of it after its GPADL ended in this way. */
static void settle_rings(struct vmbus_channel *channel, enum vmbus_status status)
{
    /* After a rescind it is free once the number is given back, and stays with the channel. */
    if (status != VMBUS_RESCINDED) {
        vmbus_channel_free_rings(channel, status != VMBUS_NO_ANSWER);
    }
}

/*
 * One piece for both rings: control page and data of guest to host, then of host to guest. It is
 * set up before the host can reach it.
 */
static enum vmbus_status share_rings(struct vmbus_channel *channel, uint32_t outgoing_pages,
                                     uint32_t incoming_pages)
{
    uint32_t pages = outgoing_pages + incoming_pages + 2;
    unsigned char *memory = pages_allocate_zeroed(pages);

    if (memory == NULL) {
        return VMBUS_NO_MEMORY;
    }
    unsigned char *incoming = memory + (size_t)(outgoing_pages + 1) * PAGE_SIZE;
    enum ring_status outgoing_status = ring_writer_attach(
        &channel->outgoing, (void *)memory, memory + PAGE_SIZE, outgoing_pages * PAGE_SIZE);
    enum ring_status incoming_status = ring_reader_attach(
        &channel->incoming, (void *)incoming, incoming + PAGE_SIZE, incoming_pages * PAGE_SIZE);
    ASSERT(outgoing_status == RING_OK && incoming_status == RING_OK);
    channel->ring_memory = memory;
    channel->ring_pages = pages;

    const struct vmbus_gpa_range range = {.byte_count = pages * PAGE_SIZE,
                                          .first_frame = page_frame_of(memory)};
    enum vmbus_status status = vmbus_gpadl_create(channel, &range, 1, &channel->ring_gpadl);
    if (status != VMBUS_OK) {
        settle_rings(channel, status);
    }
    return status;
}

/* ---- open and close ---- */

bool vmbus_open_result_received(const void *message, uint32_t size)
{
    struct vmbus_message_open_result result;
    struct vmbus_channel *channel = NULL;

    (void)size;
    memcpy(&result, message, sizeof(result));
    enum irql previous = vmbus_lock();
    if (result.relid < VMBUS_RELID_END) {
        channel = vmbus_channel_by_relid(result.relid);
    }
    bool expected = channel != NULL && channel->open_pending && channel->open_id == result.open_id;
    if (expected) {
        channel->open_pending = false;
        channel->open_status = result.status;
        event_set(&channel->open_answered);
    }
    vmbus_unlock(previous);
    return expected;
}

/* Sends OPEN_CHANNEL and waits. VMBUS_NO_ANSWER: the host may have opened it. */
static enum vmbus_status open_rings(struct vmbus_channel *channel, uint32_t outgoing_pages)
{
    uint64_t deadline = clock_after(VMBUS_ANSWER_LIMIT);
    struct vmbus_message_open_channel open = {
        .header = {.type = VMBUS_MESSAGE_OPEN_CHANNEL},
        .relid = channel->offer.relid,
        .ring_gpadl = channel->ring_gpadl,
        .target_vp = channel->owner->target_vp != NULL ? *channel->owner->target_vp : hv_vp_index(),
        .downstream_page = outgoing_pages + 1,
    };
    enum irql previous = vmbus_lock();

    open.open_id = vmbus_bus.next_open++;
    channel->open_id = open.open_id;
    channel->open_pending = !vmbus_channel_lost(channel);
    event_clear(&channel->open_answered);
    vmbus_channel_transition(channel, VMBUS_CHANNEL_OPENING);
    vmbus_unlock(previous);

    /* The host may send packets before it says that the channel is open. */
    set_up_monitor(channel);
    atomic_store_explicit(&channel->live, true, memory_order_release);
    enum vmbus_status status = VMBUS_RESCINDED;
    if (!vmbus_channel_lost(channel)) {
        status = vmbus_post(&open, sizeof(open), deadline);
    }
    if (status == VMBUS_OK) {
        (void)event_wait(&channel->open_answered, deadline);
    }

    previous = vmbus_lock();
    if (vmbus_channel_lost(channel)) {
        status = VMBUS_RESCINDED;
    } else if (status == VMBUS_OK && channel->open_pending) {
        status = VMBUS_NO_ANSWER;
    } else if (status == VMBUS_OK && channel->open_status != 0) {
        status = VMBUS_REFUSED;
    }
    channel->open_pending = false;
    if (status == VMBUS_OK) {
        vmbus_channel_transition(channel, VMBUS_CHANNEL_OPEN);
    }
    vmbus_unlock(previous);
    return status;
}

/* From CLOSING back to OFFERED. */
static void close_rings(struct vmbus_channel *channel, bool tell_host)
{
    const struct vmbus_message_relid close = {
        .header = {.type = VMBUS_MESSAGE_CLOSE_CHANNEL},
        .relid = channel->offer.relid,
    };

    vmbus_channel_stop_events(channel);
    if (tell_host && !vmbus_channel_lost(channel)) {
        (void)vmbus_post(&close, sizeof(close), clock_after(VMBUS_ANSWER_LIMIT));
    }
    /* CLOSE has no answer. The host has let go of the rings when it says so of their GPADL. */
    settle_rings(channel, vmbus_gpadl_teardown(channel, channel->ring_gpadl));
    channel->ring_gpadl = 0;
    enter(channel, VMBUS_CHANNEL_OFFERED);
}

enum vmbus_status vmbus_channel_open(struct vmbus_channel *channel, uint32_t outgoing_pages,
                                     uint32_t incoming_pages, uint32_t *host_status)
{
    enum vmbus_status status = VMBUS_OK;

    if (outgoing_pages == 0 || incoming_pages == 0 ||
        (uint64_t)outgoing_pages + incoming_pages + 2 > VMBUS_GPADL_PAGES_MAXIMUM) {
        return VMBUS_BAD_ARGUMENT;
    }
    enum irql previous = vmbus_lock();
    if (vmbus_channel_lost(channel)) {
        status = VMBUS_RESCINDED;
    } else if (channel->owner == NULL || channel->state != VMBUS_CHANNEL_OFFERED) {
        status = VMBUS_BAD_STATE;
    } else {
        vmbus_channel_transition(channel, VMBUS_CHANNEL_GPADL_PENDING);
    }
    vmbus_unlock(previous);
    if (status != VMBUS_OK) {
        return status;
    }

    channel->open_status = 0;
    status = share_rings(channel, outgoing_pages, incoming_pages);
    enter(channel, status == VMBUS_OK ? VMBUS_CHANNEL_GPADL_READY : VMBUS_CHANNEL_OFFERED);
    if (status == VMBUS_OK) {
        status = open_rings(channel, outgoing_pages);
        if (status != VMBUS_OK) {
            enter(channel, VMBUS_CHANNEL_CLOSING);
            close_rings(channel, status == VMBUS_NO_ANSWER);
        }
    }
    if (host_status != NULL) {
        *host_status = channel->open_status;
    }
    return status;
}

void vmbus_channel_close(struct vmbus_channel *channel)
{
    bool ended_open = channel->state == VMBUS_CHANNEL_RELEASED && channel->ring_gpadl != 0;

    if (channel->state == VMBUS_CHANNEL_OPEN || ended_open) {
        enter(channel, VMBUS_CHANNEL_CLOSING);
        close_rings(channel, true);
    }
}

struct ring_writer *vmbus_channel_outgoing(struct vmbus_channel *channel)
{
    return &channel->outgoing;
}

struct ring_reader *vmbus_channel_incoming(struct vmbus_channel *channel)
{
    return &channel->incoming;
}
