/* SPDX-License-Identifier: MIT */
/* Sending: completions, full rings, order, limits, external data, pipes, memory. */

#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION

/* ---- completion (K6) ---- */

static void without_wait_a_packet_completes_when_it_is_in_the_ring(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 7, 24, 0), STATUS_SUCCESS);
    assert_int_equal(driver.completions, 1);
    assert_int_equal(driver.completed[0], 7);
    assert_int_equal(driver.completion_status, STATUS_SUCCESS);
    assert_int_equal(driver.completion_length, 0);
    assert_int_equal(host_take(&packet), 7);
    assert_int_equal(packet.type, RING_PACKET_DATA_INBAND);
    assert_int_equal(packet.flags, 0);
    assert_int_equal(packet.transaction_id, 0);
    assert_int_equal(packet.payload_length, 24);
    assert_int_equal(host_signals(0x2000 + RELID), 1);
    driver_end(&driver);
    assert_int_equal(driver.completions, 1);
}

static void with_wait_a_packet_completes_when_the_host_says_so(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    const UINT64 answer[3] = {1, 2, 3};

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 9, 16, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(driver.completions, 0);
    assert_int_equal(host_take(&packet), 9);
    assert_int_equal(packet.flags, RING_PACKET_FLAG_COMPLETION_REQUESTED);
    assert_true(packet.transaction_id != 0);
    (void)host_put_completion(RELID, packet.transaction_id, answer, sizeof(answer));
    settle();
    assert_int_equal(driver.completions, 1);
    assert_int_equal(driver.completed[0], 9);
    assert_int_equal(driver.completion_status, STATUS_SUCCESS);
    assert_int_equal(driver.completion_length, sizeof(answer));
    assert_memory_equal(driver.completion, answer, sizeof(answer));
    assert_int_equal(driver.completion_level, IRQL_DISPATCH);
    /* Completions alone are a batch of none. */
    assert_int_equal(driver.batches, 1);
    assert_int_equal(driver.batch_count, 0);
    driver_end(&driver);
}

static void an_empty_completion_has_no_buffer(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 9, 16, WAIT), STATUS_SUCCESS);
    (void)host_take(&packet);
    (void)host_put_completion(RELID, packet.transaction_id, NULL, 0);
    settle();
    assert_int_equal(driver.completions, 1);
    assert_int_equal(driver.completion_length, 0);
    driver_end(&driver);
}

static void completions_may_come_in_any_order(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet[8];

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(driver_send(&driver, i, 16, WAIT), STATUS_SUCCESS);
        (void)host_take(&packet[i]);
        for (unsigned j = 0; j < i; j++) {
            assert_true(packet[i].transaction_id != packet[j].transaction_id);
        }
    }
    for (unsigned i = 0; i < 8; i++) {
        (void)host_put_completion(RELID, packet[i * 3 % 8].transaction_id, NULL, 0);
    }
    settle();
    assert_int_equal(driver.completions, 8);
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(driver.completed[i], i * 3 % 8);
    }
    driver_end(&driver);
}

/* The host answers before the sender has left the call: nothing else runs in between. */
static void a_completion_that_races_the_send_is_delivered_once(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 1; i <= 20; i++) {
        enum irql level = irql_raise_to_dispatch();
        assert_int_equal(driver_send(&driver, i, 16, WAIT), STATUS_SUCCESS);
        answer_next(&driver);
        irql_lower(level);
        settle();
        assert_int_equal(driver.completions, i);
        assert_int_equal(driver.completed[i - 1], i);
    }
    driver_end(&driver);
}

static VMBPACKET resent;
static unsigned resends;

static VOID resend(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    UINT64 word = ++resends;

    (void)buffer, (void)length;
    assert_int_equal(status, STATUS_SUCCESS);
    if (resends < 5) {
        assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_SUCCESS);
    }
}

