/* SPDX-License-Identifier: MIT */
#include "kernel/acpi.h"

#include <string.h>

#include "arch/cpu.h"
#include "kernel/log.h"

#define RSDP_SIZE_FIRST 20u

/* Choices: what is larger is no table but a mistake. */
#define TABLE_LENGTH_MAXIMUM (1u << 24)
#define TABLES_MAXIMUM       256u

/* The table of tables, with 4 or 8 bytes for each; NULL: there is none. */
static const struct acpi_header *root;
static size_t entry_size;

static bool sums_to_zero(const void *bytes, size_t size)
{
    uint8_t sum = 0;

    for (size_t i = 0; i < size; i++) {
        sum = (uint8_t)(sum + ((const uint8_t *)bytes)[i]);
    }
    return sum == 0;
}

const struct acpi_header *acpi_table_at(uint64_t address, const char *signature)
{
    struct acpi_header header;

    if (address == 0 || !arch_map_range(address, sizeof(header), ARCH_MAPPING_READ_ONLY)) {
        return NULL;
    }
    const void *table = (const void *)(uintptr_t)address;
    memcpy(&header, table, sizeof(header));
    if (memcmp(header.signature, signature, sizeof(header.signature)) != 0 ||
        header.length < sizeof(header) || header.length > TABLE_LENGTH_MAXIMUM ||
        !arch_map_range(address, header.length, ARCH_MAPPING_READ_ONLY) ||
        !sums_to_zero(table, header.length)) {
        return NULL;
    }
    return table;
}

void acpi_initialise(uint64_t address)
{
    struct acpi_rsdp rsdp = {0};

    root = NULL;
    if (address == 0) {
        return;
    }
    const void *found = (const void *)(uintptr_t)address;
    if (!arch_map_range(address, RSDP_SIZE_FIRST, ARCH_MAPPING_READ_ONLY) ||
        memcmp(found, "RSD PTR ", sizeof(rsdp.signature)) != 0 ||
        !sums_to_zero(found, RSDP_SIZE_FIRST)) {
        log_warning("kernel", "ACPI: there is no RSDP at 0x%llx", (unsigned long long)address);
        return;
    }
    memcpy(&rsdp, found, RSDP_SIZE_FIRST);
    if (rsdp.revision != 0 && arch_map_range(address, sizeof(rsdp), ARCH_MAPPING_READ_ONLY)) {
        memcpy(&rsdp, found, sizeof(rsdp));
    }
    if (rsdp.xsdt != 0) {
        root = acpi_table_at(rsdp.xsdt, "XSDT");
        entry_size = sizeof(uint64_t);
    }
    if (root == NULL) {
        root = acpi_table_at(rsdp.rsdt, "RSDT");
        entry_size = sizeof(uint32_t);
    }
    if (root == NULL) {
        log_warning("kernel", "ACPI: the RSDP leads to no tables");
    }
}

const struct acpi_header *acpi_table(const char *signature, unsigned index)
{
    if (root == NULL) {
        return NULL;
    }
    size_t count = (root->length - sizeof(*root)) / entry_size;
    for (size_t i = 0; i < count && i < TABLES_MAXIMUM; i++) {
        uint64_t address = 0;
        memcpy(&address, (const char *)(root + 1) + i * entry_size, entry_size);
        const struct acpi_header *table = acpi_table_at(address, signature);
        if (table != NULL && index-- == 0) {
            return table;
        }
    }
    return NULL;
}

bool acpi_fadt_read(struct acpi_fadt *fadt)
{
    const struct acpi_header *table = acpi_table("FACP", 0);

    memset(fadt, 0, sizeof(*fadt));
    if (table == NULL) {
        return false;
    }
    memcpy(fadt, table, table->length < sizeof(*fadt) ? table->length : sizeof(*fadt));
    return true;
}

const struct acpi_header *acpi_dsdt(const struct acpi_fadt *fadt)
{
    return acpi_table_at(fadt->x_dsdt != 0 ? fadt->x_dsdt : fadt->dsdt, "DSDT");
}
