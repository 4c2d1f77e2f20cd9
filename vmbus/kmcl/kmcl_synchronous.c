/* SPDX-License-Identifier: MIT */
/*
 * Requests that are waited for. The packet is an ordinary one; its routine sets the waiter's event.
 * A waiter that gives up takes the packet back from the queue, or leaves a tombstone in the table
 * for the host's late answer to find.
 */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/irql.h"
#include "kernel/pages.h"
#include "kernel/wall_clock.h"
#include "vmbus/kmcl/kmcl.h"

static VOID request_done(VMBPACKET Packet, NTSTATUS Status, PVOID Buffer, UINT32 BufferLength)
{
    struct kmcl_waiter *waiter = kmcl_packet_of(Packet)->pointer;

    waiter->status = Status;
    waiter->length = waiter->buffer != NULL ? BufferLength : 0;
    if (Status == STATUS_SUCCESS && waiter->length > 0) {
        if (BufferLength <= waiter->capacity) {
            memcpy(waiter->buffer, Buffer, BufferLength);
        } else {
            waiter->status = STATUS_BUFFER_TOO_SMALL;
        }
    }
    event_set(&waiter->done);
}

/* Ends the wait without the host, if the host cannot touch the caller's memory any more. Lock held.
 */
static bool give_up(struct kmcl_waiter *waiter, NTSTATUS status)
{
    struct kmcl_packet *packet = waiter->packet;

    /* Idle: its routine is about to run. */
    if (packet->state == PACKET_IDLE ||
        (packet->state == PACKET_PENDING && waiter->has_external_data)) {
        return false;
    }
    kmcl_queue_cancel(packet);
    waiter->status = status;
    waiter->length = 0;
    event_set(&waiter->done);
    return true;
}

static void release_waiters(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);

    for (struct kmcl_waiter *waiter = channel->waiters; waiter != NULL; waiter = waiter->next) {
        (void)give_up(waiter, STATUS_DEVICE_REMOVED);
    }
    spin_lock_release(&channel->lock, level);
}

/* Puts the waiter on the list of its channel, or takes it off. */
static void list(struct kmcl_channel *channel, struct kmcl_waiter *waiter, bool enter)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    struct kmcl_waiter **link = &channel->waiters;

    if (enter) {
        waiter->next = *link;
        *link = waiter;
    } else {
        while (*link != waiter) {
            link = &(*link)->next;
        }
        *link = waiter->next;
    }
    spin_lock_release(&channel->lock, level);
}

/* Waits for the routine or the deadline. */
static NTSTATUS wait(struct kmcl_channel *channel, struct kmcl_waiter *waiter, uint64_t deadline)
{
    if (event_is_set(&waiter->done) || event_wait(&waiter->done, deadline)) {
        return waiter->status;
    }
    struct kmcl_followup followup;
    kmcl_followup_begin(&followup);
    enum irql level = spin_lock_acquire(&channel->lock);
    bool given_up = give_up(waiter, STATUS_CANCELLED);
    kmcl_queue_flush(channel, &followup); /* it may have kept what does not wait for a slot */
    spin_lock_release(&channel->lock, level);
    kmcl_followup_run(channel, &followup);
    if (!given_up) {
        /* The host may still write to the caller's pages: its completion, or the close of the
         * channel, ends this. */
        (void)event_wait(&waiter->done, WAIT_WITHOUT_LIMIT);
    }
    return waiter->status == STATUS_SUCCESS ? STATUS_CANCELLED : waiter->status;
}

/*
 * Whether a request could be served. If it waits this is PASSIVE, and a drain or a worker that runs
 * is below on the stack; the latter in EvtChannelPostStarted at best.
 */
static NTSTATUS check_caller(const struct kmcl_channel *channel, bool waits)
{
    if (channel->state == KMCL_DISABLED || kmcl_is_leaving(channel)) {
        return STATUS_DEVICE_REMOVED;
    }
    if (waits && kmcl_is_below(channel) &&
        (channel->intake == INTAKE_RUNNING || channel->state != KMCL_ACTIVE)) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    return STATUS_SUCCESS;
}

