/* SPDX-License-Identifier: MIT */
/* A host that breaks the rules of the ring costs its channel, never the guest. */

#include <stdlib.h>
#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/kmcl/kmcl_test.h"
#include "vmbus/kmcl/kmcl.h"

#define WAIT   VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION
#define CLOSED "opened started post-started suspend closed "

/* The channel was closed, its owner told, and it can be enabled once more. */
static void expect_closed_and_usable(struct driver *driver)
{
    UINT64 word = 1;

    settle();
    assert_trace(driver, CLOSED);
    assert_int_equal(vmbus_test_lines("closing the channel"), 1);
    assert_int_equal(host_count(HOST_CLOSE), 1);
    unsigned before = driver->packets;
    driver_start(driver);
    (void)host_put_inband(RELID, 1, false, &word, 8);
    settle();
    assert_int_equal(driver->packets, before + 1);
    driver_end(driver);
}

/* ---- completions (M6, M8, M13) ---- */

static void check_bad_id(UINT64 id)
{
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;

    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    (void)host_put_completion(RELID, id, NULL, 0);
    settle();
    assert_int_equal(driver.completions, 1);
    assert_int_equal(driver.completion_status, STATUS_DEVICE_REMOVED);
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.CompletionsUnknown, 1);
    assert_int_equal(statistics.CompletionsReceived, 0);
    expect_closed_and_usable(&driver);
}

static void a_completion_of_id_zero_closes_the_channel(void **state)
{
    (void)state;
    check_bad_id(0);
}

static void a_completion_of_a_free_slot_closes_the_channel(void **state)
{
    (void)state;
    check_bad_id(2);
}

static void a_completion_with_an_address_as_id_closes_the_channel(void **state)
{
    (void)state;
    check_bad_id((uintptr_t)&host);
}

static void a_completion_of_all_ones_closes_the_channel(void **state)
{
    (void)state;
    check_bad_id(UINT64_MAX);
}

static void a_repeated_completion_is_not_delivered_twice(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    (void)host_take(&packet);
    (void)host_put_completion(RELID, packet.transaction_id, NULL, 0);
    (void)host_put_completion(RELID, packet.transaction_id, NULL, 0);
    settle();
    assert_int_equal(driver.completions, 1);
    assert_int_equal(driver.completion_status, STATUS_SUCCESS);
    expect_closed_and_usable(&driver);
}

static void a_completion_of_an_earlier_generation_is_not_delivered(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in first;
    struct ring_packet_in second;

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    (void)host_take(&first);
    (void)host_put_completion(RELID, first.transaction_id, NULL, 0);
    settle();
    assert_int_equal(driver_send(&driver, 2, 8, WAIT), STATUS_SUCCESS);
    (void)host_take(&second);
    assert_int_equal((UINT32)first.transaction_id, (UINT32)second.transaction_id); /* same slot */
    (void)host_put_completion(RELID, first.transaction_id, NULL, 0);
    settle();
    assert_int_equal(driver.completions, 2);
    assert_int_equal(driver.completion_status, STATUS_DEVICE_REMOVED);
    expect_closed_and_usable(&driver);
}

static void a_completion_of_a_packet_that_is_still_queued_finds_nothing(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(driver_send(&driver, i, 1000, 0), STATUS_SUCCESS);
    }
    assert_int_equal(driver_send(&driver, 9, 1000, WAIT), STATUS_SUCCESS);
    (void)host_put_completion(RELID, 1, NULL, 0); /* the id that it would get first */
    settle();
    assert_int_equal(driver.completion_status, STATUS_DEVICE_REMOVED);
    expect_closed_and_usable(&driver);
}

static void a_large_completion_is_delivered_whole(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    UINT8 bytes[4000];

    (void)state;
    memset(bytes, 0x44, sizeof(bytes));
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    (void)host_take(&packet);
    (void)host_put_completion(RELID, packet.transaction_id, bytes, sizeof(bytes));
    settle();
    assert_int_equal(driver.completion_length, sizeof(bytes));
    assert_memory_equal(driver.completion, bytes, sizeof(bytes));
    driver_end(&driver);
}

