/* SPDX-License-Identifier: MIT */
/* Sends packets that name ranges of memory which the guest shares with this server. */

#include <string.h>

#include "vmbus/kmcl/server/kmcl_server.h"
#include "vmbus/ring_layout.h"

void kmcl_server_add_transfer_pages(struct kmcl_packet *packet, uint32_t length)
{
    struct ring_packet_out *wire = &packet->send.wire;

    wire->type = RING_PACKET_DATA_TRANSFER_PAGES;
    wire->extension_length = length;
    wire->head_length = length;
    wire->head = packet->storage;
}

/* Is one, or will be one when it is opened. */
static bool is_pipe(const struct kmcl_channel *channel)
{
    return channel->is_pipe || (channel->init_flags & VMBUS_CHANNEL_INIT_FLAG_IS_PIPE) != 0 ||
           (channel->server->offer.flags & KMCL_SERVER_PIPE_FLAGS) != 0;
}

/* Whether the driver's ranges are within the limits of its channel and of the packet. */
static bool are_allowed(const struct kmcl_packet *packet, const KMCL_TRANSFER_PAGE_RANGE *ranges,
                        uint32_t count)
{
    const struct kmcl_external_limits *limits = &packet->channel->external;
    uint64_t bytes = 0;

    if (ranges == NULL || count == 0 || count > limits->chain_length ||
        KMCL_TRANSFER_HEADER_SIZE(count) > packet->header_capacity) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        bytes += ranges[i].ByteCount;
    }
    return bytes <= limits->data_size;
}

NTSTATUS KmclServerPacketSendWithTransferPages(VMBPACKET Packet, PVOID Buffer, UINT32 BufferLength,
                                               UINT16 SetId, const KMCL_TRANSFER_PAGE_RANGE *Ranges,
                                               UINT32 RangeCount, UINT32 Flags)
{
    struct kmcl_packet *packet = kmcl_packet_of(Packet);
    const struct ring_transfer_pages_header header = {.set_id = SetId, .range_count = RangeCount};
    NTSTATUS status = kmcl_packet_prepare(packet, Buffer, BufferLength, Flags,
                                          VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH);

    if (status != STATUS_SUCCESS) {
        return status;
    }
    if (!packet->channel->is_server || is_pipe(packet->channel)) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if ((Flags & VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION) == 0 ||
        !are_allowed(packet, Ranges, RangeCount)) {
        return STATUS_INVALID_PARAMETER;
    }
    memcpy(packet->storage, &header, sizeof(header));
    memcpy(packet->storage + sizeof(header), Ranges, RangeCount * sizeof(Ranges[0]));
    kmcl_server_add_transfer_pages(packet, (uint32_t)KMCL_TRANSFER_HEADER_SIZE(RangeCount));
    return kmcl_queue_packet(packet, true);
}
