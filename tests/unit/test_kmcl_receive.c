/* SPDX-License-Identifier: MIT */
/* Receiving: delivery, completion, batches, quota, failure, deferral, the barrier of a suspension.
 */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/wait.h"
#include "tests/unit/kmcl/kmcl_test.h"

static void put(UINT64 word, bool wants_completion)
{
    assert_int_equal(host_put_inband(RELID, word, wants_completion, &word, sizeof(word)), RING_OK);
}

/* Several at once, so that they are one batch. */
static void put_burst(unsigned count, bool wants_completion)
{
    enum irql level = irql_raise_to_dispatch();

    for (unsigned i = 0; i < count; i++) {
        put(i + 1, wants_completion);
    }
    irql_lower(level);
}

static void keep(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    (void)buffer, (void)length;
    driver->kept[driver->kept_count++] = packet;
}

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
    put(0x123456789ABCDEF, true);
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
    driver.on_packet = keep;
    driver_start(&driver);
    put_burst(5, true);
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
    keep(driver, packet, buffer, length);
}

static void the_buffer_lasts_until_the_packet_is_completed(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep_buffer;
    driver_start(&driver);
    put(0xAAAA, false);
    settle();
    for (unsigned i = 0; i < 200; i++) {
        put(i, false);
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
    driver.on_packet = keep;
    driver_start(&driver);
    put(1, true);
    put(2, false);
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
    driver.on_packet = keep;
    driver_start(&driver);
    put(1, false);
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
    driver.on_packet = keep;
    driver_start(&driver);
    for (unsigned i = 0; i < 20; i++) {
        put(i + 1, true);
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
    put_burst(5, false);
    settle();
    assert_int_equal(driver.packets, 5);
    assert_int_equal(driver.batches, 1);
    assert_int_equal(driver.batch_count, 5);
    put_burst(2, false);
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
    put_burst(120, false);
    settle();
    assert_int_equal(driver.packets, 120);
    assert_int_equal(driver.batches, 2);
    assert_int_equal(batch_total, 120);
    assert_int_equal(host_take(&packet), 64);
    assert_int_equal(host_take(&packet), 56);
    driver_end(&driver);
}

/* ---- quota (K9) ---- */

static void the_quota_bounds_what_the_driver_holds(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    put_burst(4, false);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.batches, 1);
    for (unsigned i = 0; i < 3; i++) {
        VmbChannelPacketComplete(driver.kept[i], NULL, 0);
        settle();
        assert_int_equal(driver.packets, i + 2);
    }
    VmbChannelPacketComplete(driver.kept[3], NULL, 0);
    put(9, false);
    settle();
    assert_int_equal(driver.packets, 5);
    VmbChannelPacketComplete(driver.kept[4], NULL, 0);
    driver_end(&driver);
}

static void raising_the_quota_takes_effect_with_the_next_completion(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    put_burst(6, false);
    settle();
    VmbChannelSetTransactionQuota(driver.channel, 4);
    put(7, false);
    settle();
    assert_int_equal(driver.packets, 1);
    VmbChannelPacketComplete(driver.kept[0], NULL, 0);
    settle();
    assert_int_equal(driver.packets, 5);
    /* Lowered below what is out: enough have to come back first. */
    VmbChannelSetTransactionQuota(driver.channel, 2);
    VmbChannelPacketComplete(driver.kept[1], NULL, 0);
    VmbChannelPacketComplete(driver.kept[2], NULL, 0);
    settle();
    assert_int_equal(driver.packets, 5);
    VmbChannelPacketComplete(driver.kept[3], NULL, 0);
    settle();
    assert_int_equal(driver.packets, 6);
    for (unsigned i = 4; i < 6; i++) {
        VmbChannelPacketComplete(driver.kept[i], NULL, 0);
    }
    settle();
    VmbChannelPacketComplete(driver.kept[6], NULL, 0);
    driver_end(&driver);
}

static void completions_pass_a_used_up_quota(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    put(1, false);
    settle();
    assert_int_equal(driver_send(&driver, 1, 8, VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION),
                     STATUS_SUCCESS);
    answer_next(&driver);
    settle();
    assert_int_equal(driver.completions, 1);
    VmbChannelPacketComplete(driver.kept[0], NULL, 0);
    driver_end(&driver);
}

static void sends_move_while_the_quota_holds_the_ring(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    put_burst(2, false);
    settle();
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(driver_send(&driver, i, 1000, 0), STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < 12; i++) {
        assert_int_equal(host_take(&packet), i);
        settle();
    }
    assert_int_equal(driver.completions, 12);
    assert_int_equal(driver.packets, 1);
    VmbChannelPacketComplete(driver.kept[0], NULL, 0);
    settle();
    VmbChannelPacketComplete(driver.kept[1], NULL, 0);
    driver_end(&driver);
}

static void a_quota_of_zero_is_ignored_with_a_warning(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    VmbChannelSetTransactionQuota(driver.channel, 0);
    assert_non_null(strstr(test_console(), "transaction quota of"));
    put(1, false);
    settle();
    assert_int_equal(driver.packets, 1);
    driver_end(&driver);
}

/* ---- failed packets (K10) ---- */

static void fail_it(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    (void)driver, (void)buffer, (void)length;
    VmbChannelPacketFail(packet);
}

static void a_failed_packet_stops_the_queue_until_the_channel_is_opened_anew(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_make(&driver);
    driver.on_packet = fail_it;
    driver_start(&driver);
    put_burst(3, true);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.batches, 1);
    assert_false(host_has_packet());
    /* Sending goes on, completions do not come. */
    assert_int_equal(driver_send(&driver, 5, 8, 0), STATUS_SUCCESS);
    assert_int_equal(host_take(&packet), 5);
    VmbChannelPause(driver.channel);
    VmbChannelStart(driver.channel);
    settle();
    assert_int_equal(driver.packets, 1);
    VmbChannelDisable(driver.channel);
    driver.on_packet = NULL;
    driver_start(&driver);
    put(4, false);
    settle();
    assert_int_equal(driver.packets, 2);
    driver_end(&driver);
}

