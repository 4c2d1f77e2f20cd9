/* SPDX-License-Identifier: MIT */
/* What is the client's alone: finding the offer, opening and closing the host's end. */

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/kmcl/kmcl.h"

/* Hosts below this want GPADLs torn down before the channel is closed, later ones after (Linux
 * drivers/net/hyperv). */
#define VERSION_GPADLS_OUTLIVE_CHANNEL 0x00040000u

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

    if (channel->bus != NULL || offer->sub_channel_index != channel->sub_channel_index ||
        !vmbus_guid_equal(kmcl_guid(&channel->target_type), &offer->interface_type) ||
        (!channel->any_instance &&
         !vmbus_guid_equal(kmcl_guid(&channel->target_instance), &offer->interface_instance)) ||
        !vmbus_channel_claim(bus, &channel->owner)) {
        return;
    }
    memcpy(&channel->instance, &offer->interface_instance, sizeof(channel->instance));
    channel->bus = bus;
    channel->found = true;
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

static NTSTATUS search(struct kmcl_channel *channel)
{
    channel->owner.event = kmcl_event;
    channel->owner.rescinded = rescinded;
    channel->owner.context = channel;
    channel->listener = (struct vmbus_offer_listener){NULL, offered, channel};
    vmbus_offer_listener_add(&channel->listener);
    return STATUS_SUCCESS;
}

static bool stop_searching(struct kmcl_channel *channel)
{
    vmbus_offer_listener_remove(&channel->listener);
    return true;
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

    if (status == VMBUS_REFUSED && host_status == 0) {
        return STATUS_INSUFFICIENT_RESOURCES; /* the memory of the rings */
    }
    if (status == VMBUS_REFUSED && !NT_SUCCESS((NTSTATUS)host_status)) {
        return (NTSTATUS)host_status;
    }
    return kmcl_status_of(status);
}

static NTSTATUS open(struct kmcl_channel *channel)
{
    const struct vmbus_offer *offer = vmbus_channel_offer(channel->bus);
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    if (offer->mmio_megabytes != 0) {
        kmcl_warn(channel, "no device memory is reserved; MiB asked for:", offer->mmio_megabytes);
    }
    if (kmcl_incoming_prepare(channel)) {
        status = open_host(channel);
    }
    if (status != STATUS_SUCCESS) {
        kmcl_warn(channel, "not opened, status", (UINT32)status);
        return status;
    }
    kmcl_begin(channel, vmbus_channel_incoming(channel->bus), vmbus_channel_outgoing(channel->bus),
               (offer->flags & (VMBUS_OFFER_FLAG_NAMED_PIPE | VMBUS_OFFER_FLAG_TLNPI)) != 0);
    return STATUS_SUCCESS;
}

static void opened(struct kmcl_channel *channel)
{
    (void)channel;
}

static void close(struct kmcl_channel *channel)
{
    vmbus_channel_close(channel->bus);
}

static void leave(struct kmcl_channel *channel)
{
    bool gpadls_first = vmbus_version() < VERSION_GPADLS_OUTLIVE_CHANNEL;

    if (gpadls_first) {
        kmcl_notify(channel, channel->callbacks.EvtChannelClosed);
    }
    kmcl_close(channel);
    if (!gpadls_first) {
        kmcl_notify(channel, channel->callbacks.EvtChannelClosed);
    }
}

static bool release(struct kmcl_channel *channel)
{
    const uint32_t relid = vmbus_channel_offer(channel->bus)->relid;

    if (channel->delete_gpadls != NULL) {
        channel->delete_gpadls(channel);
    }
    kmcl_intake_discard(channel);
    channel->is_open = false;
    channel->enabled = false;
    kmcl_leave(channel); /* requests may wait for an open that failed */
    channel->described_type = RING_PACKET_DATA_INBAND;
    if (!vmbus_channel_unclaim(channel->bus)) {
        kmcl_warn(channel, "memory of its GPADLs must not be reused: channel", relid);
    }
    channel->bus = NULL;
    channel->found = false;
    return true;
}

static void signal(struct kmcl_channel *channel)
{
    vmbus_channel_signal(channel->bus);
}

static void kick(struct kmcl_channel *channel)
{
    vmbus_channel_kick(channel->bus);
}

const struct kmcl_role kmcl_client = {
    .search = search,
    .stop_searching = stop_searching,
    .open = open,
    .opened = opened,
    .close = close,
    .leave = leave,
    .release = release,
    .signal = signal,
    .kick = kick,
};
