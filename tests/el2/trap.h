/* SPDX-License-Identifier: MIT */
#ifndef EL2_TRAP_H
#define EL2_TRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/el2/processor.h"

/*
 * Acts on what took a guest's processor to EL2 (GUEST_LEFT_*); ends the run, and says where, if no
 * guest may do that. True: the guest waits for an interrupt.
 */
bool trap_handle(struct processor *processor, uint32_t why);

#endif
