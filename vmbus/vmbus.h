/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_VMBUS_H
#define VMBUS_VMBUS_H

/*
 * The guest's end of the bus as the layer above (KMCL) sees it: connect, offers, GPADLs, open and
 * close of channels. Nothing here knows packets' meaning; the rings of an open channel belong to
 * its owner.
 *
 * Levels: message handlers run at DISPATCH and never wait. Every function that talks to the host
 * and waits for its answer is for IRQL_PASSIVE, waits at most VMBUS_ANSWER_LIMIT, and is released
 * early by a rescind or an unload.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmbus/guid.h"
#include "vmbus/ring.h"

enum vmbus_status {
    VMBUS_OK,
    VMBUS_UNAVAILABLE, /* no hypervisor, no SynIC, not connected */
    VMBUS_REFUSED,     /* the host said no (every version, a GPADL, an open) */
    VMBUS_NO_ANSWER,   /* the limit passed; memory the host may still use is kept, not freed */
    VMBUS_RESCINDED,   /* the offer is gone, or the connection ended; see vmbus_channel_unclaim() on
                          memory */
    VMBUS_NO_MEMORY,
    VMBUS_BAD_STATE, /* our caller's mistake: wrong state for this call */
    VMBUS_BAD_ARGUMENT,
    VMBUS_POST_FAILED, /* the hypervisor did not take the message */
};
const char *vmbus_status_name(enum vmbus_status status);

/* Choice of ours: no source defines a limit. Hosts answer within milliseconds, but a device
 * tear-down may take seconds. 100 ns units. */
#define VMBUS_ANSWER_LIMIT    UINT64_C(100000000) /* 10 s */
/* Choice of ours: hosts may or may not confirm the tear-down of a GPADL whose channel they
 * rescinded. */
#define VMBUS_RESCINDED_LIMIT UINT64_C(10000000) /* 1 s */

/* ---- the connection ---- */

enum vmbus_connection_state {
    VMBUS_DISCONNECTED,
    VMBUS_CONNECTING,
    VMBUS_CONNECTED, /* a version is agreed on */
    VMBUS_UNLOADING,
    VMBUS_FAILED, /* no version in common, or no answer: the guest runs on without VMBus */
};
enum vmbus_connection_state vmbus_connection_state(void);
const char *vmbus_connection_state_name(enum vmbus_connection_state state);

/* (major << 16) | minor of the version agreed on; 0 if not connected. */
uint32_t vmbus_version(void);

/* Negotiates downwards from 6.0, asks for the offers and waits until the first lot is in.
 * IRQL_PASSIVE. */
enum vmbus_status vmbus_connect(void);

/* UNLOAD, once, if connected; afterwards all channel memory is the guest's again. IRQL_PASSIVE. */
enum vmbus_status vmbus_disconnect(void);

/* Clock reading at the moment the version was agreed on. */
uint64_t vmbus_connected_at(void);

/* ---- offers and channels ---- */

/* An offer after validation, in the host's order of bytes turned to ours. */
struct vmbus_offer {
    struct vmbus_guid interface_type;
    struct vmbus_guid interface_instance;
    uint32_t relid;
    uint32_t connection_id;
    uint16_t flags;
    uint16_t mmio_megabytes;
    uint16_t mmio_megabytes_optional;
    uint16_t sub_channel_index;
    uint8_t monitor_id;
    bool monitor_allocated;
    bool dedicated_interrupt;
    uint8_t user_defined[120];
};
#define VMBUS_OFFER_FLAG_ENUMERATE_DEVICE_INTERFACE     0x0001u
#define VMBUS_OFFER_FLAG_NAMED_PIPE                     0x0010u
#define VMBUS_OFFER_FLAG_LOOPBACK                       0x0100u
#define VMBUS_OFFER_FLAG_PARENT                         0x0200u
#define VMBUS_OFFER_FLAG_REQUEST_MONITORED_NOTIFICATION 0x0400u
#define VMBUS_OFFER_FLAG_TLNPI                          0x2000u

enum vmbus_channel_state {
    VMBUS_CHANNEL_OFFERED,
    VMBUS_CHANNEL_GPADL_PENDING, /* the ring's GPADL is on its way */
    VMBUS_CHANNEL_GPADL_READY,
    VMBUS_CHANNEL_OPENING,
    VMBUS_CHANNEL_OPEN,
    VMBUS_CHANNEL_CLOSING,  /* CLOSE posted, the ring's GPADL is being torn down */
    VMBUS_CHANNEL_RELEASED, /* RELID_RELEASED posted or connection gone; the object lives until its
                               last reference goes */
};
const char *vmbus_channel_state_name(enum vmbus_channel_state state);

struct vmbus_channel; /* vmbus/channel.h has the inside, for this layer only */

/* The owner's callbacks. Both at IRQL_DISPATCH; neither may wait. */
struct vmbus_channel_owner {
    void (*event)(void *context);     /* the host signalled, or may have: look at both rings */
    void (*rescinded)(void *context); /* once; every wait of this channel is released already */
    void *context;
    const uint32_t *target_vp; /* that OPEN_CHANNEL names; NULL: the one that opens */
};

/*
 * Told of each offer, primaries' and sub-channels', those standing already first, and of nothing
 * else: a listener that wants a channel claims it. At IRQL_DISPATCH. The structure is the caller's
 * until removed.
 */
struct vmbus_offer_listener {
    struct vmbus_offer_listener *next;
    void (*offered)(void *context, struct vmbus_channel *channel);
    void *context;
};
void vmbus_offer_listener_add(struct vmbus_offer_listener *listener);
void vmbus_offer_listener_remove(struct vmbus_offer_listener *listener);

