/* SPDX-License-Identifier: MIT */
/* Open, close, events, signals; hosts that refuse, lie or say nothing at every step between. */

#include "vmbus_test.h"

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "vmbus/channel.h"
#include "vmbus/connection.h"
#include "vmbus/monitor_page.h"

static struct test_owner owner;

static enum vmbus_status open_it(void)
{
    return vmbus_channel_open(owner.channel, 3, 2, NULL);
}

/* Nothing of the rings is left, and the channel can be opened or given back. */
static void assert_nothing_left(void)
{
    assert_int_equal(vmbus_channel_state(owner.channel), VMBUS_CHANNEL_OFFERED);
    assert_null(owner.channel->ring_memory);
    assert_null(vmbus_bus.gpadls);
    assert_int_equal(host_gpadls(), 0);
}

static bool took_about(uint64_t start, uint64_t limit)
{
    uint64_t took = clock_now() - start;

    return took >= limit && took < limit + CLOCK_SECOND;
}

/* ---- open and close ---- */

static void a_channel_opens_carries_packets_and_closes(void **state)
{
    const struct ring_packet_out out = {.transaction_id = 7,
                                        .type = RING_PACKET_DATA_INBAND,
                                        .payload = "hello",
                                        .payload_length = 5};
    struct ring_packet_in in;
    char buffer[64];

    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    assert_true(host_is_open(5));
    assert_int_equal(host_word(host_message(HOST_OPEN, 0), 24), 4);
    assert_int_equal(ring_writer_put(vmbus_channel_outgoing(owner.channel), &out), RING_OK);
    assert_true(ring_writer_commit(vmbus_channel_outgoing(owner.channel)));
    vmbus_channel_signal(owner.channel);
    assert_int_equal(host_signals(0x2005), 1);
    assert_int_equal(host_get(5, buffer, sizeof(buffer), &in), RING_OK);
    assert_string_equal(buffer, "hello");
    assert_int_equal(host_put_inband(5, 8, true, "back", 5), RING_OK);
    host_run();
    assert_int_equal(owner.events, 1);
    assert_int_equal(
        ring_reader_next(vmbus_channel_incoming(owner.channel), buffer, sizeof(buffer), &in),
        RING_OK);
    assert_int_equal(in.transaction_id, 8);
    vmbus_channel_close(owner.channel);
    assert_nothing_left();
    assert_int_equal(host_count(HOST_CLOSE), 1);
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
    vmbus_test_give_back(&owner);
    assert_int_equal(host_count(HOST_CLOSE), 1);
}

static void a_closed_channel_opens_again_with_new_numbers(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(open_it(), VMBUS_OK);
        assert_int_equal(host_word(host_message(HOST_OPEN, i), 12), i + 1);
        vmbus_channel_close(owner.channel);
        assert_nothing_left();
    }
    vmbus_test_give_back(&owner);
}

static void ring_sizes_have_bounds(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    assert_int_equal(vmbus_channel_open(owner.channel, 0, 1, NULL), VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_channel_open(owner.channel, 1, 0, NULL), VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_channel_open(owner.channel, 8188, 1, NULL), VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_channel_open(owner.channel, UINT32_MAX, 3, NULL), VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_channel_open(owner.channel, UINT32_MAX, UINT32_MAX, NULL),
                     VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_channel_open(owner.channel, 4094, 4094, NULL), VMBUS_OK);
    assert_int_equal(host_count(HOST_GPADL_BODY), 292);
    vmbus_test_give_back(&owner);
}

static void an_open_channel_does_not_open_again(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 1, 1);
    assert_int_equal(open_it(), VMBUS_BAD_STATE);
    vmbus_test_give_back(&owner);
}

static void an_unclaimed_channel_does_not_open(void **state)
{
    struct host_offer offer = host_plain_offer(5);

    (void)state;
    host_add(&offer);
    vmbus_test_connect();
    assert_int_equal(vmbus_channel_open(vmbus_test_channel(5), 1, 1, NULL), VMBUS_BAD_STATE);
}

static void each_allocation_may_fail(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    for (unsigned number = 1; number <= 2; number++) {
        test_memory_fail(number);
        assert_int_equal(open_it(), VMBUS_NO_MEMORY);
        assert_nothing_left();
        assert_int_equal(test_pages_held(), 2); /* the monitor pages */
    }
    assert_int_equal(host_count(HOST_GPADL_HEADER), 0);
    vmbus_test_give_back(&owner);
}

