/* SPDX-License-Identifier: MIT */
/* What the drivers of integration services share, on the real KMCL and bus, with a scripted host at
 * the far end of the wire. The heartbeat driver stands for all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "arch/cpu.h"
#include "drivers/heartbeat/heartbeat.h"
#include "drivers/heartbeat/heartbeat_device.h"
#include "drivers/heartbeat/heartbeat_protocol.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/wait.h"
#include "test_memory.h"
#include "vmbus/protocol.h"
#include "vmbus_test.h"

#define RELID 7u

#define REQUEST  (INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_REQUEST)
#define RESPONSE (INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_RESPONSE)

static struct host_offer heartbeat_offer(void)
{
    static const struct vmbus_guid type = HEARTBEAT_CLASS_INITIALISER;
    struct host_offer offer = host_plain_offer(RELID);

    offer.type = type;
    return offer;
}

static int setup(void **state)
{
    memset(&heartbeat_device, 0, sizeof(heartbeat_device));
    return vmbus_test_setup(state);
}

static int teardown(void **state)
{
    integration_end();
    return vmbus_test_teardown(state);
}

static void start(void)
{
    const struct host_offer offer = heartbeat_offer();

    host_add(&offer);
    vmbus_test_connect();
    heartbeat_start();
    host_run();
}

static void pass_time(uint64_t duration)
{
    struct event never;

    event_initialise(&never);
    event_wait(&never, clock_after(duration));
    host_run();
}

/* ---- messages, pipe header and all ---- */

struct message {
    uint32_t pipe_type;
    uint32_t pipe_size;
    struct integration_header header;
    uint8_t body[2048];
};
#define PIPE_SIZE 8u

static struct message message_of(uint16_t type, const void *body, uint16_t size)
{
    struct message message = {
        .pipe_type = 1,
        .pipe_size = (uint32_t)sizeof(struct integration_header) + size,
        .header =
            {
                .framework = {3, 0},
                .type = type,
                .version = {3, 0},
                .body_size = size,
                .transaction_id = 0x5a,
                .flags = REQUEST,
                .reserved = 0,
            },
    };

    memcpy(message.body, body, size);
    return message;
}

static void host_writes(const struct message *message)
{
    assert_int_equal(host_put_inband(RELID, 77, false, message, PIPE_SIZE + message->pipe_size),
                     RING_OK);
    host_run();
}

static struct message host_reads(void)
{
    struct message message;
    struct ring_packet_in packet;

    assert_int_equal(host_get(RELID, &message, sizeof(message), &packet), RING_OK);
    assert_int_equal(packet.type, RING_PACKET_DATA_INBAND);
    assert_int_equal(packet.flags, 0);
    assert_int_equal(message.pipe_type, 1);
    return message;
}

static void host_reads_nothing(void)
{
    struct message message;
    struct ring_packet_in packet;

    assert_int_equal(host_get(RELID, &message, sizeof(message), &packet), RING_EMPTY);
}

static struct message host_asks(const struct message *request)
{
    host_writes(request);
    const struct message reply = host_reads();
    assert_int_equal(reply.pipe_size, request->pipe_size);
    assert_int_equal(reply.header.type, request->header.type);
    assert_int_equal(reply.header.transaction_id, request->header.transaction_id);
    assert_int_equal(reply.header.flags, RESPONSE);
    host_reads_nothing();
    return reply;
}

static const uint16_t offered[] = {2, 2, 0, 0, 1, 0, 3, 0, 1, 0, 3, 0};

static struct message negotiation(void)
{
    return message_of(INTEGRATION_NEGOTIATE, offered, sizeof(offered));
}

static struct message beat(uint64_t sequence)
{
    const struct heartbeat_message body = {.sequence = sequence, .reserved = 0xdeadbeef};

    return message_of(INTEGRATION_HEARTBEAT, &body, sizeof(body));
}

static void expect_beat(uint64_t sequence)
{
    const struct message request = beat(sequence);
    const struct message reply = host_asks(&request);
    struct heartbeat_message body;

    memcpy(&body, reply.body, sizeof(body));
    assert_int_equal(reply.header.status, INTEGRATION_STATUS_OK);
    assert_int_equal(body.sequence, sequence + 1);
    assert_int_equal(body.reserved, 0xdeadbeef);
}

static void agree(void)
{
    const struct message request = negotiation();
    const struct message reply = host_asks(&request);
    const uint16_t expected[8] = {1, 1, 0, 0, 3, 0, 3, 0};

    assert_int_equal(reply.header.body_size, sizeof(expected));
    assert_memory_equal(reply.body, expected, sizeof(expected));
    assert_int_equal(heartbeat_device.state, INTEGRATION_NEGOTIATED);
}

