/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "kernel/panic.h"
#include "vmbus/server/internal.h"

/* ---- states ---- */

#define TO(state) (1u << VMBUS_SERVER_##state)

void server_channel_transition(struct vmbus_server_channel *channel, enum vmbus_server_state state)
{
    static const uint8_t allowed[VMBUS_SERVER_STATE_COUNT] = {
        [VMBUS_SERVER_WAITING] = TO(OFFERED) | TO(GONE),
        [VMBUS_SERVER_OFFERED] = TO(OPENING) | TO(REVOKED) | TO(WAITING) | TO(GONE),
        [VMBUS_SERVER_OPENING] = TO(OPEN) | TO(OFFERED) | TO(CLOSING) | TO(REVOKED),
        [VMBUS_SERVER_OPEN] = TO(CLOSING),
        [VMBUS_SERVER_CLOSING] = TO(OFFERED) | TO(WAITING) | TO(REVOKED) | TO(GONE),
        [VMBUS_SERVER_REVOKED] = TO(WAITING) | TO(GONE),
    };

    ASSERT((allowed[channel->state] & 1u << state) != 0);
    channel->server->in_use += server_state_is_active(state);
    channel->server->in_use -= server_state_is_active(channel->state);
    channel->state = state;
}

const char *vmbus_server_state_name(enum vmbus_server_state state)
{
    static const char *const names[VMBUS_SERVER_STATE_COUNT] = {
        [VMBUS_SERVER_WAITING] = "waiting", [VMBUS_SERVER_OFFERED] = "offered",
        [VMBUS_SERVER_OPENING] = "opening", [VMBUS_SERVER_OPEN] = "open",
        [VMBUS_SERVER_CLOSING] = "closing", [VMBUS_SERVER_REVOKED] = "revoked",
        [VMBUS_SERVER_GONE] = "gone",
    };

    return (unsigned)state < VMBUS_SERVER_STATE_COUNT ? names[state] : "unknown";
}

enum vmbus_server_state vmbus_server_channel_state(struct vmbus_server_channel *channel)
{
    enum irql previous = server_lock(channel->server);
    enum vmbus_server_state state = channel->state;

    server_unlock(channel->server, previous);
    return state;
}

uint32_t vmbus_server_channel_relid(struct vmbus_server_channel *channel)
{
    enum irql previous = server_lock(channel->server);
    uint32_t relid = channel->relid;

    server_unlock(channel->server, previous);
    return relid;
}

/* ---- the guest opens and closes ---- */

/* Locked. */
static void answer_open(struct vmbus_server_channel *channel, uint32_t open_id, uint32_t status)
{
    channel->result_open_id = open_id;
    channel->result_status = status;
    server_due(channel->server, &channel->due, DUE_OPEN_RESULT);
}

void server_channel_start_opening(struct vmbus_server_channel *channel,
                                  const struct open_request *request)
{
    struct gpadl *ring = server_gpadl_find(channel, request->ring_gpadl);

    if (ring == NULL || ring->state != GPADL_STANDING || ring->mapped ||
        !server_gpadl_is_ring(ring, request->downstream_page)) {
        channel->server->statistics.opens_refused++;
        answer_open(channel, request->open_id, VMBUS_SERVER_FAILURE);
        return;
    }
    ring->is_ring = true;
    channel->ring = ring;
    channel->request = *request;
    atomic_store_explicit(&channel->event_vp, request->target_vp, memory_order_release);
    server_channel_transition(channel, VMBUS_SERVER_OPENING);
    server_notice(channel, NOTICE_OPEN);
}

