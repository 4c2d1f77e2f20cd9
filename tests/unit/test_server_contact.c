/* SPDX-License-Identifier: MIT */
/* How a connection begins and ends. The guest is played by hand. */
#include "tests/unit/server/device.h"

#include "vmbus/messages.h"

#define VERSION_RESPONSE 15u
#define UNLOAD_COMPLETE  17u

struct contact {
    uint32_t words[14]; /* as INITIATE_CONTACT */
};

static struct contact contact_of(uint32_t version)
{
    struct contact contact = {.words = {14, 0, version, 0, 2}};

    return contact;
}

static hv_status send_contact(uint32_t connection, const struct contact *contact, uint32_t size)
{
    loopback_log_clear();
    return hv_post_message(connection, contact->words, size);
}

/* The one answer: its first two words behind the header, and its size. */
static void expect_response(uint32_t supported_and_state, uint32_t word, uint32_t size)
{
    const struct loopback_message *message = loopback_to_guest(0, 0);

    assert_non_null(message);
    assert_int_equal(message->size, size);
    assert_int_equal(loopback_word(message, 0), VERSION_RESPONSE);
    assert_int_equal(loopback_word(message, 4), 0);
    assert_int_equal(loopback_word(message, 8), supported_and_state);
    assert_int_equal(loopback_word(message, 12), word);
    if (size == 20) {
        assert_int_equal(loopback_word(message, 16), 0);
    }
    assert_null(loopback_to_guest(0, 1));
    loopback_log_clear();
}

static const uint32_t versions[] = {
    VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0, VMBUS_VERSION_4_1, VMBUS_VERSION_5_0,
    VMBUS_VERSION_5_1, VMBUS_VERSION_5_2, VMBUS_VERSION_5_3, VMBUS_VERSION_6_0,
};
#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

static void every_version_is_answered_in_its_form(void **state)
{
    (void)state;
    for (size_t i = 0; i < VERSIONS; i++) {
        for (uint32_t id = 1; id <= 4; id += 3) {
            struct contact contact = contact_of(versions[i]);
            assert_int_equal(send_contact(id, &contact, 40), HV_STATUS_SUCCESS);
            expect_response(1, versions[i] >= VMBUS_VERSION_5_0 ? 1 : versions[i],
                            versions[i] >= VMBUS_VERSION_6_0 ? 20 : 16);
            assert_int_equal(vmbus_server_version(loopback_server), versions[i]);
        }
    }
}

static void versions_that_never_were_are_refused(void **state)
{
    static const uint32_t wrong[] = {0,       0xD,        0x10001,    0x20003,           0x20005,
                                     0x30001, 0x40002,    0x50004,    0x5FFFF,           0x60001,
                                     0x70000, 0x80000000, 0xFFFFFFFF, 0x00040000 + 0x100};

    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        struct contact contact = contact_of(wrong[i]);
        assert_int_equal(send_contact(1, &contact, 40), HV_STATUS_SUCCESS);
        expect_response(0, 0, 16);
        assert_int_equal(vmbus_server_version(loopback_server), 0);
    }
}

static void the_newest_version_can_be_capped(void **state)
{
    (void)state;
    for (size_t cap = 0; cap < VERSIONS; cap++) {
        const struct vmbus_server_options options = {.version_maximum = versions[cap]};
        server_test_restart(&options);
        for (size_t i = 0; i < VERSIONS; i++) {
            struct contact contact = contact_of(versions[i]);
            assert_int_equal(send_contact(1, &contact, 40), HV_STATUS_SUCCESS);
            assert_int_equal(loopback_word(loopback_to_guest(0, 0), 8), i <= cap);
        }
        struct contact contact = contact_of(versions[cap]);
        assert_int_equal(send_contact(4, &contact, 40), versions[cap] >= VMBUS_VERSION_5_0
                                                            ? HV_STATUS_SUCCESS
                                                            : HV_STATUS_INVALID_CONNECTION_ID);
    }
}

static void no_server_is_made_for_a_version_that_never_was(void **state)
{
    static const struct vmbus_server_host host;
    const struct vmbus_server_options options = {.version_maximum = 0x50004};

    (void)state;
    assert_null(vmbus_server_create(&host, &options));
    test_memory_fail(1);
    assert_null(vmbus_server_create(&host, &(struct vmbus_server_options){0}));
}

static void other_connection_ids_do_not_exist(void **state)
{
    static const uint32_t ids[] = {0, 2, 3, 5, 0x2001, 0x800074, UINT32_MAX};
    struct contact contact = contact_of(VMBUS_VERSION_4_0);

    (void)state;
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_int_equal(send_contact(ids[i], &contact, 40), HV_STATUS_INVALID_CONNECTION_ID);
        expect_silence();
    }
}

