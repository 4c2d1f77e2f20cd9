/* SPDX-License-Identifier: MIT */
/* The other end writes what it likes, when it likes: the ring breaks cleanly or goes on, and
 * nothing outside is touched. */

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

static const uint32_t bad_indices[] = {
    1,    2,    4,    7,    9,       12,         4087,       4089,       4095,
    4096, 4097, 4104, 8192, 0x10000, 0x7ffffff8, 0x80000000, 0xfffffff8, UINT32_MAX};

/* Every function of a broken reader answers so, and stores nothing, whatever the index says by
 * then. */
static void assert_reader_stays_broken(enum ring_fault_kind kind, uint64_t value)
{
    unsigned char buffer[16];
    struct ring_packet_in in;
    struct test_words before;
    struct test_words after;

    assert_int_equal(ring.reader.fault.kind, kind);
    assert_int_equal(ring.reader.fault.value, value);
    ring.control->write_index = 64;
    before = test_ring_words(&ring);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_reader_next(&ring.reader, buffer, sizeof(buffer), &in), RING_CORRUPT);
        assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_CORRUPT);
        assert_false(ring_reader_publish(&ring.reader));
    }
    after = test_ring_words(&ring);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_false(ring_reader_unmask(&ring.reader)); /* so that no drain goes round for ever */
    assert_int_equal(ring.reader.fault.kind, kind); /* the first fault is the one reported */
    assert_int_equal(ring.reader.fault.value, value);
}

static void assert_writer_stays_broken(enum ring_fault_kind kind, uint64_t value)
{
    struct ring_packet_out out = {.type = 6};
    struct test_words before;
    struct test_words after;

    assert_int_equal(ring.writer.fault.kind, kind);
    assert_int_equal(ring.writer.fault.value, value);
    ring.control->read_index = ring.control->write_index;
    before = test_ring_words(&ring);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(ring_writer_put(&ring.writer, &out), RING_CORRUPT);
        assert_int_equal(ring_writer_arm(&ring.writer, 24), RING_CORRUPT);
        assert_false(ring_writer_commit(&ring.writer));
    }
    after = test_ring_words(&ring);
    assert_memory_equal(&before, &after, sizeof(before));
    assert_int_equal(ring.writer.fault.value, value);
}

static void bad_write_index_breaks_the_reader(void **state)
{
    unsigned char buffer[16];
    struct ring_packet_in in;

    (void)state;
    for (size_t i = 0; i < COUNT(bad_indices); i++) {
        for (int peek = 0; peek < 2; peek++) {
            test_ring_start_at(&ring, 8 * (uint32_t)i);
            ring.control->write_index = bad_indices[i];
            assert_int_equal(peek ? ring_reader_peek(&ring.reader, &in)
                                  : ring_reader_next(&ring.reader, buffer, sizeof(buffer), &in),
                             RING_CORRUPT);
            assert_reader_stays_broken(RING_FAULT_WRITE_INDEX, bad_indices[i]);
        }
    }
}

static void bad_write_index_is_no_reason_to_sleep(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_indices); i++) {
        struct ring_packet_in in;

        test_ring_start_at(&ring, 0);
        ring_reader_mask(&ring.reader);
        ring.control->write_index = bad_indices[i];
        assert_true(ring_reader_unmask(&ring.reader));
        assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_CORRUPT);
        assert_false(ring_reader_unmask(&ring.reader));
    }
}

static void bad_write_index_while_publishing_breaks_the_reader(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_indices); i++) {
        test_ring_start_at(&ring, 8);
        (void)test_send(&ring, 8, 1);
        test_expect(&ring, 8, 1);
        ring.control->write_index = bad_indices[i];
        ring.control->pending_send_size = 4088;
        assert_false(ring_reader_publish(&ring.reader));
        assert_reader_stays_broken(RING_FAULT_WRITE_INDEX, bad_indices[i]);
    }
}

static void a_broken_reader_gives_nothing_back(void **state)
{
    struct ring_packet_in in;

    (void)state;
    (void)test_send(&ring, 8, 1);
    (void)test_send(&ring, 8, 2);
    test_poke_descriptor(&ring, 32, 6, 2, 0xffff, 0, 0);
    test_expect(&ring, 8, 1);
    assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_CORRUPT);
    assert_reader_stays_broken(RING_FAULT_LENGTH, 0x0000ffff00020006);
    assert_int_equal(ring.control->read_index, 0);
}