/* ---- negotiation ---- */

static void the_newest_version_in_common_is_chosen(void **state)
{
    (void)state;
    start();
    agree();
    expect_beat(41);
    expect_beat(UINT64_MAX);
}

static void expect_versions(const uint16_t *words, uint16_t size, uint16_t framework,
                            uint16_t version)
{
    const struct message request = message_of(INTEGRATION_NEGOTIATE, words, size);
    const struct message reply = host_asks(&request);
    const uint16_t count = framework != 0 ? 1 : 0;
    const uint16_t expected[8] = {count, count, words[2], words[3], framework, 0, version, 0};

    assert_int_equal(reply.header.body_size, sizeof(expected));
    assert_memory_equal(reply.body, expected, sizeof(expected));
    assert_int_equal(heartbeat_device.state,
                     count != 0 ? INTEGRATION_NEGOTIATED : INTEGRATION_OPEN);
}

static void each_list_of_versions_is_answered(void **state)
{
    static const uint16_t old[] = {1, 1, 0, 0, 1, 0, 1, 0};
    static const uint16_t mixed[] = {1, 3, 0, 0, 3, 0, 9, 0, 1, 0, 3, 1};
    static const uint16_t backwards[] = {2, 1, 0, 0, 3, 0, 1, 0, 3, 0};
    static const uint16_t unknown[] = {1, 1, 0, 0, 2, 0, 3, 0};
    static const uint16_t unknown_message[] = {1, 1, 7, 7, 3, 0, 4, 0};
    static const uint16_t no_framework[] = {0, 2, 0, 0, 3, 0, 3, 0};
    static const uint16_t no_message[] = {2, 0, 0, 0, 3, 0, 3, 0};
    static const uint16_t none[] = {0, 0, 0, 0, 3, 0, 3, 0};
    static const uint16_t beyond[] = {1, 2, 0, 0, 3, 0, 1, 0};
    static const uint16_t far_beyond[] = {65535, 65535, 0, 0, 3, 0, 3, 0};
    static const uint16_t wraps[] = {1, 65535, 0, 0, 3, 0, 3, 0};

    (void)state;
    start();
    expect_versions(old, sizeof(old), 1, 1);
    expect_versions(mixed, sizeof(mixed), 3, 1);
    expect_versions(backwards, sizeof(backwards), 3, 3);
    expect_versions(unknown, sizeof(unknown), 0, 0);
    expect_versions(unknown_message, sizeof(unknown_message), 0, 0);
    expect_versions(no_framework, sizeof(no_framework), 0, 0);
    expect_versions(no_message, sizeof(no_message), 0, 0);
    expect_versions(none, sizeof(none), 0, 0);
    expect_versions(beyond, sizeof(beyond), 0, 0);
    expect_versions(far_beyond, sizeof(far_beyond), 0, 0);
    expect_versions(wraps, sizeof(wraps), 0, 0);
    agree();
    expect_beat(1);
}

static void more_versions_than_anybody_has_are_refused(void **state)
{
    uint16_t words[4 + 2 * 101 + 2] = {101, 1};

    (void)state;
    start();
    for (unsigned i = 4; i < sizeof(words) / sizeof(words[0]); i += 2) {
        words[i] = 3;
    }
    expect_versions(words, sizeof(words), 0, 0);
    words[0] = 100;
    expect_versions(words, sizeof(words), 3, 3);
}

static void before_a_version_is_agreed_on_requests_fail(void **state)
{
    (void)state;
    start();
    const struct message request = beat(1);
    const struct message reply = host_asks(&request);
    assert_int_equal(reply.header.status, INTEGRATION_STATUS_FAILURE);
    agree();
    expect_beat(1);
}

/* ---- messages that are none ---- */

