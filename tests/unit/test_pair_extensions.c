/* SPDX-License-Identifier: MIT */
/* What kmcl_extensions.h adds, with both roles: transfer pages, sub-channels, target processors. */

#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/pair/pair.h"

#define SET   0xCAFEu
#define PAGES 4u
#define BYTES (PAGES * PAGE_SIZE)

/* ---- transfer pages ---- */

static UINT8 *shared; /* the client's */
static UINT32 gpadl;
static UINT8 *view; /* the server's */
static UINT8 copied[BYTES];
static UINT32 copied_length;
static NTSTATUS said;

static void copy_ranges(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                        UINT32 flags)
{
    const KMCL_TRANSFER_PAGE_RANGE *ranges;
    UINT32 count;

    (void)end, (void)buffer, (void)length;
    assert_int_equal(flags, 0);
    said = KmclPacketGetTransferPages(packet, &ranges, &count);
    for (UINT32 i = 0; i < count; i++) {
        memcpy(copied + copied_length, shared + ranges[i].ByteOffset, ranges[i].ByteCount);
        copied_length += ranges[i].ByteCount;
    }
    VmbChannelPacketComplete(packet, "done....", 8);
}

static void share(void)
{
    PMDL mdl;

    shared = pages_allocate(PAGES);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(client.channel, 0, shared, BYTES, &gpadl),
                     STATUS_SUCCESS);
    assert_int_equal(KmclClientChannelSetTransferPages(client.channel, SET, BYTES), STATUS_SUCCESS);
    assert_int_equal(VmbChannelMapGpadl(server.channel, 0, gpadl, &mdl), STATUS_SUCCESS);
    view = MmGetSystemAddressForMdlSafe(mdl, 0);
    client.on_packet = copy_ranges;
    copied_length = 0;
}

static void unshare(void)
{
    VmbChannelUnmapGpadl(server.channel, gpadl);
    VmbChannelDeleteGpadl(client.channel, gpadl);
    pages_free(shared, PAGES);
}

static NTSTATUS send_ranges(unsigned number, const KMCL_TRANSFER_PAGE_RANGE *ranges, UINT32 count)
{
    UINT64 payload = 107;
    VMBPACKET packet = pair_packet(&server, number);
    NTSTATUS status = KmclServerPacketSendWithTransferPages(packet, &payload, sizeof(payload), SET,
                                                            ranges, count, WAIT);

    if (status != STATUS_SUCCESS) {
        VmbPacketFree(packet);
    }
    return status;
}

static void a_servers_ranges_arrive_and_are_completed_once(void **state)
{
    static const KMCL_TRANSFER_PAGE_RANGE ranges[] = {{5, 100}, {3, PAGE_SIZE - 1}, {4, BYTES - 4}};

    (void)state;
    pair_start();
    share();
    memset(view + 100, 'h', 5);
    memset(view + PAGE_SIZE - 1, 'a', 3);
    memset(view + BYTES - 4, 'l', 4);
    assert_int_equal(send_ranges(1, ranges, 3), STATUS_SUCCESS);
    settle();
    assert_int_equal(said, STATUS_SUCCESS);
    assert_int_equal(client.packets, 1);
    assert_int_equal(copied_length, 12);
    assert_memory_equal(copied, "hhhhhaaallll", 12);
    assert_int_equal(server.completions, 1);
    assert_int_equal(server.completion_status, STATUS_SUCCESS);
    assert_memory_equal(server.completion, "done....", 8);
    unshare();
}

/* Queued behind a full ring they keep their ranges. */
static void many_ranges_pass_a_full_ring_in_order(void **state)
{
    (void)state;
    pair_start();
    share();
    for (UINT32 i = 0; i < 200; i++) {
        const KMCL_TRANSFER_PAGE_RANGE ranges[2] = {{1, i}, {1, 1000 + i}};
        view[i] = (UINT8)i;
        view[1000 + i] = (UINT8)~i;
        assert_int_equal(send_ranges(i, ranges, 2), STATUS_SUCCESS);
    }
    settle();
    assert_int_equal(server.completions, 200);
    assert_int_equal(copied_length, 400);
    for (UINT32 i = 0; i < 200; i++) {
        assert_int_equal(copied[2 * i], (UINT8)i);
        assert_int_equal(copied[2 * i + 1], (UINT8)~i);
        assert_int_equal(server.completed[i], i);
    }
    unshare();
}

