/* SPDX-License-Identifier: MIT */
/* What stands in ring memory, byte for byte. */

#include "tests/unit/ring/fixture.h"

static struct test_ring ring;

static int open_one_page(void **state)
{
    (void)state;
    test_ring_open(&ring, 1);
    return 0;
}

static int open_fifteen_pages(void **state)
{
    (void)state;
    test_ring_open(&ring, 15);
    return 0;
}

static int close_ring(void **state)
{
    (void)state;
    test_ring_close(&ring);
    return 0;
}

/* Compares `count` bytes from ring offset `start` on, across the end of the area. */
static void assert_ring_bytes(uint32_t start, const unsigned char *bytes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (ring.data[(start + i) % ring.size] != bytes[i])
            fail_msg("byte 0x%x of the packet: 0x%02x, should be 0x%02x", i,
                     ring.data[(start + i) % ring.size], bytes[i]);
    }
}

static void writer_leaves_a_control_page_with_its_feature_bit_alone(void **state)
{
    /* The guest->host control page before OPEN. */
    unsigned char expected[RING_PAGE_SIZE] = {0};

    (void)state;
    expected[0x40] = 1;
    assert_memory_equal(ring.control, expected, sizeof(expected));
}

static void reader_leaves_a_zero_control_page(void **state)
{
    static const unsigned char expected[RING_PAGE_SIZE];

    (void)state;
    memset((void *)ring.control, 0, RING_PAGE_SIZE);
    assert_int_equal(ring_reader_attach(&ring.reader, ring.control, ring.data, ring.size), RING_OK);
    assert_memory_equal(ring.control, expected, sizeof(expected));
}

static void first_in_band_packet(void **state)
{
    static const unsigned char wire[] = {
        0x06, 0x00, 0x02, 0x00, 0x04, 0x00, 0x01, 0x00, /* descriptor */
        0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* transaction id */
        0x56, 0x4d, 0x42, 0x75, 0x73, 0x2d, 0x70, 0x69,
        0x6e, 0x67, 0x21, 0x21, 0x00, 0x00, 0x00, 0x00, /* payload, pad */
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, /* trailer */
    };
    struct ring_packet_out packet = {
        .type = RING_PACKET_DATA_INBAND,
        .flags = RING_PACKET_FLAG_COMPLETION_REQUESTED,
        .transaction_id = 1,
        .payload = "VMBus-ping!!",
        .payload_length = 12,
    };

    (void)state;
    memset(ring.data, 0xee, ring.size);
    assert_int_equal(ring_writer_put(&ring.writer, &packet), RING_OK);
    assert_ring_bytes(0, wire, sizeof(wire));
    assert_int_equal(ring.data[sizeof(wire)], 0xee);
    assert_true(ring_writer_commit(&ring.writer)); /* into an empty ring: one signal */
    assert_int_equal(test_ring_words(&ring).write_index, 0x28);
}

