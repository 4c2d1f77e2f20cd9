/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_SERVER_INTERNAL_H
#define VMBUS_SERVER_INTERNAL_H

/*
 * The inside of the server, for the files of this folder alone.
 *
 *   server.c      its life; messages in; callbacks to owners
 *   outgoing.c    messages out
 *   connection.c  contact, offers asked for, the end of a connection
 *   offer.c       channels come and go
 *   channel.c     opening, closing, signals
 *   gpadl.c       lists of guest pages
 *   save.c        all of it as bytes; restore.c, join.c back from bytes (saved.h)
 *
 * The server's lock guards everything here except what is marked. "Locked" in a function's comment:
 * its caller holds the lock. Effects that must not happen under it are left as things due (messages
 * out, callbacks) for vmbus_server_settle(), which every entry from outside calls at its end.
 */

#include <stdatomic.h>

#include "kernel/lock.h"
#include "vmbus/messages.h"
#include "vmbus/server/server.h"

#define SERVER_LOG   "vmbus server"
#define SERVER_SINTS 16u /* of a virtual processor */

/* ---- messages out ---- */

/*
 * Something that has messages to send, when there is room for them in the queue. Every message that
 * answers no guest message at once, or that belongs to an object, goes this way, so the only memory
 * it needs is the object's. Objects send in the order in which they came to have something to say;
 * one object its messages from the lowest bit up, which is the order in which they come about.
 */
struct due {
    struct due *next;
    uint8_t kind; /* enum due_kind */
    bool listed;
    uint8_t messages; /* DUE_* */
};
enum due_kind {
    DUE_OF_CONNECTION,
    DUE_OF_CHANNEL,
    DUE_OF_GPADL,
};

/* The object around a `struct due` that it calls `due`. */
#define DUE_OWNER(pointer, type) ((type *)(void *)((char *)(pointer)-offsetof(type, due)))

#define DUE_ALL_OFFERS  0x1u /* of the connection */
#define DUE_OFFER       0x1u /* of a channel */
#define DUE_OPEN_RESULT 0x2u
#define DUE_RESCIND     0x4u
#define DUE_CREATED     0x1u /* of a GPADL */
#define DUE_TORNDOWN    0x2u

struct outgoing {
    uint32_t vp;
    uint32_t sint;
    uint32_t size;
    _Alignas(8) uint8_t payload[VMBUS_MESSAGE_SIZE_MAXIMUM];
};

/* ---- GPADLs ---- */

enum gpadl_state {
    GPADL_COLLECTING, /* its list is not complete */
    GPADL_STANDING,
    GPADL_LEAVING,   /* the guest wants it back: told so when nothing holds it */
    GPADL_FORGOTTEN, /* nobody is to be told */
};

struct gpadl {
    struct gpadl *next;            /* of its channel */
    struct gpadl *next_collecting; /* of the server */
    struct vmbus_server_channel *channel;
    struct due due;
    uint32_t id;
    enum gpadl_state state;
    uint32_t range_count;
    uint32_t word_count;
    uint32_t words_missing;
    uint32_t frame_count;              /* of a complete list */
    bool is_ring;                      /* of a channel that is not closed */
    bool mapped;                       /* by vmbus_server_gpadl_map() */
    bool wanted;                       /* the owner is to be told that the guest wants it */
    struct vmbus_server_range *ranges; /* while mapped */
    uint64_t words[];                  /* byte count | offset << 32, frames; for each range */
};

/* ---- channels ---- */

/* Callbacks of an owner that are due, called from the lowest bit up. */
#define NOTICE_OPEN     0x1u
#define NOTICE_GPADL    0x2u
#define NOTICE_CLOSE    0x4u
#define NOTICE_RELEASED 0x8u

struct open_request {
    uint32_t open_id;
    uint32_t ring_gpadl;
    uint32_t target_vp;
    uint32_t downstream_page;
    uint8_t user_data[120];
};

struct vmbus_server_channel {
    struct vmbus_server *server;       /* constant */
    struct vmbus_server_channel *next; /* of the server, in the order of offering */
    struct vmbus_server_offer offer;   /* constant */
    struct vmbus_server_owner owner;   /* constant */
    enum vmbus_server_state state;     /* changed by server_channel_transition() alone */
    uint32_t relid;                    /* 0: none; constant from the first offer to the guest */
    bool revoked;                      /* by its owner */
    bool guest_released; /* RELID_RELEASED came unasked, or before the owner was done */
    bool owned;          /* `released` has not returned */
    bool released;       /* it was called, or is due */
    uint32_t event_users;

    struct due due;
    uint32_t result_open_id;
    uint32_t result_status;

    uint8_t notices;
    bool notices_listed;
    struct vmbus_server_channel *notices_next;

    struct gpadl *gpadls;
    uint32_t gpadls_mapped;

