/* SPDX-License-Identifier: MIT */
/* Packets through the ring: every place, every size, full, too large, in order. */

#include <stdio.h>
#include <stdlib.h>

#include "tests/unit/ring/fixture.h"

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

/* Writes and reads one packet at `start` in all ways there are, against the other hand's encoding.
 */
static void check_packet_at(uint32_t start, uint32_t head_length, uint32_t extension_length,
                            uint32_t payload_length)
{
    static unsigned char expected[RING_PAGE_SIZE];
    unsigned char head[64];
    unsigned char payload[512];
    uint32_t padded = (payload_length + 7) & ~7u;
    uint32_t body = head_length + padded;
    unsigned char *buffer;
    uint32_t total;
    struct ring_packet_in in;
    struct ring_packet_out out = {
        .type = (uint16_t)(start * 7 + 3),
        .flags = (uint16_t)(start + payload_length),
        .transaction_id = 0x0123456789abcdef ^ start,
        .head = head_length != 0 ? head : NULL,
        .head_length = head_length,
        .extension_length = extension_length,
        .payload = payload,
        .payload_length = payload_length,
    };

    for (uint32_t i = 0; i < head_length; i++)
        head[i] = (unsigned char)(0x80 + i);
    for (uint32_t i = 0; i < payload_length; i++)
        payload[i] = (unsigned char)(1 + i);
    ring.control->write_index = start;
    ring.control->read_index = start;
    assert_int_equal(ring_writer_attach(&ring.writer, ring.control, ring.data, ring.size), RING_OK);
    assert_int_equal(ring_reader_attach(&ring.reader, ring.control, ring.data, ring.size), RING_OK);
    memset(ring.data, 0xee, ring.size);
    memset(expected, 0xee, sizeof(expected));
    total = test_encode(expected, ring.size, start, out.type, out.flags, out.transaction_id, head,
                        head_length, extension_length, payload, payload_length);

    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
    assert_memory_equal(ring.data, expected, ring.size);
    assert_int_equal(ring.control->write_index, start);
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(ring.control->write_index, (start + total) % ring.size);

    /* Peeked at first, which leaves it in place; then in one piece or in two. */
    buffer = test_guarded(body);
    memset(buffer, 0x55, body);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
    if (payload_length % 2 == 0) {
        memset(&in, 0, sizeof(in));
        assert_int_equal(ring_reader_next(&ring.reader, buffer, body, &in), RING_OK);
    } else {
        ring_reader_take(&ring.reader, &in, buffer, buffer + in.extension_length);
    }
    assert_int_equal(in.type, out.type);
    assert_int_equal(in.flags, out.flags);
    assert_int_equal(in.transaction_id, out.transaction_id);
    assert_int_equal(in.extension_length, extension_length);
    assert_int_equal(in.payload_length, body - extension_length);
    assert_memory_equal(buffer, head, head_length);
    assert_memory_equal(buffer + head_length, payload, payload_length);
    for (uint32_t i = payload_length; i < padded; i++)
        assert_int_equal(buffer[head_length + i], 0);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_EMPTY);
    (void)ring_reader_publish(&ring.reader);
    assert_int_equal(ring.control->read_index, (start + total) % ring.size);
}

static void every_place_and_every_small_payload(void **state)
{
    (void)state;
    for (uint32_t start = 0; start < ring.size; start += 8) {
        uint32_t step = start < 256 || start >= ring.size - 256 ? 1 : 5;

        for (uint32_t length = start / 8 % step; length <= 80; length += step)
            check_packet_at(start, 0, 0, length);
    }
}

static void every_place_with_head_and_payload(void **state)
{
    (void)state;
    for (uint32_t start = ring.size - 160; start < ring.size; start += 8) {
        for (uint32_t head = 8; head <= 48; head += 8) {
            for (uint32_t extension = 0; extension <= head; extension += 8) {
                for (uint32_t length = 0; length <= 33; length += 3)
                    check_packet_at(start, head, extension, length);
            }
        }
    }
}

static void every_length_around_the_change_of_copies(void **state)
{
    (void)state;
    for (uint32_t length = 0; length <= 300; length++) {
        check_packet_at(1024, 0, 0, length);
        check_packet_at(ring.size - 152, 0, 0, length);
    }
}

static void a_reader_may_drop_either_part(void **state)
{
    const unsigned char head[16] = "0123456789abcde";
    struct ring_packet_out out = {
        .type = RING_PACKET_DATA_TRANSFER_PAGES,
        .head = head,
        .head_length = 16,
        .extension_length = 16,
        .payload = "payload",
        .payload_length = 8,
    };
    unsigned char extension[16];
    unsigned char payload[8];
    struct ring_packet_in in;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
    ring_reader_take(&ring.reader, &in, extension, NULL);
    assert_memory_equal(extension, head, 16);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
    ring_reader_take(&ring.reader, &in, NULL, payload);
    assert_memory_equal(payload, "payload", 8);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
    ring_reader_take(&ring.reader, &in, NULL, NULL);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_EMPTY);
}

