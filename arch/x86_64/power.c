/* SPDX-License-Identifier: MIT */
/*
 * Switches the machine off, or restarts it, by the first way it has. Off: ACPI, then firmware.
 * Restart: ACPI's reset register, then an exception that the processor cannot serve.
 */
#include "arch/x86_64/power.h"

#include "arch/cpu.h"
#include "arch/page_map.h"
#include "arch/start.h"
#include "arch/x86_64/instructions.h"
#include "kernel/acpi_power.h"
#include "kernel/boot_info.h"
#include "kernel/clock.h"
#include "kernel/log.h"

/* Choices: how long a machine may take to do what a register asks for; and how often the clock is
 * read at the most, since it may stand still. */
#define REGISTER_LIMIT (CLOCK_SECOND)
#define READS_MAXIMUM  10000000u

static struct acpi_power power;
static struct boot_firmware firmware;

/* Registers in memory are mapped while pages can still be had. */
static void map_register(struct acpi_address *address)
{
    if (address->address != 0 && address->space == ACPI_SPACE_MEMORY &&
        !paging_map_device(address->address, sizeof(uint16_t))) {
        address->address = 0;
    }
}

void arch_initialise_power(const struct boot_info *info)
{
    firmware = info->firmware;
    acpi_power_read(&power);
    map_register(&power.pm1_control[0]);
    map_register(&power.pm1_control[1]);
    map_register(&power.sleep_control);
    map_register(&power.reset_register);
}

static uint16_t read16(const struct acpi_address *address)
{
    return address->space == ACPI_SPACE_IO ? port_read16((uint16_t)address->address)
                                           : device_read16(address->address);
}

static void write16(const struct acpi_address *address, uint16_t value)
{
    if (address->space == ACPI_SPACE_IO) {
        port_write16((uint16_t)address->address, value);
    } else {
        device_write16(address->address, value);
    }
}

static void write8(const struct acpi_address *address, uint8_t value)
{
    if (address->space == ACPI_SPACE_IO) {
        port_write8((uint16_t)address->address, value);
    } else {
        device_write8(address->address, value);
    }
}

static bool in_acpi_mode(void)
{
    return (read16(&power.pm1_control[0]) & ACPI_PM1_SCI_ENABLE) != 0;
}

/* Until `done` says so, if it is given, or the machine has had its time. */
static void wait_for_machine(bool (*done)(void))
{
    uint64_t start = clock_now();

    for (uint32_t i = 0; i < READS_MAXIMUM && clock_now() - start < REGISTER_LIMIT; i++) {
        if (done != NULL && done()) {
            return;
        }
        arch_relax();
    }
}

static void acpi_power_off(void)
{
    if (power.sleep_control.address != 0) {
        write8(&power.sleep_control, (uint8_t)(power.sleep_type[0] << ACPI_SLEEP_CONTROL_SHIFT |
                                               ACPI_SLEEP_CONTROL_ENABLE));
        wait_for_machine(NULL);
        return;
    }
    if (power.smi_command != 0 && !in_acpi_mode()) {
        port_write8((uint16_t)power.smi_command, power.acpi_enable);
        wait_for_machine(in_acpi_mode);
    }
    /* First the types, then the word to go, in both (ACPI 16.1.7). */
    for (uint32_t enable = 0; enable <= ACPI_PM1_SLEEP_ENABLE; enable += ACPI_PM1_SLEEP_ENABLE) {
        for (unsigned i = 0; i < 2; i++) {
            const struct acpi_address *control = &power.pm1_control[i];
            if (control->address != 0) {
                uint32_t kept = read16(control) & ~(uint32_t)ACPI_PM1_SLEEP_TYPE_MASK;
                uint32_t type = (uint32_t)power.sleep_type[i] << ACPI_PM1_SLEEP_TYPE_SHIFT;
                write16(control, (uint16_t)(kept | type | enable));
            }
        }
    }
    wait_for_machine(NULL);
}

/* Firmware runs with its own memory mapped as it is while boot services run. */
static void firmware_power_off(void)
{
    bool mapped = true;

    for (uint32_t i = 0; mapped && i < firmware.count; i++) {
        const struct memory_range *range = &firmware.ranges[i];
        mapped = arch_map_range(range->base, range->end - range->base, ARCH_MAPPING_FIRMWARE);
    }
    if (mapped) {
        firmware.power_off();
    }
}

void power_off(int status)
{
    if (power.can_power_off) {
        log_info("kernel", "power off by ACPI, exit status %d", status);
        acpi_power_off();
        log_warning("kernel", "ACPI did not switch the machine off");
    }
    if (firmware.power_off != NULL) {
        log_info("kernel", "power off by UEFI, exit status %d", status);
        firmware_power_off();
        log_warning("kernel", "UEFI did not switch the machine off");
    }
}

/* A processor that meets an exception without a table to serve it resets the machine (Intel SDM,
 * "Double Fault"). */
static _Noreturn void triple_fault(void)
{
    static const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } no_table = {0, 0};

    for (;;) {
        __asm__ volatile("lidt %0; int3" : : "m"(no_table));
    }
}

_Noreturn void arch_restart(void)
{
    if (power.reset_register.address != 0) {
        write8(&power.reset_register, power.reset_value);
        wait_for_machine(NULL);
    }
    triple_fault();
}
