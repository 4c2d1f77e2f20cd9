/* SPDX-License-Identifier: MIT */
#include "kernel/log_memory.h"

#include <string.h>

/* Zero until the first text: 64 KiB that are not in the image's file. */
static struct log_memory memory;

void log_memory_append(const char *text, size_t length)
{
    memcpy(memory.mark, LOG_MEMORY_MARK, sizeof(memory.mark));
    for (size_t i = 0; i < length; i++) {
        if (text[i] != '\r') {
            memory.text[memory.written++ % LOG_MEMORY_SIZE] = text[i];
        }
    }
}

size_t log_memory_read(uint64_t *from, char *out, size_t size)
{
    size_t copied = 0;

    if (memory.written > LOG_MEMORY_SIZE && *from < memory.written - LOG_MEMORY_SIZE) {
        *from = memory.written - LOG_MEMORY_SIZE;
    }
    while (copied < size && *from < memory.written) {
        out[copied++] = memory.text[(*from)++ % LOG_MEMORY_SIZE];
    }
    return copied;
}
