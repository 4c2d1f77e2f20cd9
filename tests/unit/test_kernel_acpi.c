/* SPDX-License-Identifier: MIT */
/* Firmware's tables, as they come and as they should not: how the machine is switched off. */
#include "kernel/acpi.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/acpi_power.h"
#include "test_arch.h"

/* All that is mapped: a table that claims to go on behind it is caught. */
static uint8_t arena[65536] __attribute__((aligned(4096)));
static size_t used;

static uint8_t *rsdp, *xsdt, *fadt, *dsdt;

/* QEMU's, and Hyper-V's: sleep types 0 and 0 in a package of four. */
static const uint8_t s5_zero[] = {0x08, '_', 'S', '5', '_', 0x12, 0x06, 0x04, 0, 0, 0, 0};

/* Without a terminator. */
static void put_text(uint8_t *at, const char *text, size_t length)
{
    for (size_t i = 0; i < length; i++) {
        at[i] = (uint8_t)text[i];
    }
}

static void put32(uint8_t *at, uint32_t value)
{
    memcpy(at, &value, 4);
}

static void put64(uint8_t *at, uint64_t value)
{
    memcpy(at, &value, 8);
}

static uint8_t *take(size_t size)
{
    uint8_t *at = arena + used;

    used += size;
    assert_true(used <= sizeof(arena));
    return at;
}

static void fix_checksum(uint8_t *bytes, size_t size, size_t where)
{
    uint8_t sum = 0;

    bytes[where] = 0;
    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + bytes[i]);
    }
    bytes[where] = (uint8_t)-sum;
}

static void fix(uint8_t *table)
{
    uint32_t length;

    memcpy(&length, table + 4, 4);
    fix_checksum(table, length, 9);
}

static uint8_t *add_table(const char *signature, const void *body, uint32_t size)
{
    uint8_t *table = take(36 + size);

    put_text(table, signature, 4);
    put32(table + 4, 36 + size);
    table[8] = 6;
    memcpy(table + 36, body, size);
    fix(table);
    return table;
}

static void add_entry(const uint8_t *table)
{
    uint32_t length;

    memcpy(&length, xsdt + 4, 4);
    put64(xsdt + length, (uintptr_t)table);
    put32(xsdt + 4, length + 8);
    fix(xsdt);
}

/* A machine of fixed hardware with PM1a at port 0x604, all numbers by the specification's offsets.
 */
static int setup(void **state)
{
    static const uint8_t nothing[240];

    memset(arena, 0, sizeof(arena));
    used = 64;
    rsdp = take(64);
    put_text(rsdp, "RSD PTR ", 8);
    rsdp[15] = 2;
    put32(rsdp + 20, 36);
    xsdt = take(36 + 64 * 8);
    put_text(xsdt, "XSDT", 4);
    put32(xsdt + 4, 36);
    fix(xsdt);
    put64(rsdp + 24, (uintptr_t)xsdt);
    fix_checksum(rsdp, 20, 8);
    fix_checksum(rsdp, 36, 32);
    dsdt = add_table("DSDT", s5_zero, sizeof(s5_zero));
    fadt = add_table("FACP", nothing, 240);
    put64(fadt + 140, (uintptr_t)dsdt);
    put32(fadt + 64, 0x604);
    fix(fadt);
    add_entry(fadt);
    int result = test_arch_setup(state);
    test_map_range_allow(arena, arena + sizeof(arena));
    return result;
}

static struct acpi_power read_power(void)
{
    struct acpi_power power;

    fix(fadt);
    acpi_initialise((uintptr_t)rsdp);
    acpi_power_read(&power);
    return power;
}

/* ---- finding tables ---- */

static void tables_are_found_by_signature_and_number(void **state)
{
    (void)state;
    uint8_t *first = add_table("SSDT", "a", 1);
    uint8_t *second = add_table("SSDT", "b", 1);

    add_entry(first);
    add_entry(second);
    acpi_initialise((uintptr_t)rsdp);
    assert_ptr_equal(acpi_table("FACP", 0), fadt);
    assert_null(acpi_table("FACP", 1));
    assert_ptr_equal(acpi_table("SSDT", 0), first);
    assert_ptr_equal(acpi_table("SSDT", 1), second);
    assert_null(acpi_table("SSDT", 2));
    assert_null(acpi_table("HPET", 0));
    assert_string_equal(test_console(), "");
}

