/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_FORMAT_H
#define KERNEL_FORMAT_H

#include <stdarg.h>
#include <stddef.h>

/*
 * printf's formatting for the console at any IRQL: no allocation, no state, no floating point, the
 * same with every C library. Understands %d %i %u %x %X %c %s %p %%, the flags - and 0, width,
 * precision (also as *), and the lengths hh h l ll z t j. A conversion it does not know is copied
 * as it stands and ends the formatting. Writes at most `size` bytes with the terminator (nothing if
 * size is 0) and returns the length that was written, without it.
 */
size_t format_text(char *out, size_t size, const char *format, va_list list)
    __attribute__((format(printf, 3, 0)));

/* The same, with the arguments themselves. */
size_t format_into(char *out, size_t size, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
