/* SPDX-License-Identifier: MIT */
/* The functions of arch/aarch64/memory.S, which are in this program in the place of the C
 * library's. */
#include <stdlib.h>
#include <string.h>

#include "test_arch.h"

#define LONGEST 80u
#define OFFSETS 17u
#define MARGIN  32u
#define SPACE   (MARGIN + OFFSETS + LONGEST + MARGIN)

/* The compiler must neither know the lengths nor make calls of the loops of this test. */
static void *(*volatile copy)(void *, const void *, size_t) = memcpy;
static void *(*volatile move)(void *, const void *, size_t) = memmove;
static void *(*volatile set)(void *, int, size_t) = memset;
static int (*volatile compare)(const void *, const void *, size_t) = memcmp;

static unsigned char source[SPACE];
static unsigned char target[SPACE];
static unsigned char expected[SPACE];

static void fill(volatile unsigned char *memory, unsigned seed)
{
    for (unsigned i = 0; i < SPACE; i++) {
        memory[i] = (unsigned char)(i * 7 + seed);
    }
}

static void bytes_copy(volatile unsigned char *to, const volatile unsigned char *from,
                       size_t length)
{
    for (size_t i = 0; i < length; i++) {
        to[i] = from[i];
    }
}

static void assert_same(void)
{
    for (unsigned i = 0; i < SPACE; i++) {
        assert_int_equal(((volatile unsigned char *)target)[i], expected[i]);
    }
}

static void copies_are_exact_at_every_length_and_alignment(void **state)
{
    (void)state;
    fill(source, 1);
    for (unsigned length = 0; length <= LONGEST; length++) {
        for (unsigned from = 0; from < OFFSETS; from++) {
            for (unsigned to = 0; to < OFFSETS; to++) {
                fill(target, 100);
                fill(expected, 100);
                bytes_copy(expected + MARGIN + to, source + MARGIN + from, length);
                assert_ptr_equal(copy(target + MARGIN + to, source + MARGIN + from, length),
                                 target + MARGIN + to);
                assert_same();
            }
        }
    }
}

static void moves_within_memory_are_exact_at_every_distance(void **state)
{
    (void)state;
    for (unsigned length = 0; length <= LONGEST; length++) {
        for (unsigned from = 0; from < OFFSETS; from++) {
            for (unsigned to = 0; to < OFFSETS; to++) {
                unsigned char kept[SPACE];
                fill(target, 3);
                fill(expected, 3);
                fill(kept, 3);
                bytes_copy(expected + MARGIN + to, kept + MARGIN + from, length);
                assert_ptr_equal(move(target + MARGIN + to, target + MARGIN + from, length),
                                 target + MARGIN + to);
                assert_same();
            }
        }
    }
}

static void memory_is_set_byte_by_byte(void **state)
{
    (void)state;
    for (unsigned length = 0; length <= LONGEST; length++) {
        for (unsigned to = 0; to < OFFSETS; to++) {
            fill(target, 9);
            fill(expected, 9);
            for (unsigned i = 0; i < length; i++) {
                ((volatile unsigned char *)expected)[MARGIN + to + i] = 0xc3;
            }
            assert_ptr_equal(set(target + MARGIN + to, 0x1c3, length), target + MARGIN + to);
            assert_same();
        }
    }
}

static int sign(int value)
{
    return (value > 0) - (value < 0);
}

static void the_first_difference_decides_and_bytes_have_no_sign(void **state)
{
    (void)state;
    for (unsigned length = 0; length <= LONGEST; length++) {
        for (unsigned offset = 0; offset < OFFSETS; offset++) {
            unsigned char *one = target + MARGIN + offset;
            unsigned char *other = source + MARGIN;
            fill(source, 5);
            fill(target, 77);
            bytes_copy(one, other, length);
            assert_int_equal(compare(one, other, length), 0);
            for (unsigned at = 0; at < length; at++) {
                unsigned char kept = one[at];
                one[at] = 0x80;
                other[at] = 0x7f;
                if (at + 1 < length) {
                    one[at + 1] ^= 0xff; /* a later one has no say */
                }
                assert_int_equal(sign(compare(one, other, length)), 1);
                assert_int_equal(sign(compare(other, one, length)), -1);
                one[at] = kept;
                other[at] = kept;
                if (at + 1 < length) {
                    one[at + 1] ^= 0xff;
                }
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(copies_are_exact_at_every_length_and_alignment),
        cmocka_unit_test(moves_within_memory_are_exact_at_every_distance),
        cmocka_unit_test(memory_is_set_byte_by_byte),
        cmocka_unit_test(the_first_difference_decides_and_bytes_have_no_sign),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
