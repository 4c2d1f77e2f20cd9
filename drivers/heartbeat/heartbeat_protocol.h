/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_HEARTBEAT_HEARTBEAT_PROTOCOL_H
#define DRIVERS_HEARTBEAT_HEARTBEAT_PROTOCOL_H

/* The heartbeat service on the wire: the body of its messages, behind struct integration_header.
 * (Linux drivers/hv/hv_util.c heartbeat_onchannelcallback(); OpenVMM hyperv_ic_protocol.) */

#include <stddef.h>
#include <stdint.h>

/* 57164f39-9115-4e78-ab55-382f3bd5422d */
#define HEARTBEAT_CLASS_INITIALISER                                                                \
    {                                                                                              \
        0x57164f39, 0x9115, 0x4e78,                                                                \
        {                                                                                          \
            0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d                                         \
        }                                                                                          \
    }

struct heartbeat_message {
    uint64_t sequence; /* the guest adds one */
    /* A host's message may end here; Linux knows only reserved bytes from here on. */
    uint32_t application_state;
    uint32_t reserved;
};
_Static_assert(sizeof(struct heartbeat_message) == 16, "wire layout");
_Static_assert(offsetof(struct heartbeat_message, application_state) == 8, "wire layout");
#define HEARTBEAT_MESSAGE_SIZE_MINIMUM 8u

#endif
