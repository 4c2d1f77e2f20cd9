/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_PROTOCOL_H
#define VMBUS_PROTOCOL_H

/*
 * What travels in SynIC messages between a guest and its VMBus host, byte for byte, in every
 * revision. Layouts and constants only. All integers are little-endian; a page is 4096 bytes. Which
 * message exists in which version, and how long it may be, stands in vmbus/messages.h.
 *
 * Sources: OpenVMM vmbus_core protocol.rs, Linux include/linux/hyperv.h, mu_msvm VmbusDxe, QEMU
 * vmbus-proto.h. They agree except where said.
 */

#include <stdint.h>

#include "vmbus/guid.h"

/* ---- versions ---- */

#define VMBUS_VERSION(major, minor) (((uint32_t)(major) << 16) | (minor))
#define VMBUS_VERSION_0_13          VMBUS_VERSION(0, 13)
#define VMBUS_VERSION_1_1           VMBUS_VERSION(1, 1)
#define VMBUS_VERSION_2_4           VMBUS_VERSION(2, 4)
#define VMBUS_VERSION_3_0           VMBUS_VERSION(3, 0)
#define VMBUS_VERSION_4_0           VMBUS_VERSION(4, 0)
#define VMBUS_VERSION_4_1           VMBUS_VERSION(4, 1)
#define VMBUS_VERSION_5_0           VMBUS_VERSION(5, 0)
#define VMBUS_VERSION_5_1           VMBUS_VERSION(5, 1)
#define VMBUS_VERSION_5_2           VMBUS_VERSION(5, 2)
#define VMBUS_VERSION_5_3           VMBUS_VERSION(5, 3)
#define VMBUS_VERSION_6_0           VMBUS_VERSION(6, 0)

/* Feature flags of 6.0: asked for in INITIATE_CONTACT, granted in VERSION_RESPONSE. */
#define VMBUS_FEATURE_SIGNAL_PARAMETERS     0x01u
#define VMBUS_FEATURE_INTERRUPT_REDIRECTION 0x02u
#define VMBUS_FEATURE_MODIFY_CONNECTION     0x04u
#define VMBUS_FEATURE_CLIENT_ID             0x08u
#define VMBUS_FEATURE_CONFIDENTIAL_CHANNELS 0x10u
#define VMBUS_FEATURE_PAUSE_RESUME          0x20u
#define VMBUS_FEATURE_SERVER_MONITOR_PAGES  0x40u
#define VMBUS_FEATURE_GPA_PINNING           0x80u

/* ---- fixed numbers ---- */

/* Connection ids of HvPostMessage. Ids 2 and 3 (shared event, monitor page) are never posted to. */
#define VMBUS_CONNECTION_ID_MESSAGES     1u /* every host */
#define VMBUS_CONNECTION_ID_MULTI_CLIENT 4u /* hosts from 5.0 on */

/* Channel ids ("relids") double as numbers of event flags; flag 0 is no channel. */
#define VMBUS_RELID_FIRST 1u
#define VMBUS_RELID_END   2048u

#define VMBUS_MESSAGE_SIZE_MAXIMUM 240u /* payload of a SynIC message */

/* ---- messages ---- */

struct vmbus_message_header {
    uint32_t type;
    uint32_t padding; /* sent as 0, ignored when received */
};
_Static_assert(sizeof(struct vmbus_message_header) == 8, "message header");