static void a_packet_can_be_sent_again_from_its_completion_routine(void **state)
{
    struct driver driver = {0};
    UINT64 word = 0;

    (void)state;
    resends = 0;
    driver_start(&driver);
    resent = VmbPacketAllocate(driver.channel);
    VmbPacketSetCompletionRoutine(resent, resend);
    assert_int_equal(VmbPacketSend(resent, &word, 8, NULL, WAIT), STATUS_SUCCESS);
    for (unsigned i = 0; i < 5; i++) {
        answer_next(&driver);
        settle();
    }
    assert_int_equal(resends, 5);
    assert_false(host_has_packet());
    VmbPacketFree(resent);
    driver_end(&driver);
}

static void the_default_routine_frees_the_packet(void **state)
{
    struct driver driver = {0};
    UINT64 word = 1;

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 10; i++) {
        VMBPACKET packet = VmbPacketAllocate(driver.channel);
        assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, 0), STATUS_SUCCESS);
        packet = VmbPacketAllocate(driver.channel);
        assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_SUCCESS);
        struct ring_packet_in in;
        (void)host_take(&in);
        answer_next(&driver);
        settle();
    }
    driver_end(&driver); /* complains of packets that are left */
}

/* ---- payload ---- */

static void payloads_of_any_length_arrive_padded_with_zeros(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    for (UINT32 length = 0; length <= 16; length++) {
        UINT8 bytes[32];
        UINT8 received[64];
        struct ring_packet_in in;
        memset(bytes, 0xAB, sizeof(bytes));
        VMBPACKET packet = driver_packet(&driver, length);
        assert_int_equal(VmbPacketSend(packet, bytes, length, NULL, 0), STATUS_SUCCESS);
        memset(received, 0x77, sizeof(received));
        assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
        assert_int_equal(in.payload_length, (length + 7) / 8 * 8);
        for (UINT32 i = 0; i < in.payload_length; i++) {
            assert_int_equal(received[i], i < length ? 0xAB : 0);
        }
    }
    driver_end(&driver);
}

static void the_callers_buffer_is_free_after_the_call_even_if_queued(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in in;

    (void)state;
    driver_make(&driver);
    assert_int_equal(driver_send(&driver, 0x1234, 1000, 0), STATUS_SUCCESS);
    driver_start(&driver);
    UINT8 received[1024];
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(in.payload_length, 1000);
    assert_int_equal(received[8], 0x34);
    assert_int_equal(received[999], 0x34);
    driver_end(&driver);
}

static void bad_sends_are_refused_and_the_packet_stays_the_callers(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[2048] = {0};
    UINT64 space[8];
    PMDL mdl = (PMDL)(void *)space;
    PFN_NUMBER frame = 1;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(driver.channel, PAGE_SIZE, 1),
                     STATUS_SUCCESS);
    driver_start(&driver);
    VMBPACKET packet = driver_packet(&driver, 1);
    MmInitializeMdl(mdl, bytes, 8);
    MmBuildMdlForNonPagedPool(mdl);
    assert_int_equal(VmbPacketSend(NULL, bytes, 8, NULL, 0), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbPacketSend(packet, bytes, 1025, NULL, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(packet, bytes, UINT32_MAX, NULL, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(packet, NULL, 8, NULL, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, 8), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, 2), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, mdl, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalMdl(packet, bytes, 8, mdl, 0, 0, 0),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalMdl(packet, bytes, 8, NULL, 0, 0, WAIT),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalMdl(packet, bytes, 8, mdl, 0, 9, WAIT),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalPfns(packet, bytes, 8, &frame, 1, 0),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalPfns(packet, bytes, 8, &frame, 1, WAIT | 2),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalPfns(packet, bytes, 8, &frame, 2, WAIT),
                     STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSendWithExternalPfns(packet, bytes, 8, NULL, 1, WAIT),
                     STATUS_INVALID_PARAMETER);
    VmbPacketSetCompletionRoutine(packet, NULL);
    assert_int_equal(VmbPacketSend(packet, bytes, 8, NULL, 0), STATUS_INVALID_DEVICE_REQUEST);
    assert_false(host_has_packet());
    assert_int_equal(driver.completions, 0);
    /* And it still works. */
    VmbPacketSetCompletionRoutine(packet, recorded);
    assert_int_equal(VmbPacketSend(packet, bytes, 1024, NULL, 4), STATUS_SUCCESS);
    assert_int_equal(driver.completions, 1);
    driver_end(&driver);
}

