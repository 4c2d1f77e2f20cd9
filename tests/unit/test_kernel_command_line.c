/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kernel/boot_info.h"
#include "kernel/command_line.h"
#include "kernel/start.h"
#include "test_arch.h"

static void no_command_line_is_an_empty_one(void **state)
{
    (void)state;
    char value[8] = "x";

    assert_string_equal(command_line(), "");
    assert_false(command_line_value("key", value, sizeof(value)));
    assert_string_equal(value, "x");
    assert_int_equal(command_line_number("key", 7), 7);
}

static void words_are_found_by_their_whole_key(void **state)
{
    (void)state;
    char value[16];

    command_line_initialise("  exit=0xf4\tquiet exits=no a=b=c =odd  last=");
    assert_true(command_line_value("exit", value, sizeof(value)));
    assert_string_equal(value, "0xf4");
    assert_true(command_line_value("exits", value, sizeof(value)));
    assert_string_equal(value, "no");
    assert_true(command_line_value("quiet", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_true(command_line_value("a", value, sizeof(value)));
    assert_string_equal(value, "b=c");
    assert_true(command_line_value("last", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_false(command_line_value("exi", value, sizeof(value)));
    assert_false(command_line_value("uiet", value, sizeof(value)));
    assert_false(command_line_value("b", value, sizeof(value)));
}

static void the_first_of_two_counts(void **state)
{
    (void)state;
    command_line_initialise("n=1 n=2");
    assert_int_equal(command_line_number("n", 0), 1);
}

static void a_long_value_is_cut_to_the_buffer(void **state)
{
    (void)state;
    char value[4] = "zzz";

    command_line_initialise("k=abcdef");
    assert_true(command_line_value("k", value, sizeof(value)));
    assert_string_equal(value, "abc");
    assert_true(command_line_value("k", NULL, 0));
}

static void numbers_are_decimal_or_hexadecimal(void **state)
{
    (void)state;
    command_line_initialise(
        "a=0 b=18446744073709551615 c=0xFf d=0x0 e=0XffffFFFFffffFFFF f=010 \n\r\tg=0xA9");
    assert_int_equal(command_line_number("a", 1), 0);
    assert_true(command_line_number("b", 1) == UINT64_MAX);
    assert_int_equal(command_line_number("c", 1), 255);
    assert_int_equal(command_line_number("d", 1), 0);
    assert_true(command_line_number("e", 1) == UINT64_MAX);
    assert_int_equal(command_line_number("f", 1), 10);
    assert_int_equal(command_line_number("g", 1), 169);
    assert_string_equal(test_console(), "");
}

static void what_is_no_number_is_reported(void **state)
{
    (void)state;
    const char *const wrong[] = {
        "n",
        "n=",
        "n=x",
        "n=1x",
        "n=0x",
        "n=-1",
        "n=0x12g",
        "n=1 ",
        "n=18446744073709551616",
        "n=0x10000000000000000",
        "n=00000000000000000000000000000000000000001",
    };

    for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        command_line_initialise(wrong[i]);
        test_console_clear();
        if (strcmp(wrong[i], "n=1 ") == 0) {
            assert_int_equal(command_line_number("n", 42), 1);
            continue;
        }
        assert_int_equal(command_line_number("n", 42), 42);
        assert_non_null(strstr(test_console(), "is no number, using 42"));
    }
}

static void a_line_of_boot_is_copied(void **state)
{
    (void)state;
    static struct boot_info info;

    boot_info_command_line(&info, "one two", SIZE_MAX);
    assert_string_equal(info.command_line, "one two");
    assert_false(info.command_line_cut);
    /* A protocol may say how long it can be, and leave the terminator out. */
    boot_info_command_line(&info, "onetwo", 3);
    assert_string_equal(info.command_line, "one");
    assert_false(info.command_line_cut);
    boot_info_command_line(&info, "", 0);
    assert_string_equal(info.command_line, "");
}

static void a_line_that_is_too_long_is_cut_and_marked(void **state)
{
    (void)state;
    static struct boot_info info;
    static char text[COMMAND_LINE_SIZE + 1];

    memset(text, 'x', sizeof(text) - 1);
    boot_info_command_line(&info, text, SIZE_MAX);
    assert_int_equal(strlen(info.command_line), COMMAND_LINE_SIZE - 1);
    assert_true(info.command_line_cut);
    text[COMMAND_LINE_SIZE - 1] = '\0';
    boot_info_command_line(&info, text, SIZE_MAX);
    assert_int_equal(strlen(info.command_line), COMMAND_LINE_SIZE - 1);
    assert_false(info.command_line_cut);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(no_command_line_is_an_empty_one, test_arch_setup),
        cmocka_unit_test_setup(words_are_found_by_their_whole_key, test_arch_setup),
        cmocka_unit_test_setup(the_first_of_two_counts, test_arch_setup),
        cmocka_unit_test_setup(a_long_value_is_cut_to_the_buffer, test_arch_setup),
        cmocka_unit_test_setup(numbers_are_decimal_or_hexadecimal, test_arch_setup),
        cmocka_unit_test_setup(what_is_no_number_is_reported, test_arch_setup),
        cmocka_unit_test_setup(a_line_of_boot_is_copied, test_arch_setup),
        cmocka_unit_test_setup(a_line_that_is_too_long_is_cut_and_marked, test_arch_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