static void nothing_is_seen_before_commit(void **state)
{
    struct ring_packet_out out = {
        .type = RING_PACKET_DATA_INBAND, .payload = "x", .payload_length = 1};
    struct ring_packet_in in;

    (void)state;
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_EMPTY);
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
}

static void room_comes_back_only_with_publish(void **state)
{
    struct ring_packet_out out = {
        .type = RING_PACKET_DATA_INBAND, .payload = ring.mapping, .payload_length = 0};
    unsigned char *large = calloc(1, ring.size);

    (void)state;
    out.payload = large;
    out.payload_length = ring.size / 2;
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_FULL);
    test_expect(&ring, ring.size / 2, 0);
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_FULL);
    assert_int_equal(ring.writer.full, 2);
    (void)ring_reader_publish(&ring.reader);
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
    free(large);
}

/* Museum: an exact fill makes the ring look empty, and loses all it holds. From every place, with
 * the last packet of every size. */
static void m2_ring_is_never_filled_exactly(void **state)
{
    unsigned char *payload = calloc(1, ring.size);

    (void)state;
    for (uint32_t start = 0; start < ring.size; start += 8) {
        uint32_t left = ring.size;
        struct ring_packet_out out = {.type = RING_PACKET_DATA_INBAND, .payload = payload};
        uint32_t count = 0;
        struct ring_packet_in in;

        test_ring_start_at(&ring, start);
        out.payload_length = start % 512;
        while (ring_packet_size(0, out.payload_length) < left) {
            assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
            left -= (uint32_t)ring_packet_size(0, out.payload_length);
            count++;
        }
        /* What is left would be filled to the last byte, or more, by this packet and by every
         * larger one. */
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_FULL);
        if (left >= 24) {
            out.payload_length = left - 24;
            assert_int_equal(ring_writer_put(&ring.writer, &out), RING_FULL);
        }
        if (left >= 32) { /* but the word less fits */
            out.payload_length = left - 32;
            assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
            left = 8;
            count++;
        }
        (void)ring_writer_commit(&ring.writer);
        assert_int_equal(spec_free(ring.size, ring.control->write_index, ring.control->read_index),
                         left);
        assert_true(left >= 8);
        for (; count != 0; count--) {
            assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
            ring_reader_take(&ring.reader, &in, NULL, NULL);
        }
        assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_EMPTY);
    }
    free(payload);
}

static void largest_packet_is_the_data_size_less_16(void **state)
{
    unsigned char *payload = calloc(1, ring.size);
    struct ring_packet_out out = {.type = RING_PACKET_DATA_INBAND, .payload = payload};
    uint32_t starts[] = {0, 8, 16, 24, 2048, ring.size - 16, ring.size - 8};

    (void)state;
    assert_int_equal(ring_writer_largest(&ring.writer), ring.size - 16);
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        test_ring_start_at(&ring, starts[i]);
        out.payload_length = ring.size - 16 - 24 + 1;
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_TOO_LARGE);
        out.payload_length = ring.size - 16 - 24;
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_FULL);
        (void)ring_writer_commit(&ring.writer);
        test_expect(&ring, out.payload_length, 0);
    }
    free(payload);
}

static void lengths_that_overflow_are_too_large(void **state)
{
    static const unsigned char nothing[8];
    struct ring_packet_out out = {.type = RING_PACKET_DATA_INBAND, .payload = nothing};

    (void)state;
    for (uint32_t i = 0; i < 64; i++) {
        out.head_length = 0;
        out.payload_length = UINT32_MAX - i;
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_TOO_LARGE);
        out.head = nothing;
        out.head_length = (UINT32_MAX - i) & ~7u;
        out.extension_length = 0;
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_TOO_LARGE);
        out.payload_length = i;
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_TOO_LARGE);
    }
    assert_int_equal(ring_writer_put(&ring.writer, &(struct ring_packet_out){.type = 6}), RING_OK);
}

