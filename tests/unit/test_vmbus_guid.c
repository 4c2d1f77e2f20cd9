/* SPDX-License-Identifier: MIT */
#include "vmbus_test.h"

#include <string.h>

static const struct vmbus_guid scsi = {
    0xba6163d9, 0x04a1, 0x4d29, {0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f}};

static void the_first_three_groups_are_little_endian_on_the_wire(void **state)
{
    static const uint8_t wire[16] = {0xd9, 0x63, 0x61, 0xba, 0xa1, 0x04, 0x29, 0x4d,
                                     0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f};

    (void)state;
    assert_memory_equal(&scsi, wire, 16);
}

static void a_guid_is_written_in_groups(void **state)
{
    char text[VMBUS_GUID_TEXT_SIZE];

    (void)state;
    vmbus_guid_format(&scsi, text);
    assert_string_equal(text, "ba6163d9-04a1-4d29-b605-72e2ffb1dc7f");
}

static void any_difference_makes_guids_differ(void **state)
{
    (void)state;
    assert_true(vmbus_guid_equal(&scsi, &scsi));
    for (unsigned bit = 0; bit < 128; bit++) {
        struct vmbus_guid other = scsi;
        ((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(vmbus_guid_equal(&scsi, &other));
    }
}

static void classes_have_names(void **state)
{
    static const struct {
        const char *name;
        struct vmbus_guid guid;
    } known[] = {
        {"network", {0xf8615163, 0xdf3e, 0x46c5, {0x91, 0x3f, 0xf2, 0xd2, 0xf9, 0x65, 0xed, 0x0e}}},
        {"scsi", {0xba6163d9, 0x04a1, 0x4d29, {0xb6, 0x05, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f}}},
        {"dynamic memory",
         {0x525074dc, 0x8985, 0x46e2, {0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02}}},
        {"heartbeat",
         {0x57164f39, 0x9115, 0x4e78, {0xab, 0x55, 0x38, 0x2f, 0x3b, 0xd5, 0x42, 0x2d}}},
    };
    struct vmbus_guid nearly = scsi;

    (void)state;
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        assert_string_equal(vmbus_class_name(&known[i].guid), known[i].name);
    }
    nearly.data4[7]++;
    assert_string_equal(vmbus_class_name(&nearly), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_three_groups_are_little_endian_on_the_wire),
        cmocka_unit_test(a_guid_is_written_in_groups),
        cmocka_unit_test(any_difference_makes_guids_differ),
        cmocka_unit_test(classes_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
