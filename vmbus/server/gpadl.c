/* SPDX-License-Identifier: MIT */
/*
 * GPADLs: lists of guest pages that come in pieces, and stay as they came. What a guest gets back
 * by tearing one down is its own again at once, unless the host has it mapped: then it waits.
 */
#include <string.h>

#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/server/internal.h"

#define FRAME_END (UINT64_C(1) << 52) /* of a 64-bit address */

/* ---- lists ---- */

/* Reads one range at *at: its numbers, and how many frames follow. False: a rule is broken. */
static bool next_range(const uint64_t *words, uint32_t word_count, uint32_t *at,
                       struct vmbus_server_range *range)
{
    if (*at >= word_count) {
        return false;
    }
    range->byte_count = (uint32_t)words[*at];
    range->byte_offset = (uint32_t)(words[*at] >> 32);
    uint64_t frames =
        ((uint64_t)range->byte_offset + range->byte_count + RING_PAGE_SIZE - 1) / RING_PAGE_SIZE;
    *at += 1;
    if (range->byte_count == 0 || range->byte_offset >= RING_PAGE_SIZE ||
        frames > word_count - *at) {
        return false;
    }
    range->frames = words + *at;
    range->frame_count = (size_t)frames;
    *at += (uint32_t)frames;
    return true;
}

uint32_t server_gpadl_check(const uint64_t *words, uint32_t word_count, uint32_t range_count)
{
    struct vmbus_server_range range;
    uint32_t frames = 0;
    uint32_t at = 0;

    for (uint32_t i = 0; i < range_count; i++) {
        if (!next_range(words, word_count, &at, &range)) {
            return 0;
        }
        for (size_t page = 0; page < range.frame_count; page++) {
            if (range.frames[page] >= FRAME_END) {
                return 0;
            }
        }
        frames += (uint32_t)range.frame_count;
    }
    return frames;
}

bool server_gpadl_is_ring(const struct gpadl *gpadl, uint32_t downstream_page)
{
    /* One range of whole pages; two of them at least for each ring. */
    return gpadl->range_count == 1 &&
           gpadl->words[0] == (uint64_t)gpadl->frame_count * RING_PAGE_SIZE &&
           downstream_page >= 2 && downstream_page < gpadl->frame_count &&
           gpadl->frame_count - downstream_page >= 2;
}

/* ---- life ---- */

struct gpadl *server_gpadl_find(const struct vmbus_server_channel *channel, uint32_t id)
{
    struct gpadl *gpadl = channel->gpadls;

    while (gpadl != NULL && (gpadl->id != id || gpadl->state == GPADL_FORGOTTEN)) {
        gpadl = gpadl->next;
    }
    return gpadl;
}

static struct gpadl *find_collecting(const struct vmbus_server *server, uint32_t id)
{
    struct gpadl *gpadl = server->collecting;

    while (gpadl != NULL && gpadl->id != id) {
        gpadl = gpadl->next_collecting;
    }
    return gpadl;
}

struct gpadl *server_gpadl_new(struct vmbus_server_channel *channel, uint32_t id,
                               uint32_t range_count, uint32_t word_count)
{
    struct vmbus_server *server = channel->server;
    struct gpadl *gpadl =
        memory_allocate(sizeof(*gpadl) + (size_t)word_count * sizeof(gpadl->words[0]));

    if (gpadl == NULL) {
        return NULL;
    }
    gpadl->channel = channel;
    gpadl->due.kind = DUE_OF_GPADL;
    gpadl->id = id;
    gpadl->range_count = range_count;
    gpadl->word_count = word_count;
    gpadl->words_missing = word_count;
    struct gpadl **end = &channel->gpadls;
    while (*end != NULL) {
        end = &(*end)->next;
    }
    *end = gpadl;
    gpadl->next_collecting = server->collecting;
    server->collecting = gpadl;
    server->collecting_count++;
    server->gpadls++;
    server->gpadl_words += word_count;
    return gpadl;
}

void server_gpadl_collected(struct gpadl *gpadl)
{
    struct vmbus_server *server = gpadl->channel->server;
    struct gpadl **link = &server->collecting;

    while (*link != gpadl) {
        link = &(*link)->next_collecting;
    }
    *link = gpadl->next_collecting;
    server->collecting_count--;
    gpadl->state = GPADL_STANDING;
}

void server_gpadl_free(struct gpadl *gpadl)
{
    struct vmbus_server *server = gpadl->channel->server;
    struct gpadl **link = &gpadl->channel->gpadls;

    if (gpadl->state == GPADL_COLLECTING) {
        server_gpadl_collected(gpadl);
    }
    server_due_cancel(server, &gpadl->due);
    while (*link != gpadl) {
        link = &(*link)->next;
    }
    *link = gpadl->next;
    server->gpadls--;
    server->gpadl_words -= gpadl->word_count;
    memory_free(gpadl);
}

