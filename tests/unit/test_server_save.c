/* SPDX-License-Identifier: MIT */
/*
 * A server is saved, goes, and another goes on in its place; the guest must not see more of it than
 * an event too many. And saved bytes that are not what they were.
 */
#include "tests/unit/server/check.h"
#include "tests/unit/server/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "vmbus/offers.h"
#include "vmbus/server/checksum.h"
#include "vmbus/server/saved.h"
#include "vmbus/vmbus.h"

#define RELID       3u
#define OFFER       1u
#define RESCIND     2u
#define OPEN_RESULT 6u
#define CREATED     10u
#define TORNDOWN    12u

static struct device device;
static uint8_t *rings;

struct saved {
    uint8_t *bytes;
    size_t size;
};

static struct saved save(void)
{
    struct saved saved = {0};
    size_t size;

    assert_int_equal(vmbus_server_save(loopback_server, NULL, 0, &saved.size), VMBUS_NO_MEMORY);
    saved.bytes = malloc(saved.size);
    assert_int_equal(vmbus_server_save(loopback_server, saved.bytes, saved.size - 1, &size),
                     VMBUS_NO_MEMORY);
    assert_int_equal(size, saved.size);
    assert_int_equal(vmbus_server_save(loopback_server, saved.bytes, saved.size, &size), VMBUS_OK);
    assert_int_equal(size, saved.size);
    return saved;
}

static enum vmbus_server_restored restore(const struct saved *saved)
{
    return vmbus_server_restore(loopback_server, saved->bytes, saved->size);
}

/* The end of an owner's process, as far as the server is concerned. */
static void leave(struct device *leaving)
{
    if (leaving->channel != NULL) {
        if (device_state(leaving) == VMBUS_SERVER_CLOSING) {
            vmbus_server_close_done(leaving->channel);
        }
        vmbus_server_revoke(leaving->channel);
    }
    assert_null(leaving->channel);
}

/* Ends the old server without a word to the guest. */
static void end_old(struct device *devices, size_t count)
{
    bool stuck = loopback.slot_stuck;

    vmbus_server_reset(loopback_server);
    for (size_t i = 0; i < count; i++) {
        leave(&devices[i]);
        devices[i] = (struct device){.offer = devices[i].offer, .echoes = devices[i].echoes};
    }
    loopback_replace(NULL);
    loopback.slot_stuck = stuck;
    loopback_log_clear();
}

/* Saves, ends the old process, offers the same device in the new one and restores. */
static void move_machine(bool waits)
{
    struct saved saved = save();

    end_old(&device, 1);
    device.waits = waits;
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
    check_server(loopback_server, 0);
    free(saved.bytes);
}

static void start(void)
{
    device_start(&device, RELID);
    guest_connect(VMBUS_VERSION_5_3);
    rings = pages_allocate_zeroed(RING_PAGES);
    assert_true(guest_gpadl(RELID, RELID, rings, RING_PAGES));
    loopback_log_clear();
}

static void open_it(void)
{
    guest_open(RELID, 7, RELID, 2);
    loopback_log_clear();
    memset(device.calls, 0, sizeof(device.calls));
    device.call_count = 0;
}

static void finish(void)
{
    device.waits = false;
    guest_unload();
    leave(&device);
    pages_free(rings, RING_PAGES);
}

/* Whether the guest can open, use and close the device as if nothing had been. */
static void expect_usable(void)
{
    memset(rings, 0, RING_PAGES * PAGE_SIZE);
    loopback_log_clear();
    device.waits = false;
    guest_open(RELID, 30, RELID, 2);
    expect_answer(OPEN_RESULT, RELID, 30, 0);
    guest_close(RELID);
    guest_teardown(RELID, RELID);
    expect_answer(TORNDOWN, RELID, 0, 0);
}

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
    start();
    move_machine(false);
    expect_silence();
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    (void)guest_words(3, 8, 0, 0, 0, 0, 0); /* asked for already */
    expect_silence();
    expect_usable();
    finish();
}

