/* SPDX-License-Identifier: MIT */
#ifndef KMCL_SAVED_H
#define KMCL_SAVED_H

/*
 * The saved form of a server channel: chunks, each whole in one part, little-endian, multiples of 8
 * bytes. First SAVED_CHANNEL, then what there is, in the order in which it has to go, then
 * SAVED_END. Each checksum goes on from the one before, so a chunk that is missing, moved or of
 * another save is found like damage is. A change of any of this is a new KMCL_SAVED_FORMAT.
 */

#include <stdint.h>

#include "VmbusKernelModeClientLibApi.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "saved integers are little-endian and not swapped here"
#endif

#define KMCL_SAVED_MAGIC  0x53434d4bu /* "KMCS" */
#define KMCL_SAVED_FORMAT 3u

/* Choices of ours: they bound what a restore holds. Bytes. */
#define KMCL_SAVED_DRIVER_LIMIT 0x100000u  /* of one packet's SaveBuf */
#define KMCL_SAVED_LIMIT        0x8000000u /* of a whole form */

enum kmcl_saved_kind {
    SAVED_CHANNEL = 1, /* struct kmcl_saved_channel */
    SAVED_PACKET, /* struct kmcl_saved_packet, extension, payload, the driver's bytes: each padded
                     to 8 */
    SAVED_FORGOTTEN, /* struct kmcl_saved_packet: an id whose completion nobody waits for */
    SAVED_REPLY,     /* struct kmcl_saved_reply, payload: a completion that found no room */
    SAVED_HELD,      /* struct kmcl_saved_held, extension, payload: a deferred packet */
    SAVED_END,       /* nothing */
};

struct kmcl_saved_chunk {
    uint32_t magic;
    uint16_t format;
    uint16_t kind; /* enum kmcl_saved_kind */
    uint32_t size; /* of the chunk, this header too */
    uint32_t number;
    uint32_t checksum; /* CRC-32C of the chunk with this word 0, after the chunk before */
    uint32_t reserved; /* 0 */
};
_Static_assert(sizeof(struct kmcl_saved_chunk) == 24, "saved chunk");

struct kmcl_saved_channel {
    GUID interface_type;
    GUID interface_instance;
    uint32_t sub_channel_index;
    uint32_t packet_size;
    uint32_t chunks; /* of the whole form */
    uint32_t flags;
};
/* What follows is of an open channel. Otherwise it is packets that wait for the next open. */
#define KMCL_SAVED_OPEN   1u
/* With _OPEN: VmbChannelPacketFail() was called. */
#define KMCL_SAVED_FAILED 2u
_Static_assert(sizeof(struct kmcl_saved_channel) == 48, "saved channel");

/* What a driver gets as LibBuf, with extension and payload behind it. */
struct kmcl_saved_packet {
    uint64_t transaction_id;
    uint32_t in_ring;          /* 1: only the completion is to come; 0: it was queued */
    uint32_t flags;            /* that it was sent with */
    uint32_t extension_length; /* of a queued packet of transfer pages: header and ranges */
    uint32_t payload_length;
    uint32_t driver_length;
    uint32_t reserved;
};
_Static_assert(sizeof(struct kmcl_saved_packet) == 32, "saved packet");

struct kmcl_saved_reply {
    uint64_t transaction_id;
    uint32_t payload_length;
    uint32_t reserved;
};
_Static_assert(sizeof(struct kmcl_saved_reply) == 16, "saved reply");

struct kmcl_saved_held {
    uint64_t transaction_id;
    uint32_t copy_length; /* of extension and payload, as they came */
    uint32_t extension_length;
    uint32_t payload_offset; /* behind the extension, and behind a pipe header */
    uint32_t payload_length;
    uint32_t flags;
    uint32_t reply_wanted;
};
_Static_assert(sizeof(struct kmcl_saved_held) == 32, "saved held packet");

static inline uint32_t kmcl_saved_padded(uint32_t length)
{
    return (length + 7) & ~7u;
}

#endif
