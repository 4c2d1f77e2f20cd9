/* SPDX-License-Identifier: MIT */
#include "vmbus/gpadl.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "vmbus/channel.h"
#include "vmbus/connection.h"
#include "vmbus/offers.h"

/* ---- messages of a GPADL ---- */

bool vmbus_gpadl_writer_start(struct vmbus_gpadl_writer *writer, uint32_t relid, uint32_t gpadl,
                              const struct vmbus_gpa_range *ranges, size_t range_count)
{
    uint64_t words = 0;

    for (size_t i = 0; i < range_count && words <= VMBUS_GPADL_WORDS_MAXIMUM; i++) {
        if (ranges[i].byte_count == 0 || ranges[i].byte_offset >= PAGE_SIZE) {
            return false;
        }
        words += 1 + vmbus_gpa_range_pages(&ranges[i]);
    }
    *writer = (struct vmbus_gpadl_writer){
        .range = ranges,
        .range_count = (uint16_t)range_count,
        .words_left = (uint32_t)words,
        .relid = relid,
        .gpadl = gpadl,
    };
    return words != 0 && words <= VMBUS_GPADL_WORDS_MAXIMUM;
}

/* The next 64-bit word of the list: a range's count and offset, or one of its frames. */
static uint64_t next_word(struct vmbus_gpadl_writer *writer)
{
    const struct vmbus_gpa_range *range = writer->range;

    if (!writer->in_range) {
        writer->in_range = true;
        writer->page = 0;
        return range->byte_count | (uint64_t)range->byte_offset << 32;
    }
    uint64_t frame =
        range->frames != NULL ? range->frames[writer->page] : range->first_frame + writer->page;
    writer->page++;
    if (writer->page == vmbus_gpa_range_pages(range)) {
        writer->in_range = false;
        writer->range++;
    }
    return frame;
}

uint32_t vmbus_gpadl_writer_next(struct vmbus_gpadl_writer *writer,
                                 unsigned char message[VMBUS_MESSAGE_SIZE_MAXIMUM])
{
    uint32_t size;
    uint32_t words;

    if (writer->words_left == 0) {
        return 0;
    }
    if (!writer->started) {
        const struct vmbus_message_gpadl_header header = {
            .header = {.type = VMBUS_MESSAGE_GPADL_HEADER},
            .relid = writer->relid,
            .gpadl = writer->gpadl,
            .range_bytes = (uint16_t)(writer->words_left * 8),
            .range_count = writer->range_count,
        };
        writer->started = true;
        words = VMBUS_GPADL_HEADER_WORDS;
        size = sizeof(header);
        memcpy(message, &header, sizeof(header));
    } else {
        const struct vmbus_message_gpadl_body body = {
            .header = {.type = VMBUS_MESSAGE_GPADL_BODY},
            .gpadl = writer->gpadl,
        };
        words = VMBUS_GPADL_BODY_WORDS;
        size = sizeof(body);
        memcpy(message, &body, sizeof(body));
    }
    for (; words != 0 && writer->words_left != 0; words--, writer->words_left--) {
        uint64_t word = next_word(writer);
        memcpy(message + size, &word, sizeof(word));
        size += (uint32_t)sizeof(word);
    }
    return size;
}

/* ---- the GPADLs of the connection ---- */

enum gpadl_state {
    GPADL_PENDING, /* some of its messages are out */
    GPADL_REFUSED,
    GPADL_CREATED,
    GPADL_TEARING_DOWN,
    GPADL_TORN_DOWN,
};

/* Where Linux guests start too: far from relids and open ids in a trace. Any but 0 would do. */
#define FIRST_GPADL 0xE1E10u

/* On the list of the bus, under its lock. */
struct gpadl {
    struct gpadl *next;
    struct vmbus_channel *channel;
    uint32_t id;
    enum gpadl_state state;
    struct event answered;
};

/* Under the lock. */
static struct gpadl *find(uint32_t id)
{
    struct gpadl *gpadl = vmbus_bus.gpadls;

    while (gpadl != NULL && gpadl->id != id) {
        gpadl = gpadl->next;
    }
    return gpadl;
}

/*
 * While one of the calls below is at work it holds a reference to the channel: what runs during its
 * waits may see the channel rescinded and give it up.
 */
static void add(struct gpadl *gpadl)
{
    enum irql previous = vmbus_lock();

    /* Ids go round: an answer that comes too late must not fit the next request. */
    do {
        gpadl->id = FIRST_GPADL + vmbus_bus.gpadls_made++;
    } while (gpadl->id == 0 || find(gpadl->id) != NULL);
    gpadl->next = vmbus_bus.gpadls;
    vmbus_bus.gpadls = gpadl;
    gpadl->channel->references++;
    vmbus_unlock(previous);
}

/* Takes it off the list and frees it. Returns the state it had. */
static enum gpadl_state drop(struct gpadl *gpadl)
{
    enum irql previous = vmbus_lock();
    struct gpadl **link = &vmbus_bus.gpadls;
    enum gpadl_state state = gpadl->state;

    while (*link != gpadl) {
        link = &(*link)->next;
    }
    *link = gpadl->next;
    vmbus_unlock(previous);
    memory_free(gpadl);
    return state;
}

void vmbus_gpadl_release_waits(const struct vmbus_channel *channel)
{
    for (struct gpadl *gpadl = vmbus_bus.gpadls; gpadl != NULL; gpadl = gpadl->next) {
        if (gpadl->channel == channel) {
            event_set(&gpadl->answered);
        }
    }
}

