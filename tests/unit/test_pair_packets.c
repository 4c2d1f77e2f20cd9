/* SPDX-License-Identifier: MIT */
/* Packets between a client and a server, and the guest's memory that they describe. */

#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/pair/pair.h"

/* ---- payloads ---- */

static void payloads_arrive_and_are_answered(void **state)
{
    (void)state;
    pair_start();
    for (UINT32 length = 1; length <= 1024; length += length < 20 ? 1 : 67) {
        client.completions = 0;
        assert_int_equal(pair_send(&client, 7, length < 8 ? 8 : length, WAIT), STATUS_SUCCESS);
        settle();
        assert_int_equal(client.completions, 1);
        assert_int_equal(client.completion_status, STATUS_SUCCESS);
        assert_int_equal(client.completion_length, ((length < 8 ? 8 : length) + 7) & ~7u);
        assert_memory_equal(client.completion, server.last, client.completion_length);
    }
}

static void a_server_sends_and_gets_answers_in_any_order(void **state)
{
    (void)state;
    pair_start();
    client.on_packet = pair_keep;
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(pair_send(&server, i, 16, WAIT), STATUS_SUCCESS);
    }
    assert_int_equal(pair_send(&server, 10, 16, 0), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.completions, 1);
    assert_int_equal(client.kept_count, 11);
    for (unsigned i = 11; i > 0; i--) {
        VmbChannelPacketComplete(client.kept[i - 1], "answer..", 8);
    }
    settle();
    assert_int_equal(server.completions, 11);
    for (unsigned i = 1; i <= 10; i++) {
        assert_int_equal(server.completed[i], 10 - i);
    }
    assert_memory_equal(server.completion, "answer..", 8);
}

static void a_full_ring_keeps_the_order(void **state)
{
    (void)state;
    pair_start();
    VmbChannelPause(client.channel);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(pair_send(&server, i, i % 2 == 0 ? 1000 : 8, 0), STATUS_SUCCESS);
    }
    settle();
    assert_true(server.completions < 200);
    VmbChannelStart(client.channel);
    settle();
    assert_int_equal(server.completions, 200);
    assert_int_equal(client.packets, 200);
    for (unsigned i = 0; i < 200; i++) {
        assert_int_equal(server.completed[i], i);
    }
}

static void both_rings_full_of_requests_come_through(void **state)
{
    (void)state;
    pair_start();
    for (unsigned i = 0; i < 300; i++) {
        assert_int_equal(pair_send(&server, i, 900, WAIT), STATUS_SUCCESS);
        assert_int_equal(pair_send(&client, i, 900, WAIT), STATUS_SUCCESS);
    }
    settle();
    assert_int_equal(server.completions, 300);
    assert_int_equal(client.completions, 300);
}

static void a_quota_holds_a_server_back(void **state)
{
    (void)state;
    pair_start();
    server.on_packet = pair_keep;
    VmbChannelSetTransactionQuota(server.channel, 1);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pair_send(&client, i, 8, WAIT), STATUS_SUCCESS);
    }
    settle();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(server.kept_count, i + 1);
        VmbChannelPacketComplete(server.kept[i], NULL, 0);
        settle();
    }
    assert_int_equal(client.completions, 3);
}

static bool defer;

static void defer_once(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                       UINT32 flags)
{
    (void)buffer, (void)length, (void)flags;
    if (end->level == IRQL_DISPATCH && defer) {
        defer = false;
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    VmbChannelPacketComplete(packet, NULL, 0);
}

static void a_server_defers_and_processes_at_passive(void **state)
{
    (void)state;
    pair_start();
    defer = true;
    server.on_packet = defer_once;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pair_send(&client, i, 8, WAIT), STATUS_SUCCESS);
    }
    settle();
    assert_int_equal(server.packets, 4);
    assert_int_equal(client.completions, 3);
    VmbChannelSetIncomingProcessingAtPassive(server.channel, TRUE);
    assert_int_equal(pair_send(&client, 3, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.level, IRQL_PASSIVE);
}

static void fail_packet(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                        UINT32 flags)
{
    (void)end, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketFail(packet);
}

