/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_TEXT_SCREEN_H
#define KERNEL_TEXT_SCREEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/font.h"
#include "kernel/framebuffer.h"

/* A letter's place with the space around it, in pixels of the font. */
#define TEXT_CELL_WIDTH  (FONT_WIDTH + 1)
#define TEXT_CELL_HEIGHT (FONT_HEIGHT + 2)

/*
 * Choices. A line has at least this many letters if the screen can hold them; the font's pixels are
 * made as large as that allows. More letters or lines than the limits are not used.
 */
#define TEXT_COLUMNS_WANTED  80u
#define TEXT_COLUMNS_MAXIMUM 160u
#define TEXT_ROWS_MAXIMUM    128u

/*
 * Text on a framebuffer, which is slow to write and slower to read: what is on it is remembered
 * here, and only letters that change are drawn.
 */
struct text_screen {
    struct framebuffer framebuffer;
    void *memory;   /* the framebuffer as mapped */
    uint32_t scale; /* pixels of the screen for one of the font, either way */
    uint32_t columns;
    uint32_t rows;
    uint32_t column, row;            /* where the next letter goes */
    uint32_t foreground, background; /* pixels */
    char wanted[TEXT_ROWS_MAXIMUM][TEXT_COLUMNS_MAXIMUM];
    char shown[TEXT_ROWS_MAXIMUM][TEXT_COLUMNS_MAXIMUM];
};

/* Clears the screen. False: it is too small for a letter. The framebuffer is a valid one. */
bool text_screen_start(struct text_screen *screen, const struct framebuffer *framebuffer,
                       void *memory);

/*
 * Writes text: line feeds, tabs to the next multiple of 8, long lines go on in the next one.
 * Carriage returns are left out. Below the last line a quarter of the screen is made free, and the
 * whole of it drawn once, at the end: many lines cost little more than one. One call at a time.
 */
void text_screen_write(struct text_screen *screen, const char *text, size_t length);

#endif
