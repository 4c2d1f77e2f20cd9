/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_RING_LAYOUT_H
#define VMBUS_RING_LAYOUT_H

/*
 * What stands in ring memory, byte for byte: the control page, the packet descriptor, and the
 * headers of the packet types. Layouts only; nothing here knows how they are used. All integers are
 * little-endian.
 *
 * Sources: OpenVMM vmbus_ring and vmbus_core, Linux include/linux/hyperv.h, mu_msvm EmclDxe, QEMU
 * vmbus-proto.h; they agree.
 */

#include <stdint.h>

#define RING_PAGE_SIZE 4096u

/*
 * First page of each ring. The data pages follow it. Whoever sends on the ring is its producer, the
 * other end its consumer. Both ends look at these words while the other end writes them, so they
 * are atomics; see ring_memory.h for the only ways in.
 */
struct ring_control {
    _Atomic uint32_t write_index;    /* by the producer: data offset of the next free byte */
    _Atomic uint32_t read_index;     /* by the consumer: data offset of the next packet */
    _Atomic uint32_t interrupt_mask; /* by the consumer: non-zero means "do not signal new data" */
    _Atomic uint32_t
        pending_send_size; /* by the producer: non-zero means "signal when this much is free" */
    uint32_t reserved_16[12];
    _Atomic uint32_t feature_bits; /* by the producer: RING_FEATURE_* */
    uint8_t reserved_68[RING_PAGE_SIZE - 68];
};
_Static_assert(sizeof(_Atomic uint32_t) == 4, "an atomic word has no lock beside it");
_Static_assert(sizeof(struct ring_control) == RING_PAGE_SIZE, "the control page is a page");
_Static_assert(__builtin_offsetof(struct ring_control, write_index) == 0, "control page");
_Static_assert(__builtin_offsetof(struct ring_control, read_index) == 4, "control page");
_Static_assert(__builtin_offsetof(struct ring_control, interrupt_mask) == 8, "control page");
_Static_assert(__builtin_offsetof(struct ring_control, pending_send_size) == 12, "control page");
_Static_assert(__builtin_offsetof(struct ring_control, feature_bits) == 64, "control page");

/* The producer maintains pending_send_size. */
#define RING_FEATURE_PENDING_SEND_SIZE 0x1u

/*
 * A packet:
 *
 *   0                 descriptor
 *   16                header of its type, if it has one
 *   8 * data_offset8  payload, zeros up to a multiple of 8
 *   8 * length8       trailer
 *
 * The whole takes 8 * length8 + 8 bytes of the ring. The payload's exact length is not carried.
 */
struct ring_descriptor {
    uint16_t type;         /* enum ring_packet_type */
    uint16_t data_offset8; /* start of the payload in units of 8 bytes, from the descriptor */
    uint16_t length8;      /* all but the trailer, in units of 8 bytes */
    uint16_t flags;        /* RING_PACKET_FLAG_* */
    uint64_t transaction_id;
};
_Static_assert(sizeof(struct ring_descriptor) == 16, "packet descriptor");
_Static_assert(__builtin_offsetof(struct ring_descriptor, data_offset8) == 2, "packet descriptor");
_Static_assert(__builtin_offsetof(struct ring_descriptor, length8) == 4, "packet descriptor");
_Static_assert(__builtin_offsetof(struct ring_descriptor, flags) == 6, "packet descriptor");
_Static_assert(__builtin_offsetof(struct ring_descriptor, transaction_id) == 8,
               "packet descriptor");

/* Types in use; the numbers between and above them are obsolete forms that nobody sends. */
enum ring_packet_type {
    RING_PACKET_DATA_INBAND = 6,
    RING_PACKET_DATA_TRANSFER_PAGES = 7, /* struct ring_transfer_pages_header follows */
    RING_PACKET_DATA_GPA_DIRECT = 9,     /* struct ring_gpa_direct_header follows */
    RING_PACKET_COMPLETION = 11,
};

#define RING_PACKET_FLAG_COMPLETION_REQUESTED 0x1u

struct ring_trailer {
    uint32_t reserved; /* zero */
    uint32_t
        start; /* data offset at which this packet starts. Written; no receiver may rely on it */
};
_Static_assert(sizeof(struct ring_trailer) == 8, "packet trailer");
_Static_assert(__builtin_offsetof(struct ring_trailer, start) == 4, "packet trailer");

/* Payload in guest pages that the packet names. `range_count` ranges follow, each of its own
 * length. */
struct ring_gpa_direct_header {
    uint32_t reserved; /* sent as zero, received as anything */
    uint32_t range_count;
};
_Static_assert(sizeof(struct ring_gpa_direct_header) == 8, "GPA-direct header");
_Static_assert(__builtin_offsetof(struct ring_gpa_direct_header, range_count) == 4,
               "GPA-direct header");

/* One 64-bit page frame number for each page touched follows. */
struct ring_gpa_range {
    uint32_t byte_count;
    uint32_t byte_offset; /* in the first page */
};
_Static_assert(sizeof(struct ring_gpa_range) == 8, "GPA range");
_Static_assert(__builtin_offsetof(struct ring_gpa_range, byte_offset) == 4, "GPA range");

/* Payload in a GPADL that the two ends share. `range_count` ranges follow. */
struct ring_transfer_pages_header {
    uint16_t set_id;
    uint8_t sender_owns_set;
    uint8_t reserved; /* received as anything */
    uint32_t range_count;
};
_Static_assert(sizeof(struct ring_transfer_pages_header) == 8, "transfer-pages header");
_Static_assert(__builtin_offsetof(struct ring_transfer_pages_header, sender_owns_set) == 2,
               "transfer-pages header");
_Static_assert(__builtin_offsetof(struct ring_transfer_pages_header, range_count) == 4,
               "transfer-pages header");

struct ring_transfer_page_range {
    uint32_t byte_count;
    uint32_t byte_offset; /* from the start of the GPADL */
};
_Static_assert(sizeof(struct ring_transfer_page_range) == 8, "transfer-page range");
_Static_assert(__builtin_offsetof(struct ring_transfer_page_range, byte_offset) == 4,
               "transfer-page range");

#endif