    /* From `open` to the end of it. */
    struct open_request request;
    struct open_request reopen; /* came while the owner was closing */
    bool reopening;
    bool restored; /* the guest believes it open */
    bool doorbell;
    uint32_t saved_incoming_index; /* of a restored channel */
    uint32_t saved_outgoing_index;
    struct gpadl *ring;
    void *ring_memory;
    struct ring_reader incoming; /* the owner's while mapped */
    struct ring_writer outgoing; /* likewise */
    _Atomic uint32_t event_vp;   /* any thread; NO_EVENTS: none are to be raised */
};
#define NO_EVENTS UINT32_MAX

/* ---- the server ---- */

enum connection_state {
    DISCONNECTED,
    CONNECTED,
    DISCONNECTING, /* owners still let go of the last connection's memory */
};

/* What comes at the end of a connection. */
enum connection_next {
    NEXT_NOTHING,
    NEXT_UNLOAD_COMPLETE,
    NEXT_CONTACT,
};

struct contact {
    uint32_t version;
    uint32_t vp;
    uint32_t sint;
    bool monitor_pages_valid;
};

struct vmbus_server {
    struct vmbus_server_host host;       /* constant */
    struct vmbus_server_options options; /* constant, no zeros */
    struct spin_lock lock;

    enum connection_state state;
    enum connection_next next;
    struct contact contact; /* waiting, or the last */
    bool contacted;         /* ever */
    uint32_t arrived_on;    /* connection id of the message being handled */
    bool offers_requested;
    uint32_t version; /* of the connection */
    uint32_t in_use;  /* channels that are opening, open, closing, and GPADLs that are mapped */

    struct vmbus_server_channel *by_relid[VMBUS_RELID_END];
    struct vmbus_server_channel *channels;
    struct vmbus_server_channel **channels_end;
    uint32_t unnumbered; /* channels that wait for a number */
    uint32_t gpadls;
    uint32_t gpadl_words; /* in all of them */
    struct gpadl *collecting;
    uint32_t collecting_count;

    /* Messages out. */
    struct outgoing queue[VMBUS_SERVER_QUEUE_SIZE];
    uint32_t queue_first;
    uint32_t queue_count;
    uint32_t queue_generation; /* counts clearings */
    struct due due;            /* of the connection */
    struct due *dues;
    struct due **dues_end;
    bool posting;    /* somebody is calling the machine's post */
    bool slot_freed; /* meanwhile */

    /* Callbacks out. */
    struct vmbus_server_channel *noticed;
    struct vmbus_server_channel **noticed_end;
    bool noticing; /* somebody is calling owners */

    struct vmbus_server_statistics statistics;
    _Atomic uint64_t events_failed; /* any thread */
    uint32_t reported[4];           /* by verdict, a bit a message type */
};

/*
 * Acts on a guest's message, checked against the table: private memory, aligned to 8 bytes, zeros
 * behind its `size`. GOOD, or why it is dropped. Locked.
 */
typedef enum vmbus_message_verdict server_message_handler(struct vmbus_server *server,
                                                          const void *message, uint32_t size);

/* ---- server.c ---- */

static inline enum irql server_lock(struct vmbus_server *server)
{
    return spin_lock_acquire(&server->lock);
}

static inline void server_unlock(struct vmbus_server *server, enum irql previous)
{
    spin_lock_release(&server->lock, previous);
}

/* Unlocks, then sends and calls what is due. */
void server_settle(struct vmbus_server *server, enum irql previous);

/* Makes callbacks of the owner due. Locked. */
void server_notice(struct vmbus_server_channel *channel, uint8_t notices);

/* ---- outgoing.c ---- */

/* Makes messages of an object due. Locked. */
void server_due(struct vmbus_server *server, struct due *due, uint8_t messages);

/* Takes all messages of an object back. Locked. */
void server_due_cancel(struct vmbus_server *server, struct due *due);

/* Whether something waits for room in the queue, or no room is left: guest messages are refused.
 * Locked. */
bool server_is_congested(const struct vmbus_server *server);

/* Queues an answer that belongs to no object; there is room, for the queue was not congested.
 * Locked. */
void server_answer(struct vmbus_server *server, const void *message, uint32_t size);

/* Everything that is not with the machine yet is forgotten. Locked. */
void server_queue_clear(struct vmbus_server *server);

/* Hands messages to the machine until its slot is busy. No lock held. */
void server_post(struct vmbus_server *server);

/* ---- connection.c ---- */

server_message_handler server_contact_received;
server_message_handler server_request_offers_received;
server_message_handler server_unload_received;
server_message_handler server_tl_connect_received;

/* Ends the connection, if there is one, and lets `next` follow. Locked. */
void server_disconnect(struct vmbus_server *server, enum connection_next next);