static void no_memory_for_a_large_completion_is_told_to_the_routine(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    UINT8 bytes[4000] = {0};

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, WAIT), STATUS_SUCCESS);
    (void)host_take(&packet);
    (void)host_put_completion(RELID, packet.transaction_id, bytes, sizeof(bytes));
    test_memory_fail(1);
    settle();
    test_memory_fail(0);
    assert_int_equal(driver.completion_status, STATUS_INSUFFICIENT_RESOURCES);
    assert_int_equal(driver.completion_length, 0);
    assert_string_equal(KmclChannelStateName(driver.channel), "active");
    driver_end(&driver);
}

static void no_memory_for_a_large_packet_closes_the_channel(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[3000] = {0};

    (void)state;
    driver_start(&driver);
    (void)host_put_inband(RELID, 1, false, bytes, sizeof(bytes));
    test_memory_fail(1);
    while (test_host_step()) {
    }
    test_memory_fail(0);
    assert_int_equal(driver.packets, 0);
    expect_closed_and_usable(&driver);
}

/* ---- indices and descriptors ---- */

static void check_write_index(uint32_t index)
{
    struct driver driver = {0};

    driver_start(&driver);
    host_set_write_index(RELID, index);
    expect_closed_and_usable(&driver);
}

static void write_indices_out_of_bounds_close_the_channel(void **state)
{
    static const uint32_t bad[] = {4, 4096, 4097, UINT32_MAX, 0x80000000};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        check_write_index(bad[i]);
        (void)vmbus_disconnect();
        host_reset();
        test_console_clear();
    }
}

static void read_indices_out_of_bounds_close_the_channel(void **state)
{
    static const uint32_t bad[] = {4, 4096, UINT32_MAX};

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct driver driver = {0};
        driver_start(&driver);
        host_set_read_index(RELID, bad[i]);
        /* Seen when the guest needs to know how much room there is. */
        for (unsigned n = 0; n < 10; n++) {
            assert_int_equal(driver_send(&driver, n, 1000, 0), STATUS_SUCCESS);
        }
        settle();
        assert_int_equal(driver.completions, 10);
        expect_closed_and_usable(&driver);
        (void)vmbus_disconnect();
        host_reset();
        test_console_clear();
    }
}

/* A request that may not wait is the only thing that is sent. */
static void a_bad_read_index_is_found_by_a_request_that_may_not_wait(void **state)
{
    struct driver driver = {0};
    LARGE_INTEGER zero = {.QuadPart = 0};
    UINT8 bytes[1000] = {0};

    (void)state;
    driver_start(&driver);
    host_set_read_index(RELID, 4);
    for (unsigned i = 0; i < 10; i++) {
        (void)VmbChannelSendSynchronousRequest(driver.channel, bytes, sizeof(bytes), NULL, 0, NULL,
                                               NULL, &zero);
    }
    expect_closed_and_usable(&driver);
}

static void set_bad_write_index(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                                UINT32 length)
{
    struct ring_control *control = host_outgoing(RELID)->control;

    driver_keep(driver, packet, buffer, length);
    atomic_store(&control->pending_send_size, 1024);
    atomic_store(&control->write_index, 4);
}

static void a_bad_write_index_is_found_when_the_host_waits_for_room(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    driver.on_packet = set_bad_write_index;
    /* So that nothing else looks at the index: the second packet is there by the old one. */
    VmbChannelSetTransactionQuota(driver.channel, 1);
    host_put_burst(2, false);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_trace(&driver, "opened started post-started suspend ");
    driver.on_packet = NULL;
    VmbChannelPacketComplete(driver.kept[0], NULL, 0);
    expect_closed_and_usable(&driver);
}

static void check_descriptor(uint16_t offset8, uint16_t length8)
{
    struct driver driver = {0};
    const struct ring_descriptor bytes[2] = {
        {RING_PACKET_DATA_INBAND, offset8, length8, 0, 1},
        {0, 0, 0, 0, 0},
    };

    driver_start(&driver);
    host_put_raw(RELID, bytes, sizeof(bytes));
    settle();
    assert_int_equal(driver.packets, 0);
    expect_closed_and_usable(&driver);
}

