/* SPDX-License-Identifier: MIT */
/* The image was linked for address 0 and moves itself to where firmware put it. */
#include "boot/uefi_relocate.h"

struct relocation { /* Elf64_Rela: System V ABI, "Relocation" */
    uint64_t offset;
    uint64_t info;
    uint64_t addend;
};
_Static_assert(sizeof(struct relocation) == 24, "layout of Elf64_Rela");

bool uefi_relocate(char *image, const void *first, const void *end, uint32_t type)
{
    const struct relocation *stop = end;

    for (const struct relocation *at = first; at < stop; at++) {
        if (at->info != type) { /* this type, and no symbol */
            return false;
        }
        *(uint64_t *)(void *)(image + at->offset) = (uintptr_t)image + at->addend;
    }
    return true;
}
