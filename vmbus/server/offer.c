/* SPDX-License-Identifier: MIT */
/*
 * Channels come and go. A channel has two users who leave each on its own: its owner, who revokes
 * it, and the guest, who gives its number back. The object stays for the slower one; meanwhile the
 * same device may be offered again, and waits for its number.
 */
#include <string.h>

#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/server/internal.h"

/* ---- numbers ---- */

struct vmbus_server_channel *server_channel_known(struct vmbus_server *server, uint32_t relid)
{
    struct vmbus_server_channel *channel = relid < VMBUS_RELID_END ? server->by_relid[relid] : NULL;

    return channel != NULL && channel->state != VMBUS_SERVER_WAITING && !channel->guest_released
               ? channel
               : NULL;
}

static bool is_same_device(const struct vmbus_server_offer *a, const struct vmbus_server_offer *b)
{
    return a->sub_channel_index == b->sub_channel_index &&
           vmbus_guid_equal(&a->interface_type, &b->interface_type) &&
           vmbus_guid_equal(&a->interface_instance, &b->interface_instance);
}

struct vmbus_server_channel *server_channel_find(const struct vmbus_server *server,
                                                 const struct vmbus_server_offer *offer,
                                                 bool revoked)
{
    struct vmbus_server_channel *channel = server->channels;

    while (channel != NULL && (channel->state == VMBUS_SERVER_GONE || channel->revoked != revoked ||
                               !is_same_device(&channel->offer, offer))) {
        channel = channel->next;
    }
    return channel;
}

/* 0: none. Locked. */
static uint32_t free_relid(const struct vmbus_server *server, uint32_t wish)
{
    if (wish != 0 && server->by_relid[wish] == NULL) {
        return wish;
    }
    for (uint32_t relid = VMBUS_RELID_FIRST; relid < VMBUS_RELID_END; relid++) {
        if (server->by_relid[relid] == NULL) {
            return relid;
        }
    }
    return 0;
}

void server_channel_number(struct vmbus_server_channel *channel, uint32_t relid)
{
    channel->relid = relid;
    channel->server->by_relid[relid] = channel;
}

void server_number_channels(struct vmbus_server *server)
{
    for (struct vmbus_server_channel *channel = server->channels;
         channel != NULL && server->unnumbered != 0; channel = channel->next) {
        if (channel->relid != 0 || channel->state != VMBUS_SERVER_WAITING ||
            server_channel_find(server, &channel->offer, true) != NULL) {
            continue;
        }
        uint32_t relid = free_relid(server, channel->offer.relid);
        if (relid == 0) {
            return;
        }
        server->unnumbered--;
        server_channel_number(channel, relid);
        server_offer_now(channel);
    }
}

/* ---- offering ---- */

void server_offer_now(struct vmbus_server_channel *channel)
{
    struct vmbus_server *server = channel->server;

    if (channel->state == VMBUS_SERVER_WAITING && channel->relid != 0 &&
        server->state == CONNECTED && server->offers_requested) {
        server_channel_transition(channel, VMBUS_SERVER_OFFERED);
        server_due(server, &channel->due, DUE_OFFER);
    }
}

/* Locked. */
static enum vmbus_status check(const struct vmbus_server *server,
                               const struct vmbus_server_offer *offer, uint32_t *relid)
{
    struct vmbus_server_offer primary = *offer;

    primary.sub_channel_index = 0;
    if (server_channel_find(server, offer, false) != NULL) {
        return VMBUS_REFUSED;
    }
    if (offer->sub_channel_index != 0 && server_channel_find(server, &primary, false) == NULL) {
        return VMBUS_BAD_ARGUMENT;
    }
    *relid = 0;
    if (server_channel_find(server, offer, true) != NULL) {
        return VMBUS_OK;
    }
    *relid = free_relid(server, offer->relid);
    return *relid == 0 || (offer->relid != 0 && *relid != offer->relid) ? VMBUS_REFUSED : VMBUS_OK;
}

enum vmbus_status vmbus_server_offer(struct vmbus_server *server,
                                     const struct vmbus_server_offer *offer,
                                     const struct vmbus_server_owner *owner,
                                     struct vmbus_server_channel **out)
{
    uint32_t relid;

    if ((offer->flags & ~VMBUS_SERVER_OFFER_FLAGS) != 0 || offer->relid >= VMBUS_RELID_END) {
        return VMBUS_BAD_ARGUMENT;
    }
    struct vmbus_server_channel *channel = memory_allocate(sizeof(*channel));
    if (channel == NULL) {
        return VMBUS_NO_MEMORY;
    }
    channel->server = server;
    channel->offer = *offer;
    channel->owner = *owner;
    channel->owned = true;
    channel->due.kind = DUE_OF_CHANNEL;
    atomic_init(&channel->event_vp, NO_EVENTS);

    enum irql previous = server_lock(server);
    enum vmbus_status status = check(server, offer, &relid);
    if (status != VMBUS_OK) {
        server_unlock(server, previous);
        memory_free(channel);
        return status;
    }
    *server->channels_end = channel;
    server->channels_end = &channel->next;
    if (relid != 0) {
        server_channel_number(channel, relid);
    } else {
        server->unnumbered++;
    }
    *out = channel;
    server_offer_now(channel);
    server_settle(server, previous);
    return VMBUS_OK;
}

