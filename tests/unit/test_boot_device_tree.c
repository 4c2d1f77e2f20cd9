/* SPDX-License-Identifier: MIT */
/* A device tree as QEMU makes it, and as nobody should: what boot/aarch64 takes out of it. */
#include <stdlib.h>
#include <string.h>

#include "boot/aarch64/machine.h"
#include "test_arch.h"
#include "tests/unit/boot/tree_builder.h"

static struct tree_builder builder;
static struct boot_info info;
static struct platform machine;

/* In memory of its own, of just that size: what is read beyond it shows. */
static bool read_tree(const uint8_t *blob, uint32_t size)
{
    struct device_tree tree;
    uint8_t *exact = malloc(size == 0 ? 1 : size);

    if (size > 0) {
        memcpy(exact, blob, size);
    }
    memset(&info, 0, sizeof(info));
    memset(&machine, 0, sizeof(machine));
    bool opened = device_tree_open(&tree, exact, size);
    if (opened) {
        machine_from_device_tree(&tree, &info, &machine);
    }
    free(exact);
    return opened;
}

static bool finish_and_read(void)
{
    tree_finish(&builder);
    return read_tree(builder.blob, builder.size);
}

static void begin_root(void)
{
    tree_start(&builder);
    tree_begin(&builder, "");
    tree_cells(&builder, "#address-cells", 1, 2);
    tree_cells(&builder, "#size-cells", 1, 2);
}

static void add_memory(uint32_t base, uint32_t size)
{
    tree_begin(&builder, "memory@40000000");
    tree_string(&builder, "device_type", "memory");
    tree_cells(&builder, "reg", 4, 0, base, 0, size);
    tree_end(&builder);
}

static void add_machine(void)
{
    tree_begin(&builder, "chosen");
    tree_string(&builder, "bootargs", "exit=semihosting run=3");
    tree_end(&builder);
    add_memory(0x40000000, 0x8000000);
    tree_begin(&builder, "timer");
    tree_cells(&builder, "interrupts", 12, 1, 13, 4, 1, 14, 4, 1, 11, 4, 1, 10, 4);
    tree_string(&builder, "compatible", "arm,armv8-timer");
    tree_end(&builder);
    tree_begin(&builder, "psci");
    tree_bytes(&builder, "compatible", "arm,psci-1.0\0arm,psci-0.2\0arm,psci", 35);
    tree_string(&builder, "method", "smc");
    tree_end(&builder);
    tree_begin(&builder, "intc@8000000");
    tree_cells(&builder, "reg", 8, 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000);
    tree_string(&builder, "compatible", "arm,gic-v3");
    tree_cells(&builder, "#interrupt-cells", 1, 3);
    tree_end(&builder);
    tree_begin(&builder, "pl011@9000000");
    tree_bytes(&builder, "compatible", "arm,pl011\0arm,primecell", 24);
    tree_cells(&builder, "reg", 4, 0, 0x9000000, 0, 0x1000);
    tree_end(&builder);
    tree_begin(&builder, "bus");
    tree_bytes(&builder, "ranges", "", 0);
    tree_begin(&builder, "vmbus");
    tree_string(&builder, "compatible", "microsoft,vmbus");
    tree_cells(&builder, "interrupts", 3, 1, 3, 1);
    tree_end(&builder);
    tree_end(&builder);
}

static void a_machine_is_described(void **state)
{
    (void)state;
    begin_root();
    add_machine();
    tree_end(&builder);
    assert_true(finish_and_read());
    assert_string_equal(info.command_line, "exit=semihosting run=3");
    assert_int_equal(info.memory.count, 1);
    assert_int_equal(info.memory.ranges[0].base, 0x40000000);
    assert_int_equal(info.memory.ranges[0].end, 0x48000000);
    assert_int_equal(machine.conduit, PLATFORM_CONDUIT_SMC);
    assert_int_equal(machine.distributor, 0x8000000);
    assert_int_equal(machine.redistributors, 0x80a0000);
    assert_int_equal(machine.redistributors_size, 0xf60000);
    assert_int_equal(machine.console, 0x9000000);
    assert_int_equal(machine.timer_interrupt, 27);
    assert_int_equal(machine.vmbus_interrupt, 19);
    assert_false(machine.names_hyperv);
}

