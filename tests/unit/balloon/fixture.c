/* SPDX-License-Identifier: MIT */
#include "tests/unit/balloon/fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/wait.h"
#include "kernel/work.h"
#include "test_arch.h"
#include "tests/unit/balloon/fake_kmcl.h"
#include "tests/unit/balloon/fake_pages.h"

/* ---- the console ---- */

static char lines[32768][200];
static unsigned line_count;

static void keep_line(const char *format, va_list arguments)
{
    assert_in_range(line_count, 0, sizeof(lines) / sizeof(lines[0]) - 1);
    vsnprintf(lines[line_count++], sizeof(lines[0]), format, arguments);
}

void log_info(const char *component, const char *format, ...)
{
    va_list arguments;
    (void)component;
    va_start(arguments, format);
    keep_line(format, arguments);
    va_end(arguments);
}

void log_warning(const char *component, const char *format, ...)
{
    va_list arguments;
    (void)component;
    va_start(arguments, format);
    keep_line(format, arguments);
    va_end(arguments);
}

unsigned lines_with(const char *text)
{
    unsigned found = 0;
    for (unsigned i = 0; i < line_count; i++)
        found += strstr(lines[i], text) != NULL;
    return found;
}

/* ---- the driver ---- */

static size_t next_message;
static uint32_t last_transaction_id;
static uint32_t host_transaction_id;

void fixture_reset(void **state)
{
    test_arch_setup(state);
    fake_kmcl_reset();
    fake_pages_reset(FIXTURE_PAGES);
    memset(&balloon, 0, sizeof(balloon));
    line_count = 0;
    next_message = 0;
    last_transaction_id = 0;
    host_transaction_id = 1000;
}

int fixture_start(void **state)
{
    fixture_reset(state);
    balloon_start();
    return 0;
}

int fixture_end(void **state)
{
    (void)state;
    if (balloon.exit_hook.leave)
        balloon.exit_hook.leave();
    run();
    timer_cancel(&balloon.timer);
    assert_int_equal(fake_kmcl.packets, 0);
    return 0;
}

static int start_negotiated(void **state, uint64_t flags)
{
    fixture_start(state);
    fake_kmcl_open();
    host_says_version(true);
    host_says_capabilities(DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED | flags);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
    last_transaction_id = 2;
    forget_messages();
    return 0;
}

int fixture_start_negotiated(void **state)
{
    return start_negotiated(state, 0);
}

int fixture_start_negotiated_without_status(void **state)
{
    return start_negotiated(state, DYNAMIC_MEMORY_SUPPRESS_STATUS);
}

void run(void)
{
    passive_work_run();
}

void pass_time(uint64_t duration)
{
    struct event never;

    event_initialise(&never);
    assert_false(event_wait(&never, clock_after(duration)));
    run();
}

struct balloon_statistics statistics(void)
{
    struct balloon_statistics out;

    balloon_statistics(&out);
    return out;
}

/* ---- the host ---- */

static struct dynamic_memory_header host_header(enum dynamic_memory_message_type type, size_t size)
{
    return (struct dynamic_memory_header){
        .type = (uint16_t)type, .size = (uint16_t)size, .transaction_id = host_transaction_id++};
}

void host_says_version(bool accepted)
{
    struct dynamic_memory_version_response response = {
        .header = host_header(DYNAMIC_MEMORY_VERSION_RESPONSE, sizeof(response)),
        .flags = accepted ? DYNAMIC_MEMORY_VERSION_ACCEPTED : 0,
    };
    fake_kmcl_receive(&response, sizeof(response));
    run();
}

void host_says_capabilities(uint64_t flags)
{
    struct dynamic_memory_capabilities_response response = {
        .header = host_header(DYNAMIC_MEMORY_CAPABILITIES_RESPONSE, sizeof(response)),
        .flags = flags,
    };
    fake_kmcl_receive(&response, sizeof(response));
    run();
}

void host_asks_for_pages(uint32_t pages)
{
    struct dynamic_memory_balloon_request request = {
        .header = host_header(DYNAMIC_MEMORY_BALLOON_REQUEST, sizeof(request)),
        .pages = pages,
    };
    fake_kmcl_receive(&request, sizeof(request));
    pass_time(BALLOON_REPLY_DELAY);
}