static void a_broken_writer_publishes_nothing(void **state)
{
    struct ring_packet_out out = {.type = 6};

    (void)state;
    while (ring_writer_put(&ring.writer, &out) == RING_OK)
        ;
    ring.control->read_index = 12;
    assert_int_equal(ring_writer_put(&ring.writer, &out), RING_CORRUPT);
    assert_writer_stays_broken(RING_FAULT_READ_INDEX, 12);
    assert_int_equal(ring.control->write_index, 0);
}

static void bad_read_index_breaks_the_writer(void **state)
{
    struct ring_packet_out out = {.type = 6};

    (void)state;
    for (size_t i = 0; i < COUNT(bad_indices); i++) {
        for (int way = 0; way < 3; way++) {
            test_ring_start_at(&ring, 8 * (uint32_t)i);
            if (way == 0) { /* on the way to more room */
                while (ring_writer_put(&ring.writer, &out) == RING_OK)
                    ;
                ring.control->read_index = bad_indices[i];
                assert_int_equal(ring_writer_put(&ring.writer, &out), RING_CORRUPT);
            } else if (way == 1) { /* on the way to a signal */
                assert_int_equal(ring_writer_put(&ring.writer, &out), RING_OK);
                ring.control->read_index = bad_indices[i];
                assert_false(ring_writer_commit(&ring.writer));
            } else {
                ring.control->read_index = bad_indices[i];
                assert_int_equal(ring_writer_arm(&ring.writer, 24), RING_CORRUPT);
            }
            assert_writer_stays_broken(RING_FAULT_READ_INDEX, bad_indices[i]);
        }
    }
}

static void bad_indices_are_refused_at_attach(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad_indices); i++) {
        memset((void *)ring.control, 0, RING_PAGE_SIZE);
        ring.control->write_index = bad_indices[i];
        assert_int_equal(ring_writer_attach(&ring.writer, ring.control, ring.data, ring.size),
                         RING_CORRUPT);
        assert_writer_stays_broken(RING_FAULT_WRITE_INDEX, bad_indices[i]);
        memset((void *)ring.control, 0, RING_PAGE_SIZE);
        ring.control->read_index = bad_indices[i];
        assert_int_equal(ring_writer_attach(&ring.writer, ring.control, ring.data, ring.size),
                         RING_CORRUPT);
        assert_writer_stays_broken(RING_FAULT_READ_INDEX, bad_indices[i]);
        ring.control->read_index = bad_indices[i];
        assert_int_equal(ring_reader_attach(&ring.reader, ring.control, ring.data, ring.size),
                         RING_CORRUPT);
        assert_reader_stays_broken(RING_FAULT_READ_INDEX, bad_indices[i]);
    }
}

/* The rule of intake, restated. */
static enum ring_fault_kind spec_descriptor(uint32_t offset8, uint32_t length8, uint32_t published)
{
    if (length8 < 2 || (uint64_t)length8 * 8 + 8 > published)
        return RING_FAULT_LENGTH;
    if (offset8 < 2 || offset8 > length8)
        return RING_FAULT_DATA_OFFSET;
    return RING_FAULT_NONE;
}

static void check_descriptor(uint32_t start, uint32_t published, uint16_t type, uint16_t offset8,
                             uint16_t length8, uint16_t flags)
{
    enum ring_fault_kind fault = spec_descriptor(offset8, length8, published);
    uint32_t body = length8 >= 2 ? (length8 - 2u) * 8 : 0;

    for (int way = 0; way < 3; way++) {
        uint32_t capacity = way == 1 && body >= 8 ? body - 8 : body;
        unsigned char *buffer = test_guarded(capacity); /* a byte too far faults */
        enum ring_status status;
        struct ring_packet_in in;

        ring.control->read_index = start;
        ring.control->write_index = (start + published) % ring.size;
        assert_int_equal(ring_reader_attach(&ring.reader, ring.control, ring.data, ring.size),
                         RING_OK);
        test_poke_descriptor(&ring, start, type, offset8, length8, flags, 0x1122334455667788);
        status = way == 2 ? ring_reader_peek(&ring.reader, &in)
                          : ring_reader_next(&ring.reader, buffer, capacity, &in);
        if (fault != RING_FAULT_NONE) {
            assert_int_equal(status, RING_CORRUPT);
            assert_int_equal(ring.reader.fault.kind, fault);
            assert_int_equal(ring.reader.index, start);
            test_poke_descriptor(&ring, start, 6, 2, 2, 0, 0); /* too late */
            assert_int_equal(ring_reader_peek(&ring.reader, &in), RING_CORRUPT);
            assert_int_equal(ring_reader_next(&ring.reader, buffer, capacity, &in), RING_CORRUPT);
            assert_int_equal(ring.reader.fault.kind, fault);
            continue;
        }
        assert_int_equal(status, capacity < body ? RING_TOO_LARGE : RING_OK);
        assert_int_equal(in.type, type);
        assert_int_equal(in.flags, flags);
        assert_true(in.transaction_id == 0x1122334455667788);
        assert_int_equal(in.extension_length, (offset8 - 2u) * 8);
        assert_int_equal(in.payload_length, (length8 - (uint32_t)offset8) * 8);
        assert_int_equal(ring.reader.index, way == 2 || capacity < body
                                                ? start
                                                : (start + length8 * 8u + 8) % ring.size);
    }
}

