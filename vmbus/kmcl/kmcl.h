/* SPDX-License-Identifier: MIT */
#ifndef KMCL_KMCL_H
#define KMCL_KMCL_H

/*
 * The inside of KMCL, for the files of this folder alone.
 *
 *   kmcl_channel.c      channels as drivers configure them
 *   kmcl_state.c        the state machine: runs as passive work, one run at a time for a channel
 *   kmcl_client.c       what is the client's alone: finding an offer, opening, closing
 *   server/             what is the server's alone, for hosts: no guest image has it
 *   kmcl_packet.c       packet objects and the calls that send them
 *   kmcl_queue.c        the outgoing ring and the queue before it
 *   kmcl_transaction.c  ids of packets whose completion is awaited
 *   kmcl_incoming.c     the drain of the incoming ring
 *   kmcl_delivery.c     what a driver does with a packet that was delivered to it
 *   kmcl_synchronous.c  requests that are waited for
 *   kmcl_external.c     MDLs and page lists as ranges; kmcl_gpadl.c shares them for longer
 *   kmcl_transfer.c     packets that name ranges of what is shared
 *   kmcl_sub_channel.c  clients' further channels of a device, and their processors
 *
 * One lock a channel guards everything that is marked [lock]; it is never held across a callback,
 * nor across a signal to the host. What is marked [drain] belongs to whoever made `intake`
 * INTAKE_RUNNING; [worker] to the state worker; [setup] changes only while the channel is Disabled.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "VmbusKernelModeClientLibApi.h"
#include "kernel/lock.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "kmcl_extensions.h"
#include "vmbus/kmcl/kmcl_external.h"
#include "vmbus/kmcl/kmcl_transaction.h"
#include "vmbus/ring.h"
#include "vmbus/vmbus.h"

/* ---- choices of ours; no public source gives these ---- */

#define KMCL_DEFAULT_PACKET_SIZE 4096u
#define KMCL_DEFAULT_RING_PAGES  4u
/* Bounds the memory that a driver can make an incoming flood cost by not completing packets. */
#define KMCL_DEFAULT_QUOTA       4096u
/* A GPADL of one range holds 8190 pages; two rings with a control page each. */
#define KMCL_RING_PAGES_LIMIT    4094u
/* Bytes of incoming objects whose completions wait for the ring: behind these nothing more is taken
 * of a peer that asks and makes no room for the answers, until half of them are gone. */
#define KMCL_REPLIES_LIMIT       0x1000000u
/* Smallest private copy kept for incoming packets: most protocols' messages fit, whatever their
 * driver sends. */
#define KMCL_INCOMING_SIZE_FLOOR 512u
/* Packets a drain takes before it lets others run. */
#define KMCL_DRAIN_BUDGET        64u
/* Payload of one packet on a pipe, bytes. No choice: OpenVMM vmbus_async takes no more. */
#define KMCL_PIPE_PAYLOAD_LIMIT  16384u
#define KMCL_PIPE_HEADER_SIZE    8u
#define KMCL_PIPE_DATA           1u
#define KMCL_CONTEXT_SIZE_LIMIT  65536u
#define KMCL_NAME_SIZE           32u
/* Lines of warnings about a channel, in all: its peer can cause them as often as it likes. */
#define KMCL_WARNINGS_LIMIT      64u
/* After this long in a wait that only a driver can end, one warning says so. 100 ns units. */
#define KMCL_PATIENCE            UINT64_C(100000000)

/* ---- states ---- */

