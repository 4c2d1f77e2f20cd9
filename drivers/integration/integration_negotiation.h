/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_INTEGRATION_INTEGRATION_NEGOTIATION_H
#define DRIVERS_INTEGRATION_INTEGRATION_NEGOTIATION_H

#include "drivers/integration/integration_protocol.h"

/*
 * Turns the body of a negotiation request into its answer: of the framework versions, and of
 * `versions` (newest first, to 0.0), the first that the host offers exactly (the rule of Linux
 * vmbus_prep_negotiate_resp()). `size` is the body's, at least INTEGRATION_NEGOTIATE_ANSWER_SIZE.
 * Sets what was chosen, 0.0 twice if either has nothing in common or the lists reach beyond `size`;
 * returns the size of the answer's body. Any IRQL.
 */
uint16_t integration_negotiate(const struct integration_version *versions, void *body,
                               uint16_t size, struct integration_version *framework,
                               struct integration_version *version);

#endif