static void without_an_address_there_are_no_tables(void **state)
{
    (void)state;
    acpi_initialise(0);
    assert_null(acpi_table("FACP", 0));
    assert_string_equal(test_console(), "");
}

static void what_is_no_rsdp_is_said(void **state)
{
    (void)state;
    rsdp[8]++;
    acpi_initialise((uintptr_t)rsdp);
    assert_null(acpi_table("FACP", 0));
    assert_non_null(strstr(test_console(), "ACPI: there is no RSDP at 0x"));
    test_console_clear();
    rsdp[8]--;
    rsdp[0] = 'r';
    fix_checksum(rsdp, 20, 8);
    acpi_initialise((uintptr_t)rsdp);
    assert_non_null(strstr(test_console(), "there is no RSDP"));
    test_console_clear();
    acpi_initialise(0x1000); /* not mapped */
    assert_non_null(strstr(test_console(), "there is no RSDP at 0x1000"));
}

static void tables_that_are_broken_are_none(void **state)
{
    (void)state;
    fadt[100]++;
    acpi_initialise((uintptr_t)rsdp);
    assert_null(acpi_table("FACP", 0));
    fadt[100]--;
    put32(fadt + 4, 35); /* less than its header has, and the sum is right */
    fix(fadt);
    assert_null(acpi_table("FACP", 0));
    put32(fadt + 4, UINT32_MAX);
    assert_null(acpi_table("FACP", 0));
    put32(fadt + 4, (uint32_t)(arena + sizeof(arena) - fadt) + 1); /* goes on where nothing is */
    assert_null(acpi_table("FACP", 0));
}

static void entries_that_lead_nowhere_are_passed_over(void **state)
{
    (void)state;
    uint8_t *ssdt = add_table("SSDT", "a", 1);

    add_entry(NULL);
    add_entry((const uint8_t *)UINTPTR_MAX);
    add_entry(arena + sizeof(arena) - 10);
    add_entry(ssdt);
    acpi_initialise((uintptr_t)rsdp);
    assert_ptr_equal(acpi_table("SSDT", 0), ssdt);
}

static void a_broken_xsdt_leaves_no_tables(void **state)
{
    (void)state;
    xsdt[9]++;
    acpi_initialise((uintptr_t)rsdp);
    assert_null(acpi_table("FACP", 0));
    assert_non_null(strstr(test_console(), "the RSDP leads to no tables"));
}

static void an_odd_number_of_bytes_in_the_xsdt_is_no_entry(void **state)
{
    (void)state;
    put32(xsdt + 4, 36 + 8 + 7);
    fix(xsdt);
    acpi_initialise((uintptr_t)rsdp);
    assert_ptr_equal(acpi_table("FACP", 0), fadt);
    assert_null(acpi_table("SSDT", 0));
}

static void an_old_rsdp_leads_to_the_rsdt_only(void **state)
{
    (void)state;
    rsdp[15] = 0; /* whatever stands behind it is not its own */
    fix_checksum(rsdp, 20, 8);
    acpi_initialise((uintptr_t)rsdp);
    assert_null(acpi_table("FACP", 0)); /* and that is not mapped here */
}

static void a_short_fadt_is_zero_behind_its_end(void **state)
{
    (void)state;
    struct acpi_fadt copy;

    put32(fadt + 4, 116);
    fix(fadt);
    acpi_initialise((uintptr_t)rsdp);
    assert_true(acpi_fadt_read(&copy));
    assert_int_equal(copy.pm1a_control, 0x604);
    assert_int_equal(copy.x_dsdt, 0);
    put32(fadt + 4, 276);
    memset(fadt + 268, 'x', 8);
    fix(fadt);
    assert_true(acpi_fadt_read(&copy));
    assert_int_equal(copy.hypervisor_vendor, 0x7878787878787878);
}

