/* SPDX-License-Identifier: MIT */
/* Xen's direct boot structures, as they come and as they should not. */
#include <string.h>

#include "boot/x86_64/direct.h"
#include "test_arch.h"

/* The layout once more, written down from the specification by its offsets. */
struct start {
    uint32_t magic, version, flags, modules;
    uint64_t module_list, command_line, rsdp, map;
    uint32_t map_entries, reserved;
};
struct entry {
    uint64_t base, size;
    uint32_t type, reserved;
};

static struct boot_info info;
static struct start start;
static struct entry entries[8];

static int setup(void **state)
{
    memset(&info, 0, sizeof(info));
    memset(entries, 0, sizeof(entries));
    start = (struct start){
        .magic = 0x336ec578,
        .version = 1,
        .command_line = (uintptr_t) "exit=0xf4",
        .rsdp = 0xf5a10,
        .map = (uintptr_t)entries,
        .map_entries = 3,
    };
    entries[0] = (struct entry){0x100000, 0x7f00000, 1, 0};
    entries[1] = (struct entry){0, 0x9fc00, 1, 0};
    entries[2] = (struct entry){0xfffc0000, 0x40000, 2, 0};
    return test_arch_setup(state);
}

static void collect(void)
{
    boot_collect_pvh(&info, (uintptr_t)&start);
}

static void map_command_line_and_tables_arrive(void **state)
{
    (void)state;
    collect();
    assert_string_equal(info.protocol, "PVH");
    assert_string_equal(info.command_line, "exit=0xf4");
    assert_int_equal(info.acpi_rsdp, 0xf5a10);
    assert_int_equal(info.memory.count, 2);
    assert_int_equal(info.memory.ranges[0].base, 0x1000);
    assert_int_equal(info.memory.ranges[0].end, 0x9f000);
    assert_int_equal(info.memory.ranges[1].end, 0x8000000);
}

static void reserved_memory_wins_over_usable(void **state)
{
    (void)state;
    entries[0] = (struct entry){0x200000, 0x1000, 2, 0}; /* comes first, and still counts */
    entries[1] = (struct entry){0x100000, 0x7f00000, 1, 0};
    entries[2] = (struct entry){0x7000000, 0x10000, 4, 0};
    collect();
    assert_int_equal(info.memory.count, 3);
    assert_int_equal(memory_map_total(&info.memory), 0x7f00000 - 0x1000 - 0x10000);
}

static void no_structure_or_a_foreign_one_gives_no_memory(void **state)
{
    (void)state;
    boot_collect_pvh(&info, 0);
    assert_int_equal(info.memory.count, 0);
    start.magic = 0x12345678;
    collect();
    assert_int_equal(info.memory.count, 0);
    assert_string_equal(info.command_line, "");
}

static void the_first_version_has_no_map(void **state)
{
    (void)state;
    start.version = 0;
    collect();
    assert_int_equal(info.memory.count, 0);
    assert_string_equal(info.command_line, "exit=0xf4");
}

static void a_map_at_zero_is_no_map(void **state)
{
    (void)state;
    start.map = 0;
    collect();
    assert_int_equal(info.memory.count, 0);
}

static void a_missing_command_line_is_empty(void **state)
{
    (void)state;
    start.command_line = 0;
    collect();
    assert_string_equal(info.command_line, "");
}

static void a_count_that_makes_no_sense_is_bounded(void **state)
{
    (void)state;
    static struct entry many[4096];

    for (unsigned i = 0; i < 4096; i++) {
        many[i] = (struct entry){0x100000 + (4095 - i) * 0x1000, 0x1000, 1, 0};
    }
    start.map = (uintptr_t)many;
    start.map_entries = UINT32_MAX;
    collect();
    assert_int_equal(info.memory.count, 1);
    assert_int_equal(memory_map_total(&info.memory), 4096 * 0x1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(map_command_line_and_tables_arrive, setup),
        cmocka_unit_test_setup(reserved_memory_wins_over_usable, setup),
        cmocka_unit_test_setup(no_structure_or_a_foreign_one_gives_no_memory, setup),
        cmocka_unit_test_setup(the_first_version_has_no_map, setup),
        cmocka_unit_test_setup(a_map_at_zero_is_no_map, setup),
        cmocka_unit_test_setup(a_missing_command_line_is_empty, setup),
        cmocka_unit_test_setup(a_count_that_makes_no_sense_is_bounded, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
