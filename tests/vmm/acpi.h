/* SPDX-License-Identifier: MIT */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include <stdint.h>

struct machine;

/*
 * Writes ACPI's tables into the guest's memory below 1 MiB and returns the address of the first,
 * the RSDP. The machine has no legacy hardware in ACPI's sense, as a Generation 2 guest of Hyper-V
 * (ACPI 6.5, 5.2.9, HW_REDUCED_ACPI): sleep and reset are registers, interrupts are the I/O APIC's.
 */
uint64_t acpi_write(struct machine *machine);

/* Where they lie. */
#define ACPI_START 0xE0000u
#define ACPI_END   0xF0000u

#endif
