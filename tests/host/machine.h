/* SPDX-License-Identifier: MIT */
#ifndef HOST_MACHINE_H
#define HOST_MACHINE_H

/*
 * What devices need of the machine that their guest runs on, beside the bus. Each host defines
 * these. The times at any IRQL, the rest at most DISPATCH.
 */

#include <stdbool.h>
#include <stdint.h>

/* The guest's reference counter (TLFS, partition reference counter): 100 ns units since the guest
 * was made, as the guest reads it. */
uint64_t machine_reference_time(void);

/* The host's wall clock: 100 ns units since 1601-01-01 UTC. */
uint64_t machine_wall_clock(void);

/* Pages of 4 KiB that the guest was started with. */
uint64_t machine_memory_pages(void);

/*
 * The guest gave these pages: their memory may be dropped, they read as zero if the guest touches
 * them. False: they are not the guest's memory, or given already; nothing has changed.
 */
bool machine_memory_take(uint64_t first_frame, uint64_t count);

/* Gives pages taken before back to the guest. False: there is no memory for them. */
bool machine_memory_return(uint64_t first_frame, uint64_t count);

/*
 * Adds memory to the guest: `count` pages at a frame that is a multiple of `alignment` pages; the
 * machine chooses where. False: this machine cannot.
 */
bool machine_memory_add(uint64_t count, uint64_t alignment, uint64_t *first_frame);

#endif