static void completion_received(void **state)
{
    static const unsigned char wire[] = {
        0x0b, 0x00, 0x02, 0x00, 0x03, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x78, 0x56,
        0x34, 0x12, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    static const unsigned char expected[] = {0x00, 0x00, 0x00, 0x00, 0x78, 0x56, 0x34, 0x12};
    unsigned char *buffer = test_guarded(8);
    struct ring_packet_in packet;

    (void)state;
    memcpy(ring.data, wire, sizeof(wire));
    ring.control->write_index = 0x20;
    assert_int_equal(ring_reader_next(&ring.reader, buffer, 8, &packet), RING_OK);
    assert_int_equal(packet.type, RING_PACKET_COMPLETION);
    assert_int_equal(packet.flags, 0);
    assert_int_equal(packet.transaction_id, 1);
    assert_int_equal(packet.extension_length, 0);
    assert_int_equal(packet.payload_length, 8);
    assert_memory_equal(buffer, expected, 8);
    assert_false(ring_reader_publish(&ring.reader));
    assert_int_equal(test_ring_words(&ring).read_index, 0x20);
}

static void in_band_packet_cut_behind_its_descriptor(void **state)
{
    static const unsigned char wire[] =
        {
            0x06, 0x00, 0x02, 0x00, 0x04, 0x00, 0x00, 0x00, 0x11, 0x00, 0x00, 0x00, 0x00,
            0x00, /* last at the end */
            0x00, 0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b,
            0x0c, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0xf0, 0x0f, 0x00, 0x00,
        };
    static const unsigned char payload[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};
    struct ring_packet_out packet = {.type = RING_PACKET_DATA_INBAND,
                                     .transaction_id = 0x11,
                                     .payload = payload,
                                     .payload_length = sizeof(payload)};

    (void)state;
    test_ring_start_at(&ring, 0xff0);
    memset(ring.data, 0xee, ring.size);
    assert_int_equal(ring_writer_put(&ring.writer, &packet), RING_OK);
    assert_ring_bytes(0xff0, wire, sizeof(wire));
    assert_int_equal(ring.data[0x18], 0xee);
    assert_int_equal(ring.data[0xfef], 0xee);
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(test_ring_words(&ring).write_index, 0x18);
}

static void gpa_direct_packet_of_one_range_of_two_pages(void **state)
{
    static const unsigned char wire[] = {
        0x09, 0x00, 0x06, 0x00, 0x07, 0x00, 0x01, 0x00, 0x02, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x10,
        0x00, 0x00, 0x00, 0x0f, 0x00, 0x00, 0x00, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x01, 0x30, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x88, 0x77, 0x66, 0x55,
        0x44, 0x33, 0x22, 0x11, 0x00, 0x00, 0x00, 0x00, 0x28, 0x00, 0x00, 0x00,
    };
    const struct {
        struct ring_gpa_direct_header header;
        struct ring_gpa_range range;
        uint64_t frames[2];
    } head = {{.range_count = 1}, {.byte_count = 0x1000, .byte_offset = 0xf00}, {0x3000, 0x3001}};
    const uint64_t payload = 0x1122334455667788;
    struct ring_packet_out packet = {
        .type = RING_PACKET_DATA_GPA_DIRECT,
        .flags = RING_PACKET_FLAG_COMPLETION_REQUESTED,
        .transaction_id = 2,
        .head = &head,
        .head_length = sizeof(head),
        .extension_length = sizeof(head),
        .payload = &payload,
        .payload_length = sizeof(payload),
    };

    (void)state;
    test_ring_start_at(&ring, 0x28);
    assert_int_equal(ring_writer_put(&ring.writer, &packet), RING_OK);
    assert_ring_bytes(0x28, wire, sizeof(wire));
    (void)ring_writer_commit(&ring.writer);
    assert_int_equal(test_ring_words(&ring).write_index, 0x28 + 64);
}

static const unsigned char transfer_pages_wire[] = {
    0x07, 0x00, 0x04, 0x00, 0x05, 0x00, 0x01, 0x00, 0x77, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xfe, 0xca, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0xea, 0x05, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x20, 0x00, 0x00, 0x00,
};

static void transfer_pages_packet_received(void **state)
{
    unsigned char *buffer = test_guarded(24);
    struct ring_packet_in packet;
    struct ring_transfer_pages pages;
    struct ring_transfer_page_range range;

    (void)state;
    test_ring_start_at(&ring, 0x20);
    memcpy(ring.data + 0x20, transfer_pages_wire, sizeof(transfer_pages_wire));
    ring.control->write_index = 0x20 + sizeof(transfer_pages_wire);
    assert_int_equal(ring_reader_next(&ring.reader, buffer, 24, &packet), RING_OK);
    assert_int_equal(packet.type, RING_PACKET_DATA_TRANSFER_PAGES);
    assert_int_equal(packet.flags, RING_PACKET_FLAG_COMPLETION_REQUESTED);
    assert_int_equal(packet.transaction_id, 0x77);
    assert_int_equal(packet.extension_length, 16);
    assert_int_equal(packet.payload_length, 8);
    assert_true(ring_transfer_pages_parse(buffer, packet.extension_length, &pages));
    assert_int_equal(pages.set_id, 0xcafe);
    assert_int_equal(pages.range_count, 1);
    range = ring_transfer_pages_range(&pages, 0);
    assert_int_equal(range.byte_count, 1514);
    assert_int_equal(range.byte_offset, 0x2000);
}

static void transfer_pages_packet_sent(void **state)
{
    struct ring_packet_out packet = {
        .type = RING_PACKET_DATA_TRANSFER_PAGES,
        .flags = RING_PACKET_FLAG_COMPLETION_REQUESTED,
        .transaction_id = 0x77,
        .head = transfer_pages_wire + 16,
        .head_length = 16,
        .extension_length = 16,
        .payload = transfer_pages_wire + 32,
        .payload_length = 8,
    };

    (void)state;
    test_ring_start_at(&ring, 0x20);
    assert_int_equal(ring_writer_put(&ring.writer, &packet), RING_OK);
    assert_ring_bytes(0x20, transfer_pages_wire, sizeof(transfer_pages_wire));
}

static void pipe_header_counts_as_payload(void **state)
{
    static const unsigned char wire[] = {
        0x06, 0x00, 0x02, 0x00, 0x04, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
        0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x05, 0x00, 0x00, 0x00, 0x68, 0x65, 0x6c, 0x6c,
        0x6f, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    };
    const uint32_t pipe_header[2] = {1, 5};
    struct ring_packet_out packet = {
        .type = RING_PACKET_DATA_INBAND,
        .head = pipe_header,
        .head_length = sizeof(pipe_header),
        .payload = "hello",
        .payload_length = 5,
    };

    (void)state;
    memset(ring.data, 0xee, ring.size);
    assert_int_equal(ring_writer_put(&ring.writer, &packet), RING_OK);
    assert_ring_bytes(0, wire, sizeof(wire));
}

static void sizes_are_those_of_the_table(void **state)
{
    (void)state;
    assert_int_equal(ring_packet_size(0, 4000), 4024);
    assert_int_equal(ring_packet_size(0, 0), 24);
    for (uint32_t payload = 0; payload < 100; payload++) {
        uint32_t words = (payload + 7) / 8;

        assert_int_equal(ring_packet_size(0, payload), 24 + 8 * words);
        for (uint32_t frames = 1; frames < 5; frames++)
            assert_int_equal(ring_packet_size(16 + 8 * frames, payload),
                             40 + 8 * frames + 8 * words);
    }
    assert_true(ring_packet_size(UINT32_MAX & ~7u, UINT32_MAX) ==
                UINT64_C(24) + 0xfffffff8 + 0x100000000);
}

#define IN(fixture, name) cmocka_unit_test_setup_teardown(name, fixture, close_ring)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN(open_fifteen_pages, writer_leaves_a_control_page_with_its_feature_bit_alone),
        IN(open_fifteen_pages, reader_leaves_a_zero_control_page),
        IN(open_fifteen_pages, first_in_band_packet),
        IN(open_fifteen_pages, completion_received),
        IN(open_one_page, in_band_packet_cut_behind_its_descriptor),
        IN(open_one_page, gpa_direct_packet_of_one_range_of_two_pages),
        IN(open_one_page, transfer_pages_packet_received),
        IN(open_one_page, transfer_pages_packet_sent),
        IN(open_one_page, pipe_header_counts_as_payload),
        cmocka_unit_test(sizes_are_those_of_the_table),
    };

    return cmocka_run_group_tests_name("ring wire", tests, NULL, NULL);
}