/* M11, M12 */
static void descriptors_that_contradict_themselves_close_the_channel(void **state)
{
    static const uint16_t bad[][2] = {{2, 0}, {2, 1}, {0, 2},     {1, 2},
                                      {3, 2}, {2, 4}, {2, 65535}, {65535, 65535}};

    (void)state;
    for (unsigned i = 0; i < 8; i++) {
        check_descriptor(bad[i][0], bad[i][1]);
        (void)vmbus_disconnect();
        host_reset();
        test_console_clear();
    }
}

/* ---- types ---- */

static void packets_that_are_not_for_a_client_are_dropped_and_counted(void **state)
{
    static const uint16_t types[] = {0, 1, 5, 7, 8, 9, 10, 12, 13, 0xFFFF};
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;
    UINT64 words[4] = {0, UINT64_C(0x4000000000000001), 3, 4};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 10; i++) {
        const struct ring_packet_out packet = {.type = types[i],
                                               .flags = 0xFFFF,
                                               .transaction_id = i,
                                               .extension_length = 16,
                                               .head_length = 16,
                                               .head = words,
                                               .payload = words,
                                               .payload_length = 16};
        assert_int_equal(host_put(RELID, &packet), RING_OK);
        settle();
    }
    assert_int_equal(driver.packets, 0);
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.PacketsDropped, 10);
    assert_int_equal(vmbus_test_lines("dropped a packet"), 1);
    (void)host_put_inband(RELID, 1, false, words, 8);
    settle();
    assert_int_equal(driver.packets, 1);
    driver_end(&driver);
}

static void a_flood_of_rubbish_is_bounded_work(void **state)
{
    struct driver driver = {0};
    UINT8 rubbish[1024];

    (void)state;
    srand(3);
    driver_make(&driver);
    for (unsigned round = 0; round < 300; round++) {
        driver.trace[0] = 0;
        driver.completions = 0;
        driver_start(&driver);
        assert_int_equal(driver_send(&driver, round, 8, WAIT), STATUS_SUCCESS);
        for (unsigned i = 0; i < sizeof(rubbish); i++) {
            rubbish[i] = (UINT8)(rand() % (i % 8 < 6 ? 12 : 256));
        }
        host_put_raw(RELID, rubbish, 8 * (1 + (unsigned)rand() % 128));
        settle();
        VmbChannelDisable(driver.channel);
        assert_int_equal(driver.completions, 1);
    }
    driver_end(&driver);
}

/* ---- answers that are not taken ---- */

/* Requests until the guest takes no more of them, or `most`. Returns how many. */
static unsigned ask_without_end(unsigned most)
{
    unsigned asked = 0;
    unsigned before;

    do {
        before = asked;
        while (asked < most && host_put_inband(RELID, asked, true, &asked, 4) == RING_OK) {
            asked++;
        }
        settle();
    } while (asked != before);
    return asked;
}

/* Requests that came while there was too much to answer are taken as soon as there is not. */
static void expect_taken_in_time(const struct driver *driver)
{
    const struct kmcl_channel *channel = (const struct kmcl_channel *)(void *)driver->channel;
    const struct ring_control *control = host_outgoing(RELID)->control;

    assert_true(channel->replies_waiting > KMCL_REPLIES_LIMIT / 2 ||
                control->read_index == control->write_index);
}

/* The host asks and asks, and takes no answer. */
static void answers_that_are_not_taken_cost_a_bounded_memory(void **state)
{
    struct driver driver = {0};
    struct ring_packet_in packet;
    const unsigned most = 40000;

    (void)state;
    driver_start(&driver);
    const unsigned asked = ask_without_end(most);
    assert_in_range(asked, 8000, most - 1);
    assert_in_range(test_memory_held(), 1, 17000); /* pieces, each for 1032 bytes */
    assert_string_equal(KmclChannelStateName(driver.channel), "active");
    /* Nothing of it is lost, and when they are taken it goes on. */
    for (unsigned i = 0; i < asked; i++) {
        (void)host_take(&packet);
        assert_int_equal(packet.transaction_id, i);
        settle();
        expect_taken_in_time(&driver);
    }
    assert_int_equal(driver.packets, asked);
    assert_false(host_has_packet());
    assert_int_equal(ask_without_end(100), 100);
    assert_int_equal(driver.packets, asked + 100);
    driver_end(&driver);
}

