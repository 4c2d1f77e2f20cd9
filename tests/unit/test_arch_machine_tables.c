/* SPDX-License-Identifier: MIT */
/* What ACPI's tables tell an ARM64 guest of its machine: arch/aarch64/machine_tables.c. */
#include <stdlib.h>
#include <string.h>

#include "arch/aarch64/machine_acpi.h"
#include "test_arch.h"

static struct platform machine;

static void put(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

/* ---- the DSDT ---- */

/*
 * Device (VMOD) { Name (_HID, "ACPI0004")  Device (VMBS) { Name (_HID, "MSFT1000") Name (_CID,
 * "VMBus") Name (_CRS, ...) } } behind a device with an interrupt of its own, as Hyper-V's firmware
 * has it.
 */
#define RESOURCES(flags, interrupt)                                                                \
    "\x08_CRS\x11\x0e\x0a\x0b\x89\x06\x00" flags "\x01" interrupt "\x00\x00\x00\x79\x00"

/* A string's terminator is part of it, so the last one belongs to what follows. */
static const char text[] = "\x5b\x82\x19"                                      /* 25 bytes */
                           "UAR1" RESOURCES("\x03", "\x19") "\x5b\x82\x42\x05" /* 82 bytes */
                                                            "VMOD\x08_HID\x0d"
                                                            "ACPI0004\x00"
                                                            "\x5b\x82\x4b\x03" /* 59 bytes */
                                                            "VMBS\x08_HID\x0d"
                                                            "MSFT1000\x00"
                                                            "\x08_CID\x0dVMBus\x00" RESOURCES(
                                                                "\x03", "\x13") "\x08_CCA\x01";
#define DSDT_SIZE (sizeof(text) - 1)
static uint8_t dsdt[DSDT_SIZE];

static int setup(void **state)
{
    memset(&machine, 0, sizeof(machine));
    memcpy(dsdt, text, DSDT_SIZE);
    return test_arch_setup(state);
}

/* ---- FADT ---- */

static void the_fadt_names_conduit_and_hypervisor(void **state)
{
    (void)state;
    struct acpi_fadt fadt = {.header = {.revision = 6}, .arm_boot = 1};

    machine_take_fadt(&machine, &fadt);
    assert_int_equal(machine.conduit, PLATFORM_CONDUIT_SMC);
    assert_false(machine.names_hyperv);
    fadt.arm_boot = 3;
    memcpy(&fadt.hypervisor_vendor, "MsHyperV", 8);
    machine_take_fadt(&machine, &fadt);
    assert_int_equal(machine.conduit, PLATFORM_CONDUIT_HVC);
    assert_true(machine.names_hyperv);
    fadt.arm_boot = 0;
    machine.conduit = PLATFORM_CONDUIT_NONE;
    machine_take_fadt(&machine, &fadt);
    assert_int_equal(machine.conduit, PLATFORM_CONDUIT_NONE);
}

/* The bytes mean something else, or nothing, in tables of before. */
static void an_old_fadt_names_no_hypervisor(void **state)
{
    (void)state;
    struct acpi_fadt fadt = {.header = {.revision = 5}, .arm_boot = 1};

    memcpy(&fadt.hypervisor_vendor, "MsHyperV", 8);
    machine_take_fadt(&machine, &fadt);
    assert_false(machine.names_hyperv);
    fadt.header.revision = 6;
    memcpy(&fadt.hypervisor_vendor, "MsHyperW", 8);
    machine_take_fadt(&machine, &fadt);
    assert_false(machine.names_hyperv);
}

/* ---- MADT ---- */

static uint8_t madt[512];
static size_t madt_size;

static void madt_start(void)
{
    memset(madt, 0, sizeof(madt));
    madt_size = 44;
}

static uint8_t *madt_add(uint8_t type, uint8_t length)
{
    uint8_t *entry = madt + madt_size;

    entry[0] = type;
    entry[1] = length;
    madt_size += length;
    return entry;
}

static void madt_add_processor(uint64_t affinity, uint64_t frame)
{
    uint8_t *entry = madt_add(11, 80);

    put(entry + 60, frame, 8);
    put(entry + 68, affinity, 8);
}

static void madt_add_distributor(uint64_t base, uint8_t version)
{
    uint8_t *entry = madt_add(12, 24);

    put(entry + 8, base, 8);
    entry[20] = version;
}

static void madt_add_redistributors(uint64_t base, uint32_t length)
{
    uint8_t *entry = madt_add(14, 16);

    put(entry + 4, base, 8);
    put(entry + 12, length, 4);
}

/* In memory of its own, of just that size: what is read beyond it shows. */
static void take_madt(size_t size, uint64_t processor)
{
    uint8_t *exact = malloc(size == 0 ? 1 : size);

    memcpy(exact, madt, size);
    machine_take_madt(&machine, exact, size, processor);
    free(exact);
}

static void the_madt_names_distributor_and_redistributors(void **state)
{
    (void)state;
    madt_start();
    madt_add_distributor(0xffff0000, 3);
    madt_add_processor(0, 0);
    madt_add_redistributors(0xeffee000, 0x40000);
    madt_add_redistributors(0x12340000, 0x20000);
    take_madt(madt_size, 0);
    assert_int_equal(machine.distributor, 0xffff0000);
    assert_int_equal(machine.redistributors, 0xeffee000);
    assert_int_equal(machine.redistributors_size, 0x40000);
}

static void a_redistributor_may_be_named_by_its_processor(void **state)
{
    (void)state;
    madt_start();
    madt_add_processor(0x000, 0xeffee000);
    madt_add_processor(0x100, 0xf000e000);
    madt_add_distributor(0xffff0000, 3);
    take_madt(madt_size, 0x100);
    assert_int_equal(machine.redistributors, 0xf000e000);
    assert_int_equal(machine.redistributors_size, 0x20000);
}

static void a_controller_of_another_version_is_none(void **state)
{
    (void)state;
    madt_start();
    madt_add_distributor(0x8000000, 2);
    take_madt(madt_size, 0);
    assert_int_equal(machine.distributor, 0);
}

static void a_madt_cut_or_changed_anywhere_is_read_without_harm(void **state)
{
    (void)state;
    static const uint8_t values[] = {0, 1, 2, 11, 12, 14, 15, 23, 75, 76, 127, 255};

    madt_start();
    madt_add_processor(0, 0xeffee000);
    madt_add_distributor(0xffff0000, 3);
    madt_add_redistributors(0xeffee000, 0x40000);
    for (size_t size = 0; size < madt_size; size++) {
        take_madt(size, 0);
    }
    for (size_t at = 44; at < madt_size; at++) {
        uint8_t kept = madt[at];
        for (size_t i = 0; i < sizeof(values); i++) {
            madt[at] = values[i];
            take_madt(madt_size, 0);
        }
        madt[at] = kept;
    }
}

/* ---- GTDT, SPCR ---- */

static void the_gtdt_names_the_virtual_timer(void **state)
{
    (void)state;
    uint8_t gtdt[104] = {0};

    put(gtdt + 64, 20, 4);
    machine_take_gtdt(&machine, gtdt, sizeof(gtdt));
    assert_int_equal(machine.timer_interrupt, 20);
    put(gtdt + 64, 32, 4); /* shared, which a timer's is not */
    machine_take_gtdt(&machine, gtdt, sizeof(gtdt));
    assert_int_equal(machine.timer_interrupt, 0);
    machine.timer_interrupt = 5;
    machine_take_gtdt(&machine, gtdt, 67);
    assert_int_equal(machine.timer_interrupt, 5);
}

static void the_spcr_names_a_pl011(void **state)
{
    (void)state;
    uint8_t spcr[80] = {0};

    spcr[36] = 3;
    put(spcr + 44, 0xeffec000, 8);
    machine_take_spcr(&machine, spcr, sizeof(spcr));
    assert_int_equal(machine.console, 0xeffec000);
    machine.console = 0;
    spcr[36] = 14;
    machine_take_spcr(&machine, spcr, sizeof(spcr));
    assert_int_equal(machine.console, 0xeffec000);
    machine.console = 0;
    spcr[36] = 0; /* a 16550 */
    machine_take_spcr(&machine, spcr, sizeof(spcr));
    spcr[36] = 3;
    spcr[40] = 1; /* a port */
    machine_take_spcr(&machine, spcr, sizeof(spcr));
    spcr[40] = 0;
    machine_take_spcr(&machine, spcr, 51);
    assert_int_equal(machine.console, 0);
}

static uint32_t find_vmbus(const uint8_t *aml, size_t size)
{
    uint8_t *exact = malloc(size == 0 ? 1 : size);

    memcpy(exact, aml, size);
    uint32_t interrupt = machine_find_vmbus(exact, size);
    free(exact);
    return interrupt;
}

static void vmbus_is_found_by_its_identity(void **state)
{
    (void)state;
    assert_int_equal(find_vmbus(dsdt, sizeof(dsdt)), 19);
}

static void only_a_private_interrupt_on_an_edge_counts(void **state)
{
    (void)state;
    uint8_t changed[sizeof(dsdt)];
    size_t descriptor = 0;

    for (size_t at = 0; at + 3 < sizeof(dsdt); at++) {
        if (memcmp(dsdt + at, "\x89\x06\x00", 3) == 0) {
            descriptor = at; /* the last one */
        }
    }
    const struct {
        size_t offset;
        uint8_t value;
    } wrong[] = {{3, 0x01}, {3, 0x02}, {3, 0x07}, {4, 2}, {5, 15}, {5, 32}, {6, 1}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        memcpy(changed, dsdt, sizeof(dsdt));
        changed[descriptor + wrong[i].offset] = wrong[i].value;
        assert_int_equal(find_vmbus(changed, sizeof(changed)), 0);
    }
    memcpy(changed, dsdt, sizeof(dsdt));
    changed[descriptor + 3] = 0x0b; /* shared, which makes no difference */
    assert_int_equal(find_vmbus(changed, sizeof(changed)), 19);
}

static void an_identity_outside_of_a_device_is_none(void **state)
{
    (void)state;
    static const char loose[] = "\x0dVMBus\x00" RESOURCES("\x03", "\x12");

    assert_int_equal(find_vmbus((const uint8_t *)loose, sizeof(loose)), 0);
    assert_int_equal(find_vmbus((const uint8_t *)loose, 0), 0);
}

/* The innermost device alone, whose length goes along with what is cut off. */
static void a_device_that_ends_anywhere_is_read_to_its_end(void **state)
{
    (void)state;
    const size_t first = DSDT_SIZE - 61; /* with the two bytes that begin a device */
    unsigned found = 0;

    for (size_t size = 4; size <= 61; size++) {
        put(dsdt + first + 2, 0x40 | ((size - 2) & 0xf), 1);
        put(dsdt + first + 3, (size - 2) >> 4, 1);
        found += find_vmbus(dsdt + first, size) == 19;
    }
    assert_int_equal(found, 61 - 52); /* as long as all of the number is there */
}

static void aml_cut_or_changed_anywhere_is_read_without_harm(void **state)
{
    (void)state;
    static const uint8_t values[] = {0x00, 0x3f, 0x40, 0x5b, 0x7f, 0x80, 0x82, 0x89, 0xc0, 0xff};
    uint8_t changed[sizeof(dsdt)];

    for (size_t size = 0; size < sizeof(dsdt); size++) {
        uint32_t interrupt = find_vmbus(dsdt, size);
        assert_true(interrupt == 0 || interrupt == 19);
    }
    memcpy(changed, dsdt, sizeof(dsdt));
    for (size_t at = 0; at < sizeof(dsdt); at++) {
        for (size_t i = 0; i < sizeof(values); i++) {
            changed[at] = values[i];
            uint32_t interrupt = find_vmbus(changed, sizeof(changed));
            assert_true(interrupt < 32);
            (void)find_vmbus(changed, at + 1);
        }
        changed[at] = dsdt[at];
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_fadt_names_conduit_and_hypervisor, setup),
        cmocka_unit_test_setup(an_old_fadt_names_no_hypervisor, setup),
        cmocka_unit_test_setup(the_madt_names_distributor_and_redistributors, setup),
        cmocka_unit_test_setup(a_redistributor_may_be_named_by_its_processor, setup),
        cmocka_unit_test_setup(a_controller_of_another_version_is_none, setup),
        cmocka_unit_test_setup(a_madt_cut_or_changed_anywhere_is_read_without_harm, setup),
        cmocka_unit_test_setup(the_gtdt_names_the_virtual_timer, setup),
        cmocka_unit_test_setup(the_spcr_names_a_pl011, setup),
        cmocka_unit_test_setup(vmbus_is_found_by_its_identity, setup),
        cmocka_unit_test_setup(only_a_private_interrupt_on_an_edge_counts, setup),
        cmocka_unit_test_setup(an_identity_outside_of_a_device_is_none, setup),
        cmocka_unit_test_setup(a_device_that_ends_anywhere_is_read_to_its_end, setup),
        cmocka_unit_test_setup(aml_cut_or_changed_anywhere_is_read_without_harm, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
