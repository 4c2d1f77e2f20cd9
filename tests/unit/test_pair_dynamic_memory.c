/* SPDX-License-Identifier: MIT */
/*
 * The host's dynamic memory, against the balloon driver up to the point where that has to give
 * pages (in this build it has none: its frames are not those of a guest), and against a scripted
 * guest.
 */

#include <stdio.h>
#include <string.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/host/dynamic_memory.h"
#include "tests/host/page_ranges.h"
#include "tests/unit/pair/host.h"

static const GUID device_class = DYNAMIC_MEMORY_CLASS_INITIALISER;
static struct host_device *device;
static struct peer guest;

/* A message of either end, and what the guest was sent last. */
static union {
    struct dynamic_memory_header header;
    struct dynamic_memory_balloon_response balloon;
    struct dynamic_memory_unballoon_request unballoon;
    UINT64 words[512];
} message;

static int setup(void **state)
{
    memset(&message, 0, sizeof(message));
    machine_refuses = false;
    machine_taken = 0;
    return pair_setup(state);
}

/* ---- the driver ---- */

static void the_driver_negotiates_and_reports(void **state)
{
    (void)state;
    memset(&balloon, 0, sizeof(balloon));
    device = host_offer("balloon");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    balloon_start();
    pass_time(3 * CLOCK_SECOND);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
    assert_said("version 2.0, capabilities 0x1f");
    assert_said("the first status: available=");
    assert_true(host_command(device, "status"));
    assert_said("state=idle version=2.0");
    balloon.exit_hook.leave();
    VmbChannelCleanup(balloon.channel);
    if (balloon.pages.held != NULL) {
        pages_free(balloon.pages.held, (size_t)((balloon.pages.end_frame + 32767) / 32768));
    }
    host_device_destroy(device);
}

static void older_versions_and_no_reports_are_agreed_on(void **state)
{
    static const char *const options[] = {"balloon,version=0x10000,reports=0",
                                          "balloon,version=0x3,reports=0"};
    static const char *const said[] = {"version 1.0, capabilities", "version 0.3, capabilities"};

    for (unsigned i = 0; i < 2; i++) {
        memset(&balloon, 0, sizeof(balloon));
        device = host_offer(options[i]);
        assert_int_equal(vmbus_connect(), VMBUS_OK);
        balloon_start();
        pass_time(3 * CLOCK_SECOND);
        assert_said(said[i]);
        assert_not_said("status");
        balloon.exit_hook.leave();
        VmbChannelCleanup(balloon.channel);
        if (balloon.pages.held != NULL) {
            pages_free(balloon.pages.held, (size_t)((balloon.pages.end_frame + 32767) / 32768));
        }
        host_device_destroy(device);
        (void)pair_teardown(state);
        (void)setup(state);
    }
}

/* ---- a scripted guest ---- */

static void sends(UINT16 type, UINT32 size)
{
    message.header = (struct dynamic_memory_header){.type = type, .size = (UINT16)size};
    peer_send(&guest, &message, size);
    settle();
}

/* The host's next message, of this type. */
static void gets(UINT16 type)
{
    const UINT8 *bytes = peer_next(&guest);

    memcpy(&message, bytes, guest.length);
    assert_int_equal(message.header.type, type);
    assert_int_equal((message.header.size + 7u) & ~7u, guest.length);
}

static void start(void)
{
    device = host_offer("balloon");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    peer_make(&guest, false, &device_class, NULL, false);
    settle();
}

static void negotiate(void)
{
    message.words[1] = DYNAMIC_MEMORY_VERSION_2_0;
    sends(DYNAMIC_MEMORY_VERSION_REQUEST, 16);
    gets(DYNAMIC_MEMORY_VERSION_RESPONSE);
    assert_int_equal(message.words[1], 1);
    message.words[1] = 3 | 7 << 2;
    sends(DYNAMIC_MEMORY_CAPABILITIES_REPORT, 32);
    gets(DYNAMIC_MEMORY_CAPABILITIES_RESPONSE);
    assert_int_equal(message.words[1], 1);
    host_forget();
}

static void gives(const UINT64 *ranges, UINT32 count, bool more)
{
    memcpy(&message.words[2], ranges, count * sizeof(*ranges));
    message.balloon.reserved = 0;
    message.balloon.more_and_range_count = count << 1 | (more ? 1 : 0);
    sends(DYNAMIC_MEMORY_BALLOON_RESPONSE, 16 + 8 * count);
}

