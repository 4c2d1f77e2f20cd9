/* SPDX-License-Identifier: MIT */
#ifndef TESTS_FAKE_HOST_H
#define TESTS_FAKE_HOST_H

/*
 * A scripted VMBus host behind the hv_* functions, in the process of the test. It reads the guest's
 * messages by offsets of its own, not by the guest's structures, keeps GPADLs, opens channels and
 * holds the other ends of their rings. Memory is one to one: it reaches the guest's pages by their
 * frame numbers.
 *
 * It acts when the guest posts, and delivers messages and events in test_host_step() (test_arch.h),
 * which the guest's waits call: one message a step, in order. Everything it does can be changed by
 * `host`, or taken over by a hook.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/hypercall.h"
#include "hv/hypervisor.h"
#include "vmbus/guid.h"
#include "vmbus/ring.h"

/* A message of the guest as it was posted. */
struct host_message {
    uint32_t connection_id;
    uint32_t size;
    uint8_t bytes[240];
};

static inline uint32_t host_word(const struct host_message *message, size_t offset)
{
    const uint8_t *at = message->bytes + offset;

    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* Numbers of messages, the host's own copy. */
enum {
    HOST_OFFER = 1,
    HOST_RESCIND = 2,
    HOST_REQUEST_OFFERS = 3,
    HOST_ALL_OFFERS = 4,
    HOST_OPEN = 5,
    HOST_OPEN_RESULT = 6,
    HOST_CLOSE = 7,
    HOST_GPADL_HEADER = 8,
    HOST_GPADL_BODY = 9,
    HOST_GPADL_CREATED = 10,
    HOST_GPADL_TEARDOWN = 11,
    HOST_GPADL_TORNDOWN = 12,
    HOST_RELID_RELEASED = 13,
    HOST_CONTACT = 14,
    HOST_VERSION_RESPONSE = 15,
    HOST_UNLOAD = 16,
    HOST_UNLOAD_COMPLETE = 17,
    HOST_TYPES = 30,
};

/* What of a request is answered. */
enum host_answer {
    HOST_ANSWERS,
    HOST_IS_SILENT, /* does it, and says nothing */
    HOST_IGNORES,   /* neither */
};

/* host_reset() sets the defaults that stand behind each field. */
struct host_settings {
    /* The hypervisor. */
    enum hv_presence presence; /* HV_PRESENT */
    const char *reason;        /* "" */
    uint32_t vp_index;         /* 0 */

    /* Posting. */
    bool multi_client;     /* true: connection id 4 exists */
    hv_status post_status; /* success: what every post gets */
    unsigned fail_every;   /* 0; n: every nth attempt gets fail_status */
    hv_status fail_status; /* HV_STATUS_INSUFFICIENT_BUFFERS */
    unsigned post_limit;   /* UINT_MAX: attempts taken before post_status_late */
    hv_status post_status_late;

    /* Contact. */
    uint32_t highest_version;    /* 5.3 */
    uint32_t lowest_version;     /* 2.4 */
    uint32_t message_connection; /* 1: returned from 5.0 on, and then the only one that works */
    uint8_t contact_state;       /* 0: connection state in acceptances */
    uint32_t contact_state_from; /* 0: only for this version and above */
    uint32_t features;           /* 0: granted under 6.0, whatever was asked for */
    uint32_t contact_size;       /* 0: natural; otherwise cut or padded to this */
    enum host_answer contact;    /* HOST_ANSWERS, as all below */

    /* The rest. */
    enum host_answer all_offers;
    enum host_answer gpadl;
    uint32_t gpadl_status; /* 0 */
    enum host_answer teardown;
    unsigned teardown_steps; /* 0: steps that TORNDOWN takes longer */
    enum host_answer open;
    uint32_t open_status; /* 0 */
    bool early_events;    /* false: an event and a packet before OPEN_RESULT */
    enum host_answer unload;
    bool round_sizes;       /* false: sizes rounded up to 8, with garbage behind the message */
    bool rescind_at_once;   /* false: used with rescind_type: before the host acts on the message */
    uint32_t rescind_type;  /* 0: message type at which its channel is rescinded */
    unsigned rescind_count; /* 1: at the nth such message */
    bool reoffer;           /* false: offer the device again when its number comes back */
    uint32_t reoffer_relid; /* 0: the same; otherwise this one */
    bool burst;             /* false: all that is due in one step, without a look between */
    bool scribble;          /* true: writes to every shared page as long as it may */
    bool tolerant;          /* false: counts no errors of a guest that it lied to */

    /* Rings. */
    bool no_trailer;  /* false: packets without their trailer, with garbage in pad bytes */
    bool never_mask;  /* false: leaves the mask of the ring it reads alone, as QEMU does */
    bool always_mask; /* false: never clears it again, as a host that polls */

    /* Called with every message taken; true: the host does nothing more about it. */
    bool (*hook)(void *context, const struct host_message *message);
    void *hook_context;
};
extern struct host_settings host;

/* Forgets everything and sets the defaults. The guest must be disconnected. */
void host_reset(void);

/* ---- offers ---- */

struct host_offer {
    struct vmbus_guid type;
    struct vmbus_guid instance;
    uint32_t relid;
    uint32_t connection_id;
    uint16_t index;
    uint16_t flags;
    uint16_t mmio_megabytes;
    uint8_t monitor_id;
    uint8_t monitor_allocated;
    uint16_t dedicated;
    uint8_t user_defined[120];
};

/* A class of nobody, its instance and connection id (0x2000 + relid) made from the channel id. */
struct host_offer host_plain_offer(uint32_t relid);

/* Offered when the guest asks, or at once if it has asked. */
void host_add(const struct host_offer *offer);

/* Takes a channel away. The host forgets it when the guest gives its number back. */
void host_rescind(uint32_t relid);

/* ---- messages ---- */

/* Sends anything; `size` is what the SynIC slot says, at most 240. */
void host_send(const void *bytes, uint32_t size);

/* Sends a message of `size` bytes: its type, zeros, and up to three words from byte 8 on. */
void host_send_words(uint32_t type, uint32_t size, uint32_t a, uint32_t b, uint32_t c);

void host_send_offer(const struct host_offer *offer);

/* An event flag. */
void host_event(uint32_t flag);

/* Steps until there is nothing left, and runs the guest's passive work. IRQL_PASSIVE. */
void host_run(void);

/* ---- what the guest did ---- */

unsigned host_count(uint32_t type); /* messages taken, by type */
/* The nth message taken of a type, from 0; 0: any type. NULL if there are not so many. */
const struct host_message *host_message(uint32_t type, unsigned n);
unsigned host_attempts(void);                    /* posts, refused ones too */
unsigned host_signals(uint32_t connection_id);   /* hypercalls, below 0x4000 */
unsigned host_monitor_signals(uint32_t monitor); /* bits found in the monitor page */
unsigned host_signals_bad(void);                 /* for connections that no open channel has */
unsigned host_gpadls(void);                      /* that stand */
unsigned host_errors(void); /* guest messages against the protocol; each is printed */
bool host_attached(void);   /* a SynIC client is there */

/* ---- GPADLs ---- */

/* The frames of a standing GPADL, all ranges together; NULL if there is none of this id. */
const uint64_t *host_gpadl_frames(uint32_t id, size_t *count);

/* ---- channels and their rings ---- */

bool host_is_open(uint32_t relid);
uint32_t host_ring_gpadl(uint32_t relid);

/* The host's ends; NULL if the channel is not open. */
struct ring_writer *host_outgoing(uint32_t relid); /* host to guest */
struct ring_reader *host_incoming(uint32_t relid);

/* Sends a packet and raises the event if the ring's rules ask for it. */
enum ring_status host_put(uint32_t relid, const struct ring_packet_out *packet);
enum ring_status host_put_inband(uint32_t relid, uint64_t transaction_id, bool wants_completion,
                                 const void *payload, uint32_t length);
enum ring_status host_put_completion(uint32_t relid, uint64_t transaction_id, const void *payload,
                                     uint32_t length);

/* Writes bytes as they are behind the host's write index, moves the index and raises the event.
 * Length a multiple of 8. */
void host_put_raw(uint32_t relid, const void *bytes, uint32_t length);

/* Sets the write index of host to guest, or the read index of guest to host, to anything, and
 * raises the event. */
void host_set_write_index(uint32_t relid, uint32_t index);
void host_set_read_index(uint32_t relid, uint32_t index);

/* Takes the guest's next packet, as ring_reader_next(), and gives the room back, with the event
 * that the rules ask for. */
enum ring_status host_get(uint32_t relid, void *buffer, size_t capacity,
                          struct ring_packet_in *packet);

/* Inside of fake_host*.c. */
struct host_channel {
    struct host_offer offer;
    bool known;
    bool offered;
    bool rescinded;
    bool open;
    uint32_t gpadl;
    struct ring_writer outgoing;
    struct ring_reader incoming;
    struct ring_control *outgoing_control;
    struct ring_control *incoming_control;
    uint8_t *outgoing_data;
    uint32_t outgoing_size;
};
struct host_channel *host_channel(uint32_t relid);
bool host_open_rings(struct host_channel *channel, uint32_t gpadl, uint32_t downstream);

#endif
