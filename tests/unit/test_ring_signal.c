/* SPDX-License-Identifier: MIT */
/* When the other end must be signalled: decisions against the rules restated, and no wake-up lost
 * in any order of steps. */

#include <stdlib.h>

#include "tests/unit/ring/access.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static struct test_ring ring;

static int open_ring(void **state)
{
    (void)state;
    test_ring_open(&ring, 1);
    return 0;
}

static int close_ring(void **state)
{
    (void)state;
    test_ring_close(&ring);
    return 0;
}

/* Every index of a ring of one page, good and bad, where the loops below can afford it; else these.
 */
static const uint32_t some_indices[] = {0,    8,    16,   24,   32,   1024, 2040,
                                        2048, 3072, 4056, 4064, 4072, 4080, 4088};

/* ---- new data ---- */

static void commit_signals_as_the_rules_say(void **state)
{
    static const unsigned char payload[4096];
    const uint32_t masks[] = {0, 1, 0x80000000};
    const uint32_t lengths[] = {24, 32, 48, 2048, 4080};
    unsigned signals = 0;

    (void)state;
    for (size_t s = 0; s < COUNT(some_indices); s++) {
        for (size_t l = 0; l < COUNT(lengths); l++) {
            for (uint32_t read_index = 0; read_index < 4104;
                 read_index += read_index % 8 == 0 ? 1 : 7) {
                for (size_t m = 0; m < COUNT(masks); m++) {
                    struct ring_packet_out out = {
                        .type = 6, .payload = payload, .payload_length = lengths[l] - 24};
                    bool expected =
                        spec_reader_must_be_signalled(4096, some_indices[s], read_index, masks[m]);
                    bool bad = masks[m] == 0 && (read_index >= 4096 || read_index % 8 != 0);

                    test_ring_start_at(&ring, some_indices[s]);
                    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
                    ring.control->read_index = read_index;
                    ring.control->interrupt_mask = masks[m];
                    assert_int_equal(ring_writer_commit(&ring.writer), expected);
                    assert_int_equal(ring.writer.fault.kind,
                                     bad ? RING_FAULT_READ_INDEX : RING_FAULT_NONE);
                    assert_int_equal(ring.control->write_index,
                                     (some_indices[s] + lengths[l]) % 4096);
                    signals += expected;
                }
            }
        }
    }
    assert_int_equal(signals, COUNT(some_indices) * COUNT(lengths));
}

static void a_burst_is_one_signal_measured_from_its_first_packet(void **state)
{
    struct ring_packet_out out = {.type = 6, .payload = "x", .payload_length = 1};

    (void)state;
    for (uint32_t burst = 1; burst <= 64; burst++) {
        test_ring_start_at(&ring, 8 * burst);
        for (uint32_t i = 0; i < burst; i++)
            assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
        assert_true(ring_writer_commit(&ring.writer));
        assert_false(ring_writer_commit(&ring.writer)); /* nothing new */
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
        assert_false(ring_writer_commit(&ring.writer)); /* not empty when the burst began */
    }
}

static void nothing_staged_stores_nothing(void **state)
{
    (void)state;
    ring.control->write_index = 0x1234;
    assert_false(ring_writer_commit(&ring.writer));
    assert_int_equal(ring.control->write_index, 0x1234);
    ring.control->read_index = 0x4321;
    assert_false(ring_reader_publish(&ring.reader));
    assert_int_equal(ring.control->read_index, 0x4321);
}

static void ping_pong_signals_each_time_and_a_lagging_reader_never(void **state)
{
    unsigned signals = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        signals += test_send(&ring, 8, 1);
        test_expect(&ring, 8, 1);
        (void)ring_reader_publish(&ring.reader);
    }
    assert_int_equal(signals, 1000);
    assert_true(test_send(&ring, 8, 2));
    for (int i = 0; i < 1000; i++) { /* one always stays in the ring */
        assert_false(test_send(&ring, 8, 2));
        test_expect(&ring, 8, 2);
        (void)ring_reader_publish(&ring.reader);
    }
}

static void a_masked_reader_is_not_signalled_and_looks_again(void **state)
{
    (void)state;
    ring_reader_mask(&ring.reader);
    assert_int_equal(ring.control->interrupt_mask, 1);
    assert_false(test_send(&ring, 8, 1));
    assert_true(ring_reader_unmask(&ring.reader));
    assert_int_equal(ring.control->interrupt_mask, 0);
    ring_reader_mask(&ring.reader);
    test_expect(&ring, 8, 1);
    (void)ring_reader_publish(&ring.reader);
    assert_false(ring_reader_unmask(&ring.reader));
    assert_true(test_send(&ring, 8, 2));
}

