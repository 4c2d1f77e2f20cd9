/* SPDX-License-Identifier: MIT */
/*
 * A saved server and the channels that are offered here become one. What only the old process could
 * finish, its owners letting go of memory, is finished by its end.
 */
#include <string.h>

#include "vmbus/server/internal.h"

/* The channel offered here that goes on as the saved one, or NULL. Locked. */
static struct vmbus_server_channel *heir_of(const struct vmbus_server *server,
                                            const struct vmbus_server_channel *saved)
{
    struct vmbus_server_channel *heir =
        saved->revoked ? NULL : server_channel_find(server, &saved->offer, false);

    return heir != NULL && !heir->offer.force_new ? heir : NULL;
}

static void move_to_heir(struct vmbus_server_channel *heir, struct vmbus_server_channel *saved)
{
    heir->state = saved->state;
    heir->reopening = saved->reopening;
    heir->restored = saved->restored;
    heir->saved_incoming_index = saved->saved_incoming_index;
    heir->saved_outgoing_index = saved->saved_outgoing_index;
    heir->result_open_id = saved->result_open_id;
    heir->result_status = saved->result_status;
    heir->request = saved->request;
    heir->reopen = saved->reopen;
    heir->ring = saved->ring;
    heir->gpadls = saved->gpadls;
    for (struct gpadl *gpadl = heir->gpadls; gpadl != NULL; gpadl = gpadl->next) {
        gpadl->channel = heir;
    }
    saved->ring = NULL;
    saved->gpadls = NULL;
    if (heir->state == VMBUS_SERVER_OPENING) {
        atomic_store_explicit(&heir->event_vp, heir->request.target_vp, memory_order_release);
    }
}

/* A saved channel that nobody offers here: it stays for the guest alone. */
static void move_orphan(struct vmbus_server *server, struct vmbus_server_channel *orphan)
{
    orphan->server = server;
    orphan->released = true;
    if (orphan->state == VMBUS_SERVER_OPENING) {
        orphan->state = VMBUS_SERVER_CLOSING;
    }
    atomic_init(&orphan->event_vp, NO_EVENTS);
    orphan->next = NULL;
    *server->channels_end = orphan;
    server->channels_end = &orphan->next;
}

/* Joins the channels; those whose place an heir took stay in `scratch`, empty. Locked. */
static void move_channels(struct vmbus_server *server, struct vmbus_server *scratch)
{
    struct vmbus_server_channel *saved = scratch->channels;

    for (struct vmbus_server_channel *channel = server->channels; channel != NULL;
         channel = channel->next) {
        channel->relid = 0;
        server->unnumbered++;
    }
    memset(server->by_relid, 0, sizeof(server->by_relid));
    scratch->channels = NULL;
    for (struct vmbus_server_channel *next; saved != NULL; saved = next) {
        struct vmbus_server_channel *heir = heir_of(server, saved);
        next = saved->next;
        server->in_use += server_state_is_active(saved->state);
        if (heir != NULL) {
            move_to_heir(heir, saved);
            server->unnumbered--;
            server_channel_number(heir, saved->relid);
            saved->next = scratch->channels;
            scratch->channels = saved;
        } else {
            move_orphan(server, saved);
            server_channel_number(saved, saved->relid);
        }
    }
}

static void move_connection(struct vmbus_server *server, struct vmbus_server *scratch)
{
    server->contacted = true;
    server->state = scratch->state;
    server->next = scratch->next;
    server->version = scratch->version;
    server->offers_requested = scratch->offers_requested;
    server->contact = scratch->contact;
    memcpy(server->queue, scratch->queue, sizeof(server->queue));
    server->queue_count = scratch->queue_count;
    server->gpadls = scratch->gpadls;
    server->gpadl_words = scratch->gpadl_words;
    server->collecting = scratch->collecting;
    server->collecting_count = scratch->collecting_count;
}

/* In their order. The numbers of saved channels are those of their heirs. Locked. */
static void move_dues(struct vmbus_server *server, struct vmbus_server *scratch)
{
    struct due *next;

    for (struct due *due = scratch->dues; due != NULL; due = next) {
        struct due *heir = due;
        uint8_t messages = due->messages;
        next = due->next;
        if (due->kind == DUE_OF_CONNECTION) {
            heir = &server->due;
        } else if (due->kind == DUE_OF_CHANNEL) {
            heir = &server->by_relid[DUE_OWNER(due, struct vmbus_server_channel)->relid]->due;
        }
        due->listed = false;
        due->messages = 0;
        server_due(server, heir, messages);
    }
    scratch->dues = NULL;
    scratch->dues_end = &scratch->dues;
}

/* Whoever had GPADLs of this channel mapped is gone. Locked. */
static void let_go_of_gpadls(struct vmbus_server_channel *channel)
{
    struct gpadl *next;

    for (struct gpadl *gpadl = channel->gpadls; gpadl != NULL; gpadl = next) {
        next = gpadl->next;
        if (gpadl->state == GPADL_LEAVING && (gpadl->due.messages & DUE_TORNDOWN) == 0) {
            server_gpadl_let_go(gpadl);
        }
    }
}

/* Does what the end of the old owner and the new one, if there is one, lead to. Locked; the channel
 * may be gone afterwards. */
static void go_on(struct vmbus_server_channel *channel)
{
    bool closing = channel->state == VMBUS_SERVER_CLOSING;

    let_go_of_gpadls(channel);
    if (channel->state == VMBUS_SERVER_OPENING) {
        server_notice(channel, NOTICE_OPEN);
    }
    if (!channel->owned && !channel->revoked) {
        server_channel_revoke(channel);
    }
    if (closing) {
        if (channel->ring != NULL) {
            server_channel_let_go_of_ring(channel);
        }
        server_channel_closed(channel);
    }
}

void server_join(struct vmbus_server *server, struct vmbus_server *scratch)
{
    struct vmbus_server_channel *next;

    move_connection(server, scratch);
    move_channels(server, scratch);
    move_dues(server, scratch);
    /* No new number, and no new offer, before it is settled which saved channels are rescinded. */
    uint32_t unnumbered = server->unnumbered;
    server->unnumbered = 0;
    for (struct vmbus_server_channel *channel = server->channels; channel != NULL; channel = next) {
        next = channel->next;
        if (channel->state != VMBUS_SERVER_WAITING) {
            go_on(channel);
        }
    }
    server->unnumbered = unnumbered;
    server_disconnect_go_on(server);
    server_number_channels(server);
}