static void opening(void **state)
{
    (void)state;
    start();
    device.waits = true;
    open_it();
    move_machine(true);
    expect_calls(&device, "o");
    assert_false(device.request.restored);
    expect_silence();
    assert_int_equal(device_accept(&device), VMBUS_OK);
    expect_answer(OPEN_RESULT, RELID, 7, 0);
    finish();
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
    start();
    open_it();
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
    finish();
}

static void indices_that_the_guest_changed_meanwhile_do_not_count(void **state)
{
    static const uint32_t wrong = 8;

    (void)state;
    start();
    open_it();
    memcpy(rings + 4, &wrong, 4);
    memcpy(rings + 2 * PAGE_SIZE, &wrong, 4);
    move_machine(false);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OPEN);
    assert_int_equal(vmbus_server_incoming(device.channel)->index, 0);
    assert_int_equal(vmbus_server_outgoing(device.channel)->index, 0);
    assert_int_equal(rings[4], 0);
    assert_int_equal(rings[2 * PAGE_SIZE], 0);
    finish();
}

static void a_restored_channel_that_its_owner_refuses_is_rescinded_and_comes_back(void **state)
{
    (void)state;
    start();
    open_it();
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
    finish();
}

static void a_refused_restored_channel_can_be_revoked(void **state)
{
    (void)state;
    start();
    open_it();
    move_machine(true);
    assert_int_equal(vmbus_server_open_done(device.channel, FAILURE), VMBUS_OK);
    loopback_log_clear();
    vmbus_server_revoke(device.channel);
    assert_null(device.channel);
    guest_release(RELID);
    expect_silence();
    finish();
}

static void a_restored_channel_that_the_guest_closes_before_the_owner_answers(void **state)
{
    (void)state;
    start();
    open_it();
    move_machine(true);
    guest_close(RELID);
    assert_int_equal(vmbus_server_open_done(device.channel, 0), VMBUS_RESCINDED);
    expect_calls(&device, "oc");
    vmbus_server_close_done(device.channel);
    expect_usable();
    expect_calls(&device, "oc");
    finish();
}

static void closing_is_finished_by_the_end_of_the_owner(void **state)
{
    (void)state;
    start();
    open_it();
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
    finish();
}

static void an_open_that_waited_for_the_close_is_taken_up(void **state)
{
    (void)state;
    start();
    open_it();
    device.waits = true;
    guest_close(RELID);
    memset(rings, 0, RING_PAGES * PAGE_SIZE);
    guest_open(RELID, 44, RELID, 2);
    move_machine(false);
    expect_calls(&device, "o");
    assert_false(device.request.restored);
    expect_answer(OPEN_RESULT, RELID, 44, 0);
    finish();
}

static void revoked_and_not_yet_given_back(void **state)
{
    (void)state;
    start();
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
    finish();
}

static void revoked_while_its_owner_was_closing(void **state)
{
    (void)state;
    for (int released = 0; released < 2; released++) {
        start();
        open_it();
        device.waits = true;
        vmbus_server_revoke(device.channel);
        expect_answer(RESCIND, RELID, 0, 0);
        if (released != 0) {
            guest_release(RELID);
        }
        /* That owner's last call cannot come any more. */
        struct saved saved = save();
        vmbus_server_reset(loopback_server);
        vmbus_server_close_done(device.channel);
        end_old(NULL, 0);
        device_start(&device, RELID);
        assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
        free(saved.bytes);
        if (released == 0) {
            expect_silence();
            guest_release(RELID);
        }
        assert_int_equal(loopback_word(loopback_to_guest(0, 0), 0), OFFER);
        assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
        finish();
        loopback_end();
        loopback_start(NULL);
    }
}