static void the_mask_of_the_outgoing_ring_is_never_written(void **state)
{
    struct ring_packet_out out = {.type = 6};

    (void)state;
    ring.control->interrupt_mask = 0xabcd;
    assert_int_equal(ring_writer_attach(&ring.writer, ring.control, ring.data, ring.size), RING_OK);
    while (ring_writer_put(&ring.writer, &out) == RING_OK)
        (void)ring_writer_commit(&ring.writer);
    (void)ring_writer_arm(&ring.writer, 24);
    ring_writer_disarm(&ring.writer);
    assert_int_equal(ring.control->interrupt_mask, 0xabcd);
    assert_int_equal(ring.control->read_index, 0);
}

static void a_reader_writes_its_own_words_only(void **state)
{
    (void)state;
    (void)test_send(&ring, 100, 1);
    ring.control->pending_send_size = 0x101;
    ring.control->feature_bits = 0xfffffff1;
    ring_reader_mask(&ring.reader);
    test_expect(&ring, 100, 1);
    (void)ring_reader_publish(&ring.reader);
    (void)ring_reader_unmask(&ring.reader);
    assert_int_equal(ring.control->write_index, 128);
    assert_int_equal(ring.control->pending_send_size, 0x101);
    assert_int_equal(ring.control->feature_bits, 0xfffffff1);
}

/* ---- freed room ---- */

static void publish_signals_as_the_rules_say(void **state)
{
    const uint32_t pendings[] = {
        0,    1,    7,    8,    9,    15,   16,   23,   24,         25,
        40,   1000, 1024, 2047, 2048, 2049, 4071, 4072, 4079,       4080,
        4081, 4087, 4088, 4089, 4095, 4096, 4097, 8192, UINT32_MAX, UINT32_MAX - 7};
    const uint32_t features[] = {0, 1, 2, UINT32_MAX};
    const uint32_t lengths[] = {24, 32, 1024, 2048, 4072, 4080, 4088};
    unsigned signals = 0;

    (void)state;
    for (size_t s = 0; s < COUNT(some_indices); s += 3) {
        for (size_t l = 0; l < COUNT(lengths); l++) {
            for (uint32_t write_index = 0; write_index <= 4104;
                 write_index += write_index % 128 == 120 ? 4
                                : write_index % 8 == 4   ? 4
                                                         : 40) {
                for (size_t p = 0; p < COUNT(pendings); p++) {
                    for (size_t f = 0; f < COUNT(features); f++) {
                        uint32_t start = some_indices[s];
                        uint32_t after = (start + lengths[l]) % 4096;
                        struct ring_packet_in in;
                        bool expected = spec_writer_must_be_signalled(
                            4096, write_index, start, after, pendings[p], features[f]);

                        ring.control->read_index = start;
                        ring.control->write_index = after;
                        assert_int_equal(
                            ring_reader_attach(&ring.reader, ring.control, ring.data, ring.size),
                            RING_OK);
                        test_poke_descriptor(&ring, start, 6, 2, (uint16_t)(lengths[l] / 8 - 1), 0,
                                             0);
                        assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
                        ring_reader_take(&ring.reader, &in, NULL, NULL);
                        ring.control->write_index = write_index;
                        ring.control->pending_send_size = pendings[p];
                        ring.control->feature_bits = features[f];
                        assert_int_equal(ring_reader_publish(&ring.reader), expected);
                        assert_int_equal(ring.control->read_index, after);
                        signals += expected;
                    }
                }
            }
        }
    }
    assert_true(signals > 1000);
}

static void the_crossing_is_signalled_once(void **state)
{
    unsigned signals = 0;
    struct ring_packet_out out = {.type = 6, .payload = "12345678", .payload_length = 8};
    uint32_t count = 0;

    (void)state;
    while (ring_writer_put(&ring.writer, &out) == RING_OK)
        count++;
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(ring_writer_arm(&ring.writer, 32), RING_FULL);
    for (uint32_t i = 0; i < count; i++) {
        struct ring_packet_in in;
        bool signalled;

        assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
        ring_reader_take(&ring.reader, &in, NULL, NULL);
        signalled = ring_reader_publish(&ring.reader);
        signals += signalled;
        /* a quarter of the ring was asked for: just crossed */
        if (signalled)
            assert_in_range(spec_free(4096, ring.control->write_index, ring.control->read_index),
                            1024 + 8, 1024 + 32);
    }
    assert_int_equal(signals, 1);
}

