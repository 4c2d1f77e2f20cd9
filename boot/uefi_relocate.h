/* SPDX-License-Identifier: MIT */
#ifndef BOOT_UEFI_RELOCATE_H
#define BOOT_UEFI_RELOCATE_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Adds the image's address to each word that the linker listed (Elf64_Rela). `type` is the
 * architecture's number of such a relocation (R_X86_64_RELATIVE, R_AARCH64_RELATIVE). The first
 * thing an entry calls; works before any address in the image is right. False: the linker left
 * another kind of relocation.
 */
bool uefi_relocate(char *image, const void *first, const void *end, uint32_t type);

#endif
