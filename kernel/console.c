/* SPDX-License-Identifier: MIT */
#include "kernel/console.h"

#include <stdint.h>

#include "arch/cpu.h"
#include "kernel/log_memory.h"

static struct console_sink *sinks;

/* An exception in a sink is reported through this again: that sink is passed over then. */
static void sink_write(struct console_sink *sink, const char *text, size_t length)
{
    if (!sink->busy) {
        sink->busy = true;
        sink->write(text, length);
        sink->busy = false;
    }
}

void console_write(const char *text, size_t length)
{
    bool interrupts = arch_interrupts_disable();

    log_memory_append(text, length);
    (void)arch_console_write(text, (uint32_t)length);
    for (struct console_sink *sink = sinks; sink != NULL; sink = sink->next) {
        sink_write(sink, text, length);
    }
    arch_interrupts_restore(interrupts);
}

void console_write_lines(const char *text, size_t length)
{
    size_t from = 0;

    for (size_t i = 0; i < length; i++) {
        if (text[i] == '\n') {
            console_write(text + from, i - from);
            console_write("\r\n", 2);
            from = i + 1;
        }
    }
    console_write(text + from, length - from);
}

void console_sink_register(struct console_sink *sink)
{
    char piece[256];
    uint64_t from = 0;
    size_t length;
    bool interrupts = arch_interrupts_disable();

    while ((length = log_memory_read(&from, piece, sizeof(piece))) > 0) {
        sink_write(sink, piece, length);
    }
    sink->next = sinks;
    sinks = sink;
    arch_interrupts_restore(interrupts);
}
