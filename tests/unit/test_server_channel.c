/* SPDX-License-Identifier: MIT */
/* The life of a channel: what each message of the guest and each call of the owner does in each
 * state. The guest is played by hand. */
#include "tests/unit/server/channel.h"

static void states_have_names(void **state)
{
    (void)state;
    assert_string_equal(vmbus_server_state_name(VMBUS_SERVER_WAITING), "waiting");
    assert_string_equal(vmbus_server_state_name(VMBUS_SERVER_OPEN), "open");
    assert_string_equal(vmbus_server_state_name(VMBUS_SERVER_GONE), "gone");
    assert_string_equal(vmbus_server_state_name(VMBUS_SERVER_STATE_COUNT), "unknown");
}

static void an_open_brings_its_data_and_its_answer(void **state)
{
    struct vmbus_message_open_channel open = {
        .header = {.type = 5},
        .relid = RELID,
        .open_id = 0xABCD,
        .ring_gpadl = RELID,
        .target_vp = 0,
        .downstream_page = 2,
    };

    (void)state;
    start_device();
    memset(open.user_data, 0x77, sizeof(open.user_data));
    assert_int_equal(guest_post(&open, sizeof(open)), HV_STATUS_SUCCESS);
    expect_answer(OPEN_RESULT, RELID, 0xABCD, 0);
    expect_calls(&device, "o");
    assert_memory_equal(device.request.user_data, open.user_data, 120);
    assert_int_equal(device.request.version, VMBUS_VERSION_5_3);
    assert_int_equal(device.request.incoming_pages, 1);
    assert_int_equal(device.request.outgoing_pages, 1);
    assert_false(device.request.restored);
    assert_int_equal(loopback_maps(), 1);
    assert_true(loopback_doorbell(0x2003));
    finish_channel();
}

static void rings_are_shown_while_the_channel_is_open(void **state)
{
    struct vmbus_server_rings shown;

    (void)state;
    start_device();
    assert_false(vmbus_server_rings(loopback_server, RELID, &shown));
    bring_to(VMBUS_SERVER_OPEN);
    assert_true(vmbus_server_rings(loopback_server, RELID, &shown));
    assert_ptr_equal(shown.incoming, vmbus_server_incoming(device.channel)->control);
    assert_ptr_equal(shown.incoming_data, vmbus_server_incoming(device.channel)->data);
    assert_ptr_equal(shown.outgoing, vmbus_server_outgoing(device.channel)->control);
    assert_ptr_equal(shown.outgoing_data, vmbus_server_outgoing(device.channel)->data);
    assert_int_equal(shown.incoming_size, 4096);
    assert_int_equal(shown.outgoing_size, 4096);
    assert_false(vmbus_server_rings(loopback_server, RELID + 1, &shown));
    assert_false(vmbus_server_rings(loopback_server, UINT32_MAX, &shown));
    guest_close(RELID);
    assert_false(vmbus_server_rings(loopback_server, RELID, &shown));
    finish_channel();
}

/* Pages of the ring, where its second half starts, and whether that can be. */
static void opens_with_wrong_rings_are_refused(void **state)
{
    static const struct {
        uint32_t gpadl;
        uint32_t downstream;
    } wrong[] = {
        {RELID, 0}, {RELID, 1},          {RELID, 3},     {RELID, 4},
        {RELID, 5}, {RELID, UINT32_MAX}, {RELID + 1, 2}, {0, 2},
    };

    (void)state;
    start_device();
    for (uint32_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        guest_open(RELID, i, wrong[i].gpadl, wrong[i].downstream);
        expect_answer(OPEN_RESULT, RELID, i, FAILURE);
        assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    }
    expect_calls(&device, "");
    assert_int_equal(counts().opens_refused, sizeof(wrong) / sizeof(wrong[0]));
    finish_channel();
}

static void only_one_range_of_whole_pages_can_be_rings(void **state)
{
    uint64_t words[12] = {0};

    (void)state;
    start_device();
    uint64_t frame = page_frame_of(rings);
    /* From an offset; not whole pages; two ranges. */
    words[0] = (4 * PAGE_SIZE - 8) | (uint64_t)8 << 32;
    for (uint64_t i = 0; i < 4; i++) {
        words[1 + i] = frame + i;
    }
    guest_send_gpadl(RELID, 11, 1, words, 5);
    words[0] = 4 * PAGE_SIZE - 1;
    guest_send_gpadl(RELID, 12, 1, words, 5);
    words[0] = 2 * PAGE_SIZE;
    words[3] = 2 * PAGE_SIZE;
    words[4] = frame + 2;
    words[5] = frame + 3;
    guest_send_gpadl(RELID, 13, 2, words, 6);
    assert_int_equal(loopback_count_to_guest(CREATED), 3);
    for (uint32_t id = 11; id <= 13; id++) {
        loopback_log_clear();
        guest_open(RELID, 1, id, 2);
        expect_answer(OPEN_RESULT, RELID, 1, FAILURE);
    }
    finish_channel();
}