static void a_packet_under_way_is_refused_and_cannot_be_freed(void **state)
{
    struct driver driver = {0};
    UINT64 word = 1;

    (void)state;
    driver_start(&driver);
    VMBPACKET packet = driver_packet(&driver, 1);
    assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_SUCCESS);
    assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_INVALID_DEVICE_REQUEST);
    expect_panic(VmbPacketFree(packet));
    expect_panic(VmbPacketFree(NULL));
    answer_next(&driver);
    settle();
    assert_int_equal(driver.completions, 1);
    driver_end(&driver);
}

/* ---- full rings (K7, M21) ---- */

/* Sends packets of `length` bytes until one is queued. Returns how many went out before. */
static unsigned fill(struct driver *driver, UINT32 length)
{
    unsigned sent = 0;

    do {
        assert_int_equal(driver_send(driver, sent, length, 0), STATUS_SUCCESS);
        sent++;
    } while (driver->completions == sent);
    return sent - 1;
}

static void a_full_ring_queues_and_keeps_the_order(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    unsigned sent = fill(&driver, 200);
    assert_in_range(sent, 10, 20);
    for (unsigned i = sent + 1; i < 100; i++) {
        assert_int_equal(driver_send(&driver, i, i % 3 == 0 ? 8 : 900, 0), STATUS_SUCCESS);
    }
    assert_int_equal(driver.completions, sent);
    for (unsigned i = 0; i < 100; i++) {
        settle();
        assert_int_equal(host_take(&packet), i);
    }
    settle();
    assert_false(host_has_packet());
    assert_int_equal(driver.completions, 100);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(driver.completed[i], i);
    }
    driver_end(&driver);
}

/* A large packet waits; a small one that would fit comes behind it. */
static void a_small_send_does_not_overtake_a_queued_large_one(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(driver_send(&driver, i, 1024, 0), STATUS_SUCCESS);
    }
    assert_int_equal(driver.completions, 3);
    assert_int_equal(driver_send(&driver, 3, 1024, 0), STATUS_SUCCESS);
    assert_int_equal(driver.completions, 3);
    assert_int_equal(driver_send(&driver, 4, 8, 0), STATUS_SUCCESS);
    assert_int_equal(driver.completions, 3);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(host_take(&packet), i);
        settle();
    }
    assert_int_equal(driver.completions, 5);
    driver_end(&driver);
}

static void the_host_is_asked_for_a_signal_and_the_request_is_taken_back(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    (void)fill(&driver, 1000);
    const struct ring_control *control = host_channel(RELID)->incoming_control;
    uint32_t pending = control->pending_send_size;
    assert_in_range(pending, 1, 4088);
    assert_int_equal(pending % 8, 0);
    while (host_has_packet()) {
        (void)host_take(&packet);
        settle();
    }
    assert_int_equal(control->pending_send_size, 0);
    assert_int_equal(driver_send(&driver, 1, 8, 0), STATUS_SUCCESS);
    driver_end(&driver);
}

static void a_full_ring_asks_for_a_quarter_of_itself_at_least(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    (void)fill(&driver, 8);
    assert_in_range(host_channel(RELID)->incoming_control->pending_send_size, 1020, 1024);
    driver_end(&driver);
}

static void queued_packets_with_wait_get_their_ids_when_they_go(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(driver_send(&driver, i, 800, WAIT), STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(host_take(&packet), i);
        (void)host_put_completion(RELID, packet.transaction_id, NULL, 0);
        settle();
        assert_int_equal(driver.completions, i + 1);
    }
    driver_end(&driver);
}

/* ---- while nothing flows ---- */

