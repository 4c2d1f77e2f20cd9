/* SPDX-License-Identifier: MIT */
#ifndef EL2_REFERENCE_PAGE_H
#define EL2_REFERENCE_PAGE_H

/* The page by which a guest turns its counter into reference time (TLFS, Timers, "Partition
 * Reference TSC Mechanism"), one for all of its processors. Any processor. */

#include <stdint.h>

#include "hv/hypercall.h"

uint64_t reference_page_get(void);
hv_status reference_page_set(uint64_t value);

#endif
