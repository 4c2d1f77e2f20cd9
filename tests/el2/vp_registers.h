/* SPDX-License-Identifier: MIT */
#ifndef EL2_VP_REGISTERS_H
#define EL2_VP_REGISTERS_H

/* The hypervisor's registers, which a guest reaches with HvCallGet/SetVpRegisters. A name that this
 * host does not know ends the run. On the processor whose registers they are. */

#include <stdbool.h>
#include <stdint.h>

#include "hv/hypercall.h"
#include "tests/el2/processor.h"

hv_status vp_register_get(const struct processor *processor, uint32_t name, uint64_t *value);
hv_status vp_register_set(const struct processor *processor, uint32_t name, uint64_t value);

/* Whether the guest has said who it is, without which most hypercalls fail. */
bool vp_registers_guest_is_known(void);

#endif
