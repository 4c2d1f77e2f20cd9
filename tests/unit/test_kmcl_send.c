/* SPDX-License-Identifier: MIT */
/* Sending: completions, payload, limits, external data, pipes. */

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
        kmcl_test(a_mdl_chain_is_described_range_by_range),
        kmcl_test(a_queued_packet_keeps_its_external_data),
        kmcl_test(rings_are_made_large_enough_for_the_limits),
        kmcl_test(a_pipe_packet_carries_a_header_with_its_exact_length),
        kmcl_test(the_init_flag_makes_any_channel_a_pipe),
        kmcl_test(a_pipe_takes_16384_bytes_and_not_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
