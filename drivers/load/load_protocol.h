/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_LOAD_LOAD_PROTOCOL_H
#define DRIVERS_LOAD_LOAD_PROTOCOL_H

/*
 * A device of our own to measure and to load a channel, in both directions at once. Either end
 * sends numbered messages and asks for their completion; the other completes each with the same
 * bytes. The numbers of an end start at 1 each time the channel opens and leave none out, so that
 * the receiver sees what was lost and what came twice. In-band packets, no pipe header,
 * little-endian.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Made up for this device: no host offers it but those of tests/. */
#define LOAD_CLASS_INITIALISER                                                                     \
    {                                                                                              \
        0x2f5d8a37, 0x0c94, 0x4e1b,                                                                \
        {                                                                                          \
            0xa6, 0x3d, 0x51, 0x7e, 0xc8, 0x02, 0x9b, 0x64                                         \
        }                                                                                          \
    }

struct load_header {
    uint32_t size; /* of the whole message; the ring pads it to a multiple of 8 */
    uint32_t reserved;
    uint64_t number;
};
_Static_assert(sizeof(struct load_header) == 16, "wire layout");
_Static_assert(offsetof(struct load_header, number) == 8, "wire layout");

#define LOAD_SIZE_MIN  16u
#define LOAD_SIZE_MAX  4096u
#define LOAD_BURST_MAX 64u

/* Byte `at` of a message, behind the header, where it is looked at: another in each message. */
static inline uint8_t load_byte(uint64_t number, uint32_t at)
{
    return (uint8_t)(number * 7 + at);
}

/* Whether `length` bytes are a whole message; its first and last byte behind the header stand for
 * all, so that a look costs the same at every size. */
static inline bool load_is_message(const void *message, uint32_t length)
{
    const struct load_header *header = message;
    const uint8_t *bytes = message;

    if (length < sizeof(*header)) {
        return false;
    }
    const uint32_t size = header->size;
    return size >= LOAD_SIZE_MIN && size <= LOAD_SIZE_MAX && size <= length &&
           (size == LOAD_SIZE_MIN ||
            (bytes[LOAD_SIZE_MIN] == load_byte(header->number, LOAD_SIZE_MIN) &&
             bytes[size - 1] == load_byte(header->number, size - 1)));
}

static inline void load_make_message(void *message, uint32_t size, uint64_t number)
{
    struct load_header *header = message;
    uint8_t *bytes = message;

    *header = (struct load_header){.size = size, .number = number};
    if (size > LOAD_SIZE_MIN) {
        bytes[LOAD_SIZE_MIN] = load_byte(number, LOAD_SIZE_MIN);
        bytes[size - 1] = load_byte(number, size - 1);
    }
}

#endif
