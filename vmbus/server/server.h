/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_SERVER_SERVER_H
#define VMBUS_SERVER_SERVER_H

/*
 * The host's end of the bus: offers channels to one guest and answers its messages. For hosts and
 * VMMs; a guest image has none of it. One struct vmbus_server a guest, any number of them in a
 * process. It knows no machine: what it needs it is handed as struct vmbus_server_host. Nothing a
 * guest sends, signals or leaves in its memory can do more than cost that guest its own channels.
 *
 * Who calls what. The machine (a VMM) hands over what the guest does: vmbus_server_message() for
 * each HvPostMessage, vmbus_server_signal() for each HvSignalEvent, vmbus_server_slot_free() when
 * the guest has taken a message. Owners offer channels and work them. A channel's life:
 *
 *     vmbus_server_offer()
 *         owner->open            the guest asks
 *             vmbus_server_map_rings(), then vmbus_server_open_done(0) or a failure
 *             owner->event, packets, vmbus_server_raise(), GPADLs mapped and unmapped
 *         owner->close           the guest closed it, went away, or the channel was revoked
 *             vmbus_server_close_done()
 *         owner->open ...        as often as the guest likes
 *     vmbus_server_revoke()
 *         owner->close           if it was open; vmbus_server_close_done() as always
 *         owner->released        last of all; the channel must not be used any more
 *
 * Levels and locks. Unless it says otherwise a function may be called at or below DISPATCH, by any
 * thread of a VMM, each of which counts as a processor of the executive (kernel/, with a struct cpu
 * of its own), and inside the callbacks. One spin lock a server guards all state of its connection,
 * channels and GPADLs; it is held neither across a callback of an owner nor across a function of
 * the machine. Callbacks run at DISPATCH, on the stack of whichever call caused them or of one that
 * is busy with callbacks already; they must not wait. Those of one server come one at a time and in
 * order, except `event`, which may come on several threads at once, and beside any other callback
 * of its channel but `released`. The rings of a channel are its owner's, who serialises their use.
 *
 * Sources of the protocol: OpenVMM vmbus_server channels.rs (Microsoft's own host, followed where
 * hosts differ), Linux drivers/hv for what guests expect.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "hv/hypercall.h"
#include "vmbus/protocol.h"
#include "vmbus/ring.h"
#include "vmbus/vmbus.h"

/* ---- the machine ---- */

enum vmbus_server_posted {
    VMBUS_SERVER_POSTED,
    VMBUS_SERVER_SLOT_BUSY,   /* the guest has not taken the last one: vmbus_server_slot_free() will
                                 be called */
    VMBUS_SERVER_POST_FAILED, /* no such processor, or its SynIC is off: the message is dropped */
};

/*
 * What a server needs of the machine around it. Called at or below DISPATCH without a lock held, by
 * any thread that calls the server; a function may take the time of a system call, but must not
 * wait for the guest or for work of the executive. None calls the server, except that a SLOT_BUSY
 * may be followed by vmbus_server_slot_free() at once, on another thread.
 */
struct vmbus_server_host {
    /*
     * Makes `count` pages of the guest, by their frame numbers, one contiguous piece of memory here
     * and returns its start, aligned to a page; NULL if one of them is no memory of this guest, or
     * for lack of resources. Frames are any 52-bit numbers in any order, also the same one twice:
     * checking them is this function's part. The ring code needs contiguous data, hence one piece:
     * where guest memory lies at a constant offset, consecutive frames can be answered with an
     * address in it, all others need a mapping of their own (mmap of each page on Linux).
     */
    void *(*map)(void *context, const uint64_t *frames, size_t count, bool writable);
    void (*unmap)(void *context, void *address, size_t count);

    /*
     * Puts a message of type 1 into the slot of a SINT (0 to 15) of a virtual processor (any
     * number) and interrupts the guest. `size` at most 240 bytes. One call at a time.
     */
    enum vmbus_server_posted (*post)(void *context, uint32_t vp, uint32_t sint, const void *payload,
                                     uint32_t size);