static void a_packet_is_limited_by_the_width_of_its_length(void **state)
{
    struct test_ring large;
    unsigned char *payload = malloc(RING_PACKET_SIZE_MAX);
    struct ring_packet_out out = {.type = RING_PACKET_DATA_INBAND, .payload = payload};
    struct ring_packet_in in;

    (void)state;
    for (uint32_t i = 0; i < RING_PACKET_SIZE_MAX; i++)
        payload[i] = (unsigned char)(i * 11);
    test_ring_open(&large, 259);
    assert_int_equal(ring_writer_largest(&large.writer), 524288);
    for (uint32_t round = 0; round < 9; round++) {
        unsigned char *buffer = test_guarded(524280 - 16);

        out.payload_length = 524280 - 16 + 1;
        assert_int_equal(ring_writer_put(&large.writer, &out), RING_TOO_LARGE);
        out.payload_length = 524280 - 16;
        assert_int_equal(ring_writer_put(&large.writer, &out), RING_OK);
        (void)ring_writer_commit(&large.writer);
        assert_int_equal(ring_reader_next(&large.reader, buffer, out.payload_length, &in), RING_OK);
        assert_int_equal(in.payload_length, out.payload_length);
        assert_memory_equal(buffer, payload, out.payload_length);
        (void)ring_reader_publish(&large.reader);
    }
    free(payload);
    test_ring_close(&large);
}

static void head_lengths_are_checked(void **state)
{
    static const unsigned char head[32];
    struct ring_packet_out out = {.type = RING_PACKET_DATA_GPA_DIRECT, .head = head};

    (void)state;
    for (uint32_t length = 0; length <= 32; length++) {
        for (uint32_t extension = 0; extension <= 40; extension++) {
            bool good =
                length == 0 || (length % 8 == 0 && extension % 8 == 0 && extension <= length);

            test_ring_start_at(&ring, 0);
            out.head_length = length;
            out.extension_length = extension;
            assert_int_equal(ring_writer_put(&ring.writer, &out),
                             good ? RING_OK : RING_BAD_ARGUMENT);
            assert_int_equal(ring_writer_commit(&ring.writer), good);
        }
    }
}

static void data_size_must_be_whole_pages(void **state)
{
    struct ring_writer writer;
    struct ring_reader reader;
    const uint32_t bad[] = {
        0, 8, 4095, 4097, 4096 + 8, 8192 - 8, RING_DATA_SIZE_MAX + 4096, 0xfffff000, UINT32_MAX};

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(ring_writer_attach(&writer, ring.control, ring.data, bad[i]),
                         RING_BAD_ARGUMENT);
        assert_int_equal(ring_reader_attach(&reader, ring.control, ring.data, bad[i]),
                         RING_BAD_ARGUMENT);
    }
    assert_int_equal(ring_writer_attach(&writer, ring.control, ring.data, RING_DATA_SIZE_MAX),
                     RING_OK);
}

static void a_packet_that_does_not_fit_stays_and_can_be_taken_or_dropped(void **state)
{
    const uint32_t starts[] = {
        0, ring.size - 8, ring.size - 16, ring.size - 24, ring.size - 64, ring.size - 128};

    (void)state;
    for (size_t i = 0; i < sizeof(starts) / sizeof(starts[0]); i++) {
        struct ring_packet_in in;
        unsigned char *buffer = test_guarded(80);

        test_ring_start_at(&ring, starts[i]);
        (void)test_send(&ring, 88, 1);
        (void)test_send(&ring, 80, 2);
        memset(buffer, 0x77, 80);
        assert_int_equal(ring_reader_next(&ring.reader, buffer, 80, &in), RING_TOO_LARGE);
        assert_int_equal(in.transaction_id, 1);
        assert_int_equal(in.payload_length, 88);
        for (int byte = 0; byte < 80; byte++)
            assert_int_equal(buffer[byte], 0x77);
        assert_int_equal(ring.reader.index, starts[i]);
        if (i % 2 == 0) {
            ring_reader_take(&ring.reader, &in, NULL, NULL);
        } else {
            test_expect(&ring, 88, 1);
        }
        test_expect(&ring, 80, 2);
    }
}

/* Museum: a small packet that fits must not be put in front of one that did not. The ring itself
 * has no queue: what went in comes out so. */
static void m21_packets_come_out_in_the_order_they_went_in(void **state)
{
    unsigned char *payload = calloc(1, ring.size);
    struct ring_packet_out large = {.type = 6, .payload = payload, .payload_length = 3000};
    struct ring_packet_out small = {.type = 6, .payload = payload, .payload_length = 8};
    struct ring_packet_in in;
    uint64_t received = 0;

    (void)state;
    for (uint64_t id = 0; id < 500; id++) {
        struct ring_packet_out *out = id % 3 == 0 ? &large : &small;

        out->transaction_id = id;
        while (ring_writer_put(&ring.writer, out) == RING_FULL) {
            /* The one that waits is tried again and again; nothing behind it is. */
            (void)ring_writer_commit(&ring.writer);
            assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_OK);
            assert_int_equal(in.transaction_id, received++);
            ring_reader_take(&ring.reader, &in, NULL, NULL);
            (void)ring_reader_publish(&ring.reader);
        }
    }
    (void)ring_writer_commit(&ring.writer);
    while (ring_reader_peek(&ring.reader, &in) == RING_OK) {
        assert_int_equal(in.transaction_id, received++);
        ring_reader_take(&ring.reader, &in, NULL, NULL);
    }
    assert_int_equal(received, 500);
    free(payload);
}