enum kmcl_state {
    KMCL_DISABLED,   /* configured here; nothing of it is known outside */
    KMCL_SEARCHING,  /* enabled; a client waits for an offer, a server for a guest that opens */
    KMCL_OPENING,    /* there is one; the channel is opened, then EvtChannelOpened */
    KMCL_PAUSED,     /* open; nothing flows, nothing delivered is owed */
    KMCL_STARTING,   /* EvtChannelStarted */
    KMCL_ACTIVE,     /* packets flow; EvtChannelPostStarted at its beginning */
    KMCL_STOPPING,   /* sends are queued again; a running drain leaves */
    KMCL_SUSPENDING, /* EvtChannelSuspend; then the driver completes what it was given */
    KMCL_CLOSING,    /* the host closes; EvtChannelClosed */
    KMCL_RELEASING,  /* what was claimed is given back */
    KMCL_STATE_COUNT,
};

/* The incoming side. */
enum kmcl_intake {
    INTAKE_OFF,       /* from the suspension to the next start */
    INTAKE_IDLE,      /* an event starts a drain */
    INTAKE_SCHEDULED, /* a drain at PASSIVE is queued */
    INTAKE_RUNNING,   /* a drain is at work, or below us on the stack in a callback that waits */
    INTAKE_BLOCKED,   /* quota, or INTAKE_ENDS_FULL: a completion lets it go on */
    INTAKE_FAILED,    /* until the channel is opened anew */
};

/* Why nothing more is to be taken: bits beside the count of what the driver owes. */
#define INTAKE_ENDS_STOP   0x80000000u /* the state machine wants INTAKE_OFF */
#define INTAKE_ENDS_FAILED 0x40000000u /* VmbChannelPacketFail(), or the ring is broken */
#define INTAKE_ENDS_FULL   0x20000000u /* KMCL_REPLIES_LIMIT, until half of that has gone */
#define INTAKE_ENDS        (INTAKE_ENDS_STOP | INTAKE_ENDS_FAILED | INTAKE_ENDS_FULL)

/* ---- packets ---- */

/* What goes into the outgoing ring, and may have to wait for it. First member of both kinds of
 * objects that do. */
struct kmcl_send {
    struct kmcl_send *next;      /* of the queue [lock] */
    struct ring_packet_out wire; /* its pieces lie in the object itself as soon as it is queued */
    bool is_reply;               /* a kmcl_incoming; else a kmcl_packet */
};

enum kmcl_packet_state {
    PACKET_IDLE,    /* the driver's, or its routine is about to be called */
    PACKET_QUEUED,  /* before the ring */
    PACKET_PENDING, /* in the ring, its id in the table */
    PACKET_FREE,    /* nobody's; looked at only by who uses it all the same */
};

/* Behind VMBPACKET. Header of the external data, pipe header and payload follow. */
struct kmcl_packet {
    struct kmcl_send send;
    struct kmcl_channel *channel;
    PFN_VMB_PACKET_COMPLETION_ROUTINE routine;
    void *pointer;
    enum kmcl_packet_state state;  /* [lock] */
    NTSTATUS status;               /* for the routine */
    struct kmcl_packet *next_done; /* of those whose routine is to run */
    bool from_heap;                /* of VmbPacketAllocate() */
    uint32_t header_capacity;      /* without the pipe header */
    uint32_t payload_capacity;
    _Alignas(8) unsigned char storage[];
};

enum kmcl_incoming_state {
    INCOMING_FREE,
    INCOMING_DELIVERING, /* in EvtVmbChannelProcessPacket */
    INCOMING_DEFERRED,   /* the same, and it will be delivered again */
    INCOMING_RELEASED,   /* the same, and the driver is done with it */
    INCOMING_OWNED,      /* the driver owes its completion */
    INCOMING_REPLYING,   /* its completion waits for the ring */
};

/* Behind VMBPACKETCOMPLETION. The private copy of extension and payload follows, and the driver's
 * context. */
struct kmcl_incoming {
    struct kmcl_send reply; /* the completion, once it has one; `next` also links free ones */
    struct kmcl_channel *channel;
    _Atomic uint32_t state;       /* enum kmcl_incoming_state [lock]; the drain looks without */
    uint32_t capacity;            /* of the copy */
    struct ring_packet_in packet; /* as it came; of a pipe, its payload is what the header says */
    uint32_t offset;              /* of the payload in the copy: behind extension and pipe header */
    uint32_t context_size;
    MDL *external;    /* what the extension describes, once it is mapped; servers only */
    bool in_callback; /* [lock] the drain will look at it again, so it must not go; of another than
                         the spare one */
    _Alignas(8) unsigned char copy[];
};

