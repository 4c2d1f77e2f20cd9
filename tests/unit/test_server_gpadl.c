/* SPDX-License-Identifier: MIT */
/* Lists of pages as guests send them: honest ones of every shape, and lies. */
#include "tests/unit/server/device.h"

#include <stdlib.h>

#define RELID    3u
#define CREATED  10u
#define TORNDOWN 12u

static struct device device;
static void *rings;

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
    rings = guest_open_rings(RELID);
    assert_int_equal(device_state(&device), VMBUS_SERVER_OPEN);
    loopback_log_clear();
}

static void finish(void)
{
    if (device.channel != NULL) {
        vmbus_server_revoke(device.channel);
    }
    guest_unload();
    pages_free(rings, RING_PAGES);
}

/* Sends a list and returns its status. */
static uint32_t create(uint32_t id, uint32_t range_count, const uint64_t *words, uint32_t count)
{
    loopback_log_clear();
    guest_send_gpadl(RELID, id, range_count, words, count);
    assert_int_equal(loopback_count_to_guest(0), 1);
    const struct loopback_message *created = loopback_to_guest(CREATED, 0);
    assert_int_equal(created->size, 20);
    assert_int_equal(loopback_word(created, 8), RELID);
    assert_int_equal(loopback_word(created, 12), id);
    return loopback_word(created, 16);
}

static uint64_t range(uint32_t count, uint32_t offset)
{
    return count | (uint64_t)offset << 32;
}

static void lists_of_every_length_arrive_whole(void **state)
{
    static const uint32_t lengths[] = {1,  2,  25, 26,  27,  28,  53,   54,  55,
                                       82, 83, 84, 256, 512, 999, 8189, 8190};
    uint8_t *memory = pages_allocate(8190);

    (void)state;
    start();
    for (uint32_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
        const struct vmbus_server_range *ranges;
        size_t count;
        assert_true(guest_gpadl(RELID, 100 + i, memory, lengths[i]));
        assert_int_equal(vmbus_server_gpadl_map(device.channel, 100 + i, true, &ranges, &count),
                         VMBUS_OK);
        assert_int_equal(count, 1);
        assert_int_equal(ranges->byte_count, lengths[i] * PAGE_SIZE);
        assert_int_equal(ranges->frame_count, lengths[i]);
        assert_ptr_equal(ranges->address, memory);
        assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 100 + i), VMBUS_OK);
        loopback_log_clear();
        guest_teardown(RELID, 100 + i);
        expect_answer(TORNDOWN, 100 + i, 0, 0);
    }
    assert_int_equal(counts().gpadls, 1);
    finish();
    pages_free(memory, 8190);
}

static void a_body_may_carry_more_than_is_missing(void **state)
{
    _Alignas(8) uint8_t bytes[240];
    uint8_t *memory = pages_allocate(30);
    const uint32_t header[] = {8, 0, RELID, 50, 248 | 1 << 16};
    const uint32_t body[] = {9, 0, 0, 50};
    uint64_t first = range(30 * PAGE_SIZE, 0);
    const struct vmbus_server_range *ranges;
    size_t count;

    (void)state;
    start();
    memcpy(bytes, header, sizeof(header));
    memcpy(bytes + 20, &first, 8);
    for (uint64_t i = 0; i < 26; i++) {
        uint64_t frame = page_frame_of(memory) + i;
        memcpy(bytes + 28 + 8 * i, &frame, 8);
    }
    assert_int_equal(guest_post(bytes, 240), HV_STATUS_SUCCESS); /* 4 bytes too many */
    expect_silence();
    memset(bytes, 0xFF, sizeof(bytes));
    memcpy(bytes, body, sizeof(body));
    for (uint64_t i = 0; i < 4; i++) {
        uint64_t frame = page_frame_of(memory) + 26 + i;
        memcpy(bytes + 16 + 8 * i, &frame, 8);
    }
    assert_int_equal(guest_post(bytes, 240), HV_STATUS_SUCCESS);
    expect_answer(CREATED, RELID, 50, 0);
    assert_int_equal(vmbus_server_gpadl_map(device.channel, 50, true, &ranges, &count), VMBUS_OK);
    assert_ptr_equal(ranges->address, memory);
    assert_int_equal(vmbus_server_gpadl_unmap(device.channel, 50), VMBUS_OK);
    finish();
    pages_free(memory, 30);
}