enum vmbus_message_verdict server_open_received(struct vmbus_server *server, const void *message,
                                                uint32_t size)
{
    const struct vmbus_message_open_channel *open = message;
    struct vmbus_server_channel *channel = server_channel_known(server, open->relid);
    struct open_request request = {
        .open_id = open->open_id,
        .ring_gpadl = open->ring_gpadl,
        .target_vp = open->target_vp,
        .downstream_page = open->downstream_page,
    };

    (void)size;
    memcpy(request.user_data, open->user_data, sizeof(request.user_data));
    if (channel == NULL) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    if (channel->revoked || channel->state == VMBUS_SERVER_REVOKED) {
        return VMBUS_MESSAGE_GOOD; /* it will have read that by now */
    }
    if (channel->state == VMBUS_SERVER_OFFERED) {
        server_channel_start_opening(channel, &request);
        return VMBUS_MESSAGE_GOOD;
    }
    if (channel->state == VMBUS_SERVER_CLOSING && !channel->reopening) {
        channel->reopening = true;
        channel->reopen = request;
        return VMBUS_MESSAGE_GOOD;
    }
    return VMBUS_MESSAGE_UNEXPECTED;
}

void server_channel_start_closing(struct vmbus_server_channel *channel)
{
    atomic_store_explicit(&channel->event_vp, NO_EVENTS, memory_order_release);
    server_channel_transition(channel, VMBUS_SERVER_CLOSING);
    server_notice(channel, NOTICE_CLOSE);
}

enum vmbus_message_verdict server_close_received(struct vmbus_server *server, const void *message,
                                                 uint32_t size)
{
    const struct vmbus_message_relid *close = message;
    struct vmbus_server_channel *channel = server_channel_known(server, close->relid);

    (void)size;
    if (channel == NULL) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    if (channel->state == VMBUS_SERVER_OPENING || channel->state == VMBUS_SERVER_OPEN) {
        server_channel_start_closing(channel);
        return VMBUS_MESSAGE_GOOD;
    }
    bool expected =
        channel->reopening || channel->revoked || channel->state == VMBUS_SERVER_REVOKED;
    channel->reopening = false;
    return expected ? VMBUS_MESSAGE_GOOD : VMBUS_MESSAGE_UNEXPECTED;
}

enum vmbus_message_verdict server_modify_received(struct vmbus_server *server, const void *message,
                                                  uint32_t size)
{
    const struct vmbus_message_modify_channel *modify = message;
    struct vmbus_server_channel *channel = server_channel_known(server, modify->relid);
    struct vmbus_message_modify_channel_response response = {
        .header = {.type = VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE},
        .relid = modify->relid,
        .status = VMBUS_SERVER_FAILURE,
    };

    (void)size;
    if (channel == NULL) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    if (channel->state == VMBUS_SERVER_OPEN && modify->target_vp != NO_EVENTS) {
        channel->request.target_vp = modify->target_vp;
        atomic_store_explicit(&channel->event_vp, modify->target_vp, memory_order_release);
        response.status = 0;
    }
    if (server->version >= VMBUS_VERSION_5_3) {
        server_answer(server, &response, sizeof(response));
    }
    return VMBUS_MESSAGE_GOOD;
}

/* ---- the owner answers ---- */

/*
 * The rings of a restored channel go on at our own indices of old. What stands of them in the
 * guest's memory is a copy that only it could have changed; we never read it but here.
 */
static void put_back_indices(const struct vmbus_server_channel *channel,
                             struct ring_control *incoming, struct ring_control *outgoing)
{
    atomic_store_explicit(&incoming->read_index, channel->saved_incoming_index,
                          memory_order_relaxed);
    atomic_store_explicit(&incoming->interrupt_mask, 0, memory_order_relaxed);
    atomic_store_explicit(&outgoing->write_index, channel->saved_outgoing_index,
                          memory_order_relaxed);
    atomic_store_explicit(&outgoing->pending_send_size, 0, memory_order_release);
}

