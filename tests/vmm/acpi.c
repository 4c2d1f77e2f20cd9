/* SPDX-License-Identifier: MIT */
/* The tables of ACPI 6.5, section 5.2. */
#include "tests/vmm/acpi.h"

#include <stddef.h>
#include <string.h>

#include "tests/vmm/executive.h"
#include "tests/vmm/platform.h"

/* dsdt.asl, compiled. */
extern const unsigned char dsdt_aml_code[];

#define IO_APIC_ADDRESS    0xFEC00000u
#define LOCAL_APIC_ADDRESS 0xFEE00000u

struct __attribute__((packed)) rsdp {
    char signature[8];
    uint8_t checksum;
    char oem[6];
    uint8_t revision;
    uint32_t rsdt;
    uint32_t length;
    uint64_t xsdt;
    uint8_t extended_checksum;
    uint8_t reserved[3];
};
_Static_assert(sizeof(struct rsdp) == 36, "RSDP");

struct __attribute__((packed)) header {
    char signature[4];
    uint32_t length;
    uint8_t revision;
    uint8_t checksum;
    char oem[6];
    char oem_table[8];
    uint32_t oem_revision;
    char creator[4];
    uint32_t creator_revision;
};
_Static_assert(sizeof(struct header) == 36, "table header");

/* A register, here always a byte in I/O space. */
struct __attribute__((packed)) address {
    uint8_t space;
    uint8_t bits;
    uint8_t offset;
    uint8_t access;
    uint64_t address;
};
_Static_assert(sizeof(struct address) == 12, "generic address");

#define SPACE_IO    1u
#define ACCESS_BYTE 1u

struct __attribute__((packed)) fadt {
    struct header header;
    uint32_t facs;
    uint32_t dsdt;
    uint8_t legacy_1[65]; /* of machines with legacy hardware, as the next ones */
    uint16_t boot_architecture;
    uint8_t reserved;
    uint32_t flags;
    struct address reset;
    uint8_t reset_value;
    uint16_t arm_boot_architecture;
    uint8_t minor_revision;
    uint64_t x_facs;
    uint64_t x_dsdt;
    uint8_t legacy_2[96];
    struct address sleep_control;
    struct address sleep_status;
    char hypervisor[8];
};
_Static_assert(sizeof(struct fadt) == 276, "FADT");
_Static_assert(offsetof(struct fadt, boot_architecture) == 109, "FADT");
_Static_assert(offsetof(struct fadt, flags) == 112, "FADT");
_Static_assert(offsetof(struct fadt, x_dsdt) == 140, "FADT");
_Static_assert(offsetof(struct fadt, sleep_control) == 244, "FADT");

#define FADT_REVISION        6u
#define FADT_MINOR_REVISION  5u
#define BOOT_NO_VGA          0x0004u
#define BOOT_NO_CMOS_CLOCK   0x0020u
#define FLAG_WBINVD          0x00000001u
#define FLAG_C1              0x00000004u
#define FLAG_NO_POWER_BUTTON 0x00000010u
#define FLAG_NO_SLEEP_BUTTON 0x00000020u
#define FLAG_RESET_REGISTER  0x00000400u
#define FLAG_HW_REDUCED      0x00100000u

struct __attribute__((packed)) madt {
    struct header header;
    uint32_t local_apic;
    uint32_t flags;
};
_Static_assert(sizeof(struct madt) == 44, "MADT");
#define MADT_REVISION 5u
#define XSDT_REVISION 1u

struct __attribute__((packed)) madt_processor {
    uint8_t type; /* 0 */
    uint8_t length;
    uint8_t uid;
    uint8_t apic;
    uint32_t flags; /* bit 0: enabled */
};
_Static_assert(sizeof(struct madt_processor) == 8, "local APIC");

struct __attribute__((packed)) madt_io_apic {
    uint8_t type; /* 1 */
    uint8_t length;
    uint8_t apic;
    uint8_t reserved;
    uint32_t address;
    uint32_t first_interrupt;
};
_Static_assert(sizeof(struct madt_io_apic) == 12, "I/O APIC");

/* ---- writing ---- */

/* Room for a structure, zeroed. */
static uint32_t take(struct acpi_tables *tables, uint32_t size)
{
    uint32_t at = (tables->used + 15) / 16 * 16;

    if (at + size > ACPI_SIZE) {
        die("ACPI's tables take more than %u bytes", ACPI_SIZE);
    }
    tables->used = at + size;
    return at;
}

static void add_pointer(struct acpi_tables *tables, uint32_t at, uint32_t size, uint32_t target)
{
    if (tables->pointer_count == ACPI_PLACES) {
        die("ACPI's tables hold more than %u addresses", ACPI_PLACES);
    }
    memcpy(tables->bytes + at, &target, sizeof(target));
    tables->pointers[tables->pointer_count++] = (struct acpi_pointer){at, size, target};
}

static void add_checksum(struct acpi_tables *tables, uint32_t at, uint32_t start, uint32_t length)
{
    if (tables->checksum_count == ACPI_PLACES) {
        die("ACPI's tables hold more than %u checksums", ACPI_PLACES);
    }
    tables->checksums[tables->checksum_count++] = (struct acpi_checksum){at, start, length};
}

