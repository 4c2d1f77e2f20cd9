/* SPDX-License-Identifier: MIT */
#ifndef EL2_HYPERCALL_H
#define EL2_HYPERCALL_H

/* What a guest asks of the hypervisor by HVC (TLFS, Hypercall Interface, ARM64). */

#include <stdint.h>

#include "tests/el2/processor.h"

/*
 * Both conventions: HVC #0 with the SMC calling convention's vendor call, and HVC #1. PSCI by HVC
 * goes on to psci_call(). A call that this host does not know ends the run.
 */
void hypercall_handle(struct processor *processor, uint32_t immediate);

/* Ends the run: the guest called for something by `instruction` that this host does not know. */
_Noreturn void hypercall_unknown(const struct processor *processor, const char *instruction);

#endif