static void a_failed_packet_stops_the_server_until_the_guest_opens_anew(void **state)
{
    (void)state;
    pair_start();
    server.on_packet = fail_packet;
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    assert_int_equal(pair_send(&client, 2, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.packets, 1);
    assert_int_equal(client.completions, 0);
    VmbChannelDisable(client.channel);
    assert_int_equal(client.completions, 2);
    assert_int_equal(client.completion_status, STATUS_DEVICE_REMOVED);
    server.on_packet = NULL;
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    assert_int_equal(pair_send(&client, 3, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.completion_status, STATUS_SUCCESS);
}

static void what_a_closing_guest_owes_is_completed_as_removed(void **state)
{
    (void)state;
    pair_start();
    client.on_packet = pair_keep;
    assert_int_equal(pair_send(&server, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.kept_count, 1);
    VmbChannelPacketComplete(client.kept[0], NULL, 0);
    VmbChannelPause(client.channel);
    assert_int_equal(pair_send(&server, 2, 8, WAIT), STATUS_SUCCESS);
    settle();
    VmbChannelDisable(client.channel);
    settle();
    assert_int_equal(server.completions, 2);
    assert_int_equal(server.completion_status, STATUS_DEVICE_REMOVED);
}

/* ---- the server's synchronous requests ---- */

static void a_server_may_not_wait_for_a_guest(void **state)
{
    LARGE_INTEGER none = {.QuadPart = 0};
    LARGE_INTEGER some = {.QuadPart = -10};
    UINT64 payload = 5;
    VMBCHANNEL channel;

    (void)state;
    pair_start();
    channel = server.channel;
    assert_int_equal(
        VmbChannelSendSynchronousRequest(channel, &payload, 8, NULL, 0, NULL, NULL, NULL),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        VmbChannelSendSynchronousRequest(channel, &payload, 8, NULL, 0, NULL, NULL, &some),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        VmbChannelSendSynchronousRequest(channel, &payload, 8, NULL, WAIT, NULL, NULL, &none),
        STATUS_INVALID_PARAMETER);
    assert_int_equal(
        VmbChannelSendSynchronousRequest(channel, &payload, 8, NULL, 0, NULL, NULL, &none),
        STATUS_SUCCESS);
    settle();
    assert_int_equal(client.packets, 1);
    VmbChannelPause(client.channel);
    NTSTATUS status;
    unsigned sent = 0;
    do {
        status = VmbChannelSendSynchronousRequest(channel, &payload, 8, NULL, 0, NULL, NULL, &none);
        sent += status == STATUS_SUCCESS;
    } while (status == STATUS_SUCCESS && sent < 1000);
    assert_int_equal(status, STATUS_BUFFER_OVERFLOW);
    VmbChannelStart(client.channel);
    settle();
    assert_int_equal(client.packets, sent + 1);
    VmbChannelDisable(channel);
    assert_int_equal(
        VmbChannelSendSynchronousRequest(channel, &payload, 8, NULL, 0, NULL, NULL, &none),
        STATUS_DEVICE_REMOVED);
}

static void calls_of_clients_are_refused_on_a_server(void **state)
{
    static UINT8 memory[4096] __attribute__((aligned(4096)));
    struct {
        MDL mdl;
        PFN_NUMBER frames[2];
    } m;
    UINT32 handle;
    UINT16 latency;
    PMDL mdl;

    (void)state;
    pair_start();
    MmInitializeMdl(&m.mdl, memory, sizeof(memory));
    MmBuildMdlForNonPagedPool(&m.mdl);
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(server.channel, 0, memory, sizeof(memory), &handle),
        STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(VmbChannelSetInterruptLatency(server.channel, 1, &latency),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(VmbChannelMapGpadl(client.channel, 0, 1, &mdl), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(VmbChannelSaveBegin(client.channel), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelRestoreFromBuffer(client.channel, memory, 8),
                     STATUS_INVALID_PARAMETER_1);
    VMBPACKET packet = pair_packet(&server, 1);
    assert_int_equal(VmbPacketSend(packet, memory, 8, &m.mdl, WAIT), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalMdl(packet, memory, 8, &m.mdl, 0, 0, WAIT),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalPfns(packet, memory, 8, m.frames, 1, WAIT),
                     STATUS_INVALID_PARAMETER);
    VmbPacketFree(packet);
    expect_panic(VmbChannelUnmapGpadl(server.channel, 5));
    expect_panic(VmbChannelUnmapGpadl(client.channel, 5));
    expect_panic(VmbChannelSaveEnd(server.channel));
}

/* ---- memory beside packets ---- */

static NTSTATUS external_status;
static UINT32 external_flags;
static UINT8 seen[65536];
static UINT32 seen_length;
static unsigned seen_mdls;

/* Copies what the packet describes, and overwrites it. */
static void look(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                 UINT32 flags)
{
    PMDL mdl = (PMDL)(void *)buffer;

    (void)length;
    seen_length = 0;
    seen_mdls = 0;
    external_status = VmbChannelPacketGetExternalData(packet, external_flags, &mdl);
    if (external_status == STATUS_SUCCESS) {
        assert_int_equal(flags, VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA);
        PMDL again;
        assert_int_equal(VmbChannelPacketGetExternalData(packet, external_flags, &again),
                         STATUS_SUCCESS);
        assert_ptr_equal(mdl, again);
    } else {
        assert_null(mdl);
    }
    for (; mdl != NULL; mdl = mdl->Next) {
        UINT8 *at = MmGetSystemAddressForMdlSafe(mdl, 0);
        memcpy(seen + seen_length, at, MmGetMdlByteCount(mdl));
        seen_length += MmGetMdlByteCount(mdl);
        seen_mdls++;
        memset(at, 0xEE, MmGetMdlByteCount(mdl));
    }
    if (end->kept_count < 1) {
        VmbChannelPacketComplete(packet, NULL, 0);
    } else {
        end->kept[0] = packet;
    }
}

static void external_data_is_mapped_read_and_written(void **state)
{
    UINT8 *pages = pages_allocate(4);
    struct {
        MDL mdl;
        PFN_NUMBER frames[5];
    } a, b;

    (void)state;
    for (unsigned i = 0; i < 4 * 4096; i++) {
        pages[i] = (UINT8)(i * 7 + i / 256);
    }
    UINT8 copy[4 * 4096];
    memcpy(copy, pages, sizeof(copy));
    pair_start();
    const unsigned maps = loopback_maps();
    server.on_packet = look;
    MmInitializeMdl(&a.mdl, pages + 100, 5000);
    MmBuildMdlForNonPagedPool(&a.mdl);
    MmInitializeMdl(&b.mdl, pages + 2 * 4096, 4097);
    MmBuildMdlForNonPagedPool(&b.mdl);
    a.mdl.Next = &b.mdl;
    assert_int_equal(VmbPacketSend(pair_packet(&client, 1), copy, 24, &a.mdl, WAIT),
                     STATUS_SUCCESS);
    settle();
    assert_int_equal(external_status, STATUS_SUCCESS);
    assert_int_equal(client.completions, 1);
    assert_int_equal(seen_mdls, 2);
    assert_int_equal(seen_length, 9097);
    assert_memory_equal(seen, copy + 100, 5000);
    assert_memory_equal(seen + 5000, copy + 2 * 4096, 4097);
    assert_int_equal(pages[99], copy[99]);
    assert_int_equal(pages[100], 0xEE);
    assert_int_equal(pages[5099], 0xEE);
    assert_int_equal(pages[5100], copy[5100]);
    assert_int_equal(loopback_maps(), maps);
    pages_free(pages, 4);
}

static void a_packet_without_memory_has_none(void **state)
{
    (void)state;
    pair_start();
    server.on_packet = look;
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(external_status, STATUS_INVALID_DEVICE_REQUEST);
    external_flags = 2;
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    external_flags = 0;
    assert_int_equal(external_status, STATUS_INVALID_PARAMETER);
    assert_int_equal(client.completions, 2);
}

/* What the guest describes is checked: pages that are not its own, more than is allowed. */
static void descriptions_that_are_wrong_cost_one_packet(void **state)
{
    PFN_NUMBER frames[16];
    UINT64 payload = 1;
    UINT8 *pages = pages_allocate(16);

    (void)state;
    pair_make(&server, TRUE);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(server.channel, 8192, 1), STATUS_SUCCESS);
    pair_start();
    server.on_packet = look;
    for (unsigned i = 0; i < 16; i++) {
        frames[i] = page_frame_of(pages) + i;
    }
    assert_int_equal(
        VmbPacketSendWithExternalPfns(pair_packet(&client, 1), &payload, 8, frames, 3, WAIT),
        STATUS_SUCCESS);
    settle();
    assert_int_equal(external_status, STATUS_INVALID_PARAMETER);
    assert_int_equal(
        VmbPacketSendWithExternalPfns(pair_packet(&client, 1), &payload, 8, frames, 2, WAIT),
        STATUS_SUCCESS);
    settle();
    assert_int_equal(external_status, STATUS_SUCCESS);
    frames[0] = 0xFFFFFFFFFF;
    assert_int_equal(
        VmbPacketSendWithExternalPfns(pair_packet(&client, 1), &payload, 8, frames, 1, WAIT),
        STATUS_SUCCESS);
    settle();
    assert_int_equal(external_status, STATUS_INSUFFICIENT_RESOURCES);
    frames[0] = UINT64_MAX;
    assert_int_equal(
        VmbPacketSendWithExternalPfns(pair_packet(&client, 1), &payload, 8, frames, 1, WAIT),
        STATUS_SUCCESS);
    settle();
    assert_int_equal(external_status, STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(client.completions, 4);
    assert_state(server, "active");
    pages_free(pages, 16);
}

static void external_data_that_is_kept_is_let_go_with_the_packet(void **state)
{
    PFN_NUMBER frame;
    UINT64 payload = 1;
    UINT8 *page = pages_allocate(1);

    (void)state;
    pair_start();
    const unsigned maps = loopback_maps();
    server.on_packet = look;
    server.kept_count = 1;
    frame = page_frame_of(page);
    assert_int_equal(
        VmbPacketSendWithExternalPfns(pair_packet(&client, 1), &payload, 8, &frame, 1, WAIT),
        STATUS_SUCCESS);
    settle();
    assert_int_equal(loopback_maps(), maps + 1);
    VmbChannelPacketFail(server.kept[0]);
    assert_int_equal(loopback_maps(), maps);
    pages_free(page, 1);
}

/* ---- GPADLs ---- */

static void a_gpadl_is_mapped_and_used_by_both(void **state)
{
    UINT8 *pages = pages_allocate(3);
    UINT32 handle = 0;
    PMDL mdl;
    PMDL second;

    (void)state;
    pair_start();
    memset(pages, 0x5A, 3 * 4096);
    assert_int_equal(
        VmbChannelCreateGpadlFromBuffer(client.channel, 0, pages + 8, 3 * 4096 - 16, &handle),
        STATUS_SUCCESS);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 2, handle, &mdl), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle + 1000, &mdl),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelMapGpadl(NULL, 0, handle, &mdl), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle, &mdl), STATUS_SUCCESS);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle, &second),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_null(second);
    assert_int_equal(MmGetMdlByteCount(mdl), 3 * 4096 - 16);
    assert_null(mdl->Next);
    UINT8 *there = MmGetSystemAddressForMdlSafe(mdl, 0);
    assert_ptr_equal(there, pages + 8);
    VmbChannelUnmapGpadl(server.channel, handle);
    assert_int_equal(
        VmbChannelMapGpadl(server.channel, VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY, handle, &mdl),
        STATUS_SUCCESS);
    VmbChannelUnmapGpadl(server.channel, handle);
    loopback.map_fail = 1;
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle, &mdl),
                     STATUS_INSUFFICIENT_RESOURCES);
    for (unsigned n = 1; n <= 3; n++) {
        test_memory_fail(n);
        assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle, &mdl),
                         STATUS_INSUFFICIENT_RESOURCES);
    }
    test_memory_fail(0);
    VmbChannelDeleteGpadl(client.channel, handle);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle, &mdl), STATUS_INVALID_PARAMETER);
    pages_free(pages, 3);
}

