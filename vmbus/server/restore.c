/* SPDX-License-Identifier: MIT */
/*
 * Saved bytes become a server again in two steps. Here everything is read, checked and built in a
 * server of its own that nobody knows of; whatever is wrong, that one is thrown away. Then it is
 * joined with the channels that are offered here (join.c), which cannot fail.
 */
#include <string.h>

#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/server/checksum.h"
#include "vmbus/server/internal.h"
#include "vmbus/server/saved.h"

#define GPADL_WORDS_MAXIMUM 8191u /* the 16-bit length of a list, in whole words */

/* ---- reading ---- */

struct source {
    const uint8_t *at;
    size_t left;
};

static bool take(struct source *source, void *out, size_t size)
{
    if (size > source->left) {
        return false;
    }
    memcpy(out, source->at, size);
    source->at += size;
    source->left -= size;
    return true;
}

static enum vmbus_server_restored check_seal(const void *buffer, size_t size)
{
    struct saved_header header;

    if (size < sizeof(header)) {
        return VMBUS_SERVER_RESTORE_TRUNCATED;
    }
    memcpy(&header, buffer, sizeof(header));
    if (header.magic != SAVED_MAGIC) {
        return VMBUS_SERVER_RESTORE_FOREIGN;
    }
    if (header.format > SAVED_FORMAT) {
        return VMBUS_SERVER_RESTORE_NEWER;
    }
    if (header.size > size) {
        return VMBUS_SERVER_RESTORE_TRUNCATED;
    }
    uint32_t checksum = header.checksum;
    header.checksum = 0;
    uint32_t sum = vmbus_checksum(0, &header, sizeof(header));
    sum = vmbus_checksum(sum, (const uint8_t *)buffer + sizeof(header), size - sizeof(header));
    return header.format != SAVED_FORMAT || header.size != size || sum != checksum
               ? VMBUS_SERVER_RESTORE_DAMAGED
               : VMBUS_SERVER_RESTORED;
}

/* Of values that stand for true and false, or for a state. */
static bool all_below(uint32_t end, const uint32_t *values, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (values[i] >= end) {
            return false;
        }
    }
    return true;
}

static enum vmbus_server_restored read_connection(struct vmbus_server *scratch,
                                                  const struct saved_connection *saved)
{
    const uint32_t truths[] = {saved->offers_requested, saved->contact_monitor_pages_valid};
    static const uint8_t states[] = {
        [SAVED_DISCONNECTED] = DISCONNECTED,
        [SAVED_CONNECTED] = CONNECTED,
        [SAVED_DISCONNECTING] = DISCONNECTING,
    };
    static const uint8_t nexts[] = {
        [SAVED_NEXT_NOTHING] = NEXT_NOTHING,
        [SAVED_NEXT_UNLOAD_COMPLETE] = NEXT_UNLOAD_COMPLETE,
        [SAVED_NEXT_CONTACT] = NEXT_CONTACT,
    };

    if (saved->state >= sizeof(states) || saved->next >= sizeof(nexts) ||
        (saved->next != SAVED_NEXT_NOTHING && saved->state != SAVED_DISCONNECTING) ||
        (saved->offers_requested != 0 && saved->state != SAVED_CONNECTED) ||
        (saved->channels != 0 && saved->state == SAVED_DISCONNECTED) ||
        (saved->version == 0 && saved->state != SAVED_DISCONNECTED) ||
        (saved->messages != 0 && saved->state == SAVED_DISCONNECTING) ||
        !all_below(2, truths, sizeof(truths) / sizeof(truths[0])) ||
        saved->contact_sint >= SERVER_SINTS || saved->messages > VMBUS_SERVER_QUEUE_SIZE) {
        return VMBUS_SERVER_RESTORE_DAMAGED;
    }
    if (saved->version != 0 && !server_speaks(scratch, saved->version)) {
        return VMBUS_SERVER_RESTORE_LIMITS;
    }
    scratch->state = (enum connection_state)states[saved->state];
    scratch->next = (enum connection_next)nexts[saved->next];
    scratch->version = saved->version;
    scratch->offers_requested = saved->offers_requested != 0;
    scratch->contact = (struct contact){
        .version = saved->contact_version,
        .vp = saved->contact_vp,
        .sint = saved->contact_sint,
        .monitor_pages_valid = saved->contact_monitor_pages_valid != 0,
    };
    return VMBUS_SERVER_RESTORED;
}