static bool attach(struct vmbus_server_channel *channel, unsigned char *memory)
{
    uint32_t incoming_pages = channel->request.downstream_page - 1;
    uint32_t outgoing_pages = channel->ring->frame_count - channel->request.downstream_page - 1;
    struct ring_control *incoming = (void *)memory;
    struct ring_control *outgoing =
        (void *)(memory + (size_t)channel->request.downstream_page * RING_PAGE_SIZE);

    if (channel->restored) {
        put_back_indices(channel, incoming, outgoing);
    }
    return ring_reader_attach(&channel->incoming, incoming, incoming + 1,
                              incoming_pages * RING_PAGE_SIZE) == RING_OK &&
           ring_writer_attach(&channel->outgoing, outgoing, outgoing + 1,
                              outgoing_pages * RING_PAGE_SIZE) == RING_OK;
}

/* Why a channel cannot be opened by its owner now, or VMBUS_OK. Locked. */
static enum vmbus_status opening_status(const struct vmbus_server_channel *channel)
{
    return channel->state == VMBUS_SERVER_OPENING   ? VMBUS_OK
           : channel->state == VMBUS_SERVER_CLOSING ? VMBUS_RESCINDED
                                                    : VMBUS_BAD_STATE;
}

enum vmbus_status vmbus_server_map_rings(struct vmbus_server_channel *channel)
{
    const struct vmbus_server_host *host = &channel->server->host;
    enum irql previous = server_lock(channel->server);
    enum vmbus_status status = opening_status(channel);

    if (status == VMBUS_OK && channel->ring_memory != NULL) {
        status = VMBUS_BAD_STATE;
    }
    server_unlock(channel->server, previous);
    if (status != VMBUS_OK) {
        return status;
    }
    /* The ring's GPADL stays until this owner has answered. */
    const uint64_t *frames = server_gpadl_frames(channel->ring);
    size_t count = channel->ring->frame_count;
    unsigned char *memory = host->map(host->context, frames, count, true);
    if (memory == NULL) {
        return VMBUS_REFUSED;
    }
    if (!attach(channel, memory)) {
        host->unmap(host->context, memory, count);
        return VMBUS_REFUSED;
    }
    previous = server_lock(channel->server);
    channel->ring_memory = memory;
    status = opening_status(channel);
    server_unlock(channel->server, previous);
    return status;
}

struct ring_reader *vmbus_server_incoming(struct vmbus_server_channel *channel)
{
    return &channel->incoming;
}

struct ring_writer *vmbus_server_outgoing(struct vmbus_server_channel *channel)
{
    return &channel->outgoing;
}

bool vmbus_server_rings(struct vmbus_server *server, uint32_t relid, struct vmbus_server_rings *out)
{
    enum irql previous = server_lock(server);
    struct vmbus_server_channel *channel = server_channel_known(server, relid);
    bool is_open = channel != NULL && channel->doorbell && channel->ring_memory != NULL;

    if (is_open) {
        *out = (struct vmbus_server_rings){
            .incoming = channel->incoming.control,
            .incoming_data = channel->incoming.data,
            .incoming_size = channel->incoming.size,
            .outgoing = channel->outgoing.control,
            .outgoing_data = channel->outgoing.data,
            .outgoing_size = channel->outgoing.size,
        };
    }
    server_unlock(server, previous);
    return is_open;
}

/* Unmaps the rings, if they are mapped. The owner is opening or closing, and does nothing else. */
static void unmap_rings(struct vmbus_server_channel *channel)
{
    const struct vmbus_server_host *host = &channel->server->host;
    void *memory = channel->ring_memory;

    if (channel->doorbell) {
        channel->doorbell = false;
        host->doorbell(host->context, VMBUS_SERVER_CONNECTION_ID_BASE + channel->relid, false);
    }
    if (memory != NULL) {
        channel->ring_memory = NULL;
        host->unmap(host->context, memory, channel->ring->frame_count);
    }
}

void server_channel_let_go_of_ring(struct vmbus_server_channel *channel)
{
    struct gpadl *ring = channel->ring;

    channel->ring = NULL;
    ring->is_ring = false;
    server_gpadl_let_go(ring);
}