/* A synchronous request being waited for; lies on the waiter's stack. */
struct kmcl_waiter {
    struct kmcl_waiter *next; /* [lock] */
    struct kmcl_packet *packet;
    struct event done;
    NTSTATUS status;
    bool has_external_data;
    void *buffer;
    uint32_t capacity;
    uint32_t length;
};

struct kmcl_gpadl {
    struct kmcl_gpadl *next;
    uint32_t id;
};

/* ---- channels ---- */

struct kmcl_channel;

/*
 * What a client and a server do differently. Clients have no function for memory beside packets:
 * nobody sends them such packets. All at PASSIVE, one at a time for a channel, except where said.
 */
struct kmcl_role {
    /* VmbChannelEnable(): looks for the other end, or lets it look; if that fails, undoes what
     * VmbChannelEnable() did. */
    NTSTATUS (*search)(struct kmcl_channel *channel);
    /* Leaves off, for there is something to open, or the channel is disabled. False: that takes
     * time yet; the worker is queued again. */
    bool (*stop_searching)(struct kmcl_channel *channel);
    /* Opens what was found: ends with kmcl_begin(). */
    NTSTATUS (*open)(struct kmcl_channel *channel);
    /* EvtChannelOpened agreed to it. */
    void (*opened)(struct kmcl_channel *channel);
    /* Part of kmcl_close(): the rings are not used any more. */
    void (*close)(struct kmcl_channel *channel);
    /* The same, and EvtChannelClosed. */
    void (*leave)(struct kmcl_channel *channel);
    /* Gives back what was found. False: as stop_searching. */
    bool (*release)(struct kmcl_channel *channel);
    /* Signals to the other end. At or below DISPATCH. */
    void (*signal)(struct kmcl_channel *channel);
    /* Has kmcl_event() called. Any IRQL. */
    void (*kick)(struct kmcl_channel *channel);
    /* Servers only: VmbChannelPacketGetExternalData(), and its undoing. At or below DISPATCH, no
     * lock held. */
    NTSTATUS (*external_map)(struct kmcl_incoming *incoming, bool writable);
    void (*external_unmap)(struct kmcl_incoming *incoming);
    void (*tear_down)(struct kmcl_channel *channel); /* of VmbChannelCleanup() */
};

extern const struct kmcl_role kmcl_client;

/* VmbChannelAllocate() of a server. NULL unless this is a host: set by KmclServerHandle(). */
extern NTSTATUS (*kmcl_server_allocate)(VMBCHANNEL *channel);

#define KMCL_CHANNEL_MAGIC 0x4b4d434cu

/*
 * Behind VMBCHANNEL. What packets touch comes first, in three cache lines; then what else is used
 * often: within 128 bytes x86-64 names it with a byte.
 */
struct kmcl_channel {
    uint32_t magic;
    enum kmcl_state state; /* [lock]; changed by kmcl_state_set() alone */
    const struct kmcl_role *role;
    struct spin_lock lock;

    bool flowing; /* [lock] packets may go out; completions may whenever there is a writer */
    bool is_pipe; /* [lock] */
    atomic_bool at_passive;
    bool enabled;   /* [lock] VmbChannelEnable() without VmbChannelDisable() */
    bool paused;    /* [lock] what VmbChannelPause() and VmbChannelStart() want */
    bool rescinded; /* [lock] */
    bool broken;    /* [lock] the host broke a rule: close */
    bool is_server;
    bool found;          /* [lock] there is something to open */
    bool is_open;        /* [worker] the host has it open, or had until EvtChannelClosed returned */
    bool worker_running; /* [worker] */
    bool worker_again;   /* [worker] */
    bool has_target;     /* [setup] */
    /* Packets that this end takes beside those in band: GPA direct of a server, transfer pages of a
     * client whose driver shared memory for them, otherwise in band again. */
    uint16_t described_type;