static bool is_held(const struct gpadl *gpadl)
{
    return gpadl->is_ring || gpadl->mapped;
}

void server_gpadl_let_go(struct gpadl *gpadl)
{
    if (is_held(gpadl)) {
        return;
    }
    if (gpadl->state == GPADL_FORGOTTEN) {
        server_gpadl_free(gpadl);
    } else if (gpadl->state == GPADL_LEAVING) {
        /* Freed when that was said. */
        server_due(gpadl->channel->server, &gpadl->due, DUE_TORNDOWN);
    }
}

void server_gpadls_forget(struct vmbus_server_channel *channel)
{
    struct gpadl *next;

    for (struct gpadl *gpadl = channel->gpadls; gpadl != NULL; gpadl = next) {
        next = gpadl->next;
        if (is_held(gpadl)) {
            server_due_cancel(channel->server, &gpadl->due);
            gpadl->state = GPADL_FORGOTTEN;
        } else {
            server_gpadl_free(gpadl);
        }
    }
}

/* ---- messages ---- */

static void refuse(struct vmbus_server *server, uint32_t relid, uint32_t id)
{
    const struct vmbus_message_gpadl_created created = {
        .header = {.type = VMBUS_MESSAGE_GPADL_CREATED},
        .relid = relid,
        .gpadl = id,
        .status = VMBUS_SERVER_FAILURE,
    };

    server->statistics.gpadls_refused++;
    server_answer(server, &created, sizeof(created));
}

/* Adds the next part of the list, as much of it as is missing. */
static void collect(struct vmbus_server *server, struct gpadl *gpadl, const uint8_t *bytes,
                    uint32_t size)
{
    uint32_t words = size / (uint32_t)sizeof(gpadl->words[0]);

    if (words > gpadl->words_missing) {
        words = gpadl->words_missing;
    }
    memcpy(gpadl->words + (gpadl->word_count - gpadl->words_missing), bytes,
           (size_t)words * sizeof(gpadl->words[0]));
    gpadl->words_missing -= words;
    if (gpadl->words_missing != 0) {
        return;
    }
    gpadl->frame_count = server_gpadl_check(gpadl->words, gpadl->word_count, gpadl->range_count);
    if (gpadl->frame_count == 0 || gpadl->channel->revoked) {
        uint32_t relid = gpadl->channel->relid;
        uint32_t id = gpadl->id;
        server_gpadl_free(gpadl);
        refuse(server, relid, id);
    } else {
        server_gpadl_collected(gpadl);
        server_due(server, &gpadl->due, DUE_CREATED);
    }
}

enum vmbus_message_verdict server_gpadl_header_received(struct vmbus_server *server,
                                                        const void *message, uint32_t size)
{
    const struct vmbus_message_gpadl_header *header = message;
    struct vmbus_server_channel *channel = server_channel_known(server, header->relid);
    const struct vmbus_server_options *options = &server->options;
    struct gpadl *gpadl = NULL;
    uint32_t words = header->range_bytes / 8u;

    if (channel == NULL) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    /* The smallest range takes two words. */
    if (!channel->revoked && channel->state != VMBUS_SERVER_REVOKED && header->gpadl != 0 &&
        header->range_count != 0 && words >= 2u * header->range_count &&
        server_gpadl_find(channel, header->gpadl) == NULL &&
        find_collecting(server, header->gpadl) == NULL && server->gpadls < options->gpadls &&
        server->collecting_count < options->gpadls_in_progress &&
        words <= options->gpadl_pages - server->gpadl_words) {
        gpadl = server_gpadl_new(channel, header->gpadl, header->range_count, words);
    }
    if (gpadl == NULL) {
        refuse(server, header->relid, header->gpadl);
    } else {
        collect(server, gpadl, (const uint8_t *)message + sizeof(*header),
                size - (uint32_t)sizeof(*header));
    }
    return VMBUS_MESSAGE_GOOD;
}

enum vmbus_message_verdict server_gpadl_body_received(struct vmbus_server *server,
                                                      const void *message, uint32_t size)
{
    const struct vmbus_message_gpadl_body *body = message;
    struct gpadl *gpadl = find_collecting(server, body->gpadl);

    if (gpadl == NULL) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    collect(server, gpadl, (const uint8_t *)message + sizeof(*body),
            size - (uint32_t)sizeof(*body));
    return VMBUS_MESSAGE_GOOD;
}

