/* SPDX-License-Identifier: MIT */
#ifndef VMM_TRACE_H
#define VMM_TRACE_H

/* What goes over the bus, one line each on standard error, decoded by the layouts of
 * vmbus/protocol.h. The executive's thread. */

#include <stdbool.h>
#include <stdint.h>

#include "hv/hypercall.h"

enum trace_direction {
    TRACE_FROM_GUEST,
    TRACE_TO_GUEST,
};

/* Nothing is printed before this. */
void trace_start(void);

/* `failed`: why it did not arrive; NULL: it did. */
void trace_message(enum trace_direction direction, const void *message, uint32_t size,
                   const char *failed);

/* What the hypercall of the last message returned, when it was refused. */
void trace_status(uint32_t connection_id, hv_status status);

#endif