static void lists_of_several_channels_may_come_interleaved(void **state)
{
    struct device other;
    uint64_t words[60] = {range(59 * PAGE_SIZE, 0)};
    uint8_t *memory = pages_allocate(59);
    _Alignas(8) uint8_t bytes[240];

    (void)state;
    start();
    device_start(&other, 4);
    for (uint64_t i = 0; i < 59; i++) {
        words[i + 1] = page_frame_of(memory) + i;
    }
    loopback_log_clear();
    /* Two headers, then the bodies in turns. */
    for (uint32_t id = 50; id < 52; id++) {
        const uint32_t header[] = {8, 0, RELID + (id - 50), id, 480 | 1 << 16};
        memcpy(bytes, header, sizeof(header));
        memcpy(bytes + 20, words, 27 * 8);
        assert_int_equal(guest_post(bytes, 20 + 27 * 8), HV_STATUS_SUCCESS);
    }
    for (uint32_t done = 27; done < 60; done += 11) {
        for (uint32_t id = 50; id < 52; id++) {
            const uint32_t body[] = {9, 0, 0, id};
            memcpy(bytes, body, sizeof(body));
            memcpy(bytes + 16, words + done, 11 * 8);
            assert_int_equal(guest_post(bytes, 16 + 11 * 8), HV_STATUS_SUCCESS);
        }
    }
    assert_int_equal(loopback_count_to_guest(CREATED), 2);
    assert_int_equal(loopback_word(loopback_to_guest(CREATED, 0), 16), 0);
    assert_int_equal(loopback_word(loopback_to_guest(CREATED, 1), 8), RELID + 1);
    assert_int_equal(loopback_word(loopback_to_guest(CREATED, 1), 16), 0);
    vmbus_server_revoke(other.channel);
    finish();
    pages_free(memory, 59);
}

static void lies_about_ranges_are_refused(void **state)
{
    const uint64_t page = 5;
    const struct {
        const char *what;
        uint32_t range_count;
        uint32_t word_count;
        uint64_t words[8];
    } lies[] = {
        {"no range", 0, 2, {range(4096, 0), page}},
        {"an empty range", 1, 2, {range(0, 0), page}},
        {"an empty range with an offset", 1, 2, {range(0, 100), page}},
        {"an offset beyond the first page", 1, 2, {range(1, 4096), page}},
        {"an offset beyond everything", 1, 2, {range(1, UINT32_MAX), page}},
        {"a page too few", 1, 2, {range(4097, 0), page}},
        {"a page too few because of the offset", 1, 2, {range(4096, 1), page}},
        {"far more bytes than pages", 1, 3, {range(UINT32_MAX, 4095), page, page}},
        {"a range too few", 2, 4, {range(4096, 0), page, range(8192, 0), page}},
        {"a range that is not there", 2, 4, {range(3 * 4096, 0), page, page, page}},
        {"more ranges than words", 3, 4, {range(1, 0), page, range(1, 0), page}},
        {"many more ranges than words", 0xFFFF, 2, {range(1, 0), page}},
        {"a second range that is empty", 2, 4, {range(1, 0), page, range(0, 0), page}},
        {"a frame beyond any address", 1, 2, {range(4096, 0), UINT64_C(1) << 52}},
        {"the last frame of all", 1, 2, {range(4096, 0), UINT64_MAX}},
    };

    (void)state;
    start();
    uint64_t before = counts().gpadl_pages;
    for (uint32_t i = 0; i < sizeof(lies) / sizeof(lies[0]); i++) {
        if (create(70 + i, lies[i].range_count, lies[i].words, lies[i].word_count) != FAILURE) {
            fail_msg("%s is accepted", lies[i].what);
        }
    }
    assert_int_equal(counts().gpadls_refused, sizeof(lies) / sizeof(lies[0]));
    assert_int_equal(counts().gpadls, 1);
    assert_int_equal(counts().gpadl_pages, before);
    finish();
}

static void words_behind_the_last_range_do_no_harm(void **state)
{
    const uint64_t words[] = {range(1, 0), 7, range(0, 9999), UINT64_MAX};

    (void)state;
    start();
    assert_int_equal(create(70, 1, words, 4), 0);
    finish();
}