static void an_unload_that_waited_is_answered(void **state)
{
    (void)state;
    start();
    open_it();
    device.waits = true;
    guest_unload();
    expect_silence();
    move_machine(false);
    expect_answer(17, 0, 0, 0);
    assert_true(vmbus_server_is_idle(loopback_server));
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    guest_connect(VMBUS_VERSION_5_3);
    finish();
}

static void a_contact_that_waited_is_answered(void **state)
{
    (void)state;
    start();
    open_it();
    device.waits = true;
    guest_contact(VMBUS_VERSION_5_2);
    expect_silence();
    move_machine(false);
    expect_answer(15, 1, 1, 0);
    assert_int_equal(vmbus_server_version(loopback_server), VMBUS_VERSION_5_2);
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    finish();
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
    start();
    open_it();
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
    struct saved saved = save();
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 72), VMBUS_OK);
    end_old(&device, 1);
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
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
    finish();
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
            struct saved saved = save();
            end_old(devices, COUNT);
            for (uint32_t i = 0; i < COUNT; i++) {
                assert_int_equal(device_offer_now(&devices[i]), VMBUS_OK);
            }
            assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
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
    start();
    open_it();
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
    struct saved saved = save();
    vmbus_server_close_done(device.channel);
    end_old(&device, 1);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
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
    finish();
}

static void an_answer_and_a_rescind_of_one_channel_keep_their_order(void **state)
{
    (void)state;
    start();
    device.waits = true;
    open_it();
    loopback.slot_stuck = true;
    while (guest_words(8, 36, RELID, 0, 0, 0, 0) == HV_STATUS_SUCCESS) {
    }
    assert_int_equal(device_accept(&device), VMBUS_OK);
    vmbus_server_revoke(device.channel);
    struct saved saved = save();
    vmbus_server_close_done(device.channel);
    end_old(&device, 1);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
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
    finish();
}

/* ---- who is there and who is not ---- */

static void what_nobody_offers_any_more_is_rescinded(void **state)
{
    static const enum vmbus_server_state states[] = {VMBUS_SERVER_OFFERED, VMBUS_SERVER_OPENING,
                                                     VMBUS_SERVER_OPEN, VMBUS_SERVER_CLOSING};

    (void)state;
    for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
        start();
        device.waits = states[i] == VMBUS_SERVER_OPENING;
        if (states[i] != VMBUS_SERVER_OFFERED) {
            open_it();
        }
        if (states[i] == VMBUS_SERVER_CLOSING) {
            device.waits = true;
            guest_close(RELID);
        }
        assert_int_equal(device_state(&device), states[i]);
        struct saved saved = save();
        end_old(&device, 1);
        assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
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
        finish();
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
    struct saved saved = save();
    end_old(devices, 40);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
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
    start();
    struct saved saved = save();
    end_old(&device, 1);
    /* It took the number, before it was known to whom that belongs. */
    device_start(&other, 77);
    leave(&other);
    other.offer.relid = RELID;
    assert_int_equal(device_offer_now(&other), VMBUS_OK);
    device.offer.relid = 0;
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
    free(saved.bytes);
    assert_int_equal(device_relid(&device), RELID);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    assert_int_equal(device_relid(&other), 1);
    assert_int_equal(loopback_count_to_guest(0), 1);
    assert_int_equal(loopback_word(loopback_to_guest(OFFER, 0), 184), 1);
    leave(&other);
    finish();
}

static void a_channel_that_shall_be_new_waits_for_the_old_one(void **state)
{
    (void)state;
    start();
    open_it();
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
    finish();
}

static void nothing(void *context)
{
    (void)context;
}

static void our_guest_notices_nothing(void **state)
{
    const struct vmbus_channel_owner owner = {nothing, nothing, NULL};

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
    leave(&device);
}

/* ---- bytes that are not what they were ---- */

/* A server with something of everything, saved; it is ended. */
static struct saved save_a_bit_of_everything(void)
{
    struct device others[2];
    const uint32_t pending[] = {RELID, 71, 328 | 1u << 16};
    uint8_t bytes[240] = {8};

