/* SPDX-License-Identifier: MIT */
/* The table of channel messages against what is known of the protocol from elsewhere. */
#include "vmbus_test.h"

#include <string.h>

#include "vmbus/messages.h"

/* Written down a second time, by number: name, sender, smallest, largest, first version, feature.
 */
static const struct {
    const char *name;
    char sender; /* 'h' or 'g' */
    uint32_t smallest;
    uint32_t largest;
    uint32_t version;
    uint32_t feature;
} expected[30] = {
    [1] = {"OFFER_CHANNEL", 'h', 196, 196, 0x0000000D, 0},
    [2] = {"RESCIND_CHANNEL_OFFER", 'h', 12, 12, 0x0000000D, 0},
    [3] = {"REQUEST_OFFERS", 'g', 8, 8, 0x0000000D, 0},
    [4] = {"ALL_OFFERS_DELIVERED", 'h', 8, 8, 0x0000000D, 0},
    [5] = {"OPEN_CHANNEL", 'g', 148, 156, 0x0000000D, 0},
    [6] = {"OPEN_CHANNEL_RESULT", 'h', 20, 20, 0x0000000D, 0},
    [7] = {"CLOSE_CHANNEL", 'g', 12, 12, 0x0000000D, 0},
    [8] = {"GPADL_HEADER", 'g', 36, 240, 0x0000000D, 0},
    [9] = {"GPADL_BODY", 'g', 24, 240, 0x0000000D, 0},
    [10] = {"GPADL_CREATED", 'h', 20, 20, 0x0000000D, 0},
    [11] = {"GPADL_TEARDOWN", 'g', 16, 16, 0x0000000D, 0},
    [12] = {"GPADL_TORNDOWN", 'h', 12, 12, 0x0000000D, 0},
    [13] = {"RELID_RELEASED", 'g', 12, 12, 0x0000000D, 0},
    [14] = {"INITIATE_CONTACT", 'g', 40, 56, 0, 0},
    [15] = {"VERSION_RESPONSE", 'h', 16, 40, 0, 0},
    [16] = {"UNLOAD", 'g', 8, 8, 0x0000000D, 0},
    [17] = {"UNLOAD_COMPLETE", 'h', 8, 8, 0x00010001, 0},
    [18] = {"OPEN_RESERVED_CHANNEL", 'g', 28, 28, 0x00040000, 0},
    [19] = {"CLOSE_RESERVED_CHANNEL", 'g', 20, 20, 0, 0},
    [20] = {"CLOSE_RESERVED_RESPONSE", 'h', 12, 12, 0x00040000, 0},
    [21] = {"TL_CONNECT_REQUEST", 'g', 40, 56, 0x00040000, 0},
    [22] = {"MODIFY_CHANNEL", 'g', 16, 16, 0x00040001, 0},
    [23] = {"TL_CONNECT_RESULT", 'h', 44, 44, 0x00040001, 0},
    [24] = {"MODIFY_CHANNEL_RESPONSE", 'h', 16, 16, 0x00050003, 0},
    [25] = {"MODIFY_CONNECTION", 'g', 24, 24, 0x00060000, 0x4},
    [26] = {"MODIFY_CONNECTION_RESPONSE", 'h', 9, 9, 0x00060000, 0x4},
    [27] = {"PAUSE", 'g', 8, 8, 0x00060000, 0x20},
    [28] = {"PAUSE_RESPONSE", 'h', 8, 8, 0x00060000, 0x20},
    [29] = {"RESUME", 'g', 8, 8, 0x00060000, 0x20},
};

#define NEWEST 0x00060000u
#define ALL    0xFFu

static enum vmbus_message_verdict judge(uint32_t type, uint32_t size, uint32_t version,
                                        uint32_t features)
{
    uint8_t message[240] = {(uint8_t)type};

    return vmbus_message_judge(message, size, version, features);
}

static void every_number_has_one_entry(void **state)
{
    (void)state;
    assert_int_equal(VMBUS_MESSAGE_TYPE_END, 30);
    for (uint32_t type = 1; type < 30; type++) {
        assert_string_equal(vmbus_message_name(type), expected[type].name);
    }
}

