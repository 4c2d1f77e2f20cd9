/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_SHUTDOWN_SHUTDOWN_PROTOCOL_H
#define DRIVERS_SHUTDOWN_SHUTDOWN_PROTOCOL_H

/* The shutdown service on the wire: the body of its messages, behind struct integration_header.
 * (Linux include/linux/hyperv.h struct shutdown_msg_data, drivers/hv/hv_util.c
 * shutdown_onchannelcallback(); OpenVMM hyperv_ic_protocol.) */

#include <stddef.h>
#include <stdint.h>

/* 0e0b6031-5213-4934-818b-38d90ced39db; the instance is the same everywhere. */
#define SHUTDOWN_CLASS_INITIALISER                                                                 \
    {                                                                                              \
        0x0e0b6031, 0x5213, 0x4934,                                                                \
        {                                                                                          \
            0x81, 0x8b, 0x38, 0xd9, 0x0c, 0xed, 0x39, 0xdb                                         \
        }                                                                                          \
    }
#define SHUTDOWN_INSTANCE_INITIALISER                                                              \
    {                                                                                              \
        0xb6650ff7, 0x33bc, 0x4840,                                                                \
        {                                                                                          \
            0x80, 0x48, 0xe0, 0x67, 0x67, 0x86, 0xf3, 0x93                                         \
        }                                                                                          \
    }

/* Other bits, and more than one of restart and hibernate, are refused. */
#define SHUTDOWN_FLAG_FORCE     UINT32_C(0x1)
#define SHUTDOWN_FLAG_RESTART   UINT32_C(0x2)
#define SHUTDOWN_FLAG_HIBERNATE UINT32_C(0x4)

#define SHUTDOWN_REASON_PLANNED UINT32_C(0x80000000)

struct shutdown_message {
    uint32_t reason;
    uint32_t seconds; /* that the host allows; 0: it does not say */
    uint32_t flags;
    uint8_t text[2048]; /* for somebody to read; no source tells its encoding */
};
_Static_assert(sizeof(struct shutdown_message) == 2060, "wire layout");
_Static_assert(offsetof(struct shutdown_message, flags) == 8, "wire layout");
#define SHUTDOWN_MESSAGE_SIZE_MINIMUM 12u

#endif
