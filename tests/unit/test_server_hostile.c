/* SPDX-License-Identifier: MIT */
/*
 * A guest that keeps to no rule: each kind of bad message by itself, floods, and then everything at
 * random while owners come, go and take their time.
 */
#include "tests/unit/server/check.h"
#include "tests/unit/server/device.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "vmbus/messages.h"

static struct vmbus_server_statistics counts(void)
{
    struct vmbus_server_statistics out;

    vmbus_server_statistics(loopback_server, &out);
    return out;
}

static unsigned lines(const char *text)
{
    unsigned count = 0;

    for (const char *at = test_console(); (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}

/* By number: whether a guest sends it, and the least size. */
static const struct {
    bool guests;
    uint32_t smallest;
} types[30] = {
    [1] = {false, 196}, [2] = {false, 12},  [3] = {true, 8},    [4] = {false, 8},
    [5] = {true, 148},  [6] = {false, 20},  [7] = {true, 12},   [8] = {true, 36},
    [9] = {true, 24},   [10] = {false, 20}, [11] = {true, 16},  [12] = {false, 12},
    [13] = {true, 12},  [14] = {true, 40},  [15] = {false, 16}, [16] = {true, 8},
    [17] = {false, 8},  [18] = {true, 28},  [19] = {true, 20},  [20] = {false, 12},
    [21] = {true, 40},  [22] = {true, 16},  [23] = {false, 44}, [24] = {false, 16},
};

static void messages_that_are_too_short_are_dropped_in_every_length(void **state)
{
    struct device device;
    uint64_t dropped = 0;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(3);
    loopback_log_clear();
    for (uint32_t type = 0; type < 30; type++) {
        for (uint32_t size = 0; types[type].guests && size < types[type].smallest; size++) {
            uint8_t bytes[240] = {(uint8_t)type, 0, 0, 0, 0, 0, 0, 0, 3};
            assert_int_equal(guest_post(bytes, size), HV_STATUS_SUCCESS);
            expect_silence();
            dropped++;
        }
    }
    assert_int_equal(counts().messages_malformed, dropped);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OPEN);
    assert_int_equal(vmbus_server_version(loopback_server), VMBUS_VERSION_5_3);
    check_server(loopback_server, 0);
    guest_unload();
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(device.channel);
}

static void longer_messages_mean_what_their_beginning_says(void **state)
{
    struct device device;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = pages_allocate_zeroed(4);
    assert_true(guest_gpadl(3, 3, memory, 4));
    loopback_log_clear();
    (void)guest_words(5, 240, 3, 7, 3, 0, 2);
    expect_answer(6, 3, 7, 0);
    (void)guest_words(7, 240, 3, 0, 0, 0, 0);
    (void)guest_words(11, 240, 3, 3, 0, 0, 0);
    expect_answer(12, 3, 0, 0);
    (void)guest_words(16, 240, 0, 0, 0, 0, 0);
    expect_answer(17, 0, 0, 0);
    pages_free(memory, 4);
    vmbus_server_revoke(device.channel);
}

static void a_hosts_messages_from_a_guest_are_dropped(void **state)
{
    struct device device;
    uint64_t before;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_6_0);
    before = counts().messages_unexpected;
    uint64_t dropped = 0;
    for (uint32_t type = 0; type < 25; type++) {
        if (types[type].smallest != 0 && !types[type].guests) {
            (void)guest_words(type, 240, 3, 3, 3, 3, 3);
            dropped++;
        }
    }
    assert_int_equal(counts().messages_unexpected - before, dropped);
    expect_silence();
    vmbus_server_revoke(device.channel);
}

static void unknown_numbers_are_dropped(void **state)
{
    static const uint32_t wrong[] = {0,  25, 26,  27,      28,         29,        30,
                                     31, 32, 255, 0x10003, 0x80000003, UINT32_MAX};

    (void)state;
    guest_connect(VMBUS_VERSION_6_0);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        (void)guest_words(wrong[i], 240, 3, 3, 3, 3, 3);
    }
    assert_int_equal(counts().messages_unknown, sizeof(wrong) / sizeof(wrong[0]));
    expect_silence();
}

