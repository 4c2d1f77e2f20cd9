/* SPDX-License-Identifier: MIT */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

/* The devices of --device: those of tests/host, by name, on this machine's bus. The executive's
 * thread, IRQL_PASSIVE. */

#include <stdbool.h>
#include <stdint.h>

#include "tests/host/device.h"
#include "vmbus/server/server.h"

#define DEVICES_MAXIMUM 16u   /* choice */
#define DEVICES_ALL     "all" /* in place of a name: one of each type */

struct devices {
    struct host_device *list[DEVICES_MAXIMUM];
    bool offered[DEVICES_MAXIMUM];
    uint32_t count;
};

/* Each type of device, its options and its commands. */
void devices_print_help(void);

/* Makes each of `texts` (name[,key=value]...), Disabled. Ends the process with one line if one
 * cannot be made. `events` is copied. */
void devices_create(struct devices *devices, struct vmbus_server *server, const char *const *texts,
                    uint32_t count, const struct host_output *events);

/* Offers what is not offered, or ends the process. What is started, works. */
void devices_enable(struct devices *devices);
void devices_start(struct devices *devices);
void devices_pause(struct devices *devices);

/* Takes all of them back. */
void devices_destroy(struct devices *devices);

/* The device of this name, and its place in the list; NULL: there is none. */
struct host_device *devices_find(struct devices *devices, const char *name, uint32_t *place);

#endif
