/* SPDX-License-Identifier: MIT */
#ifndef VMM_ACPI_H
#define VMM_ACPI_H

#include <stdint.h>

/*
 * The tables of a machine without legacy hardware in ACPI's sense, as a Generation 2 guest of
 * Hyper-V (ACPI 6.5, 5.2.9, HW_REDUCED_ACPI): sleep and reset are registers, interrupts are the I/O
 * APIC's. They are one piece of bytes, the RSDP first, that may be placed anywhere below 4 GiB: the
 * places that hold addresses or checksums are listed.
 */
#define ACPI_SIZE   0x4000u
#define ACPI_PLACES 8u /* of each kind */

struct acpi_pointer {
    uint32_t at;
    uint32_t size;   /* bytes, 4 or 8 */
    uint32_t target; /* also what stands there, before the tables are placed */
};

struct acpi_checksum {
    uint32_t at;
    uint32_t start; /* of the bytes that are summed up, itself among them */
    uint32_t length;
};

struct acpi_tables {
    uint8_t bytes[ACPI_SIZE];
    uint32_t used;
    uint32_t pointer_count;
    struct acpi_pointer pointers[ACPI_PLACES];
    uint32_t checksum_count;
    struct acpi_checksum checksums[ACPI_PLACES];
};

/* For a machine of so many processors; offsets stand where addresses will be, zeros for checksums.
 */
void acpi_build(struct acpi_tables *tables, uint32_t processors);

/* Copies them to `memory`, which the guest has at this address, with addresses and checksums. */
void acpi_place(const struct acpi_tables *tables, uint8_t *memory, uint32_t address);

#endif
