/* SPDX-License-Identifier: MIT */
/*
 * A connection from INITIATE_CONTACT to its end: UNLOAD, another INITIATE_CONTACT, or a reset of
 * the guest. An end takes as long as owners need to let go of the guest's memory; only then is it
 * answered, for with the answer the guest takes that memory back.
 */
#include <string.h>

#include "hv/synic.h"
#include "kernel/panic.h"
#include "vmbus/server/internal.h"

/* ---- states ---- */

static void transition(struct vmbus_server *server, enum connection_state state)
{
    static const uint8_t allowed[] = {
        [DISCONNECTED] = 1u << CONNECTED,
        [CONNECTED] = 1u << DISCONNECTING,
        [DISCONNECTING] = 1u << DISCONNECTED,
    };

    ASSERT((allowed[server->state] & 1u << state) != 0);
    server->state = state;
}

/* ---- contact ---- */

/* Decides about the contact that waits, and answers it. Locked, disconnected, nothing queued. */
static void answer_contact(struct vmbus_server *server)
{
    const struct contact *contact = &server->contact;
    struct vmbus_message_version_response_2 answer = {
        .response = {.header = {.type = VMBUS_MESSAGE_VERSION_RESPONSE}}};
    struct vmbus_message_version_response *response = &answer.response;
    uint32_t size = sizeof(*response);

    /* A refusal is all zeros. */
    if (contact->sint == HV_SYNIC_SINT_VMBUS && server_speaks(server, contact->version)) {
        response->supported = 1;
        response->connection_state = VMBUS_CONTACT_UNKNOWN_FAILURE;
        response->connection_id =
            contact->version >= VMBUS_VERSION_5_0 ? VMBUS_CONNECTION_ID_MESSAGES : contact->version;
        if (contact->version >= VMBUS_VERSION_6_0) {
            size = sizeof(answer); /* no features */
        }
        if (contact->monitor_pages_valid) {
            response->connection_state = VMBUS_CONTACT_SUCCESSFUL;
            server->version = contact->version;
            transition(server, CONNECTED);
        }
    }
    server_answer(server, &answer, size);
}

/* Both or none, each on a page of its own. No channel is ever monitored, so nobody uses them. */
static bool monitor_pages_are_valid(const struct vmbus_message_initiate_contact *message)
{
    return (message->parent_to_child_monitor == 0) == (message->child_to_parent_monitor == 0) &&
           ((message->parent_to_child_monitor | message->child_to_parent_monitor) & 0xFFF) == 0;
}

enum vmbus_message_verdict server_contact_received(struct vmbus_server *server, const void *message,
                                                   uint32_t size)
{
    const struct vmbus_message_initiate_contact *request = message;
    struct contact contact = {
        .version = request->version,
        .vp = request->version >= VMBUS_VERSION_3_0 ? request->target_vp : 0,
        .sint = HV_SYNIC_SINT_VMBUS,
        .monitor_pages_valid = monitor_pages_are_valid(request),
    };
    const struct vmbus_contact_target *target = &request->target;

    if (request->version >= VMBUS_VERSION_6_0 &&
        (target->features & VMBUS_FEATURE_CLIENT_ID) != 0 &&
        size < sizeof(struct vmbus_message_initiate_contact_2)) {
        return VMBUS_MESSAGE_MALFORMED;
    }
    /* Guests that do not know of another connection id have other things in these bytes. */
    if (server->arrived_on == VMBUS_CONNECTION_ID_MULTI_CLIENT &&
        request->version >= VMBUS_VERSION_5_0) {
        if (target->sint >= SERVER_SINTS ||
            (request->version >= VMBUS_VERSION_5_1 && target->vtl != 0)) {
            return VMBUS_MESSAGE_MALFORMED;
        }
        contact.sint = target->sint;
    }
    server_disconnect(server, NEXT_NOTHING);
    server->contacted = true;
    server->contact = contact;
    if (server->state == DISCONNECTED) {
        answer_contact(server);
    } else {
        server->next = NEXT_CONTACT;
    }
    return VMBUS_MESSAGE_GOOD;
}

/* ---- offers ---- */

enum vmbus_message_verdict server_request_offers_received(struct vmbus_server *server,
                                                          const void *message, uint32_t size)
{
    (void)message;
    (void)size;
    if (server->offers_requested) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    server->offers_requested = true;
    /* A guest can do nothing with a sub-channel of a device that it does not know. */
    for (int sub_channels = 0; sub_channels < 2; sub_channels++) {
        for (struct vmbus_server_channel *channel = server->channels; channel != NULL;
             channel = channel->next) {
            if ((channel->offer.sub_channel_index != 0) == sub_channels) {
                server_offer_now(channel);
            }
        }
    }
    server_due(server, &server->due, DUE_ALL_OFFERS);
    return VMBUS_MESSAGE_GOOD;
}

enum vmbus_message_verdict server_tl_connect_received(struct vmbus_server *server,
                                                      const void *message, uint32_t size)
{
    const struct vmbus_message_tl_connect_request *request = message;
    const struct vmbus_message_tl_connect_result result = {
        .header = {.type = VMBUS_MESSAGE_TL_CONNECT_RESULT},
        .endpoint = request->endpoint,
        .service = request->service,
        .status = VMBUS_SERVER_CONNECTION_REFUSED,
    };

    (void)size;
    /* There was no answer before. */
    if (server->version >= VMBUS_VERSION_4_1) {
        server_answer(server, &result, sizeof(result));
    }
    return VMBUS_MESSAGE_GOOD;
}

/* ---- the end ---- */

enum vmbus_message_verdict server_unload_received(struct vmbus_server *server, const void *message,
                                                  uint32_t size)
{
    (void)message;
    (void)size;
    server_disconnect(server, NEXT_UNLOAD_COMPLETE);
    return VMBUS_MESSAGE_GOOD;
}

void server_disconnect_go_on(struct vmbus_server *server)
{
    static const struct vmbus_message_bare complete = {
        .header = {.type = VMBUS_MESSAGE_UNLOAD_COMPLETE}};

    if (server->state != DISCONNECTING || server->in_use != 0) {
        return;
    }
    enum connection_next next = server->next;

    server->next = NEXT_NOTHING;
    transition(server, DISCONNECTED);
    if (next == NEXT_CONTACT) {
        answer_contact(server);
    } else if (next == NEXT_UNLOAD_COMPLETE) {
        server_answer(server, &complete, sizeof(complete));
    }
}

void server_disconnect(struct vmbus_server *server, enum connection_next next)
{
    struct vmbus_server_channel *following;

    server_queue_clear(server);
    server->offers_requested = false;
    server->next = next;
    if (server->state != CONNECTED) {
        return; /* nothing of a guest is here, or it is on its way out */
    }
    transition(server, DISCONNECTING);
    for (struct vmbus_server_channel *channel = server->channels; channel != NULL;
         channel = following) {
        following = channel->next;
        server_channel_guest_left(channel);
    }
    server_number_channels(server);
    server_disconnect_go_on(server);
}