    start();
    open_it();
    memcpy(bytes + 8, pending, sizeof(pending));
    assert_int_equal(guest_post(bytes, 236), HV_STATUS_SUCCESS);
    device_start(&others[0], 8);
    device_start(&others[1], 9);
    vmbus_server_revoke(others[1].channel);
    loopback.slot_stuck = true;
    while (guest_words(8, 36, RELID, 0, 0, 0, 0) == HV_STATUS_SUCCESS) {
    }
    vmbus_server_revoke(others[0].channel);
    struct saved saved = save();
    end_old(&device, 1);
    loopback.slot_stuck = false;
    (void)loopback_take();
    return saved;
}

/* Nothing of it is here. */
static void expect_untouched(void)
{
    assert_int_equal(vmbus_server_version(loopback_server), 0);
    assert_true(vmbus_server_is_idle(loopback_server));
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    expect_calls(&device, "");
    expect_silence();
}

static void every_byte_changed_is_noticed(void **state)
{
    struct saved saved = save_a_bit_of_everything();
    static const uint8_t changes[] = {0x01, 0x80, 0xFF};

    (void)state;
    device_start(&device, RELID);
    uint64_t held = test_memory_held();
    for (size_t i = 0; i < saved.size; i++) {
        for (size_t change = 0; change < sizeof(changes); change++) {
            saved.bytes[i] ^= changes[change];
            enum vmbus_server_restored result = restore(&saved);
            assert_int_not_equal(result, VMBUS_SERVER_RESTORED);
            if (i < 4) {
                assert_int_equal(result, VMBUS_SERVER_RESTORE_FOREIGN);
            }
            saved.bytes[i] ^= changes[change];
        }
    }
    assert_int_equal(test_memory_held(), held);
    expect_untouched();
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORE_BAD_STATE);
    free(saved.bytes);
    finish();
}

static void every_shorter_piece_is_noticed(void **state)
{
    struct saved saved = save_a_bit_of_everything();

    (void)state;
    device_start(&device, RELID);
    for (size_t size = 0; size < saved.size; size++) {
        uint8_t *exact = malloc(size != 0 ? size : 1);
        memcpy(exact, saved.bytes, size);
        assert_int_equal(vmbus_server_restore(loopback_server, exact, size),
                         VMBUS_SERVER_RESTORE_TRUNCATED);
        free(exact);
    }
    saved.bytes = realloc(saved.bytes, saved.size + 1);
    saved.bytes[saved.size] = 0;
    assert_int_equal(vmbus_server_restore(loopback_server, saved.bytes, saved.size + 1),
                     VMBUS_SERVER_RESTORE_DAMAGED);
    expect_untouched();
    free(saved.bytes);
    vmbus_server_revoke(device.channel);
    pages_free(rings, RING_PAGES);
}

static void seal(struct saved *saved)
{
    struct saved_header header;

    memcpy(&header, saved->bytes, sizeof(header));
    header.size = (uint32_t)saved->size;
    header.checksum = 0;
    memcpy(saved->bytes, &header, sizeof(header));
    header.checksum = vmbus_checksum(0, saved->bytes, saved->size);
    memcpy(saved->bytes, &header, sizeof(header));
}

