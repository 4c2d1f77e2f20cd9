/* SPDX-License-Identifier: MIT */
#include "kernel/utf16.h"

#include <stdbool.h>

#define REPLACEMENT 0xfffdu

static bool is_surrogate(uint32_t code)
{
    return code >= 0xd800 && code < 0xe000;
}

/* One character of UTF-8; nothing is read behind a terminator. */
static uint32_t next_of_utf8(const uint8_t **at)
{
    static const uint32_t least[4] = {0, 0x80, 0x800, 0x10000};
    const uint8_t first = *(*at)++;

    if (first < 0x80) {
        return first;
    }
    const unsigned more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1;
    if (first < 0xc2 || first > 0xf4) {
        return REPLACEMENT;
    }
    uint32_t code = first & (0x3fu >> more);
    for (unsigned i = 0; i < more; i++) {
        if ((**at & 0xc0) != 0x80) {
            return REPLACEMENT;
        }
        code = code << 6 | (*(*at)++ & 0x3fu);
    }
    return code < least[more] || code > 0x10ffff || is_surrogate(code) ? REPLACEMENT : code;
}

static void put16(uint8_t *out, uint32_t unit)
{
    out[0] = (uint8_t)unit;
    out[1] = (uint8_t)(unit >> 8);
}

size_t utf16_from_utf8(const char *text, void *out, size_t capacity)
{
    const uint8_t *at = (const uint8_t *)text;
    uint8_t *bytes = out;
    size_t size = 0;

    for (;;) {
        const uint32_t code = next_of_utf8(&at);
        const size_t needed = code >= 0x10000 ? 4 : 2;
        if (capacity - size < needed) {
            return 0;
        }
        if (code >= 0x10000) {
            put16(bytes + size, 0xd800 + ((code - 0x10000) >> 10));
            put16(bytes + size + 2, 0xdc00 + ((code - 0x10000) & 0x3ff));
        } else {
            put16(bytes + size, code);
        }
        size += needed;
        if (code == 0) {
            return size;
        }
    }
}

size_t utf16_size_of_utf8(const char *text)
{
    const uint8_t *at = (const uint8_t *)text;
    size_t size = 0;

    for (;;) {
        const uint32_t code = next_of_utf8(&at);
        size += code >= 0x10000 ? 4 : 2;
        if (code == 0) {
            return size;
        }
    }
}

static size_t put8(char out[4], uint32_t code)
{
    if (code < 0x80) {
        out[0] = (char)code;
        return 1;
    }
    const unsigned more = code >= 0x10000 ? 3 : code >= 0x800 ? 2 : 1;
    for (unsigned i = more; i > 0; i--) {
        out[i] = (char)(0x80 | (code & 0x3f));
        code >>= 6;
    }
    out[0] = (char)((0xf00u >> (more + 1) & 0xff) | code);
    return more + 1;
}

static uint32_t unit_at(const uint8_t *bytes)
{
    return bytes[0] | (uint32_t)bytes[1] << 8;
}

size_t utf16_to_utf8(const void *text, size_t size, char *out, size_t capacity)
{
    const uint8_t *bytes = text;
    size_t length = 0;

    for (size_t at = 0; size - at >= 2;) {
        char character[4];
        uint32_t code = unit_at(bytes + at);
        at += 2;
        if (code == 0) {
            break;
        }
        if (is_surrogate(code)) {
            const uint32_t low = size - at >= 2 ? unit_at(bytes + at) : 0;
            if (code < 0xdc00 && low >= 0xdc00 && low < 0xe000) {
                code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
                at += 2;
            } else {
                code = REPLACEMENT;
            }
        }
        const size_t count = put8(character, code);
        if (capacity - length <= count) {
            break;
        }
        for (size_t i = 0; i < count; i++) {
            out[length++] = character[i];
        }
    }
    out[length] = '\0';
    return length;
}