    /* The outgoing side. */
    struct ring_writer *writer;    /* [lock] NULL: the host has no ring of ours */
    struct kmcl_send *queue_first; /* [lock] FIFO */
    struct kmcl_send *queue_last;  /* [lock] */
    uint32_t staging_limit; /* [lock] bytes in the ring that the host need not be told of at once: 0
                               outside of a drain at DISPATCH */

    /* The incoming side. */
    uint32_t copy_size;          /* of incoming objects that are kept */
    struct ring_reader *reader;  /* [drain] */
    struct kmcl_incoming *spare; /* [drain], and changed under the lock while that is at work: for
                                    the next packet, and until its delivery is over */
    struct kmcl_incoming *held;  /* [drain] deferred: to be delivered first of all */
    struct kmcl_incoming *incoming_free; /* [lock] */
    enum kmcl_intake intake;             /* [lock] */
    /* [lock] packets that are INCOMING_OWNED, and INTAKE_ENDS_*. The drain looks without the lock,
     * once a packet: there seldom is any of this. */
    _Atomic uint32_t intake_word;
    uint32_t usual_type; /* of packets without a pipe's header or a driver's context; or none has it
                            [worker] */

    uint32_t packet_size;      /* [setup] */
    struct vmbus_channel *bus; /* [lock] the claimed offer, of a client */
    uint32_t slots_wanted;     /* [lock] packet objects that count on a slot */
    uint32_t header_capacity;  /* [setup] follows from packet_size and `external` */

    PFN_VMB_CHANNEL_PROCESS_PACKET process_packet;           /* [setup] */
    PFN_VMB_CHANNEL_PROCESSING_COMPLETE processing_complete; /* [setup] */
    KMCL_CHANNEL_STATISTICS statistics;
    void *pointer;
    struct kmcl_transaction_table transactions; /* [lock] */
    struct kmcl_packet *packets_free;           /* [lock] */
    uint32_t packets_live;                      /* [lock] of VmbPacketAllocate(), not yet freed */
    _Atomic uint32_t quota;
    uint32_t replies_waiting;           /* [lock] bytes of incoming objects in the queue */
    struct kmcl_waiter *waiters;        /* [lock] */
    struct kmcl_server_channel *server; /* what a server has besides */
    struct work_item drain_work;

    /* Life. */
    struct work_item state_work;
    struct vmbus_channel_owner owner;
    struct vmbus_offer_listener listener;
    struct kmcl_gpadl *gpadls; /* PASSIVE only */

    /*
     * What the end of an open channel has to do only after some call of the driver, which sets it:
     * so images of drivers that never make that call have none of it. NULL: nothing to do.
     */
    /* The channel is leaving: waiters of synchronous requests return at once, unless the host may
     * still write to their pages. At or below DISPATCH, no lock held. */
    void (*release_waiters)(struct kmcl_channel *channel);
    /* Deletes the GPADLs that the driver left. PASSIVE. */
    void (*delete_gpadls)(struct kmcl_channel *channel);
    GUID instance; /* of the offer claimed last */

    /* Of kmcl_extensions.h. */
    uint32_t target_vp;           /* `owner` names it once the driver has */
    uint32_t transfer_page_bytes; /* of the memory that packets of transfer pages name */
    uint16_t transfer_page_set;

    /* Configuration [setup]. */
    struct kmcl_external_limits external;
    uint32_t context_size;
    uint32_t incoming_pages;
    uint32_t outgoing_pages;
    uint32_t init_flags;
    NTSTATUS failure; /* [worker] of the last attempt to open */
    bool any_instance;
    GUID target_type;
    GUID target_instance;
    uint16_t sub_channel_index;
    PFN_VMB_CHANNEL_PNP_FAILURE pnp_failure;
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    const char *name;  /* the friendly one, if there is one */
    uint32_t warnings; /* lines so far */
    char friendly_name[KMCL_NAME_SIZE];
};

