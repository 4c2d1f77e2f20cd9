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

#define IS(function, ...)                                                                          \
    _Static_assert(_Generic(&function, __VA_ARGS__ : 1, default : 0), #function)

IS(VmbChannelAllocate, PFN_VMB_CHANNEL_ALLOCATE);
IS(VmbChannelCleanup, PFN_VMB_CHANNEL_CLEANUP);
IS(VmbChannelCreateGpadlFromBuffer, PFN_VMB_CHANNEL_CREATE_GPADL_FROM_BUFFER);
IS(VmbChannelCreateGpadlFromMdl, PFN_VMB_CHANNEL_CREATE_GPADL_FROM_MDL);
IS(VmbChannelDeleteGpadl, PFN_VMB_CHANNEL_DELETE_GPADL);
IS(VmbChannelDisable, PFN_VMB_CHANNEL_DISABLE);
IS(VmbChannelEnable, PFN_VMB_CHANNEL_ENABLE);
IS(VmbChannelGetInterfaceInstance, PFN_VMB_CHANNEL_GET_INTERFACE_INSTANCE);
IS(VmbChannelGetMmioSpace, PFN_VMB_CHANNEL_GET_MMIO_SPACE);
IS(VmbChannelGetPointer, PFN_VMB_CHANNEL_GET_POINTER);
IS(VmbChannelInitSetClientContextSize, PFN_VMB_CHANNEL_INIT_SET_CLIENT_CONTEXT_SIZE);
IS(VmbChannelInitSetFlags, PFN_VMB_CHANNEL_INIT_SET_FLAGS);
IS(VmbChannelInitSetFriendlyName, PFN_VMB_CHANNEL_INIT_SET_FRIENDLY_NAME);
IS(VmbChannelInitSetMaximumExternalData, PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_EXTERNAL_DATA);
IS(VmbChannelInitSetMaximumPacketSize, PFN_VMB_CHANNEL_INIT_SET_MAXIMUM_PACKET_SIZE);
IS(VmbChannelInitSetProcessPacketCallbacks, PFN_VMB_CHANNEL_INIT_SET_PROCESS_PACKET_CALLBACKS);
IS(VmbChannelInitSetStateChangeCallbacks, PFN_VMB_CHANNEL_INIT_SET_STATE_CHANGE_CALLBACKS);
IS(VmbChannelPacketComplete, PFN_VMB_CHANNEL_PACKET_COMPLETE);
IS(VmbChannelPacketDeferToPassive, PFN_VMB_CHANNEL_PACKET_DEFER_TO_PASSIVE);
IS(VmbChannelPacketFail, PFN_VMB_CHANNEL_PACKET_FAIL);
IS(VmbChannelPacketGetExternalData, PFN_VMB_CHANNEL_PACKET_GET_EXTERNAL_DATA);
IS(VmbChannelPause, PFN_VMB_CHANNEL_PAUSE);
IS(VmbChannelSendSynchronousRequest, PFN_VMB_CHANNEL_SEND_SYNCHRONOUS_REQUEST);
IS(VmbChannelSetIncomingProcessingAtPassive, PFN_VMB_CHANNEL_SET_INCOMING_PROCESSING_AT_PASSIVE);
IS(VmbChannelSetInterruptLatency, PFN_VMB_CHANNEL_SET_INTERRUPT_LATENCY);
IS(VmbChannelSetPointer, PFN_VMB_CHANNEL_SET_POINTER);
IS(VmbChannelSetTransactionQuota, PFN_VMB_CHANNEL_SET_TRANSACTION_QUOTA);
IS(VmbChannelSizeofPacket, PFN_VMB_CHANNEL_SIZEOF_PACKET);
IS(VmbChannelStart, PFN_VMB_CHANNEL_START);
IS(VmbClientChannelInitSetRingBufferPageCount,
   PFN_VMB_CLIENT_CHANNEL_INIT_SET_RING_BUFFER_PAGE_COUNT);
IS(VmbClientChannelInitSetTargetPnp, PFN_VMB_CLIENT_CHANNEL_INIT_SET_TARGET_PNP);
IS(VmbPacketAllocate, PFN_VMB_PACKET_ALLOCATE);
IS(VmbPacketFree, PFN_VMB_PACKET_FREE);
IS(VmbPacketGetChannel, PFN_VMB_PACKET_GET_CHANNEL);
IS(VmbPacketGetPointer, PFN_VMB_PACKET_GET_POINTER);
IS(VmbPacketInitialize, PFN_VMB_PACKET_INITIALIZE);
IS(VmbPacketSend, PFN_VMB_PACKET_SEND);
IS(VmbPacketSendWithExternalMdl, PFN_VMB_PACKET_SEND_WITH_EXTERNAL_MDL);
IS(VmbPacketSendWithExternalPfns, PFN_VMB_PACKET_SEND_WITH_EXTERNAL_PFNS);
IS(VmbPacketSetCompletionRoutine, PFN_VMB_PACKET_SET_COMPLETION_ROUTINE);
IS(VmbPacketSetPointer, PFN_VMB_PACKET_SET_POINTER);
IS(VmbChannelMapGpadl, PFN_VMB_CHANNEL_MAP_GPADL);
IS(VmbChannelRestoreFromBuffer, PFN_VMB_CHANNEL_RESTORE_FROM_BUFFER);
IS(VmbChannelSaveBegin, PFN_VMB_CHANNEL_SAVE_BEGIN);
IS(VmbChannelSaveContinue, PFN_VMB_CHANNEL_SAVE_CONTINUE);
IS(VmbChannelSaveEnd, PFN_VMB_CHANNEL_SAVE_END);
IS(VmbChannelUnmapGpadl, PFN_VMB_CHANNEL_UNMAP_GPADL);
IS(VmbConvertVmbusHandleToKernelHandle, PFN_VMB_CONVERT_VMBUS_HANDLE_TO_KERNEL_HANDLE);
IS(VmbPacketRestore, PFN_VMB_PACKET_RESTORE);
IS(VmbServerChannelInitSetFlags, PFN_VMB_SERVER_CHANNEL_INIT_SET_FLAGS);
IS(VmbServerChannelInitSetMmioMegabytes, PFN_VMB_SERVER_CHANNEL_INIT_SET_MMIO_MEGABYTES);
IS(VmbServerChannelInitSetSaveRestorePacketCallbacks,
   PFN_VMB_SERVER_CHANNEL_INIT_SET_SAVE_RESTORE_PACKET_CALLBACKS);
IS(VmbServerChannelInitSetTargetInterfaceId, PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_INTERFACE_ID);
IS(VmbServerChannelInitSetTargetVtl, PFN_VMB_SERVER_CHANNEL_INIT_SET_TARGET_VTL);
IS(VmbServerChannelInitSetVmbusHandle, PFN_VMB_SERVER_CHANNEL_INIT_SET_VMBUS_HANDLE);

/* ---- signatures of the server's functions, as documented ---- */

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
_Static_assert((UINT32)STATUS_MORE_PROCESSING_REQUIRED == 0xC0000016u, "status");
_Static_assert((UINT32)STATUS_BUFFER_OVERFLOW == 0x80000005u, "status");
_Static_assert((UINT32)STATUS_BUFFER_TOO_SMALL == 0xC0000023u, "status");
_Static_assert((UINT32)STATUS_OBJECT_TYPE_MISMATCH == 0xC0000024u, "status");
_Static_assert((UINT32)STATUS_CRC_ERROR == 0xC000003Fu, "status");
_Static_assert((UINT32)STATUS_REVISION_MISMATCH == 0xC0000059u, "status");
_Static_assert((UINT32)STATUS_INVALID_BUFFER_SIZE == 0xC0000206u, "status");
_Static_assert((UINT32)STATUS_INVALID_SIGNATURE == 0xC000A000u, "status");
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