static void rings_that_cannot_be_mapped_are_refused(void **state)
{
    (void)state;
    start_device();
    loopback.map_fail = 1;
    guest_open(RELID, 1, RELID, 2);
    expect_answer(OPEN_RESULT, RELID, 1, FAILURE);
    /* Pages the guest does not have. */
    uint64_t words[] = {4 * PAGE_SIZE, 1, 2, 3, 4};
    guest_send_gpadl(RELID, 11, 1, words, 5);
    loopback_log_clear();
    guest_open(RELID, 2, 11, 2);
    expect_answer(OPEN_RESULT, RELID, 2, FAILURE);
    /* Indices out of range that we start from; others are found when packets are. */
    static const uint32_t bad[][2] = {{4, 1},       {4, 4096}, {8192, 4},
                                      {8192, 4096}, {8196, 9}, {8196, 0xFFFFFFF8}};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        memcpy(rings + bad[i][0], &bad[i][1], 4);
        guest_open(RELID, 3, RELID, 2);
        expect_answer(OPEN_RESULT, RELID, 3, FAILURE);
        memset(rings + bad[i][0], 0, 4);
    }
    assert_int_equal(loopback_maps(), 0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    guest_open(RELID, 4, RELID, 2);
    expect_answer(OPEN_RESULT, RELID, 4, 0);
    finish_channel();
}

static void a_second_open_is_dropped(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPENING);
    guest_open(RELID, 8, RELID, 2);
    expect_silence();
    assert_int_equal(device_accept(&device), VMBUS_OK);
    expect_answer(OPEN_RESULT, RELID, 7, 0);
    guest_open(RELID, 9, RELID, 2);
    expect_silence();
    expect_calls(&device, "");
    assert_int_equal(counts().messages_unexpected, 2);
    finish_channel();
}

static void a_close_while_opening_ends_both(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPENING);
    guest_close(RELID);
    expect_calls(&device, "c");
    assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_RESCINDED);
    assert_int_equal(vmbus_server_open_done(device.channel, 0), VMBUS_RESCINDED);
    assert_int_equal(vmbus_server_open_done(device.channel, 1), VMBUS_RESCINDED);
    vmbus_server_close_done(device.channel);
    expect_silence();
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    finish_channel();
}

static void a_close_between_map_and_answer_unmaps(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPENING);
    assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_OK);
    assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_BAD_STATE);
    assert_int_equal(loopback_maps(), 1);
    guest_close(RELID);
    assert_int_equal(vmbus_server_open_done(device.channel, 0), VMBUS_RESCINDED);
    assert_int_equal(loopback_maps(), 1);
    vmbus_server_close_done(device.channel);
    assert_int_equal(loopback_maps(), 0);
    expect_silence();
    finish_channel();
}

static void an_owner_who_did_not_map_cannot_open(void **state)
{
    (void)state;
    start_device();
    assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_BAD_STATE);
    assert_int_equal(vmbus_server_open_done(device.channel, 0), VMBUS_BAD_STATE);
    assert_int_equal(vmbus_server_open_done(device.channel, 5), VMBUS_BAD_STATE);
    bring_to(VMBUS_SERVER_OPENING);
    assert_int_equal(vmbus_server_open_done(device.channel, 0), VMBUS_BAD_STATE);
    expect_silence();
    assert_int_equal(vmbus_server_open_done(device.channel, 0xC0000001), VMBUS_OK);
    expect_answer(OPEN_RESULT, RELID, 7, 0xC0000001);
    finish_channel();
}

static void a_refusal_after_mapping_unmaps(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPENING);
    assert_int_equal(vmbus_server_map_rings(device.channel), VMBUS_OK);
    assert_int_equal(vmbus_server_open_done(device.channel, 9), VMBUS_OK);
    assert_int_equal(loopback_maps(), 0);
    assert_false(loopback_doorbell(0x2003));
    expect_answer(OPEN_RESULT, RELID, 7, 9);
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_events(RELID), 0);
    finish_channel();
}

static void the_rings_of_an_open_channel_are_not_given_back(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPEN);
    guest_teardown(RELID, RELID);
    expect_silence();
    guest_teardown(RELID, RELID); /* nor asked for twice */
    assert_int_equal(counts().messages_unexpected, 1);
    device.waits = true;
    guest_close(RELID);
    expect_silence();
    vmbus_server_close_done(device.channel);
    expect_answer(TORNDOWN, RELID, 0, 0);
    finish_channel();
}

