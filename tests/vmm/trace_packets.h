/* SPDX-License-Identifier: MIT */
#ifndef VMM_TRACE_PACKETS_H
#define VMM_TRACE_PACKETS_H

/*
 * The packets in the rings of open channels, one line each on standard error. They are looked for
 * when either end signals, and when the channel closes. Nothing in the rings is changed: a reader
 * of its own goes over each, on a copy of the control page. What was overwritten before it was
 * looked for is said to be missed. The executive's thread.
 */

#include "vmbus/server/server.h"

/* Nothing is printed before this. */
void trace_packets_start(void);

/* The channel has been opened; goes on where the rings are now. */
void trace_packets_opened(struct vmbus_server *server, uint32_t relid);

/* Somebody signalled. */
void trace_packets_signalled(uint32_t relid);

/* The rings are about to be unmapped. */
void trace_packets_closed(uint32_t relid);

#endif