static void the_checksum_is_the_known_one(void **state)
{
    (void)state;
    assert_int_equal(vmbus_checksum(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(vmbus_checksum(vmbus_checksum(0, "1234", 4), "56789", 5), 0xE3069283u);
}

static void later_formats_and_larger_limits_are_named(void **state)
{
    struct saved saved = save_a_bit_of_everything();
    const struct vmbus_server_options limits[] = {{.version_maximum = VMBUS_VERSION_5_2},
                                                  {.gpadls = 1},
                                                  {.gpadls_in_progress = 1},
                                                  {.gpadl_pages = 10}};
    uint32_t format = 2;

    (void)state;
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        server_test_restart(&limits[i]);
        device_start(&device, RELID);
        assert_int_equal(restore(&saved),
                         i == 2 ? VMBUS_SERVER_RESTORED : VMBUS_SERVER_RESTORE_LIMITS);
        vmbus_server_reset(loopback_server);
        vmbus_server_revoke(device.channel);
    }
    server_test_restart(NULL);
    memcpy(saved.bytes + 4, &format, 4);
    seal(&saved);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORE_NEWER);
    format = 0;
    memcpy(saved.bytes + 4, &format, 4);
    seal(&saved);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORE_DAMAGED);
    assert_string_equal(vmbus_server_restored_name(VMBUS_SERVER_RESTORE_NEWER),
                        "saved by a newer version");
    assert_string_equal(vmbus_server_restored_name((enum vmbus_server_restored)99), "unknown");
    free(saved.bytes);
    pages_free(rings, RING_PAGES);
}

static void without_memory_nothing_is_restored(void **state)
{
    struct saved saved = save_a_bit_of_everything();
    unsigned n = 0;

    (void)state;
    device_start(&device, RELID);
    uint64_t held = test_memory_held();
    for (;;) {
        test_memory_fail(++n);
        enum vmbus_server_restored result = restore(&saved);
        test_memory_fail(0);
        if (result == VMBUS_SERVER_RESTORED) {
            break;
        }
        assert_int_equal(result, VMBUS_SERVER_RESTORE_NO_MEMORY);
        assert_int_equal(test_memory_held(), held);
        expect_untouched();
    }
    assert_true(n > 5);
    free(saved.bytes);
    finish();
}

/*
 * Contents that no server ever saved, under a checksum that is right: refused, or a server that
 * works as far as its guest's lies go. Sanitizers and invariants are the judges.
 */
static void forged_contents_do_no_harm(void **state)
{
    struct saved saved = save_a_bit_of_everything();
    struct saved forged = {.bytes = malloc(saved.size), .size = saved.size};
    unsigned seed = (unsigned)time(NULL);
    unsigned restored = 0;

    (void)state;
    printf("seed %u\n", seed);
    for (unsigned round = 0; round < 4000; round++) {
        memcpy(forged.bytes, saved.bytes, saved.size);
        for (unsigned change = 0; change < 1 + round % 3; change++) {
            static const uint32_t values[] = {0, 1, 2, 3,      4,          5,
                                              7, 8, 9, 0x1000, 0x7FFFFFFF, 0xFFFFFFFF};
            /* A word anywhere, most often where the numbers are. */
            size_t at = 16 + (unsigned)rand_r(&seed) % ((saved.size - 20) / 4) * 4;
            uint32_t value = values[(unsigned)rand_r(&seed) % 12];
            memcpy(forged.bytes + at, &value, 4);
        }
        seal(&forged);
        device_start(&device, RELID);
        if (restore(&forged) == VMBUS_SERVER_RESTORED) {
            restored++;
            guest_close(RELID);
            guest_teardown(RELID, RELID);
            guest_release(RELID);
            guest_unload();
        }
        vmbus_server_reset(loopback_server);
        leave(&device);
        loopback_replace(NULL);
        loopback_log_clear();
    }
    assert_true(restored > 100 && restored < 3900);
    free(saved.bytes);
    free(forged.bytes);
    pages_free(rings, RING_PAGES);
}

static void put32(struct saved *saved, size_t at, uint32_t value)
{
    memcpy(saved->bytes + at, &value, sizeof(value));
}

static uint32_t get32(const struct saved *saved, size_t at)
{
    uint32_t value;

    memcpy(&value, saved->bytes + at, sizeof(value));
    return value;
}

