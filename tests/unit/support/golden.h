/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include <stdint.h>

/* A message as a golden trace shows it. */
struct bytes {
    uint8_t at[240];
    uint32_t size;
};

/* "0e 00 .. x120": pairs of hex digits, and how often the last one is there in all. */
struct bytes golden(const char *text);

#endif