static void more_than_a_message_holds_is_refused(void **state)
{
    static const uint8_t bytes[4096];

    (void)state;
    guest_connect(VMBUS_VERSION_5_3);
    assert_int_equal(vmbus_server_message(loopback_server, 1, bytes, 241),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(vmbus_server_message(loopback_server, 1, bytes, UINT32_MAX),
                     HV_STATUS_INVALID_PARAMETER);
    assert_int_equal(vmbus_server_message(loopback_server, 1, bytes, 0), HV_STATUS_SUCCESS);
    assert_int_equal(counts().messages_malformed, 1);
}

static void each_kind_is_reported_once(void **state)
{
    (void)state;
    guest_connect(VMBUS_VERSION_5_3);
    test_console_clear();
    for (int i = 0; i < 50; i++) {
        (void)guest_words(5, 20, 1, 2, 3, 4, 5);
        (void)guest_words(7, 12, 1, 2, 3, 4, 5);
        (void)guest_words(77, 12, 1, 2, 3, 4, 5);
        (void)guest_words(78, 12, 1, 2, 3, 4, 5);
    }
    assert_int_equal(lines("malformed message: OPEN_CHANNEL (5), 20 bytes, 00000001 00000002"), 1);
    assert_int_equal(lines("unexpected message: CLOSE_CHANNEL (7)"), 1);
    assert_int_equal(lines("unknown message: unknown (77)"), 1);
    assert_int_equal(lines("message:"), 3);
}

static void requests_for_channels_that_are_not_there_are_dropped(void **state)
{
    static const uint32_t relids[] = {0, 1, 2, 4, 2046, 2047, 2048, 4096, 0x10003, UINT32_MAX};
    static const uint8_t with_relid[] = {5, 7, 8, 11, 13, 22};
    struct device device;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    for (size_t i = 0; i < sizeof(relids) / sizeof(relids[0]); i++) {
        for (size_t type = 0; type < sizeof(with_relid); type++) {
            (void)guest_words(with_relid[type], 240, relids[i], 1, 0x10010, 4096, 0);
        }
    }
    expect_silence();
    assert_int_equal(counts().messages_unexpected,
                     sizeof(relids) / sizeof(relids[0]) * sizeof(with_relid));
    check_server(loopback_server, 0);
    vmbus_server_revoke(device.channel);
}

static void a_channel_that_was_not_offered_yet_is_not_there(void **state)
{
    struct device device;

    (void)state;
    device_start(&device, 3);
    guest_contact(VMBUS_VERSION_5_3);
    loopback_log_clear();
    (void)guest_words(8, 36, 3, 1, 0x10010, 4096, 0);
    guest_open(3, 1, 1, 2);
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2003, 0),
                     HV_STATUS_INVALID_CONNECTION_ID);
    expect_silence();
    vmbus_server_revoke(device.channel);
}

static void floods_cost_no_memory(void **state)
{
    struct device device;

    (void)state;
    device_start(&device, 3);
    guest_connect(VMBUS_VERSION_5_3);
    uint64_t held = test_memory_held();
    for (uint32_t i = 0; i < 20000; i++) {
        (void)guest_words(8, 36, 3, 1000, 0x10010, 1, 0);
        (void)guest_words(11, 16, 3, 1000, 0, 0, 0);
        (void)guest_words(5, 148, 3, i, i, i, i);
        (void)guest_words(7, 12, 3, 0, 0, 0, 0);
        if (i % 50 == 0) {
            loopback_log_clear();
        }
    }
    assert_int_equal(test_memory_held(), held);
    /* Lists that are never complete: as many pages as allowed, and no more. */
    for (uint32_t i = 1; i < 5000; i++) {
        (void)guest_words(8, 36, 3, i, 0x1FFF8, UINT32_MAX, 0);
    }
    assert_int_equal(test_memory_held(), held + VMBUS_SERVER_GPADL_PAGES / 8191);
    check_server(loopback_server, 0);
    loopback_log_clear();
    guest_contact(VMBUS_VERSION_5_3);
    assert_int_equal(test_memory_held(), held);
    vmbus_server_revoke(device.channel);
}

