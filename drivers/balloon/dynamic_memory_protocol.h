/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_BALLOON_DYNAMIC_MEMORY_PROTOCOL_H
#define DRIVERS_BALLOON_DYNAMIC_MEMORY_PROTOCOL_H

/*
 * The dynamic memory protocol as it stands on the wire: layouts and nothing else. Little-endian;
 * "guest" and "host" tell who sends. Messages travel as in-band packets without a pipe header,
 * nothing is ever completed, and every count is in pages of 4096 bytes. (Linux
 * drivers/hv/hv_balloon.c; QEMU include/hw/hyperv/dynmem-proto.h.)
 *
 * Every field is aligned to its own size, so the structures need no packing. A received message is
 * copied into one of them before it is read, because a packet's payload may stand anywhere.
 */

#include <stddef.h>
#include <stdint.h>

/* The class of the device: 525074dc-8985-46e2-8057-a307dc18a502. */
#define DYNAMIC_MEMORY_CLASS_INITIALISER                                                           \
    {                                                                                              \
        0x525074dc, 0x8985, 0x46e2,                                                                \
        {                                                                                          \
            0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02                                         \
        }                                                                                          \
    }

/* A message is never longer than a page: the bound that hosts and guests use for the lists of
 * ranges. */
#define DYNAMIC_MEMORY_MESSAGE_SIZE_MAX 4096u

/* (major << 16) | minor. No layout differs between these. */
#define DYNAMIC_MEMORY_VERSION_0_3 0x00000003u /* Windows 7 */
#define DYNAMIC_MEMORY_VERSION_1_0 0x00010000u /* Windows 8 */
#define DYNAMIC_MEMORY_VERSION_2_0 0x00020000u /* Windows 10 */

enum dynamic_memory_message_type {
    DYNAMIC_MEMORY_ERROR = 0,                 /* not used */
    DYNAMIC_MEMORY_VERSION_REQUEST = 1,       /* guest */
    DYNAMIC_MEMORY_VERSION_RESPONSE = 2,      /* host */
    DYNAMIC_MEMORY_CAPABILITIES_REPORT = 3,   /* guest */
    DYNAMIC_MEMORY_CAPABILITIES_RESPONSE = 4, /* host */
    DYNAMIC_MEMORY_STATUS_REPORT = 5,         /* guest */
    DYNAMIC_MEMORY_BALLOON_REQUEST = 6,       /* host */
    DYNAMIC_MEMORY_BALLOON_RESPONSE = 7,      /* guest */
    DYNAMIC_MEMORY_UNBALLOON_REQUEST = 8,     /* host */
    DYNAMIC_MEMORY_UNBALLOON_RESPONSE = 9,    /* guest */
    DYNAMIC_MEMORY_HOT_ADD_REQUEST = 10,      /* host */
    DYNAMIC_MEMORY_HOT_ADD_RESPONSE = 11,     /* guest */
    DYNAMIC_MEMORY_INFORMATION = 12,          /* host; from 1.0 on */
    DYNAMIC_MEMORY_HOT_REMOVE_REQUEST = 13,   /* host; from 2.0 on, and only if the guest can */
    DYNAMIC_MEMORY_HOT_REMOVE_RESPONSE = 14,  /* guest */
};

struct dynamic_memory_header {
    uint16_t type;
    uint16_t size; /* of the whole message, header included, before the ring pads it */
    uint32_t
        transaction_id; /* counted by whoever sends; an answer carries its sender's own number */
};
_Static_assert(sizeof(struct dynamic_memory_header) == 8, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_header, size) == 2, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_header, transaction_id) == 4, "wire layout");

/* A run of pages: the first frame in bits 0 to 39, the number of pages in bits 40 to 63. */
#define DYNAMIC_MEMORY_RANGE_FRAME_BITS 40u
#define DYNAMIC_MEMORY_RANGE_FRAME_END  (UINT64_C(1) << DYNAMIC_MEMORY_RANGE_FRAME_BITS)
#define DYNAMIC_MEMORY_RANGE_COUNT_MAX  UINT64_C(0xffffff)

static inline uint64_t dynamic_memory_range(uint64_t first_frame, uint64_t count)
{
    return first_frame | (count << DYNAMIC_MEMORY_RANGE_FRAME_BITS);
}

static inline uint64_t dynamic_memory_range_first(uint64_t range)
{
    return range & (DYNAMIC_MEMORY_RANGE_FRAME_END - 1);
}

static inline uint64_t dynamic_memory_range_count(uint64_t range)
{
    return range >> DYNAMIC_MEMORY_RANGE_FRAME_BITS;
}

#define DYNAMIC_MEMORY_VERSION_LAST_ATTEMPT 0x1u
struct dynamic_memory_version_request {
    struct dynamic_memory_header header;
    uint32_t version;
    uint32_t flags; /* DYNAMIC_MEMORY_VERSION_LAST_ATTEMPT */
};
_Static_assert(sizeof(struct dynamic_memory_version_request) == 16, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_version_request, flags) == 12, "wire layout");

#define DYNAMIC_MEMORY_VERSION_ACCEPTED UINT64_C(0x1)
struct dynamic_memory_version_response {
    struct dynamic_memory_header header;
    uint64_t flags; /* DYNAMIC_MEMORY_VERSION_ACCEPTED */
};
_Static_assert(sizeof(struct dynamic_memory_version_response) == 16, "wire layout");