static void monitor_pages_come_in_pairs_or_not_at_all(void **state)
{
    static const uint64_t pairs[][3] = {
        {0, 0, 1},           {0x1000, 0x2000, 1}, {0x1000, 0, 0},      {0, 0x1000, 0},
        {0x1001, 0x2000, 0}, {0x1000, 0x2008, 0}, {0x1000, 0x1000, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        struct contact contact = contact_of(VMBUS_VERSION_5_3);
        memcpy(&contact.words[6], &pairs[i][0], 8);
        memcpy(&contact.words[8], &pairs[i][1], 8);
        assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
        expect_response(pairs[i][2] ? 1 : 0x201, 1, 16);
        assert_int_equal(vmbus_server_version(loopback_server),
                         pairs[i][2] ? VMBUS_VERSION_5_3 : 0);
    }
}

static void bytes_of_an_old_guest_are_no_sint(void **state)
{
    struct contact contact = contact_of(VMBUS_VERSION_5_3);

    (void)state;
    contact.words[4] = 0x12345000; /* an interrupt page, on the old connection id */
    assert_int_equal(send_contact(1, &contact, 40), HV_STATUS_SUCCESS);
    expect_response(1, 1, 16);
    /* The id is new, the version is not. */
    contact.words[2] = VMBUS_VERSION_4_1;
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_response(1, VMBUS_VERSION_4_1, 16);
}

static void another_sint_is_refused_where_it_was_asked_for(void **state)
{
    struct contact contact = contact_of(VMBUS_VERSION_5_0);

    (void)state;
    loopback.processors = 9;
    contact.words[3] = 8;
    contact.words[4] = 5;
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    assert_int_equal(loopback_to_guest(0, 0)->sint, 5);
    assert_int_equal(loopback_to_guest(0, 0)->number, 8);
    expect_response(0, 0, 16);
    assert_int_equal(vmbus_server_version(loopback_server), 0);
}

static void impossible_targets_get_no_answer(void **state)
{
    struct vmbus_server_statistics counts;
    struct contact contact = contact_of(VMBUS_VERSION_5_1);

    (void)state;
    contact.words[4] = 16;
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_silence();
    contact.words[4] = 0x102; /* another VTL */
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_silence();
    contact.words[2] = VMBUS_VERSION_5_0; /* which knows no VTL */
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_response(1, 1, 16);
    vmbus_server_statistics(loopback_server, &counts);
    assert_int_equal(counts.messages_malformed, 2);
}

static void messages_go_to_the_processor_of_the_contact(void **state)
{
    (void)state;
    loopback.processors = 4;
    for (size_t i = 0; i < VERSIONS; i++) {
        struct contact contact = contact_of(versions[i]);
        contact.words[3] = 3;
        assert_int_equal(send_contact(1, &contact, 40), HV_STATUS_SUCCESS);
        assert_int_equal(loopback_to_guest(0, 0)->number, versions[i] >= VMBUS_VERSION_3_0 ? 3 : 0);
        (void)guest_words(3, 8, 0, 0, 0, 0, 0);
        assert_int_equal(loopback_to_guest(4, 0)->number, versions[i] >= VMBUS_VERSION_3_0 ? 3 : 0);
    }
}

static void a_processor_that_is_not_there_costs_the_answer(void **state)
{
    struct contact contact = contact_of(VMBUS_VERSION_5_3);
    struct vmbus_server_statistics counts;

    (void)state;
    contact.words[3] = 77;
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_silence();
    vmbus_server_statistics(loopback_server, &counts);
    assert_int_equal(counts.posts_failed, 1);
    assert_int_equal(counts.posted, 0);
    guest_connect(VMBUS_VERSION_5_3);
}

static void a_client_id_needs_its_room_and_no_feature_is_granted(void **state)
{
    struct contact contact = contact_of(VMBUS_VERSION_6_0);

    (void)state;
    contact.words[5] = 0xFF; /* every feature */
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_silence();
    assert_int_equal(send_contact(4, &contact, 55), HV_STATUS_SUCCESS);
    expect_silence();
    assert_int_equal(send_contact(4, &contact, 56), HV_STATUS_SUCCESS);
    expect_response(1, 1, 20);
    contact.words[2] = VMBUS_VERSION_5_3; /* no features before 6.0 */
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_response(1, 1, 16);
    contact.words[2] = VMBUS_VERSION_6_0;
    contact.words[5] = 0xF7;
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    expect_response(1, 1, 20);
}

static void before_contact_nothing_is_answered(void **state)
{
    struct vmbus_server_statistics counts;

    (void)state;
    for (uint32_t type = 0; type < 40; type++) {
        if (type != 14) {
            assert_int_equal(guest_words(type, 240, 1, 1, 1, 1, 1), HV_STATUS_SUCCESS);
        }
    }
    expect_silence();
    vmbus_server_statistics(loopback_server, &counts);
    assert_int_equal(counts.messages, 39);
    assert_int_equal(
        counts.messages_malformed + counts.messages_unknown + counts.messages_unexpected, 39);
    guest_unload();
    expect_silence();
}

static void offers_are_given_once_a_connection(void **state)
{
    struct device device;
    struct vmbus_server_statistics counts;

    (void)state;
    device_start(&device, 3);
    guest_contact(VMBUS_VERSION_5_3);
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    loopback_log_clear();
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    assert_int_equal(loopback_count_to_guest(0), 2);
    assert_int_equal(loopback_word(loopback_to_guest(0, 0), 0), 1);
    assert_int_equal(loopback_word(loopback_to_guest(0, 1), 0), 4);
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    assert_int_equal(loopback_count_to_guest(0), 2);
    vmbus_server_statistics(loopback_server, &counts);
    assert_int_equal(counts.messages_unexpected, 1);
    guest_connect(VMBUS_VERSION_5_3); /* and again in the next */
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    vmbus_server_revoke(device.channel);
}

static void sub_channels_are_offered_behind_primaries(void **state)
{
    struct device primary = {.offer = device_offer(0)};
    struct device sub = {.offer = device_offer(0)};

    (void)state;
    sub.offer.sub_channel_index = 1;
    assert_int_equal(device_offer_now(&sub), VMBUS_BAD_ARGUMENT);
    primary.offer.relid = 20;
    sub.offer.relid = 7;
    assert_int_equal(device_offer_now(&primary), VMBUS_OK);
    assert_int_equal(device_offer_now(&sub), VMBUS_OK);
    vmbus_server_revoke(primary.channel); /* comes back behind its sub-channel in the list */
    assert_int_equal(device_offer_now(&primary), VMBUS_OK);
    guest_contact(VMBUS_VERSION_5_3);
    loopback_log_clear();
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    assert_int_equal(loopback_word(loopback_to_guest(1, 0), 184), 20);
    assert_int_equal(loopback_word(loopback_to_guest(1, 1), 184), 7);
    assert_int_equal(loopback_word(loopback_to_guest(1, 1), 180), 1);
    vmbus_server_revoke(sub.channel);
    vmbus_server_revoke(primary.channel);
}

static void unload_is_answered_when_owners_have_let_go(void **state)
{
    struct device device;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(3);
    device.waits = true;
    loopback_log_clear();
    guest_unload();
    expect_silence();
    assert_false(vmbus_server_is_idle(loopback_server));
    assert_int_equal(vmbus_server_version(loopback_server), 0);
    guest_unload(); /* has no meaning now */
    (void)guest_words(3, 8, 0, 0, 0, 0, 0);
    expect_silence();
    assert_int_equal(loopback_maps(), 1);
    vmbus_server_close_done(device.channel);
    assert_int_equal(loopback_maps(), 0);
    expect_answer(UNLOAD_COMPLETE, 0, 0, 0);
    assert_true(vmbus_server_is_idle(loopback_server));
    expect_calls(&device, "oc");
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(device.channel);
}

static void unload_waits_for_mapped_gpadls_too(void **state)
{
    struct device device;
    const struct vmbus_server_range *ranges;
    size_t count;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(3);
    void *buffer = pages_allocate(2);
    assert_true(guest_gpadl(3, 99, buffer, 2));
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 99, true, &ranges, &count), VMBUS_OK);
    loopback_log_clear();
    guest_unload();
    expect_calls(&device, "oc");
    expect_silence();
    assert_int_equal(loopback_maps(), 1);
    assert_int_equal(ranges[0].frame_count, 2); /* still there */
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 99), VMBUS_OK);
    expect_answer(UNLOAD_COMPLETE, 0, 0, 0);
    pages_free(buffer, 2);
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(device.channel);
}

