/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_PAGE_ENTRY_H
#define ARCH_AARCH64_PAGE_ENTRY_H

#include <stdint.h>

#include "arch/aarch64/mmu.h"

/* Bits of an entry of a table (Arm ARM, "VMSAv8-64 descriptors", granule of 4 KiB, stage 1). */
#define PAGE_ENTRY_PRESENT    UINT64_C(0x1)
#define PAGE_ENTRY_NOT_BLOCK  UINT64_C(0x2) /* a table, or a page of the last level */
#define PAGE_ENTRY_TABLE      (PAGE_ENTRY_PRESENT | PAGE_ENTRY_NOT_BLOCK)
#define PAGE_ENTRY_PAGE       (PAGE_ENTRY_PRESENT | PAGE_ENTRY_NOT_BLOCK)
#define PAGE_ENTRY_BLOCK      PAGE_ENTRY_PRESENT
#define PAGE_ENTRY_READ_ONLY  (UINT64_C(1) << 7)
#define PAGE_ENTRY_SHARED     (UINT64_C(3) << 8)  /* inner shareable */
#define PAGE_ENTRY_ACCESSED   (UINT64_C(1) << 10) /* else the first access faults */
#define PAGE_ENTRY_NO_EXECUTE (UINT64_C(3) << 53) /* at any level of privilege */
#define PAGE_ENTRY_NO_USER    (UINT64_C(1) << 54)
#define PAGE_ENTRY_ADDRESS    UINT64_C(0x0000fffffffff000)

#define PAGE_ENTRY_MEMORY                                                                          \
    (PAGE_ENTRY_ACCESSED | PAGE_ENTRY_SHARED | ((uint64_t)MMU_ATTRIBUTE_MEMORY << 2))
#define PAGE_ENTRY_DEVICE (PAGE_ENTRY_ACCESSED | ((uint64_t)MMU_ATTRIBUTE_DEVICE << 2))
#define PAGE_ENTRY_UNCACHED                                                                        \
    (PAGE_ENTRY_ACCESSED | PAGE_ENTRY_SHARED | ((uint64_t)MMU_ATTRIBUTE_UNCACHED << 2))

#endif