static void sends_before_enable_go_out_in_order_after_started(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_make(&driver);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(driver_send(&driver, i, 8, i % 2 == 0 ? 0 : WAIT), STATUS_SUCCESS);
    }
    assert_int_equal(driver.completions, 0);
    driver_start(&driver);
    assert_int_equal(driver.completions, 3);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(host_take(&packet), i);
    }
    driver_end(&driver);
    assert_int_equal(driver.completions, 5);
    assert_int_equal(driver.completion_status, STATUS_DEVICE_REMOVED);
}

static void send_in_callback(struct driver *driver, char letter)
{
    assert_int_equal(driver_send(driver, (unsigned char)letter, 8, 0), STATUS_SUCCESS);
    if (letter == 'O' || letter == 'S') {
        assert_int_equal(driver->completions, 0);
    }
}

static void sends_in_opened_and_started_are_queued_those_in_post_started_flow(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_make(&driver);
    driver.on_state = send_in_callback;
    driver_start(&driver);
    driver.on_state = NULL;
    assert_int_equal(driver.completions, 3);
    assert_int_equal(host_take(&packet), 'O');
    assert_int_equal(host_take(&packet), 'S');
    assert_int_equal(host_take(&packet), 'P');
    driver_end(&driver);
}

static void packets_in_flight_end_with_device_removed_when_the_channel_closes(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    VmbChannelPause(driver.channel);
    assert_int_equal(driver_send(&driver, 2, 8, 0), STATUS_SUCCESS);
    assert_int_equal(driver_send(&driver, 3, 8, WAIT), STATUS_SUCCESS);
    assert_int_equal(driver.completions, 0);
    VmbChannelDisable(driver.channel);
    assert_int_equal(driver.completions, 3);
    assert_int_equal(driver.completion_status, STATUS_DEVICE_REMOVED);
    driver_end(&driver);
}

static unsigned completions_at_closed;

static void count_at_closed(struct driver *driver, char letter)
{
    if (letter == 'C') {
        completions_at_closed = driver->completions;
    }
}

static void all_completion_routines_run_before_closed(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = count_at_closed;
    driver_start(&driver);
    for (unsigned i = 0; i < 30; i++) {
        assert_int_equal(driver_send(&driver, i, 500, WAIT), STATUS_SUCCESS);
    }
    host_rescind(RELID);
    settle();
    assert_int_equal(completions_at_closed, 30);
    assert_int_equal(driver.completions, 30);
    driver_end(&driver);
}

static void packets_sent_after_the_close_wait_for_the_next_open_or_cleanup(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    VmbChannelDisable(driver.channel);
    assert_int_equal(driver_send(&driver, 1, 8, 0), STATUS_SUCCESS);
    assert_int_equal(driver.completions, 0);
    driver_start(&driver);
    assert_int_equal(driver.completions, 1);
    assert_int_equal(host_take(&packet), 1);
    VmbChannelDisable(driver.channel);
    assert_int_equal(driver_send(&driver, 2, 8, WAIT), STATUS_SUCCESS);
    VmbChannelCleanup(driver.channel);
    assert_int_equal(driver.completions, 2);
    assert_int_equal(driver.completion_status, STATUS_DEVICE_REMOVED);
}

static void an_outgoing_completion_arrives_after_pause_and_start(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    VmbChannelPause(driver.channel);
    answer_next(&driver);
    settle();
    assert_int_equal(driver.completions, 0);
    VmbChannelStart(driver.channel);
    settle();
    assert_int_equal(driver.completions, 1);
    assert_int_equal(driver.completion_status, STATUS_SUCCESS);
    driver_end(&driver);
}

/* ---- external data (K8) ---- */

static UINT8 page_memory[8 * PAGE_SIZE] __attribute__((aligned(4096)));