/* ---- the FADT ---- */

static void fixed_hardware_is_switched_off_by_pm1(void **state)
{
    (void)state;
    struct acpi_power power = read_power();

    assert_true(power.can_power_off);
    assert_int_equal(power.pm1_control[0].address, 0x604);
    assert_int_equal(power.pm1_control[0].space, 1);
    assert_int_equal(power.pm1_control[1].address, 0);
    assert_int_equal(power.sleep_control.address, 0);
    assert_int_equal(power.smi_command, 0);
    assert_int_equal(power.reset_register.address, 0);
}

static void the_wide_form_of_a_register_wins(void **state)
{
    (void)state;
    fadt[172] = 1; /* I/O */
    put64(fadt + 176, 0x404);
    fadt[184] = 0; /* memory */
    put64(fadt + 188, 0xfed00000);
    put32(fadt + 68, 0x999);
    struct acpi_power power = read_power();
    assert_int_equal(power.pm1_control[0].address, 0x404);
    assert_int_equal(power.pm1_control[1].address, 0xfed00000);
    assert_int_equal(power.pm1_control[1].space, 0);
}

static void registers_that_cannot_be_reached_are_none(void **state)
{
    (void)state;
    fadt[172] = 7; /* some space of its own */
    put64(fadt + 176, 0x404);
    assert_int_equal(read_power().pm1_control[0].address, 0x604);
    put32(fadt + 64, 0x10000); /* no port */
    assert_false(read_power().can_power_off);
    fadt[172] = 1;
    put64(fadt + 176, 0x100000404);
    assert_false(read_power().can_power_off);
}

static void a_machine_that_is_not_in_acpi_mode_can_be_brought_there(void **state)
{
    (void)state;
    put32(fadt + 48, 0xb2);
    fadt[52] = 0xf1;
    struct acpi_power power = read_power();
    assert_int_equal(power.smi_command, 0xb2);
    assert_int_equal(power.acpi_enable, 0xf1);
    put32(fadt + 48, 0x100b2);
    assert_int_equal(read_power().smi_command, 0);
    put32(fadt + 48, 0xb2);
    fadt[52] = 0;
    assert_int_equal(read_power().smi_command, 0);
}

static void reduced_hardware_has_a_register_of_its_own(void **state)
{
    (void)state;
    put32(fadt + 112, 1u << 20);
    assert_false(read_power().can_power_off); /* PM1 does not count there */
    fadt[244] = 0;
    put64(fadt + 248, 0xfeb00000);
    struct acpi_power power = read_power();
    assert_true(power.can_power_off);
    assert_int_equal(power.sleep_control.address, 0xfeb00000);
    assert_int_equal(power.pm1_control[0].address, 0);
}

static void the_reset_register_counts_only_if_announced(void **state)
{
    (void)state;
    fadt[116] = 1;
    put64(fadt + 120, 0xcf9);
    fadt[128] = 0x0f;
    assert_int_equal(read_power().reset_register.address, 0);
    put32(fadt + 112, 1u << 10);
    struct acpi_power power = read_power();
    assert_int_equal(power.reset_register.address, 0xcf9);
    assert_int_equal(power.reset_value, 0x0f);
}

static void s5_may_be_in_another_table(void **state)
{
    (void)state;
    uint8_t *other = add_table("SSDT", "nothing here", 12);
    static const uint8_t s5[] = {0x08, '_', 'S', '5', '_', 0x12, 7, 2, 0x0a, 5, 0x0a, 6};
    uint8_t *ssdt = add_table("SSDT", s5, sizeof(s5));

    memset(dsdt + 36, 0, sizeof(s5_zero));
    fix(dsdt);
    assert_false(read_power().can_power_off);
    add_entry(other);
    add_entry(ssdt);
    struct acpi_power power = read_power();
    assert_true(power.can_power_off);
    assert_int_equal(power.sleep_type[0], 5);
    assert_int_equal(power.sleep_type[1], 6);
}

