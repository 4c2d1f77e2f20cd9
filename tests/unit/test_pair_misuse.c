/* SPDX-License-Identifier: MIT */
/*
 * Drivers' mistakes, in both roles: a status that is documented, or a stop that names the function.
 * Calls in the wrong state, and inside of callbacks, are in test_pair_states*.c.
 */

#include <sanitizer/asan_interface.h>
#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/pair/states.h"
#include "vmbus/kmcl/kmcl.h"

/* ---- handles that are none ---- */

static VMBCHANNEL bad;
static const GUID guid;
static UINT8 bytes[64];

/* Each a function of a channel's handle: 0 where it has no status to return. */
typedef NTSTATUS channel_call(void);

#define CALL(function, arguments)                                                                  \
    static NTSTATUS call_##function(void)                                                          \
    {                                                                                              \
        return function arguments;                                                                 \
    }
#define CALL_VOID(function, arguments)                                                             \
    static NTSTATUS call_##function(void)                                                          \
    {                                                                                              \
        (void)function arguments;                                                                  \
        return STATUS_SUCCESS;                                                                     \
    }

static VOID no_packets(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer, UINT32 length,
                       UINT32 flags)
{
    (void)channel, (void)packet, (void)buffer, (void)length, (void)flags;
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

static VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks = {1, sizeof(callbacks), 0, 0, 0, 0, 0};
static const UNICODE_STRING name;
static UINT16 latency;
static UINT32 word;
static UINT64 wide;
static PMDL mdl;
static GUID instance;
static KMCL_CHANNEL_STATISTICS statistics;

CALL(VmbChannelEnable, (bad))
CALL(VmbChannelInitSetMaximumPacketSize, (bad, 1))
CALL(VmbChannelInitSetMaximumExternalData, (bad, 1, 1))
CALL(VmbChannelInitSetClientContextSize, (bad, 1))
CALL(VmbChannelInitSetProcessPacketCallbacks, (bad, no_packets, NULL))
CALL(VmbChannelInitSetStateChangeCallbacks, (bad, &callbacks))
CALL(VmbChannelInitSetFriendlyName, (bad, &name))
CALL(VmbChannelInitSetFlags, (bad, 0))
CALL(VmbClientChannelInitSetRingBufferPageCount, (bad, 1, 1))
CALL(VmbClientChannelInitSetTargetPnp, (bad, &guid, NULL, NULL))
CALL(VmbChannelSetInterruptLatency, (bad, 1, &latency))
CALL(VmbPacketInitialize, (bad, (VMBPACKET)(void *)bytes, 64))
CALL(VmbChannelCreateGpadlFromBuffer, (bad, 0, bytes, 8, &word))
CALL(VmbChannelCreateGpadlFromMdl, (bad, 0, NULL, 0, 0, &word))
CALL(VmbChannelSendSynchronousRequest, (bad, NULL, 0, NULL, 0, NULL, NULL, NULL))
CALL(VmbChannelMapGpadl, (bad, 0, 1, &mdl))
CALL(VmbChannelSaveBegin, (bad))
CALL(VmbChannelSaveContinue, (bad, bytes, 64, &word, &word))
CALL(VmbChannelRestoreFromBuffer, (bad, bytes, 8))
CALL(VmbServerChannelInitSetFlags, (bad, 0))
CALL(VmbServerChannelInitSetMmioMegabytes, (bad, 1, 1))
CALL(VmbServerChannelInitSetSaveRestorePacketCallbacks, (bad, save_packet, restore_packet))
CALL(VmbServerChannelInitSetTargetInterfaceId, (bad, guid, guid))
CALL(VmbServerChannelInitSetTargetVtl, (bad, 0))
CALL(VmbServerChannelInitSetVmbusHandle, (bad, bytes))
CALL(KmclClientChannelSetTransferPages, (bad, 1, 1))
CALL(KmclClientChannelInitSetPrimary, (bad, bad, 1, NULL))
CALL(KmclServerChannelInitSetPrimary, (bad, bad, 1))
CALL(KmclClientChannelSetTargetProcessor, (bad, 1))
CALL_VOID(VmbChannelCleanup, (bad))
CALL_VOID(VmbChannelDisable, (bad))
CALL_VOID(VmbChannelStart, (bad))
CALL_VOID(VmbChannelPause, (bad))
CALL_VOID(VmbChannelSetPointer, (bad, NULL))
CALL_VOID(VmbChannelGetPointer, (bad))
CALL_VOID(VmbChannelGetInterfaceInstance, (bad, &instance))
CALL_VOID(VmbChannelGetMmioSpace, (bad, &wide, &wide))
CALL_VOID(VmbChannelSetTransactionQuota, (bad, 1))
CALL_VOID(VmbChannelSetIncomingProcessingAtPassive, (bad, TRUE))
CALL_VOID(VmbPacketAllocate, (bad))
CALL_VOID(VmbChannelSizeofPacket, (bad))
CALL_VOID(VmbChannelDeleteGpadl, (bad, 1))
CALL_VOID(VmbChannelUnmapGpadl, (bad, 1))
CALL_VOID(VmbChannelSaveEnd, (bad))
CALL_VOID(KmclChannelStateName, (bad))
CALL_VOID(KmclChannelGetStatistics, (bad, &statistics))

#define STATUS(function)                                                                           \
    {                                                                                              \
#function, call_##function, false                                                          \
    }
#define STOPS(function)                                                                            \
    {                                                                                              \
#function, call_##function, true                                                           \
    }
static const struct {
    const char *name;
    channel_call *call;
    bool stops;
} channel_calls[] = {
    STATUS(VmbChannelEnable),
    STATUS(VmbChannelInitSetMaximumPacketSize),
    STATUS(VmbChannelInitSetMaximumExternalData),
    STATUS(VmbChannelInitSetClientContextSize),
    STATUS(VmbChannelInitSetProcessPacketCallbacks),
    STATUS(VmbChannelInitSetStateChangeCallbacks),
    STATUS(VmbChannelInitSetFriendlyName),
    STATUS(VmbChannelInitSetFlags),
    STATUS(VmbClientChannelInitSetRingBufferPageCount),
    STATUS(VmbClientChannelInitSetTargetPnp),
    STATUS(VmbChannelSetInterruptLatency),
    STATUS(VmbPacketInitialize),
    STATUS(VmbChannelCreateGpadlFromBuffer),
    STATUS(VmbChannelCreateGpadlFromMdl),
    STATUS(VmbChannelSendSynchronousRequest),
    STATUS(VmbChannelMapGpadl),
    STATUS(VmbChannelSaveBegin),
    STATUS(VmbChannelSaveContinue),
    STATUS(VmbChannelRestoreFromBuffer),
    STATUS(VmbServerChannelInitSetFlags),
    STATUS(VmbServerChannelInitSetMmioMegabytes),
    STATUS(VmbServerChannelInitSetSaveRestorePacketCallbacks),
    STATUS(VmbServerChannelInitSetTargetInterfaceId),
    STATUS(VmbServerChannelInitSetTargetVtl),
    STATUS(VmbServerChannelInitSetVmbusHandle),
    STATUS(KmclClientChannelSetTransferPages),
    STATUS(KmclClientChannelInitSetPrimary),
    STATUS(KmclServerChannelInitSetPrimary),
    STATUS(KmclClientChannelSetTargetProcessor),
    STOPS(VmbChannelCleanup),
    STOPS(VmbChannelDisable),
    STOPS(VmbChannelStart),
    STOPS(VmbChannelPause),
    STOPS(VmbChannelSetPointer),
    STOPS(VmbChannelGetPointer),
    STOPS(VmbChannelGetInterfaceInstance),
    STOPS(VmbChannelGetMmioSpace),
    STOPS(VmbChannelSetTransactionQuota),
    STOPS(VmbChannelSetIncomingProcessingAtPassive),
    STOPS(VmbPacketAllocate),
    STOPS(VmbChannelSizeofPacket),
    STOPS(VmbChannelDeleteGpadl),
    STOPS(VmbChannelUnmapGpadl),
    STOPS(VmbChannelSaveEnd),
    STOPS(KmclChannelStateName),
    STOPS(KmclChannelGetStatistics),
};

static void expect_named(const char *function)
{
    if (strstr(test_panic_message(), function) == NULL) {
        fail_msg("%s is not named: %s", function, test_panic_message());
    }
}

static void expect_stop(channel_call *call, const char *function)
{
    expect_panic((void)call());
    expect_named(function);
}

static void call_each(void)
{
    for (size_t i = 0; i < sizeof(channel_calls) / sizeof(channel_calls[0]); i++) {
        if (channel_calls[i].stops) {
            expect_stop(channel_calls[i].call, channel_calls[i].name);
        } else if (channel_calls[i].call() != STATUS_INVALID_PARAMETER_1) {
            fail_msg("%s", channel_calls[i].name);
        }
    }
}

static void what_is_no_channel_is_refused_or_stops_the_guest(void **state)
{
    static UINT64 rubbish[256];

    (void)state;
    bad = NULL;
    call_each();
    bad = (VMBCHANNEL)(void *)rubbish;
    call_each();
    memset(rubbish, 0xA5, sizeof(rubbish));
    call_each();
}

/* As long as its memory is not used for something else. */
static void a_channel_that_was_cleaned_up_is_none(void **state)
{
    (void)state;
    for (BOOLEAN is_server = FALSE; is_server <= TRUE; is_server++) {
        struct end end;
        memset(&end, 0, sizeof(end));
        pair_make(&end, is_server);
        bad = end.channel;
        VmbChannelCleanup(bad);
        ASAN_UNPOISON_MEMORY_REGION((void *)bad, sizeof(struct kmcl_channel));
        call_each();
        ASAN_POISON_MEMORY_REGION((void *)bad, sizeof(struct kmcl_channel));
    }
}

static void what_is_no_packet_stops_the_guest_or_is_refused(void **state)
{
    const KMCL_TRANSFER_PAGE_RANGE range = {8, 0};
    const KMCL_TRANSFER_PAGE_RANGE *ranges;
    PFN_NUMBER frame = 1;

    (void)state;
#define STOPS_WITH_NAME(function, ...)                                                             \
    do {                                                                                           \
        expect_panic((void)function(__VA_ARGS__));                                                 \
        expect_named(#function);                                                                   \
    } while (0)
    STOPS_WITH_NAME(VmbPacketFree, NULL);
    STOPS_WITH_NAME(VmbPacketSetCompletionRoutine, NULL, pair_recorded);
    STOPS_WITH_NAME(VmbPacketSetPointer, NULL, NULL);
    STOPS_WITH_NAME(VmbPacketGetPointer, NULL);
    STOPS_WITH_NAME(VmbPacketGetChannel, NULL);
    STOPS_WITH_NAME(VmbChannelPacketComplete, NULL, NULL, 0);
    STOPS_WITH_NAME(VmbChannelPacketFail, NULL);
    STOPS_WITH_NAME(VmbChannelPacketDeferToPassive, NULL);
    STOPS_WITH_NAME(VmbChannelPacketGetExternalData, NULL, 0, &mdl);
    STOPS_WITH_NAME(KmclPacketGetTransferPages, NULL, &ranges, &word);
    STOPS_WITH_NAME(KmclPacketGetClientContext, NULL);
    assert_int_equal(VmbPacketSend(NULL, bytes, 8, NULL, 0), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbPacketSendWithExternalMdl(NULL, bytes, 8, mdl, 0, 0, WAIT),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbPacketSendWithExternalPfns(NULL, bytes, 8, &frame, 1, WAIT),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclServerPacketSendWithTransferPages(NULL, bytes, 8, 1, &range, 1, WAIT),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbPacketRestore(NULL, bytes, 8), STATUS_INVALID_PARAMETER_1);
    pair_make(&client, FALSE);
    assert_int_equal(VmbPacketInitialize(client.channel, NULL, 65536), STATUS_INVALID_PARAMETER_2);
}

/* ---- packets that are not the driver's any more ---- */

static void a_packet_is_freed_once_and_not_used_afterwards(void **state)
{
    (void)state;
    pair_start();
    VMBPACKET packet = pair_packet(&client, 1);
    VmbPacketFree(packet);
    STOPS_WITH_NAME(VmbPacketFree, packet);
    STOPS_WITH_NAME(VmbPacketSetCompletionRoutine, packet, pair_recorded);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, 0), STATUS_INVALID_DEVICE_REQUEST);
    /* There still is one of it. */
    VMBPACKET first = VmbPacketAllocate(client.channel);
    VMBPACKET second = VmbPacketAllocate(client.channel);
    assert_ptr_not_equal(first, second);
    VmbPacketFree(first);
    VmbPacketFree(second);
    /* Its routine freed it. */
    packet = pair_packet(&client, 2);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.completions, 1);
    STOPS_WITH_NAME(VmbPacketFree, packet);
}