static void reserved_memory_is_not_used(void **state)
{
    (void)state;
    begin_root();
    add_memory(0x40000000, 0x8000000);
    tree_begin(&builder, "reserved-memory");
    tree_cells(&builder, "#address-cells", 1, 2);
    tree_cells(&builder, "#size-cells", 1, 1);
    tree_bytes(&builder, "ranges", "", 0);
    tree_begin(&builder, "secret@41000800");
    tree_cells(&builder, "reg", 3, 0, 0x41000800, 0x800);
    tree_end(&builder);
    tree_end(&builder);
    tree_end(&builder);
    tree_reserve(&builder, 0x47fff000, 0x1000);
    assert_true(finish_and_read());
    assert_int_equal(info.memory.count, 2);
    assert_int_equal(info.memory.ranges[0].end, 0x41000000);
    assert_int_equal(info.memory.ranges[1].base, 0x41001000);
    assert_int_equal(info.memory.ranges[1].end, 0x47fff000);
}

static void nodes_that_are_disabled_do_not_count(void **state)
{
    (void)state;
    begin_root();
    tree_begin(&builder, "pl011@9040000");
    tree_string(&builder, "compatible", "arm,pl011");
    tree_cells(&builder, "reg", 4, 0, 0x9040000, 0, 0x1000);
    tree_string(&builder, "status", "disabled");
    tree_end(&builder);
    tree_begin(&builder, "pl011@9000000");
    tree_string(&builder, "compatible", "arm,pl011");
    tree_cells(&builder, "reg", 4, 0, 0x9000000, 0, 0x1000);
    tree_string(&builder, "status", "okay");
    tree_end(&builder);
    tree_end(&builder);
    assert_true(finish_and_read());
    assert_int_equal(machine.console, 0x9000000);
}

static void addresses_behind_a_bus_that_translates_are_not_taken(void **state)
{
    (void)state;
    begin_root();
    tree_begin(&builder, "bus");
    tree_cells(&builder, "#address-cells", 1, 1);
    tree_cells(&builder, "#size-cells", 1, 1);
    tree_cells(&builder, "ranges", 4, 0, 0, 0x10000000, 0x100000);
    tree_begin(&builder, "uart@0");
    tree_string(&builder, "compatible", "arm,pl011");
    tree_cells(&builder, "reg", 2, 0x1000, 0x1000);
    tree_end(&builder);
    tree_end(&builder);
    tree_end(&builder);
    assert_true(finish_and_read());
    assert_int_equal(machine.console, 0);
}

static void interrupts_that_are_not_private_are_not_taken(void **state)
{
    (void)state;
    const struct {
        uint32_t cells, kind, number;
    } wrong[] = {{3, 0, 3}, {3, 1, 16}, {3, 2, 3}, {2, 1, 3}, {0, 1, 3}, {UINT32_MAX, 1, 3}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        begin_root();
        tree_begin(&builder, "intc@8000000");
        tree_string(&builder, "compatible", "arm,gic-v3");
        tree_cells(&builder, "reg", 8, 0, 0x8000000, 0, 0x10000, 0, 0x80a0000, 0, 0xf60000);
        tree_cells(&builder, "#interrupt-cells", 1, wrong[i].cells);
        tree_end(&builder);
        tree_begin(&builder, "vmbus");
        tree_string(&builder, "compatible", "microsoft,vmbus");
        tree_cells(&builder, "interrupts", 3, wrong[i].kind, wrong[i].number, 1);
        tree_end(&builder);
        tree_end(&builder);
        assert_true(finish_and_read());
        assert_int_equal(machine.vmbus_interrupt, 0);
    }
}

static void a_header_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    const struct {
        unsigned word;
        uint32_t value;
    } wrong[] = {{0, 0xfeedd00d}, {1, 0},          {1, 39},        {1, 0xffffffff},
                 {2, 0xffffffff}, {3, 0xfffffff0}, {5, 16},        {6, 18},
                 {8, 0xffffffff}, {9, 0xffffffff}, {9, 0x7fffffff}};

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        begin_root();
        add_machine();
        tree_end(&builder);
        tree_finish(&builder);
        tree_header(&builder, wrong[i].word, wrong[i].value);
        assert_false(read_tree(builder.blob, builder.size));
    }
    assert_false(read_tree(builder.blob, 39));
    assert_false(read_tree(builder.blob, 0));
}

/* The list of reservations may lie anywhere, and have no end. */
static void reservations_outside_of_the_tree_are_not_read(void **state)
{
    (void)state;
    const uint32_t offsets[] = {0xffffffff, 0xfffffff8, TREE_SIZE, 8};

    for (size_t i = 0; i < sizeof(offsets) / sizeof(offsets[0]); i++) {
        begin_root();
        add_machine();
        tree_end(&builder);
        tree_finish(&builder);
        tree_header(&builder, 4, offsets[i]);
        assert_true(read_tree(builder.blob, builder.size));
    }
}