static void without_a_dsdt_nothing_is_found(void **state)
{
    (void)state;
    put64(fadt + 140, 0);
    assert_false(read_power().can_power_off);
    put64(fadt + 140, (uintptr_t)fadt); /* a table, but another one */
    assert_false(read_power().can_power_off);
    put64(fadt + 140, 0x1000);
    assert_false(read_power().can_power_off);
}

static void without_a_fadt_nothing_is_known(void **state)
{
    (void)state;
    put_text(fadt, "FADT", 4);
    struct acpi_power power = read_power();
    assert_false(power.can_power_off);
    assert_int_equal(power.reset_register.address, 0);
}

/* ---- _S5 ---- */

/* The bytes in memory of exactly their size: a read behind them is caught. */
static bool find(uint8_t types[2], const void *bytes, size_t size)
{
    uint8_t *exact = malloc(size);

    assert_non_null(exact);
    memcpy(exact, bytes, size);
    bool found = acpi_power_find_s5(types, exact, size);
    free(exact);
    return found;
}

static void encodings_of_numbers(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[20];
        size_t size;
        uint8_t first, second;
    } good[] = {
        {{8, '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0}, 12, 0, 0},
        {{8, '_', 'S', '5', '_', 0x12, 4, 2, 1, 0}, 10, 1, 0},
        {{8, '_', 'S', '5', '_', 0x12, 7, 2, 0x0a, 7, 0x0a, 7}, 12, 7, 7},
        {{8, '\\', '_', 'S', '5', '_', 0x12, 7, 2, 0x0a, 7, 0x0a, 5}, 13, 7, 5},
        {{8, '_', 'S', '5', '_', 0x12, 8, 2, 0x0b, 5, 0, 1}, 12, 5, 1},
        {{8, '_', 'S', '5', '_', 0x12, 10, 2, 0x0c, 6, 0, 0, 0, 1}, 14, 6, 1},
        {{8, '_', 'S', '5', '_', 0x12, 0x46, 0, 2, 1, 1}, 11, 1, 1}, /* length of two bytes */
    };

    for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        uint8_t types[2] = {0xee, 0xee};
        assert_true(find(types, good[i].bytes, good[i].size));
        assert_int_equal(types[0], good[i].first);
        assert_int_equal(types[1], good[i].second);
        /* Cut short anywhere it is none, and nothing behind it is read. */
        types[0] = types[1] = 0xee;
        size_t needed = good[i].size - (i == 0 ? 2 : 0);
        for (size_t size = 1; size < needed; size++) {
            assert_false(find(types, good[i].bytes, size));
            assert_int_equal(types[0], 0xee);
        }
    }
}

static void what_is_no_such_package_is_passed_over(void **state)
{
    (void)state;
    static const struct {
        uint8_t bytes[20];
        size_t size;
    } bad[] = {
        {{'x', '_', 'S', '5', '_', 0x12, 6, 4, 0, 0, 0, 0}, 12},  /* used, not defined */
        {{8, '_', 'S', '5', '_', 0x13, 6, 4, 0, 0, 0, 0}, 12},    /* another kind */
        {{8, '_', 'S', '5', '_', 0x12, 3, 1, 0, 0, 0, 0}, 12},    /* one element */
        {{8, '_', 'S', '5', '_', 0x12, 6, 4, 0x0a, 8, 0, 0}, 12}, /* more than 3 bits */
        {{8, '_', 'S', '5', '_', 0x12, 8, 2, 0x0b, 5, 1, 1}, 12},
        {{8, '_', 'S', '5', '_', 0x12, 9, 2, 0x0e, 5, 0, 0, 0}, 13}, /* a number of 8 bytes */
        {{8, '_', 'S', '5', '_', 0x12, 6, 2, 'N', 'A', 'M', 'E'}, 12},
    };
    uint8_t both[40];
    uint8_t types[2];

    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(find(types, bad[i].bytes, bad[i].size));
        memcpy(both, bad[i].bytes, bad[i].size);
        memcpy(both + bad[i].size, s5_zero, sizeof(s5_zero));
        assert_true(find(types, both, bad[i].size + sizeof(s5_zero)));
    }
}