static void a_mdl_chain_is_described_range_by_range(void **state)
{
    struct driver driver = {0};
    UINT64 space[2][16];
    PMDL first = (PMDL)(void *)space[0];
    PMDL second = (PMDL)(void *)space[1];
    UINT64 received[64];
    UINT64 word = 0x55;
    struct ring_packet_in in;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(driver.channel, 4 * PAGE_SIZE, 2),
                     STATUS_SUCCESS);
    driver_start(&driver);
    MmInitializeMdl(first, page_memory + 10, 100);
    MmBuildMdlForNonPagedPool(first);
    MmInitializeMdl(second, page_memory + PAGE_SIZE, 2 * PAGE_SIZE);
    MmBuildMdlForNonPagedPool(second);
    first->Next = second;
    VMBPACKET packet = driver_packet(&driver, 1);
    assert_int_equal(VmbPacketSend(packet, &word, 8, first, WAIT), STATUS_SUCCESS);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(in.type, RING_PACKET_DATA_GPA_DIRECT);
    assert_int_equal(in.flags, 1);
    assert_int_equal(in.extension_length, 8 + 16 + 24);
    assert_int_equal(received[0], UINT64_C(2) << 32);
    assert_int_equal(received[1], UINT64_C(10) << 32 | 100);
    assert_int_equal(received[2], (uintptr_t)page_memory >> 12);
    assert_int_equal(received[3], 2 * PAGE_SIZE);
    assert_int_equal(received[6], 0x55);
    (void)host_put_completion(RELID, in.transaction_id, NULL, 0);
    settle();
    assert_int_equal(driver.completions, 1);

    /* The calls with a window and with a page list. */
    packet = driver_packet(&driver, 2);
    assert_int_equal(VmbPacketSendWithExternalMdl(packet, &word, 8, first, 90, 20, WAIT),
                     STATUS_SUCCESS);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(received[1], UINT64_C(100) << 32 | 10);
    assert_int_equal(received[3], 10);
    packet = driver_packet(&driver, 3);
    assert_int_equal(
        VmbPacketSendWithExternalMdl(packet, &word, 8, first, 0, 4000,
                                     WAIT | VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH),
        STATUS_SUCCESS);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(received[0], UINT64_C(1) << 32);
    assert_int_equal(received[1], UINT64_C(10) << 32 | 4000);
    PFN_NUMBER frames[2] = {100, 3};
    packet = driver_packet(&driver, 4);
    assert_int_equal(VmbPacketSendWithExternalPfns(packet, &word, 8, frames, 2, WAIT),
                     STATUS_SUCCESS);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(received[1], 2 * PAGE_SIZE);
    assert_int_equal(received[2], 100);
    assert_int_equal(received[3], 3);
    assert_int_equal(received[4], 0x55);
    driver_end(&driver);
    assert_int_equal(driver.completions, 4);
}

static void a_queued_packet_keeps_its_external_data(void **state)
{
    struct driver driver = {0};
    UINT64 space[16];
    PMDL mdl = (PMDL)(void *)space;
    UINT64 received[64];
    UINT64 word = 0x77;
    struct ring_packet_in in;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(driver.channel, PAGE_SIZE, 1),
                     STATUS_SUCCESS);
    MmInitializeMdl(mdl, page_memory + 16, 32);
    MmBuildMdlForNonPagedPool(mdl);
    VMBPACKET packet = driver_packet(&driver, 1);
    assert_int_equal(VmbPacketSend(packet, &word, 8, mdl, WAIT), STATUS_SUCCESS);
    memset(space, 0, sizeof(space));
    word = 0;
    driver_start(&driver);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(received[1], UINT64_C(16) << 32 | 32);
    assert_int_equal(received[3], 0x77);
    driver_end(&driver);
}

static void rings_are_made_large_enough_for_the_limits(void **state)
{
    struct driver driver = {0};
    static UINT8 bytes[60000];
    UINT64 *space = memory_allocate(48 + 8 * 300);
    PMDL mdl = (PMDL)(void *)space;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(driver.channel, sizeof(bytes)),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(driver.channel, 1 << 20, 8),
                     STATUS_SUCCESS);
    driver_start(&driver);
    UINT8 *large = pages_allocate(256);
    MmInitializeMdl(mdl, large, 1 << 20);
    MmBuildMdlForNonPagedPool(mdl);
    VMBPACKET packet = driver_packet(&driver, 1);
    assert_int_equal(VmbPacketSend(packet, bytes, sizeof(bytes), mdl, WAIT), STATUS_SUCCESS);
    assert_true(host_has_packet());
    driver_end(&driver);
    pages_free(large, 256);
    memory_free(space);
}

