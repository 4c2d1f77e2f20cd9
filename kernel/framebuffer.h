/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_FRAMEBUFFER_H
#define KERNEL_FRAMEBUFFER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Pixels in memory, as firmware left them: rows from top to bottom, pixels from left to right, each
 * of 1 to 4 bytes, little-endian, with its colours where the masks say.
 */
struct framebuffer {
    uint64_t base; /* physical address; 0: there is none */
    uint64_t size; /* bytes */
    uint32_t width;
    uint32_t height;
    uint32_t pixels_per_line; /* from one row to the next, not below width */
    uint32_t bytes_per_pixel;
    uint32_t red, green, blue; /* masks */
};

/* Whether all of it makes sense: what every other function here relies on. */
bool framebuffer_is_valid(const struct framebuffer *framebuffer);

/* A colour of 8 bits each as a pixel; colours that the framebuffer has no bits for are lost. */
uint32_t framebuffer_pixel(const struct framebuffer *framebuffer, uint8_t red, uint8_t green,
                           uint8_t blue);

/*
 * Fills `count` pixels of row `y` from `x` on. `memory` is where the framebuffer is mapped. What
 * lies outside of it is not drawn.
 */
void framebuffer_fill(const struct framebuffer *framebuffer, void *memory, uint32_t x, uint32_t y,
                      uint32_t count, uint32_t pixel);

#endif
