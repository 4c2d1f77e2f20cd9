/* SPDX-License-Identifier: MIT */
#ifndef VMM_BUS_H
#define VMM_BUS_H

/* The bus: vmbus/server with this machine below it (struct vmbus_server_host). It lives on the
 * executive's thread alone. */

#include "hv/hypercall.h"
#include "vmbus/server/server.h"

struct machine;
struct doorbell;

struct bus {
    struct machine *machine;
    struct vmbus_server *server;
    struct doorbell *doorbells;
};

void bus_create(struct bus *bus, struct machine *machine);

/* What the guest posted, or signalled past the doorbells; returns when the server has answered. On
 * the thread of a processor. */
hv_status bus_message(struct bus *bus, uint32_t connection_id, const void *payload, uint32_t size);
hv_status bus_signal(struct bus *bus, uint32_t connection_id, uint32_t flag);

#endif