/* ---- pipes ---- */

static void a_pipe_packet_carries_a_header_with_its_exact_length(void **state)
{
    struct driver driver = {0};
    struct host_offer offer = host_plain_offer(RELID);
    UINT32 received[64];
    struct ring_packet_in in;

    (void)state;
    offer.flags = VMBUS_OFFER_FLAG_NAMED_PIPE;
    host_add(&offer);
    driver_make(&driver);
    assert_int_equal(driver_send(&driver, 1, 13, 0), STATUS_SUCCESS);
    driver_start(&driver);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(in.type, RING_PACKET_DATA_INBAND);
    assert_int_equal(in.payload_length, 24);
    assert_int_equal(received[0], 1);
    assert_int_equal(received[1], 13);
    assert_int_equal(received[2], 1);
    assert_int_equal(driver_send(&driver, 2, 5, 0), STATUS_SUCCESS);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(received[1], 5);
    driver_end(&driver);
}

static void the_init_flag_makes_any_channel_a_pipe(void **state)
{
    struct driver driver = {0};
    UINT32 received[64];
    struct ring_packet_in in;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetFlags(driver.channel, VMBUS_CHANNEL_INIT_FLAG_IS_PIPE),
                     STATUS_SUCCESS);
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 2, 5, 0), STATUS_SUCCESS);
    assert_int_equal(host_get(RELID, received, sizeof(received), &in), RING_OK);
    assert_int_equal(received[0], 1);
    assert_int_equal(received[1], 5);
    driver_end(&driver);
}

static void a_pipe_takes_16384_bytes_and_not_more(void **state)
{
    struct driver driver = {0};
    static UINT8 bytes[20000];

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(driver.channel, sizeof(bytes)),
                     STATUS_SUCCESS);
    VMBPACKET early = driver_packet(&driver, 1);
    assert_int_equal(VmbPacketSend(early, bytes, 16385, NULL, 0), STATUS_SUCCESS);
    struct host_offer offer = host_plain_offer(RELID);
    offer.flags = VMBUS_OFFER_FLAG_NAMED_PIPE;
    host_add(&offer);
    driver_start(&driver);
    /* It was queued before anyone knew. */
    assert_int_equal(driver.completions, 1);
    assert_int_equal(driver.completion_status, STATUS_INVALID_PARAMETER);
    assert_false(host_has_packet());
    VMBPACKET packet = driver_packet(&driver, 2);
    assert_int_equal(VmbPacketSend(packet, bytes, 16385, NULL, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(packet, bytes, 16384, NULL, 0), STATUS_SUCCESS);
    assert_true(host_has_packet());
    driver_end(&driver);
}

/* ---- memory ---- */

static void sending_never_allocates(void **state)
{
    struct driver driver = {0};
    VMBPACKET packets[40];
    UINT8 bytes[600] = {0};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 40; i++) {
        packets[i] = driver_packet(&driver, i);
    }
    settle();
    test_memory_fail(1);
    unsigned before = test_memory_attempts();
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(VmbPacketSend(packets[i], bytes, sizeof(bytes), NULL, i % 2 ? WAIT : 0),
                         STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < 40; i++) {
        struct ring_packet_in packet;
        (void)host_take(&packet);
        if (packet.flags != 0) {
            (void)host_put_completion(RELID, packet.transaction_id, NULL, 0);
        }
        settle();
    }
    assert_int_equal(driver.completions, 40);
    assert_int_equal(test_memory_attempts(), before);
    test_memory_fail(0);
    driver_end(&driver);
}

static void a_freed_packet_is_used_again_without_allocating(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, 0), STATUS_SUCCESS);
    unsigned before = test_memory_attempts();
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(driver_send(&driver, i, 8, 0), STATUS_SUCCESS);
    }
    assert_int_equal(test_memory_attempts(), before);
    driver_end(&driver);
}

