/* SPDX-License-Identifier: MIT */
/* Messages that no good host sends: each kind by itself, then all of them at random. */
#include "vmbus_test.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kernel/clock.h"
#include "vmbus/messages.h"
#include "vmbus/offers.h"

static void send(const void *bytes, uint32_t size)
{
    host_send(bytes, size);
    host_run();
}

/* The bus still works, all of it. */
static void assert_alive(void)
{
    struct test_owner owner;

    assert_int_equal(vmbus_connection_state(), VMBUS_CONNECTED);
    vmbus_test_open(&owner, 100, 1, 1);
    host_event(100);
    host_run();
    assert_int_equal(owner.events, 1);
    vmbus_test_give_back(&owner);
}

/* ---- one kind each ---- */

static void truncated_messages_are_dropped(void **state)
{
#define SMALLEST(number, name, sender, version, features, smallest, largest, handler)              \
    {(number), (smallest), #sender[0] == 'H', (version)},
    static const struct {
        uint32_t type, smallest;
        bool from_host;
        uint32_t version;
    } table[] = {VMBUS_MESSAGES(SMALLEST)};
#undef SMALLEST
    unsigned sent = 0;

    (void)state;
    vmbus_test_connect();
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        if (!table[i].from_host || table[i].version > vmbus_version()) {
            continue;
        }
        uint8_t bytes[240] = {(uint8_t)table[i].type};
        bytes[8] = 100;
        for (uint32_t size = 8; size < table[i].smallest; size++) {
            send(bytes, size);
            sent++;
        }
    }
    assert_true(sent > 200);
    assert_int_equal(vmbus_test_counts().messages_malformed, sent);
    assert_int_equal(vmbus_test_counts().offers, 0);
    assert_int_equal(vmbus_test_lines("malformed message: OFFER_CHANNEL (1), 8 bytes"), 1);
    assert_int_equal(vmbus_test_lines("malformed message: OFFER_CHANNEL"), 1);
    assert_alive();
}

static void messages_without_a_header_are_dropped(void **state)
{
    static const uint8_t bytes[8] = {1};

    (void)state;
    vmbus_test_connect();
    for (uint32_t size = 0; size < 8; size++) {
        send(bytes, size);
    }
    assert_int_equal(vmbus_test_counts().messages_malformed, 8);
    assert_int_equal(vmbus_test_lines("malformed message: unknown (0), 0 bytes, 00000000"), 1);
    assert_alive();
}

static void oversized_messages_count_for_what_they_begin_with(void **state)
{
    struct host_offer offer = host_plain_offer(5);
    uint8_t bytes[240];

    (void)state;
    host.round_sizes = false;
    vmbus_test_connect();
    memset(bytes, 0xEE, sizeof(bytes));
    memset(bytes, 0, 196);
    bytes[0] = HOST_OFFER;
    memcpy(bytes + 8, &offer.instance, 16);
    bytes[184] = 5;
    send(bytes, 240);
    assert_non_null(vmbus_test_channel(5));
    uint32_t rescind[60] = {HOST_RESCIND, 0xFFFFFFFF, 5};
    host_channel(5);
    host.tolerant = true; /* it never offered that one itself */
    send(rescind, 240);
    assert_null(vmbus_test_channel(5));
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    assert_alive();
}

static void unknown_types_are_dropped(void **state)
{
    static const uint32_t types[] = {0, 30, 31, 255, 256, 0x01000000, 0x80000001, UINT32_MAX};
    const size_t number = sizeof(types) / sizeof(types[0]);

    (void)state;
    vmbus_test_connect();
    for (size_t i = 0; i < number; i++) {
        host_send_words(types[i], 240, 1, 2, 3);
    }
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unknown, number);
    assert_int_equal(vmbus_test_lines("unknown message: unknown"), 2); /* 0, and all the others */
    assert_alive();
}

static void messages_of_a_later_version_are_unknown(void **state)
{
    (void)state;
    host.highest_version = 0x00040000;
    vmbus_test_connect();
    host_send_words(23, 44, 0, 0, 0);
    host_send_words(24, 16, 5, 0, 0);
    host_send_words(26, 9, 0, 0, 0);
    host_send_words(28, 8, 0, 0, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unknown, 4);
    assert_alive();
}

/* M17: a message that is legal, and that nobody asked for, stopped the guest. */
static void m17_legal_messages_nobody_asked_for_are_counted(void **state)
{
    static const struct {
        uint32_t type, size;
    } cases[] = {{4, 8},  {6, 20},  {10, 20}, {12, 12}, {15, 16},
                 {17, 8}, {20, 12}, {23, 44}, {24, 16}};
    const size_t number = sizeof(cases) / sizeof(cases[0]);

    (void)state;
    vmbus_test_connect();
    for (unsigned round = 0; round < 3; round++) {
        for (size_t i = 0; i < number; i++) {
            host_send_words(cases[i].type, cases[i].size, 5, 1, 0);
        }
    }
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 3 * number);
    assert_int_equal(vmbus_test_lines("unexpected message:"), number);
    assert_int_equal(vmbus_test_lines("GPADL_CREATED (10), 20 bytes, 00000005 00000001"), 1);
    assert_alive();
}