/* A table with its header. */
static uint32_t add_table(struct acpi_tables *tables, const char *signature, uint32_t size,
                          unsigned revision)
{
    uint32_t at = take(tables, size);
    struct header header = {.length = size, .revision = (uint8_t)revision, .oem_revision = 1};

    memcpy(header.signature, signature, sizeof(header.signature));
    memcpy(header.oem, "BAREBU", sizeof(header.oem));
    memcpy(header.oem_table, "VMM     ", sizeof(header.oem_table));
    memcpy(header.creator, "BARE", sizeof(header.creator));
    header.creator_revision = 1;
    memcpy(tables->bytes + at, &header, sizeof(header));
    add_checksum(tables, at + offsetof(struct header, checksum), at, size);
    return at;
}

/* iasl has filled it in, its checksum too. */
static uint32_t add_dsdt(struct acpi_tables *tables)
{
    struct header header;

    memcpy(&header, dsdt_aml_code, sizeof(header));
    uint32_t at = take(tables, header.length);
    memcpy(tables->bytes + at, dsdt_aml_code, header.length);
    return at;
}

static struct address register_at(uint32_t port)
{
    return (struct address){
        .space = SPACE_IO,
        .bits = 8,
        .access = ACCESS_BYTE,
        .address = port,
    };
}

static uint32_t add_fadt(struct acpi_tables *tables, uint32_t dsdt)
{
    uint32_t at = add_table(tables, "FACP", sizeof(struct fadt), FADT_REVISION);
    struct fadt fadt;

    memcpy(&fadt, tables->bytes + at, sizeof(fadt));
    fadt.boot_architecture = BOOT_NO_VGA | BOOT_NO_CMOS_CLOCK;
    fadt.flags = FLAG_WBINVD | FLAG_C1 | FLAG_NO_POWER_BUTTON | FLAG_NO_SLEEP_BUTTON |
                 FLAG_RESET_REGISTER | FLAG_HW_REDUCED;
    fadt.reset = register_at(PLATFORM_RESET);
    fadt.reset_value = PLATFORM_RESET_VALUE;
    fadt.minor_revision = FADT_MINOR_REVISION;
    fadt.sleep_control = register_at(PLATFORM_SLEEP_CONTROL);
    fadt.sleep_status = register_at(PLATFORM_SLEEP_STATUS);
    memcpy(fadt.hypervisor, "MsHyperV", sizeof(fadt.hypervisor));
    memcpy(tables->bytes + at, &fadt, sizeof(fadt));
    add_pointer(tables, at + offsetof(struct fadt, dsdt), 4, dsdt);
    add_pointer(tables, at + offsetof(struct fadt, x_dsdt), 8, dsdt);
    return at;
}

static uint32_t add_madt(struct acpi_tables *tables, uint32_t processors)
{
    const struct madt_io_apic io_apic = {
        .type = 1, .length = sizeof(io_apic), .address = IO_APIC_ADDRESS};
    const uint32_t local_apic = LOCAL_APIC_ADDRESS;
    uint32_t at =
        add_table(tables, "APIC",
                  (uint32_t)(sizeof(struct madt) + processors * sizeof(struct madt_processor) +
                             sizeof(io_apic)),
                  MADT_REVISION);
    uint8_t *to = tables->bytes + at;

    memcpy(to + offsetof(struct madt, local_apic), &local_apic, sizeof(local_apic));
    to += sizeof(struct madt);
    for (uint32_t i = 0; i < processors; i++) {
        const struct madt_processor processor = {
            .length = sizeof(processor), .uid = (uint8_t)i, .apic = (uint8_t)i, .flags = 1};
        memcpy(to, &processor, sizeof(processor));
        to += sizeof(processor);
    }
    memcpy(to, &io_apic, sizeof(io_apic));
    return at;
}

void acpi_build(struct acpi_tables *tables, uint32_t processors)
{
    struct rsdp rsdp = {.revision = 2, .length = sizeof(rsdp)};

    memset(tables, 0, sizeof(*tables));
    uint32_t root = take(tables, sizeof(rsdp));
    uint32_t fadt = add_fadt(tables, add_dsdt(tables));
    uint32_t madt = add_madt(tables, processors);
    uint32_t xsdt =
        add_table(tables, "XSDT", sizeof(struct header) + 2 * sizeof(uint64_t), XSDT_REVISION);
    uint32_t entries = xsdt + (uint32_t)sizeof(struct header);

    add_pointer(tables, entries, 8, fadt);
    add_pointer(tables, entries + (uint32_t)sizeof(uint64_t), 8, madt);
    memcpy(rsdp.signature, "RSD PTR ", sizeof(rsdp.signature));
    memcpy(rsdp.oem, "BAREBU", sizeof(rsdp.oem));
    memcpy(tables->bytes + root, &rsdp, sizeof(rsdp));
    add_pointer(tables, root + offsetof(struct rsdp, xsdt), 8, xsdt);
    add_checksum(tables, root + offsetof(struct rsdp, checksum), root,
                 offsetof(struct rsdp, length));
    add_checksum(tables, root + offsetof(struct rsdp, extended_checksum), root, sizeof(rsdp));
}

void acpi_place(const struct acpi_tables *tables, uint8_t *memory, uint32_t address)
{
    memcpy(memory, tables->bytes, tables->used);
    for (uint32_t i = 0; i < tables->pointer_count; i++) {
        uint32_t target = address + tables->pointers[i].target;
        memcpy(memory + tables->pointers[i].at, &target, sizeof(target));
    }
    for (uint32_t i = 0; i < tables->checksum_count; i++) {
        const struct acpi_checksum *checksum = &tables->checksums[i];
        uint8_t sum = 0;
        for (uint32_t at = 0; at < checksum->length; at++) {
            sum = (uint8_t)(sum + memory[checksum->start + at]);
        }
        memory[checksum->at] = (uint8_t)-sum;
    }
}
