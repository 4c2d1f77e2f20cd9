/* SPDX-License-Identifier: MIT */
#include "kernel/format.h"

#include <stdbool.h>
#include <stdint.h>

struct output {
    char *next;
    char *last; /* where the terminator goes at the latest */
};

struct conversion {
    bool left;
    bool zeros;
    unsigned width;
    bool has_precision;
    unsigned precision;
};

/* Choice: more is a mistake, and bounds the work. */
#define WIDTH_MAXIMUM 256u

/* Digits of 2^64 - 1 in decimal. */
#define DIGITS_MAXIMUM 20u

static void put(struct output *out, char character)
{
    if (out->next < out->last) {
        *out->next++ = character;
    }
}

static void put_repeated(struct output *out, char character, unsigned count)
{
    while (count-- > 0) {
        put(out, character);
    }
}

static void put_text(struct output *out, const struct conversion *how, const char *text)
{
    unsigned length = 0;

    if (text == NULL) {
        text = "(null)";
    }
    while ((!how->has_precision || length < how->precision) && text[length] != '\0') {
        length++;
    }
    unsigned padding = how->width > length ? how->width - length : 0;
    put_repeated(out, ' ', how->left ? 0 : padding);
    for (unsigned i = 0; i < length; i++) {
        put(out, text[i]);
    }
    put_repeated(out, ' ', how->left ? padding : 0);
}

static void put_number(struct output *out, const struct conversion *how, const char *prefix,
                       uint64_t value, unsigned base, const char *digits)
{
    char reversed[DIGITS_MAXIMUM];
    unsigned count = 0;
    unsigned prefix_length = 0;

    while (prefix[prefix_length] != '\0') {
        prefix_length++;
    }
    for (; value != 0; value /= base) {
        reversed[count++] = digits[value % base];
    }
    unsigned at_least = how->has_precision ? how->precision : 1;
    unsigned zeros = at_least > count ? at_least - count : 0;
    unsigned used = prefix_length + zeros + count;
    unsigned padding = how->width > used ? how->width - used : 0;
    if (how->zeros && !how->left && !how->has_precision) {
        zeros += padding;
        padding = 0;
    }
    put_repeated(out, ' ', how->left ? 0 : padding);
    for (unsigned i = 0; i < prefix_length; i++) {
        put(out, prefix[i]);
    }
    put_repeated(out, '0', zeros);
    while (count > 0) {
        put(out, reversed[--count]);
    }
    put_repeated(out, ' ', how->left ? padding : 0);
}

enum length {
    LENGTH_CHAR,
    LENGTH_SHORT,
    LENGTH_INT,
    LENGTH_LONG,
    LENGTH_LONG_LONG,
    LENGTH_SIZE,
    LENGTH_DIFFERENCE,
    LENGTH_MAXIMUM,
};

static enum length parse_length(const char **format)
{
    const char *at = *format;
    enum length length = LENGTH_INT;

    switch (*at) {
    case 'h':
        length = at[1] == 'h' ? LENGTH_CHAR : LENGTH_SHORT;
        at += at[1] == 'h' ? 2 : 1;
        break;
    case 'l':
        length = at[1] == 'l' ? LENGTH_LONG_LONG : LENGTH_LONG;
        at += at[1] == 'l' ? 2 : 1;
        break;
    case 'z':
        length = LENGTH_SIZE;
        at++;
        break;
    case 't':
        length = LENGTH_DIFFERENCE;
        at++;
        break;
    case 'j':
        length = LENGTH_MAXIMUM;
        at++;
        break;
    default:
        break;
    }
    *format = at;
    return length;
}

/* A va_list may be an array, of which a parameter would be a pointer: several functions can advance
 * one only inside a structure. */
struct arguments {
    va_list list;
};

static int64_t next_signed(struct arguments *arguments, enum length length)
{
    switch (length) {
    case LENGTH_CHAR:
        return (signed char)va_arg(arguments->list, int);
    case LENGTH_SHORT:
        return (short)va_arg(arguments->list, int);
    case LENGTH_LONG:
        return va_arg(arguments->list, long);
    case LENGTH_LONG_LONG:
        return va_arg(arguments->list, long long);
    case LENGTH_SIZE:
    case LENGTH_DIFFERENCE:
        return va_arg(arguments->list, ptrdiff_t);
    case LENGTH_MAXIMUM:
        return va_arg(arguments->list, intmax_t);
    case LENGTH_INT:
        break;
    }
    return va_arg(arguments->list, int);
}

