/* SPDX-License-Identifier: MIT */
/* UEFI's memory map, as it comes and as it should not. */
#include <stdlib.h>
#include <string.h>

#include "boot/uefi.h"
#include "test_arch.h"

/* The layout once more, written down from the specification; firmware's are often longer. */
struct descriptor {
    uint32_t type, padding;
    uint64_t start, virtual_start, pages, attribute;
    uint64_t of_a_later_version;
};

#define WRITE_BACK UINT64_C(0xf)
#define RUNTIME    (UINT64_C(1) << 63)

static struct boot_info info;
static struct descriptor map[8];
static unsigned used;

static void power_off(void)
{
}

static int setup(void **state)
{
    memset(&info, 0, sizeof(info));
    memset(map, 0, sizeof(map));
    used = 0;
    info.firmware.power_off = power_off;
    return test_arch_setup(state);
}

static void add(uint32_t type, uint64_t start, uint64_t pages, uint64_t attribute)
{
    map[used++] =
        (struct descriptor){.type = type, .start = start, .pages = pages, .attribute = attribute};
}

static void take(void)
{
    assert_true(uefi_take_memory_map(&info, map, used * sizeof(map[0]), sizeof(map[0])));
}

static void types_that_are_free_after_boot_services_are_usable(void **state)
{
    (void)state;
    for (uint32_t type = 0; type < 24; type++) {
        memset(&info, 0, sizeof(info));
        used = 0;
        add(type, 0x100000, 0x100, WRITE_BACK);
        take();
        /* Loader and boot services, code and data, and conventional memory. */
        bool usable = (type >= 1 && type <= 4) || type == 7;
        assert_int_equal(memory_map_total(&info.memory), usable ? 0x100000 : 0);
    }
}

static void neighbours_become_one_range(void **state)
{
    (void)state;
    add(7, 0x100000, 0x100, WRITE_BACK);
    add(4, 0x200000, 0x100, WRITE_BACK);
    add(3, 0x300000, 0x100, WRITE_BACK);
    add(9, 0x400000, 0x10, WRITE_BACK);
    add(7, 0x410000, 0x10, WRITE_BACK);
    take();
    assert_int_equal(info.memory.count, 2);
    assert_int_equal(info.memory.ranges[0].end, 0x400000);
    assert_int_equal(info.memory.ranges[1].base, 0x410000);
}

static void memory_for_something_special_is_left_alone(void **state)
{
    (void)state;
    add(7, 0x100000, 0x100, WRITE_BACK | 0x40000);
    add(7, 0x200000, 0x100, 0x1); /* cannot be cached */
    add(7, 0x300000, 0x100, WRITE_BACK | RUNTIME);
    take();
    assert_int_equal(info.memory.count, 0);
}

static void what_somebody_keeps_wins_where_descriptors_overlap(void **state)
{
    (void)state;
    add(0, 0x180000, 1, WRITE_BACK); /* comes first, and still counts */
    add(7, 0x100000, 0x100, WRITE_BACK);
    take();
    assert_int_equal(memory_map_total(&info.memory), 0xff000);
}

static void runtime_memory_is_remembered(void **state)
{
    (void)state;
    add(5, 0x100000, 0x10, WRITE_BACK | RUNTIME);
    add(6, 0x110000, 0x20, WRITE_BACK | RUNTIME);
    add(11, 0xffe00000, 0x200, 0x1 | RUNTIME);
    add(6, 0x300000, 1, WRITE_BACK); /* of that type, but nobody needs it mapped */
    take();
    assert_int_equal(info.firmware.count, 3);
    assert_int_equal(info.firmware.ranges[1].base, 0x110000);
    assert_int_equal(info.firmware.ranges[1].end, 0x130000);
    assert_int_equal(info.firmware.ranges[2].end, 0x100000000);
    assert_ptr_equal(info.firmware.power_off, power_off);
    assert_int_equal(info.memory.count, 0);
}

static void more_runtime_memory_than_fits_costs_the_runtime_services(void **state)
{
    (void)state;
    static struct descriptor many[BOOT_FIRMWARE_RANGES + 1];

    for (unsigned i = 0; i <= BOOT_FIRMWARE_RANGES; i++) {
        many[i] = (struct descriptor){
            .type = 6, .start = 0x100000 + i * 0x2000, .pages = 1, .attribute = RUNTIME};
    }
    assert_true(uefi_take_memory_map(&info, many, sizeof(many) - sizeof(many[0]), sizeof(many[0])));
    assert_int_equal(info.firmware.count, BOOT_FIRMWARE_RANGES);
    assert_ptr_equal(info.firmware.power_off, power_off);
    info.firmware.count = 0;
    assert_true(uefi_take_memory_map(&info, many, sizeof(many), sizeof(many[0])));
    assert_null(info.firmware.power_off);
}

