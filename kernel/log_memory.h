/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_LOG_MEMORY_H
#define KERNEL_LOG_MEMORY_H

#include <stddef.h>
#include <stdint.h>

/*
 * The last 64 KiB that went to the console, for whoever comes too late to see them: a screen that
 * is set up after the first lines, a debugger, a dump of the guest's memory. In a dump it is found
 * by its mark.
 */
#define LOG_MEMORY_SIZE 65536u
#define LOG_MEMORY_MARK "Barebus log 64K"

struct log_memory {
    char mark[16];
    uint64_t written; /* bytes since the start; the next one goes to text[written % size] */
    char text[LOG_MEMORY_SIZE];
};

/* Adds text without its carriage returns. Interrupts off. */
void log_memory_append(const char *text, size_t length);

/*
 * Copies at most `size` bytes from position `*from` on, counted since the start, and moves it
 * behind them. What was overwritten meanwhile is left out. Returns the bytes copied, 0 at the end.
 * Interrupts off.
 */
size_t log_memory_read(uint64_t *from, char *out, size_t size);

#endif
