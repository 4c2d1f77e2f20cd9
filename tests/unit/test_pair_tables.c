/* SPDX-License-Identifier: MIT */
/*
 * The tables of functions: members, order and sizes as documented, each function of its documented
 * type, and the calls that fill them in; flags and statuses of the server's part.
 */

#include "VmbusKernelModeClientLibApi.h"
#include "kmcl_extensions.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* ---- places: written out, so that a member that moves does not compile ---- */

#define AT(table, member, number)                                                                  \
    _Static_assert(offsetof(table, member) == 32 + 8 * ((number)-1), #member)

AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelAllocate, 1);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelCleanup, 2);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelCreateGpadlFromBuffer, 3);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelCreateGpadlFromMdl, 4);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelDeleteGpadl, 5);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelDisable, 6);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelEnable, 7);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelGetInterfaceInstance, 8);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelGetMmioSpace, 9);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelGetPointer, 10);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelInitSetClientContextSize, 11);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelInitSetFlags, 12);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelInitSetFriendlyName, 13);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelInitSetMaximumExternalData, 14);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelInitSetMaximumPacketSize, 15);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelInitSetProcessPacketCallbacks, 16);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelInitSetStateChangeCallbacks, 17);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelPacketComplete, 18);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelPacketDeferToPassive, 19);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelPacketFail, 20);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelPacketGetExternalData, 21);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelPause, 22);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelSendSynchronousRequest, 23);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelSetIncomingProcessingAtPassive, 24);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelSetInterruptLatency, 25);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelSetPointer, 26);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelSetTransactionQuota, 27);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelSizeofPacket, 28);
AT(KMCL_CLIENT_INTERFACE_V1, VmbChannelStart, 29);
AT(KMCL_CLIENT_INTERFACE_V1, VmbClientChannelInitSetRingBufferPageCount, 30);
AT(KMCL_CLIENT_INTERFACE_V1, VmbClientChannelInitSetTargetPnp, 31);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketAllocate, 32);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketFree, 33);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketGetChannel, 34);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketGetPointer, 35);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketInitialize, 36);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketSend, 37);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketSendWithExternalMdl, 38);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketSendWithExternalPfns, 39);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketSetCompletionRoutine, 40);
AT(KMCL_CLIENT_INTERFACE_V1, VmbPacketSetPointer, 41);

AT(KMCL_SERVER_INTERFACE_V1, VmbChannelMapGpadl, 42);
AT(KMCL_SERVER_INTERFACE_V1, VmbChannelRestoreFromBuffer, 43);
AT(KMCL_SERVER_INTERFACE_V1, VmbChannelSaveBegin, 44);
AT(KMCL_SERVER_INTERFACE_V1, VmbChannelSaveContinue, 45);
AT(KMCL_SERVER_INTERFACE_V1, VmbChannelSaveEnd, 46);
AT(KMCL_SERVER_INTERFACE_V1, VmbChannelUnmapGpadl, 47);
AT(KMCL_SERVER_INTERFACE_V1, VmbConvertVmbusHandleToKernelHandle, 48);
AT(KMCL_SERVER_INTERFACE_V1, VmbPacketRestore, 49);
AT(KMCL_SERVER_INTERFACE_V1, VmbServerChannelInitSetFlags, 50);
AT(KMCL_SERVER_INTERFACE_V1, VmbServerChannelInitSetMmioMegabytes, 51);
AT(KMCL_SERVER_INTERFACE_V1, VmbServerChannelInitSetSaveRestorePacketCallbacks, 52);
AT(KMCL_SERVER_INTERFACE_V1, VmbServerChannelInitSetTargetInterfaceId, 53);
AT(KMCL_SERVER_INTERFACE_V1, VmbServerChannelInitSetTargetVtl, 54);
AT(KMCL_SERVER_INTERFACE_V1, VmbServerChannelInitSetVmbusHandle, 55);

