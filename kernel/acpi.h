/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_ACPI_H
#define KERNEL_ACPI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Firmware's tables, as far as a guest needs them (ACPI Specification 6.5, chapter 5.2). */

struct acpi_rsdp { /* 5.2.5.3 */
    char signature[8];
    uint8_t checksum; /* of the first 20 bytes */
    char oem[6];
    uint8_t revision; /* 0: only the fields up to rsdt are there */
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_rsdp) == 36, "layout of the RSDP");
_Static_assert(offsetof(struct acpi_rsdp, xsdt) == 24, "layout of the RSDP");

struct acpi_header { /* 5.2.6 */
    char signature[4];
    uint32_t length; /* with this header */
    uint8_t revision;
    uint8_t checksum;
    char oem[6];
    char oem_table[8];
    uint32_t oem_revision;
    uint32_t creator;
    uint32_t creator_revision;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_header) == 36, "layout of a table's header");

struct acpi_address { /* 5.2.3.2 */
    uint8_t space;
    uint8_t bit_width;
    uint8_t bit_offset;
    uint8_t access_size;
    uint64_t address;
} __attribute__((packed));
_Static_assert(sizeof(struct acpi_address) == 12, "layout of a generic address");
#define ACPI_SPACE_MEMORY 0u
#define ACPI_SPACE_IO     1u

struct acpi_fadt { /* 5.2.9; shorter in earlier versions */
    struct acpi_header header;
    uint32_t facs;
    uint32_t dsdt;
    uint8_t reserved0;
    uint8_t profile;
    uint16_t sci;
    uint32_t smi_command;
    uint8_t acpi_enable;
    uint8_t acpi_disable;
    uint8_t s4bios_request;
    uint8_t pstate_control;
    uint32_t pm1a_event;
    uint32_t pm1b_event;
    uint32_t pm1a_control;
    uint32_t pm1b_control;
    uint32_t pm2_control;
    uint32_t pm_timer;
    uint8_t not_used0[28];
    uint8_t not_used1[4];
    uint32_t flags;
    struct acpi_address reset_register;
    uint8_t reset_value;
    uint16_t arm_boot;
    uint8_t minor_version;
    uint64_t x_facs;
    uint64_t x_dsdt;
    struct acpi_address x_pm1a_event;
    struct acpi_address x_pm1b_event;
    struct acpi_address x_pm1a_control;
    struct acpi_address x_pm1b_control;
    struct acpi_address x_pm2_control;
    struct acpi_address x_pm_timer;
    struct acpi_address x_gpe0;
    struct acpi_address x_gpe1;
    struct acpi_address sleep_control;
    struct acpi_address sleep_status;
    uint64_t hypervisor_vendor;
} __attribute__((packed));
_Static_assert(offsetof(struct acpi_fadt, dsdt) == 40, "layout of the FADT");
_Static_assert(offsetof(struct acpi_fadt, pm1a_control) == 64, "layout of the FADT");
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "layout of the FADT");
_Static_assert(offsetof(struct acpi_fadt, x_dsdt) == 140, "layout of the FADT");
_Static_assert(offsetof(struct acpi_fadt, x_pm1a_control) == 172, "layout of the FADT");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "layout of the FADT");
_Static_assert(sizeof(struct acpi_fadt) == 276, "layout of the FADT");
#define ACPI_FADT_RESET_REGISTER   (1u << 10)
#define ACPI_FADT_HARDWARE_REDUCED (1u << 20)

/* Where the tables are, by the address of the RSDP that boot handed over (0: nowhere). Once,
 * IRQL_PASSIVE, when pages can be allocated: tables get mapped. */
void acpi_initialise(uint64_t address);

/*
 * The `index`th table of that signature (0: the first), mapped read-only, its length and checksum
 * checked; valid for ever. NULL: there is none. IRQL_PASSIVE.
 */
const struct acpi_header *acpi_table(const char *signature, unsigned index);

/* The table at an address that another table gives, checked likewise. NULL: it is none, or of
 * another signature. IRQL_PASSIVE. */
const struct acpi_header *acpi_table_at(uint64_t address, const char *signature);

/* Copies the FADT; fields beyond its length are zero. False: there is none. IRQL_PASSIVE. */
bool acpi_fadt_read(struct acpi_fadt *fadt);

/* The DSDT that a FADT names, checked likewise. NULL: it is none. IRQL_PASSIVE. */
const struct acpi_header *acpi_dsdt(const struct acpi_fadt *fadt);

#endif