    /* Sets an event flag, 1 to 2047, of SINT 2 of a virtual processor (any number) and interrupts
     * the guest if the flag was clear. False: no such processor, or its SynIC is off. */
    bool (*event)(void *context, uint32_t vp, uint32_t flag);

    /*
     * Optional. From now on (`wanted`) signals on this connection id may bypass the hypercall exit
     * (KVM_HYPERV_EVENTFD), until told otherwise; each ends in vmbus_server_signal() all the same.
     * On for open channels only.
     */
    void (*doorbell)(void *context, uint32_t connection_id, bool wanted);

    void *context;
};

/* 0 in any field: the default. */
struct vmbus_server_options {
    uint32_t version_maximum;    /* VMBUS_VERSION_*; below 5.0 there is no connection id 4 */
    uint32_t gpadls;             /* that may stand at a time */
    uint32_t gpadls_in_progress; /* whose lists are not complete */
    uint32_t gpadl_pages;        /* in all of them together */
};

/* Choices of ours. A real host stops at about 1280 MiB of GPADLs (Linux
 * Documentation/virt/hyperv/vmbus.rst). */
#define VMBUS_SERVER_GPADLS             4096u
#define VMBUS_SERVER_GPADLS_IN_PROGRESS 64u
#define VMBUS_SERVER_GPADL_PAGES        327680u
/* Choice of ours, as OpenVMM: the connection id a guest signals is this far above the channel id.
 */
#define VMBUS_SERVER_CONNECTION_ID_BASE 0x2000u
/* Choice of ours: messages that wait for the guest's slot. When one more would have to wait, the
 * guest's own are refused. */
#define VMBUS_SERVER_QUEUE_SIZE         32u

/* Status of failed requests on the wire, as OpenVMM sends it. Guests take anything but 0 as a
 * failure. */
#define VMBUS_SERVER_FAILURE            0x8000FFFFu
/* Of every TL_CONNECT_REQUEST: there are no sockets. */
#define VMBUS_SERVER_CONNECTION_REFUSED 0xC0000236u

struct vmbus_server;
struct vmbus_server_channel;

/* NULL: no memory, or a version no server knows. `host` is copied. IRQL_PASSIVE. */
struct vmbus_server *vmbus_server_create(const struct vmbus_server_host *host,
                                         const struct vmbus_server_options *options);

/* Every channel must be released (`released` was called), and no other call in progress.
 * IRQL_PASSIVE. */
void vmbus_server_destroy(struct vmbus_server *server);

/*
 * HvPostMessage of the guest; the result is what the hypercall returns:
 * HV_STATUS_INVALID_CONNECTION_ID, HV_STATUS_INVALID_PARAMETER (more than 240 bytes),
 * HV_STATUS_INSUFFICIENT_BUFFERS (the guest has answers to take first), or HV_STATUS_SUCCESS, which
 * says nothing about the message's contents. `payload` may be guest memory: it is copied first.
 */
hv_status vmbus_server_message(struct vmbus_server *server, uint32_t connection_id,
                               const void *payload, uint32_t size);

/*
 * HvSignalEvent of the guest, or its doorbell. HV_STATUS_INVALID_CONNECTION_ID: no channel has it;
 * HV_STATUS_INVALID_PARAMETER: a flag number other than 0.
 */
hv_status vmbus_server_signal(struct vmbus_server *server, uint32_t connection_id, uint32_t flag);

/* The guest has taken a message out of a slot that was busy. May be called at any other time. */
void vmbus_server_slot_free(struct vmbus_server *server);

/*
 * The guest was reset: ends its connection, as an UNLOAD that nobody answers. Owners of open
 * channels get `close`; complete when vmbus_server_is_idle().
 */
void vmbus_server_reset(struct vmbus_server *server);

