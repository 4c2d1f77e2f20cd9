/* SPDX-License-Identifier: MIT */
#include <inttypes.h>
#include <string.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/log.h"

/* ---- pages to the host ---- */

static void inflate_done(void)
{
    if (balloon.done < balloon.asked) {
        balloon.statistics.requests_partial++;
    }
    log_info("balloon",
             "ballooned %" PRIu64 " pages of %" PRIu64 " asked in %u message%s; %" PRIu64 " held",
             balloon.done, balloon.asked, balloon.parts, balloon.parts == 1 ? "" : "s",
             balloon.pages.count);
    balloon_enter(BALLOON_IDLE);
}

static void take_response_back(void)
{
    uint64_t refused = 0;

    for (size_t i = 0; i < balloon.response_ranges; i++) {
        balloon.statistics.taken -=
            balloon_pages_give_back(&balloon.pages, balloon.response.ranges[i], &refused);
    }
    balloon.response_ranges = 0;
}

/* IRQL_DISPATCH: the response is in the ring or lost; the rest of the request waits for that. */
static void response_done(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    (void)buffer;
    (void)length;
    balloon_message_left(packet);
    if (!NT_SUCCESS(status)) {
        atomic_store(&balloon.response_lost, true);
    }
    atomic_store(&balloon.response_waiting, false);
    passive_work_queue(&balloon.reply_work);
}

/* One response; the next follows when this one is in the ring. */
static void inflate(void)
{
    uint64_t taken;
    const size_t ranges =
        balloon_pages_take(&balloon.pages, balloon.asked - balloon.done, balloon.response.ranges,
                           BALLOON_RESPONSE_RANGES_MAX, &taken);
    balloon.response_ranges = ranges;
    balloon.statistics.taken += taken;
    balloon.done += taken;
    balloon.parts++;

    const bool more = taken > 0 && balloon.done < balloon.asked && balloon_pages_spare() > 0;
    balloon.response.head.more_and_range_count =
        DYNAMIC_MEMORY_BALLOON_RANGE_COUNT(ranges) | (more ? DYNAMIC_MEMORY_BALLOON_MORE : 0);

    atomic_store(&balloon.response_waiting, true);
    if (!balloon_send(DYNAMIC_MEMORY_BALLOON_RESPONSE, &balloon.response.head,
                      sizeof(balloon.response.head) + ranges * sizeof(uint64_t), response_done)) {
        atomic_store(&balloon.response_waiting, false);
        balloon.done -= taken;
        take_response_back();
        inflate_done();
        return;
    }
    balloon.statistics.responses++;
    /* The host may ask again as soon as it has the last response, so the request ends here. */
    if (!more) {
        inflate_done();
    }
}

static void send_reply(void)
{
    balloon_send(balloon.reply_type, &balloon.reply, balloon.reply_size, balloon_message_done);
    if (balloon.reply_type == DYNAMIC_MEMORY_UNBALLOON_RESPONSE) {
        log_info("balloon", "got %" PRIu64 " pages back in %u message%s; %" PRIu64 " held",
                 balloon.done, balloon.parts, balloon.parts == 1 ? "" : "s", balloon.pages.count);
    }
    balloon_enter(BALLOON_IDLE);
}

/* Passive work: time has come to answer, or the response before this one is in the ring or lost. */
static void reply(void *context)
{
    (void)context;
    if (atomic_load(&balloon.response_waiting)) {
        return;
    }
    if (atomic_exchange(&balloon.response_lost, false)) {
        take_response_back();
    }
    if (clock_now() < balloon.reply_at) {
        return;
    }
    if (balloon.state == BALLOON_INFLATING) {
        inflate();
    } else if (balloon.state == BALLOON_REPLYING) {
        send_reply();
    }
}

/* IRQL_DISPATCH. */
static void reply_timer_expired(void *context)
{
    (void)context;
    passive_work_queue(&balloon.reply_work);
}

static void reply_later(enum balloon_state state)
{
    balloon_enter(state);
    balloon.reply_at = clock_after(BALLOON_REPLY_DELAY);
    timer_arm(&balloon.reply_timer, balloon.reply_at);
}

/* A host that asks for something new in the middle of a list of returned pages has given up the
 * rest of the list. */
static void end_unfinished_list(void)
{
    if (balloon.state == BALLOON_DEFLATING) {
        log_info("balloon", "the host broke off after returning %" PRIu64 " pages", balloon.done);
        balloon_enter(BALLOON_IDLE);
    }
}

