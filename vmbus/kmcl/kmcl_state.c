/* SPDX-License-Identifier: MIT */
/*
 * The state machine of a channel.
 *
 *   DISABLED -> SEARCHING -> OPENING -> PAUSED
 *   PAUSED -> STARTING -> ACTIVE -> STOPPING -> SUSPENDING -> PAUSED
 *   PAUSED -> CLOSING -> RELEASING -> DISABLED, of a server -> SEARCHING
 *
 * It is one work item at PASSIVE, the worker, which compares the state with what is wanted
 * (enabled, paused) and with what happened (an offer, a rescind), and takes steps until there is
 * none to take. Where a step has to wait for the driver or for a running callback the worker
 * returns, and is queued again by whoever ends the wait; so it never stands on the stack above the
 * callback that it waits for. It does stand there while the host or a state callback is waited for;
 * work that runs meanwhile and finds it there leaves a note, and closes what such a callback may be
 * waiting for.
 */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/irql.h"
#include "kernel/panic.h"
#include "vmbus/kmcl/kmcl.h"

/* ---- states ---- */

const char *kmcl_state_name(enum kmcl_state state)
{
    static const char *const names[KMCL_STATE_COUNT] = {
        [KMCL_DISABLED] = "disabled", [KMCL_SEARCHING] = "waiting for an offer",
        [KMCL_OPENING] = "opening",   [KMCL_PAUSED] = "paused",
        [KMCL_STARTING] = "starting", [KMCL_ACTIVE] = "active",
        [KMCL_STOPPING] = "stopping", [KMCL_SUSPENDING] = "suspending",
        [KMCL_CLOSING] = "closing",   [KMCL_RELEASING] = "closed",
    };

    return names[state];
}

void kmcl_state_set(struct kmcl_channel *channel, enum kmcl_state state)
{
    static const uint16_t allowed[KMCL_STATE_COUNT] = {
        [KMCL_DISABLED] = 1u << KMCL_SEARCHING,
        [KMCL_SEARCHING] = 1u << KMCL_OPENING | 1u << KMCL_DISABLED,
        [KMCL_OPENING] = 1u << KMCL_PAUSED | 1u << KMCL_RELEASING,
        [KMCL_PAUSED] = 1u << KMCL_STARTING | 1u << KMCL_CLOSING,
        [KMCL_STARTING] = 1u << KMCL_ACTIVE | 1u << KMCL_STOPPING,
        [KMCL_ACTIVE] = 1u << KMCL_STOPPING,
        [KMCL_STOPPING] = 1u << KMCL_SUSPENDING,
        [KMCL_SUSPENDING] = 1u << KMCL_PAUSED,
        [KMCL_CLOSING] = 1u << KMCL_RELEASING,
        [KMCL_RELEASING] = 1u << KMCL_DISABLED | 1u << KMCL_SEARCHING,
    };
    enum irql level = spin_lock_acquire(&channel->lock);

    ASSERT((allowed[channel->state] & 1u << state) != 0);
    channel->state = state;
    spin_lock_release(&channel->lock, level);
}

bool kmcl_is_leaving(const struct kmcl_channel *channel)
{
    return !channel->enabled || channel->rescinded || channel->broken;
}

bool kmcl_is_below(const struct kmcl_channel *channel)
{
    return channel->worker_running || channel->intake == INTAKE_RUNNING;
}

void kmcl_leave(struct kmcl_channel *channel)
{
    if (channel->release_waiters != NULL) {
        channel->release_waiters(channel);
    }
    passive_work_queue(&channel->state_work);
}

void kmcl_break(struct kmcl_channel *channel)
{
    const struct ring_fault *fault = &channel->reader->fault;

    if (channel->broken || channel->writer == NULL) {
        return;
    }
    if (channel->writer->fault.kind != RING_FAULT_NONE) {
        fault = &channel->writer->fault;
    }
    channel->broken = true;
    channel->statistics.RingFaults += fault->kind != RING_FAULT_NONE;
    kmcl_warn_of(channel, "closing the channel: ", ring_fault_name(fault->kind), fault->value);
    kmcl_leave(channel);
}

/* ---- steps; each returns whether another may follow ---- */

void kmcl_notify(struct kmcl_channel *channel, void (*callback)(VMBCHANNEL Channel))
{
    if (callback != NULL) {
        callback(kmcl_channel_handle(channel));
    }
}

