/* SPDX-License-Identifier: MIT */
/* Saved bytes that are not what they were: changed, cut, of another format, forged. */

#include "tests/unit/server/check.h"
#include "tests/unit/server/move.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "vmbus/server/checksum.h"
#include "vmbus/server/saved.h"

/* ---- bytes that are not what they were ---- */

/* A server with something of everything, saved; it is ended. */
static struct saved save_a_bit_of_everything(void)
{
    struct device others[2];
    const uint32_t pending[] = {RELID, 71, 328 | 1u << 16};
    uint8_t bytes[240] = {8};

    start_device();
    open_device();
    memcpy(bytes + 8, pending, sizeof(pending));
    assert_int_equal(guest_post(bytes, 236), HV_STATUS_SUCCESS);
    device_start(&others[0], 8);
    device_start(&others[1], 9);
    vmbus_server_revoke(others[1].channel);
    loopback.slot_stuck = true;
    while (guest_words(8, 36, RELID, 0, 0, 0, 0) == HV_STATUS_SUCCESS) {
    }
    vmbus_server_revoke(others[0].channel);
    struct saved saved = save_server();
    end_server(&device, 1);
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
            enum vmbus_server_restored result = restore_server(&saved);
            assert_int_not_equal(result, VMBUS_SERVER_RESTORED);
            if (i < 4) {
                assert_int_equal(result, VMBUS_SERVER_RESTORE_FOREIGN);
            }
            saved.bytes[i] ^= changes[change];
        }
    }
    assert_int_equal(test_memory_held(), held);
    expect_untouched();
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORE_BAD_STATE);
    free(saved.bytes);
    finish_device();
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
        assert_int_equal(restore_server(&saved),
                         i == 2 ? VMBUS_SERVER_RESTORED : VMBUS_SERVER_RESTORE_LIMITS);
        vmbus_server_reset(loopback_server);
        vmbus_server_revoke(device.channel);
    }
    server_test_restart(NULL);
    memcpy(saved.bytes + 4, &format, 4);
    seal(&saved);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORE_NEWER);
    format = 0;
    memcpy(saved.bytes + 4, &format, 4);
    seal(&saved);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORE_DAMAGED);
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
        enum vmbus_server_restored result = restore_server(&saved);
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
    finish_device();
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
        if (restore_server(&forged) == VMBUS_SERVER_RESTORED) {
            restored++;
            guest_close(RELID);
            guest_teardown(RELID, RELID);
            guest_release(RELID);
            guest_unload();
        }
        vmbus_server_reset(loopback_server);
        device_leave(&device);
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
        enum vmbus_server_restored result = restore_server(&saved);
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
        enum vmbus_server_restored result = restore_server(&saved);
        if (result != VMBUS_SERVER_RESTORE_DAMAGED) {
            fail_msg("tail %zu: %s", i, vmbus_server_restored_name(result));
        }
        put32(&saved, tail[i].at, right);
    }
    expect_untouched();
    seal(&saved);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    check_server(loopback_server, 0);
    free(saved.bytes);
    finish_device();
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
    assert_int_equal(restore_server(&first), VMBUS_SERVER_RESTORED);
    struct saved second = save_server();
    /* One message is in the slot now, and another took its place in the queue. */
    assert_true(second.size <= first.size);
    end_server(&device, 1);
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    loopback.slot_stuck = true;
    assert_int_equal(restore_server(&second), VMBUS_SERVER_RESTORED);
    struct saved third = save_server();
    assert_int_equal(third.size, second.size);
    assert_memory_equal(third.bytes, second.bytes, second.size);
    free(first.bytes);
    free(second.bytes);
    free(third.bytes);
    loopback.slot_stuck = false;
    finish_device();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
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