static void messages_only_guests_send_are_counted(void **state)
{
    static const uint32_t types[] = {3, 5, 7, 8, 9, 11, 13, 14, 16, 18, 19, 21, 22};
    const size_t number = sizeof(types) / sizeof(types[0]);

    (void)state;
    vmbus_test_connect();
    for (size_t i = 0; i < number; i++) {
        host_send_words(types[i], 240, 5, 1, 0);
    }
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, number);
    assert_alive();
}

static void the_padding_of_a_header_is_ignored(void **state)
{
    uint32_t rescind[3] = {HOST_RESCIND, 0x12345678, 5};
    struct host_offer offer = host_plain_offer(5);

    (void)state;
    host_add(&offer);
    vmbus_test_connect();
    host_channel(5)->rescinded = true;
    send(rescind, 12);
    assert_null(vmbus_test_channel(5));
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
}

static void a_flood_is_reported_once(void **state)
{
    (void)state;
    vmbus_test_connect();
    for (unsigned i = 0; i < 5000; i++) {
        host_send_words(HOST_OPEN_RESULT, 20, i, i, i);
    }
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 5000);
    assert_int_equal(vmbus_test_lines("\n"), 1);
    assert_alive();
}

static void a_new_connection_reports_anew(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        vmbus_test_connect();
        host_send_words(99, 8, 0, 0, 0);
        host_run();
        assert_int_equal(vmbus_test_lines("unknown message"), i + 1);
        assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    }
}

/* ---- everything at random ---- */

/* Choice: enough to reach each state many times, and a few seconds with sanitizers at most. */
#define ROUNDS          8000u
#define SECONDS_AT_MOST 2.0

static uint64_t random_state;

static uint32_t random32(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (uint32_t)(random_state >> 32);
}

static uint32_t below(uint32_t limit)
{
    return random32() % limit;
}

static bool one_in(uint32_t n)
{
    return below(n) == 0;
}

/* The dictionary: types and sizes are those of the table. */
static const struct {
    uint32_t type, smallest, largest;
} dictionary[] = {
#define WORD(number, name, sender, version, features, smallest, largest, handler)                  \
    {(number), (smallest), (largest)},
    VMBUS_MESSAGES(WORD)
#undef WORD
};

static uint32_t interesting(void)
{
    static const uint32_t words[] = {0,      1,      2,      3,          4,          5,
                                     6,      127,    128,    2047,       2048,       2049,
                                     0x2005, 0x8000, 0xFFFF, 0x8000FFFF, UINT32_MAX, 0xE1E10};

    switch (below(4)) {
    case 0:
        return random32();
    case 1:
        return 0xE1E10 + below(200);
    default:
        return words[below(sizeof(words) / sizeof(words[0]))];
    }
}

static void send_nonsense(void)
{
    uint8_t bytes[240];
    size_t entry = one_in(4) ? 0 : below(sizeof(dictionary) / sizeof(dictionary[0]));
    uint32_t size = dictionary[entry].smallest;
    uint32_t type = one_in(16) ? interesting() : dictionary[entry].type;

    for (size_t i = 0; i < sizeof(bytes); i += 4) {
        uint32_t word = one_in(2) ? 0 : interesting();
        memcpy(bytes + i, &word, 4);
    }
    memcpy(bytes, &type, 4);
    if (one_in(4)) {
        size = below(241);
    }
    if (type == HOST_OFFER && !one_in(4)) {
        /* One that may be taken. */
        uint32_t relid = 1 + below(8);
        memcpy(bytes + 184, &relid, 4);
        bytes[180] = (uint8_t)below(3);
        bytes[181] = 0;
        bytes[189] = (uint8_t)below(2);
        memset(bytes + 8, 0, 32);
        bytes[24] = (uint8_t)below(4);
    }
    host_send(bytes, size);
}

static enum host_answer some_answer(void)
{
    return one_in(12) ? HOST_IGNORES : one_in(12) ? HOST_IS_SILENT : HOST_ANSWERS;
}

static bool interfere(void *context, const struct host_message *message)
{
    (void)context;
    while (one_in(3)) {
        send_nonsense();
    }
    if (one_in(12)) {
        host_rescind(host_word(message, 8));
    }
    if (one_in(3)) {
        host_event(below(2048));
    }
    host.gpadl = some_answer();
    host.gpadl_status = one_in(8) ? interesting() : 0;
    host.teardown = some_answer();
    host.open = some_answer();
    host.open_status = one_in(8) ? interesting() : 0;
    host.fail_every = one_in(4) ? 2 + below(3) : 0;
    return one_in(20);
}

static void random_owner_event(void *context)
{
    (void)context;
}

static struct vmbus_channel_owner random_owner = {.event = random_owner_event,
                                                  .rescinded = random_owner_event};
static struct vmbus_channel *held[8];
static unsigned opened;
static unsigned shared;