static void numbers_outside_the_table_are_unknown(void **state)
{
    static const uint32_t types[] = {0, 30, 31, 255, 0x10001, 0x80000000, UINT32_MAX};
    uint8_t message[240] = {0};

    (void)state;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        memcpy(message, &types[i], 4);
        assert_int_equal(vmbus_message_judge(message, 240, NEWEST, ALL), VMBUS_MESSAGE_UNKNOWN);
        assert_string_equal(vmbus_message_name(types[i]), "unknown");
        assert_false(vmbus_message_may_send(types[i], 8, NEWEST, ALL));
    }
}

static void a_host_message_is_good_from_its_smallest_size_on(void **state)
{
    (void)state;
    for (uint32_t type = 1; type < 30; type++) {
        for (uint32_t size = 8; size <= 240; size++) {
            enum vmbus_message_verdict verdict = judge(type, size, NEWEST, ALL);
            if (expected[type].sender == 'g') {
                assert_int_equal(verdict, VMBUS_MESSAGE_UNEXPECTED);
            } else {
                assert_int_equal(verdict, size >= expected[type].smallest
                                              ? VMBUS_MESSAGE_GOOD
                                              : VMBUS_MESSAGE_MALFORMED);
            }
        }
    }
}

static void a_message_without_a_whole_header_is_malformed(void **state)
{
    (void)state;
    for (uint32_t size = 0; size < 8; size++) {
        /* Memory of exactly that size: the sanitizer sees a read beyond. */
        uint8_t *message = test_malloc(size + 1);
        assert_int_equal(vmbus_message_judge(message + 1, size, NEWEST, ALL),
                         VMBUS_MESSAGE_MALFORMED);
        test_free(message);
    }
}

static void a_message_exists_from_its_version_on(void **state)
{
    static const uint32_t versions[] = {0x0000000D, 0x00010001, 0x00020004, 0x00030000,
                                        0x00040000, 0x00040001, 0x00050000, 0x00050001,
                                        0x00050002, 0x00050003, 0x00060000};

    (void)state;
    for (uint32_t type = 1; type < 30; type++) {
        for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
            bool exists = versions[i] >= expected[type].version;
            assert_int_equal(judge(type, 240, versions[i], ALL) != VMBUS_MESSAGE_UNKNOWN, exists);
            assert_int_equal(
                vmbus_message_may_send(type, expected[type].smallest, versions[i], ALL),
                exists && expected[type].sender == 'g');
        }
    }
}

static void a_message_needs_its_feature(void **state)
{
    (void)state;
    for (uint32_t type = 1; type < 30; type++) {
        uint32_t without = ALL & ~expected[type].feature;
        assert_int_equal(judge(type, 240, NEWEST, without) == VMBUS_MESSAGE_UNKNOWN,
                         expected[type].feature != 0);
    }
}

static void a_guest_sends_exact_sizes(void **state)
{
    (void)state;
    for (uint32_t type = 1; type < 30; type++) {
        for (uint32_t size = 0; size <= 256; size++) {
            assert_int_equal(vmbus_message_may_send(type, size, NEWEST, ALL),
                             expected[type].sender == 'g' && size >= expected[type].smallest &&
                                 size <= expected[type].largest);
        }
    }
}

static void only_host_messages_have_handlers(void **state)
{
    static const uint32_t handled[] = {1, 2, 4, 6, 10, 12, 15, 17};
    uint32_t bits = 0;

    (void)state;
    for (size_t i = 0; i < sizeof(handled) / sizeof(handled[0]); i++) {
        bits |= 1u << handled[i];
    }
    for (uint32_t type = 1; type < 30; type++) {
        assert_int_equal(vmbus_message_handler_of(type) != NULL, bits >> type & 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_number_has_one_entry),
        cmocka_unit_test(numbers_outside_the_table_are_unknown),
        cmocka_unit_test(a_host_message_is_good_from_its_smallest_size_on),
        cmocka_unit_test(a_message_without_a_whole_header_is_malformed),
        cmocka_unit_test(a_message_exists_from_its_version_on),
        cmocka_unit_test(a_message_needs_its_feature),
        cmocka_unit_test(a_guest_sends_exact_sizes),
        cmocka_unit_test(only_host_messages_have_handlers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
