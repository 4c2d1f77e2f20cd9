/* SPDX-License-Identifier: MIT */
#ifndef EL2_STIMER_H
#define EL2_STIMER_H

/*
 * The synthetic timers of the guest's processors (TLFS, Timers, "Synthetic Timers"), on the
 * executive's own: they expire when the executive runs. Once, not periodically.
 */

#include <stdbool.h>
#include <stdint.h>

#include "hv/hypercall.h"

/* Registers of the processor that asks, by their ARM64 names. Any processor. */
bool stimer_has_register(uint32_t name);
hv_status stimer_register_get(uint32_t vp, uint32_t name, uint64_t *value);
hv_status stimer_register_set(uint32_t vp, uint32_t name, uint64_t value);

/* PASSIVE, once; before the guest starts. */
void stimers_start(void);

/* Whether the guest wrote something that the executive has not taken up; and that it does so.
 * IRQL_DEVICE. */
bool stimers_are_written(void);
void stimers_interrupt(void);

#endif