static void a_contact_waits_for_the_end_of_the_last_connection(void **state)
{
    struct device device;
    struct contact contact = contact_of(VMBUS_VERSION_5_0);

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(3);
    device.waits = true;
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    contact.words[2] = VMBUS_VERSION_4_0; /* a later one replaces it */
    assert_int_equal(send_contact(1, &contact, 40), HV_STATUS_SUCCESS);
    expect_silence();
    vmbus_server_close_done(device.channel);
    expect_response(1, VMBUS_VERSION_4_0, 16);
    assert_int_equal(vmbus_server_version(loopback_server), VMBUS_VERSION_4_0);
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(device.channel);
}

static void a_contact_takes_the_place_of_an_unload_that_waits(void **state)
{
    struct device device;
    struct contact contact = contact_of(VMBUS_VERSION_5_0);

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(3);
    device.waits = true;
    guest_unload();
    assert_int_equal(send_contact(4, &contact, 40), HV_STATUS_SUCCESS);
    vmbus_server_close_done(device.channel);
    expect_response(1, 1, 16);
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(device.channel);
}

static void a_reset_answers_nobody(void **state)
{
    struct device device;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(3);
    device.waits = true;
    loopback_log_clear();
    guest_unload();
    vmbus_server_reset(loopback_server);
    assert_false(vmbus_server_is_idle(loopback_server));
    vmbus_server_close_done(device.channel);
    assert_true(vmbus_server_is_idle(loopback_server));
    expect_silence();
    pages_free(memory, RING_PAGES);
    vmbus_server_reset(loopback_server);
    guest_connect(VMBUS_VERSION_5_3);
    vmbus_server_reset(loopback_server);
    assert_true(vmbus_server_is_idle(loopback_server));
    vmbus_server_revoke(device.channel);
}

