/* SPDX-License-Identifier: MIT */
/* Messages that are cut short, too long, unknown or nonsense cost a count and one line, and nothing
 * else. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "drivers/balloon/balloon_device.h"
#include "kernel/clock.h"
#include "tests/unit/balloon/fake_kmcl.h"
#include "tests/unit/balloon/fake_pages.h"
#include "tests/unit/balloon/fixture.h"

/* A packet of `length` bytes whose header says `type` and `size`. */
static void host_sends(unsigned type, unsigned size, size_t length)
{
    unsigned char bytes[8192] = {0};
    const struct dynamic_memory_header header = {
        .type = (uint16_t)type, .size = (uint16_t)size, .transaction_id = 1};

    memcpy(bytes, &header, sizeof(header));
    fake_kmcl_receive(bytes, length);
    pass_time(BALLOON_REPLY_DELAY);
}

static void expect_ignored(unsigned malformed, unsigned unknown)
{
    assert_int_equal(statistics().messages_malformed, malformed);
    assert_int_equal(statistics().messages_unknown, unknown);
    assert_int_equal(statistics().messages_unexpected, 0);
    assert_int_equal(lines_with("malformed message"), malformed > 0);
    assert_int_equal(lines_with("unknown message"), unknown > 0);
    assert_int_equal(messages_left(), 0);
    assert_int_equal(balloon_state(), BALLOON_IDLE);
}

static void a_packet_without_a_header_is_malformed(void **state)
{
    (void)state;
    fake_kmcl_receive("", 0);
    expect_ignored(1, 0);
    assert_int_equal(statistics().messages, 3); /* two of them in the negotiation */
}

static void a_size_below_the_header_is_malformed(void **state)
{
    (void)state;
    for (unsigned size = 0; size < 8; size++)
        host_sends(DYNAMIC_MEMORY_BALLOON_REQUEST, size, 16);
    expect_ignored(8, 0);
}

static void a_size_beyond_the_packet_is_malformed(void **state)
{
    (void)state;
    host_sends(DYNAMIC_MEMORY_BALLOON_REQUEST, 17, 16);
    host_sends(DYNAMIC_MEMORY_BALLOON_REQUEST, 0xffff, 16);
    host_sends(DYNAMIC_MEMORY_UNBALLOON_REQUEST, 4096, 16);
    expect_ignored(3, 0);
}

static void each_type_cut_short_is_malformed(void **state)
{
    static const struct {
        unsigned type;
        unsigned size;
    } messages[] = {
        {DYNAMIC_MEMORY_VERSION_RESPONSE, 16}, {DYNAMIC_MEMORY_CAPABILITIES_RESPONSE, 16},
        {DYNAMIC_MEMORY_BALLOON_REQUEST, 16},  {DYNAMIC_MEMORY_UNBALLOON_REQUEST, 16},
        {DYNAMIC_MEMORY_HOT_ADD_REQUEST, 16},  {DYNAMIC_MEMORY_INFORMATION, 24},
    };
    unsigned count = 0;
    (void)state;

    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++)
        for (unsigned size = 8; size < messages[i].size; size++, count++)
            host_sends(messages[i].type, size, size);
    expect_ignored(count, 0);
}

static void a_message_longer_than_a_page_is_malformed(void **state)
{
    (void)state;
    host_sends(DYNAMIC_MEMORY_BALLOON_REQUEST, 16, 4104);
    host_sends(DYNAMIC_MEMORY_UNBALLOON_REQUEST, 8000, 8000);
    expect_ignored(2, 0);
}

static void padding_behind_a_message_is_no_harm(void **state)
{
    (void)state;
    host_sends(DYNAMIC_MEMORY_BALLOON_REQUEST, 16, 24);
    assert_int_equal(messages_left(), 1);
    host_sends(DYNAMIC_MEMORY_BALLOON_REQUEST, 16, 4096);
    assert_int_equal(messages_left(), 2);
    assert_int_equal(statistics().messages_malformed, 0);
}

static void types_nobody_knows_are_counted(void **state)
{
    static const unsigned types[] = {
        DYNAMIC_MEMORY_ERROR,
        DYNAMIC_MEMORY_VERSION_REQUEST,
        DYNAMIC_MEMORY_CAPABILITIES_REPORT,
        DYNAMIC_MEMORY_STATUS_REPORT,
        DYNAMIC_MEMORY_BALLOON_RESPONSE,
        DYNAMIC_MEMORY_UNBALLOON_RESPONSE,
        DYNAMIC_MEMORY_HOT_ADD_RESPONSE,
        DYNAMIC_MEMORY_HOT_REMOVE_REQUEST, /* was not offered */
        DYNAMIC_MEMORY_HOT_REMOVE_RESPONSE,
        15,
        0x8000,
        0xffff,
    };
    (void)state;

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        host_sends(types[i], 64, 64);
    expect_ignored(0, sizeof(types) / sizeof(types[0]));
}

static void external_data_is_malformed(void **state)
{
    const struct dynamic_memory_balloon_request request = {
        .header = {DYNAMIC_MEMORY_BALLOON_REQUEST, sizeof(request), 1}, .pages = 1};
    (void)state;

    fake_kmcl_receive_with_external_data(&request, sizeof(request));
    expect_ignored(1, 0);
}