static void a_refused_open_gives_rings_back_that_were_asked_for(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPENING);
    guest_teardown(RELID, RELID);
    expect_silence();
    assert_int_equal(vmbus_server_open_done(device.channel, 9), VMBUS_OK);
    assert_int_equal(loopback_count_to_guest(0), 2);
    assert_int_equal(loopback_count_to_guest(TORNDOWN), 1);
    assert_int_equal(loopback_count_to_guest(OPEN_RESULT), 1);
    guest_open(RELID, 8, RELID, 2);
    assert_int_equal(loopback_word(loopback_to_guest(OPEN_RESULT, 1), 16), FAILURE);
    finish_channel();
}

static void an_open_while_closing_is_answered_after_it(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_CLOSING);
    guest_open(RELID, 21, RELID, 2);
    guest_open(RELID, 22, RELID, 2); /* one is enough */
    expect_silence();
    device.waits = false;
    vmbus_server_close_done(device.channel);
    expect_answer(OPEN_RESULT, RELID, 21, 0);
    expect_calls(&device, "o");
    assert_int_equal(counts().messages_unexpected, 1);
    finish_channel();
}

static void a_close_takes_back_an_open_that_waits(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_CLOSING);
    guest_open(RELID, 21, RELID, 2);
    guest_close(RELID);
    vmbus_server_close_done(device.channel);
    expect_silence();
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    assert_int_equal(counts().messages_unexpected, 0);
    finish_channel();
}

static void an_open_that_waits_fails_if_its_rings_were_torn_down(void **state)
{
    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_CLOSING);
    guest_open(RELID, 21, RELID, 2);
    guest_teardown(RELID, RELID);
    vmbus_server_close_done(device.channel);
    assert_int_equal(loopback_word(loopback_to_guest(0, 0), 0), TORNDOWN);
    assert_int_equal(loopback_word(loopback_to_guest(0, 1), 0), OPEN_RESULT);
    assert_int_equal(loopback_word(loopback_to_guest(0, 1), 16), FAILURE);
    finish_channel();
}

static void closing_what_is_not_open_is_a_mistake(void **state)
{
    (void)state;
    start_device();
    guest_close(RELID);
    guest_close(RELID + 1);
    guest_close(0);
    guest_close(UINT32_MAX);
    bring_to(VMBUS_SERVER_CLOSING);
    guest_close(RELID);
    assert_int_equal(counts().messages_unexpected, 5);
    expect_calls(&device, "");
    finish_channel();
}

static void a_channel_can_be_opened_again_and_again(void **state)
{
    (void)state;
    start_device();
    for (uint32_t i = 0; i < 5; i++) {
        memset(rings, 0, RING_PAGES * PAGE_SIZE);
        guest_open(RELID, i, RELID, 2);
        expect_answer(OPEN_RESULT, RELID, i, 0);
        guest_close(RELID);
        expect_silence();
        expect_calls(&device, "oc");
    }
    finish_channel();
}

/* ---- events ---- */

static void events_are_for_open_channels_only(void **state)
{
    (void)state;
    start_device();
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2003, 0), HV_STATUS_SUCCESS);
    bring_to(VMBUS_SERVER_OPENING);
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2003, 0), HV_STATUS_SUCCESS);
    assert_int_equal(device.events, 0);
    assert_int_equal(device_accept(&device), VMBUS_OK);
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2003, 0), HV_STATUS_SUCCESS);
    assert_int_equal(device.events, 1);
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2003, 1), HV_STATUS_INVALID_PARAMETER);
    guest_close(RELID);
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2003, 0), HV_STATUS_SUCCESS);
    assert_int_equal(device.events, 1);
    finish_channel();
}

static void wild_doorbells_ring_nowhere(void **state)
{
    static const uint32_t wild[] = {0,      1,      2,      3,      4,      0x2000,     0x2001,
                                    0x2004, 0x27FF, 0x2800, 0x2803, 0x1FFF, 0x80002003, UINT32_MAX};

    (void)state;
    start_device();
    bring_to(VMBUS_SERVER_OPEN);
    for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
        assert_int_equal(vmbus_server_signal(loopback_server, wild[i], 0),
                         HV_STATUS_INVALID_CONNECTION_ID);
    }
    assert_int_equal(counts().signals_unknown, sizeof(wild) / sizeof(wild[0]));
    assert_int_equal(device.events, 0);
    finish_channel();
}