static bool search_step(struct kmcl_channel *channel)
{
    if ((!channel->found && channel->enabled) || !channel->role->stop_searching(channel)) {
        return false;
    }
    kmcl_state_set(channel, channel->found ? KMCL_OPENING : KMCL_DISABLED);
    return true;
}

/* Whether EvtChannelOpened agreed to it. */
static bool open_channel(struct kmcl_channel *channel)
{
    channel->failure = channel->role->open(channel);
    if (channel->failure != STATUS_SUCCESS) {
        return false;
    }
    if (channel->callbacks.EvtChannelOpened != NULL &&
        !NT_SUCCESS(channel->callbacks.EvtChannelOpened(kmcl_channel_handle(channel)))) {
        kmcl_close(channel);
        return false;
    }
    channel->role->opened(channel);
    return true;
}

static bool open_step(struct kmcl_channel *channel)
{
    channel->failure = STATUS_SUCCESS;
    kmcl_state_set(channel,
                   channel->enabled && open_channel(channel) ? KMCL_PAUSED : KMCL_RELEASING);
    return true;
}

static bool paused_step(struct kmcl_channel *channel)
{
    if (kmcl_is_leaving(channel)) {
        kmcl_state_set(channel, KMCL_CLOSING);
        return true;
    }
    if (!channel->paused) {
        kmcl_state_set(channel, KMCL_STARTING);
        return true;
    }
    return false;
}

static bool start_step(struct kmcl_channel *channel)
{
    kmcl_notify(channel, channel->callbacks.EvtChannelStarted);
    if (kmcl_is_leaving(channel)) {
        kmcl_state_set(channel, KMCL_STOPPING);
        return true;
    }
    kmcl_state_set(channel, KMCL_ACTIVE);
    kmcl_intake_start(channel);
    kmcl_notify(channel, channel->callbacks.EvtChannelPostStarted);
    return true;
}

static bool active_step(struct kmcl_channel *channel)
{
    if (!kmcl_is_leaving(channel) && !channel->paused) {
        return false;
    }
    kmcl_state_set(channel, KMCL_STOPPING);
    return true;
}

static bool stop_step(struct kmcl_channel *channel)
{
    if (!kmcl_intake_stop(channel)) {
        return false; /* the drain queues us when it leaves */
    }
    kmcl_state_set(channel, KMCL_SUSPENDING);
    kmcl_notify(channel, channel->callbacks.EvtChannelSuspend);
    return true;
}

static bool suspend_step(struct kmcl_channel *channel)
{
    if (kmcl_outstanding(channel) > 0) {
        return false; /* the last completion queues us */
    }
    kmcl_state_set(channel, KMCL_PAUSED);
    return true;
}

static bool close_step(struct kmcl_channel *channel)
{
    channel->role->leave(channel);
    kmcl_state_set(channel, KMCL_RELEASING);
    return true;
}

static bool release_step(struct kmcl_channel *channel)
{
    const NTSTATUS reason = channel->failure;

    if (!channel->role->release(channel)) {
        return false;
    }
    kmcl_state_set(channel, channel->is_server ? KMCL_SEARCHING : KMCL_DISABLED);
    if (reason != STATUS_SUCCESS && channel->pnp_failure != NULL) {
        channel->pnp_failure(kmcl_channel_handle(channel), reason);
    }
    return true;
}

static bool step(struct kmcl_channel *channel)
{
    switch (channel->state) {
    case KMCL_SEARCHING:
        return search_step(channel);
    case KMCL_OPENING:
        return open_step(channel);
    case KMCL_PAUSED:
        return paused_step(channel);
    case KMCL_STARTING:
        return start_step(channel);
    case KMCL_ACTIVE:
        return active_step(channel);
    case KMCL_STOPPING:
        return stop_step(channel);
    case KMCL_SUSPENDING:
        return suspend_step(channel);
    case KMCL_CLOSING:
        return close_step(channel);
    case KMCL_RELEASING:
        return release_step(channel);
    default:
        return false;
    }
}

/*
 * The worker is below us. If that is EvtChannelPostStarted, it may be waiting for packets that only
 * the close completes: then the close does not wait for it to return.
 */
static void close_under_worker(struct kmcl_channel *channel)
{
    if (channel->state == KMCL_ACTIVE && kmcl_is_leaving(channel) && kmcl_intake_stop(channel)) {
        kmcl_close(channel);
    }
}