#define VMBUS_LAYOUT(structure, field, offset)                                                     \
    _Static_assert(__builtin_offsetof(struct structure, field) == (offset),                        \
                   #structure "." #field " is at " #offset)
#define VMBUS_LAYOUT_SIZE(structure, size)                                                         \
    _Static_assert(sizeof(struct structure) == (size), #structure " takes " #size)

/* REQUEST_OFFERS (3), ALL_OFFERS_DELIVERED (4), UNLOAD (16), UNLOAD_COMPLETE (17), PAUSE (27),
 * PAUSE_RESPONSE (28), RESUME (29). */
struct vmbus_message_bare {
    struct vmbus_message_header header;
};
VMBUS_LAYOUT_SIZE(vmbus_message_bare, 8);

/* RESCIND_CHANNEL_OFFER (2), CLOSE_CHANNEL (7), RELID_RELEASED (13), CLOSE_RESERVED_RESPONSE (20).
 */
struct vmbus_message_relid {
    struct vmbus_message_header header;
    uint32_t relid;
};
VMBUS_LAYOUT_SIZE(vmbus_message_relid, 12);
VMBUS_LAYOUT(vmbus_message_relid, relid, 8);

/* OFFER_CHANNEL (1), the form of 0.13: the first 190 bytes. */
#define VMBUS_OFFER_CHANNEL_SIZE_0_13 190u
struct vmbus_message_offer_channel {
    struct vmbus_message_header header;
    struct vmbus_guid interface_type;
    struct vmbus_guid interface_instance;
    uint8_t reserved[16]; /* not zero from old hosts */
    uint16_t flags;       /* VMBUS_OFFER_FLAG_* */
    uint16_t mmio_megabytes;
    uint8_t user_defined[120];
    uint16_t sub_channel_index; /* 0: the primary; from 2.4 */
    uint16_t mmio_megabytes_optional;
    uint32_t relid;
    uint8_t monitor_id;
    uint8_t monitor_allocated;    /* bit 0 */
    uint16_t dedicated_interrupt; /* bit 0; from 1.1 */
    uint32_t connection_id;       /* to signal; from 1.1 */
};
VMBUS_LAYOUT_SIZE(vmbus_message_offer_channel, 196);
VMBUS_LAYOUT(vmbus_message_offer_channel, interface_type, 8);
VMBUS_LAYOUT(vmbus_message_offer_channel, interface_instance, 24);
VMBUS_LAYOUT(vmbus_message_offer_channel, flags, 56);
VMBUS_LAYOUT(vmbus_message_offer_channel, mmio_megabytes, 58);
VMBUS_LAYOUT(vmbus_message_offer_channel, user_defined, 60);
VMBUS_LAYOUT(vmbus_message_offer_channel, sub_channel_index, 180);
VMBUS_LAYOUT(vmbus_message_offer_channel, mmio_megabytes_optional, 182);
VMBUS_LAYOUT(vmbus_message_offer_channel, relid, 184);
VMBUS_LAYOUT(vmbus_message_offer_channel, monitor_id, 188);
VMBUS_LAYOUT(vmbus_message_offer_channel, monitor_allocated, 189);
VMBUS_LAYOUT(vmbus_message_offer_channel, dedicated_interrupt, 190);
VMBUS_LAYOUT(vmbus_message_offer_channel, connection_id, 192);

#define VMBUS_OFFER_MONITOR_ALLOCATED        0x01u
#define VMBUS_OFFER_DEDICATED_INTERRUPT      0x0001u
/* Offer flags that carry meaning only with a feature of 6.0; older hosts set the first two for
 * something else. */
#define VMBUS_OFFER_FLAG_CONFIDENTIAL_RING   0x0002u
#define VMBUS_OFFER_FLAG_CONFIDENTIAL_MEMORY 0x0004u
#define VMBUS_OFFER_FLAG_PINNED_MEMORY       0x0008u

/* OPEN_CHANNEL (5). */
struct vmbus_message_open_channel {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t open_id; /* chosen by the guest, echoed in the result */
    uint32_t ring_gpadl;
    uint32_t target_vp;       /* VP index that gets this channel's events; from 2.4 */
    uint32_t downstream_page; /* page of the GPADL at which the host-to-guest ring starts */
    uint8_t user_data[120];
};
VMBUS_LAYOUT_SIZE(vmbus_message_open_channel, 148);
VMBUS_LAYOUT(vmbus_message_open_channel, relid, 8);
VMBUS_LAYOUT(vmbus_message_open_channel, open_id, 12);
VMBUS_LAYOUT(vmbus_message_open_channel, ring_gpadl, 16);
VMBUS_LAYOUT(vmbus_message_open_channel, target_vp, 20);
VMBUS_LAYOUT(vmbus_message_open_channel, downstream_page, 24);
VMBUS_LAYOUT(vmbus_message_open_channel, user_data, 28);

/* OPEN_CHANNEL under 6.0 with VMBUS_FEATURE_SIGNAL_PARAMETERS or _INTERRUPT_REDIRECTION. */
struct vmbus_message_open_channel_2 {
    struct vmbus_message_open_channel open;
    uint32_t connection_id;
    uint16_t event_flag;
    uint16_t flags; /* bit 0: redirect the interrupt */
};
VMBUS_LAYOUT_SIZE(vmbus_message_open_channel_2, 156);
VMBUS_LAYOUT(vmbus_message_open_channel_2, connection_id, 148);
VMBUS_LAYOUT(vmbus_message_open_channel_2, event_flag, 152);
VMBUS_LAYOUT(vmbus_message_open_channel_2, flags, 154);

/* OPEN_CHANNEL_RESULT (6). */
struct vmbus_message_open_result {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t open_id;
    uint32_t status; /* 0: open */
};
VMBUS_LAYOUT_SIZE(vmbus_message_open_result, 20);
VMBUS_LAYOUT(vmbus_message_open_result, relid, 8);
VMBUS_LAYOUT(vmbus_message_open_result, open_id, 12);
VMBUS_LAYOUT(vmbus_message_open_result, status, 16);

/* GPADL_HEADER (8). `range_bytes` bytes of ranges follow, continued in GPADL_BODY messages: for
 * each range a vmbus_gpadl_range and one 64-bit page frame number for each page it touches. */
struct vmbus_message_gpadl_header {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t gpadl;
    uint16_t range_bytes; /* of all ranges, in all messages together */
    uint16_t range_count;
};
VMBUS_LAYOUT_SIZE(vmbus_message_gpadl_header, 20);
VMBUS_LAYOUT(vmbus_message_gpadl_header, relid, 8);
VMBUS_LAYOUT(vmbus_message_gpadl_header, gpadl, 12);
VMBUS_LAYOUT(vmbus_message_gpadl_header, range_bytes, 16);
VMBUS_LAYOUT(vmbus_message_gpadl_header, range_count, 18);

struct vmbus_gpadl_range {
    uint32_t byte_count;
    uint32_t byte_offset; /* in the first page */
};
VMBUS_LAYOUT_SIZE(vmbus_gpadl_range, 8);
VMBUS_LAYOUT(vmbus_gpadl_range, byte_offset, 4);

/* GPADL_BODY (9). Its own part of the ranges follows, in whole 64-bit words. */
struct vmbus_message_gpadl_body {
    struct vmbus_message_header header;
    uint32_t message_number; /* sent as 0, no host looks */
    uint32_t gpadl;
};
VMBUS_LAYOUT_SIZE(vmbus_message_gpadl_body, 16);
VMBUS_LAYOUT(vmbus_message_gpadl_body, gpadl, 12);

/* GPADL_CREATED (10). */
struct vmbus_message_gpadl_created {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t gpadl;
    uint32_t status; /* 0: created */
};
VMBUS_LAYOUT_SIZE(vmbus_message_gpadl_created, 20);
VMBUS_LAYOUT(vmbus_message_gpadl_created, relid, 8);
VMBUS_LAYOUT(vmbus_message_gpadl_created, gpadl, 12);
VMBUS_LAYOUT(vmbus_message_gpadl_created, status, 16);

/* GPADL_TEARDOWN (11). */
struct vmbus_message_gpadl_teardown {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t gpadl;
};
VMBUS_LAYOUT_SIZE(vmbus_message_gpadl_teardown, 16);
VMBUS_LAYOUT(vmbus_message_gpadl_teardown, relid, 8);
VMBUS_LAYOUT(vmbus_message_gpadl_teardown, gpadl, 12);

/* GPADL_TORNDOWN (12). No channel: GPADL ids must be unique over the connection. */
struct vmbus_message_gpadl_torndown {
    struct vmbus_message_header header;
    uint32_t gpadl;
};
VMBUS_LAYOUT_SIZE(vmbus_message_gpadl_torndown, 12);
VMBUS_LAYOUT(vmbus_message_gpadl_torndown, gpadl, 8);

/* What stands at byte 16 of INITIATE_CONTACT from 5.0 on. */
struct vmbus_contact_target {
    uint8_t sint;
    uint8_t vtl; /* from 5.1 */
    uint16_t zero;
    uint32_t features; /* VMBUS_FEATURE_*; from 6.0 */
};
VMBUS_LAYOUT_SIZE(vmbus_contact_target, 8);
VMBUS_LAYOUT(vmbus_contact_target, vtl, 1);
VMBUS_LAYOUT(vmbus_contact_target, features, 4);

/* INITIATE_CONTACT (14). */
struct vmbus_message_initiate_contact {
    struct vmbus_message_header header;
    uint32_t version;
    uint32_t target_vp; /* VP index that gets all channel messages */
    union {
        uint64_t interrupt_page; /* below 5.0; hosts use it below 2.4 only */
        struct vmbus_contact_target target;
    };
    uint64_t parent_to_child_monitor; /* both page addresses, or both 0 */
    uint64_t child_to_parent_monitor;
};
VMBUS_LAYOUT_SIZE(vmbus_message_initiate_contact, 40);
VMBUS_LAYOUT(vmbus_message_initiate_contact, version, 8);
VMBUS_LAYOUT(vmbus_message_initiate_contact, target_vp, 12);
VMBUS_LAYOUT(vmbus_message_initiate_contact, interrupt_page, 16);
VMBUS_LAYOUT(vmbus_message_initiate_contact, target, 16);
VMBUS_LAYOUT(vmbus_message_initiate_contact, parent_to_child_monitor, 24);
VMBUS_LAYOUT(vmbus_message_initiate_contact, child_to_parent_monitor, 32);

/* INITIATE_CONTACT with VMBUS_FEATURE_CLIENT_ID. */
struct vmbus_message_initiate_contact_2 {
    struct vmbus_message_initiate_contact contact;
    struct vmbus_guid client_id;
};
VMBUS_LAYOUT_SIZE(vmbus_message_initiate_contact_2, 56);
VMBUS_LAYOUT(vmbus_message_initiate_contact_2, client_id, 40);

/* VERSION_RESPONSE (15) below 6.0, and every refusal. */
struct vmbus_message_version_response {
    struct vmbus_message_header header;
    uint8_t supported;
    uint8_t connection_state; /* enum vmbus_contact_state; from 2.4 */
    uint16_t padding;
    uint32_t connection_id; /* from 5.0: for all further messages. Below: the version, or 0 */
};
VMBUS_LAYOUT_SIZE(vmbus_message_version_response, 16);
VMBUS_LAYOUT(vmbus_message_version_response, supported, 8);
VMBUS_LAYOUT(vmbus_message_version_response, connection_state, 9);
VMBUS_LAYOUT(vmbus_message_version_response, connection_id, 12);

enum vmbus_contact_state {
    VMBUS_CONTACT_SUCCESSFUL = 0,
    VMBUS_CONTACT_LOW_RESOURCES = 1,
    VMBUS_CONTACT_UNKNOWN_FAILURE = 2,
};

/* VERSION_RESPONSE from 6.0 on, accepted. */
struct vmbus_message_version_response_2 {
    struct vmbus_message_version_response response;
    uint32_t features;
};
VMBUS_LAYOUT_SIZE(vmbus_message_version_response_2, 20);
VMBUS_LAYOUT(vmbus_message_version_response_2, features, 16);

/* VERSION_RESPONSE with VMBUS_FEATURE_SERVER_MONITOR_PAGES. */
struct vmbus_message_version_response_3 {
    struct vmbus_message_version_response_2 response;
    uint32_t padding;
    uint64_t parent_to_child_monitor; /* may be 0 */
    uint64_t child_to_parent_monitor;
};
VMBUS_LAYOUT_SIZE(vmbus_message_version_response_3, 40);
VMBUS_LAYOUT(vmbus_message_version_response_3, parent_to_child_monitor, 24);
VMBUS_LAYOUT(vmbus_message_version_response_3, child_to_parent_monitor, 32);

/* OPEN_RESERVED_CHANNEL (18). */
struct vmbus_message_open_reserved {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t target_vp;
    uint32_t target_sint;
    uint32_t ring_gpadl;
    uint32_t downstream_page;
};
VMBUS_LAYOUT_SIZE(vmbus_message_open_reserved, 28);
VMBUS_LAYOUT(vmbus_message_open_reserved, target_vp, 12);
VMBUS_LAYOUT(vmbus_message_open_reserved, target_sint, 16);
VMBUS_LAYOUT(vmbus_message_open_reserved, ring_gpadl, 20);
VMBUS_LAYOUT(vmbus_message_open_reserved, downstream_page, 24);

/* CLOSE_RESERVED_CHANNEL (19). */
struct vmbus_message_close_reserved {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t target_vp;
    uint32_t target_sint;
};
VMBUS_LAYOUT_SIZE(vmbus_message_close_reserved, 20);
VMBUS_LAYOUT(vmbus_message_close_reserved, target_vp, 12);
VMBUS_LAYOUT(vmbus_message_close_reserved, target_sint, 16);

/* TL_CONNECT_REQUEST (21). */
struct vmbus_message_tl_connect_request {
    struct vmbus_message_header header;
    struct vmbus_guid endpoint;
    struct vmbus_guid service;
};
VMBUS_LAYOUT_SIZE(vmbus_message_tl_connect_request, 40);
VMBUS_LAYOUT(vmbus_message_tl_connect_request, endpoint, 8);
VMBUS_LAYOUT(vmbus_message_tl_connect_request, service, 24);

/* TL_CONNECT_REQUEST from 5.2 on; the short form stays valid. */
struct vmbus_message_tl_connect_request_2 {
    struct vmbus_message_tl_connect_request request;
    struct vmbus_guid silo;
};
VMBUS_LAYOUT_SIZE(vmbus_message_tl_connect_request_2, 56);
VMBUS_LAYOUT(vmbus_message_tl_connect_request_2, silo, 40);

/* MODIFY_CHANNEL (22). */
struct vmbus_message_modify_channel {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t target_vp;
};
VMBUS_LAYOUT_SIZE(vmbus_message_modify_channel, 16);
VMBUS_LAYOUT(vmbus_message_modify_channel, relid, 8);
VMBUS_LAYOUT(vmbus_message_modify_channel, target_vp, 12);

/* TL_CONNECT_RESULT (23). */
struct vmbus_message_tl_connect_result {
    struct vmbus_message_header header;
    struct vmbus_guid endpoint;
    struct vmbus_guid service;
    uint32_t status;
};
VMBUS_LAYOUT_SIZE(vmbus_message_tl_connect_result, 44);
VMBUS_LAYOUT(vmbus_message_tl_connect_result, endpoint, 8);
VMBUS_LAYOUT(vmbus_message_tl_connect_result, service, 24);
VMBUS_LAYOUT(vmbus_message_tl_connect_result, status, 40);

/* MODIFY_CHANNEL_RESPONSE (24). */
struct vmbus_message_modify_channel_response {
    struct vmbus_message_header header;
    uint32_t relid;
    uint32_t status;
};
VMBUS_LAYOUT_SIZE(vmbus_message_modify_channel_response, 16);
VMBUS_LAYOUT(vmbus_message_modify_channel_response, relid, 8);
VMBUS_LAYOUT(vmbus_message_modify_channel_response, status, 12);

/* MODIFY_CONNECTION (25). */
struct vmbus_message_modify_connection {
    struct vmbus_message_header header;
    uint64_t parent_to_child_monitor;
    uint64_t child_to_parent_monitor;
};
VMBUS_LAYOUT_SIZE(vmbus_message_modify_connection, 24);
VMBUS_LAYOUT(vmbus_message_modify_connection, parent_to_child_monitor, 8);
VMBUS_LAYOUT(vmbus_message_modify_connection, child_to_parent_monitor, 16);

/* MODIFY_CONNECTION_RESPONSE (26). The message ends behind the state, after 9 bytes. */
#define VMBUS_MODIFY_CONNECTION_RESPONSE_SIZE 9u
struct vmbus_message_modify_connection_response {
    struct vmbus_message_header header;
    uint8_t connection_state; /* enum vmbus_contact_state */
};
VMBUS_LAYOUT(vmbus_message_modify_connection_response, connection_state, 8);

#undef VMBUS_LAYOUT
#undef VMBUS_LAYOUT_SIZE

#endif
