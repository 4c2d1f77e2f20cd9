/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_BOOT_MAP_H
#define ARCH_AARCH64_BOOT_MAP_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The map of the start: only what is known to be memory may be mapped as such, since a processor
 * reads ahead in it. It is in use until arch_initialise_memory() has built a map with permissions.
 */

/* Bytes of a block of this map. */
#define BOOT_MAP_BLOCK (UINT64_C(2) << 20)

/*
 * Makes the map anew, with the image, and returns the address of its first table. Start code calls
 * it with the MMU off: it writes to nothing but the tables, and what it reads and calls needs no
 * relocation.
 */
uint64_t boot_map_build(void);

/* Map the blocks that the range (bytes) touches, as ordinary memory or as device registers. False:
 * there is no table left, or the address is out of reach. Before arch_initialise_memory(). */
bool boot_map_memory(uint64_t base, uint64_t size);
bool boot_map_device(uint64_t address);

#endif
