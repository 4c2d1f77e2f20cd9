/* SPDX-License-Identifier: MIT */
/* A server goes on in the place of another: which devices are there then and which are not. */

#include "tests/unit/server/move.h"

#include <stdlib.h>

#include "vmbus/offers.h"
#include "vmbus/vmbus.h"

#define OFFER    1u
#define RESCIND  2u
#define TORNDOWN 12u

/* ---- who is there and who is not ---- */

static void what_nobody_offers_any_more_is_rescinded(void **state)
{
    static const enum vmbus_server_state states[] = {VMBUS_SERVER_OFFERED, VMBUS_SERVER_OPENING,
                                                     VMBUS_SERVER_OPEN, VMBUS_SERVER_CLOSING};

    (void)state;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        start_device();
        device.waits = states[i] == VMBUS_SERVER_OPENING;
        if (states[i] != VMBUS_SERVER_OFFERED) {
            open_device();
        }
        if (states[i] == VMBUS_SERVER_CLOSING) {
            device.waits = true;
            guest_close(RELID);
        }
        assert_int_equal(device_state(&device), states[i]);
        struct saved saved = save_server();
        end_server(&device, 1);
        assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
        free(saved.bytes);
        expect_answer(RESCIND, RELID, 0, 0);
        /* The number is taken until the guest has given it back. */
        struct device other;
        device_start(&other, 0);
        assert_int_equal(device_relid(&other), 1);
        loopback_log_clear();
        guest_teardown(RELID, RELID);
        expect_answer(TORNDOWN, RELID, 0, 0);
        guest_release(RELID);
        vmbus_server_revoke(other.channel);
        device_start(&device, RELID);
        assert_int_equal(device_relid(&device), RELID);
        finish_device();
        loopback_end();
        loopback_start(NULL);
    }
}

static void an_offer_that_never_left_is_forgotten_with_its_owner(void **state)
{
    static struct device devices[40];

    (void)state;
    guest_contact(VMBUS_VERSION_5_3);
    for (uint32_t i = 0; i < 40; i++) {
        device_start(&devices[i], i + 1);
    }
    loopback.slot_stuck = true;
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    struct saved saved = save_server();
    end_server(devices, 40);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    free(saved.bytes);
    loopback.slot_stuck = false;
    while (loopback_take()) {
    }
    /* 1 was in the slot, 32 in the queue: those the guest hears of, and what became of them. */
    assert_int_equal(loopback_count_to_guest(OFFER), 32);
    assert_int_equal(loopback_count_to_guest(RESCIND), 33);
    assert_int_equal(loopback_count_to_guest(4), 1);
}

static void what_is_new_is_offered(void **state)
{
    struct device other;

    (void)state;
    start_device();
    struct saved saved = save_server();
    end_server(&device, 1);
    /* It took the number, before it was known to whom that belongs. */
    device_start(&other, 77);
    device_leave(&other);
    other.offer.relid = RELID;
    assert_int_equal(device_offer_now(&other), VMBUS_OK);
    device.offer.relid = 0;
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    free(saved.bytes);
    assert_int_equal(device_relid(&device), RELID);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    assert_int_equal(device_relid(&other), 1);
    assert_int_equal(loopback_count_to_guest(0), 1);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), 1);
    device_leave(&other);
    finish_device();
}

static void a_channel_that_shall_be_new_waits_for_the_old_one(void **state)
{
    (void)state;
    start_device();
    open_device();
    device.offer.force_new = true;
    move_machine(false);
    expect_calls(&device, "");
    expect_answer(RESCIND, RELID, 0, 0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    guest_teardown(RELID, RELID);
    expect_answer(TORNDOWN, RELID, 0, 0);
    guest_release(RELID);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), RELID);
    assert_true(guest_gpadl(RELID, RELID, rings, RING_PAGES));
    expect_usable();
    device.offer.force_new = false;
    finish_device();
}

static void nothing(void *context)
{
    (void)context;
}

static void our_guest_notices_nothing(void **state)
{
    const struct vmbus_channel_owner owner = {.event = nothing, .rescinded = nothing};

    (void)state;
    device_start(&device, RELID);
    device.echoes = true;
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    struct vmbus_channel *channel = vmbus_channel_next(RELID);
    assert_true(vmbus_channel_claim(channel, &owner));
    vmbus_channel_put(channel);
    assert_int_equal(vmbus_channel_open(channel, 1, 1, NULL), VMBUS_OK);
    for (uint64_t id = 1; id < 1000; id++) {
        const struct ring_packet_out out = {.transaction_id = id,
                                            .type = RING_PACKET_DATA_INBAND,
                                            .payload = &id,
                                            .payload_length = 8};
        struct ring_packet_in in;
        uint64_t echoed = 0;
        assert_int_equal(ring_writer_put(vmbus_channel_outgoing(channel), &out), RING_OK);
        bool signal = ring_writer_commit(vmbus_channel_outgoing(channel));
        if (id % 10 == 0) {
            move_machine(false); /* between the packet and its signal */
        }
        if (signal) {
            vmbus_channel_signal(channel);
        }
        loopback_run();
        assert_int_equal(
            ring_reader_next(vmbus_channel_incoming(channel), &echoed, sizeof(echoed), &in),
            RING_OK);
        assert_int_equal(echoed, id);
        (void)ring_reader_publish(vmbus_channel_incoming(channel));
    }
    assert_int_equal(vmbus_server_version(loopback_server), VMBUS_VERSION_6_0);
    vmbus_channel_close(channel);
    assert_true(vmbus_channel_unclaim(channel));
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    device_leave(&device);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(what_nobody_offers_any_more_is_rescinded),
        server_test(an_offer_that_never_left_is_forgotten_with_its_owner),
        server_test(what_is_new_is_offered),
        server_test(a_channel_that_shall_be_new_waits_for_the_old_one),
        server_test(our_guest_notices_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