static bool gpadl_is_sound(const struct vmbus_server_channel *channel,
                           const struct saved_gpadl *saved)
{
    bool collecting = saved->state == SAVED_COLLECTING;

    /* Ids of lists in progress are unique over all channels. */
    for (struct gpadl *other = channel->server->collecting; collecting && other != NULL;
         other = other->next_collecting) {
        if (other->id == saved->id) {
            return false;
        }
    }
    return saved->id != 0 && saved->state < SAVED_GPADL_STATES && saved->is_ring < 2 &&
           saved->range_count != 0 && saved->word_count <= GPADL_WORDS_MAXIMUM &&
           saved->range_count <= saved->word_count / 2 &&
           (saved->words_missing != 0) == collecting && saved->words_missing <= saved->word_count &&
           (saved->is_ring == 0 ||
            (!collecting && channel->ring == NULL && server_state_is_active(channel->state))) &&
           server_gpadl_find(channel, saved->id) == NULL;
}

static enum vmbus_server_restored read_gpadl(struct vmbus_server_channel *channel,
                                             struct source *source)
{
    struct vmbus_server *scratch = channel->server;
    const struct vmbus_server_options *options = &scratch->options;
    struct saved_gpadl saved;

    if (!take(source, &saved, sizeof(saved)) || !gpadl_is_sound(channel, &saved)) {
        return VMBUS_SERVER_RESTORE_DAMAGED;
    }
    if (scratch->gpadls >= options->gpadls ||
        (saved.state == SAVED_COLLECTING &&
         scratch->collecting_count >= options->gpadls_in_progress) ||
        saved.word_count > options->gpadl_pages - scratch->gpadl_words) {
        return VMBUS_SERVER_RESTORE_LIMITS;
    }
    struct gpadl *gpadl = server_gpadl_new(channel, saved.id, saved.range_count, saved.word_count);
    if (gpadl == NULL) {
        return VMBUS_SERVER_RESTORE_NO_MEMORY;
    }
    gpadl->words_missing = saved.words_missing;
    if (!take(source, gpadl->words, saved.word_count * sizeof(gpadl->words[0]))) {
        return VMBUS_SERVER_RESTORE_DAMAGED;
    }
    if (saved.state == SAVED_COLLECTING) {
        return VMBUS_SERVER_RESTORED;
    }
    server_gpadl_collected(gpadl);
    gpadl->state = saved.state == SAVED_STANDING ? GPADL_STANDING : GPADL_LEAVING;
    gpadl->frame_count = server_gpadl_check(gpadl->words, gpadl->word_count, gpadl->range_count);
    if (saved.is_ring != 0) {
        gpadl->is_ring = true;
        channel->ring = gpadl;
    }
    return gpadl->frame_count != 0 ? VMBUS_SERVER_RESTORED : VMBUS_SERVER_RESTORE_DAMAGED;
}

static struct open_request request_of(const struct saved_open_request *saved)
{
    struct open_request request = {
        .open_id = saved->open_id,
        .ring_gpadl = saved->ring_gpadl,
        .target_vp = saved->target_vp,
        .downstream_page = saved->downstream_page,
    };

    memcpy(request.user_data, saved->user_data, sizeof(request.user_data));
    return request;
}

static bool channel_is_sound(const struct vmbus_server *scratch, const struct saved_channel *saved)
{
    const uint32_t truths[] = {saved->revoked, saved->guest_released, saved->reopening};

    return saved->relid >= VMBUS_RELID_FIRST && saved->relid < VMBUS_RELID_END &&
           scratch->by_relid[saved->relid] == NULL && saved->state < SAVED_CHANNEL_STATES &&
           (saved->state == SAVED_CLOSING || scratch->state == CONNECTED) &&
           (saved->flags & ~VMBUS_SERVER_OFFER_FLAGS) == 0 &&
           all_below(2, truths, sizeof(truths) / sizeof(truths[0])) &&
           (saved->revoked == 0 || saved->state == SAVED_CLOSING ||
            saved->state == SAVED_REVOKED) &&
           (saved->guest_released == 0 || (saved->revoked != 0 && saved->state == SAVED_CLOSING)) &&
           (saved->reopening == 0 || (saved->revoked == 0 && saved->state == SAVED_CLOSING));
}

static bool index_is_sound(uint32_t index, uint32_t pages)
{
    return index % 8 == 0 && index < pages * RING_PAGE_SIZE;
}

/* With its GPADLs read. */
static bool ring_is_sound(const struct vmbus_server_channel *channel)
{
    uint32_t downstream = channel->request.downstream_page;

    if (channel->ring == NULL) {
        return channel->state != VMBUS_SERVER_OPENING;
    }
    return server_gpadl_is_ring(channel->ring, downstream) &&
           index_is_sound(channel->saved_incoming_index, downstream - 1) &&
           index_is_sound(channel->saved_outgoing_index,
                          channel->ring->frame_count - downstream - 1);
}