static void ids_are_used_once_at_a_time(void **state)
{
    const uint64_t words[] = {range(1, 0), 7};
    const uint32_t pending[] = {RELID, 71, 800 | 1u << 16};
    uint8_t bytes[240] = {8};

    (void)state;
    start();
    assert_int_equal(create(0, 1, words, 2), FAILURE);
    assert_int_equal(create(70, 1, words, 2), 0);
    assert_int_equal(create(70, 1, words, 2), FAILURE);
    /* In progress: nowhere else. */
    struct device other;
    device_start(&other, 4);
    loopback_log_clear();
    memcpy(bytes + 8, pending, sizeof(pending));
    assert_int_equal(guest_post(bytes, 240), HV_STATUS_SUCCESS);
    expect_silence();
    guest_send_gpadl(4, 71, 1, words, 2);
    expect_answer(CREATED, 4, 71, FAILURE);
    /* Complete: another channel's own affair. */
    guest_send_gpadl(4, 70, 1, words, 2);
    expect_answer(CREATED, 4, 70, 0);
    guest_teardown(4, 70);
    expect_answer(TORNDOWN, 70, 0, 0);
    guest_teardown(RELID, 70);
    expect_answer(TORNDOWN, 70, 0, 0);
    assert_int_equal(create(70, 1, words, 2), 0);
    vmbus_server_revoke(other.channel);
    finish();
}

static void teardowns_of_what_does_not_stand_are_dropped(void **state)
{
    const uint32_t pending[] = {RELID, 71, 800 | 1u << 16};
    uint8_t bytes[240] = {8};

    (void)state;
    start();
    memcpy(bytes + 8, pending, sizeof(pending));
    assert_int_equal(guest_post(bytes, 240), HV_STATUS_SUCCESS);
    guest_teardown(RELID, 71);
    guest_teardown(RELID, 0);
    guest_teardown(RELID, 999);
    guest_teardown(RELID + 1, RELID);
    guest_teardown(UINT32_MAX, RELID);
    expect_silence();
    assert_int_equal(counts().messages_unexpected, 5);
    finish();
}

static void bodies_of_nothing_are_dropped(void **state)
{
    const uint64_t words[] = {range(1, 0), 7};

    (void)state;
    start();
    assert_int_equal(create(70, 1, words, 2), 0);
    loopback_log_clear();
    (void)guest_words(9, 24, 0, 70, 0, 0, 0); /* complete */
    (void)guest_words(9, 24, 0, 71, 0, 0, 0);
    (void)guest_words(9, 24, 0, 0, 0, 0, 0);
    expect_silence();
    assert_int_equal(counts().messages_unexpected, 3);
    finish();
}

static void the_limits_hold_and_are_given_back(void **state)
{
    const struct vmbus_server_options options = {
        .gpadls = 4, .gpadls_in_progress = 2, .gpadl_pages = 40};
    const uint64_t words[] = {range(1, 0), 7};
    const uint32_t small[] = {RELID, 80, 32 | 1u << 16};
    uint8_t bytes[240] = {8};
    uint64_t large[40] = {range(30 * PAGE_SIZE, 0)};

    (void)state;
    server_test_restart(&options);
    start(); /* one GPADL of 5 words */
    for (uint32_t id = 60; id < 63; id++) {
        assert_int_equal(create(id, 1, words, 2), 0);
    }
    assert_int_equal(create(63, 1, words, 2), FAILURE); /* the fifth */
    guest_teardown(RELID, 61);
    assert_int_equal(create(63, 1, words, 2), 0);
    guest_teardown(RELID, 60);
    assert_int_equal(create(64, 1, large, 32), FAILURE); /* 9 + 32 words */
    assert_int_equal(create(64, 1, large, 31), 0);
    for (uint32_t id = 62; id < 65; id++) {
        guest_teardown(RELID, id);
    }
    loopback_log_clear();
    memcpy(bytes + 8, small, sizeof(small));
    assert_int_equal(guest_post(bytes, 36), HV_STATUS_SUCCESS);
    bytes[12]++;
    assert_int_equal(guest_post(bytes, 36), HV_STATUS_SUCCESS);
    expect_silence();
    bytes[12]++;
    assert_int_equal(guest_post(bytes, 36), HV_STATUS_SUCCESS);
    expect_answer(CREATED, RELID, 82, FAILURE);
    assert_int_equal(create(83, 1, words, 2), FAILURE); /* it would be in progress for a moment */
    assert_int_equal(counts().gpadls, 3);
    assert_int_equal(counts().gpadl_pages, 5 + 4 + 4);
    finish();
    guest_connect(VMBUS_VERSION_5_3);
    assert_int_equal(counts().gpadls, 0);
    assert_int_equal(counts().gpadl_pages, 0);
}

static void without_memory_a_list_is_refused(void **state)
{
    const uint64_t words[] = {range(1, 0), 7};

    (void)state;
    start();
    test_memory_fail(1);
    assert_int_equal(create(70, 1, words, 2), FAILURE);
    assert_int_equal(create(70, 1, words, 2), 0);
    finish();
}

