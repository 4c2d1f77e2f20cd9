/* SPDX-License-Identifier: MIT */
/*
 * A server is saved, goes, and another goes on in its place; the guest must not see more of it than
 * an event too many.
 */

#include "tests/unit/server/check.h"
#include "tests/unit/server/move.h"

#include <stdlib.h>

#define OFFER       1u
#define RESCIND     2u
#define OPEN_RESULT 6u
#define CREATED     10u
#define TORNDOWN    12u

/* ---- each state ---- */

static void before_any_contact(void **state)
{
    (void)state;
    device_start(&device, RELID);
    move_machine(false);
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    assert_int_equal(device_relid(&device), RELID);
    guest_connect(VMBUS_VERSION_5_0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    vmbus_server_revoke(device.channel);
}

static void connected_before_offers_are_asked_for(void **state)
{
    (void)state;
    device_start(&device, RELID);
    guest_contact(VMBUS_VERSION_5_1);
    move_machine(false);
    assert_int_equal(vmbus_server_version(loopback_server), VMBUS_VERSION_5_1);
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    assert_int_equal(loopback_count_to_guest(OFFER), 1);
    assert_int_equal(loopback_count_to_guest(4), 1);
    vmbus_server_revoke(device.channel);
}

static void offered(void **state)
{
    (void)state;
    start_device();
    move_machine(false);
    expect_silence();
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    (void)guest_words(3, 8, 0, 0, 0, 0, 0); /* asked for already */
    expect_silence();
    expect_usable();
    finish_device();
}

static void opening(void **state)
{
    (void)state;
    start_device();
    device.waits = true;
    open_device();
    move_machine(true);
    expect_calls(&device, "o");
    assert_false(device.request.restored);
    expect_silence();
    assert_int_equal(device_accept(&device), VMBUS_OK);
    expect_answer(OPEN_RESULT, RELID, 7, 0);
    finish_device();
}

static void open_and_its_rings_go_on_where_they_were(void **state)
{
    struct ring_packet_in in;
    uint64_t payload = 0;
    const struct ring_packet_out out = {
        .type = RING_PACKET_DATA_INBAND, .payload = &payload, .payload_length = 8};
    struct ring_writer guest_out;
    struct ring_reader guest_in;

    (void)state;
    start_device();
    open_device();
    assert_int_equal(ring_writer_attach(&guest_out, (void *)rings, rings + PAGE_SIZE, PAGE_SIZE),
                     RING_OK);
    assert_int_equal(ring_reader_attach(&guest_in, (void *)(rings + 2 * PAGE_SIZE),
                                        rings + 3 * PAGE_SIZE, PAGE_SIZE),
                     RING_OK);
    uint64_t sent[2] = {0};
    uint64_t seen[2] = {0};
    for (unsigned round = 0; round < 300; round++) {
        /* Each side is some packets behind the other when the machine moves. */
        for (unsigned i = 0; i < 1 + round % 7; i++) {
            payload = ++sent[0];
            assert_int_equal(ring_writer_put(&guest_out, &out), RING_OK);
            (void)ring_writer_commit(&guest_out);
            payload = ++sent[1];
            assert_int_equal(ring_writer_put(vmbus_server_outgoing(device.channel), &out), RING_OK);
            (void)ring_writer_commit(vmbus_server_outgoing(device.channel));
        }
        for (unsigned i = 0; i < round % 3; i++) {
            if (ring_reader_next(vmbus_server_incoming(device.channel), &payload, 8, &in) ==
                RING_OK) {
                assert_int_equal(payload, ++seen[0]);
            }
        }
        if (round % 2 != 0) {
            (void)ring_reader_publish(vmbus_server_incoming(device.channel));
        }
        unsigned events = loopback_events(RELID);
        move_machine(true);
        expect_calls(&device, "o");
        assert_true(device.request.restored);
        assert_int_equal(device.request.version, VMBUS_VERSION_5_3);
        if (round % 5 == 0) {
            /* A second move before the owner has answered; and one after it mapped. */
            move_machine(true);
            assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_OK);
            move_machine(true);
            expect_calls(&device, "o");
        }
        assert_int_equal(device_accept(&device), VMBUS_OK);
        assert_int_equal(device_state(&device), VMBUS_SERVER_OPEN);
        expect_silence();
        assert_int_equal(loopback_events(RELID), events + 1);
        while (ring_reader_next(vmbus_server_incoming(device.channel), &payload, 8, &in) ==
               RING_OK) {
            assert_int_equal(payload, ++seen[0]);
        }
        (void)ring_reader_publish(vmbus_server_incoming(device.channel));
        while (ring_reader_next(&guest_in, &payload, 8, &in) == RING_OK) {
            assert_int_equal(payload, ++seen[1]);
        }
        (void)ring_reader_publish(&guest_in);
        assert_int_equal(sent[0], seen[0]);
        assert_int_equal(sent[1], seen[1]);
    }
    device.waits = false;
    guest_close(RELID);
    expect_usable();
    finish_device();
}

