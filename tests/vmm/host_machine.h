/* SPDX-License-Identifier: MIT */
#ifndef VMM_HOST_MACHINE_H
#define VMM_HOST_MACHINE_H

struct machine;

/* The machine that tests/host/machine.h speaks of. */
void host_machine_create(struct machine *of);

#endif
