/* SPDX-License-Identifier: MIT */
#ifndef VMM_HYPERCALL_H
#define VMM_HYPERCALL_H

#include <stdint.h>

struct machine;

/*
 * The hypercalls that KVM leaves to us: HvPostMessage, and HvSignalEvent for connections without a
 * doorbell. `control` and `input` as the guest gave them. Returns the result word. On the thread of
 * a processor; the guest's other processors may change the input meanwhile.
 */
uint64_t hypercall(struct machine *machine, uint64_t control, uint64_t input);

#endif
