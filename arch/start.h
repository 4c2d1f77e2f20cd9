/* SPDX-License-Identifier: MIT */
#ifndef ARCH_START_H
#define ARCH_START_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/memory_map.h"

/* What start-up asks of an architecture, in this order, each once, interrupts off until the kernel
 * turns them on. */

/* The console, struct cpu, and exceptions that say what happened. From here on log and panic work.
 */
void arch_initialise_processor(void);

/*
 * Maps the memory of the map and the image one to one with the least permissions that do: text
 * executable, constants read-only, page 0 and the page below the stack not at all. Takes what its
 * tables need off the map. False: the map has no room for them.
 */
bool arch_initialise_memory(struct memory_map *map);

/* How the machine is switched off and reset, out of ACPI's tables and what firmware left. Pages can
 * be allocated. */
struct boot_info;
void arch_initialise_power(const struct boot_info *info);

/* The interrupt controller of this processor, everything masked. */
void arch_initialise_interrupts(void);

/*
 * Registers the processor's own counter and timer as clock source and clock event device, below
 * whatever a hypervisor offers that costs no more. Called after the hypervisor's layer was started:
 * frequencies that nobody knew by then are measured here.
 */
void arch_register_clocks(void);

#endif
