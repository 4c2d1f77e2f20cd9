/* SPDX-License-Identifier: MIT */
#include "tests/vmm/platform.h"

#include "tests/vmm/machine.h"

/* ACPI 6.5, 4.8.3.7: the type of sleep, and the bit that starts it. */
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK  7u
#define SLEEP_ENABLE     0x20u

#define RESET_NOW 0x04u /* in PLATFORM_RESET */

/* The keyboard controller: all that is left of it is that it has nothing to say, and resets. */
#define KEYBOARD_DATA    0x60u
#define KEYBOARD_COMMAND 0x64u
#define KEYBOARD_RESET   0xFEu

static void debug_exit(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    (void)offset;
    (void)size;
    machine_end(context, MACHINE_STATUS, (int)(value & 0x7F));
}

static void sleep_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    if (size == 1 && offset == 0 && (value & SLEEP_ENABLE) != 0 &&
        (value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == PLATFORM_SLEEP_TYPE_S5) {
        machine_end(context, MACHINE_POWER_OFF, 0);
    }
}

static uint32_t zero_read(void *context, uint16_t offset, unsigned size)
{
    (void)context;
    (void)offset;
    (void)size;
    return 0;
}

void platform_reset_written(struct machine *machine, uint32_t value)
{
    if ((value & RESET_NOW) != 0) {
        machine_end(machine, MACHINE_RESET, 0);
    }
}

static void reset_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    (void)offset;
    if (size == 1) {
        platform_reset_written(context, value);
    }
}

static void keyboard_write(void *context, uint16_t offset, uint32_t value, unsigned size)
{
    (void)offset;
    if (size == 1 && value == KEYBOARD_RESET) {
        machine_end(context, MACHINE_RESET, 0);
    }
}

void platform_create(struct machine *machine)
{
    const struct port_range ranges[] = {
        {(uint16_t)machine->options->debug_exit, 4, NULL, debug_exit, machine},
        {PLATFORM_SLEEP_CONTROL, 2, zero_read, sleep_write, machine},
        /* With firmware it is a part of PCI's. */
        {machine->options->firmware == NULL ? PLATFORM_RESET : 0, 1, zero_read, reset_write,
         machine},
        {KEYBOARD_DATA, 1, zero_read, NULL, machine},
        {KEYBOARD_COMMAND, 1, zero_read, keyboard_write, machine},
    };

    for (unsigned i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        if (ranges[i].first != 0) {
            ports_add(&machine->ports, &ranges[i]);
        }
    }
}