static void a_guest_that_lies_about_its_rings_harms_only_its_channel(void **state)
{
    struct device device;
    static const uint32_t indices[] = {4, 0x1000, 0xFFFFFFFF, 0x80000000, 24, 8};

    (void)state;
    device_start(&device, 3);
    device.echoes = true;
    guest_connect(VMBUS_VERSION_5_3);
    uint8_t *memory = guest_open_rings(3);
    for (size_t i = 0; i < sizeof(indices) / sizeof(indices[0]); i++) {
        memset(memory, 0, RING_PAGES * PAGE_SIZE);
        memset(memory + PAGE_SIZE, (int)(0x11 * i), PAGE_SIZE);
        guest_close(3);
        guest_open(3, 1, 3, 2);
        memcpy(memory, &indices[i], 4);
        (void)vmbus_server_signal(loopback_server, 0x2003, 0);
        (void)vmbus_server_signal(loopback_server, 0x2003, 0);
        check_server(loopback_server, 0);
    }
    guest_unload();
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(device.channel);
}

/* ---- everything at random ---- */

#define DEVICES 5u
#define MEMORY  64u

static struct {
    unsigned seed;
    struct device devices[DEVICES];
    uint8_t *memory;
    struct {
        uint32_t id;
        uint32_t device;
    } mapped[16];
    unsigned mapped_count;
} fuzz;

static uint32_t below(uint32_t end)
{
    return (uint32_t)rand_r(&fuzz.seed) % end;
}

/* Small numbers that mean something, most often. */
static uint32_t some_id(void)
{
    static const uint32_t odd[] = {0, 2047, 2048, 0x80000001, UINT32_MAX};

    return below(10) == 0 ? odd[below(5)] : 1 + below(6);
}

static void random_gpadl(void)
{
    _Alignas(8) uint8_t bytes[240] = {8};
    uint32_t pages = below(3) != 0 ? 4 : 1 + below(30);
    uint32_t offset = below(6) == 0 ? below(5000) : 0;
    const uint32_t fields[] = {some_id(), some_id(),
                               (8 + 8 * (below(8) == 0 ? below(8000) : pages)) |
                                   (below(10) == 0 ? below(4) : 1) << 16,
                               pages * PAGE_SIZE - below(4) * offset, offset};
    uint64_t frame = page_frame_of(fuzz.memory) + below(MEMORY - 4);

    memcpy(bytes + 8, fields, sizeof(fields));
    for (uint64_t i = 0; i < 26; i++) {
        uint64_t value = frame + i;
        memcpy(bytes + 28 + 8 * i, &value, 8);
    }
    (void)guest_post(bytes, below(10) == 0 ? below(241) : 236);
    if (pages > 26) {
        (void)guest_words(9, 16 + 8 * below(20), 0, fields[1], 5, 0, 5);
    }
}