#define ALONE(member, number)                                                                      \
    _Static_assert(offsetof(KMCL_SERVER_ONLY_METHODS, member) == 8 * ((number)-1), #member)

ALONE(VmbChannelMapGpadl, 1);
ALONE(VmbChannelRestoreFromBuffer, 2);
ALONE(VmbChannelSaveBegin, 3);
ALONE(VmbChannelSaveContinue, 4);
ALONE(VmbChannelSaveEnd, 5);
ALONE(VmbChannelUnmapGpadl, 6);
ALONE(VmbConvertVmbusHandleToKernelHandle, 7);
ALONE(VmbPacketRestore, 8);
ALONE(VmbServerChannelInitSetFlags, 9);
ALONE(VmbServerChannelInitSetMmioMegabytes, 10);
ALONE(VmbServerChannelInitSetSaveRestorePacketCallbacks, 11);
ALONE(VmbServerChannelInitSetTargetInterfaceId, 12);
ALONE(VmbServerChannelInitSetTargetVtl, 13);
ALONE(VmbServerChannelInitSetVmbusHandle, 14);

_Static_assert(sizeof(INTERFACE) == 32 && offsetof(INTERFACE, Context) == 8 &&
                   offsetof(INTERFACE, InterfaceReference) == 16 &&
                   offsetof(INTERFACE, InterfaceDereference) == 24,
               "INTERFACE");
_Static_assert(sizeof(KMCL_CLIENT_INTERFACE_V1) == 360, "client");
_Static_assert(sizeof(KMCL_SERVER_ONLY_METHODS) == 112, "server only");
_Static_assert(sizeof(KMCL_SERVER_INTERFACE_V1) == 472, "server");

/* ---- every function is of the type with its name ---- */

static const PFN_VMB_CHANNEL_ALLOCATE type_of_VmbChannelAllocate __attribute__((unused)) =
    VmbChannelAllocate;
static const PFN_VMB_CHANNEL_CLEANUP type_of_VmbChannelCleanup __attribute__((unused)) =
    VmbChannelCleanup;
static const PFN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER type_of_VmbChannelCreateGpadlFromBuffer
    __attribute__((unused)) = VmbChannelCreateGpadlFromBuffer;
static const PFN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL type_of_VmbChannelCreateGpadlFromMdl
    __attribute__((unused)) = VmbChannelCreateGpadlFromMdl;
static const PFN_VMB_CHANNEL_DELETE_GPADL type_of_VmbChannelDeleteGpadl __attribute__((unused)) =
    VmbChannelDeleteGpadl;
static const PFN_VMB_CHANNEL_DISABLE type_of_VmbChannelDisable __attribute__((unused)) =
    VmbChannelDisable;
static const PFN_VMB_CHANNEL_ENABLE type_of_VmbChannelEnable __attribute__((unused)) =
    VmbChannelEnable;
static const PFN_VMB_CHANNEL_GET_INTERFACE_INSTANCE type_of_VmbChannelGetInterfaceInstance
    __attribute__((unused)) = VmbChannelGetInterfaceInstance;
static const PFN_VMB_CHANNEL_GET_MMIO_SPACE type_of_VmbChannelGetMmioSpace __attribute__((unused)) =
    VmbChannelGetMmioSpace;
static const PFN_VMB_CHANNEL_GET_POINTER type_of_VmbChannelGetPointer __attribute__((unused)) =
    VmbChannelGetPointer;
static const PFN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE type_of_VmbChannelInitSetClientContextSize
    __attribute__((unused)) = VmbChannelInitSetClientContextSize;
static const PFN_VMB_CHANNEL_INIT_SET_FLAGS type_of_VmbChannelInitSetFlags __attribute__((unused)) =
    VmbChannelInitSetFlags;
static const PFN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME type_of_VmbChannelInitSetFriendlyName
    __attribute__((unused)) = VmbChannelInitSetFriendlyName;
static const PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA
    type_of_VmbChannelInitSetMaximumExternalData __attribute__((unused)) =
        VmbChannelInitSetMaximumExternalData;
static const PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE type_of_VmbChannelInitSetMaximumPacketSize
    __attribute__((unused)) = VmbChannelInitSetMaximumPacketSize;
static const PFN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS
    type_of_VmbChannelInitSetProcessPacketCallbacks __attribute__((unused)) =
        VmbChannelInitSetProcessPacketCallbacks;
static const PFN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS
    type_of_VmbChannelInitSetStateChangeCallbacks __attribute__((unused)) =
        VmbChannelInitSetStateChangeCallbacks;
static const PFN_VMB_CHANNEL_PACKET_COMPLETE type_of_VmbChannelPacketComplete
    __attribute__((unused)) = VmbChannelPacketComplete;
static const PFN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE type_of_VmbChannelPacketDeferToPassive
    __attribute__((unused)) = VmbChannelPacketDeferToPassive;
static const PFN_VMB_CHANNEL_PACKET_FAIL type_of_VmbChannelPacketFail __attribute__((unused)) =
    VmbChannelPacketFail;
static const PFN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA type_of_VmbChannelPacketGetExternalData
    __attribute__((unused)) = VmbChannelPacketGetExternalData;
static const PFN_VMB_CHANNEL_PAUSE type_of_VmbChannelPause __attribute__((unused)) =
    VmbChannelPause;
static const PFN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST type_of_VmbChannelSendSynchronousRequest
    __attribute__((unused)) = VmbChannelSendSynchronousRequest;
static const PFN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE
    type_of_VmbChannelSetIncomingProcessingAtPassive __attribute__((unused)) =
        VmbChannelSetIncomingProcessingAtPassive;
static const PFN_VMB_CHANNEL_SET_INTERRUPT_LATENCY type_of_VmbChannelSetInterruptLatency
    __attribute__((unused)) = VmbChannelSetInterruptLatency;
static const PFN_VMB_CHANNEL_SET_POINTER type_of_VmbChannelSetPointer __attribute__((unused)) =
    VmbChannelSetPointer;
static const PFN_VMB_CHANNEL_SET_TRANSACTION_QUOTA type_of_VmbChannelSetTransactionQuota
    __attribute__((unused)) = VmbChannelSetTransactionQuota;
static const PFN_VMB_CHANNEL_SIZEOF_PACKET type_of_VmbChannelSizeofPacket __attribute__((unused)) =
    VmbChannelSizeofPacket;
static const PFN_VMB_CHANNEL_START type_of_VmbChannelStart __attribute__((unused)) =
    VmbChannelStart;
static const PFN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT
    type_of_VmbClientChannelInitSetRingBufferPageCount __attribute__((unused)) =
        VmbClientChannelInitSetRingBufferPageCount;
static const PFN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP type_of_VmbClientChannelInitSetTargetPnp
    __attribute__((unused)) = VmbClientChannelInitSetTargetPnp;
static const PFN_VMB_PACKET_ALLOCATE type_of_VmbPacketAllocate __attribute__((unused)) =
    VmbPacketAllocate;
static const PFN_VMB_PACKET_FREE type_of_VmbPacketFree __attribute__((unused)) = VmbPacketFree;
static const PFN_VMB_PACKET_GET_CHANNEL type_of_VmbPacketGetChannel __attribute__((unused)) =
    VmbPacketGetChannel;
static const PFN_VMB_PACKET_GET_POINTER type_of_VmbPacketGetPointer __attribute__((unused)) =
    VmbPacketGetPointer;
static const PFN_VMB_PACKET_INITIALIZE type_of_VmbPacketInitialize __attribute__((unused)) =
    VmbPacketInitialize;
static const PFN_VMB_PACKET_SEND type_of_VmbPacketSend __attribute__((unused)) = VmbPacketSend;
static const PFN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL type_of_VmbPacketSendWithExternalMdl
    __attribute__((unused)) = VmbPacketSendWithExternalMdl;
static const PFN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS type_of_VmbPacketSendWithExternalPfns
    __attribute__((unused)) = VmbPacketSendWithExternalPfns;
static const PFN_VMB_PACKET_SET_COMPLETION_ROUTINE type_of_VmbPacketSetCompletionRoutine
    __attribute__((unused)) = VmbPacketSetCompletionRoutine;
static const PFN_VMB_PACKET_SET_POINTER type_of_VmbPacketSetPointer __attribute__((unused)) =
    VmbPacketSetPointer;
static const PFN_VMB_CHANNEL_MAP_GPADL type_of_VmbChannelMapGpadl __attribute__((unused)) =
    VmbChannelMapGpadl;
static const PFN_VMB_CHANNEL_RESTORE_FROM_BUFFER type_of_VmbChannelRestoreFromBuffer
    __attribute__((unused)) = VmbChannelRestoreFromBuffer;
static const PFN_VMB_CHANNEL_SAVE_BEGIN type_of_VmbChannelSaveBegin __attribute__((unused)) =
    VmbChannelSaveBegin;
static const PFN_VMB_CHANNEL_SAVE_CONTINUE type_of_VmbChannelSaveContinue __attribute__((unused)) =
    VmbChannelSaveContinue;
static const PFN_VMB_CHANNEL_SAVE_END type_of_VmbChannelSaveEnd __attribute__((unused)) =
    VmbChannelSaveEnd;
static const PFN_VMB_CHANNEL_UNMAP_GPADL type_of_VmbChannelUnmapGpadl __attribute__((unused)) =
    VmbChannelUnmapGpadl;
static const PFN_VMB_CONVERT_VMBUS_HANDLE_TO_KERNEL_HANDLE
    type_of_VmbConvertVmbusHandleToKernelHandle __attribute__((unused)) =
        VmbConvertVmbusHandleToKernelHandle;
static const PFN_VMB_PACKET_RESTORE type_of_VmbPacketRestore __attribute__((unused)) =
    VmbPacketRestore;
static const PFN_VMB_SERVER_CHANNEL_INIT_SET_FLAGS type_of_VmbServerChannelInitSetFlags
    __attribute__((unused)) = VmbServerChannelInitSetFlags;
static const PFN_VMB_SERVER_CHANNEL_INIT_SET_MMIO_MEGABYTES
    type_of_VmbServerChannelInitSetMmioMegabytes __attribute__((unused)) =
        VmbServerChannelInitSetMmioMegabytes;
static const PFN_VMB_SERVER_CHANNEL_INIT_SET_SAVE_RESTORE_PACKET_CALLBACKS
    type_of_VmbServerChannelInitSetSaveRestorePacketCallbacks __attribute__((unused)) =
        VmbServerChannelInitSetSaveRestorePacketCallbacks;
static const PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_INTERFACE_ID
    type_of_VmbServerChannelInitSetTargetInterfaceId __attribute__((unused)) =
        VmbServerChannelInitSetTargetInterfaceId;
static const PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_VTL type_of_VmbServerChannelInitSetTargetVtl
    __attribute__((unused)) = VmbServerChannelInitSetTargetVtl;
static const PFN_VMB_SERVER_CHANNEL_INIT_SET_VMBUS_HANDLE type_of_VmbServerChannelInitSetVmbusHandle
    __attribute__((unused)) = VmbServerChannelInitSetVmbusHandle;

/* ---- signatures of the server's functions, as documented ---- */

#define IS(function, ...)                                                                          \
    _Static_assert(_Generic(&function, __VA_ARGS__ : 1, default : 0), #function)

IS(VmbChannelMapGpadl, NTSTATUS (*)(VMBCHANNEL, UINT32, UINT32, PMDL *));
IS(VmbChannelUnmapGpadl, void (*)(VMBCHANNEL, UINT32));
IS(VmbConvertVmbusHandleToKernelHandle, NTSTATUS (*)(HANDLE, PHANDLE));
IS(VmbChannelSaveBegin, NTSTATUS (*)(VMBCHANNEL));
IS(VmbChannelSaveContinue, NTSTATUS (*)(VMBCHANNEL, PVOID, ULONG, PULONG, PULONG));
IS(VmbChannelSaveEnd, void (*)(VMBCHANNEL));
IS(VmbChannelRestoreFromBuffer, NTSTATUS (*)(VMBCHANNEL, PVOID, ULONG));
IS(VmbPacketRestore, NTSTATUS (*)(VMBPACKET, PVOID, ULONG));
IS(VmbServerChannelInitSetFlags, NTSTATUS (*)(VMBCHANNEL, UINT32));
IS(VmbServerChannelInitSetMmioMegabytes, NTSTATUS (*)(VMBCHANNEL, UINT16, UINT16));
IS(VmbServerChannelInitSetTargetInterfaceId, NTSTATUS (*)(VMBCHANNEL, GUID, GUID));
IS(VmbServerChannelInitSetTargetVtl, NTSTATUS (*)(VMBCHANNEL, UINT8));
IS(VmbServerChannelInitSetVmbusHandle, NTSTATUS (*)(VMBCHANNEL, HANDLE));
IS(VmbServerChannelInitSetSaveRestorePacketCallbacks,
   NTSTATUS (*)(VMBCHANNEL, PFN_VMB_CHANNEL_SAVE_PACKET, PFN_VMB_CHANNEL_RESTORE_PACKET));
_Static_assert(_Generic((PFN_VMB_CHANNEL_SAVE_PACKET)0,
                        NTSTATUS (*)(VMBCHANNEL, VMBPACKET, PVOID, UINT32, PUINT32) : 1,
                        default : 0),
               "EvtVmbChannelSavePacket");
_Static_assert(_Generic((PFN_VMB_CHANNEL_RESTORE_PACKET)0,
                        NTSTATUS (*)(VMBCHANNEL, PVOID, UINT32, PVOID, UINT32) : 1, default : 0),
               "EvtVmbChannelRestorePacket");

/* ---- values ---- */

_Static_assert(VMBUS_SERVER_CHANNEL_INIT_FLAG_LOOPBACK_OFFER == 0x1, "flag");
_Static_assert(VMBUS_SERVER_CHANNEL_INIT_FLAG_ENUMERATE_DEVICE_INTERFACE == 0x2, "flag");
_Static_assert(VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE == 0x4, "flag");
_Static_assert(VMBUS_SERVER_CHANNEL_INIT_FLAG_FORCE_NEW_CHANNEL == 0x8, "flag");
_Static_assert(VMBUS_SERVER_CHANNEL_INIT_FLAG_TLNPI_PROVIDER_OFFER == 0x10, "flag");
_Static_assert(VMBUS_SERVER_CHANNEL_INIT_FLAGS == 0x1F, "mask");
_Static_assert(VMBUS_SERVER_CHANNEL_INIT_MAXIMUM_OFFER_DATA == 120, "offer");
_Static_assert(STATUS_MORE_PROCESSING_REQUIRED == (NTSTATUS)0xC0000016, "status");
_Static_assert(STATUS_BUFFER_OVERFLOW == (NTSTATUS)0x80000005, "status");
_Static_assert(STATUS_BUFFER_TOO_SMALL == (NTSTATUS)0xC0000023, "status");
_Static_assert(STATUS_OBJECT_TYPE_MISMATCH == (NTSTATUS)0xC0000024, "status");
_Static_assert(STATUS_CRC_ERROR == (NTSTATUS)0xC000003F, "status");
_Static_assert(STATUS_REVISION_MISMATCH == (NTSTATUS)0xC0000059, "status");
_Static_assert(STATUS_INVALID_BUFFER_SIZE == (NTSTATUS)0xC0000206, "status");
_Static_assert(STATUS_INVALID_SIGNATURE == (NTSTATUS)0xC000A000, "status");
_Static_assert(!NT_SUCCESS(STATUS_MORE_PROCESSING_REQUIRED) && !NT_SUCCESS(STATUS_BUFFER_OVERFLOW),
               "statuses that mean go on");

/* ---- the queries ---- */

static void check_client_part(const KMCL_CLIENT_INTERFACE_V1 *table)
{
    assert_non_null(table->InterfaceReference);
    assert_non_null(table->InterfaceDereference);
    table->InterfaceReference(table->Context);
    table->InterfaceDereference(table->Context);
    assert_true(table->VmbChannelAllocate == VmbChannelAllocate);
    assert_true(table->VmbChannelCleanup == VmbChannelCleanup);
    assert_true(table->VmbChannelCreateGpadlFromBuffer == VmbChannelCreateGpadlFromBuffer);
    assert_true(table->VmbChannelCreateGpadlFromMdl == VmbChannelCreateGpadlFromMdl);
    assert_true(table->VmbChannelDeleteGpadl == VmbChannelDeleteGpadl);
    assert_true(table->VmbChannelDisable == VmbChannelDisable);
    assert_true(table->VmbChannelEnable == VmbChannelEnable);
    assert_true(table->VmbChannelGetInterfaceInstance == VmbChannelGetInterfaceInstance);
    assert_true(table->VmbChannelGetMmioSpace == VmbChannelGetMmioSpace);
    assert_true(table->VmbChannelGetPointer == VmbChannelGetPointer);
    assert_true(table->VmbChannelInitSetClientContextSize == VmbChannelInitSetClientContextSize);
    assert_true(table->VmbChannelInitSetFlags == VmbChannelInitSetFlags);
    assert_true(table->VmbChannelInitSetFriendlyName == VmbChannelInitSetFriendlyName);
    assert_true(table->VmbChannelInitSetMaximumExternalData ==
                VmbChannelInitSetMaximumExternalData);
    assert_true(table->VmbChannelInitSetMaximumPacketSize == VmbChannelInitSetMaximumPacketSize);
    assert_true(table->VmbChannelInitSetProcessPacketCallbacks ==
                VmbChannelInitSetProcessPacketCallbacks);
    assert_true(table->VmbChannelInitSetStateChangeCallbacks ==
                VmbChannelInitSetStateChangeCallbacks);
    assert_true(table->VmbChannelPacketComplete == VmbChannelPacketComplete);
    assert_true(table->VmbChannelPacketDeferToPassive == VmbChannelPacketDeferToPassive);
    assert_true(table->VmbChannelPacketFail == VmbChannelPacketFail);
    assert_true(table->VmbChannelPacketGetExternalData == VmbChannelPacketGetExternalData);
    assert_true(table->VmbChannelPause == VmbChannelPause);
    assert_true(table->VmbChannelSendSynchronousRequest == VmbChannelSendSynchronousRequest);
    assert_true(table->VmbChannelSetIncomingProcessingAtPassive ==
                VmbChannelSetIncomingProcessingAtPassive);
    assert_true(table->VmbChannelSetInterruptLatency == VmbChannelSetInterruptLatency);
    assert_true(table->VmbChannelSetPointer == VmbChannelSetPointer);
    assert_true(table->VmbChannelSetTransactionQuota == VmbChannelSetTransactionQuota);
    assert_true(table->VmbChannelSizeofPacket == VmbChannelSizeofPacket);
    assert_true(table->VmbChannelStart == VmbChannelStart);
    assert_true(table->VmbClientChannelInitSetRingBufferPageCount ==
                VmbClientChannelInitSetRingBufferPageCount);
    assert_true(table->VmbClientChannelInitSetTargetPnp == VmbClientChannelInitSetTargetPnp);
    assert_true(table->VmbPacketAllocate == VmbPacketAllocate);
    assert_true(table->VmbPacketFree == VmbPacketFree);
    assert_true(table->VmbPacketGetChannel == VmbPacketGetChannel);
    assert_true(table->VmbPacketGetPointer == VmbPacketGetPointer);
    assert_true(table->VmbPacketInitialize == VmbPacketInitialize);
    assert_true(table->VmbPacketSend == VmbPacketSend);
    assert_true(table->VmbPacketSendWithExternalMdl == VmbPacketSendWithExternalMdl);
    assert_true(table->VmbPacketSendWithExternalPfns == VmbPacketSendWithExternalPfns);
    assert_true(table->VmbPacketSetCompletionRoutine == VmbPacketSetCompletionRoutine);
    assert_true(table->VmbPacketSetPointer == VmbPacketSetPointer);
}

static void the_clients_table_holds_every_function(void **state)
{
    KMCL_CLIENT_INTERFACE_V1 table;

    (void)state;
    assert_int_equal(
        KmclQueryClientInterface(&table, sizeof(table), KMCL_CLIENT_INTERFACE_VERSION_V1),
        STATUS_SUCCESS);
    assert_int_equal(table.Size, sizeof(table));
    assert_int_equal(table.Version, KMCL_CLIENT_INTERFACE_VERSION_LATEST);
    check_client_part(&table);
}

static void the_servers_table_holds_the_clients_and_its_own(void **state)
{
    KMCL_SERVER_INTERFACE_V1 table;
    KMCL_CLIENT_INTERFACE_V1 first;

    (void)state;
    assert_int_equal(
        KmclQueryServerInterface(&table, sizeof(table), KMCL_SERVER_INTERFACE_VERSION_V1),
        STATUS_SUCCESS);
    assert_int_equal(table.Size, sizeof(table));
    assert_int_equal(table.Version, KMCL_SERVER_INTERFACE_VERSION_V1);
    memcpy(&first, &table, sizeof(first));
    check_client_part(&first);
    assert_true(table.VmbChannelMapGpadl == VmbChannelMapGpadl);
    assert_true(table.VmbChannelRestoreFromBuffer == VmbChannelRestoreFromBuffer);
    assert_true(table.VmbChannelSaveBegin == VmbChannelSaveBegin);
    assert_true(table.VmbChannelSaveContinue == VmbChannelSaveContinue);
    assert_true(table.VmbChannelSaveEnd == VmbChannelSaveEnd);
    assert_true(table.VmbChannelUnmapGpadl == VmbChannelUnmapGpadl);
    assert_true(table.VmbConvertVmbusHandleToKernelHandle == VmbConvertVmbusHandleToKernelHandle);
    assert_true(table.VmbPacketRestore == VmbPacketRestore);
    assert_true(table.VmbServerChannelInitSetFlags == VmbServerChannelInitSetFlags);
    assert_true(table.VmbServerChannelInitSetMmioMegabytes == VmbServerChannelInitSetMmioMegabytes);
    assert_true(table.VmbServerChannelInitSetSaveRestorePacketCallbacks ==
                VmbServerChannelInitSetSaveRestorePacketCallbacks);
    assert_true(table.VmbServerChannelInitSetTargetInterfaceId ==
                VmbServerChannelInitSetTargetInterfaceId);
    assert_true(table.VmbServerChannelInitSetTargetVtl == VmbServerChannelInitSetTargetVtl);
    assert_true(table.VmbServerChannelInitSetVmbusHandle == VmbServerChannelInitSetVmbusHandle);
}

static void other_sizes_and_versions_are_refused(void **state)
{
    KMCL_SERVER_INTERFACE_V1 table;
    KMCL_CLIENT_INTERFACE_V1 first;

    (void)state;
    assert_int_equal(KmclQueryClientInterface(NULL, sizeof(first), 1), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclQueryClientInterface(&first, sizeof(table), 1),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclQueryClientInterface(&first, sizeof(first), 2), STATUS_NOT_SUPPORTED);
    assert_int_equal(KmclQueryServerInterface(NULL, sizeof(table), 1), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclQueryServerInterface(&table, sizeof(first), 1),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclQueryServerInterface(&table, sizeof(table), 0), STATUS_NOT_SUPPORTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_clients_table_holds_every_function),
        cmocka_unit_test(the_servers_table_holds_the_clients_and_its_own),
        cmocka_unit_test(other_sizes_and_versions_are_refused),
    };
    return cmocka_run_group_tests_name("pair, tables", tests, NULL, NULL);
}
