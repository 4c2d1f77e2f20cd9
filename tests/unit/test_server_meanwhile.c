/* SPDX-License-Identifier: MIT */
/* What others do while the server calls its machine or an owner. */
#include "tests/unit/server/channel.h"

/* ---- several at a time ---- */

static void close_once(void)
{
    loopback.meanwhile = NULL;
    guest_close(RELID);
}

static void closes_meanwhile(void)
{
    guest_close(RELID);
}

static void a_close_while_the_rings_are_mapped_is_seen(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPENING);
    loopback.meanwhile = closes_meanwhile;
    assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_RESCINDED);
    loopback.meanwhile = NULL;
    expect_calls(&device, "c");
    assert_int_equal(loopback_maps(), 1);
    vmbus_server_close_done(device.channel);
    assert_int_equal(loopback_maps(), 0);
    finish_channel();
}

static void a_close_while_a_refusal_unmaps_comes_first(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPENING);
    assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_OK);
    loopback.meanwhile = closes_meanwhile;
    assert_int_equal(vmbus_server_open_done(device.channel, 5), VMBUS_RESCINDED);
    loopback.meanwhile = NULL;
    expect_calls(&device, "c");
    expect_silence();
    vmbus_server_close_done(device.channel);
    finish_channel();
}

static void an_unload_while_a_gpadl_is_mapped_waits_for_it(void **state)
{
    const struct vmbus_server_range *ranges;
    size_t count;

    (void)state;
    start_device();
    assert_true(guest_gpadl(RELID, 50, rings, 2));
    bring_to(VMBUS_SERVER_OPEN);
    loopback.meanwhile = guest_unload;
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 50, true, &ranges, &count), VMBUS_OK);
    loopback.meanwhile = NULL;
    expect_calls(&device, "c");
    expect_silence();
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 50), VMBUS_OK);
    expect_answer(17, 0, 0, 0);
    guest_connect(VMBUS_VERSION_5_3);
    finish_channel();
}

static void an_unload_while_a_gpadl_cannot_be_mapped_waits_for_that(void **state)
{
    const struct vmbus_server_range *ranges;
    size_t count;

    (void)state;
    start_device();
    assert_true(guest_gpadl(RELID, 50, rings, 2));
    bring_to(VMBUS_SERVER_OPEN);
    loopback.meanwhile = guest_unload;
    loopback.map_fail = 1;
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 50, true, &ranges, &count),
                     VMBUS_REFUSED);
    loopback.meanwhile = NULL;
    expect_answer(17, 0, 0, 0);
    guest_connect(VMBUS_VERSION_5_3);
    finish_channel();
}

static void a_teardown_while_a_gpadl_is_mapped_is_told_to_the_owner(void **state)
{
    (void)state;
    start_device();
    assert_true(guest_gpadl(RELID, 50, rings, 2));
    bring_to(VMBUS_SERVER_OPEN);
    device.waits = true;
    const struct vmbus_server_range *ranges;
    size_t count;
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 50, true, &ranges, &count), VMBUS_OK);
    loopback_log_clear();
    guest_teardown(RELID, 50);
    expect_calls(&device, "w");
    expect_silence();
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 50), VMBUS_OK);
    expect_answer(TORNDOWN, 50, 0, 0);
    finish_channel();
}

static void messages_behind_a_new_contact_are_not_sent_twice(void **state)
{
    (void)state;
    start_device();
    loopback_log_clear();
    loopback.meanwhile = close_once; /* any message in the middle of a post */
    guest_contact(VMBUS_VERSION_5_0);
    assert_int_equal(loopback_count_to_guest(15), 1);
    loopback_log_clear();
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    finish_channel();
}

static void opens_and_closes_meanwhile(void)
{
    guest_open(RELID, 7, RELID, 2);
    guest_close(RELID);
}

static void callbacks_of_one_channel_pile_up_in_their_order(void **state)
{
    struct device other;

    (void)state;
    start_device();
    device_start(&other, 4);
    uint8_t *memory = pages_allocate_zeroed(RING_PAGES);
    assert_true(guest_gpadl(4, 4, memory, RING_PAGES));
    /* The other device is in its own callback. */
    loopback.meanwhile = opens_and_closes_meanwhile;
    guest_open(4, 1, 4, 2);
    loopback.meanwhile = NULL;
    expect_calls(&other, "o");
    expect_calls(&device, "oc");
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    guest_unload();
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(other.channel);
    finish_channel();
}

