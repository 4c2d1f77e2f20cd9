/* SPDX-License-Identifier: MIT */
#include "vmbus/server/server.h"

#include <string.h>

#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/server/internal.h"

/* ---- life ---- */

bool server_speaks(const struct vmbus_server *server, uint32_t version)
{
    static const uint32_t versions[] = {
        VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0,
        VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1,
        VMBUS_VERSION_5_2, VMBUS_VERSION_5_3, VMBUS_VERSION_6_0,
    };

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        if (versions[i] == version) {
            return version <= server->options.version_maximum;
        }
    }
    return false;
}

static uint32_t option(uint32_t given, uint32_t otherwise)
{
    return given != 0 ? given : otherwise;
}

struct vmbus_server *vmbus_server_create(const struct vmbus_server_host *host,
                                         const struct vmbus_server_options *options)
{
    struct vmbus_server *server = memory_allocate(sizeof(*server));

    if (server == NULL) {
        return NULL;
    }
    spin_lock_initialise(&server->lock);
    server->host = *host;
    server->options = (struct vmbus_server_options){
        .version_maximum = option(options->version_maximum, VMBUS_VERSION_6_0),
        .gpadls = option(options->gpadls, VMBUS_SERVER_GPADLS),
        .gpadls_in_progress = option(options->gpadls_in_progress, VMBUS_SERVER_GPADLS_IN_PROGRESS),
        .gpadl_pages = option(options->gpadl_pages, VMBUS_SERVER_GPADL_PAGES),
    };
    server->due.kind = DUE_OF_CONNECTION;
    server->channels_end = &server->channels;
    server->dues_end = &server->dues;
    server->noticed_end = &server->noticed;
    if (!server_speaks(server, server->options.version_maximum)) {
        memory_free(server);
        return NULL;
    }
    return server;
}

void vmbus_server_destroy(struct vmbus_server *server)
{
    enum irql previous = server_lock(server);

    /* Numbers that a guest never released. */
    server_disconnect(server, NEXT_NOTHING);
    server_settle(server, previous);
    ASSERT(server->channels == NULL && !server->posting && !server->noticing);
    memory_free(server);
}

void vmbus_server_reset(struct vmbus_server *server)
{
    enum irql previous = server_lock(server);

    server_disconnect(server, NEXT_NOTHING);
    server_settle(server, previous);
}

bool vmbus_server_is_idle(struct vmbus_server *server)
{
    enum irql previous = server_lock(server);
    bool idle = server->state == DISCONNECTED;

    server_unlock(server, previous);
    return idle;
}

uint32_t vmbus_server_version(struct vmbus_server *server)
{
    enum irql previous = server_lock(server);
    uint32_t version = server->state == CONNECTED ? server->version : 0;

    server_unlock(server, previous);
    return version;
}

void vmbus_server_statistics(struct vmbus_server *server, struct vmbus_server_statistics *out)
{
    enum irql previous = server_lock(server);

    *out = server->statistics;
    out->gpadls = server->gpadls;
    out->gpadl_pages = server->gpadl_words;
    server_unlock(server, previous);
    out->events_failed = atomic_load_explicit(&server->events_failed, memory_order_relaxed);
}

/* ---- messages in ---- */

#define NONE                           NULL
#define HANDLER_GUEST(number, handler) [number] = (handler),
#define HANDLER_HOST(number, handler)
#define ENTRY(number, name, sender, version, features, smallest, largest, handler)                 \
    HANDLER_##sender(number, handler)
static server_message_handler *const handlers[VMBUS_MESSAGE_TYPE_END] = {VMBUS_MESSAGES(ENTRY)};
#undef ENTRY
#undef HANDLER_HOST
#undef HANDLER_GUEST
#undef NONE

struct message {
    _Alignas(8) uint8_t bytes[VMBUS_MESSAGE_SIZE_MAXIMUM];
    uint32_t size;
    uint32_t type; /* of a message long enough to have one; else 0, which is none */
};

/* Counts a message that nobody acts on, and prints the first of its kind. Locked. */
static void drop(struct vmbus_server *server, enum vmbus_message_verdict verdict,
                 const struct message *message)
{
    static const char *const kinds[] = {
        [VMBUS_MESSAGE_MALFORMED] = "malformed",
        [VMBUS_MESSAGE_UNKNOWN] = "unknown",
        [VMBUS_MESSAGE_UNEXPECTED] = "unexpected",
    };
    struct vmbus_server_statistics *statistics = &server->statistics;
    uint32_t kind = 1u << (message->type < VMBUS_MESSAGE_TYPE_END ? message->type : 31u);
    uint32_t words[4];

    *(verdict == VMBUS_MESSAGE_MALFORMED ? &statistics->messages_malformed
      : verdict == VMBUS_MESSAGE_UNKNOWN ? &statistics->messages_unknown
                                         : &statistics->messages_unexpected) += 1;
    if ((server->reported[verdict] & kind) == 0) {
        server->reported[verdict] |= kind;
        memcpy(words, message->bytes, sizeof(words));
        log_warning(SERVER_LOG, "%s message: %s (%u), %u bytes, %08x %08x", kinds[verdict],
                    vmbus_message_name(message->type), (unsigned)words[0], (unsigned)message->size,
                    (unsigned)words[2], (unsigned)words[3]);
    }
}

/* Locked. */
static enum vmbus_message_verdict act(struct vmbus_server *server, const struct message *message)
{
    /* No feature is ever granted. Without a connection there is no version to go by. */
    enum vmbus_message_verdict verdict = vmbus_message_judge_guest(
        message->bytes, message->size,
        server->state == CONNECTED ? server->version : VMBUS_VERSION_6_0, 0);

