/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_RING_H
#define VMBUS_RING_H

/*
 * A VMBus ring, seen from the end that sends on it (ring_writer) or from the end that receives
 * (ring_reader). Both ends of the bus use both. Memory in, memory out: nothing here is called but
 * memcpy, nothing waits, nothing is allocated.
 *
 * The other end is hostile: it may write any value to any byte of the ring at any time. What it
 * writes can cost its own packets or end the ring as RING_CORRUPT, for good; it cannot make these
 * functions touch memory outside the ring and the caller's buffers.
 *
 * A writer and a reader are the caller's objects; their fields are private to the functions below
 * except where said. Any IRQL. Calls on one object must be serialised by its owner; a writer and a
 * reader need no lock between them.
 *
 * Sending a burst:
 *     ring_writer_put() for each packet; if (ring_writer_commit()) signal;
 *     on RING_FULL: commit, then ring_writer_arm() and wait for an event.
 * Receiving, after an event:
 *     do {
 *         ring_reader_mask();
 *         ring_reader_next(), or peek and take, until RING_EMPTY;
 *         if (ring_reader_publish()) signal;
 *     } while (ring_reader_unmask());
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmbus/ring_layout.h"

enum ring_status {
    RING_OK,
    RING_FULL,         /* no room now */
    RING_EMPTY,        /* no packet now */
    RING_TOO_LARGE,    /* sending: never fits this ring; receiving: did not fit the buffer */
    RING_CORRUPT,      /* the other end broke the ring; it stays so */
    RING_BAD_ARGUMENT, /* the caller's mistake; nothing was done */
};

/* What the other end did to a ring that is RING_CORRUPT, and the value that showed it. */
enum ring_fault_kind {
    RING_FAULT_NONE,
    RING_FAULT_WRITE_INDEX, /* the index: outside the data area, or no multiple of 8 */
    RING_FAULT_READ_INDEX,  /* likewise */
    RING_FAULT_LENGTH, /* first 8 bytes of the descriptor: too short, or beyond what is there */
    RING_FAULT_DATA_OFFSET, /* likewise: the payload starts before or behind its packet */
};
const char *ring_fault_name(enum ring_fault_kind kind);

struct ring_fault {
    enum ring_fault_kind kind;
    uint64_t value;
};

/*
 * Choice of ours: keeps the sum of an index and a packet inside 32 bits. A GPADL of one range, 8190
 * pages, is far below.
 */
#define RING_DATA_SIZE_MAX 0x40000000u

/* length8 is 16 bits wide: what a packet can take at most in any ring, trailer included. */
#define RING_PACKET_SIZE_MAX (8u * 65535u + 8u)

/* Descriptor and trailer. */
#define RING_PACKET_OVERHEAD 24u

/* Bytes of the ring that a packet takes, from the lengths of its head and payload. */
static inline uint64_t ring_packet_size(uint32_t head_length, uint32_t payload_length)
{
    return RING_PACKET_OVERHEAD + (uint64_t)head_length +
           (((uint64_t)payload_length + 7) & ~UINT64_C(7));
}

/* ---- sending ---- */

/*
 * A packet to send, gathered from two pieces: `head`, then `payload`. The head holds the header of
 * the packet's type, if it has one (from struct ring_gpa_direct_header or
 * ring_transfer_pages_header on, ranges included), and behind it a pipe header where the channel is
 * a pipe: that already counts as payload on the wire, which is why the two lengths differ. Both are
 * copied before ring_writer_put() returns.
 */
struct ring_packet_out {
    uint64_t transaction_id;
    uint16_t type;             /* enum ring_packet_type */
    uint16_t flags;            /* RING_PACKET_FLAG_* */
    uint32_t extension_length; /* of the type's header, at the start of `head`; multiple of 8 */
    uint32_t head_length;      /* multiple of 8, extension_length or more; 0: no head */
    uint32_t payload_length;   /* any */
    const void *head;          /* neither it nor extension_length is looked at without a head */
    const void *payload;       /* not looked at if payload_length is 0 */
};

struct ring_writer {
    unsigned char *data;
    struct ring_control *control;
    uint32_t size;       /* of the data area */
    uint32_t largest;    /* packet this ring can ever take */
    uint32_t index;      /* where the next packet goes; ours, never read back from shared memory */
    uint32_t committed;  /* what the other end was told */
    uint32_t read_index; /* of the other end, as last seen and found good */
    uint32_t limit;      /* packets that end here or before need neither a look nor a cut; < size */
    bool armed;
    struct ring_fault fault; /* may be read by anyone who may use the writer */
    uint64_t full;           /* counts RING_FULL answers of put; likewise */
};

/*
 * Takes up the sending end of the ring whose control page and `data_size` bytes of data are given,
 * at the indices that stand there: zero in a new ring. Announces RING_FEATURE_PENDING_SEND_SIZE.
 * The memory stays the caller's and must live as long as the writer. Before the other end learns of
 * a new ring its owner must have zeroed all of it. RING_BAD_ARGUMENT: size not a whole number of
 * pages, zero, or above RING_DATA_SIZE_MAX. RING_CORRUPT: bad indices.
 */
enum ring_status ring_writer_attach(struct ring_writer *writer, struct ring_control *control,
                                    void *data, uint32_t data_size);

/*
 * Copies a packet into the ring behind those already there, without telling the other end. RING_OK;
 * RING_FULL: nothing was written, commit and arm; RING_TOO_LARGE: more than ring_writer_largest();
 * RING_CORRUPT; RING_BAD_ARGUMENT: head lengths.
 */