static uint64_t next_unsigned(struct arguments *arguments, enum length length)
{
    switch (length) {
    case LENGTH_CHAR:
        return (unsigned char)va_arg(arguments->list, unsigned);
    case LENGTH_SHORT:
        return (unsigned short)va_arg(arguments->list, unsigned);
    case LENGTH_LONG:
        return va_arg(arguments->list, unsigned long);
    case LENGTH_LONG_LONG:
        return va_arg(arguments->list, unsigned long long);
    case LENGTH_SIZE:
    case LENGTH_DIFFERENCE:
        return va_arg(arguments->list, size_t);
    case LENGTH_MAXIMUM:
        return va_arg(arguments->list, uintmax_t);
    case LENGTH_INT:
        break;
    }
    return va_arg(arguments->list, unsigned);
}

static unsigned parse_count(const char **format, struct arguments *arguments, bool *negative)
{
    unsigned count = 0;

    *negative = false;
    if (**format == '*') {
        int value = va_arg(arguments->list, int);
        (*format)++;
        *negative = value < 0;
        count = value < 0 ? 0u - (unsigned)value : (unsigned)value;
    } else {
        while (**format >= '0' && **format <= '9' && count < WIDTH_MAXIMUM) {
            count = count * 10 + (unsigned)(**format - '0');
            (*format)++;
        }
    }
    return count < WIDTH_MAXIMUM ? count : WIDTH_MAXIMUM;
}

static void parse_conversion(struct conversion *how, const char **format,
                             struct arguments *arguments)
{
    bool negative;

    for (;; (*format)++) {
        if (**format == '-') {
            how->left = true;
        } else if (**format == '0') {
            how->zeros = true;
        } else {
            break;
        }
    }
    how->width = parse_count(format, arguments, &negative);
    how->left = how->left || negative;
    if (**format == '.') {
        (*format)++;
        how->precision = parse_count(format, arguments, &negative);
        how->has_precision = !negative;
    }
}

/* One conversion behind its %. False: not known. */
static bool convert(struct output *out, const char **format, struct arguments *arguments)
{
    struct conversion how = {0};
    char character[2] = {0, 0};

    parse_conversion(&how, format, arguments);
    enum length length = parse_length(format);
    switch (*(*format)++) {
    case 'd':
    case 'i': {
        int64_t value = next_signed(arguments, length);
        uint64_t size = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
        put_number(out, &how, value < 0 ? "-" : "", size, 10, "0123456789");
        return true;
    }
    case 'u':
        put_number(out, &how, "", next_unsigned(arguments, length), 10, "0123456789");
        return true;
    case 'x':
        put_number(out, &how, "", next_unsigned(arguments, length), 16, "0123456789abcdef");
        return true;
    case 'X':
        put_number(out, &how, "", next_unsigned(arguments, length), 16, "0123456789ABCDEF");
        return true;
    case 'p':
        put_number(out, &how, "0x", (uintptr_t)va_arg(arguments->list, void *), 16,
                   "0123456789abcdef");
        return true;
    case 'c':
        character[0] = (char)va_arg(arguments->list, int);
        put_text(out, &how, character);
        return true;
    case 's':
        put_text(out, &how, va_arg(arguments->list, const char *));
        return true;
    case '%':
        put(out, '%');
        return true;
    default:
        return false;
    }
}

size_t format_text(char *out, size_t size, const char *format, va_list list)
{
    struct output output = {out, out + size - 1};
    struct arguments arguments;

    if (size == 0) {
        return 0;
    }
    va_copy(arguments.list, list);
    while (*format != '\0') {
        if (*format != '%') {
            put(&output, *format++);
            continue;
        }
        const char *percent = format++;
        if (!convert(&output, &format, &arguments)) {
            put_text(&output, &(struct conversion){0}, percent);
            break;
        }
    }
    va_end(arguments.list);
    *output.next = '\0';
    return (size_t)(output.next - out);
}

size_t format_into(char *out, size_t size, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    const size_t length = format_text(out, size, format, list);
    va_end(list);
    return length;
}