/* Whether there is no connection, and nothing of an earlier one in use any more. */
bool vmbus_server_is_idle(struct vmbus_server *server);

/* (major << 16) | minor agreed on with the guest; 0: not connected. */
uint32_t vmbus_server_version(struct vmbus_server *server);

/* ---- owners: offering ---- */

struct vmbus_server_offer {
    struct vmbus_guid interface_type;
    struct vmbus_guid interface_instance;
    uint16_t flags; /* VMBUS_OFFER_FLAG_*, of VMBUS_SERVER_OFFER_FLAGS */
    uint16_t mmio_megabytes;
    uint16_t mmio_megabytes_optional;
    uint16_t sub_channel_index; /* 0: the primary, which must be offered first */
    uint32_t relid;             /* wished for, 1 to 2047; 0: the lowest that is free */
    bool force_new; /* not to be joined with a saved channel: that one is rescinded, this one
                       offered */
    uint8_t user_defined[120];
};

/* Those that need no feature of version 6.0. */
#define VMBUS_SERVER_OFFER_FLAGS                                                                   \
    (VMBUS_OFFER_FLAG_ENUMERATE_DEVICE_INTERFACE | VMBUS_OFFER_FLAG_NAMED_PIPE |                   \
     VMBUS_OFFER_FLAG_LOOPBACK | VMBUS_OFFER_FLAG_PARENT |                                         \
     VMBUS_OFFER_FLAG_REQUEST_MONITORED_NOTIFICATION | VMBUS_OFFER_FLAG_TLNPI)

struct vmbus_server_open {
    uint32_t version;        /* of the connection */
    uint32_t target_vp;      /* UINT32_MAX: the guest wants no events */
    uint32_t incoming_pages; /* data pages of the ring that the guest writes */
    uint32_t outgoing_pages; /* of the one it reads */
    bool restored; /* it was open when the server was saved; the guest knows of nothing, and the
                      rings go on where they were */
    uint8_t user_data[120];
};

/* The owner's callbacks; see the top for levels. All but gpadl_wanted are required. */
struct vmbus_server_owner {
    /* The guest asks to open. Answer with vmbus_server_open_done(), now or later. */
    void (*open)(void *context, const struct vmbus_server_open *request);
    /*
     * Follows an `open` that was answered with success or not at all. The guest may be done with
     * the rings, or hang on the answer: let go of them soon, then vmbus_server_close_done().
     */
    void (*close)(void *context);
    /* The guest signalled: look at both rings. Only while open. */
    void (*event)(void *context);
    /* Optional. The guest tears down a GPADL that this owner has mapped, and waits until it is
     * unmapped. */
    void (*gpadl_wanted)(void *context, uint32_t gpadl);
    /* The last callback, after vmbus_server_revoke(). */
    void (*released)(void *context);
    void *context;
};

/*
 * Offers a channel, to the guest that is connected or to the next. `offer` and `owner` are copied.
 * If the same device was revoked and the guest has not released it yet, the offer waits for that.
 * VMBUS_BAD_ARGUMENT: flags, a relid out of range, a sub-channel of nothing; VMBUS_REFUSED: the
 * device is offered already, or no relid is free (or not this one); VMBUS_NO_MEMORY.
 */
enum vmbus_status vmbus_server_offer(struct vmbus_server *server,
                                     const struct vmbus_server_offer *offer,
                                     const struct vmbus_server_owner *owner,
                                     struct vmbus_server_channel **out);

/*
 * Takes the offer back, once: the guest is told with RESCIND_CHANNEL_OFFER. `released` follows as
 * soon as nothing of the owner is in use: after vmbus_server_close_done() if the channel was not
 * closed, after the last vmbus_server_gpadl_unmap(); perhaps before this returns. It does not wait
 * for the guest.
 */
void vmbus_server_revoke(struct vmbus_server_channel *channel);