/* One word changed under a right checksum, at a place that is a field of the first of its kind. */
static void contents_against_the_rules_are_refused(void **state)
{
#define CONNECTION(field) (16 + offsetof(struct saved_connection, field))
#define CHANNEL(field)    (60 + offsetof(struct saved_channel, field))
#define RING(field)       (532 + offsetof(struct saved_gpadl, field))
#define PENDING(field)    (596 + offsetof(struct saved_gpadl, field))
    static const struct {
        size_t at;
        uint32_t value;
    } wrong[] = {
        {CONNECTION(state), 3},
        {CONNECTION(state), SAVED_DISCONNECTED},
        {CONNECTION(state), SAVED_DISCONNECTING},
        {CONNECTION(next), SAVED_NEXT_CONTACT},
        {CONNECTION(next), 3},
        {CONNECTION(version), 0},
        {CONNECTION(offers_requested), 2},
        {CONNECTION(contact_monitor_pages_valid), 2},
        {CONNECTION(contact_sint), 16},
        {CONNECTION(channels), 0},
        {CONNECTION(channels), 1},
        {CONNECTION(channels), 4},
        {CONNECTION(channels), UINT32_MAX},
        {CONNECTION(messages), 0},
        {CONNECTION(messages), 31},
        {CONNECTION(messages), 33},
        {CONNECTION(dues), 0},
        {CONNECTION(dues), 2},
        {CHANNEL(relid), 0},
        {CHANNEL(relid), 2048},
        {CHANNEL(relid), 8}, /* of the next */
        {CHANNEL(state), SAVED_CHANNEL_STATES},
        {CHANNEL(state), SAVED_OFFERED}, /* with a ring */
        {CHANNEL(state), SAVED_REVOKED},
        {CHANNEL(revoked), 1},
        {CHANNEL(revoked), 2},
        {CHANNEL(guest_released), 1},
        {CHANNEL(guest_released), 2},
        {CHANNEL(reopening), 1},
        {CHANNEL(reopening), 2},
        {CHANNEL(flags), 0x0002},
        {CHANNEL(flags), 0x8000},
        {CHANNEL(incoming_index), 4},
        {CHANNEL(incoming_index), 4096},
        {CHANNEL(outgoing_index), 1},
        {CHANNEL(outgoing_index), 0xFFFFFFF8},
        {CHANNEL(gpadls), 0},
        {CHANNEL(gpadls), 1},
        {CHANNEL(gpadls), 3},
        {CHANNEL(request.downstream_page), 1},
        {CHANNEL(request.downstream_page), 3},
        {CHANNEL(request.downstream_page), UINT32_MAX},
        {RING(id), 0},
        {RING(id), 71}, /* of the next */
        {RING(state), SAVED_GPADL_STATES},
        {RING(state), SAVED_COLLECTING},
        {RING(is_ring), 0},
        {RING(is_ring), 2},
        {RING(range_count), 0},
        {RING(range_count), 2},
        {RING(range_count), 3},
        {RING(word_count), 4},
        {RING(word_count), 6},
        {RING(word_count), 8192},
        {RING(words_missing), 1},
        {RING(id) + sizeof(struct saved_gpadl), 4095}, /* bytes of the range */
        {RING(id) + sizeof(struct saved_gpadl) + 4, 8},
        {RING(id) + sizeof(struct saved_gpadl) + 12, 0x00100000}, /* a frame beyond 52 bits */
        {PENDING(is_ring), 1},
        {PENDING(state), SAVED_STANDING},
        {PENDING(words_missing), 0},
        {PENDING(words_missing), 42},
    };
    struct saved saved = save_a_bit_of_everything();

    (void)state;
    device_start(&device, RELID);
    assert_int_equal(get32(&saved, CHANNEL(relid)), RELID);
    assert_int_equal(get32(&saved, RING(id)), RELID);
    assert_int_equal(get32(&saved, PENDING(id)), 71);
    assert_int_equal(get32(&saved, CONNECTION(channels)), 3);
    assert_int_equal(get32(&saved, CONNECTION(dues)), 1);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint32_t right = get32(&saved, wrong[i].at);
        put32(&saved, wrong[i].at, wrong[i].value);
        seal(&saved);
        enum vmbus_server_restored result = restore(&saved);
        if (result != VMBUS_SERVER_RESTORE_DAMAGED) {
            fail_msg("%zu at %zu: %s", i, wrong[i].at, vmbus_server_restored_name(result));
        }
        put32(&saved, wrong[i].at, right);
    }
    /* The messages and what is due, from the end. */
    size_t due = saved.size - sizeof(struct saved_due);
    size_t message = due - sizeof(struct saved_message);
    const struct {
        size_t at;
        uint32_t value;
    } tail[] = {
        {due + offsetof(struct saved_due, kind), SAVED_DUE_KINDS},
        {due + offsetof(struct saved_due, kind), SAVED_DUE_GPADL},
        {due + offsetof(struct saved_due, messages), 0},
        {due + offsetof(struct saved_due, messages), 1}, /* an offer of what is revoked */
        {due + offsetof(struct saved_due, messages), 8},
        {due + offsetof(struct saved_due, relid), 0},
        {due + offsetof(struct saved_due, relid), 7},
        {due + offsetof(struct saved_due, relid), RELID}, /* a rescind of what stands */
        {due + offsetof(struct saved_due, relid), UINT32_MAX},
        {message + offsetof(struct saved_message, sint), 16},
        {message + offsetof(struct saved_message, size), 7},
        {message + offsetof(struct saved_message, size), 19},
        {message + offsetof(struct saved_message, size), 241},
        {message + offsetof(struct saved_message, payload), 5}, /* a guest's */
        {message + offsetof(struct saved_message, payload), 30},
    };
    for (size_t i = 0; i < sizeof(tail) / sizeof(tail[0]); i++) {
        uint32_t right = get32(&saved, tail[i].at);
        put32(&saved, tail[i].at, tail[i].value);
        seal(&saved);
        enum vmbus_server_restored result = restore(&saved);
        if (result != VMBUS_SERVER_RESTORE_DAMAGED) {
            fail_msg("tail %zu: %s", i, vmbus_server_restored_name(result));
        }
        put32(&saved, tail[i].at, right);
    }
    expect_untouched();
    seal(&saved);
    assert_int_equal(restore(&saved), VMBUS_SERVER_RESTORED);
    check_server(loopback_server, 0);
    free(saved.bytes);
    finish();
}