#define DYNAMIC_MEMORY_CAN_BALLOON UINT64_C(0x1)
#define DYNAMIC_MEMORY_CAN_HOT_ADD UINT64_C(0x2)
#define DYNAMIC_MEMORY_HOT_ADD_ALIGNMENT(exponent)                                                 \
    ((uint64_t)(exponent) << 2) /* 2^n MiB, n < 16                                                 \
                                 */
#define DYNAMIC_MEMORY_CAN_HOT_REMOVE UINT64_C(0x40)
struct dynamic_memory_capabilities_report {
    struct dynamic_memory_header header;
    uint64_t capabilities;
    uint64_t minimum_pages;
    uint64_t maximum_page_number;
};
_Static_assert(sizeof(struct dynamic_memory_capabilities_report) == 32, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_capabilities_report, minimum_pages) == 16,
               "wire layout");
_Static_assert(offsetof(struct dynamic_memory_capabilities_report, maximum_page_number) == 24,
               "wire layout");

#define DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED UINT64_C(0x1)
#define DYNAMIC_MEMORY_HOST_CAN_HOT_REMOVE   UINT64_C(0x2)
#define DYNAMIC_MEMORY_SUPPRESS_STATUS       UINT64_C(0x4)
struct dynamic_memory_capabilities_response {
    struct dynamic_memory_header header;
    uint64_t flags;
};
_Static_assert(sizeof(struct dynamic_memory_capabilities_response) == 16, "wire layout");

struct dynamic_memory_status_report {
    struct dynamic_memory_header header;
    uint64_t available;
    uint64_t committed; /* what the host steers by */
    uint64_t page_file_size;
    uint64_t zero_and_free;
    uint32_t page_file_writes;
    uint32_t io_difference;
};
_Static_assert(sizeof(struct dynamic_memory_status_report) == 48, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_status_report, committed) == 16, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_status_report, zero_and_free) == 32, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_status_report, page_file_writes) == 40,
               "wire layout");

struct dynamic_memory_balloon_request {
    struct dynamic_memory_header header;
    uint32_t pages;
    uint32_t reserved;
};
_Static_assert(sizeof(struct dynamic_memory_balloon_request) == 16, "wire layout");

/* Several may answer one request; `more` is clear in the last. No ranges and not `more`: nothing
 * could be freed. */
#define DYNAMIC_MEMORY_BALLOON_MORE               0x1u
#define DYNAMIC_MEMORY_BALLOON_RANGE_COUNT(count) ((uint32_t)(count) << 1)
struct dynamic_memory_balloon_response {
    struct dynamic_memory_header header;
    uint32_t reserved;
    uint32_t more_and_range_count;
    /* ranges follow */
};
_Static_assert(sizeof(struct dynamic_memory_balloon_response) == 16, "wire layout");

#define DYNAMIC_MEMORY_UNBALLOON_MORE 0x1u
struct dynamic_memory_unballoon_request {
    struct dynamic_memory_header header;
    uint32_t flags; /* DYNAMIC_MEMORY_UNBALLOON_MORE */
    uint32_t range_count;
    /* ranges follow */
};
_Static_assert(sizeof(struct dynamic_memory_unballoon_request) == 16, "wire layout");

struct dynamic_memory_unballoon_response {
    struct dynamic_memory_header header;
};
_Static_assert(sizeof(struct dynamic_memory_unballoon_response) == 8, "wire layout");

/* `region` may be missing, which the header's size tells: it is the area the host may grow the
 * range into later. */
#define DYNAMIC_MEMORY_HOT_ADD_SIZE_WITHOUT_REGION 16u
struct dynamic_memory_hot_add_request {
    struct dynamic_memory_header header;
    uint64_t range;
    uint64_t region;
};
_Static_assert(sizeof(struct dynamic_memory_hot_add_request) == 24, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_hot_add_request, region) ==
                   DYNAMIC_MEMORY_HOT_ADD_SIZE_WITHOUT_REGION,
               "wire layout");

/* Pages with success; no pages with success means "never again", no pages with failure "not now".
 */
#define DYNAMIC_MEMORY_HOT_ADD_FAILURE 0u
#define DYNAMIC_MEMORY_HOT_ADD_SUCCESS 1u
struct dynamic_memory_hot_add_response {
    struct dynamic_memory_header header;
    uint32_t pages;
    uint32_t result;
};
_Static_assert(sizeof(struct dynamic_memory_hot_add_response) == 16, "wire layout");

/* One piece of information: type and size of the data that follows. */
#define DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES 0u /* data: one 64-bit count */
struct dynamic_memory_information {
    struct dynamic_memory_header header;
    uint32_t reserved;
    uint32_t information_size; /* of everything behind this field */
    uint32_t information_type;
    uint32_t data_size;
    uint64_t maximum_pages; /* if the type says so */
};
_Static_assert(sizeof(struct dynamic_memory_information) == 32, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_information, information_type) == 16, "wire layout");
_Static_assert(offsetof(struct dynamic_memory_information, maximum_pages) == 24, "wire layout");

#endif
