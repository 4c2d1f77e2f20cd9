/* SPDX-License-Identifier: MIT */
/* What firmware says of its framebuffer, and pixels of every format in it. */
#include <string.h>

#include "boot/uefi.h"
#include "kernel/framebuffer.h"
#include "test_arch.h"

static struct framebuffer framebuffer;
static struct efi_graphics_mode mode;
static struct efi_graphics_information information;
static uint8_t memory[64 * 8 * 4];

static int setup(void **state)
{
    mode = (struct efi_graphics_mode){
        .framebuffer_base = 0x80000000,
        .framebuffer_size = sizeof(memory),
    };
    information = (struct efi_graphics_information){
        .width = 60, .height = 8, .pixels_per_line = 64, .format = EFI_PIXEL_BGRX};
    memset(memory, 0, sizeof(memory));
    return test_arch_setup(state);
}

static void take(void)
{
    assert_null(uefi_take_graphics(&framebuffer, &mode, &information));
    assert_int_equal(framebuffer.base, 0x80000000);
}

static void refused(const char *why)
{
    const char *said = uefi_take_graphics(&framebuffer, &mode, &information);

    assert_non_null(said);
    assert_non_null(strstr(said, why));
    assert_int_equal(framebuffer.base, 0);
}

static void both_usual_formats_put_colours_in_their_bytes(void **state)
{
    (void)state;
    take();
    assert_int_equal(framebuffer_pixel(&framebuffer, 0x12, 0x34, 0x56), 0x123456);
    information.format = EFI_PIXEL_RGBX;
    take();
    assert_int_equal(framebuffer_pixel(&framebuffer, 0x12, 0x34, 0x56), 0x563412);
    assert_int_equal(framebuffer.bytes_per_pixel, 4);
}

static void masks(uint32_t red, uint32_t green, uint32_t blue, uint32_t reserved)
{
    information.format = EFI_PIXEL_MASKS;
    information.red_mask = red;
    information.green_mask = green;
    information.blue_mask = blue;
    information.reserved_mask = reserved;
    take();
}

static void masks_say_where_colours_are_and_how_long_a_pixel_is(void **state)
{
    (void)state;
    masks(0xf800, 0x07e0, 0x001f, 0);
    assert_int_equal(framebuffer.bytes_per_pixel, 2);
    assert_int_equal(framebuffer_pixel(&framebuffer, 0xff, 0xff, 0xff), 0xffff);
    assert_int_equal(framebuffer_pixel(&framebuffer, 0x80, 0x40, 0x08), 0x8201);
    masks(0x7c00, 0x03e0, 0x001f, 0x8000);
    assert_int_equal(framebuffer.bytes_per_pixel, 2);
    masks(0xff0000, 0xff00, 0xff, 0);
    assert_int_equal(framebuffer.bytes_per_pixel, 3);
    masks(0xff0000, 0xff00, 0xff, 0xff000000);
    assert_int_equal(framebuffer.bytes_per_pixel, 4);
    masks(0x3ff00000, 0xffc00, 0x3ff, 0xc0000000);
    assert_int_equal(framebuffer_pixel(&framebuffer, 0xff, 0, 0x80), 0x3fc00200);
    masks(0xe0, 0x1c, 0x03, 0);
    assert_int_equal(framebuffer.bytes_per_pixel, 1);
    assert_int_equal(framebuffer_pixel(&framebuffer, 0xff, 0, 0xff), 0xe3);
}

static void a_colour_without_a_mask_is_lost(void **state)
{
    (void)state;
    masks(0, 0xff00, 0, 0);
    assert_int_equal(framebuffer_pixel(&framebuffer, 0xff, 0x12, 0xff), 0x1200);
}

static void pixels_are_written_in_their_length(void **state)
{
    (void)state;
    static const struct {
        uint32_t highest, bytes;
    } formats[] = {{0x80, 1}, {0x8000, 2}, {0x800000, 3}, {0x80000000, 4}};

    for (unsigned i = 0; i < 4; i++) {
        masks(1, 2, 4, formats[i].highest);
        memset(memory, 0xee, sizeof(memory));
        framebuffer_fill(&framebuffer, memory, 3, 2, 5, 0x44332211);
        size_t from = (2 * 64 + 3) * formats[i].bytes;
        size_t end = from + 5 * formats[i].bytes;
        for (size_t at = 0; at < sizeof(memory); at++) {
            bool inside = at >= from && at < end;
            size_t expected = inside ? 0x11 * ((at - from) % formats[i].bytes + 1) : 0xee;
            assert_int_equal(memory[at], expected);
        }
    }
}

static void nothing_is_drawn_outside(void **state)
{
    (void)state;
    static const uint8_t untouched[sizeof(memory)];

    take();
    framebuffer_fill(&framebuffer, memory, 60, 0, 1, UINT32_MAX);
    framebuffer_fill(&framebuffer, memory, 0, 8, 1, UINT32_MAX);
    framebuffer_fill(&framebuffer, memory, UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX);
    assert_memory_equal(memory, untouched, sizeof(memory));
    framebuffer_fill(&framebuffer, memory, 58, 7, UINT32_MAX, UINT32_MAX);
    assert_memory_equal(memory, untouched, (7 * 64 + 58) * 4);
    assert_int_equal(memory[(7 * 64 + 59) * 4], 0xff);
    assert_int_equal(memory[(7 * 64 + 60) * 4], 0);
}

static void without_a_framebuffer_it_says_so(void **state)
{
    (void)state;
    information.format = EFI_PIXEL_BLT_ONLY;
    refused("firmware gives no framebuffer");
    information.format = 77;
    refused("firmware gives no framebuffer");
}

static void numbers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    const struct efi_graphics_information good = information;
    const struct efi_graphics_mode good_mode = mode;

    information.width = 0;
    refused("makes no sense");
    information = good;
    information.height = 0;
    refused("makes no sense");
    information.height = 9; /* more than there is memory for */
    refused("makes no sense");
    information.height = UINT32_MAX;
    information.pixels_per_line = UINT32_MAX;
    refused("makes no sense");
    information = good;
    information.pixels_per_line = 59;
    refused("makes no sense");
    information = good;
    mode.framebuffer_base = 0;
    refused("makes no sense");
    mode.framebuffer_base = UINT64_MAX - 100;
    refused("makes no sense");
    mode = good_mode;
    information.format = EFI_PIXEL_MASKS; /* and no mask */
    refused("makes no sense");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(both_usual_formats_put_colours_in_their_bytes, setup),
        cmocka_unit_test_setup(masks_say_where_colours_are_and_how_long_a_pixel_is, setup),
        cmocka_unit_test_setup(a_colour_without_a_mask_is_lost, setup),
        cmocka_unit_test_setup(pixels_are_written_in_their_length, setup),
        cmocka_unit_test_setup(nothing_is_drawn_outside, setup),
        cmocka_unit_test_setup(without_a_framebuffer_it_says_so, setup),
        cmocka_unit_test_setup(numbers_that_make_no_sense_are_refused, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