static void indices_that_the_guest_changed_meanwhile_do_not_count(void **state)
{
    static const uint32_t wrong = 8;

    (void)state;
    start_device();
    open_device();
    memcpy(rings + 4, &wrong, 4);
    memcpy(rings + 2 * PAGE_SIZE, &wrong, 4);
    move_machine(false);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OPEN);
    assert_int_equal(vmbus_server_incoming(device.channel)->index, 0);
    assert_int_equal(vmbus_server_outgoing(device.channel)->index, 0);
    assert_int_equal(rings[4], 0);
    assert_int_equal(rings[2 * PAGE_SIZE], 0);
    finish_device();
}

static void a_restored_channel_that_its_owner_refuses_is_rescinded_and_comes_back(void **state)
{
    (void)state;
    start_device();
    open_device();
    move_machine(true);
    assert_int_equal(vmbus_server_open_done(device.channel, FAILURE), VMBUS_OK);
    expect_answer(RESCIND, RELID, 0, 0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_REVOKED);
    guest_open(RELID, 9, RELID, 2);
    guest_close(RELID);
    expect_silence();
    move_machine(true); /* in that state too */
    expect_silence();
    assert_int_equal(device_state(&device), VMBUS_SERVER_REVOKED);
    guest_teardown(RELID, RELID);
    expect_answer(TORNDOWN, RELID, 0, 0);
    guest_release(RELID);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), RELID);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    expect_calls(&device, "");
    assert_true(guest_gpadl(RELID, RELID, rings, RING_PAGES));
    expect_usable();
    finish_device();
}

static void a_refused_restored_channel_can_be_revoked(void **state)
{
    (void)state;
    start_device();
    open_device();
    move_machine(true);
    assert_int_equal(vmbus_server_open_done(device.channel, FAILURE), VMBUS_OK);
    loopback_log_clear();
    vmbus_server_revoke(device.channel);
    assert_null(device.channel);
    guest_release(RELID);
    expect_silence();
    finish_device();
}

static void a_restored_channel_that_the_guest_closes_before_the_owner_answers(void **state)
{
    (void)state;
    start_device();
    open_device();
    move_machine(true);
    guest_close(RELID);
    assert_int_equal(vmbus_server_open_done(device.channel, 0), VMBUS_RESCINDED);
    expect_calls(&device, "oc");
    vmbus_server_close_done(device.channel);
    expect_usable();
    expect_calls(&device, "oc");
    finish_device();
}

static void closing_is_finished_by_the_end_of_the_owner(void **state)
{
    (void)state;
    start_device();
    open_device();
    device.waits = true;
    guest_close(RELID);
    guest_teardown(RELID, RELID);
    expect_silence();
    move_machine(false);
    expect_answer(TORNDOWN, RELID, 0, 0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    expect_calls(&device, "");
    assert_true(guest_gpadl(RELID, RELID, rings, RING_PAGES));
    expect_usable();
    finish_device();
}

static void an_open_that_waited_for_the_close_is_taken_up(void **state)
{
    (void)state;
    start_device();
    open_device();
    device.waits = true;
    guest_close(RELID);
    memset(rings, 0, RING_PAGES * PAGE_SIZE);
    guest_open(RELID, 44, RELID, 2);
    move_machine(false);
    expect_calls(&device, "o");
    assert_false(device.request.restored);
    expect_answer(OPEN_RESULT, RELID, 44, 0);
    finish_device();
}

static void revoked_and_not_yet_given_back(void **state)
{
    (void)state;
    start_device();
    vmbus_server_revoke(device.channel);
    loopback_log_clear();
    /* The new process offers the same device again. */
    move_machine(false);
    expect_silence();
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    assert_int_equal(device_relid(&device), 0);
    guest_teardown(RELID, RELID);
    expect_answer(TORNDOWN, RELID, 0, 0);
    guest_release(RELID);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), RELID);
    finish_device();
}

static void revoked_while_its_owner_was_closing(void **state)
{
    (void)state;
    for (int released = 0; released < 2; released++) {
        start_device();
        open_device();
        device.waits = true;
        vmbus_server_revoke(device.channel);
        expect_answer(RESCIND, RELID, 0, 0);
        if (released != 0) {
            guest_release(RELID);
        }
        /* That owner's last call cannot come any more. */
        struct saved saved = save_server();
        vmbus_server_reset(loopback_server);
        vmbus_server_close_done(device.channel);
        end_server(NULL, 0);
        device_start(&device, RELID);
        assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
        free(saved.bytes);
        if (released == 0) {
            expect_silence();
            guest_release(RELID);
        }
        assert_int_equal(loopback_word(loopback_to_guest(0, 0), 0), OFFER);
        assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
        finish_device();
        loopback_end();
        loopback_start(NULL);
    }
}