/* Museum: a packet shorter than its own header; and M12 with it: nothing is formed from a packet
 * before its lengths hold. */
static void m11_m12_descriptor_lengths_are_checked_before_use(void **state)
{
    const uint16_t large[] = {509,  510,    511,    512,    513,    514,    1023,
                              1024, 0x1fff, 0x2000, 0x7fff, 0x8000, 0xfffe, 0xffff};
    const uint32_t starts[] = {0, 1024, 4064, 4072, 4080, 4088};
    const uint32_t published[] = {8, 16, 24, 32, 40, 64, 128, 2048, 4072, 4080, 4088};

    (void)state;
    for (size_t s = 0; s < COUNT(starts); s++) {
        for (size_t p = 0; p < COUNT(published); p++) {
            for (uint32_t length8 = 0; length8 < 20 + COUNT(large); length8++) {
                uint16_t length = length8 < 20 ? (uint16_t)length8 : large[length8 - 20];

                for (uint32_t offset8 = 0; offset8 < 20 + COUNT(large); offset8++) {
                    uint16_t offset = offset8 < 20 ? (uint16_t)offset8 : large[offset8 - 20];

                    check_descriptor(starts[s], published[p], 6, offset, length, 1);
                }
            }
        }
    }
}

static void every_length_and_offset_of_a_full_ring(void **state)
{
    (void)state;
    for (uint32_t value = 0; value <= 0xffff; value++) {
        check_descriptor(value % 512 * 8, 4088, 6, 2, (uint16_t)value, 0);
        check_descriptor(value % 512 * 8, 4088, 6, (uint16_t)value, 300, 0);
    }
}

static void any_type_and_flags_are_handed_out_as_they_are(void **state)
{
    (void)state;
    for (uint32_t value = 0; value <= 0xffff; value += value < 32 ? 1 : 97) {
        check_descriptor(0, 64, (uint16_t)value, 2, 4, 0);
        check_descriptor(4088, 64, 6, 2, 4, (uint16_t)value);
    }
}

/* A huge ring could hold what 16 bits can say: nothing may wrap around in the arithmetic. */
static void lengths_at_the_width_of_their_field(void **state)
{
    struct test_ring saved = ring;

    (void)state;
    test_ring_open(&ring, 300);
    for (uint32_t start = 0; start < ring.size; start += 37 * 8 * 64) {
        for (uint32_t length8 = 65528; length8 <= 65535; length8++) {
            for (uint32_t offset8 = 0; offset8 <= 3; offset8++) {
                check_descriptor(start, 8 * length8 + 8, 6, (uint16_t)offset8, (uint16_t)length8,
                                 0);
                check_descriptor(start, 8 * length8, 6, (uint16_t)(65532 + offset8),
                                 (uint16_t)length8, 0);
                check_descriptor(start, 8 * length8 + 16, 6, (uint16_t)(65532 + offset8),
                                 (uint16_t)length8, 0);
            }
        }
    }
    test_ring_close(&ring);
    ring = saved;
}