/* Random traffic in bursts, in rings of several sizes, against a queue in ordinary memory. */
static void random_traffic_in_rings_of_any_size(void **state)
{
    enum { QUEUE = 4096 };
    static struct {
        uint64_t id;
        uint32_t head;
        uint32_t payload;
    } queue[QUEUE];
    const uint32_t pages[] = {1, 2, 3, 5, 7, 16};
    uint64_t random = test_seed();
    unsigned char bytes[2048];
    uint64_t sent_total = 0;

    (void)state;
    for (uint32_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (unsigned char)test_random(&random);
    for (size_t size = 0; size < sizeof(pages) / sizeof(pages[0]); size++) {
        struct test_ring some;
        uint64_t sent = 0;
        uint64_t received = 0;

        test_ring_open(&some, pages[size]);
        for (uint32_t round = 0; round < 4000; round++) {
            for (uint64_t burst = test_random(&random) % 12; burst != 0; burst--) {
                uint32_t head =
                    (uint32_t)(test_random(&random) % 4 == 0 ? test_random(&random) % 6 * 8 : 0);
                uint32_t payload =
                    (uint32_t)(test_random(&random) % (test_random(&random) % 8 == 0 ? 1900 : 100));
                struct ring_packet_out out = {
                    .type = RING_PACKET_DATA_INBAND,
                    .transaction_id = sent,
                    .head = head != 0 ? bytes + sent % 8 : NULL,
                    .head_length = head,
                    .extension_length = (uint32_t)(sent % 2 == 0 ? head : 0),
                    .payload = bytes + sent % 64,
                    .payload_length = payload,
                };

                if (sent - received == QUEUE || ring_writer_put(&some.writer, &out) != RING_OK)
                    break;
                queue[sent % QUEUE].id = sent;
                queue[sent % QUEUE].head = head;
                queue[sent % QUEUE].payload = payload;
                sent++;
            }
            (void)ring_writer_commit(&some.writer);
            for (uint64_t burst = test_random(&random) % 12; burst != 0 && received < sent;
                 burst--) {
                uint32_t head = queue[received % QUEUE].head;
                uint32_t payload = queue[received % QUEUE].payload;
                unsigned char *buffer = test_guarded(head + ((payload + 7) & ~7u));
                struct ring_packet_in in;

                assert_int_equal(
                    ring_reader_next(&some.reader, buffer, head + ((payload + 7) & ~7u), &in),
                    RING_OK);
                assert_int_equal(in.transaction_id, received);
                assert_int_equal(in.extension_length, received % 2 == 0 ? head : 0);
                assert_int_equal(in.extension_length + in.payload_length,
                                 head + ((payload + 7) & ~7u));
                assert_memory_equal(buffer, bytes + received % 8, head);
                assert_memory_equal(buffer + head, bytes + received % 64, payload);
                received++;
            }
            (void)ring_reader_publish(&some.reader);
        }
        sent_total += sent;
        test_ring_close(&some);
    }
    assert_true(sent_total > 50000);
}

#define IN_RING(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RING(every_place_and_every_small_payload),
        IN_RING(every_place_with_head_and_payload),
        IN_RING(every_length_around_the_change_of_copies),
        IN_RING(a_reader_may_drop_either_part),
        IN_RING(nothing_is_seen_before_commit),
        IN_RING(room_comes_back_only_with_publish),
        IN_RING(m2_ring_is_never_filled_exactly),
        IN_RING(largest_packet_is_the_data_size_less_16),
        IN_RING(lengths_that_overflow_are_too_large),
        cmocka_unit_test(a_packet_is_limited_by_the_width_of_its_length),
        IN_RING(head_lengths_are_checked),
        IN_RING(data_size_must_be_whole_pages),
        IN_RING(a_packet_that_does_not_fit_stays_and_can_be_taken_or_dropped),
        IN_RING(m21_packets_come_out_in_the_order_they_went_in),
        cmocka_unit_test(random_traffic_in_rings_of_any_size),
    };

    return cmocka_run_group_tests_name("ring copy", tests, NULL, NULL);
}