/* ---- leaving ---- */

/* Neither the guest nor the next offer has to do with it any more. Locked. */
static void leave(struct vmbus_server_channel *channel)
{
    struct vmbus_server *server = channel->server;

    server_channel_transition(channel, VMBUS_SERVER_GONE);
    server_due_cancel(server, &channel->due);
    server_gpadls_forget(channel);
    if (channel->relid != 0) {
        server->by_relid[channel->relid] = NULL;
    } else {
        server->unnumbered--;
    }
    server_number_channels(server);
}

/* Locked. */
static void unlink_and_free(struct vmbus_server_channel *channel)
{
    struct vmbus_server *server = channel->server;
    struct vmbus_server_channel **link = &server->channels;

    ASSERT(channel->gpadls == NULL && !channel->notices_listed);
    while (*link != channel) {
        link = &(*link)->next;
    }
    *link = channel->next;
    if (server->channels_end == &channel->next) {
        server->channels_end = link;
    }
    memory_free(channel);
}

void server_channel_retire(struct vmbus_server_channel *channel)
{
    if (!channel->revoked || server_state_is_active(channel->state)) {
        return;
    }
    if (channel->owned && !channel->released && channel->gpadls_mapped == 0 &&
        channel->event_users == 0) {
        channel->released = true;
        server_notice(channel, NOTICE_RELEASED);
    }
    if (!channel->owned && channel->state == VMBUS_SERVER_GONE) {
        unlink_and_free(channel);
    }
}

void server_channel_revoke(struct vmbus_server_channel *channel)
{
    struct vmbus_server *server = channel->server;

    channel->revoked = true;
    channel->reopening = false;
    switch (channel->state) {
    case VMBUS_SERVER_WAITING:
        leave(channel);
        break;
    case VMBUS_SERVER_OFFERED:
        if ((channel->due.messages & DUE_OFFER) != 0) {
            leave(channel); /* the guest will never know */
        } else {
            server_channel_transition(channel, VMBUS_SERVER_REVOKED);
            server_due(server, &channel->due, DUE_RESCIND);
        }
        break;
    case VMBUS_SERVER_OPENING:
    case VMBUS_SERVER_OPEN:
        server_channel_start_closing(channel);
        server_due(server, &channel->due, DUE_RESCIND);
        break;
    case VMBUS_SERVER_CLOSING:
        if (server->state == CONNECTED) {
            server_due(server, &channel->due, DUE_RESCIND);
        }
        break;
    default:
        break; /* rescinded already, after a restore */
    }
    server_channel_retire(channel);
}

void vmbus_server_revoke(struct vmbus_server_channel *channel)
{
    struct vmbus_server *server = channel->server;
    enum irql previous = server_lock(server);
    bool once = !channel->revoked;

    if (once) {
        server_channel_revoke(channel);
    }
    server_settle(server, previous);
    ASSERT(once); /* or the caller uses what is not its own any more */
}

/* What a guest has given back is offered again, unless its owner has left. Locked. */
static void given_back(struct vmbus_server_channel *channel)
{
    if (channel->revoked) {
        leave(channel);
        server_channel_retire(channel);
    } else {
        server_channel_transition(channel, VMBUS_SERVER_WAITING);
        server_offer_now(channel);
    }
}

enum vmbus_message_verdict server_relid_released_received(struct vmbus_server *server,
                                                          const void *message, uint32_t size)
{
    const struct vmbus_message_relid *released = message;
    struct vmbus_server_channel *channel = server_channel_known(server, released->relid);

    (void)size;
    if (channel == NULL || (server_state_is_active(channel->state) && !channel->revoked)) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    server_gpadls_forget(channel);
    if (channel->state == VMBUS_SERVER_REVOKED) {
        given_back(channel);
        return VMBUS_MESSAGE_GOOD;
    }
    channel->guest_released = true;
    if (channel->state == VMBUS_SERVER_OFFERED) {
        /* Nobody took it from the guest, which does not want it: it is not offered again on this
         * connection. */
        server_channel_transition(channel, VMBUS_SERVER_WAITING);
    }
    return VMBUS_MESSAGE_GOOD;
}

void server_channel_guest_left(struct vmbus_server_channel *channel)
{
    server_gpadls_forget(channel);
    channel->reopening = false;
    channel->guest_released = false;
    switch (channel->state) {
    case VMBUS_SERVER_OFFERED:
    case VMBUS_SERVER_REVOKED:
        given_back(channel);
        break;
    case VMBUS_SERVER_OPENING:
    case VMBUS_SERVER_OPEN:
        server_channel_start_closing(channel);
        break;
    default:
        break;
    }
}

void server_channel_closed(struct vmbus_server_channel *channel)
{
    struct vmbus_server *server = channel->server;

    if (server->state != CONNECTED || channel->guest_released) {
        given_back(channel);
    } else if (channel->revoked) {
        server_channel_transition(channel, VMBUS_SERVER_REVOKED);
        server_channel_retire(channel);
    } else {
        server_channel_transition(channel, VMBUS_SERVER_OFFERED);
        if (channel->reopening) {
            channel->reopening = false;
            server_channel_start_opening(channel, &channel->reopen);
        }
    }
    server_disconnect_go_on(server);
}
