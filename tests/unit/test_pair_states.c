/* SPDX-License-Identifier: MIT */
/* What may be called when (tests/unit/pair/states.h): the life, the configuration and the context
 * of a channel. */

#include <string.h>

#include "tests/unit/pair/states.h"

/* ---- life ---- */

static char allocate(struct situation *at)
{
    VMBCHANNEL another;
    NTSTATUS status = VmbChannelAllocate(NULL, at->end == &server, &another);

    if (status == STATUS_SUCCESS) {
        VmbChannelCleanup(another);
    }
    return status_letter(status);
}

static char cleanup(struct situation *at)
{
    VmbChannelCleanup(at->end->channel);
    at->end->channel = NULL;
    return '.';
}

static char enable(struct situation *at)
{
    return status_letter(VmbChannelEnable(at->end->channel));
}

static char disable(struct situation *at)
{
    if (at->packet != NULL) { /* or it would wait for it */
        VmbChannelPacketComplete(at->packet, NULL, 0);
        at->packet = NULL;
    }
    VmbChannelDisable(at->end->channel);
    return '.';
}

static char start(struct situation *at)
{
    VmbChannelStart(at->end->channel);
    return '.';
}

static char pause(struct situation *at)
{
    if (at->packet != NULL && irql_current() == IRQL_PASSIVE &&
        strcmp(KmclChannelStateName(at->end->channel), "active") == 0) {
        VmbChannelPacketComplete(at->packet, NULL, 0);
        at->packet = NULL;
    }
    VmbChannelPause(at->end->channel);
    return '.';
}

/* ---- configuration ---- */

static char set_packet_size(struct situation *at)
{
    return status_letter(VmbChannelInitSetMaximumPacketSize(at->end->channel, 2048));
}

static char set_external_data(struct situation *at)
{
    return status_letter(VmbChannelInitSetMaximumExternalData(at->end->channel, 4096, 1));
}

static char set_context_size(struct situation *at)
{
    return status_letter(VmbChannelInitSetClientContextSize(at->end->channel, 8));
}

static VOID no_packets(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer, UINT32 length,
                       UINT32 flags)
{
    (void)channel, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketComplete(packet, NULL, 0);
}

static char set_packet_callbacks(struct situation *at)
{
    return status_letter(
        VmbChannelInitSetProcessPacketCallbacks(at->end->channel, no_packets, NULL));
}

static char set_state_callbacks(struct situation *at)
{
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS none;

    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&none);
    return status_letter(VmbChannelInitSetStateChangeCallbacks(at->end->channel, &none));
}

static char set_name(struct situation *at)
{
    WCHAR text[] = {'n', 'a', 'm', 'e'};
    const UNICODE_STRING name = {sizeof(text), sizeof(text), text};

    return status_letter(VmbChannelInitSetFriendlyName(at->end->channel, &name));
}

static char set_flags(struct situation *at)
{
    return status_letter(VmbChannelInitSetFlags(at->end->channel, 0));
}

static char set_ring_pages(struct situation *at)
{
    return status_letter(VmbClientChannelInitSetRingBufferPageCount(at->end->channel, 2, 2));
}

static char set_target(struct situation *at)
{
    return status_letter(
        VmbClientChannelInitSetTargetPnp(at->end->channel, &pair_type, NULL, NULL));
}

static char set_server_flags(struct situation *at)
{
    return status_letter(VmbServerChannelInitSetFlags(at->end->channel, 0));
}

static char set_mmio(struct situation *at)
{
    return status_letter(VmbServerChannelInitSetMmioMegabytes(at->end->channel, 1, 0));
}

static NTSTATUS save_packet(VMBCHANNEL channel, VMBPACKET packet, PVOID buffer, UINT32 size,
                            PUINT32 needed)
{
    (void)channel, (void)packet, (void)buffer, (void)size, (void)needed;
    return STATUS_SUCCESS;
}