/* M20: a status of the host that nobody looks at. */
static void m20_a_refused_open_leaves_nothing(void **state)
{
    static const uint32_t statuses[] = {1, 0x8000FFFF, 0xC0000059, 0x7FFFFFFF};
    uint32_t status = 0;

    (void)state;
    vmbus_test_claim(&owner, 5);
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
        host.open_status = statuses[i];
        assert_int_equal(vmbus_channel_open(owner.channel, 1, 1, &status), VMBUS_REFUSED);
        assert_int_equal(status, statuses[i]);
        assert_nothing_left();
    }
    assert_int_equal(host_count(HOST_CLOSE), 0);
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
    host.open_status = 0;
    assert_int_equal(vmbus_channel_open(owner.channel, 1, 1, &status), VMBUS_OK);
    assert_int_equal(status, 0);
    vmbus_test_give_back(&owner);
}

/* M4: the list of the rings fails. */
static void m4_refused_rings_cost_that_channel_only(void **state)
{
    struct test_owner other;

    (void)state;
    vmbus_test_open(&other, 6, 1, 1);
    vmbus_test_claim(&owner, 5);
    host.gpadl_status = 0x8000FFFF;
    assert_int_equal(open_it(), VMBUS_REFUSED);
    assert_int_equal(vmbus_channel_state(owner.channel), VMBUS_CHANNEL_OFFERED);
    assert_int_equal(vmbus_channel_state(other.channel), VMBUS_CHANNEL_OPEN);
    assert_int_equal(host_count(HOST_OPEN), 1);
    vmbus_test_give_back(&owner);
    vmbus_test_give_back(&other);
}

/* M16: a wait without end. */
static void m16_no_answer_to_open_has_a_limit(void **state)
{
    uint32_t status = 1;
    uint64_t start;

    (void)state;
    vmbus_test_claim(&owner, 5);
    host.open_status = 9;
    assert_int_equal(vmbus_channel_open(owner.channel, 3, 2, &status), VMBUS_REFUSED);
    host.open_status = 0;
    host.open = HOST_IS_SILENT;
    start = clock_now();
    assert_int_equal(vmbus_channel_open(owner.channel, 3, 2, &status), VMBUS_NO_ANSWER);
    assert_int_equal(status, 0); /* not that of the time before */
    assert_true(took_about(start, VMBUS_ANSWER_LIMIT));
    /* It may be open over there: closed, and its memory taken back in order. */
    assert_int_equal(host_count(HOST_CLOSE), 1);
    assert_false(host_is_open(5));
    assert_nothing_left();
    /* The answer that comes now fits no request. */
    host_send_words(HOST_OPEN_RESULT, 20, 5, 2, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 1);
    vmbus_test_give_back(&owner);
}

static void m16_no_answer_to_the_rings_has_a_limit(void **state)
{
    uint64_t start;

    (void)state;
    vmbus_test_claim(&owner, 5);
    host.gpadl = HOST_IS_SILENT;
    start = clock_now();
    assert_int_equal(open_it(), VMBUS_NO_ANSWER);
    assert_true(took_about(start, VMBUS_ANSWER_LIMIT));
    assert_int_equal(vmbus_channel_state(owner.channel), VMBUS_CHANNEL_OFFERED);
    assert_int_equal(vmbus_test_counts().pages_kept, 7);
    host.gpadl = HOST_ANSWERS;
    assert_int_equal(open_it(), VMBUS_OK);
    vmbus_test_give_back(&owner);
}

/* What fits an open in all numbers but one. */
static bool answer_wrongly(void *context, const struct host_message *message)
{
    uint32_t open_id = host_word(message, 12);

    (void)context;
    if (host_word(message, 0) == HOST_OPEN) {
        host_send_words(HOST_OPEN_RESULT, 20, 6, open_id, 0);
        host_send_words(HOST_OPEN_RESULT, 20, 5, open_id + 1, 0);
        host_send_words(HOST_OPEN_RESULT, 20, 2048, open_id, 0);
        host_send_words(HOST_OPEN_RESULT, 20, UINT32_MAX, open_id, 0);
    }
    return false;
}

static void open_results_must_match(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host.open = HOST_IS_SILENT;
    host.hook = answer_wrongly;
    assert_int_equal(open_it(), VMBUS_NO_ANSWER);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 4);
    vmbus_test_give_back(&owner);
}

static void an_open_that_nobody_takes(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host.post_limit = host_attempts() + 1; /* the list only */
    host.post_status_late = HV_STATUS_INVALID_PARAMETER;
    assert_int_equal(open_it(), VMBUS_POST_FAILED);
    assert_int_equal(vmbus_test_counts().pages_kept, 7); /* nor its tear-down */
    host.post_limit = UINT32_MAX;
    vmbus_test_give_back(&owner);
}

