/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_FONT_H
#define KERNEL_FONT_H

#include <stdint.h>

/* Pixels of a letter, without the space between letters and lines. */
#define FONT_WIDTH  5u
#define FONT_HEIGHT 8u

#define FONT_FIRST ' '
#define FONT_LAST  0x7f /* a full block, for characters that have no letter here */

/* The rows of a character from top to bottom; the leftmost pixel is bit FONT_WIDTH - 1. */
const uint8_t *font_glyph(char character);

#endif