static void allocation_failures_give_null(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    test_memory_fail(1);
    assert_null(VmbPacketAllocate(driver.channel));
    test_memory_fail(2);
    assert_null(VmbPacketAllocate(driver.channel));
    test_memory_fail(0);
    VMBPACKET packet = VmbPacketAllocate(driver.channel);
    assert_non_null(packet);
    assert_null(VmbPacketGetPointer(packet));
    assert_ptr_equal(VmbPacketGetChannel(packet), driver.channel);
    VmbPacketFree(packet);
    driver_end(&driver);
}

static void packets_can_live_in_the_drivers_memory(void **state)
{
    struct driver driver = {0};
    UINT64 word = 3;
    struct ring_packet_in in;

    (void)state;
    driver_make(&driver);
    UINT32 size = VmbChannelSizeofPacket(driver.channel);
    assert_true(size > 1024 + sizeof(void *));
    UINT8 *memory = memory_allocate(size + 8);
    VMBPACKET packet = (VMBPACKET)(void *)memory;
    assert_int_equal(VmbPacketInitialize(driver.channel, NULL, size), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbPacketInitialize(driver.channel, (VMBPACKET)(void *)(memory + 1), size),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbPacketInitialize(driver.channel, packet, size - 1),
                     STATUS_INVALID_PARAMETER_3);
    test_memory_fail(1);
    assert_int_equal(VmbPacketInitialize(driver.channel, packet, size),
                     STATUS_INSUFFICIENT_RESOURCES);
    test_memory_fail(0);
    assert_int_equal(VmbPacketInitialize(driver.channel, packet, size), STATUS_SUCCESS);
    assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, 0), STATUS_INVALID_DEVICE_REQUEST);
    expect_panic(VmbPacketFree(packet));
    VmbPacketSetCompletionRoutine(packet, resend);
    resends = 4;
    driver_start(&driver);
    assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_SUCCESS);
    assert_int_equal(host_take(&in), 3);
    (void)host_put_completion(RELID, in.transaction_id, NULL, 0);
    settle();
    assert_int_equal(resends, 5);
    memory_free(memory);
    driver_end(&driver);
}

static void changed_limits_do_not_hurt_packets_made_before(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[3000] = {0};
    UINT64 space[8];
    PMDL mdl = (PMDL)(void *)space;

    (void)state;
    driver_make(&driver);
    VMBPACKET old = driver_packet(&driver, 1);
    MmInitializeMdl(mdl, bytes, 8);
    MmBuildMdlForNonPagedPool(mdl);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(driver.channel, 3000), STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(driver.channel, PAGE_SIZE, 1),
                     STATUS_SUCCESS);
    driver_start(&driver);
    assert_int_equal(VmbPacketSend(old, bytes, 3000, NULL, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(old, bytes, 8, mdl, WAIT), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(old, bytes, 1024, NULL, 0), STATUS_SUCCESS);
    VMBPACKET new = driver_packet(&driver, 2);
    assert_int_equal(VmbPacketSend(new, bytes, 3000, NULL, 0), STATUS_SUCCESS);
    driver_end(&driver);
}

/* ---- bursts ---- */

static void send_three(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                       UINT32 length)
{
    (void)buffer, (void)length;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(driver_send(driver, i, 8, 0), STATUS_SUCCESS);
        assert_false(host_has_packet()); /* not told yet */
    }
    VmbChannelPacketComplete(packet, NULL, 0);
}

static void sends_of_callbacks_are_published_once_with_one_signal(void **state)
{
    struct driver driver = {0};
    UINT64 word = 1;
    struct ring_packet_in packet;

    (void)state;
    driver_make(&driver);
    driver.on_packet = send_three;
    driver_start(&driver);
    enum irql level = irql_raise_to_dispatch();
    for (unsigned i = 0; i < 4; i++) {
        (void)host_put_inband(RELID, 0, false, &word, 8);
    }
    irql_lower(level);
    unsigned before = host_signals(0x2000 + RELID);
    settle();
    assert_int_equal(driver.packets, 4);
    assert_int_equal(host_signals(0x2000 + RELID), before + 1);
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(host_take(&packet), i % 3);
    }
    driver_end(&driver);
}

