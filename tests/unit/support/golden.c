/* SPDX-License-Identifier: MIT */
#include "golden.h"

#include <ctype.h>
#include <stdlib.h>

struct bytes golden(const char *text)
{
    struct bytes bytes = {.size = 0};

    while (*text != '\0') {
        if (*text == 'x') {
            unsigned long count = strtoul(text + 1, (char **)&text, 10);
            while (--count != 0) {
                bytes.at[bytes.size] = bytes.at[bytes.size - 1];
                bytes.size++;
            }
        } else if (isxdigit((unsigned char)*text)) {
            const char pair[] = {text[0], text[1], '\0'};
            bytes.at[bytes.size++] = (uint8_t)strtoul(pair, NULL, 16);
            text += 2;
        } else {
            text++;
        }
    }
    return bytes;
}
