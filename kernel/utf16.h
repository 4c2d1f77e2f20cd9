/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_UTF16_H
#define KERNEL_UTF16_H

#include <stddef.h>
#include <stdint.h>

/*
 * Text as Windows has it on a wire (UTF-16, little-endian, at any address, with a terminator) and
 * as programs have it here (UTF-8). Any IRQL.
 */

/* Bytes written to `out`, the terminator included; 0 if it does not fit into `capacity` bytes. What
 * is no UTF-8 becomes U+FFFD. */
size_t utf16_from_utf8(const char *text, void *out, size_t capacity);

/* The bytes it takes there. */
size_t utf16_size_of_utf8(const char *text);

/* Of at most `size` bytes, to a terminator. Returns the length of the text, without its terminator;
 * what does not fit into `capacity` bytes (at least 1) is left out, never in part. Lone surrogates
 * become U+FFFD. */
size_t utf16_to_utf8(const void *text, size_t size, char *out, size_t capacity);

#endif
