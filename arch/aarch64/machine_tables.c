/* SPDX-License-Identifier: MIT */
#include "arch/aarch64/machine_acpi.h"

#include <stdbool.h>
#include <string.h>

#include "arch/aarch64/interrupts.h"

/* FADT: the table's revision that has the field, and what Hyper-V writes there. */
#define FADT_REVISION_HYPERVISOR 6u
#define FADT_HYPERV              "MsHyperV"
#define FADT_ARM_PSCI            0x1u
#define FADT_ARM_BY_HVC          0x2u

/* MADT. */
#define MADT_ENTRIES               44u
#define MADT_PROCESSOR             11u /* GICC */
#define MADT_PROCESSOR_SIZE        76u
#define MADT_PROCESSOR_FRAME       60u
#define MADT_PROCESSOR_AFFINITY    68u
#define MADT_DISTRIBUTOR           12u /* GICD */
#define MADT_DISTRIBUTOR_SIZE      24u
#define MADT_DISTRIBUTOR_BASE      8u
#define MADT_DISTRIBUTOR_VERSION   20u
#define MADT_REDISTRIBUTORS        14u /* GICR */
#define MADT_REDISTRIBUTORS_SIZE   16u
#define MADT_REDISTRIBUTORS_BASE   4u
#define MADT_REDISTRIBUTORS_LENGTH 12u
#define REDISTRIBUTOR_SIZE         UINT64_C(0x20000)
#define VERSION_OF_FIRST_MADT      0u /* "see the registers" */
#define VERSION_3                  3u
#define VERSION_4                  4u

#define GTDT_VIRTUAL_TIMER 64u

#define SPCR_TYPE         36u
#define SPCR_TYPE_PL011   3u
#define SPCR_TYPE_GENERIC 14u /* the part of a PL011 that we use */
#define SPCR_SPACE        40u
#define SPCR_ADDRESS      44u

/* AML: a device, and an extended interrupt descriptor with one number. */
#define AML_EXTENDED         0x5bu
#define AML_DEVICE           0x82u
#define DESCRIPTOR_SIZE      9u
#define DESCRIPTOR_CONSUMER  0x1u
#define DESCRIPTOR_EDGE      0x2u
#define DESCRIPTOR_FLAGS     3u
#define DESCRIPTOR_INTERRUPT 5u

