/* SPDX-License-Identifier: MIT */
#include "kernel/text_screen.h"

#include <string.h>

#define TAB_WIDTH 8u

/* Grey on black, as of old. */
#define FOREGROUND 0xc0, 0xc0, 0xc0

static uint32_t smaller(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

bool text_screen_start(struct text_screen *screen, const struct framebuffer *framebuffer,
                       void *memory)
{
    uint32_t scale = framebuffer->width / (TEXT_COLUMNS_WANTED * TEXT_CELL_WIDTH);

    scale = scale == 0 ? 1 : scale;
    screen->framebuffer = *framebuffer;
    screen->memory = memory;
    screen->scale = scale;
    screen->columns = smaller(framebuffer->width / scale / TEXT_CELL_WIDTH, TEXT_COLUMNS_MAXIMUM);
    screen->rows = smaller(framebuffer->height / scale / TEXT_CELL_HEIGHT, TEXT_ROWS_MAXIMUM);
    screen->column = 0;
    screen->row = 0;
    screen->foreground = framebuffer_pixel(framebuffer, FOREGROUND);
    screen->background = framebuffer_pixel(framebuffer, 0, 0, 0);
    memset(screen->wanted, ' ', sizeof(screen->wanted));
    memset(screen->shown, ' ', sizeof(screen->shown));
    for (uint32_t y = 0; y < framebuffer->height; y++) {
        framebuffer_fill(framebuffer, memory, 0, y, framebuffer->width, screen->background);
    }
    return screen->columns != 0 && screen->rows != 0;
}

/* Each row of the glyph becomes `scale` rows of the screen, in runs of equal pixels. */
static void draw(const struct text_screen *screen, uint32_t column, uint32_t row)
{
    const uint8_t *glyph = font_glyph(screen->wanted[row][column]);
    uint32_t left = column * TEXT_CELL_WIDTH * screen->scale;
    uint32_t top = row * TEXT_CELL_HEIGHT * screen->scale;

    for (uint32_t y = 0; y < FONT_HEIGHT * screen->scale; y++) {
        uint32_t bits = (uint32_t)glyph[y / screen->scale];
        for (uint32_t x = 0; x < FONT_WIDTH;) {
            bool on = (bits >> (FONT_WIDTH - 1 - x) & 1) != 0;
            uint32_t end = x + 1;
            while (end < FONT_WIDTH && ((bits >> (FONT_WIDTH - 1 - end) & 1) != 0) == on) {
                end++;
            }
            framebuffer_fill(&screen->framebuffer, screen->memory, left + x * screen->scale,
                             top + y, (end - x) * screen->scale,
                             on ? screen->foreground : screen->background);
            x = end;
        }
    }
}

static void draw_changes(struct text_screen *screen)
{
    for (uint32_t row = 0; row < screen->rows; row++) {
        char *wanted = screen->wanted[row];
        char *shown = screen->shown[row];
        if (memcmp(wanted, shown, screen->columns) == 0) {
            continue;
        }
        for (uint32_t column = 0; column < screen->columns; column++) {
            if (wanted[column] != shown[column]) {
                draw(screen, column, row);
                shown[column] = wanted[column];
            }
        }
    }
}

static void next_line(struct text_screen *screen)
{
    uint32_t freed = screen->rows / 4 + 1;

    screen->column = 0;
    screen->row++;
    if (screen->row < screen->rows) {
        return;
    }
    screen->row = screen->rows - freed;
    memmove(screen->wanted[0], screen->wanted[freed], screen->row * sizeof(screen->wanted[0]));
    memset(screen->wanted[screen->row], ' ', freed * sizeof(screen->wanted[0]));
}

static void put(struct text_screen *screen, char character)
{
    if (screen->column == screen->columns) {
        next_line(screen);
    }
    screen->wanted[screen->row][screen->column++] = character;
}

void text_screen_write(struct text_screen *screen, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            next_line(screen);
        } else if (text[i] == '\t') {
            do {
                put(screen, ' ');
            } while (screen->column % TAB_WIDTH != 0 && screen->column < screen->columns);
        } else if (text[i] != '\r') {
            put(screen, text[i]);
        }
    }
    draw_changes(screen);
}
