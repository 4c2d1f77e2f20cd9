/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_TIMESYNC_TIMESYNC_PROTOCOL_H
#define DRIVERS_TIMESYNC_TIMESYNC_PROTOCOL_H

/* The time synchronisation service on the wire: the body of its messages, behind struct
 * integration_header. Times are 100 ns units. (Linux include/linux/hyperv.h struct ictimesync_data,
 * ictimesync_ref_data; OpenVMM hyperv_ic_protocol.) */

#include <stddef.h>
#include <stdint.h>

/* 9527e630-d0ae-497b-adce-e80ab0175caf; the instance is the same everywhere. */
#define TIMESYNC_CLASS_INITIALISER                                                                 \
    {                                                                                              \
        0x9527e630, 0xd0ae, 0x497b,                                                                \
        {                                                                                          \
            0xad, 0xce, 0xe8, 0x0a, 0xb0, 0x17, 0x5c, 0xaf                                         \
        }                                                                                          \
    }
#define TIMESYNC_INSTANCE_INITIALISER                                                              \
    {                                                                                              \
        0x2dd1ce17, 0x079e, 0x403c,                                                                \
        {                                                                                          \
            0xb3, 0x52, 0xa1, 0x92, 0x1e, 0xe2, 0x07, 0xee                                         \
        }                                                                                          \
    }

enum timesync_flags {
    TIMESYNC_PROBE = 0,
    TIMESYNC_SYNC = 1,   /* the guest's clock is to be set: it starts, or was stopped */
    TIMESYNC_SAMPLE = 2, /* what time it is, for whoever wants to know */
};

/* Versions below 4.0. */
struct timesync_message_3 {
    uint64_t host_time; /* wall clock, since 1601-01-01 UTC */
    uint64_t guest_time;
    uint64_t round_trip;
    uint8_t flags;
    uint8_t reserved[7];
};
_Static_assert(sizeof(struct timesync_message_3) == 32, "wire layout");
_Static_assert(offsetof(struct timesync_message_3, flags) == 24, "wire layout");
#define TIMESYNC_MESSAGE_3_SIZE         28u /* sent; Linux ends at 25 */
#define TIMESYNC_MESSAGE_3_SIZE_MINIMUM 25u

/* Version 4.0. */
struct timesync_message_4 {
    uint64_t host_time;
    uint64_t reference_time; /* the guest's reference counter when that was read */
    uint8_t flags;
    uint8_t leap;    /* as in NTP */
    uint8_t stratum; /* as in NTP */
    uint8_t reserved[5];
};
_Static_assert(sizeof(struct timesync_message_4) == 24, "wire layout");
_Static_assert(offsetof(struct timesync_message_4, flags) == 16, "wire layout");
#define TIMESYNC_MESSAGE_4_SIZE_MINIMUM 19u

#endif