enum vmbus_message_verdict server_gpadl_teardown_received(struct vmbus_server *server,
                                                          const void *message, uint32_t size)
{
    const struct vmbus_message_gpadl_teardown *teardown = message;
    struct vmbus_server_channel *channel = server_channel_known(server, teardown->relid);
    struct gpadl *gpadl = channel != NULL ? server_gpadl_find(channel, teardown->gpadl) : NULL;

    (void)size;
    if (gpadl == NULL || gpadl->state != GPADL_STANDING) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    gpadl->state = GPADL_LEAVING;
    if (gpadl->mapped && channel->owner.gpadl_wanted != NULL) {
        gpadl->wanted = true;
        server_notice(channel, NOTICE_GPADL);
    }
    server_gpadl_let_go(gpadl);
    return VMBUS_MESSAGE_GOOD;
}

/* ---- mapping ---- */

static void unmap_ranges(const struct vmbus_server_host *host, struct vmbus_server_range *ranges,
                         uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        host->unmap(host->context, ranges[i].address, ranges[i].frame_count);
    }
    memory_free(ranges);
}

/* The list is complete and constant, and held: no lock. */
static enum vmbus_status map_ranges(const struct vmbus_server_host *host, struct gpadl *gpadl,
                                    bool writable)
{
    uint32_t at = 0;
    struct vmbus_server_range *ranges =
        memory_allocate(gpadl->range_count * sizeof(gpadl->ranges[0]));

    if (ranges == NULL) {
        return VMBUS_NO_MEMORY;
    }
    for (uint32_t i = 0; i < gpadl->range_count; i++) {
        struct vmbus_server_range *range = &ranges[i];
        bool good = next_range(gpadl->words, gpadl->word_count, &at, range);
        ASSERT(good);
        range->address = host->map(host->context, range->frames, range->frame_count, writable);
        if (range->address == NULL) {
            unmap_ranges(host, ranges, i);
            return VMBUS_REFUSED;
        }
    }
    gpadl->ranges = ranges;
    return VMBUS_OK;
}

/* The owner holds it no more. Locked. */
static void unmapped(struct gpadl *gpadl)
{
    struct vmbus_server_channel *channel = gpadl->channel;

    gpadl->mapped = false;
    gpadl->wanted = false;
    channel->gpadls_mapped--;
    channel->server->in_use--;
    server_gpadl_let_go(gpadl);
    server_disconnect_go_on(channel->server);
    server_channel_retire(channel);
}

enum vmbus_status vmbus_server_gpadl_map(struct vmbus_server_channel *channel, uint32_t gpadl_id,
                                         bool writable, const struct vmbus_server_range **ranges,
                                         size_t *range_count)
{
    struct vmbus_server *server = channel->server;
    enum vmbus_status status = VMBUS_OK;
    enum irql previous = server_lock(server);
    struct gpadl *gpadl = server_gpadl_find(channel, gpadl_id);

    if (gpadl == NULL || gpadl->state == GPADL_COLLECTING) {
        status = VMBUS_BAD_ARGUMENT;
    } else if (gpadl->state != GPADL_STANDING || is_held(gpadl) ||
               (channel->state != VMBUS_SERVER_OPENING && channel->state != VMBUS_SERVER_OPEN)) {
        status = VMBUS_BAD_STATE;
    } else {
        gpadl->mapped = true;
        channel->gpadls_mapped++;
        server->in_use++;
    }
    server_unlock(server, previous);
    if (status != VMBUS_OK) {
        return status;
    }
    status = map_ranges(&server->host, gpadl, writable);
    if (status == VMBUS_OK) {
        *ranges = gpadl->ranges;
        *range_count = gpadl->range_count;
        return VMBUS_OK;
    }
    previous = server_lock(server);
    unmapped(gpadl);
    server_settle(server, previous);
    return status;
}

enum vmbus_status vmbus_server_gpadl_unmap(struct vmbus_server_channel *channel, uint32_t gpadl_id)
{
    struct vmbus_server *server = channel->server;
    enum irql previous = server_lock(server);
    struct gpadl *gpadl = channel->gpadls;

    while (gpadl != NULL && (gpadl->id != gpadl_id || gpadl->ranges == NULL)) {
        gpadl = gpadl->next;
    }
    if (gpadl == NULL) {
        server_unlock(server, previous);
        return VMBUS_BAD_ARGUMENT;
    }
    struct vmbus_server_range *ranges = gpadl->ranges;
    gpadl->ranges = NULL;
    server_unlock(server, previous);
    unmap_ranges(&server->host, ranges, gpadl->range_count);
    previous = server_lock(server);
    unmapped(gpadl);
    server_settle(server, previous);
    return VMBUS_OK;
}

void *vmbus_server_map_frames(struct vmbus_server_channel *channel, const uint64_t *frames,
                              size_t count, bool writable)
{
    const struct vmbus_server_host *host = &channel->server->host;

    return host->map(host->context, frames, count, writable);
}

void vmbus_server_unmap_frames(struct vmbus_server_channel *channel, void *address, size_t count)
{
    const struct vmbus_server_host *host = &channel->server->host;

    host->unmap(host->context, address, count);
}