static void sends_beyond_the_limits_are_refused(void **state)
{
    KMCL_TRANSFER_PAGE_RANGE ranges[5] = {{8, 0}, {8, 0}, {8, 0}, {8, 0}, {8, 0}};
    UINT64 payload = 107;

    (void)state;
    pair_start();
    share();
    assert_int_equal(send_ranges(1, ranges, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ranges(1, NULL, 1), STATUS_INVALID_PARAMETER);
    assert_int_equal(send_ranges(1, ranges, 5), STATUS_INVALID_PARAMETER); /* 4 are the limit */
    assert_int_equal(send_ranges(1, ranges, UINT32_MAX), STATUS_INVALID_PARAMETER);
    ranges[0].ByteCount = 65536; /* and bytes, with the next one */
    assert_int_equal(send_ranges(1, ranges, 2), STATUS_INVALID_PARAMETER);
    ranges[1].ByteCount = UINT32_MAX;
    ranges[2].ByteCount = UINT32_MAX;
    assert_int_equal(send_ranges(1, ranges, 3), STATUS_INVALID_PARAMETER);
    VMBPACKET packet = pair_packet(&server, 1);
#define SEND(flags, length)                                                                        \
    KmclServerPacketSendWithTransferPages(packet, &payload, length, SET, ranges, 1, flags)
    assert_int_equal(SEND(0, 8), STATUS_INVALID_PARAMETER);
    assert_int_equal(SEND(WAIT | 8, 8), STATUS_INVALID_PARAMETER);
    assert_int_equal(SEND(WAIT | VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH, 8),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(SEND(WAIT, 1025), STATUS_INVALID_PARAMETER);
    assert_int_equal(SEND(WAIT, 8), STATUS_SUCCESS);
    assert_int_equal(SEND(WAIT, 8), STATUS_INVALID_DEVICE_REQUEST); /* under way */
    packet = NULL;
    assert_int_equal(SEND(WAIT, 8), STATUS_INVALID_PARAMETER_1);
    packet = pair_packet(&client, 1);
    assert_int_equal(SEND(WAIT, 8), STATUS_INVALID_DEVICE_REQUEST);
    VmbPacketFree(packet);
    settle();
    assert_int_equal(server.completions, 1);
    assert_int_equal(KmclClientChannelSetTransferPages(server.channel, SET, BYTES),
                     STATUS_INVALID_DEVICE_REQUEST);
    unshare();
}

/* A packet keeps the room of the limits with which it was made. */
static void a_packet_made_with_other_limits_is_refused(void **state)
{
    static const KMCL_TRANSFER_PAGE_RANGE ranges[40] = {{1, 0}};
    UINT64 payload = 107;

    (void)state;
    pair_make(&server, TRUE);
    VMBPACKET packet = pair_packet(&server, 1);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(server.channel, 65536, 40),
                     STATUS_SUCCESS);
    assert_int_equal(
        KmclServerPacketSendWithTransferPages(packet, &payload, 8, SET, ranges, 40, WAIT),
        STATUS_INVALID_PARAMETER);
    VmbPacketFree(packet);
}

static void a_pipe_sends_none(void **state)
{
    static const KMCL_TRANSFER_PAGE_RANGE range = {8, 0};

    (void)state;
    pair_make(&server, TRUE);
    assert_int_equal(
        VmbServerChannelInitSetFlags(server.channel, VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE),
        STATUS_SUCCESS);
    assert_int_equal(send_ranges(1, &range, 1), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(VmbServerChannelInitSetFlags(server.channel, 0), STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetFlags(server.channel, VMBUS_CHANNEL_INIT_FLAG_IS_PIPE),
                     STATUS_SUCCESS);
    assert_int_equal(send_ranges(1, &range, 1), STATUS_INVALID_DEVICE_REQUEST);
}

static void a_close_ends_what_the_client_has_not_completed(void **state)
{
    static const KMCL_TRANSFER_PAGE_RANGE range = {8, 0};

    (void)state;
    pair_start();
    share();
    client.on_packet = pair_keep;
    assert_int_equal(send_ranges(1, &range, 1), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.kept_count, 1);
    VmbChannelPacketFail(client.kept[0]);
    VmbChannelUnmapGpadl(server.channel, gpadl);
    VmbChannelDeleteGpadl(client.channel, gpadl);
    VmbChannelDisable(client.channel);
    settle();
    assert_int_equal(server.completions, 1);
    assert_int_equal(server.completion_status, STATUS_DEVICE_REMOVED);
    pages_free(shared, PAGES);
}

/* ---- sub-channels ---- */

#define SUBS 3u

static struct end client_subs[SUBS];
static struct end server_subs[SUBS];

/* As in netvsc: the client asks for a number, the server grants and offers. */
static void offer_subs(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                       UINT32 flags)
{
    (void)end, (void)length, (void)flags;
    UINT64 count = 0;
    memcpy(&count, buffer, sizeof(count));
    for (UINT16 i = 0; i < count && i < SUBS; i++) {
        assert_int_equal(VmbChannelEnable(server_subs[i].channel), STATUS_SUCCESS);
        VmbChannelStart(server_subs[i].channel);
    }
    VmbChannelPacketComplete(packet, &count, sizeof(count));
}

static void make_subs(void)
{
    memset(client_subs, 0, sizeof(client_subs));
    memset(server_subs, 0, sizeof(server_subs));
    for (UINT16 i = 0; i < SUBS; i++) {
        pair_make(&server_subs[i], TRUE);
        assert_int_equal(KmclServerChannelInitSetPrimary(server_subs[i].channel, server.channel,
                                                         (UINT16)(i + 1)),
                         STATUS_SUCCESS);
        pair_make(&client_subs[i], FALSE);
        assert_int_equal(KmclClientChannelInitSetPrimary(client_subs[i].channel, client.channel,
                                                         (UINT16)(i + 1), NULL),
                         STATUS_SUCCESS);
    }
}

static void ask_for_subs(void)
{
    VmbChannelSetIncomingProcessingAtPassive(server.channel, TRUE);
    server.on_packet = offer_subs;
    UINT64 answer = 0;
    UINT64 count = SUBS;
    UINT32 size = sizeof(answer);
    assert_int_equal(VmbChannelSendSynchronousRequest(client.channel, &count, sizeof(count), NULL,
                                                      WAIT, &answer, &size, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(answer, SUBS);
    for (UINT16 i = 0; i < SUBS; i++) {
        assert_int_equal(VmbChannelEnable(client_subs[i].channel), STATUS_SUCCESS);
    }
    settle();
}

static void end_subs(void)
{
    for (UINT16 i = 0; i < SUBS; i++) {
        pair_end(&client_subs[i]);
        pair_end(&server_subs[i]);
    }
}

static void a_client_asks_for_sub_channels_and_uses_them(void **state)
{
    (void)state;
    pair_start();
    make_subs();
    ask_for_subs();
    for (unsigned i = 0; i < SUBS; i++) {
        assert_trace(client_subs[i], "OSP");
        assert_trace(server_subs[i], "OSP");
        assert_int_equal(pair_send(&client_subs[i], 10 + i, 8, WAIT), STATUS_SUCCESS);
        assert_int_equal(pair_send(&server_subs[i], 20 + i, 8, WAIT), STATUS_SUCCESS);
    }
    settle();
    for (unsigned i = 0; i < SUBS; i++) {
        assert_int_equal(server_subs[i].packets, 1);
        assert_int_equal(server_subs[i].last[0], 10 + i); /* each to its own index */
        assert_int_equal(client_subs[i].last[0], 20 + i);
        assert_int_equal(client_subs[i].completions, 1);
        assert_int_equal(server_subs[i].completions, 1);
    }
    end_subs();
}

static void leave_subs(struct end *end, char letter)
{
    if (letter == 'C' && end == &server) {
        for (unsigned i = 0; i < SUBS; i++) {
            VmbChannelDisable(server_subs[i].channel);
        }
    }
}

static void a_server_takes_sub_channels_back_with_their_primary(void **state)
{
    (void)state;
    pair_start();
    make_subs();
    ask_for_subs();
    server.on_state = leave_subs;
    VmbChannelDisable(client.channel);
    settle();
    for (unsigned i = 0; i < SUBS; i++) {
        assert_trace(client_subs[i], "OSPUC");
        assert_trace(server_subs[i], "OSPUC");
        assert_state(client_subs[i], "disabled");
    }
    assert_state(server, "offered");
    /* Opened anew the client asks anew. */
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    ask_for_subs();
    for (unsigned i = 0; i < SUBS; i++) {
        assert_trace(client_subs[i], "OSPUCOSP");
    }
    server.on_state = NULL;
    end_subs();
}

static void the_end_of_the_device_takes_its_sub_channels_along(void **state)
{
    (void)state;
    pair_start();
    make_subs();
    ask_for_subs();
    for (unsigned i = 0; i < SUBS; i++) {
        VmbChannelDisable(server_subs[i].channel);
    }
    VmbChannelDisable(server.channel);
    settle();
    for (unsigned i = 0; i < SUBS; i++) {
        assert_trace(client_subs[i], "OSPUC");
    }
    assert_trace(client, "OSPUC");
    end_subs();
}

static void sub_channels_of_nothing_cannot_be_offered(void **state)
{
    (void)state;
    pair_make(&server, TRUE);
    pair_make(&client, FALSE);
    VMBCHANNEL sub;
    assert_int_equal(VmbChannelAllocate(NULL, TRUE, &sub), STATUS_SUCCESS);
    assert_int_equal(KmclServerChannelInitSetPrimary(NULL, server.channel, 1),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclServerChannelInitSetPrimary(client.channel, server.channel, 1),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclServerChannelInitSetPrimary(sub, NULL, 1), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclServerChannelInitSetPrimary(sub, sub, 1), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclServerChannelInitSetPrimary(sub, client.channel, 1),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclServerChannelInitSetPrimary(server.channel, sub, 1),
                     STATUS_INVALID_PARAMETER_2); /* has no device */
    assert_int_equal(KmclServerChannelInitSetPrimary(sub, server.channel, 0),
                     STATUS_INVALID_PARAMETER_3);
    VmbChannelCleanup(sub);
    struct end alone;
    memset(&alone, 0, sizeof(alone));
    pair_make(&alone, TRUE);
    assert_int_equal(KmclServerChannelInitSetPrimary(alone.channel, server.channel, 1),
                     STATUS_SUCCESS);
    /* Its primary is not offered. */
    assert_int_equal(VmbChannelEnable(alone.channel), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(alone.channel), STATUS_SUCCESS);
    assert_int_equal(KmclServerChannelInitSetPrimary(alone.channel, server.channel, 2),
                     STATUS_INVALID_PARAMETER_1); /* not Disabled */
    VmbChannelDisable(alone.channel);
    /* A device of its own makes it a primary again, here a second one of the same. */
    assert_int_equal(
        VmbServerChannelInitSetTargetInterfaceId(alone.channel, pair_type, pair_instance),
        STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(alone.channel), STATUS_UNSUCCESSFUL);
    pair_end(&alone);
}

/* ---- target processors ---- */

static void events_go_to_the_processor_that_the_client_names(void **state)
{
    (void)state;
    loopback.processors = 4;
    pair_make(&server, TRUE);
    pair_make(&client, FALSE);
    assert_int_equal(KmclClientChannelSetTargetProcessor(client.channel, 2), STATUS_SUCCESS);
    pair_start();
    const uint32_t relid = loopback_word(loopback_to_guest(1, 0), 184);
    assert_int_equal(pair_send(&server, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(loopback_event_vp(relid), 2);
    assert_int_equal(KmclClientChannelSetTargetProcessor(client.channel, 3), STATUS_SUCCESS);
    assert_int_equal(pair_send(&server, 2, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(loopback_event_vp(relid), 3);
    assert_int_equal(server.completions, 2);
    /* A sub-channel of the same device goes elsewhere. */
    make_subs();
    for (UINT32 i = 0; i < SUBS; i++) {
        assert_int_equal(KmclClientChannelSetTargetProcessor(client_subs[i].channel, i),
                         STATUS_SUCCESS);
    }
    ask_for_subs();
    for (UINT32 i = 0; i < SUBS; i++) {
        assert_int_equal(pair_send(&server_subs[i], 1, 8, WAIT), STATUS_SUCCESS);
        settle();
        assert_int_equal(loopback_event_vp(loopback_word(loopback_to_guest(1, 1 + i), 184)), i);
        assert_int_equal(server_subs[i].completions, 1);
    }
    end_subs();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(a_servers_ranges_arrive_and_are_completed_once),
        pair_test(many_ranges_pass_a_full_ring_in_order),
        pair_test(sends_beyond_the_limits_are_refused),
        pair_test(a_packet_made_with_other_limits_is_refused),
        pair_test(a_pipe_sends_none),
        pair_test(a_close_ends_what_the_client_has_not_completed),
        pair_test(a_client_asks_for_sub_channels_and_uses_them),
        pair_test(a_server_takes_sub_channels_back_with_their_primary),
        pair_test(the_end_of_the_device_takes_its_sub_channels_along),
        pair_test(sub_channels_of_nothing_cannot_be_offered),
        pair_test(events_go_to_the_processor_that_the_client_names),
    };
    return cmocka_run_group_tests_name("pair, extensions", tests, NULL, NULL);
}