/* An answer moves a GPADL from `from` to `to`, if it is there. */
static bool answer(uint32_t id, const uint32_t *relid, enum gpadl_state from, enum gpadl_state to)
{
    enum irql previous = vmbus_lock();
    struct gpadl *gpadl = find(id);
    bool expected = gpadl != NULL && gpadl->state == from &&
                    (relid == NULL || vmbus_channel_offer(gpadl->channel)->relid == *relid);

    if (expected) {
        gpadl->state = to;
        event_set(&gpadl->answered);
    }
    vmbus_unlock(previous);
    return expected;
}

bool vmbus_gpadl_created_received(const void *message, uint32_t size)
{
    struct vmbus_message_gpadl_created created;

    (void)size;
    memcpy(&created, message, sizeof(created));
    return answer(created.gpadl, &created.relid, GPADL_PENDING,
                  created.status == 0 ? GPADL_CREATED : GPADL_REFUSED);
}

bool vmbus_gpadl_torndown_received(const void *message, uint32_t size)
{
    struct vmbus_message_gpadl_torndown torndown;

    (void)size;
    memcpy(&torndown, message, sizeof(torndown));
    return answer(torndown.gpadl, NULL, GPADL_TEARING_DOWN, GPADL_TORN_DOWN);
}

/* ---- create and tear down ---- */

/* Posts all messages; a rescind ends it. VMBUS_NO_ANSWER: some are out and the rest will never be.
 */
static enum vmbus_status post_list(struct vmbus_gpadl_writer *writer,
                                   const struct vmbus_channel *channel, uint64_t deadline)
{
    unsigned char message[VMBUS_MESSAGE_SIZE_MAXIMUM];
    enum vmbus_status status = VMBUS_OK;
    bool first = true;
    uint32_t size;

    while (status == VMBUS_OK && !vmbus_channel_lost(channel) &&
           (size = vmbus_gpadl_writer_next(writer, message)) != 0) {
        status = vmbus_post(message, size, deadline);
        if (status != VMBUS_OK && !first) {
            status = VMBUS_NO_ANSWER;
        }
        first = false;
    }
    return status;
}

enum vmbus_status vmbus_gpadl_create(struct vmbus_channel *channel,
                                     const struct vmbus_gpa_range *ranges, size_t range_count,
                                     uint32_t *gpadl_id)
{
    uint64_t deadline = clock_after(VMBUS_ANSWER_LIMIT);
    struct vmbus_gpadl_writer writer;
    uint32_t relid = vmbus_channel_offer(channel)->relid;

    if (!vmbus_gpadl_writer_start(&writer, relid, 0, ranges, range_count)) {
        return VMBUS_BAD_ARGUMENT;
    }
    struct gpadl *gpadl = memory_allocate(sizeof(*gpadl));
    if (gpadl == NULL) {
        return VMBUS_NO_MEMORY;
    }
    gpadl->channel = channel;
    gpadl->state = GPADL_PENDING;
    add(gpadl);
    writer.gpadl = gpadl->id;
    *gpadl_id = gpadl->id;

    enum vmbus_status status = post_list(&writer, channel, deadline);
    /* A rescind that came before the GPADL was listed has released nobody's wait. */
    if (status == VMBUS_OK && !vmbus_channel_lost(channel)) {
        (void)event_wait(&gpadl->answered, deadline);
    }
    if (status != VMBUS_OK || gpadl->state != GPADL_CREATED || vmbus_channel_lost(channel)) {
        enum gpadl_state state = drop(gpadl);
        if (vmbus_channel_lost(channel)) {
            status = VMBUS_RESCINDED;
        } else if (status == VMBUS_OK) {
            status = state == GPADL_REFUSED ? VMBUS_REFUSED : VMBUS_NO_ANSWER;
        }
    }
    vmbus_channel_put(channel);
    return status;
}

enum vmbus_status vmbus_gpadl_teardown(struct vmbus_channel *channel, uint32_t gpadl_id)
{
    bool rescinded = vmbus_channel_lost(channel);
    uint64_t deadline = clock_after(rescinded ? VMBUS_RESCINDED_LIMIT : VMBUS_ANSWER_LIMIT);
    const struct vmbus_message_gpadl_teardown teardown = {
        .header = {.type = VMBUS_MESSAGE_GPADL_TEARDOWN},
        .relid = vmbus_channel_offer(channel)->relid,
        .gpadl = gpadl_id,
    };
    enum irql previous = vmbus_lock();
    struct gpadl *gpadl = find(gpadl_id);

    if (gpadl != NULL && (gpadl->channel != channel || gpadl->state != GPADL_CREATED)) {
        gpadl = NULL;
    }
    if (gpadl != NULL) {
        channel->references++;
        gpadl->state = GPADL_TEARING_DOWN;
        event_clear(&gpadl->answered);
    }
    vmbus_unlock(previous);
    if (gpadl == NULL) {
        return VMBUS_BAD_ARGUMENT;
    }

    enum vmbus_status status = vmbus_post(&teardown, sizeof(teardown), deadline);
    if (status == VMBUS_OK) {
        (void)event_wait(&gpadl->answered, deadline);
    }
    bool given_back = drop(gpadl) == GPADL_TORN_DOWN;
    if (!given_back && vmbus_connection_state() != VMBUS_CONNECTED) {
        given_back = vmbus_connection_gave_memory_back();
        status = VMBUS_NO_ANSWER;
    } else {
        status = vmbus_channel_lost(channel) ? VMBUS_RESCINDED : VMBUS_NO_ANSWER;
    }
    vmbus_channel_put(channel);
    return given_back ? VMBUS_OK : status;
}
