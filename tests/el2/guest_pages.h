/* SPDX-License-Identifier: MIT */
#ifndef EL2_GUEST_PAGES_H
#define EL2_GUEST_PAGES_H

#include <stddef.h>
#include <stdint.h>

/*
 * Pages of the guest, by their frame numbers, as one contiguous piece of the host's address space.
 * NULL: one of them is no memory of the guest, or for lack of memory or room. The executive's
 * processor alone, at or below DISPATCH.
 */
void *guest_pages_map(const uint64_t *frames, size_t count);
void guest_pages_unmap(void *address, size_t count);

#endif
