/* SPDX-License-Identifier: MIT */
#include "kernel/command_line.h"

#include <string.h>

#include "kernel/log.h"
#include "kernel/start.h"

static const char *text = "";

void command_line_initialise(const char *line)
{
    text = line;
}

const char *command_line(void)
{
    return text;
}

static bool is_blank(char character)
{
    return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

bool command_line_value(const char *key, char *value, size_t size)
{
    size_t key_length = strlen(key);

    for (const char *at = text; *at != '\0';) {
        if (is_blank(*at)) {
            at++;
            continue;
        }
        const char *word = at;
        while (*at != '\0' && !is_blank(*at)) {
            at++;
        }
        size_t length = (size_t)(at - word);
        if (length < key_length || memcmp(word, key, key_length) != 0 ||
            (length > key_length && word[key_length] != '=')) {
            continue;
        }
        /* Bare or `key=value`. */
        const char *from = length > key_length ? word + key_length + 1 : at;
        size_t copied = (size_t)(at - from);
        if (size > 0) {
            copied = copied < size ? copied : size - 1;
            memcpy(value, from, copied);
            value[copied] = '\0';
        }
        return true;
    }
    return false;
}

/* Decimal, or hexadecimal behind 0x. False: no number, or more than 64 bits. */
static bool parse_number(const char *digits, uint64_t *out)
{
    uint64_t base = 10;
    uint64_t value = 0;

    if (digits[0] == '0' && (digits[1] == 'x' || digits[1] == 'X')) {
        base = 16;
        digits += 2;
    }
    if (*digits == '\0') {
        return false;
    }
    for (; *digits != '\0'; digits++) {
        uint64_t digit;
        if (*digits >= '0' && *digits <= '9') {
            digit = (uint64_t)(*digits - '0');
        } else if (base == 16 && *digits >= 'a' && *digits <= 'f') {
            digit = (uint64_t)(*digits - 'a') + 10;
        } else if (base == 16 && *digits >= 'A' && *digits <= 'F') {
            digit = (uint64_t)(*digits - 'A') + 10;
        } else {
            return false;
        }
        if (value > (UINT64_MAX - digit) / base) {
            return false;
        }
        value = value * base + digit;
    }
    *out = value;
    return true;
}

uint64_t command_line_number(const char *key, uint64_t fallback)
{
    /* The longest number has 20 digits; what fills this is no number either, and may be cut. */
    char value[32];
    uint64_t number;

    if (!command_line_value(key, value, sizeof(value))) {
        return fallback;
    }
    if (strlen(value) == sizeof(value) - 1 || !parse_number(value, &number)) {
        log_warning("kernel", "command line: '%s=%s' is no number, using %llu", key, value,
                    (unsigned long long)fallback);
        return fallback;
    }
    return number;
}