enum vmbus_server_state {
    VMBUS_SERVER_WAITING, /* the guest does not know it: not connected, its number is not free, or
                             it gave the number back unasked */
    VMBUS_SERVER_OFFERED, /* told to the guest, or about to be; closed */
    VMBUS_SERVER_OPENING, /* the guest asked; the owner decides */
    VMBUS_SERVER_OPEN,
    VMBUS_SERVER_CLOSING, /* the owner has to let go: vmbus_server_close_done() */
    VMBUS_SERVER_REVOKED, /* closed and taken back; the guest has to release its number */
    VMBUS_SERVER_GONE,    /* the object only waits for its last user */
    VMBUS_SERVER_STATE_COUNT,
};
const char *vmbus_server_state_name(enum vmbus_server_state state);
enum vmbus_server_state vmbus_server_channel_state(struct vmbus_server_channel *channel);

/* 0: none yet. */
uint32_t vmbus_server_channel_relid(struct vmbus_server_channel *channel);

/* ---- owners: opening and closing ---- */

/*
 * Maps the rings of a channel that is being opened, once, after `open`. The guest's ends may be in
 * use already. VMBUS_REFUSED: pages that cannot be mapped, or indices out of range;
 * VMBUS_RESCINDED: the guest closed meanwhile, `close` comes or came; VMBUS_BAD_STATE: no `open` to
 * answer, or mapped already.
 */
enum vmbus_status vmbus_server_map_rings(struct vmbus_server_channel *channel);

/* Of a channel with mapped rings, until vmbus_server_open_done() with a failure or
 * vmbus_server_close_done(). Their owner serialises its use of each. */
struct ring_reader *vmbus_server_incoming(struct vmbus_server_channel *channel);
struct ring_writer *vmbus_server_outgoing(struct vmbus_server_channel *channel);

/*
 * Answers `open`. 0 (the rings must be mapped): the channel is open, events come; look at the
 * incoming ring once, for earlier ones did not. Anything else: what the guest gets as the status;
 * the rings are unmapped, and no `close` follows. (A restored channel is rescinded then, for the
 * guest believes it open.) VMBUS_RESCINDED: the guest closed meanwhile, `close` comes or came;
 * VMBUS_BAD_STATE: no `open` to answer, or not mapped.
 */
enum vmbus_status vmbus_server_open_done(struct vmbus_server_channel *channel, uint32_t status);

/* Answers `close`: nothing of the owner touches the rings any more. They are unmapped. */
void vmbus_server_close_done(struct vmbus_server_channel *channel);

/* Sets the channel's event flag in the guest. Only when a ring function said so; does nothing once
 * the guest has closed. */
void vmbus_server_raise(struct vmbus_server_channel *channel);

/* ---- owners: guest memory ---- */

/* A part of a GPADL: `byte_count` bytes from `byte_offset` (below 4096) in the first page. */
struct vmbus_server_range {
    uint32_t byte_count;
    uint32_t byte_offset;
    const uint64_t *frames;
    size_t frame_count;
    void *address; /* of the first page, all pages contiguous */
};

/*
 * Maps a GPADL that the guest made for this channel, once at a time, each range to one piece of
 * memory. The ranges stay valid until vmbus_server_gpadl_unmap(), whatever the guest does; it waits
 * for that. From `open` to vmbus_server_close_done() only. VMBUS_BAD_ARGUMENT: no such GPADL;
 * VMBUS_BAD_STATE: mapped already (the channel's own rings included), being torn down, or the
 * channel is closed; VMBUS_REFUSED: pages that cannot be mapped; VMBUS_NO_MEMORY.
 */
enum vmbus_status vmbus_server_gpadl_map(struct vmbus_server_channel *channel, uint32_t gpadl_id,
                                         bool writable, const struct vmbus_server_range **ranges,
                                         size_t *range_count);

/* VMBUS_BAD_ARGUMENT: this owner has no such GPADL mapped. */
enum vmbus_status vmbus_server_gpadl_unmap(struct vmbus_server_channel *channel, uint32_t gpadl_id);