/* M14: ring memory freed while the host may write to it. The host writes to it until TORNDOWN. */
static void m14_rings_live_until_torndown(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host.teardown_steps = 500;
    vmbus_channel_close(owner.channel);
    assert_nothing_left();
    assert_int_equal(test_pages_held(), 2);
    vmbus_test_give_back(&owner);
}

static void m14_rings_that_are_never_given_back_are_kept(void **state)
{
    uint64_t start;

    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host.teardown = HOST_IGNORES;
    start = clock_now();
    vmbus_channel_close(owner.channel);
    assert_true(took_about(start, VMBUS_ANSWER_LIMIT));
    assert_int_equal(vmbus_test_counts().pages_kept, 7);
    assert_int_equal(vmbus_test_lines("channel 5: the host does not give 7 pages"), 1);
    assert_int_equal(vmbus_channel_state(owner.channel), VMBUS_CHANNEL_OFFERED);
    vmbus_test_give_back(&owner);
}

static void each_channel_opens_beside_others(void **state)
{
    static struct test_owner owners[32];

    (void)state;
    for (uint32_t i = 0; i < 32; i++) {
        vmbus_test_open(&owners[i], i + 1, 1 + i % 3, 1 + i % 2);
    }
    for (uint32_t i = 0; i < 32; i++) {
        host_event(i + 1);
    }
    host_run();
    for (uint32_t i = 0; i < 32; i++) {
        assert_int_equal(owners[i].events, 1);
        vmbus_test_give_back(&owners[i]);
    }
    assert_int_equal(vmbus_test_counts().events_unknown, 0);
}

/* ---- events ---- */

static void events_before_the_open_result_are_delivered(void **state)
{
    struct ring_packet_in in;
    char buffer[16];

    (void)state;
    vmbus_test_claim(&owner, 5);
    host.early_events = true;
    assert_int_equal(open_it(), VMBUS_OK);
    assert_true(owner.events >= 1);
    assert_int_equal(
        ring_reader_next(vmbus_channel_incoming(owner.channel), buffer, sizeof(buffer), &in),
        RING_OK);
    assert_string_equal(buffer, "early");
    assert_int_equal(vmbus_test_counts().events_unknown, 0);
    vmbus_test_give_back(&owner);
}

static void events_of_no_open_channel_are_counted(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host_event(1);    /* no channel */
    host_event(5);    /* not open */
    host_event(2047); /* the last flag */
    host_run();
    assert_int_equal(vmbus_test_counts().events_unknown, 3);
    assert_int_equal(owner.events, 0);
    vmbus_channel_event(2048); /* no flag at all */
    vmbus_channel_event(UINT32_MAX);
    assert_int_equal(vmbus_test_counts().events_unknown, 5);
    vmbus_test_give_back(&owner);
}

static bool event_at_close(void *context, const struct host_message *message)
{
    (void)context;
    if (host_word(message, 0) == HOST_CLOSE || host_word(message, 0) == HOST_GPADL_TEARDOWN) {
        host_event(5);
        owner.closed = true;
    }
    return false;
}

static void no_event_is_delivered_once_close_was_called(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 1, 1);
    host.hook = event_at_close;
    /* One is queued already when the close starts. */
    enum irql level = irql_raise_to_dispatch();
    vmbus_channel_kick(owner.channel);
    vmbus_channel_stop_events(owner.channel);
    irql_lower(level);
    assert_int_equal(owner.events, 0);
    vmbus_channel_close(owner.channel);
    host_event(5);
    host_run();
    vmbus_channel_kick(owner.channel);
    assert_int_equal(owner.events, 0);
    assert_true(vmbus_test_counts().events_unknown >= 2);
    vmbus_test_give_back(&owner);
}

static void an_event_that_was_queued_before_the_end_finds_the_channel_dead(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 1, 1);
    enum irql level = irql_raise_to_dispatch();
    vmbus_channel_kick(owner.channel);
    atomic_store(&owner.channel->live, false);
    irql_lower(level);
    assert_int_equal(owner.events, 0);
    vmbus_test_give_back(&owner);
}

static void a_kick_is_an_event(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 1, 1);
    enum irql level = irql_raise_to_dispatch();
    vmbus_channel_kick(owner.channel);
    vmbus_channel_kick(owner.channel);
    assert_int_equal(owner.events, 0);
    irql_lower(level);
    assert_int_equal(owner.events, 1);
    vmbus_test_give_back(&owner);
}

