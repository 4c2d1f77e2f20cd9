/* SPDX-License-Identifier: MIT */
#ifndef VMM_CMOS_H
#define VMM_CMOS_H

#include "tests/vmm/guest_memory.h"
#include "tests/vmm/ports.h"

/* A PC's clock, which shows this machine's time (UTC), and the bytes beside it in which firmware
 * looks for the size of memory. */
void cmos_create(struct ports *ports, const struct guest_memory *memory);

#endif