static void any_bytes_at_all_are_survived(void **state)
{
    (void)state;
    static const uint8_t alphabet[] = {8, '\\', '_', 'S',  '5',  '_',  0x12,
                                       0, 1,    2,   0x0a, 0x0b, 0x0c, 0xff};
    uint8_t bytes[24];
    uint8_t types[2];
    unsigned found = 0;

    srand(1);
    for (unsigned i = 0; i < 200000; i++) {
        size_t size = (size_t)rand() % sizeof(bytes);
        for (size_t at = 0; at < size; at++) {
            bytes[at] = alphabet[(size_t)rand() % sizeof(alphabet)];
        }
        if (size >= 6) {
            memcpy(bytes + (size_t)rand() % (size - 5), s5_zero, 6);
        }
        if (size > 0 && find(types, bytes, size)) {
            found++;
            assert_true(types[0] <= 7 && types[1] <= 7);
        }
    }
    assert_true(found > 1000); /* it was no bytes without meaning */
}

static void any_tables_at_all_are_survived(void **state)
{
    srand(2);
    for (unsigned i = 0; i < 20000; i++) {
        (void)setup(state);
        for (unsigned n = 0; n < 4; n++) {
            size_t at = (size_t)rand() % used;
            arena[at] = (uint8_t)rand();
        }
        /* Sums are right as often as not: what is behind them has to hold too. */
        if (i % 2 == 0) {
            fix_checksum(rsdp, 20, 8);
        }
        uint8_t *tables[] = {xsdt, fadt, dsdt};
        for (unsigned n = 0; n < 3; n++) {
            uint32_t length;
            memcpy(&length, tables[n] + 4, 4);
            if (i % 3 != 0 && length >= 36 &&
                length <= (size_t)(arena + sizeof(arena) - tables[n])) {
                fix(tables[n]);
            }
        }
        struct acpi_power power;
        acpi_initialise((uintptr_t)rsdp);
        acpi_power_read(&power);
        assert_true(power.sleep_type[0] <= 7 && power.sleep_type[1] <= 7);
        test_console_clear();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(tables_are_found_by_signature_and_number, setup),
        cmocka_unit_test_setup(without_an_address_there_are_no_tables, setup),
        cmocka_unit_test_setup(what_is_no_rsdp_is_said, setup),
        cmocka_unit_test_setup(tables_that_are_broken_are_none, setup),
        cmocka_unit_test_setup(entries_that_lead_nowhere_are_passed_over, setup),
        cmocka_unit_test_setup(a_broken_xsdt_leaves_no_tables, setup),
        cmocka_unit_test_setup(an_odd_number_of_bytes_in_the_xsdt_is_no_entry, setup),
        cmocka_unit_test_setup(an_old_rsdp_leads_to_the_rsdt_only, setup),
        cmocka_unit_test_setup(a_short_fadt_is_zero_behind_its_end, setup),
        cmocka_unit_test_setup(fixed_hardware_is_switched_off_by_pm1, setup),
        cmocka_unit_test_setup(the_wide_form_of_a_register_wins, setup),
        cmocka_unit_test_setup(registers_that_cannot_be_reached_are_none, setup),
        cmocka_unit_test_setup(a_machine_that_is_not_in_acpi_mode_can_be_brought_there, setup),
        cmocka_unit_test_setup(reduced_hardware_has_a_register_of_its_own, setup),
        cmocka_unit_test_setup(the_reset_register_counts_only_if_announced, setup),
        cmocka_unit_test_setup(s5_may_be_in_another_table, setup),
        cmocka_unit_test_setup(without_a_dsdt_nothing_is_found, setup),
        cmocka_unit_test_setup(without_a_fadt_nothing_is_known, setup),
        cmocka_unit_test_setup(encodings_of_numbers, setup),
        cmocka_unit_test_setup(what_is_no_such_package_is_passed_over, setup),
        cmocka_unit_test_setup(any_bytes_at_all_are_survived, setup),
        cmocka_unit_test_setup(any_tables_at_all_are_survived, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