/* Fills the slot and the queue with answers nobody takes. */
static unsigned fill_queue(void)
{
    unsigned taken = 0;

    loopback.slot_stuck = true;
    while (guest_words(8, 36, 3, 0, 0, 0, 0) == HV_STATUS_SUCCESS) {
        taken++;
        assert_true(taken < 100);
    }
    return taken;
}

static void a_guest_that_takes_no_answers_is_refused_until_it_does(void **state)
{
    struct device device;
    struct vmbus_server_statistics counts;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    assert_int_equal(fill_queue(), VMBUS_SERVER_QUEUE_SIZE + 1);
    vmbus_server_statistics(loopback_server, &counts);
    assert_int_equal(counts.messages_refused, 1);
    assert_int_equal(counts.gpadls_refused, VMBUS_SERVER_QUEUE_SIZE + 1);
    assert_true(loopback_take());
    assert_int_equal(guest_words(8, 36, 3, 5, 0, 0, 0), HV_STATUS_SUCCESS);
    assert_int_equal(guest_words(8, 36, 3, 5, 0, 0, 0), HV_STATUS_INSUFFICIENT_BUFFERS);
    while (loopback_take()) {
    }
    assert_int_equal(loopback_count_to_guest(10), VMBUS_SERVER_QUEUE_SIZE + 2);
    assert_int_equal(loopback_word(loopback_to_guest(10, VMBUS_SERVER_QUEUE_SIZE + 1), 12), 5);
    vmbus_server_revoke(device.channel);
}

static void offers_that_wait_hold_guest_messages_back_and_keep_their_order(void **state)
{
    enum { COUNT = 100 };
    static struct device devices[COUNT];

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        device_start(&devices[i], i + 1);
    }
    guest_contact(VMBUS_VERSION_5_3);
    loopback_log_clear();
    loopback.slot_stuck = true;
    assert_int_equal(guest_words(3, 8, 0, 0, 0, 0, 0), HV_STATUS_SUCCESS);
    for (unsigned taken = 0; taken < COUNT + 1; taken++) {
        bool behind = taken + VMBUS_SERVER_QUEUE_SIZE <= COUNT;
        assert_int_equal(guest_words(7, 12, 1, 0, 0, 0, 0),
                         behind ? HV_STATUS_INSUFFICIENT_BUFFERS : HV_STATUS_SUCCESS);
        if (taken == 20) {
            /* One that the guest knows, and one that it will never hear of. */
            vmbus_server_revoke(devices[3].channel);
            vmbus_server_revoke(devices[90].channel);
            assert_null(devices[90].channel);
        }
        assert_true(loopback_take());
    }
    assert_true(loopback_take() || loopback_count_to_guest(0) == COUNT + 1);
    while (loopback_take()) {
    }
    assert_int_equal(loopback_count_to_guest(0), COUNT - 1 + 1 + 1);
    for (uint32_t i = 0; i < COUNT - 1; i++) {
        assert_int_equal(loopback_word(loopback_to_guest(1, i), 184), i < 90 ? i + 1 : i + 2);
    }
    assert_int_equal(loopback_word(loopback_to_guest(0, COUNT - 1), 0), 4);
    assert_int_equal(loopback_word(loopback_to_guest(0, COUNT), 0), 2);
    assert_int_equal(loopback_word(loopback_to_guest(0, COUNT), 8), 4);
    for (uint32_t i = 0; i < COUNT; i++) {
        if (i != 3 && i != 90) {
            vmbus_server_revoke(devices[i].channel);
        }
    }
}

