/* SPDX-License-Identifier: MIT */
#ifndef BOOT_X86_64_UEFI_MAP_H
#define BOOT_X86_64_UEFI_MAP_H

#include <stdint.h>

/* Builds the map of a start by UEFI and returns what belongs into CR3. For uefi_entry.S, on
 * firmware's map. */
uint64_t uefi_boot_map(void);

#endif
