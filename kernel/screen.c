/* SPDX-License-Identifier: MIT */
/* The console on the screen that firmware left on. */
#include "kernel/screen.h"

#include <stdint.h>

#include "arch/cpu.h"
#include "kernel/console.h"
#include "kernel/log.h"
#include "kernel/text_screen.h"

static struct text_screen screen;

static void screen_write(const char *text, size_t length)
{
    text_screen_write(&screen, text, length);
}

static struct console_sink sink = {.write = screen_write};

void screen_start(const struct framebuffer *framebuffer)
{
    /* Firmware may count all memory of a card, or more: what is never drawn is not mapped. */
    uint64_t seen =
        (uint64_t)framebuffer->pixels_per_line * framebuffer->height * framebuffer->bytes_per_pixel;

    if (!arch_map_range(framebuffer->base, seen, ARCH_MAPPING_FRAMEBUFFER)) {
        log_warning("kernel", "no console on the screen: the framebuffer cannot be mapped");
        return;
    }
    if (!text_screen_start(&screen, framebuffer, (void *)(uintptr_t)framebuffer->base)) {
        log_warning("kernel", "no console on the screen: %ux%u pixels are no room for text",
                    framebuffer->width, framebuffer->height);
        return;
    }
    console_sink_register(&sink);
    log_info("kernel", "console on the screen: %ux%u pixels, %ux%u letters", framebuffer->width,
             framebuffer->height, screen.columns, screen.rows);
}
