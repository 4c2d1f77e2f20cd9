/* SPDX-License-Identifier: MIT */
#ifndef ECHO_PROTOCOL_H
#define ECHO_PROTOCOL_H

/*
 * The smallest protocol a driver can have, for two sample drivers: the client sends a request and
 * asks for its completion, the server completes it with the same bytes. Payloads are rounded up to
 * 8 bytes on the way, so a protocol has to carry its own length.
 */

#include "VmbusKernelModeClientLibApi.h"

/* Made up for this sample: no host offers it but tests/host/echo_server.c. */
#define ECHO_CLASS                                                                                 \
    {                                                                                              \
        0x6a1b5b2e, 0x54c1, 0x4a7d,                                                                \
        {                                                                                          \
            0x9e, 0x0c, 0x3c, 0x7d, 0x52, 0x41, 0x88, 0x10                                         \
        }                                                                                          \
    }

#define ECHO_DATA_SIZE 1000u

struct echo_message {
    UINT32 length; /* of the data, bytes */
    UINT32 sequence;
    UINT8 data[ECHO_DATA_SIZE];
};

/* Bytes of a message with `length` bytes of data. */
#define ECHO_MESSAGE_SIZE(length) (8u + (length))

#endif
