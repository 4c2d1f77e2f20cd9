/* SPDX-License-Identifier: MIT */
#ifndef EL2_PSCI_H
#define EL2_PSCI_H

/* Power State Coordination Interface (ARM DEN 0022), by HVC or SMC: the guest's calls go to QEMU,
 * except those about processors and the end. */

#include <stdbool.h>
#include <stdint.h>

#include "tests/el2/processor.h"

/* Whether it was such a call, or one of the SMC calling convention itself; then it is answered. */
bool psci_call(struct processor *processor);

/* Starts a processor of the machine at start_processor (start.S). */
void psci_start_processor(uint32_t index);

/* Ends this one. */
_Noreturn void psci_stop_processor(void);

#endif