static void accept_open(struct vmbus_server_channel *channel, enum irql previous)
{
    const struct vmbus_server_host *host = &channel->server->host;
    bool restored = channel->restored;

    channel->restored = false;
    server_channel_transition(channel, VMBUS_SERVER_OPEN);
    if (!restored) {
        answer_open(channel, channel->request.open_id, 0);
    }
    server_settle(channel->server, previous);
    if (host->doorbell != NULL) {
        channel->doorbell = true;
        host->doorbell(host->context, VMBUS_SERVER_CONNECTION_ID_BASE + channel->relid, true);
    }
    if (restored) {
        vmbus_server_raise(channel); /* an event that was on its way is lost */
    }
}

/* Locked, and the rings are unmapped. */
static void refuse_open(struct vmbus_server_channel *channel, uint32_t status)
{
    uint32_t open_id = channel->request.open_id;
    bool restored = channel->restored;

    channel->restored = false;
    atomic_store_explicit(&channel->event_vp, NO_EVENTS, memory_order_release);
    server_channel_transition(channel, restored ? VMBUS_SERVER_REVOKED : VMBUS_SERVER_OFFERED);
    server_channel_let_go_of_ring(channel);
    if (restored) {
        server_due(channel->server, &channel->due, DUE_RESCIND);
    } else {
        answer_open(channel, open_id, status);
    }
}

enum vmbus_status vmbus_server_open_done(struct vmbus_server_channel *channel, uint32_t status)
{
    enum irql previous = server_lock(channel->server);
    enum vmbus_status result = opening_status(channel);

    if (result == VMBUS_OK && status == 0) {
        if (channel->ring_memory != NULL) {
            accept_open(channel, previous);
            return VMBUS_OK;
        }
        result = VMBUS_BAD_STATE;
    } else if (result == VMBUS_OK) {
        server_unlock(channel->server, previous);
        unmap_rings(channel);
        previous = server_lock(channel->server);
        result = opening_status(channel); /* the guest may have closed meanwhile */
        if (result == VMBUS_OK) {
            refuse_open(channel, status);
        }
    }
    server_settle(channel->server, previous);
    return result;
}

void vmbus_server_close_done(struct vmbus_server_channel *channel)
{
    enum irql previous = server_lock(channel->server);

    bool asked = channel->state == VMBUS_SERVER_CLOSING && (channel->notices & NOTICE_CLOSE) == 0;
    server_unlock(channel->server, previous);
    ASSERT(asked); /* or the caller answers a `close` that did not come */
    unmap_rings(channel);
    previous = server_lock(channel->server);
    channel->restored = false;
    server_channel_let_go_of_ring(channel);
    server_channel_closed(channel);
    server_settle(channel->server, previous);
}

/* ---- signals ---- */

void vmbus_server_raise(struct vmbus_server_channel *channel)
{
    const struct vmbus_server_host *host = &channel->server->host;
    uint32_t vp = atomic_load_explicit(&channel->event_vp, memory_order_acquire);

    if (vp != NO_EVENTS && !host->event(host->context, vp, channel->relid)) {
        atomic_fetch_add_explicit(&channel->server->events_failed, 1, memory_order_relaxed);
    }
}

hv_status vmbus_server_signal(struct vmbus_server *server, uint32_t connection_id, uint32_t flag)
{
    enum irql previous = server_lock(server);
    struct vmbus_server_channel *channel =
        server_channel_known(server, connection_id - VMBUS_SERVER_CONNECTION_ID_BASE);

    server->statistics.signals++;
    if (channel == NULL || flag != 0) {
        server->statistics.signals_unknown++;
        server_unlock(server, previous);
        return channel == NULL ? HV_STATUS_INVALID_CONNECTION_ID : HV_STATUS_INVALID_PARAMETER;
    }
    if (channel->state == VMBUS_SERVER_OPEN) {
        channel->event_users++;
        server_unlock(server, IRQL_DISPATCH);
        channel->owner.event(channel->owner.context);
        (void)server_lock(server);
        channel->event_users--;
        server_channel_retire(channel);
    }
    server_settle(server, previous);
    return HV_STATUS_SUCCESS;
}