static void random_message(void)
{
    uint8_t bytes[240];

    switch (below(12)) {
    case 0:
        for (size_t i = 0; i < sizeof(bytes); i++) {
            bytes[i] = (uint8_t)below(256);
        }
        bytes[1] = bytes[2] = bytes[3] = 0;
        bytes[0] = (uint8_t)below(32);
        (void)hv_post_message(below(6), bytes, below(260) % 241);
        break;
    case 1:
    case 2:
    case 3:
        random_gpadl();
        break;
    case 4:
    case 5:
        guest_open(some_id(), some_id(), some_id(), below(4) != 0 ? 2 : below(5));
        break;
    case 6:
        guest_close(some_id());
        break;
    case 7:
        guest_teardown(some_id(), some_id());
        break;
    case 8:
        guest_release(some_id());
        break;
    case 9:
        (void)guest_words(below(32), below(241), some_id(), some_id(), some_id(), some_id(), 2);
        break;
    case 10:
        (void)guest_words(22, 16, some_id(), below(3), 0, 0, 0);
        break;
    default:
        if (below(40) == 0) {
            guest_unload();
        }
        if (below(40) == 0 || vmbus_server_version(loopback_server) == 0) {
            static const uint32_t versions[] = {VMBUS_VERSION_2_4, VMBUS_VERSION_4_1,
                                                VMBUS_VERSION_5_3, VMBUS_VERSION_6_0};
            guest_contact(versions[below(4)]);
            (void)guest_words(3, 8, 0, 0, 0, 0, 0);
        }
        break;
    }
}

static void unmap_one(unsigned i)
{
    struct device *device = &fuzz.devices[fuzz.mapped[i].device];

    assert_int_equal(vmbus_server_gpadl_unmap(device->channel, fuzz.mapped[i].id), VMBUS_OK);
    fuzz.mapped[i] = fuzz.mapped[--fuzz.mapped_count];
}

/* A device may call until it was released: `channel` is NULL then. */
static void random_owner(void)
{
    uint32_t number = below(DEVICES);
    struct device *device = &fuzz.devices[number];
    const struct vmbus_server_range *ranges;
    size_t count;
    uint32_t id = some_id();

    device->call_count = 0;
    if (device->channel == NULL) {
        device->offer.relid = below(2) != 0 ? number + 1 : 0;
        (void)device_offer_now(device);
        return;
    }
    switch (below(8)) {
    case 0:
        if (below(8) == 0 && !device->revoked) {
            device->revoked = true;
            vmbus_server_revoke(device->channel);
        }
        break;
    case 1:
        device->waits = below(2) != 0;
        break;
    case 2:
    case 3:
        if (device_state(device) == VMBUS_SERVER_CLOSING) {
            vmbus_server_close_done(device->channel);
        } else if (device_state(device) == VMBUS_SERVER_OPENING) {
            device->open_status = below(3) == 0 ? 1 : 0;
            (void)device_accept(device);
        }
        break;
    case 4:
        vmbus_server_raise(device->channel);
        break;
    case 5:
    case 6:
        if (fuzz.mapped_count < 16 &&
            vmbus_server_gpadl_map(device->channel, id, true, &ranges, &count) == VMBUS_OK) {
            fuzz.mapped[fuzz.mapped_count].device = number;
            fuzz.mapped[fuzz.mapped_count++].id = id;
        }
        break;
    default:
        if (fuzz.mapped_count != 0) {
            unmap_one(below(fuzz.mapped_count));
        }
        break;
    }
}

/* Other threads of the guest, while the server calls its machine. */
static void random_meanwhile(void)
{
    if (below(3) == 0) {
        random_message();
    }
    if (below(3) == 0) {
        (void)vmbus_server_signal(loopback_server, 0x2000 + some_id(), 0);
    }
}

static void random_machine(void)
{
    switch (below(8)) {
    case 4:
    case 5:
        loopback.meanwhile = below(2) != 0 ? random_meanwhile : NULL;
        break;
    case 0:
        loopback.slot_stuck = below(6) == 0;
        break;
    case 1:
        loopback.map_fail = below(3);
        break;
    case 2:
        loopback.busy_once = below(2) != 0;
        break;
    case 3:
        test_memory_fail(below(3));
        break;
    default:
        break;
    }
    for (uint32_t i = below(20); i != 0; i--) {
        (void)loopback_take();
    }
}