static void flags_go_where_the_guest_wants_them(void **state)
{
    (void)state;
    loopback.processors = 3;
    start_device();
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_events(RELID), 0);
    bring_to(VMBUS_SERVER_OPEN);
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_events(RELID), 1);
    assert_int_equal(loopback_event_vp(RELID), 0);
    (void)guest_words(22, 16, RELID, 2, 0, 0, 0);
    expect_answer(24, RELID, 0, 0);
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_event_vp(RELID), 2);
    (void)guest_words(22, 16, RELID, UINT32_MAX, 0, 0, 0);
    expect_answer(24, RELID, FAILURE, 0);
    (void)guest_words(22, 16, RELID + 1, 0, 0, 0, 0);
    expect_silence();
    (void)guest_words(22, 16, RELID, 50, 0, 0, 0); /* no such processor: its own loss */
    expect_answer(24, RELID, 0, 0);
    vmbus_server_raise(device.channel);
    assert_int_equal(counts().events_failed, 1);
    device.waits = true;
    guest_close(RELID);
    (void)guest_words(22, 16, RELID, 0, 0, 0, 0);
    expect_answer(24, RELID, FAILURE, 0);
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_events(RELID), 2);
    finish_channel();
}

static void a_guest_that_polls_gets_no_flags(void **state)
{
    (void)state;
    start_device();
    (void)guest_words(5, 148, RELID, 1, RELID, UINT32_MAX, 2);
    expect_answer(OPEN_RESULT, RELID, 1, 0);
    assert_int_equal(device.request.target_vp, UINT32_MAX);
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_events(RELID), 0);
    assert_int_equal(counts().events_failed, 0);
    (void)guest_words(22, 16, RELID, 0, 0, 0, 0); /* until it thinks better of it */
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_events(RELID), 1);
    finish_channel();
}

/* ---- offering ---- */

static void offers_against_the_rules_are_refused(void **state)
{
    struct device same = {.offer = device_offer(RELID)};
    struct device number = {.offer = device_offer(50)};
    struct device flags = {.offer = device_offer(51)};
    struct device range = {.offer = device_offer(2048)};

    (void)state;
    device_start(&device, RELID);
    assert_int_equal(device_offer_now(&same), VMBUS_REFUSED);
    number.offer.relid = RELID;
    assert_int_equal(device_offer_now(&number), VMBUS_REFUSED);
    assert_int_equal(device_offer_now(&range), VMBUS_BAD_ARGUMENT);
    for (uint32_t bit = 0; bit < 16; bit++) {
        flags.offer.flags = (uint16_t)(1u << bit);
        enum vmbus_status expected = (0x2711u & 1u << bit) != 0 ? VMBUS_OK : VMBUS_BAD_ARGUMENT;
        assert_int_equal(device_offer_now(&flags), expected);
        if (expected == VMBUS_OK) {
            vmbus_server_revoke(flags.channel);
        }
    }
    test_memory_fail(1);
    assert_int_equal(device_offer_now(&number), VMBUS_NO_MEMORY);
    number.offer.relid = 0;
    assert_int_equal(device_offer_now(&number), VMBUS_OK);
    assert_int_equal(device_relid(&number), 1);
    vmbus_server_revoke(number.channel);
    vmbus_server_revoke(device.channel);
}

static void answers_that_nobody_asked_for_stop_the_host(void **state)
{
    (void)state;
    start_device();
    expect_panic(vmbus_server_close_done(device.channel));
    bring_to(VMBUS_SERVER_CLOSING);
    vmbus_server_revoke(device.channel);
    expect_panic(vmbus_server_revoke(device.channel));
    vmbus_server_close_done(device.channel);
    finish_channel();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(states_have_names),
        server_test(an_open_brings_its_data_and_its_answer),
        server_test(rings_are_shown_while_the_channel_is_open),
        server_test(opens_with_wrong_rings_are_refused),
        server_test(only_one_range_of_whole_pages_can_be_rings),
        server_test(rings_that_cannot_be_mapped_are_refused),
        server_test(a_second_open_is_dropped),
        server_test(a_close_while_opening_ends_both),
        server_test(a_close_between_map_and_answer_unmaps),
        server_test(an_owner_who_did_not_map_cannot_open),
        server_test(a_refusal_after_mapping_unmaps),
        server_test(the_rings_of_an_open_channel_are_not_given_back),
        server_test(a_refused_open_gives_rings_back_that_were_asked_for),
        server_test(an_open_while_closing_is_answered_after_it),
        server_test(a_close_takes_back_an_open_that_waits),
        server_test(an_open_that_waits_fails_if_its_rings_were_torn_down),
        server_test(closing_what_is_not_open_is_a_mistake),
        server_test(a_channel_can_be_opened_again_and_again),
        server_test(events_are_for_open_channels_only),
        server_test(wild_doorbells_ring_nowhere),
        server_test(flags_go_where_the_guest_wants_them),
        server_test(a_guest_that_polls_gets_no_flags),
        server_test(offers_against_the_rules_are_refused),
        server_test(answers_that_nobody_asked_for_stop_the_host),
    };
    return cmocka_run_group_tests_name("server, channel", tests, NULL, NULL);
}