void balloon_balloon_request(const void *message, size_t size)
{
    struct dynamic_memory_balloon_request request;
    (void)size;
    memcpy(&request, message, sizeof(request));

    end_unfinished_list();
    balloon.statistics.requests++;
    balloon.asked = request.pages;
    balloon.done = 0;
    balloon.parts = 0;
    reply_later(BALLOON_INFLATING);
}

/* ---- pages from the host ---- */

void balloon_unballoon_request(const void *message, size_t size)
{
    struct dynamic_memory_unballoon_request request;
    memcpy(&request, message, sizeof(request));
    const unsigned char *ranges = (const unsigned char *)message + sizeof(request);

    if (request.range_count > (size - sizeof(request)) / sizeof(uint64_t)) {
        balloon_malformed(message, size);
        return;
    }
    if (balloon.state == BALLOON_IDLE) {
        balloon.done = 0;
        balloon.parts = 0;
        balloon_enter(BALLOON_DEFLATING);
    }
    balloon.statistics.unballoon_requests++;
    balloon.parts++;

    uint64_t returned = 0;
    uint64_t refused = 0;
    for (uint32_t i = 0; i < request.range_count; i++) {
        uint64_t range;
        memcpy(&range, ranges + i * sizeof(range), sizeof(range));
        returned += balloon_pages_give_back(&balloon.pages, range, &refused);
    }
    balloon.done += returned;
    balloon.statistics.returned += returned;
    balloon.statistics.pages_refused += refused;
    if (refused > 0 && !balloon.refused_reported) {
        balloon.refused_reported = true;
        log_warning("balloon", "the host returned %" PRIu64 " pages it did not hold; reported once",
                    refused);
    }

    if ((request.flags & DYNAMIC_MEMORY_UNBALLOON_MORE) == 0) {
        balloon.reply_type = DYNAMIC_MEMORY_UNBALLOON_RESPONSE;
        balloon.reply_size = sizeof(balloon.reply.unballoon);
        reply_later(BALLOON_REPLYING);
    }
}

void balloon_hot_add_request(const void *message, size_t size)
{
    struct dynamic_memory_hot_add_request request;
    const bool has_region = size >= sizeof(request);
    memcpy(&request, message,
           has_region ? sizeof(request) : DYNAMIC_MEMORY_HOT_ADD_SIZE_WITHOUT_REGION);

    end_unfinished_list();
    balloon.statistics.hot_add_requests++;
    const uint64_t asked = dynamic_memory_range_count(request.range);
    const uint64_t added =
        balloon_pages_hot_add(&balloon.pages, request.range, has_region ? &request.region : NULL);
    balloon.statistics.hot_added += added;
    if (added > 0) {
        log_info("balloon", "hot added %" PRIu64 " pages at frame 0x%" PRIx64, added,
                 dynamic_memory_range_first(request.range));
    } else {
        balloon.statistics.hot_add_refused++;
        log_warning("balloon", "cannot hot add %" PRIu64 " pages at frame 0x%" PRIx64, asked,
                    dynamic_memory_range_first(request.range));
    }

    /* Never "never again": memory for the tables may be there later. */
    balloon.reply.hot_add.pages = (uint32_t)added;
    balloon.reply.hot_add.result =
        added > 0 ? DYNAMIC_MEMORY_HOT_ADD_SUCCESS : DYNAMIC_MEMORY_HOT_ADD_FAILURE;
    balloon.reply_type = DYNAMIC_MEMORY_HOT_ADD_RESPONSE;
    balloon.reply_size = sizeof(balloon.reply.hot_add);
    reply_later(BALLOON_REPLYING);
}

void balloon_information(const void *message, size_t size)
{
    struct dynamic_memory_information information;
    const size_t before_data = offsetof(struct dynamic_memory_information, maximum_pages);
    const size_t before_information = offsetof(struct dynamic_memory_information, information_type);
    memset(&information, 0, sizeof(information));
    memcpy(&information, message, size < sizeof(information) ? size : sizeof(information));

    if (information.information_size > size - before_information ||
        information.information_size < before_data - before_information ||
        information.data_size > information.information_size - (before_data - before_information)) {
        balloon_malformed(message, size);
        return;
    }
    /* Other information is nothing to this driver. */
    if (information.information_type == DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES &&
        information.data_size >= sizeof(information.maximum_pages)) {
        balloon.statistics.maximum_pages = information.maximum_pages;
    }
}

void balloon_requests_initialise(void)
{
    work_item_initialise(&balloon.reply_work, reply, NULL);
    timer_initialise(&balloon.reply_timer, reply_timer_expired, NULL);
}