static void settle_all(void)
{
    loopback.slot_stuck = false;
    loopback.map_fail = 0;
    loopback.meanwhile = NULL;
    test_memory_fail(0);
    while (loopback_take()) {
    }
    while (fuzz.mapped_count != 0) {
        unmap_one(0);
    }
    for (uint32_t i = 0; i < DEVICES; i++) {
        struct device *device = &fuzz.devices[i];
        device->waits = false;
        device->call_count = 0;
        if (device->channel == NULL) {
            continue;
        }
        if (device_state(device) == VMBUS_SERVER_CLOSING) {
            vmbus_server_close_done(device->channel);
        }
        if (device->channel != NULL && !device->revoked) {
            vmbus_server_revoke(device->channel);
        }
        assert_null(device->channel);
    }
}

/* The machine goes on in another process, in whatever state it is. */
static void random_move(void)
{
    size_t size;

    test_memory_fail(0);
    assert_int_equal(vmbus_server_save(loopback_server, NULL, 0, &size), VMBUS_NO_MEMORY);
    void *saved = malloc(size);
    assert_int_equal(vmbus_server_save(loopback_server, saved, size, &size), VMBUS_OK);
    settle_all();
    loopback_replace(NULL);
    for (uint32_t i = 0; i < DEVICES; i++) {
        if (below(8) != 0) {
            fuzz.devices[i].offer.force_new = below(8) == 0;
            fuzz.devices[i].waits = below(2) != 0;
            assert_int_equal(device_offer_now(&fuzz.devices[i]), VMBUS_OK);
        }
    }
    assert_int_equal(vmbus_server_restore(loopback_server, saved, size), VMBUS_SERVER_RESTORED);
    free(saved);
}

static void anything_at_random(void **state)
{
    const clock_t end = clock() + CLOCKS_PER_SEC * 3 / 2;
    unsigned rounds = 0;

    (void)state;
    const char *again = getenv("SEED");
    fuzz.seed = again != NULL ? (unsigned)strtoul(again, NULL, 0) : (unsigned)time(NULL);
    while (clock() < end) {
        printf("seed %u\n", fuzz.seed); /* SEED=... runs it again */
        unsigned next = fuzz.seed + 1;
        fuzz.mapped_count = 0;
        fuzz.memory = pages_allocate_zeroed(MEMORY);
        loopback.processors = 2;
        for (uint32_t i = 0; i < DEVICES; i++) {
            fuzz.devices[i] = (struct device){.offer = device_offer(i + 1)};
            fuzz.devices[i].echoes = i % 2 != 0;
            fuzz.devices[i].keeps_gpadls = true;
            assert_int_equal(device_offer_now(&fuzz.devices[i]), VMBUS_OK);
        }
        guest_contact(VMBUS_VERSION_5_3);
        (void)guest_words(3, 8, 0, 0, 0, 0, 0);
        for (unsigned step = 0; step < 3000; step++) {
            uint32_t what = below(20);
            if (below(200) == 0) {
                random_move();
            } else if (what < 13) {
                random_message();
            } else if (what < 18) {
                random_owner();
            } else if (what < 19) {
                (void)vmbus_server_signal(loopback_server, 0x2000 + some_id(), below(2));
            } else {
                random_machine();
            }
            check_server(loopback_server, 0);
            for (uint32_t i = 0; i < DEVICES; i++) {
                fuzz.devices[i].call_count = 0;
            }
        }
        settle_all();
        pages_free(fuzz.memory, MEMORY);
        server_test_restart(NULL);
        assert_int_equal(test_memory_held(), 1);
        fuzz.seed = next;
        rounds++;
    }
    assert_true(rounds > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(messages_that_are_too_short_are_dropped_in_every_length),
        server_test(longer_messages_mean_what_their_beginning_says),
        server_test(a_hosts_messages_from_a_guest_are_dropped),
        server_test(unknown_numbers_are_dropped),
        server_test(more_than_a_message_holds_is_refused),
        server_test(each_kind_is_reported_once),
        server_test(requests_for_channels_that_are_not_there_are_dropped),
        server_test(a_channel_that_was_not_offered_yet_is_not_there),
        server_test(floods_cost_no_memory),
        server_test(a_guest_that_lies_about_its_rings_harms_only_its_channel),
        server_test(anything_at_random),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