static bool recontacted;
static void recontact(void)
{
    if (!recontacted) {
        recontacted = true;
        guest_contact(VMBUS_VERSION_4_1);
    }
}

static void a_contact_while_an_answer_is_posted_gets_its_own(void **state)
{
    (void)state;
    start_device();
    loopback_log_clear();
    recontacted = false;
    loopback.meanwhile = recontact;
    guest_contact(VMBUS_VERSION_5_0);
    loopback.meanwhile = NULL;
    /* The first was with the machine already. */
    assert_int_equal(loopback_count_to_guest(15), 2);
    assert_int_equal(loopback_word(loopback_to_guest(15, 0), 12), 1);
    assert_int_equal(loopback_word(loopback_to_guest(15, 1), 12), VMBUS_VERSION_4_1);
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    finish_channel();
}

static void revoke_now(struct device *of)
{
    vmbus_server_revoke(of->channel);
}

static void an_owner_may_revoke_in_its_event(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPEN);
    device.on_event = revoke_now;
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2003, 0), HV_STATUS_SUCCESS);
    expect_calls(&device, "cr");
    assert_null(device.channel);
    finish_channel();
}

static void an_owner_may_open_and_close_in_turns_inside_callbacks(void **state)
{
    (void)state;
    start_device();
    device.waits = true;
    open_channel();
    loopback.meanwhile = closes_meanwhile;
    assert_int_equal(device_accept(&device), VMBUS_RESCINDED);
    device.waits = false;
    guest_open(RELID, 8, RELID, 2); /* waits for the close */
    loopback.meanwhile = NULL;
    vmbus_server_close_done(device.channel);
    expect_calls(&device, "oco");
    expect_answer(OPEN_RESULT, RELID, 8, 0);
    finish_channel();
}

static void without_a_free_number_a_device_waits(void **state)
{
    static struct device all[2047];
    struct device again;

    (void)state;
    for (uint32_t i = 0; i < 2047; i++) {
        device_start(&all[i], i + 1);
    }
    guest_connect(VMBUS_VERSION_5_3);
    /* Two go, and come back; the guest gives one number back. */
    vmbus_server_revoke(all[4].channel);
    device_start(&again, 5);
    vmbus_server_revoke(all[9].channel);
    assert_int_equal(device_relid(&again), 0);
    guest_release(10);
    assert_int_equal(device_relid(&again), 0);
    struct device thief = {.offer = device_offer(0)};
    thief.offer.interface_instance.data1 = 9999;
    assert_int_equal(device_offer_now(&thief), VMBUS_OK);
    assert_int_equal(device_relid(&thief), 10);
    guest_release(5);
    assert_int_equal(device_relid(&again), 5);
    vmbus_server_revoke(again.channel);
    vmbus_server_revoke(thief.channel);
    for (uint32_t i = 0; i < 2047; i++) {
        if (all[i].channel != NULL) {
            vmbus_server_revoke(all[i].channel);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(a_close_while_the_rings_are_mapped_is_seen),
        server_test(a_close_while_a_refusal_unmaps_comes_first),
        server_test(an_unload_while_a_gpadl_is_mapped_waits_for_it),
        server_test(an_unload_while_a_gpadl_cannot_be_mapped_waits_for_that),
        server_test(a_teardown_while_a_gpadl_is_mapped_is_told_to_the_owner),
        server_test(messages_behind_a_new_contact_are_not_sent_twice),
        server_test(callbacks_of_one_channel_pile_up_in_their_order),
        server_test(a_contact_while_an_answer_is_posted_gets_its_own),
        server_test(an_owner_may_revoke_in_its_event),
        server_test(an_owner_may_open_and_close_in_turns_inside_callbacks),
        server_test(without_a_free_number_a_device_waits),
    };
    return cmocka_run_group_tests_name("server, meanwhile", tests, NULL, NULL);
}