const struct vmbus_offer *vmbus_channel_offer(const struct vmbus_channel *channel);
enum vmbus_channel_state vmbus_channel_state(const struct vmbus_channel *channel);
bool vmbus_channel_is_rescinded(const struct vmbus_channel *channel);

/*
 * Takes the channel for one owner and holds a reference. False: taken already, or rescinded. The
 * owner structure stays the caller's until vmbus_channel_unclaim(). At or below DISPATCH.
 */
bool vmbus_channel_claim(struct vmbus_channel *channel, const struct vmbus_channel_owner *owner);

/*
 * Gives it back, closed. If it was rescinded this posts RELID_RELEASED, once and last of all;
 * otherwise the offer can be claimed again. The channel must not be used any more. Returns whether
 * pages are the guest's again for which a GPADL function said VMBUS_RESCINDED; if not, they must
 * never be reused. IRQL_PASSIVE.
 */
bool vmbus_channel_unclaim(struct vmbus_channel *channel);

/*
 * Allocates both rings (data pages, without the control pages), makes their GPADL, opens. Events
 * may be delivered before it returns. On failure nothing is left half-built. `host_status` (may be
 * NULL) receives the status of the host's answer if it sent one. IRQL_PASSIVE.
 */
enum vmbus_status vmbus_channel_open(struct vmbus_channel *channel, uint32_t outgoing_pages,
                                     uint32_t incoming_pages, uint32_t *host_status);

/*
 * CLOSE, tear-down of the ring's GPADL, rings freed (or kept and counted if the host never
 * confirmed). After it no event callback runs. After a rescind CLOSE is not sent. IRQL_PASSIVE.
 */
void vmbus_channel_close(struct vmbus_channel *channel);

/* The rings of an open channel; their owner serialises its use of each. */
struct ring_writer *vmbus_channel_outgoing(struct vmbus_channel *channel);
struct ring_reader *vmbus_channel_incoming(struct vmbus_channel *channel);

/* Tells the host, by hypercall or monitor page. Only when a ring function said so. At or below
 * DISPATCH. */
void vmbus_channel_signal(struct vmbus_channel *channel);

/* Queues the owner's event callback as if the host had signalled. Any IRQL. */
void vmbus_channel_kick(struct vmbus_channel *channel);

/*
 * Moves the events of an open channel to another virtual processor (MODIFY_CHANNEL), whose SynIC
 * must be on. From version 5.3 on VMBUS_OK means that the host has done so; before, it says nothing
 * about when, and events may come to the old processor for any time. VMBUS_UNAVAILABLE: below 4.1;
 * VMBUS_BAD_STATE: not open, or an earlier request has no answer yet; VMBUS_BAD_ARGUMENT: no such
 * processor (UINT32_MAX); VMBUS_REFUSED; VMBUS_NO_ANSWER; VMBUS_RESCINDED. IRQL_PASSIVE.
 */
enum vmbus_status vmbus_channel_move(struct vmbus_channel *channel, uint32_t target_vp);

/* Swaps the monitor latency of this channel (100 ns units). VMBUS_UNAVAILABLE if the offer has no
 * monitor. At or below DISPATCH. */
enum vmbus_status vmbus_channel_set_monitor_latency(struct vmbus_channel *channel, uint16_t latency,
                                                    uint16_t *original);

/* ---- GPADLs of a channel, beside its ring's ---- */

/* `byte_count` bytes from `byte_offset` in the first of the pages. */
struct vmbus_gpa_range {
    uint32_t byte_count;
    uint32_t byte_offset;
    const uint64_t *frames; /* one a page; NULL: pages follow each other from first_frame on */
    uint64_t first_frame;
};

/*
 * VMBUS_OK when the host has confirmed: the pages are shared until vmbus_gpadl_teardown() returned
 * VMBUS_OK. VMBUS_NO_ANSWER: they must never be reused. VMBUS_RESCINDED: not before
 * vmbus_channel_unclaim() said so. Otherwise the host does not know them. At most 8190 pages and
 * one range header each count 8 bytes, 65528 in all. IRQL_PASSIVE.
 */
enum vmbus_status vmbus_gpadl_create(struct vmbus_channel *channel,
                                     const struct vmbus_gpa_range *ranges, size_t range_count,
                                     uint32_t *gpadl_id);

/*
 * VMBUS_OK: the pages are the guest's again. VMBUS_NO_ANSWER: they must never be reused.
 * VMBUS_RESCINDED: not before vmbus_channel_unclaim() said so. VMBUS_BAD_ARGUMENT: no such GPADL of
 * this channel. The id is gone in any case. IRQL_PASSIVE.
 */
enum vmbus_status vmbus_gpadl_teardown(struct vmbus_channel *channel, uint32_t gpadl_id);

/* ---- reports ---- */

struct vmbus_statistics {
    uint64_t messages;
    uint64_t messages_malformed;  /* too short, bad fields */
    uint64_t messages_unknown;    /* a type this guest does not know */
    uint64_t messages_unexpected; /* well-formed, but nothing waits for it */
    uint64_t offers;
    uint64_t offers_refused;
    uint64_t rescinds;
    uint64_t events_unknown; /* flags of no open channel */
    uint64_t pages_kept;     /* never confirmed by the host, so never reused */
};
void vmbus_statistics(struct vmbus_statistics *out);

/* Prints the version, and a table of offers: class, instance, relid, ring sizes, state.
 * IRQL_PASSIVE. */
void vmbus_report(void);

#endif
