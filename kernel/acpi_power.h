/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_ACPI_POWER_H
#define KERNEL_ACPI_POWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/acpi.h"

/* How ACPI switches this machine off and resets it; the architecture does it. */
struct acpi_power {
    /* ACPI Specification 4.8.3.2: SLP_TYP and SLP_EN in each of these; address 0: none. */
    struct acpi_address pm1_control[2];
    uint8_t sleep_type[2]; /* 3 bits each */
    /* 4.8.3.7: one register instead, of a machine without the fixed hardware; 0: none. */
    struct acpi_address sleep_control;
    /* 4.8.2.5: what brings a machine into ACPI mode that is not in it yet; 0: nothing does. */
    uint32_t smi_command; /* port */
    uint8_t acpi_enable;
    bool can_power_off;
    /* 4.8.3.6; address 0: none. */
    struct acpi_address reset_register;
    uint8_t reset_value;
};

#define ACPI_PM1_SCI_ENABLE       0x0001u /* 4.8.3.2.1: the machine is in ACPI mode */
#define ACPI_PM1_SLEEP_TYPE_SHIFT 10u
#define ACPI_PM1_SLEEP_TYPE_MASK  0x1c00u
#define ACPI_PM1_SLEEP_ENABLE     0x2000u
#define ACPI_SLEEP_CONTROL_SHIFT  2u /* 4.8.3.7 */
#define ACPI_SLEEP_CONTROL_ENABLE 0x20u

/* Reads it out of the tables that acpi_initialise() found. IRQL_PASSIVE. */
void acpi_power_read(struct acpi_power *power);

/* The parts of it that look at bytes only, at any IRQL. `fadt` has zeroes where the table was
 * shorter. */
void acpi_power_take_fadt(struct acpi_power *power, const struct acpi_fadt *fadt);

/*
 * Finds the package _S5_ in AML, the byte code of a DSDT or SSDT, and takes the two sleep types out
 * of it (ACPI 7.4.2, 20.2). False: there is none whose first elements are such numbers.
 */
bool acpi_power_find_s5(uint8_t types[2], const uint8_t *aml, size_t size);

#endif