/* Museum: the host's range count against the length of the header it came with. */
static void m10_range_count_is_checked_against_the_extension(void **state)
{
    const uint32_t counts[] = {0,          1,          2,          3,
                               4,          5,          0x1fffffff, 0x20000000,
                               0x20000001, 0x3fffffff, 0x7fffffff, 0x80000000,
                               0xfffffffe, 0xffffffff, 0xe0000001, 0xc0000000};

    (void)state;
    for (uint32_t length = 0; length <= 48; length++) {
        for (size_t c = 0; c < COUNT(counts); c++) {
            unsigned char *extension = test_guarded(length);
            struct ring_transfer_pages_header header = {.set_id = 0x1234, .range_count = counts[c]};
            struct ring_transfer_pages pages;
            bool good = length >= 8 && counts[c] <= (length - 8) / 8;

            memset(extension, 0x11, length);
            memcpy(extension, &header, length < sizeof(header) ? length : sizeof(header));
            assert_int_equal(ring_transfer_pages_parse(extension, length, &pages), good);
            if (!good)
                continue;
            assert_int_equal(pages.set_id, 0x1234);
            assert_int_equal(pages.range_count, counts[c]);
            for (uint32_t i = 0; i < pages.range_count; i++)
                assert_int_equal(ring_transfer_pages_range(&pages, i).byte_offset, 0x11111111);
        }
    }
}

static void every_fault_has_a_name(void **state)
{
    (void)state;
    for (int kind = RING_FAULT_NONE; kind <= RING_FAULT_DATA_OFFSET + 1; kind++)
        assert_true(strlen(ring_fault_name((enum ring_fault_kind)kind)) > 3);
    assert_string_not_equal(ring_fault_name(RING_FAULT_WRITE_INDEX),
                            ring_fault_name(RING_FAULT_READ_INDEX));
}

/* ---- bytes that change in the middle of a function, before each of its accesses ---- */

static struct {
    unsigned char *buffer;
    uint32_t capacity;
    enum ring_status status;
    struct ring_packet_in in;
    uint32_t start;
    uint64_t other_word;
    uint32_t other_index;
    struct ring_packet_out out;
} middle;

static void do_next(void)
{
    middle.status = ring_reader_next(&ring.reader, middle.buffer, middle.capacity, &middle.in);
}

static void change_descriptor(void)
{
    memcpy(ring.data + middle.start, &middle.other_word, 8);
}

static void change_write_index(void)
{
    ring.control->write_index = middle.other_index;
}

static void do_put_and_commit(void)
{
    middle.status = ring_writer_put(&ring.writer, &middle.out);
    (void)ring_writer_commit(&ring.writer);
}

static void change_read_index(void)
{
    ring.control->read_index = middle.other_index;
}

/* What comes out is one descriptor or the other or a broken ring, never a mixture: the buffer ends
 * at a page that faults. */
static void a_descriptor_that_changes_is_read_once(void **state)
{
    const uint64_t others[] = {
        0x0000ffff00020006, /* longer than anything */
        0x0000000900020006, /* longer than the buffer */
        0x0000000300020006, /* shorter */
        0x0000000800070006, /* extension longer */
        0x00000008ffff0006, /* payload of negative length */
        0x0000000000000000, UINT64_MAX,
    };
    const uint32_t starts[] = {0, 4032, 4088};

    (void)state;
    assert_true(access_can_be_interrupted()); /* no such machine: shown nothing, so it fails */
    for (size_t s = 0; s < COUNT(starts); s++) {
        for (size_t o = 0; o < COUNT(others); o++) {
            bool in_the_middle = true;

            for (unsigned k = 0; in_the_middle; k++) {
                uint32_t moved;

                middle.start = starts[s];
                middle.other_word = others[o];
                middle.capacity = 48;
                middle.buffer = test_guarded(middle.capacity);
                test_ring_start_at(&ring, middle.start);
                (void)test_send(&ring, 48, 1);
                (void)test_send(&ring, 48, 2);
                in_the_middle = interrupt_at_access(&ring, do_next, change_descriptor, k);
                moved = (ring.reader.index + 4096 - middle.start) % 4096;
                switch (middle.status) {
                case RING_OK:
                case RING_TOO_LARGE:
                    if (middle.status == RING_TOO_LARGE) {
                        assert_int_equal(moved, 0);
                    } else {
                        assert_int_equal(moved, 24 + middle.in.extension_length +
                                                    middle.in.payload_length);
                    }
                    assert_int_equal(middle.status == RING_TOO_LARGE,
                                     middle.in.extension_length + middle.in.payload_length >
                                         middle.capacity);
                    assert_true(
                        (middle.in.extension_length == 0 && middle.in.payload_length == 48) ||
                        (middle.in.extension_length == (uint16_t)(others[o] >> 16) * 8u - 16 &&
                         middle.in.payload_length ==
                             ((uint16_t)(others[o] >> 32) - (uint16_t)(others[o] >> 16)) * 8u));
                    break;
                case RING_CORRUPT:
                    assert_int_equal(moved, 0);
                    assert_int_not_equal(spec_descriptor((uint16_t)(others[o] >> 16),
                                                         (uint16_t)(others[o] >> 32), 144),
                                         RING_FAULT_NONE);
                    break;
                default:
                    fail();
                }
            }
        }
    }
}