/* ---- signals ---- */

static void signals_go_by_hypercall_without_a_monitor(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 1, 1);
    vmbus_channel_signal(owner.channel);
    vmbus_channel_signal(owner.channel);
    assert_int_equal(host_signals(0x2005), 2);
    uint16_t latency = 1;
    assert_int_equal(vmbus_channel_set_monitor_latency(owner.channel, 10, &latency),
                     VMBUS_UNAVAILABLE);
    vmbus_channel_close(owner.channel);
    vmbus_channel_signal(owner.channel);
    assert_int_equal(host_signals(0x2005), 2);
    vmbus_test_give_back(&owner);
}

static void add_monitored(uint8_t monitor)
{
    struct host_offer offer = host_plain_offer(5);

    offer.monitor_id = monitor;
    offer.monitor_allocated = 1;
    host_add(&offer);
}

static void signals_go_by_monitor_page_where_one_is_offered(void **state)
{
    static const uint8_t monitors[] = {0, 31, 32, 95, 127};

    for (size_t i = 0; i < sizeof(monitors); i++) {
        assert_int_equal(vmbus_test_setup(state), 0);
        add_monitored(monitors[i]);
        vmbus_test_open(&owner, 5, 1, 1);
        vmbus_channel_signal(owner.channel);
        assert_int_equal(host_signals(0x2005), 0);
        for (unsigned monitor = 0; monitor < 128; monitor++) {
            assert_int_equal(host_monitor_signals(monitor), monitor == monitors[i]);
        }
        vmbus_test_give_back(&owner);
        assert_int_equal(vmbus_test_teardown(state), 0);
    }
}

static void without_pages_a_monitored_channel_is_signalled_by_hypercall(void **state)
{
    (void)state;
    add_monitored(3);
    test_memory_fail(1);
    vmbus_test_open(&owner, 5, 1, 1);
    vmbus_channel_signal(owner.channel);
    assert_int_equal(host_signals(0x2005), 1);
    vmbus_test_give_back(&owner);
}

static void the_monitor_latency_is_swapped(void **state)
{
    struct vmbus_monitor_page *page;
    uint16_t original = 99;

    (void)state;
    add_monitored(33);
    vmbus_test_claim(&owner, 5);
    page = &vmbus_bus.monitor_pages[1];
    assert_int_equal(vmbus_channel_set_monitor_latency(owner.channel, 500, &original), VMBUS_OK);
    assert_int_equal(original, 0);
    assert_int_equal(page->latency[1][1], 500);
    assert_int_equal(((uint8_t *)page)[0x240 + 2 * 33], 500 & 0xFF);
    assert_int_equal(vmbus_channel_set_monitor_latency(owner.channel, 1, &original), VMBUS_OK);
    assert_int_equal(original, 500);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(vmbus_channel_set_monitor_latency(owner.channel, 1, &original),
                     VMBUS_UNAVAILABLE);
    vmbus_test_give_back(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bus_test(a_channel_opens_carries_packets_and_closes),
        bus_test(a_closed_channel_opens_again_with_new_numbers),
        bus_test(ring_sizes_have_bounds),
        bus_test(an_open_channel_does_not_open_again),
        bus_test(an_unclaimed_channel_does_not_open),
        bus_test(each_allocation_may_fail),
        bus_test(m20_a_refused_open_leaves_nothing),
        bus_test(m4_refused_rings_cost_that_channel_only),
        bus_test(m16_no_answer_to_open_has_a_limit),
        bus_test(m16_no_answer_to_the_rings_has_a_limit),
        bus_test(open_results_must_match),
        bus_test(an_open_that_nobody_takes),
        bus_test(m14_rings_live_until_torndown),
        bus_test(m14_rings_that_are_never_given_back_are_kept),
        bus_test(each_channel_opens_beside_others),
        bus_test(events_before_the_open_result_are_delivered),
        bus_test(events_of_no_open_channel_are_counted),
        bus_test(no_event_is_delivered_once_close_was_called),
        bus_test(an_event_that_was_queued_before_the_end_finds_the_channel_dead),
        bus_test(a_kick_is_an_event),
        bus_test(signals_go_by_hypercall_without_a_monitor),
        cmocka_unit_test(signals_go_by_monitor_page_where_one_is_offered),
        bus_test(without_pages_a_monitored_channel_is_signalled_by_hypercall),
        bus_test(the_monitor_latency_is_swapped),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