static NTSTATUS restore_packet(VMBCHANNEL channel, PVOID lib, UINT32 lib_size, PVOID saved,
                               UINT32 size)
{
    (void)channel, (void)lib, (void)lib_size, (void)saved, (void)size;
    return STATUS_SUCCESS;
}

static char set_save_callbacks(struct situation *at)
{
    return status_letter(VmbServerChannelInitSetSaveRestorePacketCallbacks(
        at->end->channel, save_packet, restore_packet));
}

static char set_interface(struct situation *at)
{
    return status_letter(
        VmbServerChannelInitSetTargetInterfaceId(at->end->channel, pair_type, pair_instance));
}

static char set_vtl(struct situation *at)
{
    return status_letter(VmbServerChannelInitSetTargetVtl(at->end->channel, 0));
}

static char set_handle(struct situation *at)
{
    return status_letter(
        VmbServerChannelInitSetVmbusHandle(at->end->channel, KmclServerHandle(loopback_server)));
}

static char convert_handle(struct situation *at)
{
    HANDLE handle;

    (void)at;
    return status_letter(VmbConvertVmbusHandleToKernelHandle(loopback_server, &handle));
}

/* ---- context and queries ---- */

static char pointers(struct situation *at)
{
    VmbChannelSetPointer(at->end->channel, at);
    const bool same = VmbChannelGetPointer(at->end->channel) == at;
    VmbChannelSetPointer(at->end->channel, at->end);
    return same ? '.' : '?';
}

static char instance(struct situation *at)
{
    GUID guid;

    VmbChannelGetInterfaceInstance(at->end->channel, &guid);
    return '.';
}

static char mmio_space(struct situation *at)
{
    UINT64 address = 1;
    UINT64 size = 1;

    VmbChannelGetMmioSpace(at->end->channel, &address, &size);
    return address == 0 && size == 0 ? '.' : '?';
}

static char latency(struct situation *at)
{
    UINT16 original;

    return status_letter(VmbChannelSetInterruptLatency(at->end->channel, 1000, &original));
}

static char quota(struct situation *at)
{
    VmbChannelSetTransactionQuota(at->end->channel, 7);
    return '.';
}

static char at_passive(struct situation *at)
{
    VmbChannelSetIncomingProcessingAtPassive(at->end->channel, TRUE);
    return '.';
}

static char reports(struct situation *at)
{
    KMCL_CHANNEL_STATISTICS statistics;

    KmclChannelGetStatistics(at->end->channel, &statistics);
    return KmclChannelStateName(at->end->channel) != NULL ? '.' : '?';
}

static char processor(struct situation *at)
{
    return status_letter(KmclClientChannelSetTargetProcessor(at->end->channel, 0));
}

/* ---- the table ---- */

