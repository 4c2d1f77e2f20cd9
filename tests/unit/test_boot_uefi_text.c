/* SPDX-License-Identifier: MIT */
/* The command line out of load options and files, as users and boot managers leave them. */
#include <stdio.h>
#include <string.h>

#include "boot/uefi.h"
#include "test_arch.h"

static struct boot_info info;

static int setup(void **state)
{
    memset(&info, 0, sizeof(info));
    return test_arch_setup(state);
}

/* UTF-16 of a text in ASCII, without a terminator; returns its bytes. */
static size_t widen(uint16_t *out, const char *text)
{
    size_t length = strlen(text);

    for (size_t i = 0; i < length; i++) {
        out[i] = (uint8_t)text[i];
    }
    return 2 * length;
}

static void load_options_become_the_command_line(void **state)
{
    (void)state;
    uint16_t options[32];
    size_t size = widen(options, " run=2\texit=0xf4 ");

    assert_int_equal(uefi_take_load_options(&info, options, size), UEFI_TEXT_TAKEN);
    assert_string_equal(info.command_line, " run=2 exit=0xf4");
    assert_false(info.command_line_cut);
}

static void load_options_end_at_a_terminator(void **state)
{
    (void)state;
    uint16_t options[32];
    size_t size = widen(options, "run=2");

    options[5] = 0;
    options[6] = 0xd800; /* whatever stands behind it */
    assert_int_equal(uefi_take_load_options(&info, options, size + 4), UEFI_TEXT_TAKEN);
    assert_string_equal(info.command_line, "run=2");
}

static void load_options_of_blanks_are_empty(void **state)
{
    (void)state;
    uint16_t options[8];

    assert_int_equal(uefi_take_load_options(&info, options, widen(options, " \r\n")),
                     UEFI_TEXT_EMPTY);
    assert_int_equal(uefi_take_load_options(&info, options, 0), UEFI_TEXT_EMPTY);
    options[0] = 0;
    assert_int_equal(uefi_take_load_options(&info, options, 2), UEFI_TEXT_EMPTY);
    assert_string_equal(info.command_line, "");
}

static void a_guid_as_load_options_is_no_text(void **state)
{
    (void)state;
    static const uint8_t guid[16] = {0x4e, 0xac, 0x08, 0x81, 0x11, 0x9f, 0x59, 0x4d,
                                     0x85, 0x0e, 0xe2, 0x1a, 0x52, 0x2c, 0x59, 0xb2};

    strcpy(info.command_line, "before");
    assert_int_equal(uefi_take_load_options(&info, guid, sizeof(guid)), UEFI_TEXT_NOT_TEXT);
    assert_string_equal(info.command_line, "before");
}

static void load_options_of_odd_size_are_no_text(void **state)
{
    (void)state;
    uint16_t options[8];

    assert_int_equal(uefi_take_load_options(&info, options, widen(options, "run=2") + 1),
                     UEFI_TEXT_NOT_TEXT);
}

static void characters_beyond_ascii_are_no_text(void **state)
{
    (void)state;
    uint16_t options[8];
    size_t size = widen(options, "run=2");

    options[2] = 0x100 + ' '; /* its low byte alone would pass */
    assert_int_equal(uefi_take_load_options(&info, options, size), UEFI_TEXT_NOT_TEXT);
    options[2] = 0x7f;
    assert_int_equal(uefi_take_load_options(&info, options, size), UEFI_TEXT_NOT_TEXT);
    options[2] = 0x1f;
    assert_int_equal(uefi_take_load_options(&info, options, size), UEFI_TEXT_NOT_TEXT);
}

static void lines_of_a_file_become_words(void **state)
{
    (void)state;
    static const char text[] = "run=2\r\nexit=0xf4\n\n";

    assert_int_equal(uefi_take_file(&info, text, sizeof(text) - 1), UEFI_TEXT_TAKEN);
    assert_string_equal(info.command_line, "run=2  exit=0xf4");
}

static void files_of_windows_are_read(void **state)
{
    (void)state;
    static const char utf8[] = "\xef\xbb\xbfrun=2";
    struct {
        uint16_t mark;
        uint16_t text[16];
    } utf16 = {.mark = 0xfeff};
    size_t size = widen(utf16.text, "run=3\r\n");

    assert_int_equal(uefi_take_file(&info, utf8, sizeof(utf8) - 1), UEFI_TEXT_TAKEN);
    assert_string_equal(info.command_line, "run=2");
    assert_int_equal(uefi_take_file(&info, &utf16, size + 2), UEFI_TEXT_TAKEN);
    assert_string_equal(info.command_line, "run=3");
}

static void an_empty_file_is_empty(void **state)
{
    (void)state;
    assert_int_equal(uefi_take_file(&info, "", 0), UEFI_TEXT_EMPTY);
    assert_int_equal(uefi_take_file(&info, "\xff\xfe", 2), UEFI_TEXT_EMPTY);
    assert_int_equal(uefi_take_file(&info, "\xef\xbb\xbf", 3), UEFI_TEXT_EMPTY);
}

static void a_file_that_is_no_text_leaves_nothing(void **state)
{
    (void)state;
    static const char *const bad[] = {"run=2 \x80", "\177ELF", "MZ\x90", "run=\xc3\xbc"};

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(uefi_take_file(&info, bad[i], strlen(bad[i])), UEFI_TEXT_NOT_TEXT);
        assert_string_equal(info.command_line, "");
    }
    assert_int_equal(uefi_take_file(&info, "run=2\0run=3", 11), UEFI_TEXT_NOT_TEXT);
}

