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
