/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_MACHINE_ACPI_H
#define ARCH_AARCH64_MACHINE_ACPI_H

#include <stddef.h>
#include <stdint.h>

#include "arch/aarch64/platform.h"
#include "kernel/acpi.h"

/* Fills in what firmware's tables tell. IRQL_PASSIVE, after acpi_initialise(). */
void machine_from_acpi(struct platform *machine);

/*
 * The parts of it that look at bytes only (machine_tables.c; ACPI Specification 6.5, 5.2; SPCR:
 * Microsoft, "Serial Port Console Redirection Table"). `size` bytes can be read; what is not in
 * them is not told.
 */
void machine_take_fadt(struct platform *machine, const struct acpi_fadt *fadt);
/* `processor` is MPIDR_EL1's affinity of the processor this runs on. */
void machine_take_madt(struct platform *machine, const void *madt, size_t size, uint64_t processor);
void machine_take_gtdt(struct platform *machine, const void *gtdt, size_t size);
void machine_take_spcr(struct platform *machine, const void *spcr, size_t size);

/*
 * The interrupt of the device in AML whose identity is "VMBus": the one extended interrupt
 * descriptor in it that is a private interrupt, on an edge (ACPI 6.4.3.6). 0: there is none.
 */
uint32_t machine_find_vmbus(const void *aml, size_t size);

#endif
