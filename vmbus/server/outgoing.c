/* SPDX-License-Identifier: MIT */
/*
 * Messages to the guest. They wait in a short queue for the one slot that a guest has; what finds
 * no room there stays a bit in its object (struct due). As long as anything does, the guest's own
 * messages are refused: a guest that asks and never reads costs no memory, and answers keep the
 * order of what they answer.
 */
#include <string.h>

#include "kernel/panic.h"
#include "vmbus/server/internal.h"

/* ---- the queue ---- */

static bool is_full(const struct vmbus_server *server)
{
    return server->queue_count == VMBUS_SERVER_QUEUE_SIZE;
}

bool server_is_congested(const struct vmbus_server *server)
{
    return server->dues != NULL || is_full(server);
}

static void put(struct vmbus_server *server, const void *message, uint32_t size)
{
    uint32_t type;
    struct outgoing *out =
        &server->queue[(server->queue_first + server->queue_count) % VMBUS_SERVER_QUEUE_SIZE];

    memcpy(&type, message, sizeof(type));
    ASSERT(!is_full(server));
    ASSERT(vmbus_message_host_may_send(type, size, server->version, 0));
    server->queue_count++;
    out->vp = server->contact.vp;
    out->sint = server->contact.sint;
    out->size = size;
    memcpy(out->payload, message, size);
}

void server_answer(struct vmbus_server *server, const void *message, uint32_t size)
{
    put(server, message, size);
}

void server_queue_clear(struct vmbus_server *server)
{
    server->queue_count = 0;
    server->queue_generation++;
    while (server->dues != NULL) {
        struct due *due = server->dues;
        server->dues = due->next;
        due->listed = false;
        due->messages = 0;
    }
    server->dues_end = &server->dues;
}

/* ---- what is due ---- */

static void put_all_offers(struct vmbus_server *server)
{
    const struct vmbus_message_bare message = {
        .header = {.type = VMBUS_MESSAGE_ALL_OFFERS_DELIVERED}};

    put(server, &message, sizeof(message));
}

static void put_offer(struct vmbus_server *server, const struct vmbus_server_channel *channel)
{
    const struct vmbus_server_offer *offer = &channel->offer;
    struct vmbus_message_offer_channel message = {
        .header = {.type = VMBUS_MESSAGE_OFFER_CHANNEL},
        .interface_type = offer->interface_type,
        .interface_instance = offer->interface_instance,
        .flags = offer->flags,
        .mmio_megabytes = offer->mmio_megabytes,
        .sub_channel_index = offer->sub_channel_index,
        .mmio_megabytes_optional = offer->mmio_megabytes_optional,
        .relid = channel->relid,
        .monitor_id = 0xFF, /* none */
        .dedicated_interrupt = VMBUS_OFFER_DEDICATED_INTERRUPT,
        .connection_id = VMBUS_SERVER_CONNECTION_ID_BASE + channel->relid,
    };

    memcpy(message.user_defined, offer->user_defined, sizeof(message.user_defined));
    put(server, &message, sizeof(message));
}

static void put_of_channel(struct vmbus_server *server, const struct vmbus_server_channel *channel,
                           uint8_t what)
{
    const struct vmbus_message_open_result result = {
        .header = {.type = VMBUS_MESSAGE_OPEN_CHANNEL_RESULT},
        .relid = channel->relid,
        .open_id = channel->result_open_id,
        .status = channel->result_status,
    };
    const struct vmbus_message_relid rescind = {
        .header = {.type = VMBUS_MESSAGE_RESCIND_CHANNEL_OFFER},
        .relid = channel->relid,
    };

    switch (what) {
    case DUE_OFFER:
        put_offer(server, channel);
        break;
    case DUE_OPEN_RESULT:
        put(server, &result, sizeof(result));
        break;
    default:
        put(server, &rescind, sizeof(rescind));
        break;
    }
}

/* The GPADL may be gone afterwards. */
static void put_of_gpadl(struct vmbus_server *server, struct gpadl *gpadl, uint8_t what)
{
    const struct vmbus_message_gpadl_created created = {
        .header = {.type = VMBUS_MESSAGE_GPADL_CREATED},
        .relid = gpadl->channel->relid,
        .gpadl = gpadl->id,
    };
    const struct vmbus_message_gpadl_torndown torndown = {
        .header = {.type = VMBUS_MESSAGE_GPADL_TORNDOWN},
        .gpadl = gpadl->id,
    };

    if (what == DUE_CREATED) {
        put(server, &created, sizeof(created));
    } else {
        put(server, &torndown, sizeof(torndown));
        server_gpadl_free(gpadl);
    }
}

/* Moves what is due into the queue while there is room. */
static void fill_queue(struct vmbus_server *server)
{
    while (server->dues != NULL && !is_full(server)) {
        struct due *due = server->dues;
        uint8_t what = (uint8_t)(due->messages & -due->messages);

        due->messages &= (uint8_t)~what;
        if (due->messages == 0) {
            due->listed = false;
            server->dues = due->next;
            if (server->dues == NULL) {
                server->dues_end = &server->dues;
            }
        }
        switch ((enum due_kind)due->kind) {
        case DUE_OF_CONNECTION:
            put_all_offers(server);
            break;
        case DUE_OF_CHANNEL:
            put_of_channel(server, DUE_OWNER(due, struct vmbus_server_channel), what);
            break;
        case DUE_OF_GPADL:
            put_of_gpadl(server, DUE_OWNER(due, struct gpadl), what);
            break;
        }
    }
}

void server_due(struct vmbus_server *server, struct due *due, uint8_t messages)
{
    due->messages |= messages;
    if (!due->listed) {
        due->listed = true;
        due->next = NULL;
        *server->dues_end = due;
        server->dues_end = &due->next;
    }
    fill_queue(server);
}

void server_due_cancel(struct vmbus_server *server, struct due *due)
{
    due->messages = 0;
    if (!due->listed) {
        return;
    }
    due->listed = false;
    server->dues_end = &server->dues;
    for (struct due **link = &server->dues; *link != NULL;) {
        if (*link == due) {
            *link = due->next;
        } else {
            server->dues_end = &(*link)->next;
            link = &(*link)->next;
        }
    }
}

/* ---- out ---- */

void server_post(struct vmbus_server *server)
{
    struct outgoing out;

    if (server->posting) {
        return; /* whoever does it now takes these too */
    }
    server->posting = true;
    while (server->queue_count != 0) {
        uint32_t generation = server->queue_generation;
        out = server->queue[server->queue_first];
        server->slot_freed = false;
        server_unlock(server, IRQL_DISPATCH);
        enum vmbus_server_posted posted =
            server->host.post(server->host.context, out.vp, out.sint, out.payload, out.size);
        (void)server_lock(server);

        if (posted == VMBUS_SERVER_SLOT_BUSY) {
            if (server->slot_freed || server->queue_generation != generation) {
                continue;
            }
            break;
        }
        *(posted == VMBUS_SERVER_POSTED ? &server->statistics.posted
                                        : &server->statistics.posts_failed) += 1;
        if (server->queue_generation == generation) {
            server->queue_first = (server->queue_first + 1) % VMBUS_SERVER_QUEUE_SIZE;
            server->queue_count--;
            fill_queue(server);
        }
    }
    server->posting = false;
}

void vmbus_server_slot_free(struct vmbus_server *server)
{
    enum irql previous = server_lock(server);

    server->slot_freed = true;
    server_settle(server, previous);
}