static void an_unload_that_waited_is_answered(void **state)
{
    (void)state;
    start_device();
    open_device();
    device.waits = true;
    guest_unload();
    expect_silence();
    move_machine(false);
    expect_answer(17, 0, 0, 0);
    assert_true(vmbus_server_is_idle(loopback_server));
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    guest_connect(VMBUS_VERSION_5_3);
    finish_device();
}

static void a_contact_that_waited_is_answered(void **state)
{
    (void)state;
    start_device();
    open_device();
    device.waits = true;
    guest_contact(VMBUS_VERSION_5_2);
    expect_silence();
    move_machine(false);
    expect_answer(15, 1, 1, 0);
    assert_int_equal(vmbus_server_version(loopback_server), VMBUS_VERSION_5_2);
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    finish_device();
}

static void gpadls_in_every_state(void **state)
{
    const struct vmbus_server_range *ranges;
    size_t count;
    uint8_t *memory = pages_allocate(40);
    uint64_t words[41] = {40 * PAGE_SIZE};
    const uint32_t pending[] = {RELID, 71, 328 | 1u << 16};
    _Alignas(8) uint8_t bytes[240] = {8};

    (void)state;
    for (uint64_t i = 0; i < 40; i++) {
        words[i + 1] = page_frame_of(memory) + i;
    }
    start_device();
    open_device();
    assert_true(guest_gpadl(RELID, 70, memory, 40));
    assert_true(guest_gpadl(RELID, 72, memory, 40));
    memcpy(bytes + 8, pending, sizeof(pending));
    memcpy(bytes + 20, words, 27 * 8);
    assert_int_equal(guest_post(bytes, 236), HV_STATUS_SUCCESS);
    device.waits = true;
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 72, true, &ranges, &count), VMBUS_OK);
    loopback_log_clear();
    guest_teardown(RELID, 72);
    expect_silence();
    struct saved saved = save_server();
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 72), VMBUS_OK);
    end_server(&device, 1);
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    free(saved.bytes);
    expect_answer(TORNDOWN, 72, 0, 0);
    bytes[0] = 9;
    memset(bytes + 8, 0, 4);
    bytes[12] = 71;
    bytes[13] = bytes[14] = bytes[15] = 0;
    memcpy(bytes + 16, words + 27, 14 * 8);
    assert_int_equal(guest_post(bytes, 16 + 14 * 8), HV_STATUS_SUCCESS);
    expect_answer(CREATED, RELID, 71, 0);
    for (uint32_t id = 70; id < 72; id++) {
        assert_int_equal(vmbus_server_gpadl_map(device.channel, id, true, &ranges, &count),
                         VMBUS_OK);
        assert_ptr_equal(ranges->address, memory);
        assert_int_equal(ranges->frame_count, 40);
        assert_int_equal(vmbus_server_gpadl_unmap(device.channel, id), VMBUS_OK);
    }
    finish_device();
    pages_free(memory, 40);
}

static void messages_on_their_way_arrive_in_their_order(void **state)
{
    enum { COUNT = 80 };
    static struct device devices[COUNT];
    unsigned seen = 0;

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        device_start(&devices[i], i + 1);
    }
    const uint32_t contact[10] = {14, 0, VMBUS_VERSION_5_3, 1};
    loopback.processors = 2;
    assert_int_equal(guest_post(contact, 40), HV_STATUS_SUCCESS);
    loopback_log_clear();
    loopback.slot_stuck = true;
    assert_int_equal(guest_words(3, 8, 0, 0, 0, 0, 0), HV_STATUS_SUCCESS);
    for (unsigned round = 0; round <= COUNT; round++) {
        /* The one in the slot is the guest's memory's affair. */
        const struct loopback_message *message = loopback_to_guest(0, 0);
        assert_non_null(message);
        assert_int_equal(message->sint, 2);
        assert_int_equal(message->number, 1);
        if (seen < COUNT) {
            assert_int_equal(loopback_word(message, 0), OFFER);
            assert_int_equal(loopback_word(message, 184), seen + 1);
        } else {
            assert_int_equal(loopback_word(message, 0), 4);
        }
        seen++;
        if (round % 9 == 0) {
            struct saved saved = save_server();
            end_server(devices, COUNT);
            for (uint32_t i = 0; i < COUNT; i++) {
                assert_int_equal(device_offer_now(&devices[i]), VMBUS_OK);
            }
            assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
            free(saved.bytes);
        }
        loopback_log_clear();
        (void)loopback_take();
    }
    assert_int_equal(seen, COUNT + 1);
    assert_false(loopback_take());
    for (uint32_t i = 0; i < COUNT; i++) {
        vmbus_server_revoke(devices[i].channel);
        (void)loopback_take();
    }
    loopback.slot_stuck = false;
    (void)loopback_take();
}

