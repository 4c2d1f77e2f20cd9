/* SPDX-License-Identifier: MIT */
#include "kernel/framebuffer.h"

#include <stddef.h>
#include <string.h>

#define BYTES_PER_PIXEL_MAXIMUM 4u

bool framebuffer_is_valid(const struct framebuffer *f)
{
    uint64_t pixels;
    uint64_t bytes;
    uint64_t end;

    return f->base != 0 && f->width != 0 && f->height != 0 && f->pixels_per_line >= f->width &&
           f->bytes_per_pixel >= 1 && f->bytes_per_pixel <= BYTES_PER_PIXEL_MAXIMUM &&
           !__builtin_mul_overflow((uint64_t)f->pixels_per_line, f->height, &pixels) &&
           !__builtin_mul_overflow(pixels, f->bytes_per_pixel, &bytes) && bytes <= f->size &&
           !__builtin_add_overflow(f->base, f->size, &end);
}

/* The upper bits of a colour, moved to where the mask has its bits, which are contiguous. */
static uint32_t component(uint32_t mask, uint8_t value)
{
    if (mask == 0) {
        return 0;
    }
    unsigned low = (unsigned)__builtin_ctz(mask);
    unsigned bits = 32 - (unsigned)__builtin_clz(mask) - low;
    uint64_t scaled = bits >= 8 ? (uint64_t)value << (bits - 8) : (uint64_t)value >> (8 - bits);
    return (uint32_t)(scaled << low) & mask;
}

uint32_t framebuffer_pixel(const struct framebuffer *framebuffer, uint8_t red, uint8_t green,
                           uint8_t blue)
{
    return component(framebuffer->red, red) | component(framebuffer->green, green) |
           component(framebuffer->blue, blue);
}

void framebuffer_fill(const struct framebuffer *f, void *memory, uint32_t x, uint32_t y,
                      uint32_t count, uint32_t pixel)
{
    if (y >= f->height || x >= f->width) {
        return;
    }
    count = count < f->width - x ? count : f->width - x;
    uint8_t *at = (uint8_t *)memory + ((uint64_t)y * f->pixels_per_line + x) * f->bytes_per_pixel;
    if (f->bytes_per_pixel == 4) {
        for (uint32_t i = 0; i < count; i++) {
            memcpy(at + (size_t)i * 4, &pixel, 4);
        }
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t byte = 0; byte < f->bytes_per_pixel; byte++) {
            *at++ = (uint8_t)(pixel >> (8 * byte));
        }
    }
}