static void the_mask_has_no_say_about_freed_room(void **state)
{
    struct ring_packet_out out = {.type = 6};

    (void)state;
    while (ring_writer_put(&ring.writer, &out) == RING_OK)
        ;
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(ring_writer_arm(&ring.writer, 24), RING_FULL);
    ring_reader_mask(&ring.reader);
    for (struct ring_packet_in in; ring_reader_peek(&ring.reader, &in) == RING_OK;)
        ring_reader_take(&ring.reader, &in, NULL, NULL);
    assert_true(ring_reader_publish(&ring.reader));
}

/* ---- the blocked writer ---- */

/* Museum: what is asked for must be a multiple of 8 and possible; a need of every size. */
static void m18_pending_send_size_is_rounded_and_possible(void **state)
{
    (void)state;
    for (uint64_t need = 1; need <= 4100; need++) {
        struct ring_packet_out out = {.type = 6};
        uint32_t expected = need < 1024 ? 1024 : (uint32_t)need / 8 * 8;
        enum ring_status status;

        test_ring_start_at(&ring, 0);
        while (ring_writer_put(&ring.writer, &out) == RING_OK)
            ;
        (void)ring_writer_commit(&ring.writer);
        status = ring_writer_arm(&ring.writer, need);
        if (need > 4080) {
            assert_int_equal(status, RING_TOO_LARGE);
            assert_int_equal(ring.control->pending_send_size, 0);
        } else if (need <= spec_free(4096, ring.control->write_index, 0) - 8) {
            assert_int_equal(status, RING_OK);
            assert_int_equal(ring.control->pending_send_size, 0);
        } else {
            assert_int_equal(status, RING_FULL);
            assert_int_equal(ring.control->pending_send_size, expected);
            assert_true(ring.control->pending_send_size <= 4096 - 8);
            ring_writer_disarm(&ring.writer);
            assert_int_equal(ring.control->pending_send_size, 0);
        }
    }
}

/* For every need, a reader that frees packet by packet signals, and at the signal there is room. */
static void an_armed_writer_is_woken_when_its_packet_fits(void **state)
{
    (void)state;
    for (uint32_t need = 24; need <= 4080; need += 8) {
        struct ring_packet_out out = {.type = 6};
        struct ring_packet_in in;
        bool woken = false;

        test_ring_start_at(&ring, need);
        while (ring_writer_put(&ring.writer, &out) == RING_OK)
            ;
        (void)ring_writer_commit(&ring.writer);
        if (ring_writer_arm(&ring.writer, need) == RING_OK)
            continue;
        while (!woken) {
            assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
            ring_reader_take(&ring.reader, &in, NULL, NULL);
            woken = ring_reader_publish(&ring.reader);
        }
        assert_int_equal(ring_writer_arm(&ring.writer, need), RING_OK);
    }
}

static void arm_refuses_while_something_is_staged(void **state)
{
    struct ring_packet_out out = {.type = 6};

    (void)state;
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
    assert_int_equal(ring_writer_arm(&ring.writer, 24), RING_BAD_ARGUMENT);
    assert_int_equal(ring.control->pending_send_size, 0);
}

static void disarm_writes_only_what_arm_wrote(void **state)
{
    (void)state;
    ring.control->pending_send_size = 0x77;
    ring_writer_disarm(&ring.writer);
    assert_int_equal(ring.control->pending_send_size, 0x77);
}

/* ---- orders of steps: one end's function, access by access, and the other end acting once in its
 * middle ---- */

static struct {
    bool committed_signal;
    bool looks_again;
    bool published_signal;
    enum ring_status armed;
    bool peer_ran_in_the_middle;
} seen;

static void do_commit(void)
{
    seen.committed_signal = ring_writer_commit(&ring.writer);
}

static void do_unmask(void)
{
    seen.looks_again = ring_reader_unmask(&ring.reader);
}

/* What a reader does at the end of its drain. */
static void do_end_of_drain(void)
{
    struct ring_packet_in in;

    if (ring_reader_peek(&ring.reader, &in) == RING_OK) {
        ring_reader_take(&ring.reader, &in, NULL, NULL);
        seen.looks_again = in.transaction_id == 99; /* the packet in question: taken, all is well */
    }
    seen.published_signal = ring_reader_publish(&ring.reader);
    seen.looks_again |= ring_reader_unmask(&ring.reader);
}

static void do_publish(void)
{
    seen.published_signal = ring_reader_publish(&ring.reader);
}

static void do_arm(void)
{
    seen.armed = ring_writer_arm(&ring.writer, 2000);
}

static void stage(uint64_t transaction_id)
{
    struct ring_packet_out out = {
        .type = 6, .transaction_id = transaction_id, .payload = "12345678", .payload_length = 8};

    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
}

