/* SPDX-License-Identifier: MIT */
/* What holds incoming packets back: the quota, a failed packet, passive processing, deferral. */

#include <string.h>

#include "tests/unit/kmcl/kmcl_test.h"

/* ---- quota (K9) ---- */

static void the_quota_bounds_what_the_driver_holds(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = driver_keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    host_put_burst(4, false);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.batches, 1);
    for (unsigned i = 0; i < 3; i++) {
        VmbChannelPacketComplete(driver.kept[i], NULL, 0);
        settle();
        assert_int_equal(driver.packets, i + 2);
    }
    VmbChannelPacketComplete(driver.kept[3], NULL, 0);
    host_put_word(9, false);
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
    driver.on_packet = driver_keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    host_put_burst(6, false);
    settle();
    VmbChannelSetTransactionQuota(driver.channel, 4);
    host_put_word(7, false);
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
    driver.on_packet = driver_keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    host_put_word(1, false);
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
    driver.on_packet = driver_keep;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    host_put_burst(2, false);
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
    host_put_word(1, false);
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
    host_put_burst(3, true);
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
    host_put_word(4, false);
    settle();
    assert_int_equal(driver.packets, 2);
    driver_end(&driver);
}

static void a_packet_can_be_failed_later_too(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_burst(2, true);
    settle();
    VmbChannelPacketFail(driver.kept[0]);
    host_put_word(3, false);
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
    driver.on_packet = driver_keep;
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
    host_put_word(1, false);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.level, IRQL_PASSIVE);
    assert_int_equal(driver_send(&driver, 1, 8, VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION),
                     STATUS_SUCCESS);
    answer_next(&driver);
    settle();
    assert_int_equal(driver.completion_level, IRQL_PASSIVE);
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, FALSE);
    host_put_word(2, false);
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
    host_put_burst(3, false);
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
    host_put_word(9, false);
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
    host_put_word(1, false);
    host_put_word(2, false);
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
    host_put_word(1, false);
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
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_word(1, false);
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
    host_put_word(1, true);
    settle();
    assert_int_equal(driver.packets, 50);
    assert_true(host_has_packet());
    driver_end(&driver);
}

static void defer_second(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                         UINT32 length)
{
    if (driver->packets == 2) {
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    driver_keep(driver, packet, buffer, length);
}

static void a_failed_packet_keeps_a_deferred_one_back(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = defer_second;
    driver_start(&driver);
    host_put_burst(2, false);
    while (test_host_step()) {
    }
    assert_int_equal(driver.packets, 2);
    VmbChannelPacketFail(driver.kept[0]);
    settle();
    assert_int_equal(driver.packets, 2);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(the_quota_bounds_what_the_driver_holds),
        kmcl_test(raising_the_quota_takes_effect_with_the_next_completion),
        kmcl_test(completions_pass_a_used_up_quota),
        kmcl_test(sends_move_while_the_quota_holds_the_ring),
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
        kmcl_test(deferring_outside_of_the_callback_stops_the_guest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
