/* SPDX-License-Identifier: MIT */
#ifndef EL2_STAGE2_H
#define EL2_STAGE2_H

/* The guest's address space: what it calls physical, in terms of the machine. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum stage2_kind {
    STAGE2_MEMORY,
    STAGE2_DEVICE,
};

/*
 * Adds whole pages to what the guest sees. False: no memory for tables, or something is there
 * already. PASSIVE; the guest may be running.
 */
bool stage2_map(uint64_t guest_address, uint64_t address, uint64_t size, enum stage2_kind kind);

/*
 * Lays a page of the host over one of the guest's memory, which the guest sees in its place until
 * it is uncovered with what `under` got. False: there is no memory of the guest at this address, or
 * a page lies over it already. Any processor; no two at a time for one address.
 */
bool stage2_cover(uint64_t guest_address, void *page, uint64_t *under);
void stage2_uncover(uint64_t guest_address, uint64_t under);

/* Turns it on for this processor's guest. */
void stage2_use(void);

/*
 * Where `size` bytes of the guest's memory are for the host; NULL: not all of them are memory, or
 * they do not lie in one piece. Any processor.
 */
void *stage2_memory(uint64_t guest_address, uint64_t size);

#endif
