/* SPDX-License-Identifier: MIT */
#ifndef VMM_PLATFORM_H
#define VMM_PLATFORM_H

/* How the guest ends or resets the machine: I/O ports. */

#include <stdint.h>

struct machine;

void platform_create(struct machine *machine);

/* Sleep control and status of a hardware-reduced ACPI machine (ACPI 6.5, 4.8.3.7): acpi.c tells the
 * guest of them. S5 is the only state. */
#define PLATFORM_SLEEP_CONTROL 0x600u
#define PLATFORM_SLEEP_STATUS  0x601u
#define PLATFORM_SLEEP_TYPE_S5 5u

/* Reset control of a PC's chip set; acpi.c names it as the reset register too. */
#define PLATFORM_RESET       0xCF9u
#define PLATFORM_RESET_VALUE 0x06u

/* A byte was written there; for PCI's configuration ports, in whose midst it lies. */
void platform_reset_written(struct machine *machine, uint32_t value);

#endif
