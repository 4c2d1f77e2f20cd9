/* SPDX-License-Identifier: MIT */
/* The balloon driver on the real KMCL and bus, with a scripted host at the far end of the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "vmbus_test.h"

#define RELID 7u

static struct host_offer dynamic_memory_offer(uint32_t relid)
{
    static const struct vmbus_guid type = DYNAMIC_MEMORY_CLASS_INITIALISER;
    struct host_offer offer = host_plain_offer(relid);

    offer.type = type;
    return offer;
}

static int setup(void **state)
{
    memset(&balloon, 0, sizeof(balloon));
    return vmbus_test_setup(state);
}

static int teardown(void **state)
{
    balloon.exit_hook.leave();
    VmbChannelCleanup(balloon.channel);
    if (balloon.pages.held)
        pages_free(balloon.pages.held, (size_t)((balloon.pages.end_frame + 32767) / 32768));
    return vmbus_test_teardown(state);
}

static void pass_time(uint64_t duration)
{
    struct event never;

    event_initialise(&never);
    event_wait(&never, clock_after(duration));
    host_run();
}

static void start(uint32_t version)
{
    const struct host_offer offer = dynamic_memory_offer(RELID);

    host.highest_version = version;
    host_add(&offer);
    vmbus_test_connect();
    balloon_start();
    host_run();
}

/* The guest's next message; its bytes stay valid until the next call. */
static const void *host_reads(uint32_t relid, unsigned type)
{
    static unsigned char bytes[4096];
    struct ring_packet_in packet;
    struct dynamic_memory_header header;

    assert_int_equal(host_get(relid, bytes, sizeof(bytes), &packet), RING_OK);
    memcpy(&header, bytes, sizeof(header));
    assert_int_equal(header.type, type);
    assert_int_equal(packet.flags, 0);
    return bytes;
}

static void host_writes(uint32_t relid, const void *message, uint32_t size)
{
    assert_int_equal(host_put_inband(relid, 1, false, message, size), RING_OK);
    host_run();
}

static void negotiate(uint32_t relid)
{
    const struct dynamic_memory_version_response version = {
        .header = {DYNAMIC_MEMORY_VERSION_RESPONSE, sizeof(version), 1},
        .flags = DYNAMIC_MEMORY_VERSION_ACCEPTED,
    };
    const struct dynamic_memory_capabilities_response capabilities = {
        .header = {DYNAMIC_MEMORY_CAPABILITIES_RESPONSE, sizeof(capabilities), 1},
        .flags = DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED,
    };

    host_reads(relid, DYNAMIC_MEMORY_VERSION_REQUEST);
    host_writes(relid, &version, sizeof(version));
    host_reads(relid, DYNAMIC_MEMORY_CAPABILITIES_REPORT);
    host_writes(relid, &capabilities, sizeof(capabilities));
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void the_device_is_opened_and_negotiates(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    assert_true(host_is_open(RELID));
    negotiate(RELID);
    pass_time(CLOCK_SECOND);
    host_reads(RELID, DYNAMIC_MEMORY_STATUS_REPORT);
}

static void a_device_offered_later_is_taken(void **state)
{
    const struct host_offer offer = dynamic_memory_offer(RELID);
    (void)state;

    vmbus_test_connect();
    balloon_start();
    host_run();
    assert_int_equal(balloon_state(), BALLOON_WAITING);
    host_add(&offer);
    host_run();
    negotiate(RELID);
}

static void a_list_of_nothing_is_answered(void **state)
{
    const struct dynamic_memory_unballoon_request request = {
        .header = {DYNAMIC_MEMORY_UNBALLOON_REQUEST, sizeof(request), 1}};
    (void)state;

    start(VERSION_OF(4, 0));
    negotiate(RELID);
    host_writes(RELID, &request, sizeof(request));
    pass_time(BALLOON_REPLY_DELAY);
    host_reads(RELID, DYNAMIC_MEMORY_UNBALLOON_RESPONSE);
}

/* Takes the device away and offers it again under another number. */
static void rescind_and_offer_again(void)
{
    const struct host_offer again = dynamic_memory_offer(RELID + 1);

    host_rescind(RELID);
    host_run();
    pass_time(CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    host_add(&again);
    host_run();
    assert_true(host_is_open(RELID + 1));
    negotiate(RELID + 1);
}

static void a_device_that_comes_back_is_taken_again(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    negotiate(RELID);
    rescind_and_offer_again();
}

static void a_device_that_comes_back_is_taken_again_on_old_hosts(void **state)
{
    (void)state;
    start(VERSION_OF(3, 0));
    negotiate(RELID);
    rescind_and_offer_again();
}

static void a_rescind_before_any_answer_is_survived(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    rescind_and_offer_again();
}

static void a_rescind_while_opening_is_survived(void **state)
{
    const struct host_offer again = dynamic_memory_offer(RELID + 1);
    (void)state;

    host.rescind_type = HOST_GPADL_HEADER;
    start(VERSION_OF(5, 3));
    pass_time(CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
    host.rescind_type = HOST_OPEN;
    host.rescind_count = host_count(HOST_OPEN) + 1;
    host_add(&again);
    host_run();
    pass_time(CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_WAITING);
    host.rescind_type = 0;
    const struct host_offer third = dynamic_memory_offer(RELID + 2);
    host_add(&third);
    host_run();
    negotiate(RELID + 2);
}

static void a_host_that_refuses_the_open_is_said_so(void **state)
{
    (void)state;
    host.open_status = 0xc0000001;
    start(VERSION_OF(5, 3));
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_int_equal(vmbus_test_lines("the channel does not open: status 0xc0000001"), 1);
}

static void a_host_that_never_speaks_is_left_after_5_seconds(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    pass_time(BALLOON_ANSWER_LIMIT + CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_false(host_is_open(RELID));
}

static void a_corrupt_ring_costs_the_channel_only(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    negotiate(RELID);
    host_set_write_index(RELID, 0xfffffff0);
    pass_time(CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_FAILED);
    assert_false(host_is_open(RELID));
    assert_int_equal(host_count(HOST_OPEN), 1);
    assert_int_equal(vmbus_connection_state(), VMBUS_CONNECTED);
}

static void an_oversized_packet_is_no_harm(void **state)
{
    static unsigned char bytes[8000] = {DYNAMIC_MEMORY_BALLOON_REQUEST, 0, 16};
    (void)state;

    start(VERSION_OF(5, 3));
    negotiate(RELID);
    host_writes(RELID, bytes, sizeof(bytes));
    struct balloon_statistics statistics;
    balloon_statistics(&statistics);
    assert_int_equal(statistics.requests, 0);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

#define TEST(test_) cmocka_unit_test_setup_teardown(test_, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_device_is_opened_and_negotiates),
        TEST(a_device_offered_later_is_taken),
        TEST(a_list_of_nothing_is_answered),
        TEST(a_device_that_comes_back_is_taken_again),
        TEST(a_device_that_comes_back_is_taken_again_on_old_hosts),
        TEST(a_rescind_before_any_answer_is_survived),
        TEST(a_rescind_while_opening_is_survived),
        TEST(a_host_that_refuses_the_open_is_said_so),
        TEST(a_host_that_never_speaks_is_left_after_5_seconds),
        TEST(a_corrupt_ring_costs_the_channel_only),
        TEST(an_oversized_packet_is_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