static void a_send_outside_of_a_batch_is_published_at_once(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, 0), STATUS_SUCCESS);
    assert_true(host_has_packet());
    assert_int_equal(host_signals(0x2000 + RELID), 1);
    assert_int_equal(driver_send(&driver, 2, 8, 0), STATUS_SUCCESS);
    assert_int_equal(host_signals(0x2000 + RELID), 1); /* the ring was not empty */
    driver_end(&driver);
}

static void statistics_count(void **state)
{
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;
    struct ring_packet_in packet;
    UINT64 word = 1;

    (void)state;
    driver_make(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, 0), STATUS_SUCCESS);
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 2, 8, WAIT), STATUS_SUCCESS);
    (void)host_take(&packet);
    answer_next(&driver);
    (void)host_put_inband(RELID, 1, true, &word, 8);
    settle();
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.PacketsSent, 2);
    assert_int_equal(statistics.PacketsQueued, 1);
    assert_int_equal(statistics.PacketsReceived, 1);
    assert_int_equal(statistics.CompletionsSent, 1);
    assert_int_equal(statistics.CompletionsReceived, 1);
    assert_true(statistics.Signals > 0);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(without_wait_a_packet_completes_when_it_is_in_the_ring),
        kmcl_test(with_wait_a_packet_completes_when_the_host_says_so),
        kmcl_test(an_empty_completion_has_no_buffer),
        kmcl_test(completions_may_come_in_any_order),
        kmcl_test(a_completion_that_races_the_send_is_delivered_once),
        kmcl_test(a_packet_can_be_sent_again_from_its_completion_routine),
        kmcl_test(the_default_routine_frees_the_packet),
        kmcl_test(payloads_of_any_length_arrive_padded_with_zeros),
        kmcl_test(the_callers_buffer_is_free_after_the_call_even_if_queued),
        kmcl_test(bad_sends_are_refused_and_the_packet_stays_the_callers),
        kmcl_test(a_packet_under_way_is_refused_and_cannot_be_freed),
        kmcl_test(a_full_ring_queues_and_keeps_the_order),
        kmcl_test(a_small_send_does_not_overtake_a_queued_large_one),
        kmcl_test(the_host_is_asked_for_a_signal_and_the_request_is_taken_back),
        kmcl_test(a_full_ring_asks_for_a_quarter_of_itself_at_least),
        kmcl_test(queued_packets_with_wait_get_their_ids_when_they_go),
        kmcl_test(sends_before_enable_go_out_in_order_after_started),
        kmcl_test(sends_in_opened_and_started_are_queued_those_in_post_started_flow),
        kmcl_test(packets_in_flight_end_with_device_removed_when_the_channel_closes),
        kmcl_test(all_completion_routines_run_before_closed),
        kmcl_test(packets_sent_after_the_close_wait_for_the_next_open_or_cleanup),
        kmcl_test(an_outgoing_completion_arrives_after_pause_and_start),
        kmcl_test(a_mdl_chain_is_described_range_by_range),
        kmcl_test(a_queued_packet_keeps_its_external_data),
        kmcl_test(rings_are_made_large_enough_for_the_limits),
        kmcl_test(a_pipe_packet_carries_a_header_with_its_exact_length),
        kmcl_test(the_init_flag_makes_any_channel_a_pipe),
        kmcl_test(a_pipe_takes_16384_bytes_and_not_more),
        kmcl_test(sending_never_allocates),
        kmcl_test(a_freed_packet_is_used_again_without_allocating),
        kmcl_test(allocation_failures_give_null),
        kmcl_test(packets_can_live_in_the_drivers_memory),
        kmcl_test(changed_limits_do_not_hurt_packets_made_before),
        kmcl_test(sends_of_callbacks_are_published_once_with_one_signal),
        kmcl_test(a_send_outside_of_a_batch_is_published_at_once),
        kmcl_test(statistics_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