static inline VMBCHANNEL kmcl_channel_handle(struct kmcl_channel *channel)
{
    return (VMBCHANNEL)(void *)channel;
}

/* One instruction each; a call of it would be longer. Lock held, or to read it [drain]. */
static inline __attribute__((always_inline)) uint32_t
kmcl_intake_word(const struct kmcl_channel *channel)
{
    return atomic_load_explicit(&channel->intake_word, memory_order_relaxed);
}

static inline __attribute__((always_inline)) void kmcl_intake_word_set(struct kmcl_channel *channel,
                                                                       uint32_t word)
{
    atomic_store_explicit(&channel->intake_word, word, memory_order_relaxed);
}

/* Packets that the driver owes the completion of. */
static inline uint32_t kmcl_outstanding(const struct kmcl_channel *channel)
{
    return kmcl_intake_word(channel) & ~INTAKE_ENDS;
}

static inline VMBPACKET kmcl_packet_handle(struct kmcl_packet *packet)
{
    return (VMBPACKET)(void *)packet;
}

static inline struct kmcl_packet *kmcl_packet_of(VMBPACKET handle)
{
    return (struct kmcl_packet *)(void *)handle;
}

static inline struct kmcl_incoming *kmcl_incoming_of(VMBPACKETCOMPLETION handle)
{
    return (struct kmcl_incoming *)(void *)handle;
}

static inline bool kmcl_reply_is_wanted(const struct kmcl_incoming *incoming)
{
    return (incoming->packet.flags & RING_PACKET_FLAG_COMPLETION_REQUESTED) != 0;
}

_Static_assert(VMBUS_CHANNEL_PROCESS_PACKET_FLAG_EXTERNAL_DATA == true, "flag of a packet");

/* VMBUS_CHANNEL_PROCESS_PACKET_FLAG_* */
static inline uint32_t kmcl_incoming_flags(const struct kmcl_incoming *incoming)
{
    return incoming->packet.type == RING_PACKET_DATA_GPA_DIRECT;
}

/* Windows and the wire have one layout for GUIDs. */
_Static_assert(sizeof(GUID) == sizeof(struct vmbus_guid), "GUID");
_Static_assert(_Alignof(GUID) == _Alignof(struct vmbus_guid), "GUID");

static inline const struct vmbus_guid *kmcl_guid(const GUID *guid)
{
    return (const struct vmbus_guid *)(const void *)guid;
}

/* ---- kmcl_channel.c ---- */

/* The channel behind a handle; NULL if it is none. */
struct kmcl_channel *kmcl_channel_find(VMBCHANNEL handle);

/* The same where no status can be returned: stops the guest, naming the function, if it is none. */
struct kmcl_channel *kmcl_channel_of(VMBCHANNEL handle, const char *function);

/* A line about the channel, for what is wrong outside of this guest or with its driver, ending in a
 * number. Not without end: KMCL_WARNINGS_LIMIT. `what` completes the text. */
void kmcl_warn(struct kmcl_channel *channel, const char *text, uint64_t number);
void kmcl_warn_of(struct kmcl_channel *channel, const char *text, const char *what,
                  uint64_t number);

/* A driver's mistake that no status can tell it. */
_Noreturn void kmcl_misuse(const char *function, const char *mistake);

/* Stops the guest if what it cannot do without is NULL: where no status can be returned. */
static inline void kmcl_require(const void *argument, const char *function)
{
    if (argument == NULL) {
        kmcl_misuse(function, "NULL where there must be something");
    }
}

/* Stops the guest unless at PASSIVE. */
void kmcl_require_passive(const char *function);

/* ---- kmcl_state.c ---- */