static void a_packet_can_be_failed_later_too(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver_start(&driver);
    put_burst(2, true);
    settle();
    VmbChannelPacketFail(driver.kept[0]);
    put(3, false);
    settle();
    assert_int_equal(driver.packets, 2);
    VmbChannelPacketComplete(driver.kept[1], NULL, 0);
    assert_true(host_has_packet());
    driver_end(&driver);
}

static void a_packet_larger_than_ours_can_be_failed_later(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[4000] = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver_start(&driver);
    assert_int_equal(host_put_inband(RELID, 0x51, true, bytes, sizeof(bytes)), RING_OK);
    settle();
    VmbChannelPacketFail(driver.kept[0]);
    assert_int_equal(vmbus_test_lines("the driver failed transaction 0x51"), 1);
    driver_end(&driver);
}

/* ---- passive processing and deferral (K12) ---- */

static void passive_processing_moves_callbacks_to_passive(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, TRUE);
    driver_start(&driver);
    put(1, false);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.level, IRQL_PASSIVE);
    assert_int_equal(driver_send(&driver, 1, 8, VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION),
                     STATUS_SUCCESS);
    answer_next(&driver);
    settle();
    assert_int_equal(driver.completion_level, IRQL_PASSIVE);
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, FALSE);
    put(2, false);
    settle();
    assert_int_equal(driver.level, IRQL_DISPATCH);
    driver_end(&driver);
}

static UINT64 order[16];
static enum irql levels[16];
static unsigned deliveries;

static void defer_first(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                        UINT32 length)
{
    (void)driver, (void)length;
    order[deliveries] = *(UINT64 *)buffer;
    levels[deliveries] = irql_current();
    if (deliveries++ == 0) {
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    VmbChannelPacketComplete(packet, NULL, 0);
}

static UINT32 batch_counts[4];

static void note_batch(struct driver *driver, UINT32 count)
{
    batch_counts[driver->batches - 1] = count;
}

static void a_deferred_packet_comes_again_at_passive_and_before_all_others(void **state)
{
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;

    (void)state;
    deliveries = 0;
    driver_make(&driver);
    driver.on_packet = defer_first;
    driver.on_batch = note_batch;
    driver_start(&driver);
    put_burst(3, false);
    settle();
    assert_int_equal(deliveries, 4);
    assert_int_equal(batch_counts[0], 0);
    assert_int_equal(batch_counts[1], 3);
    assert_int_equal(order[0], 1);
    assert_int_equal(levels[0], IRQL_DISPATCH);
    assert_int_equal(order[1], 1);
    assert_int_equal(levels[1], IRQL_PASSIVE);
    assert_int_equal(order[2], 2);
    assert_int_equal(order[3], 3);
    assert_int_equal(driver.batches, 2);
    assert_int_equal(driver.batch_count, 3);
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.PacketsReceived, 3);
    put(9, false);
    settle();
    assert_int_equal(levels[4], IRQL_DISPATCH);
    driver_end(&driver);
}

static void a_deferred_packet_waits_for_the_next_start_over_a_pause(void **state)
{
    struct driver driver = {0};

    (void)state;
    deliveries = 0;
    driver_make(&driver);
    driver.on_packet = defer_first;
    driver_start(&driver);
    enum irql level = irql_raise_to_dispatch();
    put(1, false);
    put(2, false);
    irql_lower(level);
    while (test_host_step()) {
    }
    assert_int_equal(deliveries, 1);
    VmbChannelPause(driver.channel);
    unsigned at_pause = deliveries;
    settle();
    assert_int_equal(deliveries, at_pause);
    VmbChannelStart(driver.channel);
    settle();
    assert_int_equal(deliveries, 3);
    assert_int_equal(order[1], 1);
    assert_int_equal(levels[1], IRQL_PASSIVE);
    driver_end(&driver);
}