static void a_list_longer_than_its_message_is_malformed(void **state)
{
    struct {
        struct dynamic_memory_unballoon_request head;
        uint64_t ranges[2];
    } request = {.head = {.header = {DYNAMIC_MEMORY_UNBALLOON_REQUEST, sizeof(request), 1}}};
    (void)state;

    request.head.range_count = 3;
    fake_kmcl_receive(&request, sizeof(request));
    request.head.range_count = UINT32_MAX;
    fake_kmcl_receive(&request, sizeof(request));
    request.head.range_count = 0x20000000; /* times 8 is 0 in 32 bits */
    fake_kmcl_receive(&request, sizeof(request));
    request.head.range_count = 2;
    request.head.header.size =
        sizeof(request) - 1; /* the packet would hold it, the message does not */
    fake_kmcl_receive(&request, sizeof(request));
    expect_ignored(4, 0);
    assert_int_equal(statistics().unballoon_requests, 0);
}

static void a_region_cut_short_is_none(void **state)
{
    unsigned char bytes[24] = {DYNAMIC_MEMORY_HOT_ADD_REQUEST, 0, 23};
    const uint64_t range = dynamic_memory_range(FAKE_PAGES_FIRST_FRAME + FIXTURE_PAGES, 512);
    (void)state;

    memcpy(bytes + 8, &range, sizeof(range));
    fake_kmcl_receive(bytes, sizeof(bytes));
    pass_time(BALLOON_REPLY_DELAY);
    expect_hot_add_response(512, 1);
}

/* ---- information ---- */

static void host_informs(unsigned size, uint32_t information_size, uint32_t type,
                         uint32_t data_size, uint64_t value)
{
    const struct dynamic_memory_information information = {
        .header = {DYNAMIC_MEMORY_INFORMATION, (uint16_t)size, 1},
        .information_size = information_size,
        .information_type = type,
        .data_size = data_size,
        .maximum_pages = value,
    };
    fake_kmcl_receive(&information, size);
    run();
}

static void the_maximum_page_count_is_noted(void **state)
{
    (void)state;
    host_informs(32, 16, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 8, 0x123456);
    assert_int_equal(statistics().maximum_pages, 0x123456);
    expect_ignored(0, 0);
}

static void other_information_is_accepted_and_not_used(void **state)
{
    (void)state;
    host_informs(32, 16, 7, 8, 99);
    host_informs(24, 8, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 0, 0);
    host_informs(32, 16, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 4, 99);
    assert_int_equal(statistics().maximum_pages, 0);
    expect_ignored(0, 0);
}

static void information_whose_sizes_disagree_is_malformed(void **state)
{
    (void)state;
    host_informs(32, 17, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 8, 99);
    host_informs(32, UINT32_MAX, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 8, 99);
    host_informs(32, 16, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 9, 99);
    host_informs(32, 16, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, UINT32_MAX, 99);
    host_informs(32, 7, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 0, 99);
    host_informs(24, 16, DYNAMIC_MEMORY_INFORMATION_MAXIMUM_PAGES, 8, 99);
    assert_int_equal(statistics().maximum_pages, 0);
    expect_ignored(6, 0);
}

/* ---- much of it ---- */

static void noise_does_not_stop_the_driver(void **state)
{
    const size_t free_before = fake_pages_free_count();
    (void)state;

    srand(7);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned char bytes[64];
        const size_t length = (size_t)(rand() % 9) * 8;
        for (size_t at = 0; at < sizeof(bytes); at++)
            bytes[at] = (unsigned char)(rand() % 4 == 0 ? rand() : 0);
        bytes[0] = (unsigned char)(rand() % 16);
        bytes[1] = 0;
        bytes[2] = (unsigned char)(rand() % 72);
        bytes[3] = 0;
        fake_kmcl_receive(bytes, length);
        pass_time(BALLOON_REPLY_DELAY / 2 * (unsigned)(rand() % 3));
        forget_messages();
    }
    assert_int_equal(statistics().messages, 20002);
    assert_int_equal(free_before - fake_pages_free_count(),
                     statistics().ballooned - statistics().hot_added);

    /* And it still does its work. */
    pass_time(BALLOON_REPLY_DELAY);
    host_returns(NULL, 0, false);
    forget_messages();
    const uint64_t before = statistics().requests;
    host_asks_for_pages(1);
    assert_int_equal(statistics().requests, before + 1);
    assert_int_equal(messages_left(), 1);
    forget_messages();
}

static void a_host_that_reads_nothing_costs_no_more_than_a_few_packets(void **state)
{
    (void)state;
    fake_kmcl.ring_is_full = true;
    for (unsigned i = 0; i < 1000; i++)
        host_returns(NULL, 0, false);
    assert_int_equal(fake_kmcl.packets, 8);
    assert_int_equal(statistics().replies_dropped, 992);
    assert_int_equal(lines_with("could not be sent"), 1);
    fake_kmcl_make_room();
    host_returns(NULL, 0, false);
    assert_int_equal(messages_left(), 9);
}

#define TEST(test_)                                                                                \
    cmocka_unit_test_setup_teardown(test_, fixture_start_negotiated_without_status, fixture_end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_packet_without_a_header_is_malformed),
        TEST(a_size_below_the_header_is_malformed),
        TEST(a_size_beyond_the_packet_is_malformed),
        TEST(each_type_cut_short_is_malformed),
        TEST(a_message_longer_than_a_page_is_malformed),
        TEST(padding_behind_a_message_is_no_harm),
        TEST(types_nobody_knows_are_counted),
        TEST(external_data_is_malformed),
        TEST(a_list_longer_than_its_message_is_malformed),
        TEST(a_region_cut_short_is_none),
        TEST(the_maximum_page_count_is_noted),
        TEST(other_information_is_accepted_and_not_used),
        TEST(information_whose_sizes_disagree_is_malformed),
        TEST(noise_does_not_stop_the_driver),
        TEST(a_host_that_reads_nothing_costs_no_more_than_a_few_packets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