static void what_is_to_be_said_of_gpadls_waits_its_turn(void **state)
{
    const struct vmbus_server_range *ranges;
    size_t count;
    uint8_t *memory = pages_allocate(2);

    (void)state;
    start_device();
    open_device();
    device.waits = true;
    assert_true(guest_gpadl(RELID, 70, memory, 2));
    assert_true(guest_gpadl(RELID, 72, memory, 2));
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 70, true, &ranges, &count), VMBUS_OK);
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 72, true, &ranges, &count), VMBUS_OK);
    guest_teardown(RELID, 72);
    guest_teardown(RELID, 70);
    loopback_log_clear();
    loopback.slot_stuck = true;
    while (guest_words(8, 36, RELID, 0, 0, 0, 0) == HV_STATUS_SUCCESS) {
    }
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 70), VMBUS_OK);
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 72), VMBUS_OK);
    vmbus_server_revoke(device.channel);
    struct saved saved = save_server();
    vmbus_server_close_done(device.channel);
    end_server(&device, 1);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    free(saved.bytes);
    loopback.slot_stuck = false;
    while (loopback_take()) {
    }
    assert_int_equal(loopback_count_to_guest(CREATED), VMBUS_SERVER_QUEUE_SIZE);
    for (uint32_t i = 0; i < 3; i++) {
        static const uint32_t expected[][2] = {{TORNDOWN, 70}, {TORNDOWN, 72}, {RESCIND, RELID}};
        const struct loopback_message *message = loopback_to_guest(0, VMBUS_SERVER_QUEUE_SIZE + i);
        assert_int_equal(loopback_word(message, 0), expected[i][0]);
        assert_int_equal(loopback_word(message, 8), expected[i][1]);
    }
    pages_free(memory, 2);
    finish_device();
}

static void an_answer_and_a_rescind_of_one_channel_keep_their_order(void **state)
{
    (void)state;
    start_device();
    device.waits = true;
    open_device();
    loopback.slot_stuck = true;
    while (guest_words(8, 36, RELID, 0, 0, 0, 0) == HV_STATUS_SUCCESS) {
    }
    assert_int_equal(device_accept(&device), VMBUS_OK);
    vmbus_server_revoke(device.channel);
    struct saved saved = save_server();
    vmbus_server_close_done(device.channel);
    end_server(&device, 1);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    free(saved.bytes);
    check_server(loopback_server, 0);
    loopback.slot_stuck = false;
    while (loopback_take()) {
    }
    const struct loopback_message *message = loopback_to_guest(0, VMBUS_SERVER_QUEUE_SIZE);
    assert_int_equal(loopback_word(message, 0), OPEN_RESULT);
    assert_int_equal(loopback_word(message, 8), RELID);
    assert_int_equal(loopback_word(message, 12), 7);
    assert_int_equal(loopback_word(message, 16), 0);
    message = loopback_to_guest(0, VMBUS_SERVER_QUEUE_SIZE + 1);
    assert_int_equal(loopback_word(message, 0), RESCIND);
    assert_int_equal(loopback_word(message, 8), RELID);
    assert_null(loopback_to_guest(0, VMBUS_SERVER_QUEUE_SIZE + 2));
    finish_device();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(before_any_contact),
        server_test(connected_before_offers_are_asked_for),
        server_test(offered),
        server_test(opening),
        server_test(open_and_its_rings_go_on_where_they_were),
        server_test(indices_that_the_guest_changed_meanwhile_do_not_count),
        server_test(a_restored_channel_that_its_owner_refuses_is_rescinded_and_comes_back),
        server_test(a_refused_restored_channel_can_be_revoked),
        server_test(a_restored_channel_that_the_guest_closes_before_the_owner_answers),
        server_test(closing_is_finished_by_the_end_of_the_owner),
        server_test(an_open_that_waited_for_the_close_is_taken_up),
        server_test(revoked_and_not_yet_given_back),
        server_test(revoked_while_its_owner_was_closing),
        server_test(an_unload_that_waited_is_answered),
        server_test(a_contact_that_waited_is_answered),
        server_test(gpadls_in_every_state),
        server_test(messages_on_their_way_arrive_in_their_order),
        server_test(what_is_to_be_said_of_gpadls_waits_its_turn),
        server_test(an_answer_and_a_rescind_of_one_channel_keep_their_order),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