static void a_deferred_packet_is_discarded_by_a_close(void **state)
{
    struct driver driver = {0};

    (void)state;
    deliveries = 0;
    driver_make(&driver);
    driver.on_packet = defer_first;
    driver_start(&driver);
    host_rescind(RELID);
    put(1, false);
    while (test_host_step()) {
    }
    settle();
    driver_end(&driver);
    assert_true(deliveries <= 2);
}

static void deferring_outside_of_the_callback_stops_the_guest(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver_start(&driver);
    put(1, false);
    settle();
    expect_panic(VmbChannelPacketDeferToPassive(driver.kept[0]));
    VmbChannelPacketComplete(driver.kept[0], NULL, 0);
    driver_end(&driver);
}

static void defer_for_ever(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                           UINT32 length)
{
    (void)buffer, (void)length;
    if (driver->packets < 50) {
        VmbChannelPacketDeferToPassive(packet);
    } else {
        VmbChannelPacketComplete(packet, NULL, 0);
    }
}

static void a_packet_can_be_deferred_again_and_again(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = defer_for_ever;
    driver_start(&driver);
    put(1, true);
    settle();
    assert_int_equal(driver.packets, 50);
    assert_true(host_has_packet());
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
        put(i, false);
        settle();
    }
    assert_int_equal(driver.packets, 20);
    driver_end(&driver);
}

/* ---- the barrier (K3) ---- */

static VMBPACKETCOMPLETION to_complete;

static void complete_at_timer(void *context)
{
    struct driver *driver = context;

    assert_string_equal(KmclChannelStateName(driver->channel), "suspending");
    VmbChannelPacketComplete(to_complete, NULL, 0);
}

static void check_wait_for_packet(void (*stop)(VMBCHANNEL), bool reply_expected)
{
    struct driver driver = {0};
    struct timer timer;

    driver_make(&driver);
    driver.on_packet = keep;
    driver_start(&driver);
    put(1, true);
    settle();
    to_complete = driver.kept[0];
    driver.trace[0] = 0;
    uint64_t before = clock_now();
    timer_initialise(&timer, complete_at_timer, &driver);
    timer_arm(&timer, clock_after(2 * CLOCK_SECOND));
    stop(driver.channel);
    assert_true(clock_now() - before >= 2 * CLOCK_SECOND);
    assert_ptr_equal(strstr(driver.trace, "suspend "), driver.trace);
    if (reply_expected) {
        assert_true(host_has_packet());
    }
    driver_end(&driver);
}

static void pause_waits_for_a_packet_that_the_driver_holds(void **state)
{
    (void)state;
    check_wait_for_packet(VmbChannelPause, true);
}

static void disable_waits_for_a_packet_that_the_driver_holds(void **state)
{
    (void)state;
    check_wait_for_packet(VmbChannelDisable, false);
}

static void a_driver_that_keeps_a_packet_is_named_once(void **state)
{
    struct driver driver = {0};
    struct timer timer;

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver_start(&driver);
    put(1, true);
    settle();
    to_complete = driver.kept[0];
    timer_initialise(&timer, complete_at_timer, &driver);
    timer_arm(&timer, clock_after(60 * CLOCK_SECOND));
    VmbChannelDisable(driver.channel);
    assert_int_equal(vmbus_test_lines("that the driver has not completed: 0x1"), 1);
    driver_end(&driver);
}

/* The ring is full, packets wait in front of the completions, and packets no longer flow. */
static void completions_go_out_while_the_channel_is_suspended(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    struct timer timer;
    UINT8 bytes[1000] = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver_start(&driver);
    put_burst(3, true);
    settle();
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(driver_send(&driver, 100 + i, 1000, 0), STATUS_SUCCESS);
    }
    assert_int_equal(driver.completions, 3);
    VmbChannelPacketComplete(driver.kept[0], bytes, sizeof(bytes));
    VmbChannelPacketComplete(driver.kept[1], bytes, sizeof(bytes));
    to_complete = driver.kept[2];
    timer_initialise(&timer, complete_at_timer, &driver);
    timer_arm(&timer, clock_after(CLOCK_SECOND));
    VmbChannelPause(driver.channel);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(host_take(&packet), 100 + i);
        settle();
    }
    for (unsigned i = 0; i < 3; i++) {
        (void)host_take(&packet);
        assert_int_equal(packet.type, RING_PACKET_COMPLETION);
        assert_int_equal(packet.transaction_id, i + 1);
        settle();
    }
    assert_false(host_has_packet());
    assert_int_equal(driver.completions, 3);
    VmbChannelStart(driver.channel);
    settle();
    assert_int_equal(driver.completions, 5);
    assert_int_equal(host_take(&packet), 103);
    assert_int_equal(host_take(&packet), 104);
    driver_end(&driver);
}