static void a_write_index_that_changes_is_read_once(void **state)
{
    const uint32_t others[] = {0, 8, 72, 80, 4088, 4096, 3, 0xfffffff8};

    (void)state;
    assert_true(access_can_be_interrupted()); /* no such machine: shown nothing, so it fails */
    for (size_t o = 0; o < COUNT(others); o++) {
        bool in_the_middle = true;

        for (unsigned k = 0; in_the_middle; k++) {
            middle.other_index = others[o];
            middle.capacity = 48;
            middle.buffer = test_guarded(middle.capacity);
            test_ring_start_at(&ring, 0);
            (void)test_send(&ring, 48, 1);
            in_the_middle = interrupt_at_access(&ring, do_next, change_write_index, k);
            if (middle.status == RING_OK)
                assert_int_equal(ring.reader.index, 72);
            else
                assert_int_equal(ring.reader.index, 0);
            assert_true(ring.reader.limit < 4096 && ring.reader.limit % 8 == 0);
        }
    }
}

static void a_read_index_that_changes_is_read_once(void **state)
{
    static const unsigned char payload[64];
    const uint32_t others[] = {0, 8, 4080, 4096, 3, 0xfffffff8};

    (void)state;
    assert_true(access_can_be_interrupted()); /* no such machine: shown nothing, so it fails */
    for (size_t o = 0; o < COUNT(others); o++) {
        bool in_the_middle = true;

        for (unsigned k = 0; in_the_middle; k++) {
            middle.other_index = others[o];
            middle.out =
                (struct ring_packet_out){.type = 6, .payload = payload, .payload_length = 40};
            test_ring_start_at(&ring, 4080);
            while (ring_writer_put(&ring.writer, &middle.out) == RING_OK)
                ;
            ring.control->read_index = 1024; /* some room by now */
            in_the_middle = interrupt_at_access(&ring, do_put_and_commit, change_read_index, k);
            assert_true(middle.status == RING_OK || middle.status == RING_FULL ||
                        middle.status == RING_CORRUPT);
            assert_true(ring.writer.index < 4096 && ring.writer.index % 8 == 0);
            assert_true(ring.writer.limit < 4096 && ring.writer.limit % 8 == 0);
        }
    }
}

/* ---- anything at any time, between the calls ---- */

static uint64_t random_state;

static uint32_t hostile_word(void)
{
    switch (test_random(&random_state) % 4) {
    case 0:
        return (uint32_t)test_random(&random_state);
    case 1:
        return bad_indices[test_random(&random_state) % COUNT(bad_indices)];
    default:
        return (uint32_t)(test_random(&random_state) % 512 * 8);
    }
}

/* A descriptor that could be true, or is just beside it. */
static void hostile_descriptor(uint32_t at)
{
    uint16_t length8 =
        (uint16_t)(test_random(&random_state) % (test_random(&random_state) % 8 == 0 ? 65536 : 40));
    uint16_t offset8 =
        (uint16_t)(test_random(&random_state) % (test_random(&random_state) % 8 == 0 ? 65536 : 6));

    test_poke_descriptor(&ring, at, (uint16_t)test_random(&random_state), offset8, length8,
                         (uint16_t)test_random(&random_state), 0);
}