static void a_long_text_is_cut_and_says_so(void **state)
{
    (void)state;
    static char text[3 * COMMAND_LINE_SIZE];

    memset(text, 'x', sizeof(text));
    assert_int_equal(uefi_take_file(&info, text, COMMAND_LINE_SIZE - 1), UEFI_TEXT_TAKEN);
    assert_int_equal(strlen(info.command_line), COMMAND_LINE_SIZE - 1);
    assert_false(info.command_line_cut);
    assert_int_equal(uefi_take_file(&info, text, sizeof(text)), UEFI_TEXT_TAKEN);
    assert_int_equal(strlen(info.command_line), COMMAND_LINE_SIZE - 1);
    assert_true(info.command_line_cut);
}

/* ---- the path ---- */

static uint8_t nodes[1024];
static size_t nodes_used;

static void add_node(uint8_t type, uint8_t sub_type, const char *text)
{
    uint16_t wide[256];
    size_t size = widen(wide, text) + 2;
    uint16_t length = (uint16_t)(4 + size);

    wide[size / 2 - 1] = 0;
    nodes[nodes_used] = type;
    nodes[nodes_used + 1] = sub_type;
    memcpy(nodes + nodes_used + 2, &length, 2);
    memcpy(nodes + nodes_used + 4, wide, size);
    nodes_used += length;
}

static void end_nodes(void)
{
    static const uint8_t end[] = {0x7f, 0xff, 4, 0};

    memcpy(nodes + nodes_used, end, sizeof(end));
    nodes_used = 0;
}

static const char *path_of(const void *file_path)
{
    static char narrow[256];
    uint16_t path[256];

    assert_true(uefi_command_line_path(path, 256, file_path));
    for (unsigned i = 0; i < 256; i++) {
        narrow[i] = (char)path[i];
        if (path[i] == 0) {
            break;
        }
    }
    return narrow;
}

static void the_file_is_beside_the_application(void **state)
{
    (void)state;
    add_node(4, 4, "\\EFI\\BOOT\\BOOTX64.EFI");
    end_nodes();
    assert_string_equal(path_of(nodes), "\\EFI\\BOOT\\barebus.txt");
    add_node(4, 4, "\\tools");
    add_node(4, 4, "\\hello.efi");
    end_nodes();
    assert_string_equal(path_of(nodes), "\\tools\\barebus.txt");
    add_node(4, 4, "\\tools\\");
    add_node(4, 4, "hello.efi");
    end_nodes();
    assert_string_equal(path_of(nodes), "\\tools\\barebus.txt");
    add_node(4, 4, "\\hello.efi");
    end_nodes();
    assert_string_equal(path_of(nodes), "\\barebus.txt");
}

static void without_a_path_it_is_in_the_folder_of_removable_media(void **state)
{
    (void)state;
    assert_string_equal(path_of(NULL), "\\EFI\\BOOT\\barebus.txt");
    end_nodes();
    assert_string_equal(path_of(nodes), "\\EFI\\BOOT\\barebus.txt");
    add_node(4, 4, "hello.efi");
    end_nodes();
    assert_string_equal(path_of(nodes), "\\EFI\\BOOT\\barebus.txt");
    add_node(1, 4, "\\other\\hello.efi"); /* another type of node */
    end_nodes();
    assert_string_equal(path_of(nodes), "\\EFI\\BOOT\\barebus.txt");
}

static void broken_paths_end_the_walk(void **state)
{
    (void)state;
    static const uint8_t valid[] = {1, 1, 4, 0};
    uint16_t path[256];

    memset(nodes, 0, sizeof(nodes)); /* nodes of length 0 */
    assert_string_equal(path_of(nodes), "\\EFI\\BOOT\\barebus.txt");
    /* A node that leads back to nowhere in particular: each is valid, and there is no end. */
    for (unsigned i = 0; i + 4 <= sizeof(nodes); i += 4) {
        memcpy(nodes + i, valid, sizeof(valid));
    }
    assert_true(uefi_command_line_path(path, 256, (const void *)nodes));
}

static void a_path_that_is_too_long_is_refused(void **state)
{
    (void)state;
    uint16_t path[256];
    char text[250];

    memset(text, 'x', sizeof(text));
    text[0] = '\\';
    text[sizeof(text) - 2] = '\\';
    text[sizeof(text) - 1] = '\0';
    add_node(4, 4, text);
    end_nodes();
    assert_false(uefi_command_line_path(path, 256, (const void *)nodes));
    assert_false(uefi_command_line_path(path, 64, (const void *)nodes));
    assert_false(uefi_command_line_path(path, 8, NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(load_options_become_the_command_line, setup),
        cmocka_unit_test_setup(load_options_end_at_a_terminator, setup),
        cmocka_unit_test_setup(load_options_of_blanks_are_empty, setup),
        cmocka_unit_test_setup(a_guid_as_load_options_is_no_text, setup),
        cmocka_unit_test_setup(load_options_of_odd_size_are_no_text, setup),
        cmocka_unit_test_setup(characters_beyond_ascii_are_no_text, setup),
        cmocka_unit_test_setup(lines_of_a_file_become_words, setup),
        cmocka_unit_test_setup(files_of_windows_are_read, setup),
        cmocka_unit_test_setup(an_empty_file_is_empty, setup),
        cmocka_unit_test_setup(a_file_that_is_no_text_leaves_nothing, setup),
        cmocka_unit_test_setup(a_long_text_is_cut_and_says_so, setup),
        cmocka_unit_test_setup(the_file_is_beside_the_application, setup),
        cmocka_unit_test_setup(without_a_path_it_is_in_the_folder_of_removable_media, setup),
        cmocka_unit_test_setup(broken_paths_end_the_walk, setup),
        cmocka_unit_test_setup(a_path_that_is_too_long_is_refused, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