static void defer_second(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                         UINT32 length)
{
    if (driver->packets == 2) {
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    keep(driver, packet, buffer, length);
}

static void a_failed_packet_keeps_a_deferred_one_back(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = defer_second;
    driver_start(&driver);
    put_burst(2, false);
    while (test_host_step()) {
    }
    assert_int_equal(driver.packets, 2);
    VmbChannelPacketFail(driver.kept[0]);
    settle();
    assert_int_equal(driver.packets, 2);
    driver_end(&driver);
}

static void a_rescind_waits_for_delivered_packets_before_it_closes(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver_start(&driver);
    put_burst(2, true);
    settle();
    driver.trace[0] = 0;
    host_rescind(RELID);
    settle();
    assert_trace(&driver, "suspend ");
    VmbChannelPacketComplete(driver.kept[0], NULL, 0);
    settle();
    assert_trace(&driver, "suspend ");
    VmbChannelPacketComplete(driver.kept[1], NULL, 0);
    settle();
    assert_trace(&driver, "suspend closed ");
    driver_end(&driver);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
}

static void no_packet_is_delivered_from_suspend_to_the_next_start(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    VmbChannelPause(driver.channel);
    put_burst(3, false);
    settle();
    assert_int_equal(driver.packets, 0);
    VmbChannelStart(driver.channel);
    settle();
    assert_int_equal(driver.packets, 3);
    driver_end(&driver);
}

static void packets_that_come_before_the_channel_is_open_are_delivered(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.early_events = true;
    driver_start(&driver);
    settle();
    assert_int_equal(driver.packets, 1);
    driver_end(&driver);
}

/* A callback at PASSIVE that waits; meanwhile the offer goes. The worker must let it leave first.
 */
static void wait_in_packet(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                           UINT32 length)
{
    struct event never;

    (void)buffer, (void)length;
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    event_initialise(&never);
    host_rescind(RELID);
    (void)event_wait(&never, clock_after(CLOCK_SECOND));
    assert_null(strstr(driver->trace, "suspend"));
    expect_panic(VmbChannelDisable(driver->channel));
    VmbChannelPacketComplete(packet, NULL, 0);
}

static void a_rescind_lets_a_blocked_packet_callback_leave_first(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = wait_in_packet;
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, TRUE);
    driver_start(&driver);
    put_burst(3, true);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_trace(&driver, "opened started post-started suspend closed ");
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
        kmcl_test(the_quota_bounds_what_the_driver_holds),
        kmcl_test(raising_the_quota_takes_effect_with_the_next_completion),
        kmcl_test(completions_pass_a_used_up_quota),
        kmcl_test(sends_move_while_the_quota_holds_the_ring),
        kmcl_test(completions_go_out_while_the_channel_is_suspended),
        kmcl_test(a_failed_packet_keeps_a_deferred_one_back),
        kmcl_test(a_quota_of_zero_is_ignored_with_a_warning),
        kmcl_test(a_failed_packet_stops_the_queue_until_the_channel_is_opened_anew),
        kmcl_test(a_packet_can_be_failed_later_too),
        kmcl_test(a_packet_larger_than_ours_can_be_failed_later),
        kmcl_test(passive_processing_moves_callbacks_to_passive),
        kmcl_test(a_deferred_packet_comes_again_at_passive_and_before_all_others),
        kmcl_test(a_deferred_packet_waits_for_the_next_start_over_a_pause),
        kmcl_test(a_deferred_packet_is_discarded_by_a_close),
        kmcl_test(a_packet_can_be_deferred_again_and_again),
        kmcl_test(a_client_context_is_zeroed_first_and_kept_over_a_redelivery),
        kmcl_test(pause_waits_for_a_packet_that_the_driver_holds),
        kmcl_test(disable_waits_for_a_packet_that_the_driver_holds),
        kmcl_test(a_driver_that_keeps_a_packet_is_named_once),
        kmcl_test(a_rescind_waits_for_delivered_packets_before_it_closes),
        kmcl_test(no_packet_is_delivered_from_suspend_to_the_next_start),
        kmcl_test(packets_that_come_before_the_channel_is_open_are_delivered),
        kmcl_test(a_rescind_lets_a_blocked_packet_callback_leave_first),
        kmcl_test(pipe_packets_have_their_exact_length),
        kmcl_test(bad_pipe_packets_are_dropped_and_nothing_leaks),
        kmcl_test(completing_twice_stops_the_guest),
        kmcl_test(deferring_outside_of_the_callback_stops_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
