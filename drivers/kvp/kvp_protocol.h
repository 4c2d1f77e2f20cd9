/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_KVP_KVP_PROTOCOL_H
#define DRIVERS_KVP_KVP_PROTOCOL_H

/* The key-value pair service on the wire: the body of its messages, behind struct
 * integration_header. Text is UTF-16 with its terminator, sizes are bytes. (Linux
 * include/uapi/linux/hyperv.h struct hv_kvp_msg; OpenVMM hyperv_ic_protocol kvp.) */

#include <stddef.h>
#include <stdint.h>

/* a9a0f4e7-5a45-4d96-b827-8a841e8c03e6; the instance is the same everywhere. */
#define KVP_CLASS_INITIALISER                                                                      \
    {                                                                                              \
        0xa9a0f4e7, 0x5a45, 0x4d96,                                                                \
        {                                                                                          \
            0xb8, 0x27, 0x8a, 0x84, 0x1e, 0x8c, 0x03, 0xe6                                         \
        }                                                                                          \
    }
#define KVP_INSTANCE_INITIALISER                                                                   \
    {                                                                                              \
        0x242ff919, 0x07db, 0x4180,                                                                \
        {                                                                                          \
            0x9c, 0x2e, 0xb8, 0x6c, 0xb6, 0x8c, 0x8c, 0x55                                         \
        }                                                                                          \
    }

enum kvp_operation {
    KVP_GET = 0,
    KVP_SET = 1,
    KVP_DELETE = 2,
    KVP_ENUMERATE = 3,
    KVP_GET_IP_INFO = 4,
    KVP_SET_IP_INFO = 5,
};

/* What the number of a pool means is in kvp.h. */
#define KVP_POOLS 5u

enum kvp_type {
    KVP_TYPE_STRING = 1,
    KVP_TYPE_EXPANDABLE_STRING = 2,
    KVP_TYPE_U32 = 4,
    KVP_TYPE_U64_LINUX = 8, /* the sources differ */
    KVP_TYPE_U64 = 11,
};

#define KVP_KEY_SIZE   512u
#define KVP_VALUE_SIZE 2048u

struct kvp_header {
    uint8_t operation;
    uint8_t pool;
    uint16_t reserved;
};
_Static_assert(sizeof(struct kvp_header) == 4, "wire layout");

struct kvp_value {
    uint32_t type;
    uint32_t key_size;
    uint32_t value_size;
    uint8_t key[KVP_KEY_SIZE];
    uint8_t value[KVP_VALUE_SIZE];
};
_Static_assert(sizeof(struct kvp_value) == 2572, "wire layout");
_Static_assert(offsetof(struct kvp_value, key) == 12, "wire layout");
_Static_assert(offsetof(struct kvp_value, value) == 524, "wire layout");

struct kvp_exchange { /* KVP_GET, KVP_SET */
    struct kvp_header header;
    struct kvp_value data;
};
_Static_assert(offsetof(struct kvp_exchange, data) == 4, "wire layout");

struct kvp_delete {
    struct kvp_header header;
    uint32_t key_size;
    uint8_t key[KVP_KEY_SIZE];
};
_Static_assert(offsetof(struct kvp_delete, key) == 8, "wire layout");

struct kvp_enumerate {
    struct kvp_header header;
    uint32_t index;
    struct kvp_value data;
};
_Static_assert(offsetof(struct kvp_enumerate, data) == 8, "wire layout");

/* Hosts send as many bytes whichever of these operations it is. */
#define KVP_MESSAGE_SIZE 2580u
_Static_assert(sizeof(struct kvp_enumerate) == KVP_MESSAGE_SIZE, "wire layout");

/* KVP_GET_IP_INFO and KVP_SET_IP_INFO, below version 5.0. */
#define KVP_IP_MESSAGE_SIZE 7428u

#endif