static void what_is_too_short_or_too_long_is_dropped_or_refused(void **state)
{
    (void)state;
    start();
    agree();
    /* Cut anywhere, by the pipe's size; the header's own size says more. */
    for (uint32_t size = 0; size < sizeof(struct integration_header) + 16; size++) {
        struct message request = beat(1);
        request.pipe_size = size;
        host_writes(&request);
        host_reads_nothing();
        request = negotiation();
        request.pipe_size = size;
        host_writes(&request);
        host_reads_nothing();
    }
    /* The header's size says less than a heartbeat has. */
    for (uint16_t size = 0; size < HEARTBEAT_MESSAGE_SIZE_MINIMUM; size++) {
        struct message request = beat(1);
        request.header.body_size = size;
        const struct message reply = host_asks(&request);
        assert_int_equal(reply.header.status, INTEGRATION_STATUS_INVALID_ARGUMENT);
    }
    for (uint16_t size = 0; size < INTEGRATION_NEGOTIATE_ANSWER_SIZE; size++) {
        struct message request = negotiation();
        request.header.body_size = size;
        host_writes(&request);
        host_reads_nothing();
    }
    /* No more than the sequence number, which is all that Linux wants. */
    struct message request = beat(5);
    request.header.body_size = HEARTBEAT_MESSAGE_SIZE_MINIMUM;
    request.pipe_size = sizeof(struct integration_header) + HEARTBEAT_MESSAGE_SIZE_MINIMUM;
    assert_int_equal(host_asks(&request).header.status, INTEGRATION_STATUS_OK);
    /* More than this driver has room for. */
    static const uint8_t zeros[1005];
    request = message_of(INTEGRATION_HEARTBEAT, zeros, 1005);
    host_writes(&request);
    host_reads_nothing();
    request = message_of(INTEGRATION_HEARTBEAT, zeros, 1004);
    assert_int_equal(host_asks(&request).header.status, INTEGRATION_STATUS_OK);
    assert_int_equal(vmbus_test_lines("reported once"), 1);
    expect_beat(1);
}

static void what_nobody_here_serves_is_refused(void **state)
{
    (void)state;
    start();
    agree();
    for (uint16_t type = 2; type < 100; type++) {
        struct message request = beat(1);
        request.header.type = type;
        const struct message reply = host_asks(&request);
        assert_int_equal(reply.header.status, INTEGRATION_STATUS_NOT_SUPPORTED);
    }
    /* An answer is answered by nobody: two ends would go on for ever. */
    struct message request = beat(1);
    request.header.flags = RESPONSE;
    host_writes(&request);
    host_reads_nothing();
    expect_beat(1);
}

static void other_packets_are_dropped(void **state)
{
    struct message request = beat(1);

    (void)state;
    start();
    agree();
    request.pipe_type = 2;
    host_writes(&request);
    host_reads_nothing();
    request = beat(1);
    assert_int_equal(host_put_inband(RELID, 1, false, &request, 4), RING_OK);
    host_run();
    host_reads_nothing();
    expect_beat(1);
}

/* ---- floods ---- */

static void a_host_that_reads_nothing_costs_one_message(void **state)
{
    const struct message request = beat(1);
    unsigned written = 0;

    (void)state;
    start();
    agree();
    expect_beat(1);
    const size_t before = test_memory_held();
    /* Until the guest's ring is full, then the host's too. */
    for (unsigned i = 0; i < 1000; i++) {
        if (host_put_inband(RELID, 77, false, &request, PIPE_SIZE + request.pipe_size) == RING_OK) {
            written++;
        }
        host_run();
    }
    assert_true(written > 50 && written < 1000);
    assert_true(test_memory_held() <= before + 1);
    /* Nothing is lost. */
    struct message reply;
    struct ring_packet_in packet;
    while (host_get(RELID, &reply, sizeof(reply), &packet) == RING_OK) {
        written--;
        host_run();
    }
    assert_int_equal(written, 0);
    expect_beat(1);
}

static void an_answer_that_waits_for_room_does_not_hold_up_a_rescind(void **state)
{
    const struct message request = beat(1);

    (void)state;
    start();
    agree();
    for (unsigned i = 0; i < 1000; i++) {
        (void)host_put_inband(RELID, 77, false, &request, PIPE_SIZE + request.pipe_size);
        host_run();
    }
    host.reoffer = true;
    host_rescind(RELID);
    pass_time(CLOCK_SECOND);
    assert_true(host_is_open(RELID));
    agree();
    expect_beat(1);
}

static void a_flood_of_rubbish_is_said_once(void **state)
{
    struct message request = beat(1);

    (void)state;
    start();
    agree();
    test_console_clear();
    request.header.flags = RESPONSE;
    for (unsigned i = 0; i < 1000; i++) {
        host_writes(&request);
        const struct message again = negotiation();
        (void)host_asks(&again);
    }
    assert_int_equal(vmbus_test_lines("heartbeat"), 1);
    expect_beat(1);
}

/* ---- the channel's life ---- */

