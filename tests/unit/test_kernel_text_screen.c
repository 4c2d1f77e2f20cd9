/* SPDX-License-Identifier: MIT */
/* Letters on a framebuffer, read back from its pixels. */
#include "kernel/text_screen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/screen.h"
#include "test_arch.h"

/* 100 letters of 12 x 20 pixels in 8 lines, with a few pixels left over either way. */
#define WIDTH   1207u
#define HEIGHT  167u
#define LINE    1216u
#define COLUMNS 100u
#define ROWS    8u

static uint32_t pixels[HEIGHT * LINE];
static struct framebuffer framebuffer;
static struct text_screen screen;

static int setup(void **state)
{
    framebuffer = (struct framebuffer){.base = (uintptr_t)pixels,
                                       .size = sizeof(pixels),
                                       .width = WIDTH,
                                       .height = HEIGHT,
                                       .pixels_per_line = LINE,
                                       .bytes_per_pixel = 4,
                                       .red = 0xff0000,
                                       .green = 0xff00,
                                       .blue = 0xff};
    memset(pixels, 0x55, sizeof(pixels));
    assert_true(text_screen_start(&screen, &framebuffer, pixels));
    return test_arch_setup(state);
}

static void write_text(const char *text)
{
    text_screen_write(&screen, text, strlen(text));
}

/* The letter whose pixels stand in a cell; 0 if none does. */
static char letter_at(uint32_t column, uint32_t row)
{
    for (int code = FONT_FIRST; code <= FONT_LAST; code++) {
        const uint8_t *glyph = font_glyph((char)code);
        bool same = true;
        for (uint32_t y = 0; y < 20 && same; y++) {
            for (uint32_t x = 0; x < 12 && same; x++) {
                bool on = y / 2 < FONT_HEIGHT && x / 2 < FONT_WIDTH &&
                          (glyph[y / 2] >> (FONT_WIDTH - 1 - x / 2) & 1) != 0;
                uint32_t pixel = pixels[(row * 20 + y) * LINE + column * 12 + x];
                same = pixel == (on ? 0xc0c0c0u : 0u);
            }
        }
        if (same) {
            return (char)code;
        }
    }
    return 0;
}

static const char *line(uint32_t row)
{
    static char text[COLUMNS + 1];
    size_t length = COLUMNS;

    for (uint32_t column = 0; column < COLUMNS; column++) {
        text[column] = letter_at(column, row);
        assert_true(text[column] != 0);
    }
    while (length > 0 && text[length - 1] == ' ') {
        length--;
    }
    text[length] = '\0';
    return text;
}

static void the_screen_is_cleared_and_what_lies_beside_it_is_not(void **state)
{
    (void)state;
    for (uint32_t y = 0; y < HEIGHT; y++) {
        for (uint32_t x = 0; x < LINE; x++) {
            assert_int_equal(pixels[y * LINE + x], x < WIDTH ? 0 : 0x55555555);
        }
    }
    assert_int_equal(screen.columns, COLUMNS);
    assert_int_equal(screen.rows, ROWS);
}

static void every_letter_is_drawn_and_no_two_are_alike(void **state)
{
    (void)state;
    char all[COLUMNS];
    unsigned used = 0;

    for (int code = FONT_FIRST; code <= FONT_LAST; code++) {
        all[used++] = (char)code;
    }
    text_screen_write(&screen, all, used);
    for (unsigned i = 0; i < used; i++) {
        assert_int_equal(letter_at(i, 0), all[i]);
    }
}

static void other_characters_become_blocks(void **state)
{
    (void)state;
    write_text("a\x01\xc3\xbc"
               "b");
    assert_string_equal(line(0), "a\x7f\x7f\x7f"
                                 "b");
}

static void lines_tabs_and_carriage_returns(void **state)
{
    (void)state;
    write_text("one\r\n\ttab\nab\tc\r\n");
    write_text("end");
    assert_string_equal(line(0), "one");
    assert_string_equal(line(1), "        tab");
    assert_string_equal(line(2), "ab      c");
    assert_string_equal(line(3), "end");
}

static void a_long_line_goes_on_in_the_next(void **state)
{
    (void)state;
    char text[COLUMNS + 6];

    memset(text, 'x', sizeof(text));
    text_screen_write(&screen, text, COLUMNS);
    assert_int_equal(strlen(line(0)), COLUMNS);
    write_text("\n"); /* ends that line, and makes no empty one */
    write_text("y");
    assert_string_equal(line(1), "y");
    text_screen_write(&screen, text, sizeof(text));
    assert_string_equal(line(2), "xxxxxxx");
}

static void below_the_last_line_the_oldest_go(void **state)
{
    (void)state;
    char text[32];

    for (unsigned i = 0; i < 30; i++) {
        (void)snprintf(text, sizeof(text), "%sline %u", i == 0 ? "" : "\n", i);
        write_text(text);
        /* The newest is always there, the one before it right above. */
        uint32_t row = screen.row;
        assert_string_equal(line(row), text + (i == 0 ? 0 : 1));
        if (i > 0) {
            (void)snprintf(text, sizeof(text), "line %u", i - 1);
            assert_string_equal(line(row - 1), text);
        }
        for (uint32_t below = row + 1; below < ROWS; below++) {
            assert_string_equal(line(below), "");
        }
    }
}