static void claim_some(void)
{
    size_t slot = below(8);
    struct vmbus_channel *channel = vmbus_test_channel(1 + below(8));

    if (held[slot] == NULL && channel != NULL && vmbus_channel_claim(channel, &random_owner)) {
        held[slot] = channel;
    }
}

static void give_back(size_t slot)
{
    if (held[slot] != NULL) {
        vmbus_channel_close(held[slot]);
        (void)vmbus_channel_unclaim(held[slot]);
        held[slot] = NULL;
    }
}

static void use_some(void)
{
    static const uint64_t frames[64];
    const struct vmbus_gpa_range range = {
        .byte_count = 1 + below(60 * 4096), .byte_offset = below(4096), .frames = frames};
    struct vmbus_channel *channel = held[below(8)];
    uint16_t latency;
    uint32_t id;

    if (channel == NULL) {
        return;
    }
    switch (below(5)) {
    case 0:
        opened += vmbus_channel_open(channel, 1 + below(30), 1 + below(30), NULL) == VMBUS_OK;
        break;
    case 1:
        vmbus_channel_close(channel);
        break;
    case 2:
        vmbus_channel_signal(channel);
        vmbus_channel_kick(channel);
        break;
    case 3:
        if (vmbus_gpadl_create(channel, &range, 1, &id) == VMBUS_OK) {
            shared++;
            (void)vmbus_gpadl_teardown(channel, id);
        }
        break;
    default:
        (void)vmbus_channel_set_monitor_latency(channel, 1, &latency);
        break;
    }
}

static void start_round(void)
{
    host.contact = some_answer();
    host.highest_version = 0x00020004 + (below(5) << 16);
    host.all_offers = one_in(8) ? HOST_IGNORES : HOST_ANSWERS;
    host.unload = one_in(8) ? HOST_IGNORES : HOST_ANSWERS;
    host.round_sizes = one_in(2);
    host.contact_size = one_in(8) ? 8 + below(40) : 0;
    for (unsigned i = below(4); i != 0; i--) {
        send_nonsense();
    }
    (void)vmbus_connect();
}

/* A device that this host stands for, so that some of what the guest does gets somewhere. */
static void offer_device(void)
{
    struct host_offer offer = host_plain_offer(1 + below(8));

    if (host_channel(offer.relid) == NULL && vmbus_test_channel(offer.relid) == NULL) {
        offer.monitor_id = (uint8_t)below(128);
        offer.monitor_allocated = (uint8_t)below(2);
        host_add(&offer);
    }
}

static void play(unsigned rounds, clock_t end)
{
    for (unsigned round = 0; round < rounds && clock() < end; round++) {
        if (vmbus_connection_state() != VMBUS_CONNECTED) {
            start_round();
        }
        if (one_in(2)) {
            offer_device();
        }
        for (unsigned i = below(4); i != 0; i--) {
            send_nonsense();
        }
        host_run();
        claim_some();
        use_some();
        if (one_in(6)) {
            give_back(below(8));
        }
        if (one_in(40)) {
            (void)vmbus_disconnect();
        }
    }
}

static void a_host_that_does_anything_at_all(void **state)
{
    const char *given = getenv("TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL);

    (void)state;
    print_message("TEST_SEED=%" PRIu64 "\n", seed);
    random_state = seed * 0x9E3779B97F4A7C15u + 1;
    host.tolerant = true;
    host.scribble = false;
    host.hook = interfere;
    play(ROUNDS, clock() + (clock_t)(SECONDS_AT_MOST * CLOCKS_PER_SEC));
    host.hook = NULL;
    for (size_t slot = 0; slot < 8; slot++) {
        give_back(slot);
    }
    struct vmbus_statistics counts = vmbus_test_counts();
    print_message("%" PRIu64 " messages, %" PRIu64 " malformed, %" PRIu64 " unknown, %" PRIu64
                  " unexpected, %" PRIu64 " offers, %" PRIu64 " refused, %" PRIu64
                  " rescinds, %u opened, %u lists\n",
                  counts.messages, counts.messages_malformed, counts.messages_unknown,
                  counts.messages_unexpected, counts.offers, counts.offers_refused, counts.rescinds,
                  opened, shared);
    /* And a good host after that finds a good guest. */
    (void)vmbus_disconnect();
    host_reset();
    host.tolerant = true;
    vmbus_test_connect();
    assert_alive();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bus_test(truncated_messages_are_dropped),
        bus_test(messages_without_a_header_are_dropped),
        bus_test(oversized_messages_count_for_what_they_begin_with),
        bus_test(unknown_types_are_dropped),
        bus_test(messages_of_a_later_version_are_unknown),
        bus_test(m17_legal_messages_nobody_asked_for_are_counted),
        bus_test(messages_only_guests_send_are_counted),
        bus_test(the_padding_of_a_header_is_ignored),
        bus_test(a_flood_is_reported_once),
        bus_test(a_new_connection_reports_anew),
        bus_test(a_host_that_does_anything_at_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