/* In the kernel's clock. Without a limit a close ends the wait, too. */
static uint64_t deadline_of(const LARGE_INTEGER *timeout)
{
    const int64_t limit = timeout != NULL ? timeout->QuadPart : 0;
    uint64_t delay = UINT64_C(0) - (uint64_t)limit;

    if (limit == 0) {
        return WAIT_WITHOUT_LIMIT;
    }
    if (limit > 0) {
        const uint64_t now = wall_clock_now();

        delay = (uint64_t)limit > now ? (uint64_t)limit - now : 0;
    }
    return clock_after(delay);
}

static NTSTATUS send_and_wait(struct kmcl_channel *channel, struct kmcl_waiter *waiter,
                              const LARGE_INTEGER *timeout)
{
    const uint64_t deadline = deadline_of(timeout);
    NTSTATUS status;

    channel->release_waiters = release_waiters;
    list(channel, waiter, true);
    status = kmcl_queue_packet(waiter->packet, timeout == NULL || timeout->QuadPart != 0);
    if (status == STATUS_SUCCESS) {
        status = wait(channel, waiter, deadline);
    }
    list(channel, waiter, false);
    return status;
}

/*
 * Requests that were given up keep their slots until the host answers, which it may never do. Where
 * they have all of them the table grows, so that this one can go; if it cannot, it waits for a
 * slot.
 */
static void find_slot(struct kmcl_channel *channel)
{
    struct kmcl_transaction_table *table = &channel->transactions;
    enum irql level = spin_lock_acquire(&channel->lock);
    const uint32_t capacity = table->capacity;
    const bool is_full = table->first_free == 0;

    spin_lock_release(&channel->lock, level);
    if (!is_full || capacity >= KMCL_TRANSACTION_LIMIT) {
        return;
    }
    struct kmcl_transaction *slots = memory_allocate(2 * (size_t)capacity * sizeof(*slots));
    level = spin_lock_acquire(&channel->lock);
    if (slots != NULL && table->capacity == capacity) {
        slots = kmcl_transaction_grow(table, slots, 2 * capacity);
    }
    spin_lock_release(&channel->lock, level);
    memory_free(slots);
}

NTSTATUS VmbChannelSendSynchronousRequest(VMBCHANNEL Channel, PVOID Buffer, UINT32 BufferSize,
                                          PMDL ExternalDataMdl, UINT32 Flags,
                                          PVOID CompletionBuffer, PUINT32 CompletionBufferSize,
                                          PLARGE_INTEGER Timeout)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);
    const bool wants_completion = (Flags & VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION) != 0;
    const bool waits = Timeout == NULL || Timeout->QuadPart != 0 || wants_completion;
    const uint32_t capacity = CompletionBufferSize != NULL ? *CompletionBufferSize : 0;
    struct kmcl_waiter waiter = {.has_external_data = ExternalDataMdl != NULL};
    NTSTATUS status;

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (waits) {
        kmcl_require_passive(__func__);
    }
    /* A server must not wait for a guest. */
    if (capacity % 8 != 0 || (waits && channel->is_server)) {
        return STATUS_INVALID_PARAMETER;
    }
    if (Timeout != NULL && Timeout->QuadPart > 0 && !wall_clock_is_set()) {
        return STATUS_NOT_SUPPORTED;
    }
    status = check_caller(channel, waits);
    if (status != STATUS_SUCCESS) {
        return status;
    }
    waiter.packet = kmcl_packet_allocate(channel);
    if (waiter.packet == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    waiter.packet->routine = request_done;
    waiter.packet->pointer = &waiter;
    waiter.buffer = CompletionBuffer;
    waiter.capacity = capacity;
    event_initialise(&waiter.done);
    status = kmcl_packet_prepare(waiter.packet, Buffer, BufferSize, Flags,
                                 VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH);
    if (status == STATUS_SUCCESS && ExternalDataMdl != NULL) {
        status = kmcl_packet_add_mdl(waiter.packet, ExternalDataMdl, 0, 0, Flags);
    }
    if (status == STATUS_SUCCESS) {
        if (wants_completion) {
            find_slot(channel);
        }
        status = send_and_wait(channel, &waiter, Timeout);
    }
    kmcl_packet_free(waiter.packet);
    if (CompletionBufferSize != NULL &&
        (status == STATUS_SUCCESS || status == STATUS_BUFFER_TOO_SMALL)) {
        *CompletionBufferSize = waiter.length;
    }
    return status;
}
