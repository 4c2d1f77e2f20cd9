/* SPDX-License-Identifier: MIT */
/*
 * The map between firmware's, which lies in memory that is free from now on, and the one that
 * arch_initialise_memory() builds: the first 4 GiB and the image, wherever it lies, one to one,
 * everything allowed, in pages of 2 MiB (Intel SDM volume 3, "4-Level Paging").
 */
#include "boot/x86_64/uefi_map.h"

#include "arch/x86_64/instructions.h"
#include "boot/uefi.h"

#define ENTRIES          512u
#define PAGE_TABLE       UINT64_C(0x003) /* present, writable */
#define PAGE_LARGE       UINT64_C(0x083) /* the same, 2 MiB */
#define PAGE_LARGE_SHIFT 21u
#define GIGABYTE_SHIFT   30u
#define ROOT_SHIFT       39u
#define LOW_GIGABYTES    4u
/* The image is smaller than 1 GiB: above, it lies in two pieces of this size at the most. */
#define HIGH_GIGABYTES   2u

#define CR4_57_BIT_ADDRESSES (UINT64_C(1) << 12)

/* First and one past the last byte of the image in memory (linker script). */
extern char image_start[], image_end[];

typedef uint64_t table[ENTRIES];

static table root __attribute__((aligned(4096)));
static table gigabytes[1 + HIGH_GIGABYTES] __attribute__((aligned(4096)));
static table megabytes[LOW_GIGABYTES + HIGH_GIGABYTES] __attribute__((aligned(4096)));

bool uefi_arch_can_take_over(const char **why)
{
    if ((control4_read() & CR4_57_BIT_ADDRESSES) != 0) {
        *why = "firmware runs with 5-level page tables, which cannot be left in long mode";
        return false;
    }
    return true;
}

static void map_gigabyte(uint64_t gigabyte, uint64_t *in_gigabytes, uint64_t *in_megabytes)
{
    for (uint64_t i = 0; i < ENTRIES; i++) {
        in_megabytes[i] = gigabyte << GIGABYTE_SHIFT | i << PAGE_LARGE_SHIFT | PAGE_LARGE;
    }
    in_gigabytes[gigabyte % ENTRIES] = (uintptr_t)in_megabytes | PAGE_TABLE;
    root[gigabyte >> (ROOT_SHIFT - GIGABYTE_SHIFT)] = (uintptr_t)in_gigabytes | PAGE_TABLE;
}

uint64_t uefi_boot_map(void)
{
    uint64_t first = (uintptr_t)image_start >> GIGABYTE_SHIFT;
    uint64_t last = ((uintptr_t)image_end - 1) >> GIGABYTE_SHIFT;

    for (uint64_t gigabyte = 0; gigabyte < LOW_GIGABYTES; gigabyte++) {
        map_gigabyte(gigabyte, gigabytes[0], megabytes[gigabyte]);
    }
    for (uint64_t i = 0; i < HIGH_GIGABYTES && first + i <= last; i++) {
        uint64_t gigabyte = first + i;
        if (gigabyte < LOW_GIGABYTES) {
            continue;
        }
        /* In the same table as what is mapped already, or in one of its own. */
        bool low = gigabyte < ENTRIES;
        bool same = i > 0 && gigabyte % ENTRIES != 0;
        map_gigabyte(gigabyte, gigabytes[low ? 0 : same ? 1 : 1 + i], megabytes[LOW_GIGABYTES + i]);
    }
    return (uintptr_t)root;
}