static void one_write_of_many_lines_leaves_the_last_ones(void **state)
{
    (void)state;
    static char text[100 * 12];
    size_t used = 0;

    for (unsigned i = 0; i < 100; i++) {
        used += (size_t)snprintf(text + used, sizeof(text) - used, "line %03u\n", i);
    }
    text_screen_write(&screen, text, used);
    assert_string_equal(line(screen.row), "");
    assert_string_equal(line(screen.row - 1), "line 099");
}

static void letters_that_stay_are_not_drawn_again(void **state)
{
    (void)state;
    write_text("same");
    pixels[0] = 0x123456; /* within the first letter: drawing it again would take this away */
    write_text(" more\n");
    assert_int_equal(pixels[0], 0x123456);
}

static void scrolling_costs_a_fraction_of_the_screen(void **state)
{
    (void)state;
    unsigned scrolled = 0;
    uint32_t before = 0;

    for (unsigned i = 0; i < 400; i++) {
        write_text("text\n");
        scrolled += screen.row < before;
        before = screen.row;
    }
    assert_true(scrolled <= 400 / (ROWS / 4));
    assert_true(scrolled >= 400 / ROWS);
}

static void a_screen_without_room_for_a_letter_is_refused(void **state)
{
    (void)state;
    framebuffer.height = 9;
    framebuffer.width = 100;
    assert_false(text_screen_start(&screen, &framebuffer, pixels));
    framebuffer.height = 100;
    framebuffer.width = 5;
    assert_false(text_screen_start(&screen, &framebuffer, pixels));
}

static void letters_grow_with_the_screen_and_limits_hold(void **state)
{
    (void)state;
    static const struct {
        uint32_t width, height, scale, columns, rows;
    } sizes[] = {{100, 10, 1, 16, 1},     {640, 480, 1, 106, 48},   {1024, 768, 2, 85, 38},
                 {1920, 1080, 4, 80, 27}, {7680, 4320, 16, 80, 27}, {479, 8000, 1, 79, 128}};

    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        uint32_t *memory = calloc((size_t)sizes[i].width * sizes[i].height, 4);
        assert_non_null(memory);
        framebuffer.width = framebuffer.pixels_per_line = sizes[i].width;
        framebuffer.height = sizes[i].height;
        assert_true(text_screen_start(&screen, &framebuffer, memory));
        assert_int_equal(screen.scale, sizes[i].scale);
        assert_int_equal(screen.columns, sizes[i].columns);
        assert_int_equal(screen.rows, sizes[i].rows);
        for (unsigned n = 0; n < 3 * TEXT_ROWS_MAXIMUM; n++) {
            write_text("text that is longer than the narrowest line\n");
        }
        free(memory);
    }
}

static void a_framebuffer_that_cannot_be_mapped_is_said(void **state)
{
    (void)state;
    screen_start(&framebuffer);
    assert_non_null(strstr(test_console(), "the framebuffer cannot be mapped"));
}

static void a_framebuffer_too_small_for_text_is_said(void **state)
{
    (void)state;
    test_map_range_allow(pixels, pixels + HEIGHT * LINE);
    framebuffer.height = 3;
    screen_start(&framebuffer);
    assert_non_null(strstr(test_console(), "1207x3 pixels are no room for text"));
}

static void the_console_goes_to_the_screen(void **state)
{
    (void)state;
    test_map_range_allow(pixels, pixels + HEIGHT * LINE);
    screen_start(&framebuffer);
    char first[COLUMNS + 1];
    bool found = false;
    for (uint32_t row = 0; row < ROWS && !found; row++) {
        (void)snprintf(first, sizeof(first), "%s", line(row));
        found = strstr(first, "kernel: console on the screen: 1207x167 pixels, 100x8 letters");
    }
    assert_true(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_screen_is_cleared_and_what_lies_beside_it_is_not, setup),
        cmocka_unit_test_setup(every_letter_is_drawn_and_no_two_are_alike, setup),
        cmocka_unit_test_setup(other_characters_become_blocks, setup),
        cmocka_unit_test_setup(lines_tabs_and_carriage_returns, setup),
        cmocka_unit_test_setup(a_long_line_goes_on_in_the_next, setup),
        cmocka_unit_test_setup(below_the_last_line_the_oldest_go, setup),
        cmocka_unit_test_setup(one_write_of_many_lines_leaves_the_last_ones, setup),
        cmocka_unit_test_setup(letters_that_stay_are_not_drawn_again, setup),
        cmocka_unit_test_setup(scrolling_costs_a_fraction_of_the_screen, setup),
        cmocka_unit_test_setup(a_screen_without_room_for_a_letter_is_refused, setup),
        cmocka_unit_test_setup(letters_grow_with_the_screen_and_limits_hold, setup),
        cmocka_unit_test_setup(a_framebuffer_that_cannot_be_mapped_is_said, setup),
        cmocka_unit_test_setup(a_framebuffer_too_small_for_text_is_said, setup),
        cmocka_unit_test_setup(the_console_goes_to_the_screen, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