const char *kmcl_state_name(enum kmcl_state state);

/* The one place where a channel changes its state. Lock held, or [worker]. */
void kmcl_state_set(struct kmcl_channel *channel, enum kmcl_state state);

/* Whether the channel is to be closed. Lock held. */
bool kmcl_is_leaving(const struct kmcl_channel *channel);

/* Its reasons changed: lets the worker look, releases who waits for the host. At or below DISPATCH,
 * no lock held. */
void kmcl_leave(struct kmcl_channel *channel);

/* The host broke a rule of the ring: no more of it, close. At or below DISPATCH, no lock held. */
void kmcl_break(struct kmcl_channel *channel);

/* Whether a wait for this channel at PASSIVE would be for something below it on the stack. */
bool kmcl_is_below(const struct kmcl_channel *channel);

void kmcl_state_work(void *context);

/* The rings of a channel that is open by now. [worker] */
void kmcl_begin(struct kmcl_channel *channel, struct ring_reader *reader,
                struct ring_writer *writer, bool is_pipe);

/* No more of the rings, if they are used; completes every packet. PASSIVE. */
void kmcl_close(struct kmcl_channel *channel);

/* A state callback, if there is one. */
void kmcl_notify(struct kmcl_channel *channel, void (*callback)(VMBCHANNEL Channel));

/* ---- kmcl_client.c ---- */

NTSTATUS kmcl_status_of(enum vmbus_status status);

/* ---- kmcl_packet.c ---- */

/* Takes one from the free list, or from the heap. NULL: no memory. */
struct kmcl_packet *kmcl_packet_allocate(struct kmcl_channel *channel);
void kmcl_packet_free(struct kmcl_packet *packet);

/* Gives free packets back to the heap. Lock not held. */
void kmcl_packets_trim(struct kmcl_channel *channel);

/* Bytes of a packet object with these limits. */
uint32_t kmcl_packet_object_size(const struct kmcl_channel *channel);

/* Checks lengths and flags, of which `foreign_flags` do not belong to the call, and describes the
 * in-band part. */
NTSTATUS kmcl_packet_prepare(struct kmcl_packet *packet, const void *buffer, uint32_t length,
                             uint32_t flags, uint32_t foreign_flags);

/* Whether it is more than a channel takes that is a pipe, or will be one. */
static inline bool kmcl_is_too_long_for_pipe(const struct kmcl_channel *channel, uint32_t length)
{
    return length > KMCL_PIPE_PAYLOAD_LIMIT &&
           (channel->is_pipe || (channel->init_flags & VMBUS_CHANNEL_INIT_FLAG_IS_PIPE) != 0);
}

/* Describes the in-band part. */
static inline void kmcl_packet_describe(struct kmcl_packet *packet, const void *buffer,
                                        uint32_t length, uint16_t flags)
{
    struct ring_packet_out *wire = &packet->send.wire;

    wire->transaction_id = 0;
    wire->type = RING_PACKET_DATA_INBAND;
    wire->flags = flags;
    wire->extension_length = 0;
    wire->head_length = 0;
    wire->payload_length = length;
    wire->payload = buffer;
}

/* Both for VmbPacketSend(), with external data unless that is NULL. */
NTSTATUS kmcl_packet_prepare_any(struct kmcl_packet *packet, const void *buffer, uint32_t length,
                                 const MDL *mdl, uint32_t flags);

/* Adds the ranges of a window of an MDL chain; length 0: to its end. */
NTSTATUS kmcl_packet_add_mdl(struct kmcl_packet *packet, const MDL *mdl, uint32_t offset,
                             uint32_t length, uint32_t flags);

/* ---- kmcl_queue.c ---- */

/* Work that follows a look at the queue, to be done when the lock is free again. */
struct kmcl_followup {
    bool signal;
    bool broken;
    struct kmcl_packet *done; /* their routines are to be called, in this order */
    struct kmcl_packet **done_end;
};