/* As if another processor handled the events of room in the ring, until there is room enough. */
static void make_room(struct driver *driver, UINT32 count)
{
    struct kmcl_channel *channel = (struct kmcl_channel *)(void *)driver->channel;
    struct ring_reader *reader = host_incoming(RELID);
    struct ring_packet_in packet;
    UINT8 bytes[64];

    (void)count;
    while ((kmcl_intake_word(channel) & INTAKE_ENDS_FULL) != 0) {
        while (ring_reader_next(reader, bytes, sizeof(bytes), &packet) == RING_OK) {
        }
        (void)ring_reader_publish(reader);
        kmcl_event(channel);
    }
}

/* Between the drain's leaving off and its look at what follows. */
static void room_for_answers_that_comes_at_the_end_of_a_batch_is_noticed(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    driver.on_batch = make_room;
    assert_int_equal(ask_without_end(20000), 20000);
    assert_int_equal(driver.packets, 20000);
    driver_end(&driver);
}

/* ---- signals ---- */

static void events_without_cause_deliver_nothing(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 50; i++) {
        host_event(RELID);
        settle();
    }
    assert_int_equal(driver.packets, 0);
    assert_int_equal(driver.batches, 0);
    VmbChannelPause(driver.channel);
    host_event(RELID);
    settle();
    VmbChannelDisable(driver.channel);
    host_event(RELID);
    settle();
    driver_end(&driver);
}

static void a_host_cannot_fill_the_console(void **state)
{
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;
    const unsigned times = 200;

    (void)state;
    driver_make(&driver);
    for (unsigned i = 0; i < times; i++) {
        driver.trace[0] = 0;
        driver_start(&driver);
        host_set_write_index(RELID, 4);
        settle();
        assert_trace(&driver, CLOSED);
    }
    assert_int_equal(vmbus_test_lines("closing the channel"), KMCL_WARNINGS_LIMIT);
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.RingFaults, times);
    driver_end(&driver);
}

static void a_broken_channel_leaves_others_alone(void **state)
{
    struct driver bad = {0};
    struct driver good = {0};
    struct host_offer offer = host_plain_offer(RELID + 1);
    UINT64 word = 1;

    (void)state;
    driver_start(&bad);
    driver_start(&good);
    host_add(&offer);
    settle();
    host_set_write_index(RELID, 3);
    (void)host_put_inband(RELID + 1, 1, false, &word, 8);
    settle();
    assert_trace(&bad, CLOSED);
    assert_int_equal(good.packets, 1);
    assert_string_equal(KmclChannelStateName(good.channel), "active");
    driver_end(&bad);
    driver_end(&good);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(a_completion_of_id_zero_closes_the_channel),
        kmcl_test(a_completion_of_a_free_slot_closes_the_channel),
        kmcl_test(a_completion_with_an_address_as_id_closes_the_channel),
        kmcl_test(a_completion_of_all_ones_closes_the_channel),
        kmcl_test(a_repeated_completion_is_not_delivered_twice),
        kmcl_test(a_completion_of_an_earlier_generation_is_not_delivered),
        kmcl_test(a_completion_of_a_packet_that_is_still_queued_finds_nothing),
        kmcl_test(a_large_completion_is_delivered_whole),
        kmcl_test(no_memory_for_a_large_completion_is_told_to_the_routine),
        kmcl_test(no_memory_for_a_large_packet_closes_the_channel),
        kmcl_test(write_indices_out_of_bounds_close_the_channel),
        kmcl_test(read_indices_out_of_bounds_close_the_channel),
        kmcl_test(a_bad_read_index_is_found_by_a_request_that_may_not_wait),
        kmcl_test(a_bad_write_index_is_found_when_the_host_waits_for_room),
        kmcl_test(descriptors_that_contradict_themselves_close_the_channel),
        kmcl_test(packets_that_are_not_for_a_client_are_dropped_and_counted),
        kmcl_test(a_flood_of_rubbish_is_bounded_work),
        kmcl_test(answers_that_are_not_taken_cost_a_bounded_memory),
        kmcl_test(room_for_answers_that_comes_at_the_end_of_a_batch_is_noticed),
        kmcl_test(events_without_cause_deliver_nothing),
        kmcl_test(a_host_cannot_fill_the_console),
        kmcl_test(a_broken_channel_leaves_others_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