static enum vmbus_server_restored read_channel(struct vmbus_server *scratch, struct source *source)
{
    static const uint8_t states[SAVED_CHANNEL_STATES] = {
        [SAVED_OFFERED] = VMBUS_SERVER_OFFERED, [SAVED_OPENING] = VMBUS_SERVER_OPENING,
        [SAVED_OPEN] = VMBUS_SERVER_OPENING,    [SAVED_CLOSING] = VMBUS_SERVER_CLOSING,
        [SAVED_REVOKED] = VMBUS_SERVER_REVOKED,
    };
    struct saved_channel saved;
    enum vmbus_server_restored result = VMBUS_SERVER_RESTORED;

    if (!take(source, &saved, sizeof(saved)) || !channel_is_sound(scratch, &saved)) {
        return VMBUS_SERVER_RESTORE_DAMAGED;
    }
    struct vmbus_server_channel *channel = memory_allocate(sizeof(*channel));
    if (channel == NULL) {
        return VMBUS_SERVER_RESTORE_NO_MEMORY;
    }
    channel->server = scratch;
    channel->due.kind = DUE_OF_CHANNEL;
    channel->state = (enum vmbus_server_state)states[saved.state];
    channel->revoked = saved.revoked != 0;
    channel->guest_released = saved.guest_released != 0;
    channel->reopening = saved.reopening != 0;
    channel->restored = saved.state == SAVED_OPEN;
    channel->saved_incoming_index = saved.incoming_index;
    channel->saved_outgoing_index = saved.outgoing_index;
    channel->result_open_id = saved.result_open_id;
    channel->result_status = saved.result_status;
    channel->request = request_of(&saved.request);
    channel->reopen = request_of(&saved.reopen);
    channel->offer = (struct vmbus_server_offer){
        .interface_type = saved.interface_type,
        .interface_instance = saved.interface_instance,
        .flags = saved.flags,
        .mmio_megabytes = saved.mmio_megabytes,
        .mmio_megabytes_optional = saved.mmio_megabytes_optional,
        .sub_channel_index = saved.sub_channel_index,
        .relid = saved.relid,
    };
    memcpy(channel->offer.user_defined, saved.user_defined, sizeof(saved.user_defined));
    bool is_double =
        !channel->revoked && server_channel_find(scratch, &channel->offer, false) != NULL;
    *scratch->channels_end = channel;
    scratch->channels_end = &channel->next;
    server_channel_number(channel, saved.relid);
    for (uint32_t i = 0; i < saved.gpadls && result == VMBUS_SERVER_RESTORED; i++) {
        result = read_gpadl(channel, source);
    }
    return result == VMBUS_SERVER_RESTORED && (is_double || !ring_is_sound(channel))
               ? VMBUS_SERVER_RESTORE_DAMAGED
               : result;
}

static bool read_message(struct vmbus_server *scratch, struct source *source)
{
    struct saved_message saved;
    uint32_t type;

    if (!take(source, &saved, sizeof(saved)) || saved.size < sizeof(struct vmbus_message_header) ||
        saved.sint >= SERVER_SINTS) {
        return false;
    }
    memcpy(&type, saved.payload, sizeof(type));
    if (!vmbus_message_host_may_send(type, saved.size, VMBUS_VERSION_6_0, 0)) {
        return false;
    }
    struct outgoing *out = &scratch->queue[scratch->queue_count++];
    out->vp = saved.vp;
    out->sint = saved.sint;
    out->size = saved.size;
    memcpy(out->payload, saved.payload, saved.size);
    return true;
}

/* The object that has these messages to send; NULL: there is none that could have. */
static struct due *due_of(struct vmbus_server *scratch, const struct saved_due *saved)
{
    struct vmbus_server_channel *channel =
        saved->relid < VMBUS_RELID_END ? scratch->by_relid[saved->relid] : NULL;
    uint32_t possible = 0;
    struct due *due = NULL;

