/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_COMMAND_LINE_H
#define KERNEL_COMMAND_LINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The command line as boot handed it over, words of `key` or `key=value` separated by blanks. Never
 * NULL. All here at any IRQL. */
const char *command_line(void);

/* Whether `key` is there; its value (empty for a bare key) is copied, cut to `size` with a
 * terminator. */
bool command_line_value(const char *key, char *value, size_t size);

/* The value as a number (decimal or 0x...), or `fallback` if the key is missing; a value that is no
 * number is reported on the console. */
uint64_t command_line_number(const char *key, uint64_t fallback);

#endif
