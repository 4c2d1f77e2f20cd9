/* SPDX-License-Identifier: MIT */
#ifndef KMCL_EXTENSIONS_H
#define KMCL_EXTENSIONS_H

/* What the documented interface cannot say. Ours, not Windows'. */

#include "VmbusKernelModeClientLibApi.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * The memory of VmbChannelInitSetClientContextSize() in an incoming packet; NULL if that size is
 * zero. Aligned to 8. Valid as long as the packet. Any IRQL.
 */
PVOID KmclPacketGetClientContext(VMBPACKETCOMPLETION Packet);

/* What a channel does, for reports: "disabled", "active" and so on. Never NULL. Any IRQL. */
const char *KmclChannelStateName(VMBCHANNEL Channel);

/* Counted since VmbChannelAllocate(). */
typedef struct _KMCL_CHANNEL_STATISTICS {
    UINT64 PacketsSent;     /* placed in the ring, completions of ours not among them */
    UINT64 PacketsReceived; /* delivered, a redelivery not counted again */
    UINT64 CompletionsSent;
    UINT64 CompletionsReceived;
    UINT64 PacketsQueued;      /* sends that found no room, or no open channel */
    UINT64 PacketsDropped;     /* received, of a kind or form that is not for a client */
    UINT64 CompletionsLate;    /* of synchronous requests that had been given up */
    UINT64 CompletionsUnknown; /* of nothing we ever sent; the first ends the channel */
    UINT64 Signals;            /* to the host */
    UINT64 RingFaults;         /* indices or packets out of bounds; the first ends the channel */
} KMCL_CHANNEL_STATISTICS, *PKMCL_CHANNEL_STATISTICS;

/* At most DISPATCH. */
VOID KmclChannelGetStatistics(VMBCHANNEL Channel, PKMCL_CHANNEL_STATISTICS Statistics);

/* ---- transfer pages ---- */

/*
 * Packets whose payload lies in memory that the two ends share: the client makes a GPADL of it and
 * tells the server by the device's own protocol; the server writes there and sends packets that
 * name ranges of it. netvsc receives this way. Such a packet is delivered to
 * EvtVmbChannelProcessPacket like any other, without
 * VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA, and is completed once, like any other: the
 * server does not use its ranges again before that.
 *
 * Sources: Linux drivers/net/hyperv/netvsc.c, OpenVMM vmbus_ring, mu_msvm EmclDxe.
 */
typedef struct _KMCL_TRANSFER_PAGE_RANGE {
    UINT32 ByteCount;
    UINT32 ByteOffset; /* from the start of the shared memory */
} KMCL_TRANSFER_PAGE_RANGE, *PKMCL_TRANSFER_PAGE_RANGE;

/*
 * From now on, until the channel closes, this client takes packets that name ranges of the set
 * SetId, which is ByteCount bytes long; ByteCount 0: no longer. One set a channel; a sub-channel
 * needs a call of its own for the memory that its primary shares. Without one such packets are
 * dropped and counted. From EvtChannelOpened on, before the server may send any. At most DISPATCH.
 *
 * STATUS_INVALID_PARAMETER_1: not a channel; STATUS_INVALID_DEVICE_REQUEST: not open, a server, or
 * a pipe.
 */
NTSTATUS KmclClientChannelSetTransferPages(VMBCHANNEL Channel, UINT16 SetId, UINT32 ByteCount);

/*
 * The ranges of a packet that was delivered and not completed yet: each inside of the shared
 * memory, at least one. The list is a copy that the server cannot reach, and lasts as long as the
 * packet; what it describes is shared, and may change at any time. At most DISPATCH.
 *
 * STATUS_INVALID_DEVICE_REQUEST: the packet names none; STATUS_INVALID_PARAMETER: another set, no
 * range, fewer ranges than it announces, or one that leaves the shared memory. Both times *Ranges
 * is NULL and *RangeCount 0; the packet still is the driver's to complete.
 */
NTSTATUS KmclPacketGetTransferPages(VMBPACKETCOMPLETION Packet,
                                    const KMCL_TRANSFER_PAGE_RANGE **Ranges, PUINT32 RangeCount);

