/* SPDX-License-Identifier: MIT */
#ifndef EL2_DEVICE_TREE_H
#define EL2_DEVICE_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct guest_description {
    uint32_t processors;
    uint64_t memory; /* bytes from GUEST_RAM_BASE on */
    bool by_smc;     /* PSCI's conduit; else HVC */
    bool timerless;  /* nothing is said of the processors' timers */
    const char *boot_arguments;
};

/*
 * Writes the device tree of the guest's machine, as a blob of the flattened form (Devicetree
 * Specification, chapter 5). Returns its size; 0: it takes more than `capacity` bytes. `memory` is
 * aligned to 8.
 */
size_t device_tree_write(void *memory, size_t capacity, const struct guest_description *guest);

#endif
