/* SPDX-License-Identifier: MIT */
/* What is the client's alone: finding the offer, opening and closing the host's end. */

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/kmcl/kmcl.h"

NTSTATUS kmcl_status_of(enum vmbus_status status)
{
    switch (status) {
    case VMBUS_OK:
        return STATUS_SUCCESS;
    case VMBUS_RESCINDED:
        return STATUS_DEVICE_REMOVED;
    case VMBUS_NO_MEMORY:
        return STATUS_INSUFFICIENT_RESOURCES;
    case VMBUS_NO_ANSWER:
        return STATUS_IO_TIMEOUT;
    case VMBUS_BAD_ARGUMENT:
        return STATUS_INVALID_PARAMETER;
    case VMBUS_BAD_STATE:
        return STATUS_INVALID_DEVICE_REQUEST;
    case VMBUS_UNAVAILABLE:
        return STATUS_NOT_SUPPORTED;
    case VMBUS_REFUSED:
    case VMBUS_POST_FAILED:
        break;
    }
    return STATUS_UNSUCCESSFUL;
}

/* ---- the offer ---- */

/* The bus has an offer for whoever wants it. DISPATCH. */
static void offered(void *context, struct vmbus_channel *bus)
{
    struct kmcl_channel *channel = context;
    const struct vmbus_offer *offer = vmbus_channel_offer(bus);

    if (channel->bus != NULL || offer->sub_channel_index != 0 ||
        !vmbus_guid_equal(kmcl_guid(&channel->target_type), &offer->interface_type) ||
        (!channel->any_instance &&
         !vmbus_guid_equal(kmcl_guid(&channel->target_instance), &offer->interface_instance)) ||
        !vmbus_channel_claim(bus, &channel->owner)) {
        return;
    }
    memcpy(&channel->instance, &offer->interface_instance, sizeof(channel->instance));
    channel->bus = bus;
    passive_work_queue(&channel->state_work);
}

/* The offer is gone. DISPATCH. */
static void rescinded(void *context)
{
    struct kmcl_channel *channel = context;
    enum irql level = spin_lock_acquire(&channel->lock);

    channel->rescinded = true;
    spin_lock_release(&channel->lock, level);
    kmcl_leave(channel);
}

void kmcl_client_search(struct kmcl_channel *channel)
{
    channel->owner = (struct vmbus_channel_owner){kmcl_event, rescinded, channel};
    channel->listener = (struct vmbus_offer_listener){NULL, offered, channel};
    vmbus_offer_listener_add(&channel->listener);
}

void kmcl_client_stop_searching(struct kmcl_channel *channel)
{
    vmbus_offer_listener_remove(&channel->listener);
}

/* ---- open and close ---- */

/* Pages of a ring in which `largest` bytes are the largest packet: it takes all but 16 bytes
 * (vmbus/ring.h). */
static uint32_t ring_pages(uint32_t wanted, uint64_t largest)
{
    const uint32_t needed = (uint32_t)((largest + 16 + PAGE_SIZE - 1) >> PAGE_SHIFT);

    return wanted > needed ? wanted : needed;
}

static NTSTATUS open_host(struct kmcl_channel *channel)
{
    const uint64_t in_band = ring_packet_size(KMCL_PIPE_HEADER_SIZE, channel->packet_size);
    uint32_t host_status = 0;
    enum vmbus_status status = vmbus_channel_open(
        channel->bus, ring_pages(channel->outgoing_pages, in_band + channel->header_capacity),
        ring_pages(channel->incoming_pages, in_band), &host_status);

    if (status == VMBUS_REFUSED && !NT_SUCCESS((NTSTATUS)host_status)) {
        return (NTSTATUS)host_status;
    }
    return kmcl_status_of(status);
}

NTSTATUS kmcl_client_open(struct kmcl_channel *channel)
{
    const struct vmbus_offer *offer = vmbus_channel_offer(channel->bus);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    if (offer->mmio_megabytes != 0) {
        kmcl_warn(channel, "no device memory is reserved; MiB asked for:", offer->mmio_megabytes);
    }
    /* So that the drain always has an object to copy a packet of usual size into. */
    channel->spare = kmcl_incoming_allocate(channel, 0);
    if (channel->spare != NULL) {
        status = open_host(channel);
    }
    if (status != STATUS_SUCCESS) {
        kmcl_warn(channel, "not opened, status", (UINT32)status);
        return status;
    }
    enum irql level = spin_lock_acquire(&channel->lock);
    channel->is_pipe = (channel->init_flags & VMBUS_CHANNEL_INIT_FLAG_IS_PIPE) != 0 ||
                       (offer->flags & (VMBUS_OFFER_FLAG_NAMED_PIPE | VMBUS_OFFER_FLAG_TLNPI)) != 0;
    channel->staged = 0;
    channel->staging_limit = 0;
    channel->intake_failed = false;
    channel->reader = vmbus_channel_incoming(channel->bus);
    channel->writer = vmbus_channel_outgoing(channel->bus);
    spin_lock_release(&channel->lock, level);
    channel->is_open = true;
    return STATUS_SUCCESS;
}

void kmcl_client_close(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    bool was_open = channel->writer != NULL;

    channel->writer = NULL;
    spin_lock_release(&channel->lock, level);
    if (was_open) {
        vmbus_channel_close(channel->bus);
        kmcl_queue_abort(channel);
    }
}

void kmcl_client_release(struct kmcl_channel *channel)
{
    const uint32_t relid = vmbus_channel_offer(channel->bus)->relid;

    kmcl_gpadl_delete_all(channel);
    kmcl_intake_discard(channel);
    channel->is_open = false;
    if (!vmbus_channel_unclaim(channel->bus)) {
        kmcl_warn(channel, "memory of its GPADLs must not be reused: channel", relid);
    }
    channel->bus = NULL;
}
