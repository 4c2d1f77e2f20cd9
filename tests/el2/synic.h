/* SPDX-License-Identifier: MIT */
#ifndef EL2_SYNIC_H
#define EL2_SYNIC_H

/* The synthetic interrupt controllers of the guest's processors, from the host's side (TLFS,
 * Inter-Partition Communication; hv/ has the guest's). Any processor. */

#include <stdbool.h>
#include <stdint.h>

#include "hv/hypercall.h"

/* Registers of the processor that asks, by their ARM64 names, which the caller knows to be ours. */
hv_status synic_register_get(uint32_t vp, uint32_t name, uint64_t *value);
hv_status synic_register_set(uint32_t vp, uint32_t name, uint64_t value);

enum synic_posted {
    SYNIC_POSTED,
    SYNIC_SLOT_BUSY, /* marked, so the guest will write its end-of-message register */
    SYNIC_OFF,       /* no such processor, or it has this source off */
};

/* Puts a message into the slot of a source and interrupts that processor. One call at a time. */
enum synic_posted synic_post(uint32_t vp, uint32_t sint, uint32_t type, const void *payload,
                             uint32_t size);

/* Sets an event flag of a source, and interrupts that processor if it was clear. False: no such
 * processor, or it has this source off. */
bool synic_event(uint32_t vp, uint32_t sint, uint32_t flag);

#endif