static void a_packet_under_way_is_left_alone(void **state)
{
    (void)state;
    pair_start();
    server.on_packet = pair_keep;
    VMBPACKET packet = pair_packet(&client, 1);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, WAIT), STATUS_SUCCESS);
    settle();
    STOPS_WITH_NAME(VmbPacketFree, packet);
    STOPS_WITH_NAME(VmbPacketSetCompletionRoutine, packet, NULL);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, 0), STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelPacketComplete(server.kept[0], NULL, 0);
    STOPS_WITH_NAME(VmbChannelPacketFail, server.kept[0]);
    STOPS_WITH_NAME(VmbChannelPacketDeferToPassive, server.kept[0]);
    STOPS_WITH_NAME(VmbChannelPacketGetExternalData, server.kept[0], 0, &mdl);
    settle();
    assert_int_equal(client.completions, 1);
}

static void a_packet_without_a_routine_is_not_sent(void **state)
{
    (void)state;
    pair_start();
    VMBPACKET packet = pair_packet(&client, 1);
    VmbPacketSetCompletionRoutine(packet, NULL);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, 0), STATUS_INVALID_DEVICE_REQUEST);
    VmbPacketFree(packet);
}

/* ---- nowhere to put a result, nothing to take it from ---- */

static void results_need_a_place(void **state)
{
    const UNICODE_STRING empty = {8, 8, NULL};
    ULONG filled;

    (void)state;
    pair_start();
    VMBCHANNEL channel = client.channel;
    STOPS_WITH_NAME(VmbChannelGetInterfaceInstance, channel, NULL);
    STOPS_WITH_NAME(VmbChannelGetMmioSpace, channel, NULL, &wide);
    STOPS_WITH_NAME(VmbChannelGetMmioSpace, channel, &wide, NULL);
    STOPS_WITH_NAME(KmclChannelGetStatistics, channel, NULL);
    assert_int_equal(VmbChannelAllocate(NULL, FALSE, NULL), STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbChannelSetInterruptLatency(channel, 1, NULL), STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(channel, 0, bytes, 8, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(channel, 0, NULL, 8, &word),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelCreateGpadlFromMdl(channel, 0, NULL, 0, 0, &word),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, 1, NULL), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSaveContinue(server.channel, bytes, 8, NULL, &filled),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSaveContinue(server.channel, bytes, 8, &filled, NULL),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelSaveContinue(server.channel, NULL, 8, &filled, &filled),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelRestoreFromBuffer(server.channel, NULL, 8),
                     STATUS_INVALID_PARAMETER_2);
    VmbChannelDisable(channel);
    assert_int_equal(VmbChannelInitSetFriendlyName(channel, NULL), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetFriendlyName(channel, &empty), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(channel, NULL),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetProcessPacketCallbacks(channel, NULL, NULL),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbClientChannelInitSetTargetPnp(channel, NULL, NULL, NULL),
                     STATUS_INVALID_PARAMETER_2);
    VmbChannelDisable(server.channel);
    assert_int_equal(
        VmbServerChannelInitSetSaveRestorePacketCallbacks(server.channel, NULL, restore_packet),
        STATUS_INVALID_PARAMETER_2);
    assert_int_equal(
        VmbServerChannelInitSetSaveRestorePacketCallbacks(server.channel, save_packet, NULL),
        STATUS_INVALID_PARAMETER_3);
}

