/* SPDX-License-Identifier: MIT */
/* What all devices of a host have in common, with the sample device for an example. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "drivers/echo/echo_client.h"
#include "tests/unit/pair/host.h"

static struct echo_client guest;

/* ---- creation ---- */

static void refused(const char *text, const char *reason)
{
    assert_null(host_create(text));
    assert_non_null(strstr(host_lines, reason));
}

static void what_cannot_be_made_is_said(void **state)
{
    (void)state;
    refused("fax", "there is no device fax");
    refused("", "there is no device ");
    refused("echo-sampl", "no device echo-sampl");
    refused("echo-sample,speed=9", "has no option speed");
    refused("echo-sample,name=a,=", "has no option ");
    refused("echo-sample,instance=12345678", "is no GUID");
    refused("echo-sample,instance=12345678-1234-1234-1234-12345678901g", "is no GUID");
    refused("echo-sample,instance=12345678-1234-1234-1234-1234567890123", "is no GUID");
    refused("echo-sample,name=", "name=: 1 to 31 characters without blanks are needed");
    refused("echo-sample,name=two words", "without blanks");
    refused("echo-sample,name=12345678901234567890123456789012", "1 to 31 characters");
    for (unsigned n = 1; n <= 3; n++) {
        test_memory_fail(n);
        assert_null(host_create("echo-sample"));
        assert_int_not_equal(host_lines[0], '\0');
    }
}

static void two_of_a_type_need_two_instances(void **state)
{
    (void)state;
    struct host_device *first = host_create("echo-sample");
    struct host_device *second = host_create("echo-sample,name=second");
    struct host_device *third =
        host_create("echo-sample,instance=01234567-89AB-cdef-0123-456789abcdef,name=third");
    assert_string_equal(first->name, "echo-sample");
    assert_string_equal(third->name, "third");
    const GUID expected = {
        0x01234567, 0x89ab, 0xcdef, {0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef}};
    assert_memory_equal(&third->instance, &expected, sizeof(GUID));
    assert_true(host_device_enable(first, &host_output));
    assert_false(host_device_enable(second, &host_output));
    assert_non_null(strstr(host_lines, "second: the bus refuses the offer"));
    assert_true(host_device_enable(third, &host_output));
    host_device_destroy(first);
    host_device_destroy(second);
    host_device_destroy(third);
}

static void the_help_names_every_type_option_and_command(void **state)
{
    (void)state;
    host_forget();
    host_device_help(&host_output);
    for (const struct host_device_type *const *type = host_device_types; *type != NULL; type++) {
        assert_non_null(strstr(host_lines, (*type)->name));
        assert_non_null((*type)->purpose);
        for (const struct host_option *option = (*type)->options; option->key != NULL; option++) {
            assert_non_null(strstr(host_lines, option->key));
        }
        for (const struct host_command *c = (*type)->commands; c->name != NULL; c++) {
            assert_non_null(strstr(host_lines, c->name));
            assert_true(c->maximum < HOST_COMMAND_WORDS);
        }
    }
    assert_non_null(strstr(host_lines, "instance=GUID"));
}

/* ---- text ---- */

static void options_are_found_by_their_whole_key(void **state)
{
    const char *options = "one=1,on=2,bare,last=0x10";
    char value[4];
    UINT64 number;

    (void)state;
    assert_true(host_option_value(options, "on", value, sizeof(value)));
    assert_string_equal(value, "2");
    assert_true(host_option_value(options, "bare", value, sizeof(value)));
    assert_string_equal(value, "");
    assert_true(host_option_value(options, "last", value, sizeof(value)));
    assert_string_equal(value, "0x1");
    assert_false(host_option_value(options, "o", value, sizeof(value)));
    assert_false(host_option_value("", "o", value, sizeof(value)));
    host_forget();
    assert_true(host_option_number(options, "last", 5, 16, &number, &host_output));
    assert_int_equal(number, 16);
    assert_true(host_option_number(options, "none", 5, 16, &number, &host_output));
    assert_int_equal(number, 5);
    assert_string_equal(host_lines, "");
    assert_false(host_option_number(options, "last", 5, 15, &number, &host_output));
    assert_non_null(strstr(host_lines, "last=0x10: a number up to 15"));
    assert_false(host_option_number(options, "bare", 5, 15, &number, &host_output));
}

