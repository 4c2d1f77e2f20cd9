/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kernel/panic.h"
#include "vmbus/server/checksum.h"
#include "vmbus/server/internal.h"
#include "vmbus/server/saved.h"

/* Counts what it is given, and keeps what fits. */
struct sink {
    uint8_t *buffer;
    size_t capacity;
    size_t size;
};

static void put(struct sink *sink, const void *bytes, size_t size)
{
    if (sink->size <= sink->capacity && size <= sink->capacity - sink->size) {
        memcpy(sink->buffer + sink->size, bytes, size);
    }
    sink->size += size;
}

/* What a guest knows nothing of is offered anew by whoever restores. */
static bool is_saved(const struct vmbus_server_channel *channel)
{
    return channel->state != VMBUS_SERVER_WAITING && channel->state != VMBUS_SERVER_GONE;
}

static uint32_t saved_state(const struct vmbus_server_channel *channel)
{
    switch (channel->state) {
    case VMBUS_SERVER_OPENING:
        return channel->restored ? SAVED_OPEN : SAVED_OPENING;
    case VMBUS_SERVER_OPEN:
        return SAVED_OPEN;
    case VMBUS_SERVER_CLOSING:
        return SAVED_CLOSING;
    case VMBUS_SERVER_REVOKED:
        return SAVED_REVOKED;
    default:
        return SAVED_OFFERED;
    }
}

static void put_gpadl(struct sink *sink, const struct gpadl *gpadl)
{
    static const uint8_t states[] = {
        [GPADL_COLLECTING] = SAVED_COLLECTING,
        [GPADL_STANDING] = SAVED_STANDING,
        [GPADL_LEAVING] = SAVED_LEAVING,
    };
    const struct saved_gpadl saved = {
        .id = gpadl->id,
        .state = states[gpadl->state],
        .is_ring = gpadl->is_ring,
        .range_count = gpadl->range_count,
        .word_count = gpadl->word_count,
        .words_missing = gpadl->words_missing,
    };

    put(sink, &saved, sizeof(saved));
    put(sink, gpadl->words, gpadl->word_count * sizeof(gpadl->words[0]));
}

static struct saved_open_request saved_request(const struct open_request *request)
{
    struct saved_open_request saved = {
        .open_id = request->open_id,
        .ring_gpadl = request->ring_gpadl,
        .target_vp = request->target_vp,
        .downstream_page = request->downstream_page,
    };

    memcpy(saved.user_data, request->user_data, sizeof(saved.user_data));
    return saved;
}

static void put_channel(struct sink *sink, const struct vmbus_server_channel *channel)
{
    const struct vmbus_server_offer *offer = &channel->offer;
    bool mapped = channel->ring_memory != NULL;
    struct saved_channel saved = {
        .interface_type = offer->interface_type,
        .interface_instance = offer->interface_instance,
        .flags = offer->flags,
        .mmio_megabytes = offer->mmio_megabytes,
        .mmio_megabytes_optional = offer->mmio_megabytes_optional,
        .sub_channel_index = offer->sub_channel_index,
        .relid = channel->relid,
        .state = saved_state(channel),
        .revoked = channel->revoked,
        .guest_released = channel->guest_released,
        .reopening = channel->reopening,
        .result_open_id = channel->result_open_id,
        .result_status = channel->result_status,
        .request = saved_request(&channel->request),
        .reopen = saved_request(&channel->reopen),
    };

    memcpy(saved.user_defined, offer->user_defined, sizeof(saved.user_defined));
    if (saved.state == SAVED_OPEN) {
        saved.incoming_index = mapped ? channel->incoming.index : channel->saved_incoming_index;
        saved.outgoing_index = mapped ? channel->outgoing.index : channel->saved_outgoing_index;
    }
    for (struct gpadl *gpadl = channel->gpadls; gpadl != NULL; gpadl = gpadl->next) {
        saved.gpadls += gpadl->state != GPADL_FORGOTTEN;
    }
    put(sink, &saved, sizeof(saved));
    for (struct gpadl *gpadl = channel->gpadls; gpadl != NULL; gpadl = gpadl->next) {
        if (gpadl->state != GPADL_FORGOTTEN) {
            put_gpadl(sink, gpadl);
        }
    }
}