static void look_without_a_place(struct end *end, VMBPACKETCOMPLETION packet, void *buffer,
                                 UINT32 length, UINT32 flags)
{
    const KMCL_TRANSFER_PAGE_RANGE *ranges;

    (void)end, (void)flags;
    assert_int_equal(VmbChannelPacketGetExternalData(packet, 0, NULL), STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbChannelPacketGetExternalData(packet, 2, &mdl), STATUS_INVALID_PARAMETER);
    assert_int_equal(KmclPacketGetTransferPages(packet, NULL, &word), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclPacketGetTransferPages(packet, &ranges, NULL), STATUS_INVALID_PARAMETER_3);
    VmbChannelPacketComplete(packet, buffer, length);
}

static void results_of_a_packet_need_a_place_and_flags_that_exist(void **state)
{
    (void)state;
    pair_start();
    client.on_packet = look_without_a_place;
    server.on_packet = look_without_a_place;
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    assert_int_equal(pair_send(&server, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.completions, 1);
    assert_int_equal(server.completions, 1);
}

/* ---- bits outside of masks, sizes beyond limits; in both roles ---- */

static void bits_outside_of_masks_are_refused(void **state)
{
    (void)state;
    pair_start();
    for (unsigned bit = 0; bit < 32; bit++) {
        const UINT32 flag = UINT32_C(1) << bit;
        PMDL found;
        if ((flag & VMBUS_CHANNEL_FORMAT_FLAGS) == 0) {
            assert_int_equal(pair_send(&client, 1, 8, flag), STATUS_INVALID_PARAMETER);
            assert_int_equal(pair_send(&server, 1, 8, flag), STATUS_INVALID_PARAMETER);
        }
        if ((flag & VMBUS_CHANNEL_GPADL_FLAGS) == 0) {
            assert_int_equal(VmbChannelCreateGpadlFromBuffer(client.channel, flag, bytes, 8, &word),
                             STATUS_INVALID_PARAMETER);
            assert_int_equal(VmbChannelMapGpadl(server.channel, flag, 1, &found),
                             STATUS_INVALID_PARAMETER);
        }
    }
    VmbChannelDisable(client.channel);
    VmbChannelDisable(server.channel);
    for (unsigned bit = 0; bit < 32; bit++) {
        const UINT32 flag = UINT32_C(1) << bit;
        assert_int_equal(VmbChannelInitSetFlags(client.channel, flag),
                         (flag & VMBUS_CHANNEL_INIT_FLAGS) != 0 ? STATUS_SUCCESS
                                                                : STATUS_INVALID_PARAMETER_2);
        assert_int_equal(VmbServerChannelInitSetFlags(server.channel, flag),
                         (flag & VMBUS_SERVER_CHANNEL_INIT_FLAGS) != 0
                             ? STATUS_SUCCESS
                             : STATUS_INVALID_PARAMETER_2);
    }
}

static void packets_beyond_the_limits_are_refused(void **state)
{
    PFN_NUMBER frames[17] = {0};

    (void)state;
    pair_start();
    struct end *ends[] = {&client, &server};
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(pair_send(ends[i], 1, 1024, 0), STATUS_SUCCESS);
        assert_int_equal(pair_send(ends[i], 1, 1025, 0), STATUS_INVALID_PARAMETER);
        VMBPACKET packet = pair_packet(ends[i], 1);
        assert_int_equal(VmbPacketSend(packet, bytes, UINT32_MAX, NULL, 0),
                         STATUS_INVALID_PARAMETER);
        assert_int_equal(VmbPacketSend(packet, NULL, 8, NULL, 0), STATUS_INVALID_PARAMETER);
        assert_int_equal(VmbPacketSendWithExternalPfns(packet, bytes, 8, frames, 17, WAIT),
                         STATUS_INVALID_PARAMETER);
        assert_int_equal(VmbPacketSendWithExternalPfns(packet, bytes, 8, frames, UINT32_MAX, WAIT),
                         STATUS_INVALID_PARAMETER);
        assert_int_equal(VmbPacketSendWithExternalPfns(packet, bytes, 8, frames, 0, WAIT),
                         STATUS_INVALID_PARAMETER);
        VmbPacketFree(packet);
    }
    settle();
    assert_int_equal(client.packets, 1);
    assert_int_equal(server.packets, 1);
}