static void a_gpadl_left_mapped_is_unmapped_when_the_channel_closes(void **state)
{
    UINT8 *pages = pages_allocate(1);
    UINT32 handle = 0;
    PMDL mdl;

    (void)state;
    pair_start();
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(client.channel, 0, pages, 4096, &handle),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle, &mdl), STATUS_SUCCESS);
    VmbChannelDisable(client.channel);
    settle();
    assert_non_null(strstr(test_console(), "the driver left mapped GPADL"));
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, handle, &mdl),
                     STATUS_INVALID_DEVICE_REQUEST);
    pages_free(pages, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(payloads_arrive_and_are_answered),
        pair_test(a_server_sends_and_gets_answers_in_any_order),
        pair_test(a_full_ring_keeps_the_order),
        pair_test(both_rings_full_of_requests_come_through),
        pair_test(a_quota_holds_a_server_back),
        pair_test(a_server_defers_and_processes_at_passive),
        pair_test(a_failed_packet_stops_the_server_until_the_guest_opens_anew),
        pair_test(what_a_closing_guest_owes_is_completed_as_removed),
        pair_test(a_server_may_not_wait_for_a_guest),
        pair_test(calls_of_clients_are_refused_on_a_server),
        pair_test(external_data_is_mapped_read_and_written),
        pair_test(a_packet_without_memory_has_none),
        pair_test(descriptions_that_are_wrong_cost_one_packet),
        pair_test(external_data_that_is_kept_is_let_go_with_the_packet),
        pair_test(a_gpadl_is_mapped_and_used_by_both),
        pair_test(a_gpadl_left_mapped_is_unmapped_when_the_channel_closes),
    };
    return cmocka_run_group_tests_name("pair, packets", tests, NULL, NULL);
}
