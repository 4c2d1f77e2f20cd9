/* SPDX-License-Identifier: MIT */
/* The console's own formatting, against the C library of the host. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "kernel/format.h"
#include "test_arch.h"

#define assert_same(...)                                                                           \
    do {                                                                                           \
        char expected[256], actual[256];                                                           \
        int length = snprintf(expected, sizeof(expected), __VA_ARGS__);                            \
        assert_int_equal(format_into(actual, sizeof(actual), __VA_ARGS__), length);                \
        assert_string_equal(actual, expected);                                                     \
    } while (0)

static void numbers_of_every_length(void **state)
{
    (void)state;
    assert_same("%d %i %u %x %X", -5, INT_MIN, UINT_MAX, 0xbeefu, 0xbeefu);
    assert_same("%hhd %hhu %hd %hu", (signed char)-3, (unsigned char)200u, (short)-300,
                (unsigned short)60000);
    assert_same("%ld %lu %lx", LONG_MIN, ULONG_MAX, ULONG_MAX);
    assert_same("%lld %llu %llx", LLONG_MIN, ULLONG_MAX, ULLONG_MAX);
    assert_same("%zu %zx %td %jd %ju", (size_t)-1, (size_t)77, (ptrdiff_t)-3, (intmax_t)-9,
                (uintmax_t)9);
    assert_same("%d %u %x", 0, 0u, 0u);
}

static void widths_flags_and_precisions(void **state)
{
    (void)state;
    assert_same("[%5d] [%-5d] [%05d] [%1d]", -42, -42, -42, -42);
    assert_same("[%8x] [%-8x] [%08x] [%.8x] [%10.8x]", 0xabcu, 0xabcu, 0xabcu, 0xabcu, 0xabcu);
    assert_same("[%.0d] [%.0d] [%5.3d]", 0, 1, -7);
    assert_same("[%*d] [%*d] [%.*d] [%.*d]", 6, 1, -6, 1, 4, 1, -1, 1);
    assert_same("[%016llx]", 0x123456789abcULL);
}

static void texts_and_characters(void **state)
{
    (void)state;
    const char unterminated[3] = {'a', 'b', 'c'};

    assert_same("[%s] [%8s] [%-8s] [%.2s] [%8.2s]", "text", "text", "text", "text", "text");
    assert_same("[%.3s] [%.*s]", unterminated, 2, unterminated);
    assert_same("[%c] [%3c] [%-3c]", 'x', 'y', 'z');
    assert_same("100%% [%s]", "");
    char out[32];
    const char *volatile nothing = NULL; /* volatile: the compiler must not see it */
    format_into(out, sizeof(out), "%s", nothing);
    assert_string_equal(out, "(null)");
}

static void pointers(void **state)
{
    (void)state;
    assert_same("%p %20p", (void *)0x1234, (void *)0xffffffff);
}

static void output_is_cut_to_the_buffer_with_a_terminator(void **state)
{
    (void)state;
    char out[8];

    memset(out, 'z', sizeof(out));
    assert_int_equal(format_into(out, 5, "%s", "abcdefgh"), 4);
    assert_string_equal(out, "abcd");
    assert_int_equal(out[5], 'z');
    assert_int_equal(format_into(out, 5, "%250d", 1), 4);
    assert_string_equal(out, "    ");
    assert_int_equal(format_into(out, 1, "abc"), 0);
    assert_string_equal(out, "");
    out[0] = 'z';
    assert_int_equal(format_into(out, 0, "abc"), 0);
    assert_int_equal(out[0], 'z');
}

static void a_conversion_that_is_not_known_ends_the_formatting(void **state)
{
    (void)state;
    char out[64];
    /* Not a literal, or the compiler would object. */
    const char *const formats[][2] = {
        {"a %q %d", "a %q %d"}, {"b %", "b %"},   {"c %l", "c %l"},
        {"d %5.3", "d %5.3"},   {"e %f", "e %f"},
    };

    for (unsigned i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
#pragma GCC diagnostic ignored "-Wformat-security"
        format_into(out, sizeof(out), formats[i][0]);
#pragma GCC diagnostic pop
        assert_string_equal(out, formats[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_of_every_length),
        cmocka_unit_test(widths_flags_and_precisions),
        cmocka_unit_test(texts_and_characters),
        cmocka_unit_test(pointers),
        cmocka_unit_test(output_is_cut_to_the_buffer_with_a_terminator),
        cmocka_unit_test(a_conversion_that_is_not_known_ends_the_formatting),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
