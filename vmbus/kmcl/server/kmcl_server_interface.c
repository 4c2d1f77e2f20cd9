/* SPDX-License-Identifier: MIT */
/* The server's table of functions: the client's, then those that only servers have. */

#include <stddef.h>
#include <string.h>

#include "vmbus/kmcl/kmcl_interface.h"

static const KMCL_SERVER_ONLY_METHODS server_only = {
    .VmbChannelMapGpadl = VmbChannelMapGpadl,
    .VmbChannelRestoreFromBuffer = VmbChannelRestoreFromBuffer,
    .VmbChannelSaveBegin = VmbChannelSaveBegin,
    .VmbChannelSaveContinue = VmbChannelSaveContinue,
    .VmbChannelSaveEnd = VmbChannelSaveEnd,
    .VmbChannelUnmapGpadl = VmbChannelUnmapGpadl,
    .VmbConvertVmbusHandleToKernelHandle = VmbConvertVmbusHandleToKernelHandle,
    .VmbPacketRestore = VmbPacketRestore,
    .VmbServerChannelInitSetFlags = VmbServerChannelInitSetFlags,
    .VmbServerChannelInitSetMmioMegabytes = VmbServerChannelInitSetMmioMegabytes,
    .VmbServerChannelInitSetSaveRestorePacketCallbacks =
        VmbServerChannelInitSetSaveRestorePacketCallbacks,
    .VmbServerChannelInitSetTargetInterfaceId = VmbServerChannelInitSetTargetInterfaceId,
    .VmbServerChannelInitSetTargetVtl = VmbServerChannelInitSetTargetVtl,
    .VmbServerChannelInitSetVmbusHandle = VmbServerChannelInitSetVmbusHandle,
};

_Static_assert(offsetof(KMCL_SERVER_INTERFACE_V1, VmbChannelMapGpadl) ==
                   sizeof(KMCL_CLIENT_INTERFACE_V1),
               "the server's own functions follow the client's table");

NTSTATUS KmclQueryServerInterface(PKMCL_SERVER_INTERFACE_V1 Interface, USHORT Size, USHORT Version)
{
    if (Interface == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (Size != sizeof(*Interface)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (Version != KMCL_SERVER_INTERFACE_VERSION_V1) {
        return STATUS_NOT_SUPPORTED;
    }
    unsigned char *table = (unsigned char *)Interface;
    memcpy(table, &kmcl_client_interface, sizeof(kmcl_client_interface));
    memcpy(table + sizeof(kmcl_client_interface), &server_only, sizeof(server_only));
    Interface->Size = sizeof(*Interface);
    Interface->Version = KMCL_SERVER_INTERFACE_VERSION_V1;
    return STATUS_SUCCESS;
}
