/* SPDX-License-Identifier: MIT */
#ifndef HOST_DEVICE_SET_H
#define HOST_DEVICE_SET_H

/* All devices of a host, by name, and the commands of whoever drives it. All calls PASSIVE. */

#include "tests/host/device.h"
#include "vmbus/server/server.h"

#define HOST_DEVICES_MAXIMUM 16u /* choice */

struct host_device_set {
    struct vmbus_server *server;
    struct host_device *list[HOST_DEVICES_MAXIMUM];
    bool offered[HOST_DEVICES_MAXIMUM];
    uint32_t count;
};

/* An empty set on this bus. */
void host_devices_initialise(struct host_device_set *set, struct vmbus_server *server);

/* In place of a type: one of each. */
#define HOST_DEVICES_ALL "all"

/*
 * Makes a device of "type[,key=value]...", Disabled. False, with a line: it cannot be made, there
 * is one of its name, or there are too many. `events` is copied.
 */
bool host_devices_add(struct host_device_set *set, const char *text,
                      const struct host_output *events, const struct host_output *errors);

/* Offers each that is not offered, paused. False, with a line: the bus refuses one. */
bool host_devices_enable(struct host_device_set *set, const struct host_output *errors);

/* Those that are offered. */
void host_devices_start(struct host_device_set *set);
void host_devices_pause(struct host_device_set *set);

/* Takes all of them back and frees them. */
void host_devices_destroy(struct host_device_set *set);

/*
 * Runs one line: `devices`, `device NAME COMMAND`, `rescind NAME`, `offer NAME`,
 * `bus`. False: there is no such command, or it was refused; the reply says why.
 */
bool host_devices_command(struct host_device_set *set, const char *line,
                          const struct host_output *reply);

/* A line for each of these commands. */
void host_devices_help(const struct host_output *reply);

#endif
