/* SPDX-License-Identifier: MIT */
/* The barrier of a suspension: packets the driver still holds, and what flows meanwhile. */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/wait.h"
#include "tests/unit/kmcl/kmcl_test.h"

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
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_word(1, true);
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
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_word(1, true);
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
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_burst(3, true);
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

static void a_rescind_waits_for_delivered_packets_before_it_closes(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = driver_keep;
    driver_start(&driver);
    host_put_burst(2, true);
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
    host_put_burst(3, false);
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
    host_put_burst(3, true);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_trace(&driver, "opened started post-started suspend closed ");
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(completions_go_out_while_the_channel_is_suspended),
        kmcl_test(pause_waits_for_a_packet_that_the_driver_holds),
        kmcl_test(disable_waits_for_a_packet_that_the_driver_holds),
        kmcl_test(a_driver_that_keeps_a_packet_is_named_once),
        kmcl_test(a_rescind_waits_for_delivered_packets_before_it_closes),
        kmcl_test(no_packet_is_delivered_from_suspend_to_the_next_start),
        kmcl_test(packets_that_come_before_the_channel_is_open_are_delivered),
        kmcl_test(a_rescind_lets_a_blocked_packet_callback_leave_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