/*
 * Sends a packet of this server that names ranges of the set SetId, as VmbPacketSend() otherwise.
 * Flags must have VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION: the ranges are the client's until
 * then. The limits are those of VmbChannelInitSetMaximumExternalData(): ranges, and bytes in all of
 * them. That the ranges lie in what the client shared is the caller's part. At most DISPATCH.
 *
 * STATUS_INVALID_DEVICE_REQUEST: a client's packet, one that is under way or has no completion
 * routine, or a pipe; STATUS_INVALID_PARAMETER_1: NULL; STATUS_INVALID_PARAMETER: flags, lengths,
 * no range, or too many. The packet stays the caller's then.
 */
NTSTATUS KmclServerPacketSendWithTransferPages(VMBPACKET Packet, PVOID Buffer, UINT32 BufferLength,
                                               UINT16 SetId, const KMCL_TRANSFER_PAGE_RANGE *Ranges,
                                               UINT32 RangeCount, UINT32 Flags);

/* ---- sub-channels ---- */

/*
 * Further channels of a device, with rings of their own. A client asks for them by the device's
 * protocol, over the open primary; then the server offers them. Each end has one more VMBCHANNEL
 * for each, which lives like any other. Ours: who made them disables them before their primary; a
 * server at the latest in EvtChannelClosed of the primary, since the client has to ask anew.
 *
 * Sources: Linux drivers/hv/channel_mgmt.c, OpenVMM vmbus_server and netvsp.
 *
 * Makes Channel the sub-channel SubChannelIndex of Primary: in place of
 * VmbClientChannelInitSetTargetPnp() and VmbServerChannelInitSetTargetInterfaceId(), whose later
 * call undoes it. A client's primary must have taken its offer by then (from EvtChannelOpened on),
 * since it decides which device it is; VmbChannelEnable() then takes that offer or waits for it.
 * VmbChannelEnable() of a server wants the primary enabled (STATUS_INVALID_PARAMETER). PASSIVE.
 *
 * STATUS_INVALID_PARAMETER_1: not a channel of this role that is Disabled;
 * STATUS_INVALID_PARAMETER_2: not another channel of this role, itself a sub-channel, or a primary
 * without a device; STATUS_INVALID_PARAMETER_3: index 0.
 */
NTSTATUS KmclClientChannelInitSetPrimary(VMBCHANNEL Channel, VMBCHANNEL Primary,
                                         UINT16 SubChannelIndex,
                                         PFN_VMB_CHANNEL_PNP_FAILURE PnpFailureCallback);
NTSTATUS KmclServerChannelInitSetPrimary(VMBCHANNEL Channel, VMBCHANNEL Primary,
                                         UINT16 SubChannelIndex);

/* ---- target processor ---- */

/*
 * The virtual processor, by its VP index, that gets the events of this client's channel. Its SynIC
 * must be on. Until this is called it is the one that opens the channel. While the channel is not
 * open: from the next open on. While it is open: at once (MODIFY_CHANNEL), which from version 5.3
 * of the bus on has happened when this returns; before, events may still come to the old processor,
 * for any time. Only a server that raises events for the channel knows the number; it is not
 * checked here. Any state, also inside state callbacks. PASSIVE.
 *
 * STATUS_INVALID_PARAMETER_1: not a client's channel; STATUS_INVALID_PARAMETER_2: 0xFFFFFFFF, which
 * is no processor. Of an open channel: STATUS_NOT_SUPPORTED: the bus is older than 4.1;
 * STATUS_INVALID_DEVICE_REQUEST: closing, or an earlier request is not answered yet;
 * STATUS_UNSUCCESSFUL: refused; STATUS_IO_TIMEOUT: no answer after 10 s; STATUS_DEVICE_REMOVED.
 * What a failure leaves behind is the target of before.
 */
NTSTATUS KmclClientChannelSetTargetProcessor(VMBCHANNEL Channel, UINT32 VpIndex);

/* ---- hosts ---- */

struct vmbus_server;

/*
 * The handle for VmbServerChannelInitSetVmbusHandle() of a bus that vmbus_server_create() made
 * (vmbus/server/server.h). The first call is what makes VmbChannelAllocate() able to make server
 * channels at all: a guest's image, which never calls it, has none of their code. The bus stays its
 * owner's, and must outlive the channels that are enabled on it. PASSIVE.
 */
HANDLE KmclServerHandle(struct vmbus_server *server);

#ifdef __cplusplus
}
#endif

#endif