static void put_due(struct sink *sink, struct due *due)
{
    struct saved_due saved = {.kind = SAVED_DUE_CONNECTION, .messages = due->messages};

    if (due->kind == DUE_OF_CHANNEL) {
        saved.kind = SAVED_DUE_CHANNEL;
        saved.relid = DUE_OWNER(due, struct vmbus_server_channel)->relid;
    } else if (due->kind == DUE_OF_GPADL) {
        saved.kind = SAVED_DUE_GPADL;
        saved.relid = DUE_OWNER(due, struct gpadl)->channel->relid;
        saved.gpadl = DUE_OWNER(due, struct gpadl)->id;
    }
    put(sink, &saved, sizeof(saved));
}

static void put_message(struct sink *sink, const struct outgoing *out)
{
    struct saved_message saved = {.vp = out->vp, .sint = out->sint, .size = out->size};

    memcpy(saved.payload, out->payload, out->size);
    put(sink, &saved, sizeof(saved));
}

static void put_all(struct sink *sink, const struct vmbus_server *server)
{
    static const uint8_t states[] = {
        [DISCONNECTED] = SAVED_DISCONNECTED,
        [CONNECTED] = SAVED_CONNECTED,
        [DISCONNECTING] = SAVED_DISCONNECTING,
    };
    static const uint8_t nexts[] = {
        [NEXT_NOTHING] = SAVED_NEXT_NOTHING,
        [NEXT_UNLOAD_COMPLETE] = SAVED_NEXT_UNLOAD_COMPLETE,
        [NEXT_CONTACT] = SAVED_NEXT_CONTACT,
    };
    struct saved_connection connection = {
        .state = states[server->state],
        .next = nexts[server->next],
        .version = server->version,
        .offers_requested = server->offers_requested,
        .contact_version = server->contact.version,
        .contact_vp = server->contact.vp,
        .contact_sint = server->contact.sint,
        .contact_monitor_pages_valid = server->contact.monitor_pages_valid,
        .messages = server->queue_count,
    };

    for (struct vmbus_server_channel *channel = server->channels; channel != NULL;
         channel = channel->next) {
        connection.channels += is_saved(channel);
    }
    for (struct due *due = server->dues; due != NULL; due = due->next) {
        connection.dues++;
    }
    put(sink, &connection, sizeof(connection));
    for (struct vmbus_server_channel *channel = server->channels; channel != NULL;
         channel = channel->next) {
        if (is_saved(channel)) {
            put_channel(sink, channel);
        }
    }
    for (uint32_t i = 0; i < server->queue_count; i++) {
        put_message(sink, &server->queue[(server->queue_first + i) % VMBUS_SERVER_QUEUE_SIZE]);
    }
    for (struct due *due = server->dues; due != NULL; due = due->next) {
        put_due(sink, due);
    }
}

enum vmbus_status vmbus_server_save(struct vmbus_server *server, void *buffer, size_t capacity,
                                    size_t *size)
{
    struct sink sink = {.buffer = buffer, .capacity = buffer != NULL ? capacity : 0};
    struct saved_header header = {.magic = SAVED_MAGIC, .format = SAVED_FORMAT};
    enum irql previous = server_lock(server);

    ASSERT(!server->posting && !server->noticing);
    put(&sink, &header, sizeof(header));
    put_all(&sink, server);
    server_unlock(server, previous);
    *size = sink.size;
    if (buffer == NULL || sink.size > sink.capacity) {
        return VMBUS_NO_MEMORY;
    }
    /* The limits keep it far below 4 GiB: 4096 GPADLs of 64 KiB at the very most. */
    ASSERT(sink.size <= UINT32_MAX);
    header.size = (uint32_t)sink.size;
    memcpy(buffer, &header, sizeof(header));
    header.checksum = vmbus_checksum(0, buffer, sink.size);
    memcpy(buffer, &header, sizeof(header));
    return VMBUS_OK;
}