static void a_node_too_many_and_an_end_too_many_do_no_harm(void **state)
{
    (void)state;
    begin_root();
    for (unsigned depth = 0; depth < 40; depth++) {
        tree_begin(&builder, "n");
    }
    tree_string(&builder, "compatible", "arm,pl011");
    for (unsigned depth = 0; depth < 40; depth++) {
        tree_end(&builder);
    }
    add_memory(0x40000000, 0x100000);
    tree_end(&builder);
    tree_end(&builder);
    tree_end(&builder);
    tree_string(&builder, "bootargs", "nobody's");
    assert_true(finish_and_read());
    assert_int_equal(info.memory.count, 1);
    assert_string_equal(info.command_line, "");
}

static void values_of_the_wrong_length_are_not_taken(void **state)
{
    (void)state;
    begin_root();
    tree_begin(&builder, "memory@0");
    tree_string(&builder, "device_type", "memory");
    tree_cells(&builder, "reg", 3, 0, 0x40000000, 0);
    tree_end(&builder);
    tree_begin(&builder, "psci");
    tree_bytes(&builder, "compatible", "arm,psci-1.0", 12); /* without its end */
    tree_string(&builder, "method", "hvc");
    tree_end(&builder);
    tree_begin(&builder, "uart");
    tree_string(&builder, "compatible", "arm,pl011");
    tree_bytes(&builder, "reg", "", 0);
    tree_end(&builder);
    tree_end(&builder);
    assert_true(finish_and_read());
    assert_int_equal(info.memory.count, 0);
    assert_int_equal(machine.conduit, PLATFORM_CONDUIT_NONE);
    assert_int_equal(machine.console, 0);
}

static void a_command_line_without_an_end_is_taken_to_its_length(void **state)
{
    (void)state;
    begin_root();
    tree_begin(&builder, "chosen");
    tree_bytes(&builder, "bootargs", "run=5xyz", 5);
    tree_end(&builder);
    tree_end(&builder);
    assert_true(finish_and_read());
    assert_string_equal(info.command_line, "run=5");
}

/* The sanitizers watch: nothing outside of the blob is read, whatever is cut off or changed. */
static void a_tree_cut_anywhere_is_read_as_far_as_it_goes(void **state)
{
    (void)state;
    begin_root();
    add_machine();
    tree_end(&builder);
    tree_finish(&builder);
    for (uint32_t size = 0; size < builder.size; size++) {
        assert_false(read_tree(builder.blob, size));
        tree_header(&builder, 1, size); /* and a header that goes along */
        (void)read_tree(builder.blob, size);
        tree_header(&builder, 1, builder.size);
    }
}

static void a_tree_changed_anywhere_is_read_without_harm(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x01, 0x02, 0x03, 0x04, 0x09, 0x7f, 0x80, 0xff};

    begin_root();
    add_machine();
    tree_end(&builder);
    tree_reserve(&builder, 0x47fff000, 0x1000);
    tree_finish(&builder);
    for (uint32_t at = 0; at < builder.size; at++) {
        uint8_t kept = builder.blob[at];
        for (size_t i = 0; i < sizeof(values); i++) {
            builder.blob[at] = values[i];
            (void)read_tree(builder.blob, builder.size);
        }
        builder.blob[at] = kept;
    }
}

static void random_trees_are_read_without_harm(void **state)
{
    (void)state;
    srand(11);
    for (unsigned round = 0; round < 20000; round++) {
        begin_root();
        for (unsigned i = 0; i < 60; i++) {
            static const uint32_t words[] = {1, 2, 3, 4, 9, 0, 0xffffffff, 8, 16, 0x61726d2c};
            tree_word(&builder, words[(unsigned)rand() % 10]);
        }
        add_machine();
        tree_finish(&builder);
        builder.blob[(uint32_t)rand() % builder.size] = (uint8_t)rand();
        (void)read_tree(builder.blob, builder.size);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_is_described),
        cmocka_unit_test(reserved_memory_is_not_used),
        cmocka_unit_test(nodes_that_are_disabled_do_not_count),
        cmocka_unit_test(addresses_behind_a_bus_that_translates_are_not_taken),
        cmocka_unit_test(interrupts_that_are_not_private_are_not_taken),
        cmocka_unit_test(a_header_that_makes_no_sense_is_refused),
        cmocka_unit_test(reservations_outside_of_the_tree_are_not_read),
        cmocka_unit_test(a_node_too_many_and_an_end_too_many_do_no_harm),
        cmocka_unit_test(values_of_the_wrong_length_are_not_taken),
        cmocka_unit_test(a_command_line_without_an_end_is_taken_to_its_length),
        cmocka_unit_test(a_tree_cut_anywhere_is_read_as_far_as_it_goes),
        cmocka_unit_test(a_tree_changed_anywhere_is_read_without_harm),
        cmocka_unit_test(random_trees_are_read_without_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
