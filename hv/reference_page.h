/* SPDX-License-Identifier: MIT */
#ifndef HV_REFERENCE_PAGE_H
#define HV_REFERENCE_PAGE_H

/*
 * Reading the reference TSC page (TLFS, Timers, "Partition Reference TSC Mechanism"). Any IRQL.
 */

#include <stdbool.h>
#include <stdint.h>

#include "arch/hypervisor.h"
#include "hv/shared_memory.h"
#include "hv/tlfs.h"

/*
 * Choice of ours: a host changes the page when it migrates the guest or its own clock is
 * disciplined, never twice while a processor reads 24 bytes. If it changes during each of this many
 * reads it is not waited for any longer.
 */
#define HV_REFERENCE_PAGE_ATTEMPTS 8u

/* The upper half of the product: the scale is a fraction of 2^64, and 64 bits would lose it all. */
static inline uint64_t hv_reference_scale(uint64_t ticks, uint64_t scale)
{
    __extension__ typedef unsigned __int128 product;
    return (uint64_t)(((product)ticks * scale) >> 64);
}

/*
 * The reference time in 100 ns units. False: the page is not valid now, which may happen at any
 * time and end at any time; the reference counter has the time then.
 */
static inline bool hv_reference_page_read(struct hv_reference_tsc_page *page, uint64_t *time)
{
    for (unsigned attempt = 0; attempt < HV_REFERENCE_PAGE_ATTEMPTS; attempt++) {
        uint32_t sequence = shared_load_u32_acquire(&page->sequence);
        if (sequence == 0) {
            return false;
        }
        uint64_t scale = shared_load_u64(&page->scale);
        uint64_t offset = shared_load_u64(&page->offset);
        uint64_t ticks = arch_reference_counter();
        shared_load_fence();
        if (shared_load_u32(&page->sequence) == sequence) {
            *time = hv_reference_scale(ticks, scale) + offset;
            return true;
        }
    }
    return false;
}

#endif
