/* SPDX-License-Identifier: MIT */
/* Linux' zero page, as it comes and as it should not. */
#include <string.h>

#include "boot/x86_64/direct.h"
#include "test_arch.h"

static struct boot_info info;
static unsigned char page[4096];

static void put(unsigned offset, uint64_t value, unsigned size)
{
    memcpy(page + offset, &value, size); /* both ends are little-endian */
}

static void put_entry(unsigned index, uint64_t base, uint64_t size, uint32_t type)
{
    put(0x2d0 + index * 20, base, 8);
    put(0x2d8 + index * 20, size, 8);
    put(0x2e0 + index * 20, type, 4);
}

static void put_command_line(const char *text)
{
    put(0x228, (uint32_t)(uintptr_t)text, 4);
    put(0x0c8, (uintptr_t)text >> 32, 4);
}

static int setup(void **state)
{
    memset(&info, 0, sizeof(info));
    memset(page, 0, sizeof(page));
    put(0x070, 0xe0000, 8);
    put_command_line("exit=0xf4 quiet");
    put(0x1e8, 3, 1);
    put_entry(0, 0x100000, 0x3ff00000, 1);
    put_entry(1, 0, 0x9fc00, 1);
    put_entry(2, 0x9fc00, 0x60400, 2);
    return test_arch_setup(state);
}

static void collect(void)
{
    boot_collect_linux(&info, (uintptr_t)page);
}

static void map_command_line_and_tables_arrive(void **state)
{
    (void)state;
    collect();
    assert_string_equal(info.protocol, "Linux 64-bit");
    assert_string_equal(info.command_line, "exit=0xf4 quiet");
    assert_int_equal(info.acpi_rsdp, 0xe0000);
    assert_int_equal(info.memory.count, 2);
    assert_int_equal(info.memory.ranges[0].base, 0x1000);
    assert_int_equal(info.memory.ranges[0].end, 0x9f000);
    assert_int_equal(info.memory.ranges[1].base, 0x100000);
    assert_int_equal(info.memory.ranges[1].end, 0x40000000);
}

static void the_monitor_may_bound_the_command_line(void **state)
{
    (void)state;
    put(0x238, 4, 4);
    collect();
    assert_string_equal(info.command_line, "exit");
}

static void no_zero_page_and_no_map_give_no_memory(void **state)
{
    (void)state;
    boot_collect_linux(&info, 0);
    assert_int_equal(info.memory.count, 0);
    put(0x1e8, 0, 1);
    collect();
    assert_int_equal(info.memory.count, 0);
    assert_string_equal(info.command_line, "exit=0xf4 quiet");
}

static void a_missing_command_line_is_empty(void **state)
{
    (void)state;
    put_command_line(NULL);
    collect();
    assert_string_equal(info.command_line, "");
}

static void reserved_memory_wins_over_usable(void **state)
{
    (void)state;
    put_entry(0, 0x200000, 0x1000, 2);
    put_entry(1, 0x100000, 0x7f00000, 1);
    put_entry(2, 0x7ffff000, UINT64_MAX, 2);
    collect();
    assert_int_equal(info.memory.count, 2);
    assert_int_equal(memory_map_total(&info.memory), 0x7f00000 - 0x1000);
}

static void a_count_beyond_the_table_is_bounded(void **state)
{
    (void)state;
    put(0x1e8, 255, 1);
    for (unsigned i = 0; i < 128; i++) {
        put_entry(i, 0x100000 + i * 0x2000, 0x1000, 1);
    }
    collect();
    assert_int_equal(info.memory.count, 128);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(map_command_line_and_tables_arrive, setup),
        cmocka_unit_test_setup(the_monitor_may_bound_the_command_line, setup),
        cmocka_unit_test_setup(no_zero_page_and_no_map_give_no_memory, setup),
        cmocka_unit_test_setup(a_missing_command_line_is_empty, setup),
        cmocka_unit_test_setup(reserved_memory_wins_over_usable, setup),
        cmocka_unit_test_setup(a_count_beyond_the_table_is_bounded, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