void kmcl_state_work(void *context)
{
    struct kmcl_channel *channel = context;

    if (channel->worker_running) {
        channel->worker_again = true;
        close_under_worker(channel);
        return;
    }
    channel->worker_running = true;
    do {
        channel->worker_again = false;
        while (step(channel)) {
        }
    } while (channel->worker_again);
    channel->worker_running = false;
}

/* ---- rings ---- */

void kmcl_begin(struct kmcl_channel *channel, struct ring_reader *reader,
                struct ring_writer *writer, bool is_pipe)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    channel->is_pipe = is_pipe || (channel->init_flags & VMBUS_CHANNEL_INIT_FLAG_IS_PIPE) != 0;
    channel->usual_type =
        channel->is_pipe || channel->context_size > 0 ? UINT32_MAX : RING_PACKET_DATA_INBAND;
    channel->staging_limit = 0;
    kmcl_intake_word_set(channel, kmcl_outstanding(channel));
    channel->reader = reader;
    channel->writer = writer;
    spin_lock_release(&channel->lock, level);
    channel->is_open = true;
}

void kmcl_close(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    const bool was_open = channel->writer != NULL;

    channel->writer = NULL;
    spin_lock_release(&channel->lock, level);
    if (was_open) {
        channel->role->close(channel);
        kmcl_queue_abort(channel, STATUS_DEVICE_REMOVED);
    }
}

/* ---- what drivers ask for ---- */

/* A wait that the host's limits, and the driver that owes packets, end. */
static void wait_for(struct kmcl_channel *channel, bool (*condition)(void *channel))
{
    passive_work_queue(&channel->state_work);
    if (wait_until(condition, channel, clock_after(KMCL_PATIENCE))) {
        return;
    }
    kmcl_warn(channel,
              "waits for packets that the driver has not completed:", kmcl_outstanding(channel));
    (void)wait_until(condition, channel, WAIT_WITHOUT_LIMIT);
}

/* The channel, if its caller may wait for it. */
static struct kmcl_channel *waitable(VMBCHANNEL handle, const char *function)
{
    struct kmcl_channel *channel = kmcl_channel_of(handle, function);

    kmcl_require_passive(function);
    if (kmcl_is_below(channel)) {
        kmcl_misuse(function, "called from a callback of the channel, or from inside its wait");
    }
    return channel;
}

NTSTATUS VmbChannelEnable(VMBCHANNEL Channel)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    kmcl_require_passive(__func__);
    if (channel->state != KMCL_DISABLED || channel->worker_running) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (!channel->has_target || channel->process_packet == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    channel->enabled = true;
    channel->rescinded = false;
    channel->broken = false;
    memset(&channel->instance, 0, sizeof(channel->instance));
    kmcl_state_set(channel, KMCL_SEARCHING);
    return channel->role->search(channel);
}

static bool is_disabled(void *context)
{
    const struct kmcl_channel *channel = context;

    return channel->state == KMCL_DISABLED && !channel->worker_running;
}

VOID VmbChannelDisable(VMBCHANNEL Channel)
{
    struct kmcl_channel *channel = waitable(Channel, __func__);

    if (!is_disabled(channel)) {
        channel->enabled = false;
        kmcl_leave(channel);
        wait_for(channel, is_disabled);
    }
}

static bool is_at_rest(void *context)
{
    struct kmcl_channel *channel = context;

    return !channel->worker_running &&
           !atomic_load_explicit(&channel->state_work.queued, memory_order_acquire);
}

VOID VmbChannelStart(VMBCHANNEL Channel)
{
    struct kmcl_channel *channel = waitable(Channel, __func__);

    channel->paused = false;
    if (channel->state == KMCL_PAUSED) {
        wait_for(channel, is_at_rest);
    }
}

/*
 * Or somebody wants it started again. A channel that closes has nothing to wait for, but perhaps a
 * guest that does not say the last word: it will be paused when it is opened anew.
 */
static bool is_paused(void *context)
{
    const struct kmcl_channel *channel = context;

    return (channel->state <= KMCL_PAUSED || channel->state >= KMCL_CLOSING || !channel->paused) &&
           !channel->worker_running;
}

VOID VmbChannelPause(VMBCHANNEL Channel)
{
    struct kmcl_channel *channel = waitable(Channel, __func__);

    channel->paused = true;
    if (!is_paused(channel)) {
        wait_for(channel, is_paused);
    }
}
