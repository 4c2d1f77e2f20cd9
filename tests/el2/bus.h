/* SPDX-License-Identifier: MIT */
#ifndef EL2_BUS_H
#define EL2_BUS_H

/*
 * Between the guest's hypercalls and the bus server: messages and signals are taken on the
 * processor that the guest called from, and worked on when the executive runs.
 */

#include <stdbool.h>
#include <stdint.h>

#include "hv/hypercall.h"

struct vmbus_server;

/* Makes the server; NULL: no memory, or the version that the command line asks for is none.
 * PASSIVE. */
struct vmbus_server *bus_start(void);

/* ---- the guest's side; any processor ---- */

/* HvPostMessage, HvSignalEvent, a write of the end-of-message register. */
hv_status bus_post(uint32_t connection_id, const void *payload, uint32_t size);
hv_status bus_signal(uint32_t connection_id, uint32_t flag);
void bus_slot_free(void);

/* Whether anything of this waits for the executive, and that it may have it when it runs next. */
bool bus_is_pending(void);
void bus_release(void);

/* Whether the guest has ended a message, so that the next one is what is pending. */
bool bus_guest_takes(void);

/* ---- the executive's side ---- */

/* Has the server work on what was released, at DISPATCH. IRQL_DEVICE. */
void bus_interrupt(void);

#endif