static void a_quota_of_zero_changes_nothing(void **state)
{
    (void)state;
    pair_start();
    VmbChannelSetTransactionQuota(server.channel, 2);
    VmbChannelSetTransactionQuota(server.channel, 0);
    assert_non_null(strstr(test_console(), "ignored a transaction quota of 0x0"));
    server.on_packet = pair_keep;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pair_send(&client, i, 8, WAIT), STATUS_SUCCESS);
    }
    settle();
    assert_int_equal(server.kept_count, 2);
    while (server.kept_count > 0) {
        VmbChannelPacketComplete(server.kept[--server.kept_count], NULL, 0);
        settle();
    }
    assert_int_equal(client.completions, 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(what_is_no_channel_is_refused_or_stops_the_guest),
        pair_test(a_channel_that_was_cleaned_up_is_none),
        pair_test(what_is_no_packet_stops_the_guest_or_is_refused),
        pair_test(a_packet_is_freed_once_and_not_used_afterwards),
        pair_test(a_packet_under_way_is_left_alone),
        pair_test(a_packet_without_a_routine_is_not_sent),
        pair_test(results_need_a_place),
        pair_test(results_of_a_packet_need_a_place_and_flags_that_exist),
        pair_test(bits_outside_of_masks_are_refused),
        pair_test(packets_beyond_the_limits_are_refused),
        pair_test(a_quota_of_zero_changes_nothing),
    };
    return cmocka_run_group_tests_name("pair, misuse", tests, NULL, NULL);
}