static void draining_reader_of_an_empty_ring(void)
{
    test_ring_start_at(&ring, 4080);
    ring_reader_mask(&ring.reader);
    stage(99);
}

/* All three are taken, but the writer does not know yet. */
static void draining_reader_behind_three_packets(void)
{
    struct ring_packet_in in;

    test_ring_start_at(&ring, 4080);
    for (uint64_t i = 0; i < 3; i++)
        stage(i);
    (void)ring_writer_commit(&ring.writer);
    ring_reader_mask(&ring.reader);
    for (uint64_t i = 0; i < 3; i++) {
        assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
        ring_reader_take(&ring.reader, &in, NULL, NULL);
    }
    stage(99);
}

static void unmasked_reader_behind_three_packets(void)
{
    draining_reader_behind_three_packets();
    ring.control->interrupt_mask = 0;
}

static void blocked_writer(void)
{
    static const unsigned char payload[1000];
    struct ring_packet_out out = {.type = 6, .payload = payload, .payload_length = sizeof(payload)};
    struct ring_packet_in in;

    test_ring_start_at(&ring, 64);
    while (ring_writer_put(&ring.writer, &out) == RING_OK)
        ;
    (void)ring_writer_commit(&ring.writer);
    while (ring_reader_peek(&ring.reader, &in) == RING_OK)
        ring_reader_take(&ring.reader, &in, NULL, NULL);
}

/* Both ways round, before every access; at least one of the two ends must know. */
static void check_all_orders(void (*prepare)(void), void (*one)(void), void (*other)(void),
                             bool (*somebody_knows)(void))
{
    assert_true(access_can_be_interrupted()); /* no such machine: shown nothing, so it fails */
    for (int turn = 0; turn < 2; turn++) {
        void (*function)(void) = turn == 0 ? one : other;
        void (*peer)(void) = turn == 0 ? other : one;
        unsigned k = 0;
        bool in_the_middle = true;

        for (; in_the_middle; k++) {
            memset(&seen, 0, sizeof(seen));
            prepare();
            in_the_middle = interrupt_at_access(&ring, function, peer, k);
            if (!in_the_middle)
                peer();
            if (!somebody_knows())
                fail_msg("lost: turn %d, before access %u", turn, k);
        }
        assert_true(k > 2); /* it was really interrupted */
    }
}

static bool reader_knows(void)
{
    return seen.committed_signal || seen.looks_again;
}

static bool writer_knows(void)
{
    return seen.published_signal || seen.armed == RING_OK;
}

/* Museum: mask read before the index is published, or index read before the mask is cleared: the
 * packet stays until the next one. */
static void m3_no_wake_up_is_lost_between_commit_and_unmask(void **state)
{
    (void)state;
    check_all_orders(draining_reader_of_an_empty_ring, do_commit, do_unmask, reader_knows);
}

static void m3_no_wake_up_is_lost_between_commit_and_the_end_of_a_drain(void **state)
{
    (void)state;
    check_all_orders(draining_reader_behind_three_packets, do_commit, do_end_of_drain,
                     reader_knows);
    check_all_orders(unmasked_reader_behind_three_packets, do_commit, do_end_of_drain,
                     reader_knows);
}

static void m3_no_wake_up_is_lost_between_publish_and_arm(void **state)
{
    (void)state;
    check_all_orders(blocked_writer, do_publish, do_arm, writer_knows);
}

#define IN_RING(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RING(commit_signals_as_the_rules_say),
        IN_RING(a_burst_is_one_signal_measured_from_its_first_packet),
        IN_RING(nothing_staged_stores_nothing),
        IN_RING(ping_pong_signals_each_time_and_a_lagging_reader_never),
        IN_RING(a_masked_reader_is_not_signalled_and_looks_again),
        IN_RING(the_mask_of_the_outgoing_ring_is_never_written),
        IN_RING(a_reader_writes_its_own_words_only),
        IN_RING(publish_signals_as_the_rules_say),
        IN_RING(the_crossing_is_signalled_once),
        IN_RING(the_mask_has_no_say_about_freed_room),
        IN_RING(m18_pending_send_size_is_rounded_and_possible),
        IN_RING(an_armed_writer_is_woken_when_its_packet_fits),
        IN_RING(arm_refuses_while_something_is_staged),
        IN_RING(disarm_writes_only_what_arm_wrote),
        IN_RING(m3_no_wake_up_is_lost_between_commit_and_unmask),
        IN_RING(m3_no_wake_up_is_lost_between_commit_and_the_end_of_a_drain),
        IN_RING(m3_no_wake_up_is_lost_between_publish_and_arm),
    };

    return cmocka_run_group_tests_name("ring signal", tests, NULL, NULL);
}