    if (saved->kind == SAVED_DUE_CONNECTION) {
        due = &scratch->due;
        possible = scratch->state == CONNECTED ? DUE_ALL_OFFERS : 0;
    } else if (channel != NULL && saved->kind == SAVED_DUE_CHANNEL) {
        due = &channel->due;
        possible = DUE_OPEN_RESULT;
        if (channel->state == VMBUS_SERVER_OFFERED) {
            possible |= DUE_OFFER;
        } else if (channel->revoked || channel->state == VMBUS_SERVER_REVOKED) {
            possible |= DUE_RESCIND;
        }
    } else if (channel != NULL && saved->kind == SAVED_DUE_GPADL) {
        struct gpadl *gpadl = server_gpadl_find(channel, saved->gpadl);
        if (gpadl != NULL && gpadl->state != GPADL_COLLECTING) {
            due = &gpadl->due;
            possible = DUE_CREATED;
            if (gpadl->state == GPADL_LEAVING && !gpadl->is_ring) {
                possible |= DUE_TORNDOWN;
            }
        }
    }
    return saved->messages != 0 && (saved->messages & ~possible) == 0 ? due : NULL;
}

static bool read_due(struct vmbus_server *scratch, struct source *source)
{
    struct saved_due saved;

    if (!take(source, &saved, sizeof(saved))) {
        return false;
    }
    struct due *due = due_of(scratch, &saved);
    if (due == NULL || due->listed) {
        return false;
    }
    due->messages = (uint8_t)saved.messages;
    due->listed = true;
    *scratch->dues_end = due;
    scratch->dues_end = &due->next;
    return true;
}

static enum vmbus_server_restored read_all(struct vmbus_server *scratch, struct source source)
{
    struct saved_connection saved;

    if (!take(&source, &saved, sizeof(saved))) {
        return VMBUS_SERVER_RESTORE_DAMAGED;
    }
    enum vmbus_server_restored result = read_connection(scratch, &saved);
    for (uint32_t i = 0; i < saved.channels && result == VMBUS_SERVER_RESTORED; i++) {
        result = read_channel(scratch, &source);
    }
    if (result != VMBUS_SERVER_RESTORED) {
        return result;
    }
    bool good = true;
    for (uint32_t i = 0; i < saved.messages && good; i++) {
        good = read_message(scratch, &source);
    }
    for (uint32_t i = 0; i < saved.dues && good; i++) {
        good = read_due(scratch, &source);
    }
    return good && source.left == 0 ? VMBUS_SERVER_RESTORED : VMBUS_SERVER_RESTORE_DAMAGED;
}

/* Frees what is left in it. */
static void discard(struct vmbus_server *scratch)
{
    struct vmbus_server_channel *next;

    server_queue_clear(scratch);
    for (struct vmbus_server_channel *channel = scratch->channels; channel != NULL;
         channel = next) {
        next = channel->next;
        if (channel->ring != NULL) {
            channel->ring->is_ring = false;
        }
        server_gpadls_forget(channel);
        memory_free(channel);
    }
    memory_free(scratch);
}

/* ---- restoring ---- */

enum vmbus_server_restored vmbus_server_restore(struct vmbus_server *server, const void *buffer,
                                                size_t size)
{
    enum vmbus_server_restored result = check_seal(buffer, size);

    if (result != VMBUS_SERVER_RESTORED) {
        return result;
    }
    struct vmbus_server *scratch = vmbus_server_create(&server->host, &server->options);
    if (scratch == NULL) {
        return VMBUS_SERVER_RESTORE_NO_MEMORY;
    }
    const struct source source = {
        .at = (const uint8_t *)buffer + sizeof(struct saved_header),
        .left = size - sizeof(struct saved_header),
    };
    result = read_all(scratch, source);
    if (result == VMBUS_SERVER_RESTORED) {
        enum irql previous = server_lock(server);
        if (server->contacted) {
            result = VMBUS_SERVER_RESTORE_BAD_STATE;
        } else {
            server_join(server, scratch);
        }
        server_settle(server, previous);
    }
    discard(scratch);
    return result;
}

const char *vmbus_server_restored_name(enum vmbus_server_restored result)
{
    static const char *const names[] = {
        [VMBUS_SERVER_RESTORED] = "restored",
        [VMBUS_SERVER_RESTORE_TRUNCATED] = "truncated",
        [VMBUS_SERVER_RESTORE_FOREIGN] = "not a saved bus",
        [VMBUS_SERVER_RESTORE_NEWER] = "saved by a newer version",
        [VMBUS_SERVER_RESTORE_DAMAGED] = "damaged",
        [VMBUS_SERVER_RESTORE_LIMITS] = "beyond the limits of this server",
        [VMBUS_SERVER_RESTORE_BAD_STATE] = "this server has seen a guest",
        [VMBUS_SERVER_RESTORE_NO_MEMORY] = "no memory",
    };

    return (unsigned)result < sizeof(names) / sizeof(names[0]) ? names[result] : "unknown";
}
