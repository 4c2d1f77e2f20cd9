/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CONSOLE_H
#define KERNEL_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Where text for a reader goes: to the architecture's own console, to the log memory, and to every
 * sink that was registered.
 */
struct console_sink {
    struct console_sink *next;
    /* Interrupts are off. Must not allocate, wait, log or panic. */
    void (*write)(const char *text, size_t length);
    bool busy; /* the console's own */
};

/* Shows the sink what the log memory holds, and from then on all that is written. The structure
 * must stay valid for ever. Any IRQL. */
void console_sink_register(struct console_sink *sink);

/*
 * Lines end in "\r\n". Any IRQL, and in exceptions and panics: a sink whose own code raised the
 * exception is not shown its report.
 */
void console_write(const char *text, size_t length);

/* The same for text whose lines end in "\n" alone, as the C library's do. */
void console_write_lines(const char *text, size_t length);

#endif
