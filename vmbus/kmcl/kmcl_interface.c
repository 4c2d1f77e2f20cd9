/* SPDX-License-Identifier: MIT */
/* The client's table of functions. In a file of its own, since it refers to all of them. */

#include "vmbus/kmcl/kmcl_interface.h"

static VOID count_no_users(PVOID Context)
{
    (void)Context;
}

const KMCL_CLIENT_INTERFACE_V1 kmcl_client_interface = {
    .Size = sizeof(KMCL_CLIENT_INTERFACE_V1),
    .Version = KMCL_CLIENT_INTERFACE_VERSION_V1,
    .InterfaceReference = count_no_users,
    .InterfaceDereference = count_no_users,
    .VmbChannelAllocate = VmbChannelAllocate,
    .VmbChannelCleanup = VmbChannelCleanup,
    .VmbChannelCreateGpadlFromBuffer = VmbChannelCreateGpadlFromBuffer,
    .VmbChannelCreateGpadlFromMdl = VmbChannelCreateGpadlFromMdl,
    .VmbChannelDeleteGpadl = VmbChannelDeleteGpadl,
    .VmbChannelDisable = VmbChannelDisable,
    .VmbChannelEnable = VmbChannelEnable,
    .VmbChannelGetInterfaceInstance = VmbChannelGetInterfaceInstance,
    .VmbChannelGetMmioSpace = VmbChannelGetMmioSpace,
    .VmbChannelGetPointer = VmbChannelGetPointer,
    .VmbChannelInitSetClientContextSize = VmbChannelInitSetClientContextSize,
    .VmbChannelInitSetFlags = VmbChannelInitSetFlags,
    .VmbChannelInitSetFriendlyName = VmbChannelInitSetFriendlyName,
    .VmbChannelInitSetMaximumExternalData = VmbChannelInitSetMaximumExternalData,
    .VmbChannelInitSetMaximumPacketSize = VmbChannelInitSetMaximumPacketSize,
    .VmbChannelInitSetProcessPacketCallbacks = VmbChannelInitSetProcessPacketCallbacks,
    .VmbChannelInitSetStateChangeCallbacks = VmbChannelInitSetStateChangeCallbacks,
    .VmbChannelPacketComplete = VmbChannelPacketComplete,
    .VmbChannelPacketDeferToPassive = VmbChannelPacketDeferToPassive,
    .VmbChannelPacketFail = VmbChannelPacketFail,
    .VmbChannelPacketGetExternalData = VmbChannelPacketGetExternalData,
    .VmbChannelPause = VmbChannelPause,
    .VmbChannelSendSynchronousRequest = VmbChannelSendSynchronousRequest,
    .VmbChannelSetIncomingProcessingAtPassive = VmbChannelSetIncomingProcessingAtPassive,
    .VmbChannelSetInterruptLatency = VmbChannelSetInterruptLatency,
    .VmbChannelSetPointer = VmbChannelSetPointer,
    .VmbChannelSetTransactionQuota = VmbChannelSetTransactionQuota,
    .VmbChannelSizeofPacket = VmbChannelSizeofPacket,
    .VmbChannelStart = VmbChannelStart,
    .VmbClientChannelInitSetRingBufferPageCount = VmbClientChannelInitSetRingBufferPageCount,
    .VmbClientChannelInitSetTargetPnp = VmbClientChannelInitSetTargetPnp,
    .VmbPacketAllocate = VmbPacketAllocate,
    .VmbPacketFree = VmbPacketFree,
    .VmbPacketGetChannel = VmbPacketGetChannel,
    .VmbPacketGetPointer = VmbPacketGetPointer,
    .VmbPacketInitialize = VmbPacketInitialize,
    .VmbPacketSend = VmbPacketSend,
    .VmbPacketSendWithExternalMdl = VmbPacketSendWithExternalMdl,
    .VmbPacketSendWithExternalPfns = VmbPacketSendWithExternalPfns,
    .VmbPacketSetCompletionRoutine = VmbPacketSetCompletionRoutine,
    .VmbPacketSetPointer = VmbPacketSetPointer,
};

NTSTATUS KmclQueryClientInterface(PKMCL_CLIENT_INTERFACE_V1 Interface, USHORT Size, USHORT Version)
{
    if (Interface == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (Size != sizeof(*Interface)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (Version != KMCL_CLIENT_INTERFACE_VERSION_V1) {
        return STATUS_NOT_SUPPORTED;
    }
    *Interface = kmcl_client_interface;
    return STATUS_SUCCESS;
}
