/* SPDX-License-Identifier: MIT */
/* The map of the start, walked as the processor does (Arm ARM, "VMSAv8-64 translation"). */
#include <string.h>

#include "arch/aarch64/boot_map.h"
#include "arch/aarch64/mmu.h"
#include "kernel/memory_map.h"
#include "test_arch.h"

#define ENTRIES    512u
#define TABLES     (BOOT_MAP_TABLES_SIZE / 4096)
#define NOT_MAPPED UINT64_MAX

/* What the linker script has elsewhere. The image begins in one block and ends in the next. */
uint64_t boot_tables[TABLES][ENTRIES] __attribute__((aligned(4096)));
static char blocks[2 * BOOT_MAP_BLOCK] __attribute__((aligned(BOOT_MAP_BLOCK), used));
__asm__(".globl image_start\n.set image_start, blocks + 0x1000\n"
        ".globl image_end\n.set image_end, blocks + 0x201000\n");
#define IMAGE ((uintptr_t)blocks)

/* The entry that maps an address. */
static uint64_t walk(uint64_t address)
{
    const uint64_t *table = boot_tables[0];

    for (unsigned shift = 39; shift >= 21; shift -= 9) {
        uint64_t entry = table[address >> shift & (ENTRIES - 1)];
        if ((entry & 1) == 0) {
            return NOT_MAPPED;
        }
        if (shift == 21) {
            return (entry & 2) == 0 ? entry : NOT_MAPPED; /* no table below */
        }
        assert_int_equal(entry & 3, 3);
        table = (const uint64_t *)(uintptr_t)(entry & UINT64_C(0xfffffffff000));
    }
    return NOT_MAPPED;
}

static void assert_memory(uint64_t address)
{
    uint64_t entry = walk(address);

    assert_int_not_equal(entry, NOT_MAPPED);
    assert_int_equal(entry & UINT64_C(0xffffffe00000), address & ~UINT64_C(0x1fffff));
    assert_int_equal(entry & 0xffc, 0x700); /* accessed, inner shareable, attribute 0, writable */
    assert_int_equal(entry >> 53, 0);       /* executable: the image is among it */
}

static int setup(void **state)
{
    memset(boot_tables, 0xa5, sizeof(boot_tables));
    assert_int_equal(boot_map_build(), (uintptr_t)boot_tables);
    return test_arch_setup(state);
}

static void the_image_is_mapped_and_nothing_beside_it(void **state)
{
    (void)state;
    assert_memory(IMAGE);
    assert_memory(IMAGE + 0x200fff);
    assert_int_equal(walk(IMAGE - 1), NOT_MAPPED);
    assert_int_equal(walk(IMAGE + 2 * BOOT_MAP_BLOCK), NOT_MAPPED);
    assert_int_equal(walk(0), NOT_MAPPED);
}

static void memory_is_mapped_in_whole_blocks(void **state)
{
    (void)state;
    assert_true(boot_map_memory(0x47fffff0, 0x20));
    assert_memory(0x47e00000);
    assert_memory(0x48000000);
    assert_int_equal(walk(0x48200000), NOT_MAPPED);
    assert_true(boot_map_memory(IMAGE + 8, 8)); /* what is mapped already */
    assert_memory(IMAGE);
}

static void device_registers_are_neither_cached_nor_executed(void **state)
{
    (void)state;
    assert_true(boot_map_device(0xeffec000));
    uint64_t entry = walk(0xeffec000);
    assert_int_equal(entry & UINT64_C(0xffffffe00000), 0xefe00000);
    assert_int_equal(entry & 0xfc, 0x4); /* attribute 1 */
    assert_int_equal(entry >> 53 & 3, 3);
}

static void addresses_out_of_reach_are_refused(void **state)
{
    (void)state;
    assert_false(boot_map_memory(MEMORY_MAP_LIMIT, 1));
    assert_false(boot_map_memory(0x1000, UINT64_MAX));
    assert_false(boot_map_memory(UINT64_MAX - 4, 8));
    assert_false(boot_map_device(MEMORY_MAP_LIMIT));
    assert_true(boot_map_memory(MEMORY_MAP_LIMIT - 8, 8));
    assert_memory(MEMORY_MAP_LIMIT - 8);
}

/* Each in a gigabyte of its own. */
static void a_map_without_tables_left_keeps_what_it_has(void **state)
{
    (void)state;
    unsigned mapped = 0;

    for (uint64_t gigabyte = 2; gigabyte < 20; gigabyte++) {
        mapped += boot_map_memory(gigabyte << 30, 8);
    }
    assert_int_equal(mapped, TABLES - 3); /* but for the first, and two of the image */
    for (uint64_t gigabyte = 2; gigabyte < 2 + mapped; gigabyte++) {
        assert_memory(gigabyte << 30);
    }
    assert_int_equal(walk(UINT64_C(19) << 30), NOT_MAPPED);
    assert_memory(IMAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_image_is_mapped_and_nothing_beside_it, setup),
        cmocka_unit_test_setup(memory_is_mapped_in_whole_blocks, setup),
        cmocka_unit_test_setup(device_registers_are_neither_cached_nor_executed, setup),
        cmocka_unit_test_setup(addresses_out_of_reach_are_refused, setup),
        cmocka_unit_test_setup(a_map_without_tables_left_keeps_what_it_has, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
