/* SPDX-License-Identifier: MIT */
#ifndef EL2_EXECUTIVE_H
#define EL2_EXECUTIVE_H

/*
 * The executive (kernel/) at EL2. It is one processor of its own, with a stack of its own, that any
 * processor of the machine may lend itself to: what the guest did has happened when the executive
 * runs next, as interrupts; when it would halt, it gives the machine's processor back, which goes
 * on with the guest. So whatever waits in the host, in any layer, the guest runs meanwhile.
 */

#include <stdint.h>

#include "kernel/boot_info.h"

/* Before the first executive_run(), on the boot processor. `info` is what kernel_start() gets. */
void executive_initialise(struct boot_info *info);

/*
 * Runs it until it has nothing to do. If another processor is at it, that comes to an end first, so
 * what this one did before the call is taken up in any case. Never returns once the host has ended.
 */
void executive_run(void);

/* When it wants to be run next, in ticks of the counter; UINT64_MAX: not by itself. */
uint64_t executive_deadline(void);

/* What happened on the machine: called when the executive is given a processor, at IRQL_DEVICE. */
void machine_interrupt(void);

/* main() of the host has made the guest ready to start. */
void machine_start_guest(void);

#endif
