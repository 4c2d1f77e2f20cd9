/* SPDX-License-Identifier: MIT */
/*
 * A guest gives numbers of channels back that nobody took from it: Linux does for an offer that it
 * has no memory for, and for each one when its bus driver leaves (vmbus_free_channels(), 6.12:
 * behind UNLOAD, or without one).
 */
#include "tests/unit/server/device.h"

#define OFFER 1u
#define RELID 3u

static struct device device;

static struct vmbus_server_statistics counts(void)
{
    struct vmbus_server_statistics out;

    vmbus_server_statistics(loopback_server, &out);
    return out;
}

static void start(void)
{
    device_start(&device, RELID);
    guest_connect(VMBUS_VERSION_5_3);
}

static void finish(void)
{
    vmbus_server_revoke(device.channel);
    assert_null(device.channel);
    guest_unload();
}

static void a_device_given_back_is_offered_to_the_next_connection(void **state)
{
    (void)state;
    start();
    guest_release(RELID);
    expect_silence();
    assert_int_equal(counts().messages_unexpected, 0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    guest_connect(VMBUS_VERSION_5_3);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    assert_int_equal(device_relid(&device), RELID);
    finish();
}

/* The guest knows nothing that could be rescinded, and would not answer. */
static void a_device_given_back_leaves_without_a_rescind_and_comes_back_at_once(void **state)
{
    (void)state;
    start();
    guest_release(RELID);
    vmbus_server_revoke(device.channel);
    assert_null(device.channel);
    expect_silence();
    device_start(&device, RELID);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), RELID);
    finish();
}

static void what_was_made_for_a_device_given_back_is_gone(void **state)
{
    uint8_t *buffer = pages_allocate(2);

    (void)state;
    start();
    assert_true(guest_gpadl(RELID, 50, buffer, 2));
    guest_release(RELID);
    assert_int_equal(counts().gpadls, 0);
    loopback_log_clear();
    guest_open(RELID, 1, 50, 2);
    guest_release(RELID);
    expect_silence();
    assert_int_equal(counts().messages_unexpected, 2);
    finish();
    pages_free(buffer, 2);
}

static void numbers_given_back_behind_the_end_are_no_mistakes(void **state)
{
    (void)state;
    start();
    guest_unload();
    loopback_log_clear();
    guest_release(RELID);
    expect_silence();
    assert_int_equal(counts().messages_unexpected, 0);
    guest_connect(VMBUS_VERSION_5_3);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(a_device_given_back_is_offered_to_the_next_connection),
        server_test(a_device_given_back_leaves_without_a_rescind_and_comes_back_at_once),
        server_test(what_was_made_for_a_device_given_back_is_gone),
        server_test(numbers_given_back_behind_the_end_are_no_mistakes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