/* The machine's map and unmap, for pages named in packets. The caller bounds `count`. */
void *vmbus_server_map_frames(struct vmbus_server_channel *channel, const uint64_t *frames,
                              size_t count, bool writable);
void vmbus_server_unmap_frames(struct vmbus_server_channel *channel, void *address, size_t count);

/* ---- save and restore ---- */

/*
 * The state of the bus as one piece of bytes: connection, channels with their indices, GPADLs,
 * messages the guest has not taken. Guest memory is saved by somebody else, packets by their
 * owners. The guest's processors stand still and no other call is in progress, from the save to the
 * end, and from before the restore until after it. Both IRQL_PASSIVE.
 *
 * Fills `buffer` and sets `size`. VMBUS_NO_MEMORY: `capacity` is too small, `size` is what it
 * takes; buffer may be NULL then.
 */
enum vmbus_status vmbus_server_save(struct vmbus_server *server, void *buffer, size_t capacity,
                                    size_t *size);

enum vmbus_server_restored {
    VMBUS_SERVER_RESTORED,
    VMBUS_SERVER_RESTORE_TRUNCATED, /* shorter than it says */
    VMBUS_SERVER_RESTORE_FOREIGN,   /* not saved by vmbus_server_save() */
    VMBUS_SERVER_RESTORE_NEWER,     /* of a later format */
    VMBUS_SERVER_RESTORE_DAMAGED,   /* its checksum or its contents are wrong */
    VMBUS_SERVER_RESTORE_LIMITS,    /* beyond this server's options: version, GPADLs */
    VMBUS_SERVER_RESTORE_BAD_STATE, /* this server has seen a guest */
    VMBUS_SERVER_RESTORE_NO_MEMORY,
};
const char *vmbus_server_restored_name(enum vmbus_server_restored result);

/*
 * Restores into a server that no guest has contacted, with its channels offered already; these are
 * joined with the saved ones by type, instance and sub-channel index, and take over their relids. A
 * channel that was open gets `open` with `restored` set. Saved channels that nobody offers are
 * rescinded, channels that were not saved are offered anew. Whatever is wrong: nothing is changed.
 */
enum vmbus_server_restored vmbus_server_restore(struct vmbus_server *server, const void *buffer,
                                                size_t size);

/* ---- reports ---- */

/* The rings of an open channel, for a trace that only looks; they are the channel's owner's. */
struct vmbus_server_rings {
    struct ring_control *incoming; /* that the guest writes */
    unsigned char *incoming_data;
    uint32_t incoming_size;
    struct ring_control *outgoing;
    unsigned char *outgoing_data;
    uint32_t outgoing_size;
};

/* Valid from the machine's doorbell(wanted) to its doorbell(not wanted), on the thread that gets
 * these. False: no channel of this number is open. */
bool vmbus_server_rings(struct vmbus_server *server, uint32_t relid,
                        struct vmbus_server_rings *out);

struct vmbus_server_statistics {
    uint64_t messages;            /* taken */
    uint64_t messages_refused;    /* HV_STATUS_INSUFFICIENT_BUFFERS */
    uint64_t messages_malformed;  /* too short, bad fields */
    uint64_t messages_unknown;    /* no such type in the version agreed on */
    uint64_t messages_unexpected; /* well-formed, but not now */
    uint64_t posted;
    uint64_t posts_failed;
    uint64_t signals;
    uint64_t signals_unknown; /* for no channel, or with a flag number */
    uint64_t events_failed;   /* no such processor in the guest */
    uint64_t gpadls;          /* standing now, incomplete ones too */
    uint64_t gpadl_pages;     /* in them */
    uint64_t gpadls_refused;
    uint64_t opens_refused; /* by the server */
};
void vmbus_server_statistics(struct vmbus_server *server, struct vmbus_server_statistics *out);

#endif
