/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_SERVER_SAVED_H
#define VMBUS_SERVER_SAVED_H

/*
 * The saved form of a server's state. What the guest knows of, and nothing of what only this
 * process knows: mappings, callbacks that were due, counters. All integers are little-endian.
 *
 *   header | connection | channels, each with its GPADLs, each with its words | messages | dues
 *
 * A change of any of this is a new SAVED_FORMAT.
 */

#include <stdint.h>

#include "vmbus/guid.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "saved integers are little-endian and not swapped here"
#endif

#define SAVED_MAGIC  0x53534256u /* "VBSS" */
#define SAVED_FORMAT 1u

struct saved_header {
    uint32_t magic;
    uint32_t format;
    uint32_t size;     /* bytes of everything, this header too */
    uint32_t checksum; /* CRC-32C of everything, with this word 0 */
};
_Static_assert(sizeof(struct saved_header) == 16, "saved header");

enum saved_connection_state {
    SAVED_DISCONNECTED,
    SAVED_CONNECTED,
    SAVED_DISCONNECTING,
};

enum saved_next {
    SAVED_NEXT_NOTHING,
    SAVED_NEXT_UNLOAD_COMPLETE,
    SAVED_NEXT_CONTACT,
};

struct saved_connection {
    uint32_t state; /* enum saved_connection_state */
    uint32_t next;  /* enum saved_next; of one that ends */
    uint32_t version;
    uint32_t offers_requested; /* this and all truths: 0 or 1 */
    uint32_t contact_version;  /* of the latest INITIATE_CONTACT */
    uint32_t contact_vp;
    uint32_t contact_sint;
    uint32_t contact_monitor_pages_valid;
    uint32_t channels; /* how many follow */
    uint32_t messages;
    uint32_t dues;
};
_Static_assert(sizeof(struct saved_connection) == 44, "saved connection");

enum saved_channel_state {
    SAVED_OFFERED,
    SAVED_OPENING, /* not answered; it has a ring, as the next two */
    SAVED_OPEN,
    SAVED_CLOSING,
    SAVED_REVOKED,
    SAVED_CHANNEL_STATES,
};

struct saved_open_request {
    uint32_t open_id;
    uint32_t ring_gpadl;
    uint32_t target_vp;
    uint32_t downstream_page;
    uint8_t user_data[120];
};
_Static_assert(sizeof(struct saved_open_request) == 136, "saved request to open");

struct saved_channel {
    struct vmbus_guid interface_type;
    struct vmbus_guid interface_instance;
    uint16_t flags;
    uint16_t mmio_megabytes;
    uint16_t mmio_megabytes_optional;
    uint16_t sub_channel_index;
    uint8_t user_defined[120];
    uint32_t relid;
    uint32_t state; /* enum saved_channel_state */
    uint32_t revoked;
    uint32_t guest_released;
    uint32_t reopening;
    uint32_t incoming_index; /* of SAVED_OPEN: our own indices in the two rings */
    uint32_t outgoing_index;
    uint32_t result_open_id;
    uint32_t result_status;
    uint32_t gpadls; /* how many follow */
    struct saved_open_request request;
    struct saved_open_request reopen;
};
_Static_assert(sizeof(struct saved_channel) == 472, "saved channel");

enum saved_gpadl_state {
    SAVED_COLLECTING,
    SAVED_STANDING,
    SAVED_LEAVING,
    SAVED_GPADL_STATES,
};

/* Its words follow, 8 bytes each, also those that are missing. */
struct saved_gpadl {
    uint32_t id;
    uint32_t state; /* enum saved_gpadl_state */
    uint32_t is_ring;
    uint32_t range_count;
    uint32_t word_count;
    uint32_t words_missing;
};
_Static_assert(sizeof(struct saved_gpadl) == 24, "saved GPADL");

/* A message that waits for the guest's slot. */
struct saved_message {
    uint32_t vp;
    uint32_t sint;
    uint32_t size;
    uint8_t payload[240];
};
_Static_assert(sizeof(struct saved_message) == 252, "saved message");

enum saved_due_kind {
    SAVED_DUE_CONNECTION,
    SAVED_DUE_CHANNEL,
    SAVED_DUE_GPADL,
    SAVED_DUE_KINDS,
};

/* Messages that wait for room behind those, in their order. */
struct saved_due {
    uint32_t kind;     /* enum saved_due_kind */
    uint32_t messages; /* bits: the connection's ALL_OFFERS_DELIVERED; a channel's OFFER,
                          OPEN_RESULT, RESCIND; a GPADL's CREATED, TORNDOWN */
    uint32_t relid;    /* of the channel; 0: of the connection */
    uint32_t gpadl;    /* 0: not of a GPADL */
};
_Static_assert(sizeof(struct saved_due) == 16, "saved due");

#endif
