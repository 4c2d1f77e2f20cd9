/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_INTEGRATION_INTEGRATION_PROTOCOL_H
#define DRIVERS_INTEGRATION_INTEGRATION_PROTOCOL_H

/*
 * What the integration services (heartbeat, shutdown, time synchronisation, KVP) have in common on
 * the wire: layouts and nothing else. Little-endian. (Linux include/linux/hyperv.h struct
 * icmsg_hdr, icmsg_negotiate; OpenVMM hyperv_ic_protocol.)
 *
 * Each service is a pipe; what stands here is behind the pipe header. The host always speaks first;
 * the guest sends each message back with the answer in it, as a packet of its own, no completion.
 */

#include <stddef.h>
#include <stdint.h>

struct integration_version {
    uint16_t major;
    uint16_t minor;
};
_Static_assert(sizeof(struct integration_version) == 4, "wire layout");

/* Framework versions: Windows Server 2008, and everything later. */
#define INTEGRATION_FRAMEWORK_2008                                                                 \
    {                                                                                              \
        1, 0                                                                                       \
    }
#define INTEGRATION_FRAMEWORK                                                                      \
    {                                                                                              \
        3, 0                                                                                       \
    }

enum integration_message_type {
    INTEGRATION_NEGOTIATE = 0,
    INTEGRATION_HEARTBEAT = 1,
    INTEGRATION_KVP = 2,
    INTEGRATION_SHUTDOWN = 3,
    INTEGRATION_TIMESYNC = 4,
};

#define INTEGRATION_FLAG_TRANSACTION 0x1u
#define INTEGRATION_FLAG_REQUEST     0x2u
#define INTEGRATION_FLAG_RESPONSE    0x4u

/* Status values are HRESULTs. */
#define INTEGRATION_STATUS_OK               UINT32_C(0)
#define INTEGRATION_STATUS_FAILURE          UINT32_C(0x80004005)
#define INTEGRATION_STATUS_NOT_SUPPORTED    UINT32_C(0x80070032)
#define INTEGRATION_STATUS_INVALID_ARGUMENT UINT32_C(0x80070057)
#define INTEGRATION_STATUS_NO_MORE_ITEMS    UINT32_C(0x80070103)

struct integration_header {
    struct integration_version framework;
    uint16_t type; /* enum integration_message_type */
    struct integration_version version;
    uint16_t body_size; /* bytes behind this header */
    uint32_t status;
    uint8_t transaction_id;
    uint8_t flags;
    uint16_t reserved;
};
_Static_assert(sizeof(struct integration_header) == 20, "wire layout");
_Static_assert(offsetof(struct integration_header, type) == 4, "wire layout");
_Static_assert(offsetof(struct integration_header, version) == 6, "wire layout");
_Static_assert(offsetof(struct integration_header, body_size) == 10, "wire layout");
_Static_assert(offsetof(struct integration_header, status) == 12, "wire layout");
_Static_assert(offsetof(struct integration_header, transaction_id) == 16, "wire layout");
_Static_assert(offsetof(struct integration_header, flags) == 17, "wire layout");

/*
 * Body of INTEGRATION_NEGOTIATE. In a request the framework versions follow, then the message
 * versions; in an answer the one of each that was chosen, or none and counts of zero.
 */
struct integration_negotiate {
    uint16_t framework_count;
    uint16_t message_count;
    uint32_t reserved;
};
_Static_assert(sizeof(struct integration_negotiate) == 8, "wire layout");

/* Of an answer: both counts are one. */
#define INTEGRATION_NEGOTIATE_ANSWER_SIZE 16u

/* More of either are refused (the bound that Linux has). */
#define INTEGRATION_VERSIONS_MAX 100u

#endif
