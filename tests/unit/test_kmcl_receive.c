/* SPDX-License-Identifier: MIT */
/* Receiving: delivery, completion, batches, client context, pipes. */

#include <string.h>

#include "tests/unit/kmcl/kmcl_test.h"

/* ---- delivery (K4) ---- */

static void a_packet_is_delivered_without_headers_at_dispatch(void **state)
{
    struct driver driver = {0};
    const UINT64 words[3] = {5, 6, 7};

    (void)state;
    driver_start(&driver);
    (void)host_put_inband(RELID, 99, false, words, 20);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.last_length, 24);
    assert_memory_equal(driver.last, words, 20);
    assert_int_equal(driver.level, IRQL_DISPATCH);
    assert_false(host_has_packet()); /* nobody asked for a completion */
    driver_end(&driver);
}

static void an_empty_packet_is_delivered(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    (void)host_put_inband(RELID, 99, false, NULL, 0);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.last_length, 0);
    driver_end(&driver);
}

static void complete_with_24(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                             UINT32 length)
{
    UINT64 answer[3] = {1, 2, *(UINT64 *)buffer};

    (void)driver, (void)length;
    VmbChannelPacketComplete(packet, answer, sizeof(answer));
}

static void a_completion_carries_the_id_and_the_buffer(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    UINT64 received[4];

    (void)state;
    driver_make(&driver);
    driver.on_packet = complete_with_24;
    driver_start(&driver);
    host_put_word(0x123456789ABCDEF, true);
    settle();
    assert_int_equal(host_get(RELID, received, sizeof(received), &packet), RING_OK);
    assert_int_equal(packet.type, RING_PACKET_COMPLETION);
    assert_int_equal(packet.flags, 0);
    assert_int_equal(packet.transaction_id, 0x123456789ABCDEF);
    assert_int_equal(packet.payload_length, 24);
    assert_int_equal(received[2], 0x123456789ABCDEF);
    driver_end(&driver);
}

static void late_completions_go_out_in_the_drivers_order(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_make(&driver);
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_burst(5, true);
    settle();
    assert_int_equal(driver.kept_count, 5);
    assert_false(host_has_packet());
    for (unsigned i = 0; i < 5; i++) {
        VmbChannelPacketComplete(driver.kept[i * 2 % 5], NULL, 0);
        (void)host_take(&packet);
        assert_int_equal(packet.transaction_id, i * 2 % 5 + 1);
    }
    driver_end(&driver);
}

static UINT64 *kept_buffer;

static void keep_buffer(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                        UINT32 length)
{
    if (driver->packets == 1) {
        kept_buffer = buffer;
    }
    driver_keep(driver, packet, buffer, length);
}

static void the_buffer_lasts_until_the_packet_is_completed(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep_buffer;
    driver_start(&driver);
    host_put_word(0xAAAA, false);
    settle();
    for (unsigned i = 0; i < 200; i++) {
        host_put_word(i, false);
        settle();
    }
    assert_int_equal(*kept_buffer, 0xAAAA);
    for (unsigned i = 0; i < driver.kept_count; i++) {
        VmbChannelPacketComplete(driver.kept[i], NULL, 0);
    }
    driver_end(&driver);
}

static void a_packet_larger_than_ours_is_delivered_whole(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[4000];

    (void)state;
    driver_start(&driver); /* sends at most 1024 */
    memset(bytes, 0x3C, sizeof(bytes));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(host_put_inband(RELID, 1, true, bytes, sizeof(bytes)), RING_OK);
        settle();
        assert_int_equal(driver.last_length, sizeof(bytes));
        assert_memory_equal(driver.last, bytes, sizeof(bytes));
    }
    driver_end(&driver);
}

static void a_completion_that_is_too_long_is_cut_with_a_warning(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    UINT8 bytes[2000] = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_word(1, true);
    host_put_word(2, false);
    settle();
    VmbChannelPacketComplete(driver.kept[1], bytes, sizeof(bytes));
    assert_null(strstr(test_console(), "is cut"));
    VmbChannelPacketComplete(driver.kept[0], bytes, sizeof(bytes));
    assert_non_null(strstr(test_console(), "is cut"));
    (void)host_take(&packet);
    assert_int_equal(packet.payload_length, 1024);
    driver_end(&driver);
}

