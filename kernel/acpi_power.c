/* SPDX-License-Identifier: MIT */
#include "kernel/acpi_power.h"

#include <string.h>

/* ACPI 20.2: encodings of what stands in _S5_. */
#define AML_ZERO         0x00u
#define AML_ONE          0x01u
#define AML_NAME         0x08u
#define AML_BYTE_PREFIX  0x0au
#define AML_WORD_PREFIX  0x0bu
#define AML_DWORD_PREFIX 0x0cu
#define AML_PACKAGE      0x12u
#define AML_ROOT         '\\'

#define SLEEP_TYPE_MAXIMUM 7u

/* Bytes of AML that are still to be read. */
struct aml {
    const uint8_t *at;
    size_t left;
};

static bool take_byte(struct aml *aml, uint8_t *byte)
{
    if (aml->left == 0) {
        return false;
    }
    *byte = *aml->at++;
    aml->left--;
    return true;
}

/* The number of bytes that follow is in the upper two bits of the first. What the length counts is
 * not needed: elements are few, and each is checked. */
static bool skip_package_length(struct aml *aml)
{
    uint8_t byte;

    if (!take_byte(aml, &byte)) {
        return false;
    }
    for (unsigned more = byte >> 6; more > 0; more--) {
        if (!take_byte(aml, &byte)) {
            return false;
        }
    }
    return true;
}

/* A constant small enough for a sleep type. */
static bool take_sleep_type(struct aml *aml, uint8_t *type)
{
    uint8_t prefix;
    uint8_t byte;
    unsigned more = 0;

    if (!take_byte(aml, &prefix)) {
        return false;
    }
    switch (prefix) {
    case AML_ZERO:
    case AML_ONE:
        *type = prefix;
        return true;
    case AML_BYTE_PREFIX:
        break;
    case AML_WORD_PREFIX:
        more = 1;
        break;
    case AML_DWORD_PREFIX:
        more = 3;
        break;
    default:
        return false;
    }
    if (!take_byte(aml, type) || *type > SLEEP_TYPE_MAXIMUM) {
        return false;
    }
    for (; more > 0; more--) {
        if (!take_byte(aml, &byte) || byte != 0) {
            return false;
        }
    }
    return true;
}

/* What stands behind the name. */
static bool take_package(struct aml aml, uint8_t types[2])
{
    uint8_t byte;
    uint8_t elements;

    return take_byte(&aml, &byte) && byte == AML_PACKAGE && skip_package_length(&aml) &&
           take_byte(&aml, &elements) && elements >= 2 && take_sleep_type(&aml, &types[0]) &&
           take_sleep_type(&aml, &types[1]);
}

bool acpi_power_find_s5(uint8_t types[2], const uint8_t *aml, size_t size)
{
    static const char name[4] = {'_', 'S', '5', '_'};
    uint8_t found[2];

    for (size_t i = 1; i + sizeof(name) <= size; i++) {
        if (memcmp(aml + i, name, sizeof(name)) != 0) {
            continue;
        }
        bool is_named =
            aml[i - 1] == AML_NAME || (i >= 2 && aml[i - 1] == AML_ROOT && aml[i - 2] == AML_NAME);
        struct aml rest = {aml + i + sizeof(name), size - i - sizeof(name)};
        if (is_named && take_package(rest, found)) {
            memcpy(types, found, sizeof(found));
            return true;
        }
    }
    return false;
}

static bool is_reachable(const struct acpi_address *address)
{
    return address->address != 0 &&
           (address->space == ACPI_SPACE_MEMORY ||
            (address->space == ACPI_SPACE_IO && address->address <= UINT16_MAX));
}

/* The 64-bit form of an address if it is usable, else the port that FADTs had before it. */
static struct acpi_address choose(const struct acpi_address *wide, uint32_t port)
{
    if (is_reachable(wide)) {
        return *wide;
    }
    struct acpi_address old = {.space = ACPI_SPACE_IO, .bit_width = 16, .address = port};
    return is_reachable(&old) ? old : (struct acpi_address){0};
}

void acpi_power_take_fadt(struct acpi_power *power, const struct acpi_fadt *fadt)
{
    *power = (struct acpi_power){0};
    if ((fadt->flags & ACPI_FADT_HARDWARE_REDUCED) != 0) {
        if (is_reachable(&fadt->sleep_control)) {
            power->sleep_control = fadt->sleep_control;
        }
    } else {
        power->pm1_control[0] = choose(&fadt->x_pm1a_control, fadt->pm1a_control);
        power->pm1_control[1] = choose(&fadt->x_pm1b_control, fadt->pm1b_control);
        if (fadt->smi_command <= UINT16_MAX && fadt->acpi_enable != 0) {
            power->smi_command = fadt->smi_command;
            power->acpi_enable = fadt->acpi_enable;
        }
    }
    if ((fadt->flags & ACPI_FADT_RESET_REGISTER) != 0 && is_reachable(&fadt->reset_register)) {
        power->reset_register = fadt->reset_register;
        power->reset_value = fadt->reset_value;
    }
}

static bool find_in(const struct acpi_header *table, uint8_t types[2])
{
    return table != NULL &&
           acpi_power_find_s5(types, (const uint8_t *)(table + 1), table->length - sizeof(*table));
}

void acpi_power_read(struct acpi_power *power)
{
    struct acpi_fadt fadt;
    const struct acpi_header *table;

    *power = (struct acpi_power){0};
    if (!acpi_fadt_read(&fadt)) {
        return;
    }
    acpi_power_take_fadt(power, &fadt);
    bool found = find_in(acpi_dsdt(&fadt), power->sleep_type);
    for (unsigned i = 0; !found && (table = acpi_table("SSDT", i)) != NULL; i++) {
        found = find_in(table, power->sleep_type);
    }
    power->can_power_off =
        found && (power->pm1_control[0].address != 0 || power->sleep_control.address != 0);
}