    if (verdict != VMBUS_MESSAGE_GOOD) {
        return verdict;
    }
    server_message_handler *handler = handlers[message->type];
    if (server->state != CONNECTED && server->contacted &&
        message->type == VMBUS_MESSAGE_RELID_RELEASED) {
        return VMBUS_MESSAGE_GOOD; /* Linux gives them back behind UNLOAD; they came with that */
    }
    if (handler == NULL ||
        (server->state != CONNECTED && message->type != VMBUS_MESSAGE_INITIATE_CONTACT)) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    return handler(server, message->bytes, message->size);
}

/* These two end a connection and all that waits to be said on it. */
static bool may_jump_the_queue(uint32_t type)
{
    return type == VMBUS_MESSAGE_INITIATE_CONTACT || type == VMBUS_MESSAGE_UNLOAD;
}

hv_status vmbus_server_message(struct vmbus_server *server, uint32_t connection_id,
                               const void *payload, uint32_t size)
{
    struct message message = {.size = size};

    if (size > sizeof(message.bytes)) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    if (connection_id != VMBUS_CONNECTION_ID_MESSAGES &&
        (connection_id != VMBUS_CONNECTION_ID_MULTI_CLIENT ||
         server->options.version_maximum < VMBUS_VERSION_5_0)) {
        return HV_STATUS_INVALID_CONNECTION_ID;
    }
    memcpy(message.bytes, payload, size);
    if (size >= sizeof(struct vmbus_message_header)) {
        memcpy(&message.type, message.bytes, sizeof(message.type));
    }

    enum irql previous = server_lock(server);
    if (server_is_congested(server) && !may_jump_the_queue(message.type)) {
        server->statistics.messages_refused++;
        server_unlock(server, previous);
        return HV_STATUS_INSUFFICIENT_BUFFERS;
    }
    server->statistics.messages++;
    server->arrived_on = connection_id;
    enum vmbus_message_verdict verdict = act(server, &message);
    if (verdict != VMBUS_MESSAGE_GOOD) {
        drop(server, verdict, &message);
    }
    server_settle(server, previous);
    return HV_STATUS_SUCCESS;
}

/* ---- callbacks out ---- */

void server_notice(struct vmbus_server_channel *channel, uint8_t notices)
{
    struct vmbus_server *server = channel->server;

    channel->notices |= notices;
    if (!channel->notices_listed) {
        channel->notices_listed = true;
        channel->notices_next = NULL;
        *server->noticed_end = channel;
        server->noticed_end = &channel->notices_next;
    }
}

/* The request as the owner sees it. Locked. */
static struct vmbus_server_open describe_open(const struct vmbus_server_channel *channel)
{
    struct vmbus_server_open open = {
        .version = channel->server->version,
        .target_vp = channel->request.target_vp,
        .incoming_pages = channel->request.downstream_page - 1,
        .outgoing_pages = channel->ring->frame_count - channel->request.downstream_page - 1,
        .restored = channel->restored,
    };

    memcpy(open.user_data, channel->request.user_data, sizeof(open.user_data));
    return open;
}

/* Some GPADL of the channel that its owner is to hear of, once; 0: none. Locked. */
static uint32_t take_wanted(struct vmbus_server_channel *channel)
{
    for (struct gpadl *gpadl = channel->gpadls; gpadl != NULL; gpadl = gpadl->next) {
        if (gpadl->wanted) {
            gpadl->wanted = false;
            return gpadl->id;
        }
    }
    return 0;
}

/* Makes one callback, without the lock, which is held before and after. At DISPATCH. */
static void call_owner(struct vmbus_server_channel *channel, uint8_t notice)
{
    struct vmbus_server *server = channel->server;
    const struct vmbus_server_owner *owner = &channel->owner;
    struct vmbus_server_open open;
    uint32_t wanted = 0;

    if (notice == NOTICE_OPEN) {
        open = describe_open(channel);
    } else if (notice == NOTICE_GPADL) {
        wanted = take_wanted(channel);
    }
    server_unlock(server, IRQL_DISPATCH);
    switch (notice) {
    case NOTICE_OPEN:
        owner->open(owner->context, &open);
        break;
    case NOTICE_GPADL:
        if (wanted != 0) {
            owner->gpadl_wanted(owner->context, wanted);
        }
        break;
    case NOTICE_CLOSE:
        owner->close(owner->context);
        break;
    default:
        owner->released(owner->context);
        break;
    }
    (void)server_lock(server);
    if (notice == NOTICE_GPADL && wanted != 0) {
        server_notice(channel, NOTICE_GPADL); /* there may be more */
    } else if (notice == NOTICE_RELEASED) {
        channel->owned = false;
        server_channel_retire(channel);
    }
}

/* Makes all callbacks that are due. Locked, at DISPATCH. */
static void call_owners(struct vmbus_server *server)
{
    if (server->noticing) {
        return; /* whoever does it now takes these too */
    }
    server->noticing = true;
    while (server->noticed != NULL) {
        struct vmbus_server_channel *channel = server->noticed;
        uint8_t notice = (uint8_t)(channel->notices & -channel->notices);

        channel->notices &= (uint8_t)~notice;
        if (channel->notices == 0) {
            channel->notices_listed = false;
            server->noticed = channel->notices_next;
            if (server->noticed == NULL) {
                server->noticed_end = &server->noticed;
            }
        }
        if (notice != 0) {
            call_owner(channel, notice);
        }
    }
    server->noticing = false;
}

void server_settle(struct vmbus_server *server, enum irql previous)
{
    /* A signal, which comes with every burst of packets, leaves nothing to do. */
    if (server->queue_count != 0) {
        server_post(server);
    }
    if (server->noticed != NULL) {
        call_owners(server);
    }
    /* Callbacks made while somebody else was posting, or their own calls, have posted already. */
    server_unlock(server, previous);
}