enum ring_status ring_writer_put(struct ring_writer *writer, const struct ring_packet_out *packet);

/*
 * Publishes everything put since the last commit, as one burst. True: the other end must be
 * signalled now. Never signal otherwise: a host takes needless signals as misbehaviour (Linux
 * Documentation/virt/hyperv/vmbus.rst).
 */
bool ring_writer_commit(struct ring_writer *writer);

/*
 * Asks the other end for a signal when `need` bytes (ring_packet_size()) are free, then looks once
 * more. Commit first: RING_BAD_ARGUMENT if something staged is not committed, since room that only
 * comes from packets nobody was told of never comes. RING_FULL: armed, an event will follow.
 * RING_OK: there is room by now, nothing is armed. RING_TOO_LARGE, RING_CORRUPT.
 */
enum ring_status ring_writer_arm(struct ring_writer *writer, uint64_t need);

/* Takes the request of ring_writer_arm() back, if there is one: once nothing waits for room. */
void ring_writer_disarm(struct ring_writer *writer);

/* The largest packet this ring can take, trailer included: data size - 16, or the wire's limit. */
static inline uint32_t ring_writer_largest(const struct ring_writer *writer)
{
    return writer->largest;
}

/* Bytes that were put and not yet committed. */
static inline uint32_t ring_writer_staged(const struct ring_writer *writer)
{
    uint32_t end = writer->index;

    if (end < writer->committed)
        end += writer->size;
    return end - writer->committed;
}

/* False: no more than `limit` are staged. Sooner said than how many, and unless they go over the
 * end of the area it is right to say true, too. */
static inline bool ring_writer_may_stage_above(const struct ring_writer *writer, uint32_t limit)
{
    return writer->index - writer->committed > limit;
}

/* ---- receiving ---- */

/*
 * A received packet's descriptor, checked: only behind RING_OK and RING_TOO_LARGE, otherwise it may
 * hold anything. Lengths in bytes, multiples of 8.
 */
struct ring_packet_in {
    uint16_t type;         /* any value: whether it is known is for the caller to decide */
    uint16_t data_offset8; /* as on the wire; said by extension_length too */
    uint16_t length8;      /* likewise */
    uint16_t flags;
    uint64_t transaction_id;
    uint32_t extension_length; /* between descriptor and payload; its contents are unchecked */
    uint32_t payload_length;   /* with padding */
};

struct ring_reader {
    unsigned char *data;
    struct ring_control *control;
    uint32_t size;           /* of the data area */
    uint32_t index;          /* of the next packet; ours, never read back from shared memory */
    uint32_t published;      /* what the other end was told */
    uint32_t write_index;    /* of the other end, as last seen and found good */
    uint32_t limit;          /* packets that end here or before are there, and not cut; < size */
    struct ring_fault fault; /* may be read by anyone who may use the reader */
};

/* The receiving end; as ring_writer_attach(), but announces nothing. */
enum ring_status ring_reader_attach(struct ring_reader *reader, struct ring_control *control,
                                    void *data, uint32_t data_size);

/*
 * Copies the next packet, without descriptor and trailer, into `buffer` of `capacity` bytes:
 * extension_length bytes of extension, then payload_length bytes of payload. RING_OK; RING_EMPTY;
 * RING_TOO_LARGE: left in its place, as by ring_reader_peek(); RING_CORRUPT.
 */
enum ring_status ring_reader_next(struct ring_reader *reader, void *buffer, size_t capacity,
                                  struct ring_packet_in *packet);

/*
 * Checks the next packet's descriptor and leaves the packet in place. RING_OK, RING_EMPTY,
 * RING_CORRUPT. What a later peek sees may differ: the other end can rewrite a packet until it is
 * taken.
 */
enum ring_status ring_reader_peek(struct ring_reader *reader, struct ring_packet_in *packet);

/*
 * Takes the packet that the latest ring_reader_peek(), or ring_reader_next() with RING_TOO_LARGE,
 * put into `packet`, which must be unchanged and not taken yet: copies its extension and its
 * payload to where they are wanted. Either may be NULL: that part is dropped.
 */
void ring_reader_take(struct ring_reader *reader, const struct ring_packet_in *packet,
                      void *extension, void *payload);

/*
 * Gives the room of all packets taken back to the sender. True: the sender waits for that room and
 * must be signalled now.
 */
bool ring_reader_publish(struct ring_reader *reader);

/* Tells the sender that signals are useless: this end looks by itself until it unmasks. */
void ring_reader_mask(struct ring_reader *reader);

/*
 * Asks for signals again and looks once more. True: something came while signals were off, for
 * which none will follow; go round again. Call it with everything published; a sender that still
 * sees the old read index would take this end for busy.
 */
bool ring_reader_unmask(struct ring_reader *reader);

/* ---- transfer pages ---- */

/* The extension of a RING_PACKET_DATA_TRANSFER_PAGES packet, checked against its length. */
struct ring_transfer_pages {
    const unsigned char *ranges;
    uint32_t range_count;
    uint16_t set_id;
};

/*
 * `extension` is the caller's copy, never ring memory; the result points into it. False: shorter
 * than the ranges it announces.
 */
bool ring_transfer_pages_parse(const void *extension, uint32_t extension_length,
                               struct ring_transfer_pages *pages);

/* Range `i` < range_count. Whether it lies inside the GPADL is the caller's to check. */
struct ring_transfer_page_range ring_transfer_pages_range(const struct ring_transfer_pages *pages,
                                                          uint32_t i);

#endif
