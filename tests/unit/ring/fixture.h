/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_RING_FIXTURE_H
#define TESTS_UNIT_RING_FIXTURE_H

/* What the tests of the ring share: ring memory between pages that fault, a packet writer of its
 * own, and the rules restated. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "vmbus/ring.h"

/* A ring whose control page and data area lie between pages that cannot be touched, and its two
 * ends. */
struct test_ring {
    struct ring_control *control;
    unsigned char *data;
    uint32_t size;
    struct ring_writer writer;
    struct ring_reader reader;
    void *mapping;
    size_t mapping_size;
};

void test_ring_open(struct test_ring *ring, uint32_t pages);
void test_ring_close(struct test_ring *ring);

/* Everything zero, both indices at `index`, both ends attached there. */
void test_ring_start_at(struct test_ring *ring, uint32_t index);

/* The shared words. */
struct test_words {
    uint32_t write_index;
    uint32_t read_index;
    uint32_t interrupt_mask;
    uint32_t pending_send_size;
    uint32_t feature_bits;
};
struct test_words test_ring_words(struct test_ring *ring);

/* `count` bytes that end where a page that faults begins; the byte after them cannot be touched. */
unsigned char *test_guarded(size_t count);

/*
 * A packet by another hand: byte by byte, each index by remainder, from the picture of the wire and
 * nothing of the product. Writes at `start` into `data`; returns the bytes taken.
 */
uint32_t test_encode(unsigned char *data, uint32_t size, uint32_t start, uint16_t type,
                     uint16_t flags, uint64_t transaction_id, const void *head,
                     uint32_t head_length, uint32_t extension_length, const void *payload,
                     uint32_t payload_length);

/* Raw descriptor at `start`, whatever it says. */
void test_poke_descriptor(struct test_ring *ring, uint32_t start, uint16_t type, uint16_t offset8,
                          uint16_t length8, uint16_t flags, uint64_t transaction_id);

/* Sends one in-band packet with `length` bytes of `fill` and publishes it; the answer of commit. */
bool test_send(struct test_ring *ring, uint32_t length, unsigned char fill);

/* Receives one packet with that payload length and that fill; does not publish. */
void test_expect(struct test_ring *ring, uint32_t length, unsigned char fill);

/* ---- the rules of signalling, restated; free room is counted by walking ---- */

uint32_t spec_free(uint32_t size, uint32_t write_index, uint32_t read_index);
bool spec_reader_must_be_signalled(uint32_t size, uint32_t write_index_before, uint32_t read_index,
                                   uint32_t mask);
bool spec_writer_must_be_signalled(uint32_t size, uint32_t write_index, uint32_t read_index_before,
                                   uint32_t read_index_after, uint32_t pending, uint32_t features);

/* ---- numbers that look random and repeat ---- */

uint64_t test_random(uint64_t *state);
uint64_t test_seed(void); /* from TEST_SEED, or fixed; printed */

#endif
