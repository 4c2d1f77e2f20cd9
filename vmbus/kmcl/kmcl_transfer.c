/* SPDX-License-Identifier: MIT */
/* Packets that name ranges of memory which the driver shares with its host. */

#include "vmbus/kmcl/kmcl.h"
#include "vmbus/ring_layout.h"

_Static_assert(sizeof(KMCL_TRANSFER_PAGE_RANGE) == sizeof(struct ring_transfer_page_range) &&
                   __builtin_offsetof(KMCL_TRANSFER_PAGE_RANGE, ByteOffset) ==
                       __builtin_offsetof(struct ring_transfer_page_range, byte_offset),
               "a range of the interface is one of the wire");

NTSTATUS KmclClientChannelSetTransferPages(VMBCHANNEL Channel, UINT16 SetId, UINT32 ByteCount)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    /* Without a lock: [drain] reads it, and the driver lets the host send only afterwards. */
    if (!channel->is_open || channel->is_server || channel->is_pipe) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    channel->transfer_page_set = SetId;
    channel->transfer_page_bytes = ByteCount;
    channel->described_type =
        ByteCount > 0 ? RING_PACKET_DATA_TRANSFER_PAGES : RING_PACKET_DATA_INBAND;
    return STATUS_SUCCESS;
}

static bool is_inside(const struct ring_transfer_pages *pages, uint32_t size)
{
    for (uint32_t i = 0; i < pages->range_count; i++) {
        const struct ring_transfer_page_range range = ring_transfer_pages_range(pages, i);

        if (range.byte_offset > size || range.byte_count > size - range.byte_offset) {
            return false;
        }
    }
    return true;
}

NTSTATUS KmclPacketGetTransferPages(VMBPACKETCOMPLETION Packet,
                                    const KMCL_TRANSFER_PAGE_RANGE **Ranges, PUINT32 RangeCount)
{
    struct kmcl_incoming *incoming = kmcl_incoming_of(Packet);
    struct ring_transfer_pages pages;

    if (Ranges == NULL || RangeCount == NULL) {
        return Ranges == NULL ? STATUS_INVALID_PARAMETER_2 : STATUS_INVALID_PARAMETER_3;
    }
    *Ranges = NULL;
    *RangeCount = 0;
    kmcl_require_delivered(incoming, __func__);
    const struct kmcl_channel *channel = incoming->channel;
    if (incoming->packet.type != RING_PACKET_DATA_TRANSFER_PAGES) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (!ring_transfer_pages_parse(incoming->copy, incoming->packet.extension_length, &pages) ||
        pages.range_count == 0 || pages.set_id != channel->transfer_page_set ||
        !is_inside(&pages, channel->transfer_page_bytes)) {
        return STATUS_INVALID_PARAMETER;
    }
    *Ranges = (const KMCL_TRANSFER_PAGE_RANGE *)(const void *)pages.ranges;
    *RangeCount = pages.range_count;
    return STATUS_SUCCESS;
}