static const struct row rows[] = {
    /* clang-format off */
    /* Client and server, each: Disabled, enabled, paused, active; in Opened, Started, PostStarted, Suspend, Closed, PnpFailure; in
     * ProcessPacket, the same at PASSIVE, in ProcessingComplete, in a completion routine; in a save, in a restore. */
    {"VmbChannelAllocate", allocate,
     {".... ...... !.!! --", ".... .....- !.!! .."}},
    {"VmbChannelCleanup", cleanup,
     {".!!! !!!!!! !!!! --", ".!!! !!!!!- !!!! !."}},
    {"VmbChannelEnable", enable,
     {".ddd dddddd !d!! --", ".ddd ddddd- !d!! dd"}},
    {"VmbChannelDisable", disable,
     {".... !!!!!! !!!! --", ".... !!!!!- !!!! .."}},
    {"VmbChannelStart", start,
     {".... !!!!!! !!!! --", ".... !!!!!- !!!! .."}},
    {"VmbChannelPause", pause,
     {".... !!!!!! !!!! --", ".... !!!!!- !!!! .."}},
    {"VmbChannelInitSetMaximumPacketSize", set_packet_size,
     {".111 11111. 1111 --", ".111 11111- 1111 1."}},
    {"VmbChannelInitSetMaximumExternalData", set_external_data,
     {".111 11111. 1111 --", ".111 11111- 1111 1."}},
    {"VmbChannelInitSetClientContextSize", set_context_size,
     {".111 11111. 1111 --", ".111 11111- 1111 1."}},
    {"VmbChannelInitSetProcessPacketCallbacks", set_packet_callbacks,
     {".111 11111. 1111 --", ".111 11111- 1111 1."}},
    {"VmbChannelInitSetStateChangeCallbacks", set_state_callbacks,
     {".111 11111. 1111 --", ".111 11111- 1111 1."}},
    {"VmbChannelInitSetFriendlyName", set_name,
     {".111 11111. 1111 --", ".111 11111- 1111 1."}},
    {"VmbChannelInitSetFlags", set_flags,
     {".111 11111. 1111 --", ".111 11111- 1111 1."}},
    {"VmbClientChannelInitSetRingBufferPageCount", set_ring_pages,
     {".111 11111. 1111 --", "1111 11111- 1111 11"}},
    {"VmbClientChannelInitSetTargetPnp", set_target,
     {".111 11111. 1111 --", "1111 11111- 1111 11"}},
    {"VmbServerChannelInitSetFlags", set_server_flags,
     {"1111 111111 1111 --", ".111 11111- 1111 1."}},
    {"VmbServerChannelInitSetMmioMegabytes", set_mmio,
     {"1111 111111 1111 --", ".111 11111- 1111 1."}},
    {"VmbServerChannelInitSetSaveRestorePacketCallbacks", set_save_callbacks,
     {"1111 111111 1111 --", ".111 11111- 1111 1."}},
    {"VmbServerChannelInitSetTargetInterfaceId", set_interface,
     {"1111 111111 1111 --", ".111 11111- 1111 1."}},
    {"VmbServerChannelInitSetTargetVtl", set_vtl,
     {"1111 111111 1111 --", ".111 11111- 1111 1."}},
    {"VmbServerChannelInitSetVmbusHandle", set_handle,
     {"1111 111111 1111 --", ".111 11111- 1111 1."}},
    {"VmbConvertVmbusHandleToKernelHandle", convert_handle,
     {".... ...... .... --", ".... .....- .... .."}},
    {"VmbChannelSetPointer", pointers,
     {".... ...... .... --", ".... .....- .... .."}},
    {"VmbChannelGetInterfaceInstance", instance,
     {".... ...... .... --", ".... .....- .... .."}},
    {"VmbChannelGetMmioSpace", mmio_space,
     {".... ...... .... --", ".... .....- .... .."}},
    {"VmbChannelSetInterruptLatency", latency,
     {"ddnn nnnnnd nnnn --", "dddd ddddd- dddd dd"}},
    {"VmbChannelSetTransactionQuota", quota,
     {".... ...... .... --", ".... .....- .... .."}},
    {"VmbChannelSetIncomingProcessingAtPassive", at_passive,
     {".... ...... .... --", ".... .....- .... .."}},
    {"KmclChannelGetStatistics", reports,
     {".... ...... .... --", ".... .....- .... .."}},
    {"KmclClientChannelSetTargetProcessor", processor,
     {".... ...rr. !.!! --", "1111 11111- 1111 11"}},
    /* clang-format on */
};

static void a_client_is_configured_enabled_and_left_only_when_it_may(void **state)
{
    (void)state;
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), FALSE);
}

static void a_server_is_configured_enabled_and_left_only_when_it_may(void **state)
{
    (void)state;
    check_rows(rows, sizeof(rows) / sizeof(rows[0]), TRUE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_is_configured_enabled_and_left_only_when_it_may),
        cmocka_unit_test(a_server_is_configured_enabled_and_left_only_when_it_may),
    };
    return cmocka_run_group_tests_name("pair, states", tests, NULL, NULL);
}