static void numbers_are_whole_and_fit(void **state)
{
    UINT64 number;

    (void)state;
    assert_true(host_number("18446744073709551615", &number));
    assert_true(number == UINT64_MAX);
    assert_true(host_number("0xffffffffffffffff", &number));
    assert_true(number == UINT64_MAX);
    assert_true(host_number("0XaB", &number));
    assert_int_equal(number, 0xab);
    static const char *const none[] = {
        "",  "0x", "12 ", "-1", "1a", "0x1g", "18446744073709551616", "0x10000000000000000",
        "/", ":"};
    for (unsigned i = 0; i < sizeof(none) / sizeof(none[0]); i++) {
        assert_false(host_number(none[i], &number));
    }
}

static void commands_that_are_none_are_refused(void **state)
{
    char longer[HOST_LINE_SIZE + 1];

    (void)state;
    struct host_device *device = host_create("echo-sample");
    assert_true(host_command(device, "status"));
    assert_string_equal(host_lines, "open=0 echoed=0 malformed=0\n");
    assert_true(host_command(device, " \t\"status\" "));
    assert_true(host_command(device, "help"));
    assert_non_null(strstr(host_lines, "status"));
    assert_true(host_command(device, "statistics"));
    assert_non_null(strstr(host_lines, "state=disabled sent=0"));
    assert_false(host_command(device, ""));
    assert_false(host_command(device, "status now"));
    assert_non_null(strstr(host_lines, "usage: status"));
    assert_false(host_command(device, "statu"));
    assert_non_null(strstr(host_lines, "no such command: statu"));
    assert_false(host_command(device, "\"status"));
    assert_false(host_command(device, "1 2 3 4 5 6 7 8 9"));
    memset(longer, 'a', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    assert_false(host_command(device, longer));
    host_device_destroy(device);
}

/* ---- life ---- */

static void a_device_serves_is_taken_back_and_offered_again(void **state)
{
    UINT8 answer[8];

    (void)state;
    struct host_device *device = host_offer("echo-sample");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(echo_client_start(&guest), STATUS_SUCCESS);
        settle();
        assert_int_equal(echo_client_exchange(&guest, "12345678", 8, answer), STATUS_SUCCESS);
        host_device_disable(device);
        settle();
        assert_false(guest.is_ready);
        echo_client_stop(&guest);
        assert_true(host_device_enable(device, &host_output));
        host_device_start(device);
    }
    assert_true(host_command(device, "status"));
    assert_string_equal(host_lines, "open=0 echoed=3 malformed=0\n");
    host_device_destroy(device);
}

/* ---- save and restore ---- */

static void a_saved_device_is_restored(void **state)
{
    UINT8 answer[8];

    (void)state;
    struct host_device *device = host_offer("echo-sample");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    assert_int_equal(echo_client_start(&guest), STATUS_SUCCESS);
    settle();
    assert_int_equal(echo_client_exchange(&guest, "12345678", 8, answer), STATUS_SUCCESS);
    host_save(device);
    /* A save changes nothing. */
    host_device_start(device);
    assert_int_equal(echo_client_exchange(&guest, "12345678", 8, answer), STATUS_SUCCESS);
    host_device_destroy(device);
    device = host_create("echo-sample");
    assert_int_equal(host_device_restore(device, host_saved, host_saved_size), STATUS_SUCCESS);
    assert_true(host_command(device, "status"));
    assert_string_equal(host_lines, "open=0 echoed=1 malformed=0\n");
    host_device_destroy(device);
    echo_client_stop(&guest);
}

static void bytes_that_were_changed_are_refused(void **state)
{
    UINT8 *bytes = (UINT8 *)host_saved;

    (void)state;
    struct host_device *device = host_create("echo-sample");
    host_save(device);
    for (size_t size = 0; size < host_saved_size; size++) {
        assert_int_not_equal(host_device_restore(device, host_saved, size), STATUS_SUCCESS);
    }
    /* Of its own state, only the device can tell. */
    for (size_t at = 0; at < host_saved_size; at++) {
        if (at >= 24 && at < 32) {
            continue;
        }
        bytes[at] ^= 0x80;
        assert_int_not_equal(host_device_restore(device, host_saved, host_saved_size),
                             STATUS_SUCCESS);
        bytes[at] ^= 0x80;
    }
    assert_int_equal(host_device_restore(device, host_saved, host_saved_size), STATUS_SUCCESS);
    host_device_destroy(device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(what_cannot_be_made_is_said),
        pair_test(two_of_a_type_need_two_instances),
        pair_test(the_help_names_every_type_option_and_command),
        pair_test(options_are_found_by_their_whole_key),
        pair_test(numbers_are_whole_and_fit),
        pair_test(commands_that_are_none_are_refused),
        pair_test(a_device_serves_is_taken_back_and_offered_again),
        pair_test(a_saved_device_is_restored),
        pair_test(bytes_that_were_changed_are_refused),
    };
    return cmocka_run_group_tests_name("pair, devices of a host", tests, NULL, NULL);
}