void host_returns(const uint64_t *ranges, uint32_t count, bool more)
{
    struct {
        struct dynamic_memory_unballoon_request head;
        uint64_t ranges[510];
    } request = {
        .head = {.flags = more ? DYNAMIC_MEMORY_UNBALLOON_MORE : 0, .range_count = count},
    };
    const size_t size = sizeof(request.head) + count * sizeof(uint64_t);

    assert_in_range(count, 0, 510);
    request.head.header = host_header(DYNAMIC_MEMORY_UNBALLOON_REQUEST, size);
    if (count > 0)
        memcpy(request.ranges, ranges, count * sizeof(uint64_t));
    fake_kmcl_receive(&request, size);
    pass_time(BALLOON_REPLY_DELAY);
}

void host_adds(uint64_t range)
{
    struct dynamic_memory_hot_add_request request = {.range = range};

    request.header =
        host_header(DYNAMIC_MEMORY_HOT_ADD_REQUEST, DYNAMIC_MEMORY_HOT_ADD_SIZE_WITHOUT_REGION);
    fake_kmcl_receive(&request, DYNAMIC_MEMORY_HOT_ADD_SIZE_WITHOUT_REGION);
    pass_time(BALLOON_REPLY_DELAY);
}

void host_adds_in_region(uint64_t range, uint64_t region)
{
    struct dynamic_memory_hot_add_request request = {
        .header = host_header(DYNAMIC_MEMORY_HOT_ADD_REQUEST, sizeof(request)),
        .range = range,
        .region = region,
    };
    fake_kmcl_receive(&request, sizeof(request));
    pass_time(BALLOON_REPLY_DELAY);
}

size_t messages_left(void)
{
    return fake_kmcl.sent_count - next_message;
}

const unsigned char *take_message(enum dynamic_memory_message_type type, size_t *size)
{
    struct dynamic_memory_header header;

    assert_in_range(messages_left(), 1, FAKE_KMCL_MESSAGES_MAXIMUM);
    const struct fake_kmcl_message *message = &fake_kmcl.sent[next_message++];
    memcpy(&header, message->bytes, sizeof(header));
    assert_int_equal(header.type, type);
    assert_int_equal(header.size, message->length);
    assert_int_equal(header.transaction_id, ++last_transaction_id);
    if (size)
        *size = message->length;
    return message->bytes;
}

void forget_messages(void)
{
    fake_kmcl.sent_count = 0;
    next_message = 0;
}

uint64_t take_balloon_response(uint64_t *ranges, size_t *count, bool *more)
{
    struct dynamic_memory_balloon_response head;
    size_t size;
    const unsigned char *bytes = take_message(DYNAMIC_MEMORY_BALLOON_RESPONSE, &size);
    uint64_t pages = 0;

    memcpy(&head, bytes, sizeof(head));
    *count = head.more_and_range_count >> 1;
    *more = (head.more_and_range_count & DYNAMIC_MEMORY_BALLOON_MORE) != 0;
    assert_int_equal(head.reserved, 0);
    assert_in_range(size, sizeof(head), DYNAMIC_MEMORY_MESSAGE_SIZE_MAX);
    assert_int_equal(size, sizeof(head) + *count * sizeof(uint64_t));
    memcpy(ranges, bytes + sizeof(head), *count * sizeof(uint64_t));

    uint64_t end = 0;
    for (size_t i = 0; i < *count; i++) {
        const uint64_t first = dynamic_memory_range_first(ranges[i]);
        const uint64_t length = dynamic_memory_range_count(ranges[i]);
        assert_true(length > 0);
        if (i > 0)
            assert_true(first > end); /* sorted, and not to be merged with the one before */
        end = first + length;
        pages += length;
        for (uint64_t frame = first; frame < end; frame++)
            assert_true(fake_pages_is_allocated(frame));
    }
    return pages;
}

void expect_hot_add_response(uint32_t pages, uint32_t result)
{
    struct dynamic_memory_hot_add_response response;
    size_t size;
    const unsigned char *bytes = take_message(DYNAMIC_MEMORY_HOT_ADD_RESPONSE, &size);

    assert_int_equal(size, sizeof(response));
    memcpy(&response, bytes, sizeof(response));
    assert_int_equal(response.pages, pages);
    assert_int_equal(response.result, result);
}
