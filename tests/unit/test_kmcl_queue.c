/* SPDX-License-Identifier: MIT */
/* Packets that wait to be sent: full rings, order, channels where nothing flows, bursts. */

#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION

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
        kmcl_test(sends_of_callbacks_are_published_once_with_one_signal),
        kmcl_test(a_send_outside_of_a_batch_is_published_at_once),
        kmcl_test(statistics_count),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