static void completing_twice_stops_the_guest(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_word(1, false);
    settle();
    VmbChannelPacketComplete(driver.kept[0], NULL, 0);
    expect_panic(VmbChannelPacketComplete(driver.kept[0], NULL, 0));
    assert_non_null(strstr(test_panic_message(), "VmbChannelPacketComplete"));
    expect_panic(VmbChannelPacketFail(driver.kept[0]));
    driver_end(&driver);
}

static void completions_queue_when_the_ring_is_full_and_keep_their_payload(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    UINT8 bytes[1024];
    UINT8 received[2048];

    (void)state;
    driver_make(&driver);
    driver.on_packet = driver_keep;
    driver_start(&driver);
    for (unsigned i = 0; i < 20; i++) {
        host_put_word(i + 1, true);
        settle();
    }
    unsigned before = test_memory_attempts();
    for (unsigned i = 0; i < 20; i++) {
        memset(bytes, (int)i, sizeof(bytes));
        VmbChannelPacketComplete(driver.kept[i], bytes, sizeof(bytes));
    }
    assert_int_equal(test_memory_attempts(), before);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(host_get(RELID, received, sizeof(received), &packet), RING_OK);
        settle();
        assert_int_equal(packet.transaction_id, i + 1);
        assert_int_equal(packet.payload_length, 1024);
        assert_int_equal(received[0], i);
        assert_int_equal(received[1023], i);
    }
    driver_end(&driver);
}

/* The same from inside the callback, with a packet that has an object of its own. */
static void complete_large(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                           UINT32 length)
{
    (void)length;
    VmbChannelPacketComplete(packet, buffer, 1024);
    /* Makes room and lets the queue move while we are still in here. */
    while (host_has_packet()) {
        struct ring_packet_in in;
        (void)host_take(&in);
    }
    if (driver->on_batch == NULL) {
        while (test_host_step()) {
        }
    }
}

static void a_reply_may_leave_the_queue_inside_its_own_callback(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[3000] = {1};

    (void)state;
    driver_make(&driver);
    driver.on_packet = complete_large;
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, TRUE);
    driver_start(&driver);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(driver_send(&driver, i, 900, 0), STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < 6; i++) {
        (void)host_put_inband(RELID, i, true, bytes, sizeof(bytes));
        settle();
    }
    assert_int_equal(driver.packets, 6);
    while (host_has_packet()) {
        struct ring_packet_in in;
        (void)host_take(&in);
    }
    driver_end(&driver);
}

/* ---- batches (K5) ---- */

static void a_batch_ends_when_the_ring_is_empty(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    host_put_burst(5, false);
    settle();
    assert_int_equal(driver.packets, 5);
    assert_int_equal(driver.batches, 1);
    assert_int_equal(driver.batch_count, 5);
    host_put_burst(2, false);
    settle();
    assert_int_equal(driver.batches, 2);
    assert_int_equal(driver.batch_count, 2);
    vmbus_channel_kick(vmbus_test_channel(RELID));
    settle();
    assert_int_equal(driver.batches, 2);
    driver_end(&driver);
}

static UINT32 batch_total;

static void send_at_batch_end(struct driver *driver, UINT32 count)
{
    batch_total += count;
    assert_int_equal(driver_send(driver, count, 8, 0), STATUS_SUCCESS);
}

static void a_long_run_is_cut_into_batches_and_loses_nothing(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    batch_total = 0;
    driver_make(&driver);
    driver.on_batch = send_at_batch_end;
    driver_start(&driver);
    host_put_burst(120, false);
    settle();
    assert_int_equal(driver.packets, 120);
    assert_int_equal(driver.batches, 2);
    assert_int_equal(batch_total, 120);
    assert_int_equal(host_take(&packet), 64);
    assert_int_equal(host_take(&packet), 56);
    driver_end(&driver);
}

/* ---- client context, external data ---- */