static void mapping_follows_its_rules(void **state)
{
    const struct vmbus_server_range *ranges;
    size_t count;
    uint8_t *memory = pages_allocate(4);
    const uint64_t frame = page_frame_of(memory);
    const uint64_t two[] = {range(4096, 0), frame, range(4096, 0), frame + 2};
    const uint64_t bad[] = {range(4096, 0), frame, range(4096, 0), 1};
    const uint32_t pending[] = {RELID, 71, 800 | 1u << 16};
    uint8_t bytes[240] = {8};
    struct vmbus_server_channel *channel;

    (void)state;
    start();
    channel = device.channel;
    memcpy(bytes + 8, pending, sizeof(pending));
    assert_int_equal(guest_post(bytes, 240), HV_STATUS_SUCCESS);
    assert_int_equal(create(70, 2, two, 4), 0);
    assert_int_equal(create(72, 2, bad, 4), 0);
    assert_int_equal(vmbus_server_gpadl_map(channel, 71, true, &ranges, &count),
                     VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_server_gpadl_map(channel, 5, true, &ranges, &count), VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_server_gpadl_map(channel, RELID, true, &ranges, &count),
                     VMBUS_BAD_STATE); /* the rings */
    assert_int_equal(vmbus_server_gpadl_map(channel, 72, true, &ranges, &count), VMBUS_REFUSED);
    assert_int_equal(loopback_maps(), 1);
    test_memory_fail(1);
    assert_int_equal(vmbus_server_gpadl_map(channel, 70, true, &ranges, &count), VMBUS_NO_MEMORY);
    assert_int_equal(vmbus_server_gpadl_unmap(channel, 70), VMBUS_BAD_ARGUMENT);
    assert_int_equal(vmbus_server_gpadl_map(channel, 70, true, &ranges, &count), VMBUS_OK);
    assert_int_equal(count, 2);
    assert_ptr_equal(ranges[1].address, memory + 2 * PAGE_SIZE);
    assert_int_equal(vmbus_server_gpadl_map(channel, 70, true, &ranges, &count), VMBUS_BAD_STATE);
    /* The guest may not open with what is mapped, nor get it back. */
    device.waits = true;
    loopback_log_clear();
    guest_teardown(RELID, 70);
    expect_silence();
    expect_calls(&device, "ow");
    assert_int_equal(vmbus_server_gpadl_unmap(channel, 70), VMBUS_OK);
    expect_answer(TORNDOWN, 70, 0, 0);
    assert_int_equal(loopback_maps(), 1);
    device.waits = false;
    guest_close(RELID);
    assert_int_equal(vmbus_server_gpadl_map(channel, 72, true, &ranges, &count), VMBUS_BAD_STATE);
    finish();
    pages_free(memory, 4);
}

static void frames_of_packets_can_be_mapped(void **state)
{
    uint8_t *memory = pages_allocate(2);
    const uint64_t frames[] = {page_frame_of(memory), page_frame_of(memory) + 1};
    const uint64_t wild[] = {page_frame_of(memory), 12};

    (void)state;
    start();
    void *address = vmbus_server_map_frames(device.channel, frames, 2, false);
    assert_ptr_equal(address, memory);
    vmbus_server_unmap_frames(device.channel, address, 2);
    assert_null(vmbus_server_map_frames(device.channel, wild, 2, true));
    finish();
    pages_free(memory, 2);
}

static void a_list_that_was_not_complete_when_its_channel_went_is_refused(void **state)
{
    const uint32_t pending[] = {RELID, 71, 232 | 1u << 16};
    uint8_t bytes[240] = {8};

    (void)state;
    start();
    memcpy(bytes + 8, pending, sizeof(pending));
    assert_int_equal(guest_post(bytes, 236), HV_STATUS_SUCCESS);
    vmbus_server_revoke(device.channel);
    loopback_log_clear();
    (void)guest_words(9, 32, 0, 71, 0, 0, 0);
    expect_answer(CREATED, RELID, 71, FAILURE);
    guest_release(RELID);
    finish();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(lists_of_every_length_arrive_whole),
        server_test(a_body_may_carry_more_than_is_missing),
        server_test(lists_of_several_channels_may_come_interleaved),
        server_test(lies_about_ranges_are_refused),
        server_test(words_behind_the_last_range_do_no_harm),
        server_test(ids_are_used_once_at_a_time),
        server_test(teardowns_of_what_does_not_stand_are_dropped),
        server_test(bodies_of_nothing_are_dropped),
        server_test(the_limits_hold_and_are_given_back),
        server_test(without_memory_a_list_is_refused),
        server_test(mapping_follows_its_rules),
        server_test(frames_of_packets_can_be_mapped),
        server_test(a_list_that_was_not_complete_when_its_channel_went_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
