/* SPDX-License-Identifier: MIT */
#include "arch/aarch64/machine_acpi.h"

#include "arch/aarch64/instructions.h"

static void take_dsdt(struct platform *machine, const struct acpi_fadt *fadt)
{
    const struct acpi_header *dsdt = acpi_dsdt(fadt);

    if (dsdt != NULL) {
        machine->vmbus_interrupt = machine_find_vmbus(dsdt + 1, dsdt->length - sizeof(*dsdt));
    }
}

void machine_from_acpi(struct platform *machine)
{
    const struct acpi_header *table;
    struct acpi_fadt fadt;

    if (acpi_fadt_read(&fadt)) {
        machine_take_fadt(machine, &fadt);
        take_dsdt(machine, &fadt);
    }
    if ((table = acpi_table("APIC", 0)) != NULL) {
        machine_take_madt(machine, table, table->length,
                          processor_affinity_read() & PROCESSOR_AFFINITY_MASK);
    }
    if ((table = acpi_table("GTDT", 0)) != NULL) {
        machine_take_gtdt(machine, table, table->length);
    }
    if ((table = acpi_table("SPCR", 0)) != NULL) {
        machine_take_spcr(machine, table, table->length);
    }
}