static void contact_and_unload_pass_a_full_queue(void **state)
{
    struct device device;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    (void)fill_queue();
    guest_unload();
    (void)loopback_take(); /* what was in the slot itself is out of the server's hands */
    assert_int_equal(loopback_count_to_guest(10), 1);
    assert_int_equal(loopback_count_to_guest(17), 1);
    (void)loopback_take();
    loopback.slot_stuck = false;
    guest_connect(VMBUS_VERSION_5_3);
    loopback_log_clear();
    (void)fill_queue();
    guest_contact(VMBUS_VERSION_4_1);
    (void)loopback_take();
    assert_int_equal(loopback_count_to_guest(10), 1);
    assert_int_equal(loopback_count_to_guest(15), 1);
    vmbus_server_revoke(device.channel);
}

static void messages_newer_than_the_connection_do_not_exist(void **state)
{
    /* Of each type with an answer of its own, the first version. */
    struct device device;
    struct vmbus_server_statistics before;
    struct vmbus_server_statistics after;

    (void)state;
    device_start(&device, 3);
    for (size_t i = 0; i < VERSIONS; i++) {
        guest_connect(versions[i]);
        vmbus_server_statistics(loopback_server, &before);
        (void)guest_words(22, 16, 3, 0, 0, 0, 0);
        assert_int_equal(loopback_count_to_guest(24), versions[i] >= VMBUS_VERSION_5_3);
        (void)guest_words(21, 40, 0, 0, 0, 0, 0);
        assert_int_equal(loopback_count_to_guest(23), versions[i] >= VMBUS_VERSION_4_1);
        (void)guest_words(25, 24, 0, 0, 0, 0, 0);
        (void)guest_words(27, 8, 0, 0, 0, 0, 0);
        (void)guest_words(29, 8, 0, 0, 0, 0, 0);
        vmbus_server_statistics(loopback_server, &after);
        assert_int_equal(after.messages_unknown - before.messages_unknown,
                         3u + (versions[i] < VMBUS_VERSION_4_1) +
                             (versions[i] < VMBUS_VERSION_4_0));
    }
    vmbus_server_revoke(device.channel);
}

static void reserved_channels_are_not_served(void **state)
{
    struct vmbus_server_statistics counts;

    (void)state;
    guest_connect(VMBUS_VERSION_5_3);
    (void)guest_words(18, 28, 3, 0, 2, 1, 1);
    (void)guest_words(19, 20, 3, 0, 2, 0, 0);
    expect_silence();
    vmbus_server_statistics(loopback_server, &counts);
    assert_int_equal(counts.messages_unexpected, 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(every_version_is_answered_in_its_form),
        server_test(versions_that_never_were_are_refused),
        server_test(the_newest_version_can_be_capped),
        server_test(no_server_is_made_for_a_version_that_never_was),
        server_test(other_connection_ids_do_not_exist),
        server_test(monitor_pages_come_in_pairs_or_not_at_all),
        server_test(bytes_of_an_old_guest_are_no_sint),
        server_test(another_sint_is_refused_where_it_was_asked_for),
        server_test(impossible_targets_get_no_answer),
        server_test(messages_go_to_the_processor_of_the_contact),
        server_test(a_processor_that_is_not_there_costs_the_answer),
        server_test(a_client_id_needs_its_room_and_no_feature_is_granted),
        server_test(before_contact_nothing_is_answered),
        server_test(offers_are_given_once_a_connection),
        server_test(sub_channels_are_offered_behind_primaries),
        server_test(unload_is_answered_when_owners_have_let_go),
        server_test(unload_waits_for_mapped_gpadls_too),
        server_test(a_contact_waits_for_the_end_of_the_last_connection),
        server_test(a_contact_takes_the_place_of_an_unload_that_waits),
        server_test(a_reset_answers_nobody),
        server_test(a_guest_that_takes_no_answers_is_refused_until_it_does),
        server_test(offers_that_wait_hold_guest_messages_back_and_keep_their_order),
        server_test(contact_and_unload_pass_a_full_queue),
        server_test(messages_newer_than_the_connection_do_not_exist),
        server_test(reserved_channels_are_not_served),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
