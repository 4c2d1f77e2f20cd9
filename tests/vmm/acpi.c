/* SPDX-License-Identifier: MIT */
/* The tables of ACPI 6.5, section 5.2. */
#include "tests/vmm/acpi.h"

#include <stddef.h>
#include <string.h>

#include "tests/vmm/machine.h"
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

struct writer {
    uint8_t *memory; /* of ACPI_START */
    uint32_t used;
};

static void *take(struct writer *writer, uint32_t size)
{
    uint32_t at = (writer->used + 15) / 16 * 16;

    if (at + size > ACPI_END - ACPI_START) {
        die("ACPI's tables do not fit below 1 MiB");
    }
    writer->used = at + size;
    return memset(writer->memory + at, 0, size);
}

static uint64_t address_of(const struct writer *writer, const void *table)
{
    return ACPI_START + (uint64_t)((const uint8_t *)table - writer->memory);
}

/* What makes the bytes' sum zero. */
static uint8_t checksum(const void *bytes, uint32_t size)
{
    const uint8_t *byte = bytes;
    uint8_t sum = 0;

    while (size-- > 0) {
        sum = (uint8_t)(sum + *byte++);
    }
    return (uint8_t)-sum;
}

static void *table(struct writer *writer, const char *signature, uint32_t size, unsigned revision)
{
    struct header *header = take(writer, size);

    memcpy(header->signature, signature, sizeof(header->signature));
    header->length = size;
    header->revision = (uint8_t)revision;
    memcpy(header->oem, "BAREBU", sizeof(header->oem));
    memcpy(header->oem_table, "VMM     ", sizeof(header->oem_table));
    header->oem_revision = 1;
    memcpy(header->creator, "BARE", sizeof(header->creator));
    header->creator_revision = 1;
    return header;
}

static void finish(struct header *header)
{
    header->checksum = 0;
    header->checksum = checksum(header, header->length);
}

static uint64_t write_dsdt(struct writer *writer)
{
    struct header header;

    memcpy(&header, dsdt_aml_code, sizeof(header));
    void *dsdt = take(writer, header.length);
    memcpy(dsdt, dsdt_aml_code, header.length);
    return address_of(writer, dsdt);
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

static uint64_t write_fadt(struct writer *writer, uint64_t dsdt)
{
    struct fadt *fadt = table(writer, "FACP", sizeof(*fadt), FADT_REVISION);

    fadt->dsdt = (uint32_t)dsdt;
    fadt->x_dsdt = dsdt;
    fadt->boot_architecture = BOOT_NO_VGA | BOOT_NO_CMOS_CLOCK;
    fadt->flags = FLAG_WBINVD | FLAG_C1 | FLAG_NO_POWER_BUTTON | FLAG_NO_SLEEP_BUTTON |
                  FLAG_RESET_REGISTER | FLAG_HW_REDUCED;
    fadt->reset = register_at(PLATFORM_RESET);
    fadt->reset_value = PLATFORM_RESET_VALUE;
    fadt->minor_revision = FADT_MINOR_REVISION;
    fadt->sleep_control = register_at(PLATFORM_SLEEP_CONTROL);
    fadt->sleep_status = register_at(PLATFORM_SLEEP_STATUS);
    memcpy(fadt->hypervisor, "MsHyperV", sizeof(fadt->hypervisor));
    finish(&fadt->header);
    return address_of(writer, fadt);
}

static uint64_t write_madt(struct writer *writer, uint32_t processors)
{
    uint32_t size = (uint32_t)(sizeof(struct madt) + processors * sizeof(struct madt_processor) +
                               sizeof(struct madt_io_apic));
    struct madt *madt = table(writer, "APIC", size, MADT_REVISION);
    uint8_t *at = (uint8_t *)(madt + 1);

    madt->local_apic = LOCAL_APIC_ADDRESS;
    for (uint32_t i = 0; i < processors; i++) {
        const struct madt_processor processor = {
            .length = sizeof(processor), .uid = (uint8_t)i, .apic = (uint8_t)i, .flags = 1};
        memcpy(at, &processor, sizeof(processor));
        at += sizeof(processor);
    }
    const struct madt_io_apic io_apic = {
        .type = 1, .length = sizeof(io_apic), .address = IO_APIC_ADDRESS};
    memcpy(at, &io_apic, sizeof(io_apic));
    finish(&madt->header);
    return address_of(writer, madt);
}

uint64_t acpi_write(struct machine *machine)
{
    struct writer writer = {
        .memory = guest_memory_at(&machine->memory, ACPI_START, ACPI_END - ACPI_START)};
    struct rsdp *rsdp = take(&writer, sizeof(*rsdp));
    uint64_t tables[2];

    tables[0] = write_fadt(&writer, write_dsdt(&writer));
    tables[1] = write_madt(&writer, machine->vcpu_count);
    struct header *xsdt = table(&writer, "XSDT", sizeof(*xsdt) + sizeof(tables), 1);
    memcpy(xsdt + 1, tables, sizeof(tables));
    finish(xsdt);
    memcpy(rsdp->signature, "RSD PTR ", sizeof(rsdp->signature));
    memcpy(rsdp->oem, "BAREBU", sizeof(rsdp->oem));
    rsdp->revision = 2;
    rsdp->length = sizeof(*rsdp);
    rsdp->xsdt = address_of(&writer, xsdt);
    rsdp->checksum = checksum(rsdp, offsetof(struct rsdp, length));
    rsdp->extended_checksum = checksum(rsdp, sizeof(*rsdp));
    return ACPI_START;
}
