/* SPDX-License-Identifier: MIT */
/* Text in UTF-16 and UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "kernel/utf16.h"

static void expect_wide(const char *text, const void *expected, size_t size)
{
    uint8_t wide[64];

    assert_int_equal(utf16_from_utf8(text, wide, sizeof(wide)), size);
    assert_int_equal(utf16_size_of_utf8(text), size);
    assert_memory_equal(wide, expected, size);
    /* At any address, and in no byte less. */
    assert_int_equal(utf16_from_utf8(text, wide + 1, size), size);
    assert_memory_equal(wide + 1, expected, size);
    for (size_t less = 0; less < size; less++) {
        assert_int_equal(utf16_from_utf8(text, wide, less), 0);
    }
}

static void each_length_of_utf8_is_read(void **state)
{
    (void)state;
    expect_wide("", u"", 2);
    expect_wide("a\x7f", u"a\x7f", 6);
    expect_wide("\xc2\x80\xdf\xbf", u"\x80\x7ff", 6);
    expect_wide("\xe0\xa0\x80\xef\xbf\xbf", u"\x800\xffff", 6);
    expect_wide("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", u"\xd800\xdc00\xdbff\xdfff", 10);
}

static void what_is_no_utf8_is_replaced(void **state)
{
    (void)state;
    expect_wide("\x80g", u"\xfffdg", 6);
    expect_wide("\xc0\x80", u"\xfffd\xfffd", 6); /* no second way to write a terminator */
    expect_wide("\xe0\x80\x80", u"\xfffd", 4);
    expect_wide("\xed\xa0\x80", u"\xfffd", 4); /* a surrogate */
    expect_wide("\xf4\x90\x80\x80", u"\xfffd", 4);
    expect_wide("\xf5x", u"\xfffdx", 6);
    expect_wide("\xe2\x82", u"\xfffd", 4); /* the terminator comes too soon */
    expect_wide("\xf0", u"\xfffd", 4);
}

static void expect_narrow(const void *wide, size_t size, const char *expected)
{
    char text[64];

    assert_int_equal(utf16_to_utf8(wide, size, text, sizeof(text)), strlen(expected));
    assert_string_equal(text, expected);
}

static void utf16_ends_at_its_terminator_or_its_size(void **state)
{
    (void)state;
    expect_narrow(u"abc", 8, "abc");
    expect_narrow(u"abc", 4, "ab");
    expect_narrow(u"abc", 5, "ab");
    expect_narrow(u"abc", 1, "");
    expect_narrow(u"abc", 0, "");
    expect_narrow(u"a\0b", 6, "a");
    expect_narrow(u"\x80\x7ff\x800\xffff", 8, "\xc2\x80\xdf\xbf\xe0\xa0\x80\xef\xbf\xbf");
    expect_narrow(u"\xd800\xdc00\xdbff\xdfff", 8, "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

static void lone_surrogates_are_replaced(void **state)
{
    (void)state;
    expect_narrow(u"\xd800", 2, "\xef\xbf\xbd");
    expect_narrow(u"\xdc00x", 4, "\xef\xbf\xbdx");
    expect_narrow(u"\xd800x", 4, "\xef\xbf\xbdx");
    expect_narrow(u"\xd800\xd800\xdc00", 6, "\xef\xbf\xbd\xf0\x90\x80\x80");
    expect_narrow(u"\xd800\xdc00", 3, "\xef\xbf\xbd"); /* half of it is behind the end */
}

static void what_does_not_fit_is_left_out_whole(void **state)
{
    char text[8];

    (void)state;
    for (size_t capacity = 1; capacity <= sizeof(text); capacity++) {
        memset(text, 0x55, sizeof(text));
        const size_t length = utf16_to_utf8(u"a\x800\x800", 6, text, capacity);
        assert_int_equal(length, capacity >= 8 ? 7 : capacity >= 5 ? 4 : capacity >= 2 ? 1 : 0);
        assert_int_equal(text[length], 0);
        for (size_t i = length + 1; i < sizeof(text); i++) {
            assert_int_equal(text[i], 0x55);
        }
    }
}

static void every_character_comes_back(void **state)
{
    (void)state;
    for (uint32_t code = 1; code <= 0x10ffff; code += code < 0x11000 ? 1 : 977) {
        uint8_t wide[4] = {(uint8_t)code, (uint8_t)(code >> 8)};
        uint8_t again[8];
        char text[8];
        if (code >= 0xd800 && code < 0xe000) {
            continue;
        }
        if (code >= 0x10000) {
            const uint32_t high = 0xd800 + ((code - 0x10000) >> 10);
            const uint32_t low = 0xdc00 + ((code - 0x10000) & 0x3ff);
            wide[0] = (uint8_t)high;
            wide[1] = (uint8_t)(high >> 8);
            wide[2] = (uint8_t)low;
            wide[3] = (uint8_t)(low >> 8);
        }
        const size_t size = code >= 0x10000 ? 4 : 2;
        assert_true(utf16_to_utf8(wide, size, text, sizeof(text)) > 0);
        assert_int_equal(utf16_from_utf8(text, again, sizeof(again)), size + 2);
        assert_memory_equal(again, wide, size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_length_of_utf8_is_read),
        cmocka_unit_test(what_is_no_utf8_is_replaced),
        cmocka_unit_test(utf16_ends_at_its_terminator_or_its_size),
        cmocka_unit_test(lone_surrogates_are_replaced),
        cmocka_unit_test(what_does_not_fit_is_left_out_whole),
        cmocka_unit_test(every_character_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