static void end(void)
{
    peer_end(&guest);
    host_device_destroy(device);
}

static void pages_are_taken_in_steps_and_returned(void **state)
{
    const UINT64 first[] = {dynamic_memory_range(0x1000, 256), dynamic_memory_range(0x1100, 256)};
    const UINT64 second[] = {dynamic_memory_range(0x3000, 512)};

    (void)state;
    start();
    negotiate();
    assert_true(host_command(device, "resize 60"));
    gets(DYNAMIC_MEMORY_BALLOON_REQUEST);
    assert_int_equal(message.words[1], 1024);
    gives(first, 2, true);
    assert_not_said("resized");
    assert_false(host_command(device, "resize 50"));
    assert_said("not now: the device is taking");
    gives(second, 1, false);
    assert_said("resized: 1024 pages of the guest are taken");
    assert_int_equal(machine_taken, 1024);
    /* Part of them, out of the middle of a range, then the rest. */
    assert_true(host_command(device, "resize 63"));
    gets(DYNAMIC_MEMORY_UNBALLOON_REQUEST);
    assert_int_equal(message.unballoon.flags, 0);
    assert_int_equal(message.unballoon.range_count, 2);
    assert_true(message.words[2] == dynamic_memory_range(0x3000, 512));
    assert_true(message.words[3] == dynamic_memory_range(0x1100, 256));
    assert_int_equal(machine_taken, 256);
    assert_not_said("resized");
    sends(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, 8);
    assert_said("resized: 256 pages");
    assert_true(host_command(device, "resize 64"));
    gets(DYNAMIC_MEMORY_UNBALLOON_REQUEST);
    sends(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, 8);
    assert_said("resized: 0 pages");
    assert_int_equal(machine_taken, 0);
    assert_true(host_command(device, "resize 64"));
    assert_said("resized: 0 pages");
    end();
}

static void more_than_a_request_holds_is_asked_for_again(void **state)
{
    (void)state;
    start();
    negotiate();
    assert_true(host_command(device, "resize 0"));
    gets(DYNAMIC_MEMORY_BALLOON_REQUEST);
    assert_int_equal(message.words[1], 16384);
    const UINT64 part[] = {dynamic_memory_range(0x1000, 100)};
    gives(part, 1, false);
    assert_said("the guest has no more to give: 100 pages");
    end();
}

static void a_list_that_is_long_is_returned_in_parts(void **state)
{
    UINT64 ranges[500];

    (void)state;
    start();
    negotiate();
    assert_true(host_command(device, "resize 60"));
    gets(DYNAMIC_MEMORY_BALLOON_REQUEST);
    for (unsigned part = 0; part < 2; part++) {
        for (unsigned i = 0; i < 500; i++) {
            ranges[i] = dynamic_memory_range(0x2000 + part * 2000 + i * 2, 1);
        }
        gives(ranges, 500, part == 0);
    }
    assert_int_equal(machine_taken, 1000);
    assert_true(host_command(device, "resize 64"));
    settle();
    assert_int_equal(guest.count, guest.fetched + 2);
    memcpy(&message, guest.received, guest.length);
    assert_int_equal(message.unballoon.flags, 0);
    assert_int_equal(message.unballoon.range_count, 1000 - 510);
    sends(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, 8);
    assert_said("resized: 0 pages");
    end();
}

static void memory_is_added_where_the_machine_can(void **state)
{
    (void)state;
    start();
    negotiate();
    assert_false(host_command(device, "add 100"));
    assert_said("by 128 MiB");
    machine_refuses = true;
    assert_false(host_command(device, "add 128"));
    assert_said("this machine cannot add memory");
    machine_refuses = false;
    machine_added_at = 0x100000;
    assert_true(host_command(device, "add 256"));
    gets(DYNAMIC_MEMORY_HOT_ADD_REQUEST);
    assert_true(message.words[1] == dynamic_memory_range(0x100000, 65536));
    assert_true(message.words[2] == message.words[1]);
    message.words[1] = 65536 | UINT64_C(1) << 32;
    sends(DYNAMIC_MEMORY_HOT_ADD_RESPONSE, 16);
    assert_said("added: the guest took 65536 of 65536 pages, result 1");
    assert_false(host_command(device, "resize 321"));
    assert_said("the guest has 320 MiB");
    assert_true(host_command(device, "resize 319"));
    gets(DYNAMIC_MEMORY_BALLOON_REQUEST);
    end();
}

