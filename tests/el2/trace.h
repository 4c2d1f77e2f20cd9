/* SPDX-License-Identifier: MIT */
#ifndef EL2_TRACE_H
#define EL2_TRACE_H

#include <stdint.h>

enum trace_direction {
    TRACE_FROM_GUEST,
    TRACE_TO_GUEST,
    TRACE_LOST, /* the guest has no slot for it */
};

/* One line for a message of the bus, if `trace` is on the command line. At most DISPATCH. */
void trace_message(enum trace_direction direction, const void *payload, uint32_t size);

#endif