static void random_hostility_never_leaves_the_ring(void **state)
{
    uint64_t taken = 0;
    uint64_t put = 0;
    uint64_t broken = 0;

    (void)state;
    random_state = test_seed();
    for (uint32_t game = 0; game < 4000; game++) {
        static unsigned char payload[2048];

        if (game % 64 == 0) {
            test_ring_close(&ring);
            test_ring_open(&ring, 1 + game / 64 % 3);
        }
        test_ring_start_at(&ring, (uint32_t)(test_random(&random_state) % (ring.size / 8) * 8));
        for (uint32_t step = 0; step < 60; step++) {
            uint32_t capacity = (uint32_t)(test_random(&random_state) % 300);
            struct ring_packet_in in;
            struct ring_packet_out out = {
                .type = 6,
                .head = payload,
                .head_length = (uint32_t)(test_random(&random_state) % 2 *
                                          (test_random(&random_state) % 12) * 8),
                .payload = payload,
                .payload_length = (uint32_t)(test_random(&random_state) % 600),
            };
            enum ring_status status;

            switch (test_random(&random_state) % 12) {
            case 0:
                ring.control->write_index = hostile_word();
                break;
            case 1:
                ring.control->read_index = hostile_word();
                break;
            case 2:
                ring.control->pending_send_size = hostile_word();
                ring.control->interrupt_mask = hostile_word();
                ring.control->feature_bits = hostile_word();
                break;
            case 3:
                for (uint32_t i = 0; i < 64; i++)
                    ring.data[test_random(&random_state) % ring.size] =
                        (unsigned char)test_random(&random_state);
                break;
            case 4: /* the reader's head, with enough published */
                hostile_descriptor(ring.reader.index);
                ring.control->write_index =
                    (ring.reader.index + (uint32_t)(test_random(&random_state) % 60 * 8)) %
                    ring.size;
                break;
            case 5:
            case 6:
                status = ring_reader_next(&ring.reader, test_guarded(capacity), capacity, &in);
                taken += status == RING_OK;
                broken += status == RING_CORRUPT;
                break;
            case 7:
                if (ring_reader_peek(&ring.reader, &in) == RING_OK) {
                    hostile_descriptor(ring.reader.index); /* too late to matter */
                    ring.control->write_index = hostile_word();
                    assert_true(in.extension_length + in.payload_length + 24 < ring.size);
                    ring_reader_take(&ring.reader, &in, test_guarded(in.extension_length), NULL);
                    taken++;
                }
                break;
            case 8:
                (void)ring_reader_publish(&ring.reader);
                ring_reader_mask(&ring.reader);
                (void)ring_reader_unmask(&ring.reader);
                break;
            case 9:
            case 10:
                status = ring_writer_put(&ring.writer, &out);
                put += status == RING_OK;
                broken += status == RING_CORRUPT;
                break;
            default:
                (void)ring_writer_commit(&ring.writer);
                (void)ring_writer_arm(&ring.writer, test_random(&random_state) % 5000);
                break;
            }
            assert_true(ring.reader.index < ring.size && ring.reader.index % 8 == 0);
            assert_true(ring.reader.index <= ring.reader.limit && ring.reader.limit < ring.size);
            assert_true(ring.writer.index < ring.size && ring.writer.index % 8 == 0);
            assert_true(ring.writer.index <= ring.writer.limit && ring.writer.limit < ring.size);
        }
    }
    assert_true(taken > 1000 && put > 1000 && broken > 1000);
}

#define IN_RING(name) cmocka_unit_test_setup_teardown(name, open_ring, close_ring)

int main(void)
{
    const struct CMUnitTest tests[] = {
        IN_RING(bad_write_index_breaks_the_reader),
        IN_RING(bad_write_index_is_no_reason_to_sleep),
        IN_RING(bad_write_index_while_publishing_breaks_the_reader),
        IN_RING(a_broken_reader_gives_nothing_back),
        IN_RING(a_broken_writer_publishes_nothing),
        IN_RING(bad_read_index_breaks_the_writer),
        IN_RING(bad_indices_are_refused_at_attach),
        IN_RING(m11_m12_descriptor_lengths_are_checked_before_use),
        IN_RING(every_length_and_offset_of_a_full_ring),
        IN_RING(any_type_and_flags_are_handed_out_as_they_are),
        IN_RING(lengths_at_the_width_of_their_field),
        cmocka_unit_test(m10_range_count_is_checked_against_the_extension),
        cmocka_unit_test(every_fault_has_a_name),
        IN_RING(a_descriptor_that_changes_is_read_once),
        IN_RING(a_write_index_that_changes_is_read_once),
        IN_RING(a_read_index_that_changes_is_read_once),
        IN_RING(random_hostility_never_leaves_the_ring),
    };

    return cmocka_run_group_tests_name("ring hostile", tests, NULL, NULL);
}
