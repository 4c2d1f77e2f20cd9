/* SPDX-License-Identifier: MIT */
/* The order of a start, as far as a machine goes that has too little memory. */
#include <string.h>

#include "arch/start.h"
#include "kernel/boot_info.h"
#include "kernel/exit.h"
#include "kernel/init.h"
#include "kernel/start.h"
#include "test_arch.h"

static char order[8];

static void note(char letter)
{
    order[strlen(order)] = letter;
}

/* The table that a linker script makes of entries; in assembly, so that the symbol of its end
 * stands where it ends. */
void start_of_hypervisor(void);
void start_before_memory(void);
_Static_assert(INIT_BEFORE_MEMORY == 0 && INIT_HYPERVISOR == 1, "the numbers below");
_Static_assert(sizeof(struct init_entry) == 16, "the layout below");
__asm__(".section .data.rel.ro.entries, \"aw\"\n"
        "\t.balign 16\n"
        "\t.globl init_entries_start, init_entries_end\n"
        "init_entries_start:\n"
        "\t.long 1, 0\n"
        "\t.quad start_of_hypervisor\n"
        "\t.long 0, 0\n"
        "\t.quad start_before_memory\n"
        "init_entries_end:\n"
        "\t.text\n");

__attribute__((used)) void start_of_hypervisor(void)
{
    note('h');
}

__attribute__((used)) void start_before_memory(void)
{
    note('b');
}

void arch_initialise_processor(void)
{
    note('p');
}

bool arch_initialise_memory(struct memory_map *map)
{
    (void)map;
    note('m');
    return false;
}

/* ---- not reached ---- */

void pages_initialise(const struct memory_map *map)
{
    (void)map;
    fail_msg("pages");
}

void arch_initialise_power(const struct boot_info *info)
{
    (void)info;
    fail_msg("power");
}

void arch_initialise_interrupts(void)
{
    fail_msg("interrupts");
}

void arch_register_clocks(void)
{
    fail_msg("clocks");
}

static struct boot_info info;

static int setup(void **state)
{
    memset(order, 0, sizeof(order));
    info = (struct boot_info){.protocol = "the test"};
    return test_arch_setup(state);
}

static void what_lies_over_memory_is_taken_off_before_any_is_used(void **state)
{
    (void)state;
    memory_map_add(&info.memory, UINT64_C(1) << 20, UINT64_C(16) << 20);
    expect_exit(kernel_start(&info), EXIT_STATUS_TOO_LITTLE_MEMORY);
    assert_string_equal(order, "pbm");
}

static void too_little_memory_is_said(void **state)
{
    (void)state;
    memory_map_add(&info.memory, UINT64_C(1) << 20, UINT64_C(3) << 20);
    expect_exit(kernel_start(&info), EXIT_STATUS_TOO_LITTLE_MEMORY);
    assert_string_equal(order, "pb");
    assert_non_null(strstr(test_console(), "too little memory: 3072 KiB usable, 4096 KiB needed"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_lies_over_memory_is_taken_off_before_any_is_used, setup),
        cmocka_unit_test_setup(too_little_memory_is_said, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