static uint32_t read32(const uint8_t *at)
{
    uint32_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

static uint64_t read64(const uint8_t *at)
{
    uint64_t value;

    memcpy(&value, at, sizeof(value));
    return value;
}

void machine_take_fadt(struct platform *machine, const struct acpi_fadt *fadt)
{
    if ((fadt->arm_boot & FADT_ARM_PSCI) != 0) {
        machine->conduit =
            (fadt->arm_boot & FADT_ARM_BY_HVC) != 0 ? PLATFORM_CONDUIT_HVC : PLATFORM_CONDUIT_SMC;
    }
    machine->names_hyperv =
        fadt->header.revision >= FADT_REVISION_HYPERVISOR &&
        memcmp(&fadt->hypervisor_vendor, FADT_HYPERV, sizeof(fadt->hypervisor_vendor)) == 0;
}

static void take_processor(struct platform *machine, const uint8_t *entry, uint64_t processor)
{
    uint64_t frame = read64(entry + MADT_PROCESSOR_FRAME);

    if (frame != 0 && machine->redistributors_size == 0 &&
        read64(entry + MADT_PROCESSOR_AFFINITY) == processor) {
        machine->redistributors = frame;
        machine->redistributors_size = REDISTRIBUTOR_SIZE;
    }
}

static void take_distributor(struct platform *machine, const uint8_t *entry)
{
    uint8_t version = entry[MADT_DISTRIBUTOR_VERSION];

    if (version == VERSION_3 || version == VERSION_4 || version == VERSION_OF_FIRST_MADT) {
        machine->distributor = read64(entry + MADT_DISTRIBUTOR_BASE);
    }
}

void machine_take_madt(struct platform *machine, const void *madt, size_t size, uint64_t processor)
{
    const uint8_t *bytes = madt;
    bool has_region = false;

    for (size_t at = MADT_ENTRIES; at + 2 <= size;) {
        const uint8_t *entry = bytes + at;
        size_t length = entry[1];
        if (length < 2 || length > size - at) {
            return;
        }
        if (entry[0] == MADT_PROCESSOR && length >= MADT_PROCESSOR_SIZE) {
            take_processor(machine, entry, processor);
        } else if (entry[0] == MADT_DISTRIBUTOR && length >= MADT_DISTRIBUTOR_SIZE) {
            take_distributor(machine, entry);
        } else if (entry[0] == MADT_REDISTRIBUTORS && length >= MADT_REDISTRIBUTORS_SIZE &&
                   !has_region) {
            has_region = true; /* of more than one the first has the boot processor's */
            machine->redistributors = read64(entry + MADT_REDISTRIBUTORS_BASE);
            machine->redistributors_size = read32(entry + MADT_REDISTRIBUTORS_LENGTH);
        }
        at += length;
    }
}

void machine_take_gtdt(struct platform *machine, const void *gtdt, size_t size)
{
    if (size >= GTDT_VIRTUAL_TIMER + sizeof(uint32_t)) {
        uint32_t interrupt = read32((const uint8_t *)gtdt + GTDT_VIRTUAL_TIMER);
        machine->timer_interrupt = interrupt_is_private(interrupt) ? interrupt : 0;
    }
}

void machine_take_spcr(struct platform *machine, const void *spcr, size_t size)
{
    const uint8_t *bytes = spcr;

    if (size >= SPCR_ADDRESS + sizeof(uint64_t) && bytes[SPCR_SPACE] == ACPI_SPACE_MEMORY &&
        (bytes[SPCR_TYPE] == SPCR_TYPE_PL011 || bytes[SPCR_TYPE] == SPCR_TYPE_GENERIC)) {
        machine->console = read64(bytes + SPCR_ADDRESS);
    }
}

/* ---- AML ---- */

/* Where something is in a piece of it; `size`: nowhere. */
static size_t find(const uint8_t *aml, size_t size, const void *what, size_t length)
{
    for (size_t at = 0; length <= size && at <= size - length; at++) {
        if (memcmp(aml + at, what, length) == 0) {
            return at;
        }
    }
    return size;
}

/* The length of a package from its first length byte on, as written in up to four bytes
 * (ACPI 20.2.4); 0: they are not all there. */
static size_t package_length(const uint8_t *aml, size_t size)
{
    if (size == 0) {
        return 0;
    }
    size_t more = aml[0] >> 6;
    if (more >= size) {
        return 0;
    }
    size_t length = more == 0 ? aml[0] & 0x3fu : aml[0] & 0xfu;
    for (size_t i = 1; i <= more; i++) {
        length |= (size_t)aml[i] << (8 * i - 4);
    }
    return length;
}

/* The innermost device that a place lies in: of those around it the one that begins last. */
static bool device_around(const uint8_t *aml, size_t size, size_t place, size_t *first,
                          size_t *length)
{
    for (size_t at = place; at-- > 0;) {
        if (aml[at] != AML_EXTENDED || aml[at + 1] != AML_DEVICE) {
            continue;
        }
        *first = at + 2;
        *length = package_length(aml + *first, size - *first);
        if (*length <= size - *first && place < *first + *length) {
            return true;
        }
    }
    return false;
}

static uint32_t interrupt_in(const uint8_t *device, size_t size)
{
    static const uint8_t head[] = {0x89, 0x06, 0x00};

    for (size_t at = 0; at < size;) {
        at += find(device + at, size - at, head, sizeof(head));
        if (at + DESCRIPTOR_SIZE > size) {
            return 0;
        }
        const uint8_t *descriptor = device + at;
        uint32_t interrupt = read32(descriptor + DESCRIPTOR_INTERRUPT);
        if ((descriptor[DESCRIPTOR_FLAGS] & ~0x18u) == (DESCRIPTOR_CONSUMER | DESCRIPTOR_EDGE) &&
            descriptor[DESCRIPTOR_FLAGS + 1] == 1 && interrupt_is_private(interrupt)) {
            return interrupt;
        }
        at++;
    }
    return 0;
}

uint32_t machine_find_vmbus(const void *aml, size_t size)
{
    static const char identity[] = "VMBus";
    const uint8_t *bytes = aml;

    for (size_t at = 0; at < size;) {
        size_t first;
        size_t length;
        at += find(bytes + at, size - at, identity, sizeof(identity));
        if (at < size && device_around(bytes, size, at, &first, &length)) {
            uint32_t interrupt = interrupt_in(bytes + first, length);
            if (interrupt != 0) {
                return interrupt;
            }
        }
        at++;
    }
    return 0;
}