/* To be called when something that was in use is not any more. Locked. */
void server_disconnect_go_on(struct vmbus_server *server);

/* Whether a version exists and this server speaks it. */
bool server_speaks(const struct vmbus_server *server, uint32_t version);

/* ---- offer.c ---- */

server_message_handler server_relid_released_received;

/* The channel that the guest knows under this number, or NULL. Locked. */
struct vmbus_server_channel *server_channel_known(struct vmbus_server *server, uint32_t relid);

/* The standing or the revoked channel of this device that is not gone, or NULL. Locked. */
struct vmbus_server_channel *server_channel_find(const struct vmbus_server *server,
                                                 const struct vmbus_server_offer *offer,
                                                 bool revoked);

/* Gives it a free number. Locked. */
void server_channel_number(struct vmbus_server_channel *channel, uint32_t relid);

/* Numbers channels that wait for a number, where that is possible now. Locked. */
void server_number_channels(struct vmbus_server *server);

/* Offers a channel to the guest if it can be, and the guest wants offers. Locked. */
void server_offer_now(struct vmbus_server_channel *channel);

/* The connection is over: the guest knows the channel no more. Locked; it may be gone afterwards.
 */
void server_channel_guest_left(struct vmbus_server_channel *channel);

/* Takes the offer back. Locked; a channel without an owner may be gone afterwards. */
void server_channel_revoke(struct vmbus_server_channel *channel);

/* The owner has let go of a channel that was closing, or given a restored one up. Locked. */
void server_channel_closed(struct vmbus_server_channel *channel);

/* To be called when one reason less keeps a revoked channel here. Locked; it may be gone
 * afterwards. */
void server_channel_retire(struct vmbus_server_channel *channel);

/* ---- channel.c ---- */

server_message_handler server_open_received;
server_message_handler server_close_received;
server_message_handler server_modify_received;

/* The one place where a channel changes its state. Locked. */
void server_channel_transition(struct vmbus_server_channel *channel, enum vmbus_server_state state);

/* Looks at a request for a closed channel: asks the owner, or refuses. Locked. */
void server_channel_start_opening(struct vmbus_server_channel *channel,
                                  const struct open_request *request);

/* The owner has to let go of a channel that is opening or open. Locked. */
void server_channel_start_closing(struct vmbus_server_channel *channel);

/* Nobody uses the rings of the channel any more. Locked. */
void server_channel_let_go_of_ring(struct vmbus_server_channel *channel);

/* Whether its owner may be using it. */
static inline bool server_state_is_active(enum vmbus_server_state state)
{
    return state == VMBUS_SERVER_OPENING || state == VMBUS_SERVER_OPEN ||
           state == VMBUS_SERVER_CLOSING;
}

/* ---- gpadl.c ---- */

server_message_handler server_gpadl_header_received;
server_message_handler server_gpadl_body_received;
server_message_handler server_gpadl_teardown_received;

/* A GPADL of a channel that the guest may name, in any state but FORGOTTEN, or NULL. Locked. */
struct gpadl *server_gpadl_find(const struct vmbus_server_channel *channel, uint32_t id);

/*
 * Frames that a complete list names in `range_count` ranges; 0: it breaks a rule (an empty range,
 * an offset beyond the first page, too few frames, a frame number beyond 52 bits).
 */
uint32_t server_gpadl_check(const uint64_t *words, uint32_t word_count, uint32_t range_count);

/* Whether it can be the rings of a channel, with the second one starting at that page. */
bool server_gpadl_is_ring(const struct gpadl *gpadl, uint32_t downstream_page);

/* The frames of a GPADL of one range. */
static inline const uint64_t *server_gpadl_frames(const struct gpadl *gpadl)
{
    return gpadl->words + 1;
}

/* A new one of this channel, COLLECTING; NULL: no memory. Locked. */
struct gpadl *server_gpadl_new(struct vmbus_server_channel *channel, uint32_t id,
                               uint32_t range_count, uint32_t word_count);

/* Its list is complete. Locked. */
void server_gpadl_collected(struct gpadl *gpadl);

/* Something that held it does no more: it goes if nothing else does and it was to go. Locked; it
 * may be gone afterwards. */
void server_gpadl_let_go(struct gpadl *gpadl);

/* The guest's claim on a channel is over: its GPADLs go, those that are held later. Locked. */
void server_gpadls_forget(struct vmbus_server_channel *channel);

/* Takes it off its channel and frees it. Locked. */
void server_gpadl_free(struct gpadl *gpadl);

/* ---- join.c ---- */

/*
 * `server`, which has seen no guest, goes on as `scratch`, which was built of saved bytes and is
 * sound. What stays in `scratch` is for the caller to free. Locked.
 */
void server_join(struct vmbus_server *server, struct vmbus_server *scratch);

#endif
