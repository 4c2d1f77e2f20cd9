/* SPDX-License-Identifier: MIT */
#include "vmbus/ring_copy.h"

#include <string.h>

/* Up to here a few moves beat memcpy(). Choice of ours, in bytes: measured on x86-64. */
#define SHORT_COPY 64u

/*
 * Where memcpy() is one string instruction, as in an image for x86-64, it takes some ten
 * nanoseconds to get going: up to here, in bytes, a loop of moves is done sooner. Other builds
 * leave it to their C library, which knows better.
 */
#ifndef RING_COPY_LOOP_LIMIT
#define RING_COPY_LOOP_LIMIT SHORT_COPY
#endif

static __attribute__((noinline)) enum ring_status
copy_in_loop(unsigned char *target, const unsigned char *source, size_t length)
{
    do {
        memcpy(target, source, 16);
        memcpy(target + 16, source + 16, 16);
        target += 32;
        source += 32;
        length -= 32;
    } while (length > SHORT_COPY);
    return ring_copy(target, source, length);
}

/* Each short case as moves that meet or overlap: no loop, and no rest to care for. */
enum ring_status ring_copy(void *to, const void *from, size_t length)
{
    unsigned char *target = to;
    const unsigned char *source = from;

    if (length > SHORT_COPY && length <= RING_COPY_LOOP_LIMIT)
        return copy_in_loop(target, source, length);
    if (length > SHORT_COPY) {
        memcpy(target, source, length);
    } else if (length > 32) {
        memcpy(target, source, 16);
        memcpy(target + 16, source + 16, 16);
        memcpy(target + length - 32, source + length - 32, 16);
        memcpy(target + length - 16, source + length - 16, 16);
    } else if (length > 16) {
        memcpy(target, source, 16);
        memcpy(target + length - 16, source + length - 16, 16);
    } else if (length >= 8) {
        memcpy(target, source, 8);
        memcpy(target + length - 8, source + length - 8, 8);
    } else {
        for (; length != 0; length--)
            *target++ = *source++;
    }
    return RING_OK;
}