static void saving_again_gives_the_same_bytes(void **state)
{
    struct saved first = save_a_bit_of_everything();

    (void)state;
    loopback.slot_stuck = true;
    guest_connect(VMBUS_VERSION_5_3); /* something else, to be forgotten */
    loopback_replace(NULL);
    device.waits = true;
    device_start(&device, RELID);
    assert_int_equal(restore(&first), VMBUS_SERVER_RESTORED);
    struct saved second = save();
    /* One message is in the slot now, and another took its place in the queue. */
    assert_true(second.size <= first.size);
    end_old(&device, 1);
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    loopback.slot_stuck = true;
    assert_int_equal(restore(&second), VMBUS_SERVER_RESTORED);
    struct saved third = save();
    assert_int_equal(third.size, second.size);
    assert_memory_equal(third.bytes, second.bytes, second.size);
    free(first.bytes);
    free(second.bytes);
    free(third.bytes);
    loopback.slot_stuck = false;
    finish();
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
        server_test(what_nobody_offers_any_more_is_rescinded),
        server_test(an_offer_that_never_left_is_forgotten_with_its_owner),
        server_test(what_is_new_is_offered),
        server_test(a_channel_that_shall_be_new_waits_for_the_old_one),
        server_test(our_guest_notices_nothing),
        server_test(every_byte_changed_is_noticed),
        server_test(every_shorter_piece_is_noticed),
        server_test(the_checksum_is_the_known_one),
        server_test(later_formats_and_larger_limits_are_named),
        server_test(without_memory_nothing_is_restored),
        server_test(forged_contents_do_no_harm),
        server_test(contents_against_the_rules_are_refused),
        server_test(saving_again_gives_the_same_bytes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