static void a_corrupt_ring_costs_the_channel_only(void **state)
{
    (void)state;
    start();
    agree();
    host_set_write_index(RELID, 4);
    pass_time(60 * CLOCK_SECOND);
    assert_int_equal(heartbeat_device.state, INTEGRATION_FAILED);
    assert_int_equal(vmbus_test_lines("it stays closed"), 1);
    assert_false(host_is_open(RELID));
}

static void a_host_that_refuses_the_open_is_said_so(void **state)
{
    (void)state;
    host.open_status = 0xc0000001;
    start();
    pass_time(60 * CLOCK_SECOND);
    assert_int_equal(heartbeat_device.state, INTEGRATION_FAILED);
    assert_int_equal(vmbus_test_lines("the channel does not open"), 1);
}

static void a_channel_that_cannot_be_enabled_again_is_said_so(void **state)
{
    (void)state;
    start();
    agree();
    host_rescind(RELID);
    /* Somebody else enables it first, and no device comes. */
    do {
        assert_true(test_host_step() || passive_work_run_one(arch_this_cpu()));
    } while (!NT_SUCCESS(VmbChannelEnable(heartbeat_device.channel)));
    pass_time(29 * CLOCK_SECOND);
    assert_int_equal(heartbeat_device.state, INTEGRATION_WAITING);
    pass_time(2 * CLOCK_SECOND);
    assert_int_equal(heartbeat_device.state, INTEGRATION_FAILED);
    assert_int_equal(vmbus_test_lines("cannot be enabled again"), 1);
}

static void the_end_comes_in_every_state(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        memset(&heartbeat_device, 0, sizeof(heartbeat_device));
        if (i > 0) {
            start();
        } else {
            vmbus_test_connect();
            heartbeat_start();
        }
        if (i > 1) {
            agree();
        }
        if (i > 2) {
            const struct message request = beat(1);
            for (unsigned n = 0; n < 1000; n++) {
                (void)host_put_inband(RELID, 77, false, &request, PIPE_SIZE + request.pipe_size);
                host_run();
            }
        }
        integration_end();
        assert_int_equal(heartbeat_device.state, INTEGRATION_STOPPED);
        (void)vmbus_disconnect();
        host_reset();
    }
}

/* Every message of the guest in the life of a channel, with the rescind before or behind it. */
static void a_rescind_at_any_message_is_survived(void **state)
{
    static const uint32_t types[] = {HOST_GPADL_HEADER, HOST_OPEN, HOST_CLOSE, HOST_GPADL_TEARDOWN,
                                     HOST_RELID_RELEASED};
    static const uint32_t versions[] = {VERSION_OF(3, 0), VERSION_OF(4, 0), VERSION_OF(5, 3)};

    (void)state;
    for (unsigned i = 0; i < 5 * 3 * 2; i++) {
        memset(&heartbeat_device, 0, sizeof(heartbeat_device));
        host.highest_version = versions[i / 10];
        host.rescind_type = types[i / 2 % 5];
        host.rescind_at_once = i % 2 != 0;
        host.rescind_count = 1;
        host.reoffer = true;
        host.tolerant = true;
        start();
        pass_time(5 * CLOCK_SECOND);
        if (host.rescind_type == HOST_CLOSE || host.rescind_type == HOST_GPADL_TEARDOWN ||
            host.rescind_type == HOST_RELID_RELEASED) {
            /* What makes the guest send that is a rescind itself. */
            host_rescind(RELID);
            pass_time(60 * CLOCK_SECOND);
        }
        assert_true(host_is_open(RELID));
        agree();
        expect_beat(i);
        integration_end();
        (void)vmbus_disconnect();
        host_reset();
    }
}

int main(void)
{
#define TEST(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(the_newest_version_in_common_is_chosen),
        TEST(each_list_of_versions_is_answered),
        TEST(more_versions_than_anybody_has_are_refused),
        TEST(before_a_version_is_agreed_on_requests_fail),
        TEST(what_is_too_short_or_too_long_is_dropped_or_refused),
        TEST(what_nobody_here_serves_is_refused),
        TEST(other_packets_are_dropped),
        TEST(a_host_that_reads_nothing_costs_one_message),
        TEST(an_answer_that_waits_for_room_does_not_hold_up_a_rescind),
        TEST(a_flood_of_rubbish_is_said_once),
        TEST(a_corrupt_ring_costs_the_channel_only),
        TEST(a_host_that_refuses_the_open_is_said_so),
        TEST(a_channel_that_cannot_be_enabled_again_is_said_so),
        TEST(the_end_comes_in_every_state),
        TEST(a_rescind_at_any_message_is_survived),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