static void numbers_that_make_no_sense_are_cut(void **state)
{
    (void)state;
    add(7, 0x100000, UINT64_MAX, WRITE_BACK);
    take();
    assert_int_equal(info.memory.count, 1);
    assert_int_equal(info.memory.ranges[0].base, 0x100000);
    assert_int_equal(info.memory.ranges[0].end, MEMORY_MAP_LIMIT);
    used = 0;
    memset(&info.memory, 0, sizeof(info.memory));
    add(7, 0xfffffffffffff000, 0x10, WRITE_BACK);
    add(7, 0x100000, 0, WRITE_BACK);
    take();
    assert_int_equal(info.memory.count, 0);
}

static void runtime_memory_out_of_reach_costs_the_runtime_services(void **state)
{
    (void)state;
    add(6, 0xfffffffffffff000, 0x10, RUNTIME);
    take();
    assert_int_equal(info.firmware.count, 0);
    assert_null(info.firmware.power_off);
}

static void a_map_in_many_pieces_keeps_the_largest(void **state)
{
    (void)state;
    const unsigned count = 3000;
    struct descriptor *many = calloc(count, sizeof(*many));

    assert_non_null(many);
    for (unsigned i = 0; i < count; i++) {
        many[i] = (struct descriptor){.type = i % 2 == 0 ? 7 : 6,
                                      .start = 0x100000 + i * UINT64_C(0x10000),
                                      .pages = 0x10,
                                      .attribute = WRITE_BACK};
    }
    many[1500].type = 7;
    many[1501].type = 7;
    assert_true(uefi_take_memory_map(&info, many, count * sizeof(*many), sizeof(*many)));
    assert_int_equal(info.memory.count, MEMORY_MAP_RANGES);
    assert_int_equal(memory_map_total(&info.memory) + info.memory.left_out,
                     (count / 2 + 1) * 0x10000);
    uint64_t largest = 0;
    for (uint32_t i = 0; i < info.memory.count; i++) {
        uint64_t size = info.memory.ranges[i].end - info.memory.ranges[i].base;
        largest = size > largest ? size : largest;
    }
    assert_int_equal(largest, 3 * 0x10000);
    free(many);
}

static void a_descriptor_that_is_cut_off_is_not_read(void **state)
{
    (void)state;
    struct descriptor *exact = malloc(sizeof(*exact) + 20);

    assert_non_null(exact);
    memset(exact, 0, sizeof(*exact) + 20);
    *exact = (struct descriptor){.type = 7, .start = 0x100000, .pages = 1, .attribute = 0xf};
    assert_true(uefi_take_memory_map(&info, exact, sizeof(*exact) + 20, sizeof(*exact)));
    assert_int_equal(memory_map_total(&info.memory), 0x1000);
    free(exact);
}

static void descriptors_smaller_than_the_structure_are_refused(void **state)
{
    (void)state;
    add(7, 0x100000, 0x100, WRITE_BACK);
    assert_false(uefi_take_memory_map(&info, map, sizeof(map[0]), 0));
    assert_false(uefi_take_memory_map(&info, map, sizeof(map[0]), 39));
    assert_int_equal(info.memory.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(types_that_are_free_after_boot_services_are_usable, setup),
        cmocka_unit_test_setup(neighbours_become_one_range, setup),
        cmocka_unit_test_setup(memory_for_something_special_is_left_alone, setup),
        cmocka_unit_test_setup(what_somebody_keeps_wins_where_descriptors_overlap, setup),
        cmocka_unit_test_setup(runtime_memory_is_remembered, setup),
        cmocka_unit_test_setup(more_runtime_memory_than_fits_costs_the_runtime_services, setup),
        cmocka_unit_test_setup(numbers_that_make_no_sense_are_cut, setup),
        cmocka_unit_test_setup(runtime_memory_out_of_reach_costs_the_runtime_services, setup),
        cmocka_unit_test_setup(a_map_in_many_pieces_keeps_the_largest, setup),
        cmocka_unit_test_setup(a_descriptor_that_is_cut_off_is_not_read, setup),
        cmocka_unit_test_setup(descriptors_smaller_than_the_structure_are_refused, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
