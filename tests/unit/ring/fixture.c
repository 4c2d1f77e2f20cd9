/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/unit/ring/fixture.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE ((size_t)RING_PAGE_SIZE)

static unsigned char *between_faults(size_t pages, void **mapping, size_t *mapping_size)
{
    *mapping_size = (pages + 2) * PAGE;
    *mapping = mmap(NULL, *mapping_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    assert_true(*mapping != MAP_FAILED);
    assert_int_equal(mprotect((char *)*mapping + PAGE, pages * PAGE, PROT_READ | PROT_WRITE), 0);
    return (unsigned char *)*mapping + PAGE;
}

void test_ring_open(struct test_ring *ring, uint32_t pages)
{
    unsigned char *memory;

    memset(ring, 0, sizeof(*ring));
    memory = between_faults(1 + pages, &ring->mapping, &ring->mapping_size);
    ring->control = (struct ring_control *)(void *)memory;
    ring->data = memory + PAGE;
    ring->size = pages * RING_PAGE_SIZE;
    test_ring_start_at(ring, 0);
}

void test_ring_close(struct test_ring *ring)
{
    munmap(ring->mapping, ring->mapping_size);
}

void test_ring_start_at(struct test_ring *ring, uint32_t index)
{
    memset((void *)ring->control, 0, PAGE + ring->size);
    ring->control->write_index = index;
    ring->control->read_index = index;
    assert_int_equal(ring_writer_attach(&ring->writer, ring->control, ring->data, ring->size),
                     RING_OK);
    assert_int_equal(ring_reader_attach(&ring->reader, ring->control, ring->data, ring->size),
                     RING_OK);
}

struct test_words test_ring_words(struct test_ring *ring)
{
    struct test_words words = {
        .write_index = ring->control->write_index,
        .read_index = ring->control->read_index,
        .interrupt_mask = ring->control->interrupt_mask,
        .pending_send_size = ring->control->pending_send_size,
        .feature_bits = ring->control->feature_bits,
    };

    return words;
}

unsigned char *test_guarded(size_t count)
{
    static unsigned char *memory;
    static size_t size;
    void *mapping;
    size_t mapping_size;
    size_t pages = (count + PAGE - 1) / PAGE + 1;

    if (pages * PAGE > size) {
        memory = between_faults(pages, &mapping, &mapping_size); /* kept until the program ends */
        size = pages * PAGE;
    }
    return memory + size - count;
}

static void put_byte(unsigned char *data, uint32_t size, uint64_t at, uint64_t byte)
{
    data[at % size] = (unsigned char)byte;
}

static void put_number(unsigned char *data, uint32_t size, uint64_t at, uint64_t number,
                       unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++)
        put_byte(data, size, at + i, number >> (8 * i));
}

uint32_t test_encode(unsigned char *data, uint32_t size, uint32_t start, uint16_t type,
                     uint16_t flags, uint64_t transaction_id, const void *head,
                     uint32_t head_length, uint32_t extension_length, const void *payload,
                     uint32_t payload_length)
{
    uint64_t at = start;
    uint32_t padded = (payload_length + 7) / 8 * 8;

    put_number(data, size, at, type, 2);
    put_number(data, size, at + 2, (16 + extension_length) / 8, 2);
    put_number(data, size, at + 4, (16 + head_length + padded) / 8, 2);
    put_number(data, size, at + 6, flags, 2);
    put_number(data, size, at + 8, transaction_id, 8);
    at += 16;
    for (uint32_t i = 0; i < head_length; i++)
        put_byte(data, size, at++, ((const unsigned char *)head)[i]);
    for (uint32_t i = 0; i < padded; i++)
        put_byte(data, size, at++, i < payload_length ? ((const unsigned char *)payload)[i] : 0);
    put_number(data, size, at, 0, 4);
    put_number(data, size, at + 4, start, 4);
    return 16 + head_length + padded + 8;
}

void test_poke_descriptor(struct test_ring *ring, uint32_t start, uint16_t type, uint16_t offset8,
                          uint16_t length8, uint16_t flags, uint64_t transaction_id)
{
    put_number(ring->data, ring->size, start, type, 2);
    put_number(ring->data, ring->size, start + 2, offset8, 2);
    put_number(ring->data, ring->size, start + 4, length8, 2);
    put_number(ring->data, ring->size, start + 6, flags, 2);
    put_number(ring->data, ring->size, start + 8, transaction_id, 8);
}

bool test_send(struct test_ring *ring, uint32_t length, unsigned char fill)
{
    unsigned char *payload = malloc(length + 1);
    struct ring_packet_out packet = {.type = RING_PACKET_DATA_INBAND,
                                     .transaction_id = fill,
                                     .payload = payload,
                                     .payload_length = length};

    memset(payload, fill, length);
    assert_int_equal(ring_writer_put(&ring->writer, &packet), RING_OK);
    free(payload);
    return ring_writer_commit(&ring->writer);
}

void test_expect(struct test_ring *ring, uint32_t length, unsigned char fill)
{
    uint32_t padded = (length + 7) & ~7u;
    unsigned char *buffer = test_guarded(padded);
    struct ring_packet_in packet;

    memset(buffer, ~fill, padded);
    assert_int_equal(ring_reader_next(&ring->reader, buffer, padded, &packet), RING_OK);
    assert_int_equal(packet.type, RING_PACKET_DATA_INBAND);
    assert_int_equal(packet.transaction_id, fill);
    assert_int_equal(packet.extension_length, 0);
    assert_int_equal(packet.payload_length, padded);
    for (uint32_t i = 0; i < padded; i++)
        assert_int_equal(buffer[i], i < length ? fill : 0);
}

uint32_t spec_free(uint32_t size, uint32_t write_index, uint32_t read_index)
{
    uint32_t used = 0;

    while ((read_index + used) % size != write_index)
        used += 8;
    return size - used;
}

bool spec_reader_must_be_signalled(uint32_t size, uint32_t write_index_before, uint32_t read_index,
                                   uint32_t mask)
{
    bool readable = read_index % 8 == 0 && read_index < size;
    bool was_empty = read_index == write_index_before;

    return readable && was_empty && mask == 0;
}

bool spec_writer_must_be_signalled(uint32_t size, uint32_t write_index, uint32_t read_index_before,
                                   uint32_t read_index_after, uint32_t pending, uint32_t features)
{
    uint32_t wanted = pending / 8 * 8;

    if ((features & 1) == 0 || wanted == 0 || write_index % 8 != 0 || write_index >= size)
        return false;
    return spec_free(size, write_index, read_index_before) <= wanted &&
           spec_free(size, write_index, read_index_after) > wanted;
}

/* SplitMix64, by Vigna: public domain. */
uint64_t test_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

uint64_t test_seed(void)
{
    const char *text = getenv("TEST_SEED");
    uint64_t seed = text != NULL ? strtoull(text, NULL, 0) : 0x5eed0002;

    printf("TEST_SEED=0x%llx\n", (unsigned long long)seed);
    return seed;
}