static void a_guest_that_is_silent_is_said(void **state)
{
    (void)state;
    start();
    negotiate();
    assert_true(host_command(device, "resize 60"));
    pass_time(61 * CLOCK_SECOND);
    assert_said("the guest does not answer (taking)");
    end();
}

/* A guest that breaks the rules costs itself the channel, and nothing is taken twice. */
static void expect_failed(void)
{
    assert_said("makes no sense now");
    assert_false(host_command(device, "resize 10"));
    assert_said("not now: the device is failed");
    VmbChannelDisable(guest.channel);
    settle();
    guest.fetched = guest.count;
    assert_int_equal(VmbChannelEnable(guest.channel), STATUS_SUCCESS);
    settle();
    negotiate();
}

static void messages_that_make_no_sense_end_the_conversation(void **state)
{
    static const struct {
        UINT16 type;
        UINT16 says;
        UINT32 length;
    } bad[] = {
        {DYNAMIC_MEMORY_STATUS_REPORT, 48, 40},
        {DYNAMIC_MEMORY_STATUS_REPORT, 40, 48},
        {DYNAMIC_MEMORY_STATUS_REPORT, 0, 48},
        {0, 48, 48},
        {2, 48, 48},
        {15, 48, 48},
        {UINT16_MAX, 48, 48},
        {DYNAMIC_MEMORY_VERSION_REQUEST, 16, 16},
        {DYNAMIC_MEMORY_BALLOON_RESPONSE, 16, 16},
        {DYNAMIC_MEMORY_UNBALLOON_RESPONSE, 8, 8},
        {DYNAMIC_MEMORY_HOT_ADD_RESPONSE, 16, 16},
        {DYNAMIC_MEMORY_STATUS_REPORT, 48, 8192},
    };
    static UINT8 bytes[8192];

    (void)state;
    start();
    negotiate();
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct dynamic_memory_header header = {.type = bad[i].type, .size = bad[i].says};
        host_forget();
        memcpy(bytes, &header, sizeof(header));
        peer_send(&guest, bytes, bad[i].length);
        settle();
        expect_failed();
    }
    end();
}

static void pages_that_are_not_to_be_given_end_the_conversation(void **state)
{
    const UINT64 bad[][2] = {
        {dynamic_memory_range(0x1000, 0), 0},
        {dynamic_memory_range(0x1000, 1025), 0},
        {dynamic_memory_range(0x1000, 1000), dynamic_memory_range(0x2000, 25)},
        {dynamic_memory_range(0x1000, DYNAMIC_MEMORY_RANGE_COUNT_MAX), 0},
    };

    (void)state;
    start();
    negotiate();
    for (unsigned i = 0; i < 6; i++) {
        assert_true(host_command(device, "resize 60"));
        gets(DYNAMIC_MEMORY_BALLOON_REQUEST);
        if (i < 4) {
            gives(bad[i], 2, false);
        } else if (i == 4) {
            machine_refuses = true; /* no memory of the guest */
            gives(&bad[1][1], 1, false);
            machine_refuses = false;
        } else {
            message.balloon.more_and_range_count = UINT32_MAX;
            sends(DYNAMIC_MEMORY_BALLOON_RESPONSE, 24);
        }
        expect_failed();
        /* What was right before it is remembered: returned, for the next turn. */
        assert_true(host_command(device, "resize 64"));
        settle();
        if (guest.count != guest.fetched) {
            gets(DYNAMIC_MEMORY_UNBALLOON_REQUEST);
            sends(DYNAMIC_MEMORY_UNBALLOON_RESPONSE, 8);
        }
        assert_int_equal(machine_taken, 0);
    }
    end();
}

