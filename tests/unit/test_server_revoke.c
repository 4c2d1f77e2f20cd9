/* SPDX-License-Identifier: MIT */
/* Offers that are taken back, in each state, and their numbers. */
#include "tests/unit/server/channel.h"

#include <stdlib.h>

/* ---- revoking ---- */

static void an_offer_taken_back_before_the_guest_knows_leaves_no_trace(void **state)
{
    (void)state;
    device_start(&device, RELID);
    vmbus_server_revoke(device.channel);
    assert_null(device.channel);
    guest_connect(VMBUS_VERSION_5_3);
    guest_contact(VMBUS_VERSION_5_3);
    device_start(&device, RELID);
    vmbus_server_revoke(device.channel);
    loopback_log_clear();
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    assert_int_equal(loopback_count_to_guest(OFFER), 0);
}

static void a_revoke_in_each_state_ends_the_channel(void **state)
{
    static const struct {
        enum vmbus_server_state from;
        const char *calls;
    } cases[] = {
        {VMBUS_SERVER_OFFERED, "r"},
        {VMBUS_SERVER_OPENING, "cr"},
        {VMBUS_SERVER_OPEN, "cr"},
        {VMBUS_SERVER_CLOSING, "r"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        start_device();
        bring_to(cases[i].from);
        struct vmbus_server_channel *channel = device.channel;
        vmbus_server_revoke(channel);
        expect_answer(RESCIND, RELID, 0, 0);
        if (device.waits) {
            vmbus_server_close_done(channel);
        }
        expect_calls(&device, cases[i].calls);
        assert_null(device.channel);
        assert_int_equal(loopback_maps(), 0);
        /* Late messages of a guest that has not read it yet are no mistakes. */
        guest_open(RELID, 99, RELID, 2);
        guest_close(RELID);
        expect_silence();
        assert_int_equal(counts().messages_unexpected, 0);
        assert_false(guest_gpadl(RELID, 55, rings, 1));
        loopback_log_clear();
        guest_teardown(RELID, RELID);
        expect_answer(TORNDOWN, RELID, 0, 0);
        guest_release(RELID);
        expect_silence();
        guest_release(RELID); /* gone: whose number is it? */
        assert_int_equal(counts().messages_unexpected, 1);
        guest_unload();
        pages_free(rings, RING_PAGES);
        loopback_end();
        loopback_start(NULL);
    }
}

static void a_number_given_back_early_waits_for_the_owner(void **state)
{
    struct device again;

    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPEN);
    device.waits = true;
    struct vmbus_server_channel *channel = device.channel;
    vmbus_server_revoke(channel);
    loopback_log_clear();
    guest_release(RELID);
    guest_open(RELID, 1, RELID, 2);
    assert_int_equal(counts().messages_unexpected, 1);
    device_start(&again, RELID);
    assert_int_equal(device_state(&again), VMBUS_SERVER_WAITING);
    expect_silence();
    assert_int_equal(loopback_maps(), 1);
    vmbus_server_close_done(channel);
    expect_calls(&device, "cr");
    assert_int_equal(loopback_maps(), 0);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), RELID);
    loopback_log_clear();
    vmbus_server_revoke(again.channel);
    expect_answer(RESCIND, RELID, 0, 0);
    finish_channel();
}

static void the_number_of_an_open_channel_is_not_given_back_unasked(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPEN);
    guest_release(RELID);
    guest_release(0);
    guest_release(2047);
    guest_release(2048);
    assert_int_equal(counts().messages_unexpected, 4);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OPEN);
    finish_channel();
}

static void a_device_comes_back_under_its_number_when_that_is_free(void **state)
{
    struct device again;
    struct device other;

    (void)state;
    start_device();
    vmbus_server_revoke(device.channel);
    loopback_log_clear();
    device_start(&again, RELID);
    device_start(&other, 0);
    assert_int_equal(device_relid(&other), 1);
    assert_int_equal(device_relid(&again), 0);
    loopback_log_clear();
    guest_release(RELID);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), RELID);
    vmbus_server_revoke(other.channel);
    vmbus_server_revoke(again.channel);
    finish_channel();
}

static void a_device_that_waits_for_its_number_can_be_taken_back(void **state)
{
    struct device again;

    (void)state;
    start_device();
    vmbus_server_revoke(device.channel);
    device_start(&again, RELID);
    vmbus_server_revoke(again.channel);
    assert_null(again.channel);
    loopback_log_clear();
    guest_release(RELID);
    expect_silence();
    finish_channel();
}

static void a_disconnect_gives_all_numbers_back(void **state)
{
    struct device again;

    (void)state;
    start_device();
    vmbus_server_revoke(device.channel);
    device_start(&again, RELID);
    guest_unload();
    assert_int_equal(device_relid(&again), RELID);
    guest_connect(VMBUS_VERSION_5_3);
    assert_int_equal(device_state(&again), VMBUS_SERVER_OFFERED);
    vmbus_server_revoke(again.channel);
    finish_channel();
}

static void released_comes_after_the_last_unmap(void **state)
{
    const struct vmbus_server_range *ranges;
    size_t count;
    uint8_t *buffer = pages_allocate(2);

    (void)state;
    start_device();
    assert_true(guest_gpadl(RELID, 50, buffer, 2));
    bring_to(VMBUS_SERVER_OPEN);
    struct vmbus_server_channel *channel = device.channel;
    assert_int_equal(vmbus_server_gpadl_map(channel, 50, false, &ranges, &count), VMBUS_OK);
    vmbus_server_revoke(channel);
    expect_calls(&device, "c");
    guest_release(RELID);
    assert_int_equal(vmbus_server_gpadl_unmap(channel, 50), VMBUS_OK);
    expect_calls(&device, "r");
    pages_free(buffer, 2);
    finish_channel();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(an_offer_taken_back_before_the_guest_knows_leaves_no_trace),
        server_test(a_revoke_in_each_state_ends_the_channel),
        server_test(a_number_given_back_early_waits_for_the_owner),
        server_test(the_number_of_an_open_channel_is_not_given_back_unasked),
        server_test(a_device_comes_back_under_its_number_when_that_is_free),
        server_test(a_device_that_waits_for_its_number_can_be_taken_back),
        server_test(a_disconnect_gives_all_numbers_back),
        server_test(released_comes_after_the_last_unmap),
    };
    return cmocka_run_group_tests_name("server, revoke", tests, NULL, NULL);
}