static void check_context(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                          UINT32 length)
{
    UINT64 *context = KmclPacketGetClientContext(packet);
    PMDL mdl = (PMDL)(void *)driver;

    (void)buffer, (void)length;
    assert_non_null(context);
    assert_int_equal((uintptr_t)context % 8, 0);
    assert_int_equal(VmbChannelPacketGetExternalData(packet, 0, &mdl),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_null(mdl);
    assert_int_equal(VmbChannelPacketGetExternalData(packet, 2, &mdl), STATUS_INVALID_PARAMETER);
    if (irql_current() == IRQL_DISPATCH) {
        assert_int_equal(context[0], 0);
        assert_int_equal(context[1], 0);
        context[0] = 1;
        context[1] = UINT64_MAX;
        VmbChannelPacketDeferToPassive(packet);
    } else {
        assert_int_equal(context[0], 1);
        assert_int_equal(context[1], UINT64_MAX);
        VmbChannelPacketComplete(packet, NULL, 0);
    }
}

static void a_client_context_is_zeroed_first_and_kept_over_a_redelivery(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetClientContextSize(driver.channel, 16), STATUS_SUCCESS);
    driver.on_packet = check_context;
    driver_start(&driver);
    for (unsigned i = 0; i < 10; i++) {
        host_put_word(i, false);
        settle();
    }
    assert_int_equal(driver.packets, 20);
    driver_end(&driver);
}

/* ---- pipes ---- */

static void pipe_packets_have_their_exact_length(void **state)
{
    struct driver driver = {0};
    const UINT32 packet[5] = {1, 9, 0x11223344, 0x55667788, 0x99};

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetFlags(driver.channel, VMBUS_CHANNEL_INIT_FLAG_IS_PIPE),
                     STATUS_SUCCESS);
    driver_start(&driver);
    (void)host_put_inband(RELID, 0, false, packet, sizeof(packet));
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.last_length, 9);
    assert_memory_equal(driver.last, &packet[2], 9);
    const UINT32 end[2] = {1, 0};
    (void)host_put_inband(RELID, 0, false, end, sizeof(end));
    settle();
    assert_int_equal(driver.packets, 2);
    assert_int_equal(driver.last_length, 0);
    driver_end(&driver);
}

/* M7 */
static void bad_pipe_packets_are_dropped_and_nothing_leaks(void **state)
{
    static const UINT32 bad[][4] = {
        {0, 8}, {2, 8}, {3, 8}, {4, 4}, {5, 0}, {1, 9}, {1, UINT32_MAX}, {UINT32_MAX, 8},
    };
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetFlags(driver.channel, VMBUS_CHANNEL_INIT_FLAG_IS_PIPE),
                     STATUS_SUCCESS);
    driver_start(&driver);
    for (unsigned i = 0; i < 8; i++) {
        (void)host_put_inband(RELID, 0, true, bad[i], 16);
        settle();
    }
    (void)host_put_inband(RELID, 0, false, NULL, 0);
    settle();
    assert_int_equal(driver.packets, 0);
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.PacketsDropped, 9);
    assert_int_equal(vmbus_test_lines("dropped a packet"), 1);
    const UINT32 good[4] = {1, 8, 3, 4};
    (void)host_put_inband(RELID, 0, false, good, sizeof(good));
    settle();
    assert_int_equal(driver.packets, 1);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(a_packet_is_delivered_without_headers_at_dispatch),
        kmcl_test(an_empty_packet_is_delivered),
        kmcl_test(a_completion_carries_the_id_and_the_buffer),
        kmcl_test(late_completions_go_out_in_the_drivers_order),
        kmcl_test(the_buffer_lasts_until_the_packet_is_completed),
        kmcl_test(a_packet_larger_than_ours_is_delivered_whole),
        kmcl_test(a_completion_that_is_too_long_is_cut_with_a_warning),
        kmcl_test(completions_queue_when_the_ring_is_full_and_keep_their_payload),
        kmcl_test(a_reply_may_leave_the_queue_inside_its_own_callback),
        kmcl_test(a_batch_ends_when_the_ring_is_empty),
        kmcl_test(a_long_run_is_cut_into_batches_and_loses_nothing),
        kmcl_test(a_client_context_is_zeroed_first_and_kept_over_a_redelivery),
        kmcl_test(pipe_packets_have_their_exact_length),
        kmcl_test(bad_pipe_packets_are_dropped_and_nothing_leaks),
        kmcl_test(completing_twice_stops_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