/* To call or to inline, as the locks: there seldom is anything to do. */
inline void kmcl_followup_begin(struct kmcl_followup *followup)
{
    followup->signal = false;
    followup->broken = false;
    followup->done = NULL;
    followup->done_end = &followup->done;
}

void kmcl_followup_finish(struct kmcl_channel *channel, struct kmcl_followup *followup);

inline void kmcl_followup_run(struct kmcl_channel *channel, struct kmcl_followup *followup)
{
    if (followup->signal || followup->broken || followup->done != NULL) {
        kmcl_followup_finish(channel, followup);
    }
}

/* Sends a prepared packet, or queues it if it may wait; calls its routine if it is done with that.
 * STATUS_INVALID_PARAMETER: too large for this ring; STATUS_BUFFER_OVERFLOW: it would have to wait.
 */
NTSTATUS kmcl_queue_packet(struct kmcl_packet *packet, bool may_wait);

/* Sends or queues the completion prepared in `incoming`; lock held. True: it waits. False: it is in
 * the ring, or never will be: there is none any more, or it is too large. */
bool kmcl_queue_reply(struct kmcl_channel *channel, struct kmcl_incoming *incoming,
                      struct kmcl_followup *followup);

/* Tells the host that there is something in its ring, or room in ours. Only when a ring function
 * said so. No lock held. */
void kmcl_signal(struct kmcl_channel *channel);

/* Moves what can be moved from the queue into the ring, and tells the host unless a drain will.
 * Lock held. */
void kmcl_queue_flush(struct kmcl_channel *channel, struct kmcl_followup *followup);

/* Takes the packet out of the queue or, leaving a tombstone, out of the table: it is the caller's.
 * Lock held. */
void kmcl_queue_cancel(struct kmcl_packet *packet);

/* What stands in the table for a packet that was cancelled. */
extern struct kmcl_packet kmcl_tombstone;

/* Completes all packets, queued or in the ring, with `status`. No lock held. */
void kmcl_queue_abort(struct kmcl_channel *channel, NTSTATUS status);

/* Behind what waits already; its payload, which still lies with the caller, is moved to `payload`.
 * Lock held. */
void kmcl_queue_append(struct kmcl_channel *channel, struct kmcl_send *send, void *payload);

/* The completion of `incoming` is not in the queue any more. Lock held. */
void kmcl_queue_reply_ended(struct kmcl_channel *channel, struct kmcl_incoming *incoming);

/* ---- kmcl_incoming.c ---- */

/* The owner's event callback: something changed in one of the rings. DISPATCH. */
void kmcl_event(void *context);
void kmcl_drain_work(void *context);

/* Lets packets flow, and looks once; the other way. The latter: false if a drain is still to leave.
 */
void kmcl_intake_start(struct kmcl_channel *channel);
bool kmcl_intake_stop(struct kmcl_channel *channel);

/* Frees what the drain keeps. The intake is off. */
void kmcl_intake_discard(struct kmcl_channel *channel);

/* An object to keep a copy of `size` bytes in, or more. NULL: no memory. At or below DISPATCH. */
struct kmcl_incoming *kmcl_incoming_allocate(struct kmcl_channel *channel, uint32_t size);

/* Makes an object, so that the drain always has one for a packet of usual size. False: no memory.
 * Before opening. */
bool kmcl_incoming_prepare(struct kmcl_channel *channel);

/* Nothing refers to it any more: keeps it, or frees it if it is of another size than those kept.
 * Lock held. */
void kmcl_incoming_recycle(struct kmcl_channel *channel, struct kmcl_incoming *incoming);

/* ---- kmcl_delivery.c ---- */

/* Stops the guest unless the driver has the packet. */
void kmcl_require_delivered(struct kmcl_incoming *incoming, const char *function);

/* Lets go of the memory that came with a packet. At or below DISPATCH, no lock held. */
void kmcl_external_release(struct kmcl_incoming *incoming);

#endif