static void what_is_taken_survives_in_bytes(void **state)
{
    const UINT64 ranges[] = {dynamic_memory_range(0x1000, 256), dynamic_memory_range(0x3000, 256)};

    (void)state;
    start();
    negotiate();
    assert_true(host_command(device, "resize 62"));
    gets(DYNAMIC_MEMORY_BALLOON_REQUEST);
    gives(ranges, 2, false);
    host_save(device);
    host_device_destroy(device);
    machine_taken = 0; /* another machine */
    device = host_create("balloon");
    assert_int_equal(host_device_restore(device, host_saved, host_saved_size), STATUS_SUCCESS);
    assert_int_equal(machine_taken, 512);
    assert_true(host_command(device, "status"));
    assert_said("state=idle version=2.0 capabilities=0x1f");
    assert_said("taken=512");
    host_device_destroy(device);
    device = host_create("balloon");
    machine_refuses = true; /* a machine with less memory */
    assert_int_equal(host_device_restore(device, host_saved, host_saved_size),
                     STATUS_OBJECT_TYPE_MISMATCH);
    host_device_destroy(device);
    peer_end(&guest);
}

/* The channel of a restored device is open, and its guest goes on as it did. */
static void a_failed_conversation_stays_so_in_bytes(void **state)
{
    (void)state;
    start();
    sends(DYNAMIC_MEMORY_STATUS_REPORT, 48);
    assert_said("makes no sense now (version)");
    device = host_move(device, "balloon");
    assert_true(host_device_enable(device, &host_output));
    host_device_start(device);
    VmbChannelDisable(guest.channel);
    settle();
    assert_int_equal(VmbChannelEnable(guest.channel), STATUS_SUCCESS);
    settle();
    sends(DYNAMIC_MEMORY_STATUS_REPORT, 48);
    assert_said("makes no sense now (failed)");
    expect_failed();
    end();
}

static void runs_of_pages_are_joined_and_split(void **state)
{
    struct page_ranges ranges = {NULL, 0, 0, 0};
    UINT64 first;
    UINT64 count;

    (void)state;
    assert_false(page_ranges_pop(&ranges, 10, &first, &count));
    for (UINT64 i = 0; i < 100; i++) {
        assert_true(page_ranges_push(&ranges, i, 1));
    }
    assert_int_equal(ranges.count, 1);
    for (UINT64 i = 0; i < 100; i++) {
        assert_true(page_ranges_push(&ranges, 1000 + 2 * i, 1));
    }
    assert_int_equal(ranges.count, 101);
    assert_int_equal(ranges.pages, 200);
    assert_false(page_ranges_pop(&ranges, 0, &first, &count));
    assert_true(page_ranges_pop(&ranges, 10, &first, &count));
    assert_int_equal(first, 1198);
    assert_int_equal(count, 1);
    for (unsigned i = 0; i < 99; i++) {
        assert_true(page_ranges_pop(&ranges, 10, &first, &count));
    }
    assert_true(page_ranges_pop(&ranges, 10, &first, &count));
    assert_int_equal(first, 90);
    assert_int_equal(count, 10);
    assert_int_equal(ranges.pages, 90);
    /* No longer than a range on the wire can be. */
    assert_true(page_ranges_push(&ranges, 5000, DYNAMIC_MEMORY_RANGE_COUNT_MAX));
    assert_true(page_ranges_push(&ranges, 5000 + DYNAMIC_MEMORY_RANGE_COUNT_MAX, 1));
    assert_int_equal(ranges.count, 3);
    page_ranges_free(&ranges);
}

int main(void)
{
#define memory_test(function) cmocka_unit_test_setup_teardown(function, setup, pair_teardown)
    const struct CMUnitTest tests[] = {
        memory_test(the_driver_negotiates_and_reports),
        memory_test(older_versions_and_no_reports_are_agreed_on),
        memory_test(pages_are_taken_in_steps_and_returned),
        memory_test(more_than_a_request_holds_is_asked_for_again),
        memory_test(a_list_that_is_long_is_returned_in_parts),
        memory_test(memory_is_added_where_the_machine_can),
        memory_test(a_guest_that_is_silent_is_said),
        memory_test(messages_that_make_no_sense_end_the_conversation),
        memory_test(pages_that_are_not_to_be_given_end_the_conversation),
        memory_test(what_is_taken_survives_in_bytes),
        memory_test(a_failed_conversation_stays_so_in_bytes),
        memory_test(runs_of_pages_are_joined_and_split),
    };
    return cmocka_run_group_tests_name("pair, dynamic memory", tests, NULL, NULL);
}
