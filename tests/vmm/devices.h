/* SPDX-License-Identifier: MIT */
#ifndef VMM_DEVICES_H
#define VMM_DEVICES_H

/* The devices of --device: a set of those of tests/host, on this machine's bus. The executive's
 * thread, IRQL_PASSIVE. */

#include <stdint.h>

#include "tests/host/device_set.h"

/* Each type of device, its options and its commands. */
void devices_print_help(void);

/* Makes each of `texts`, as host_devices_add(). Ends the process if one cannot be made. */
void devices_create(struct host_device_set *devices, const char *const *texts, uint32_t count,
                    const struct host_output *events);

/* Offers what is not offered, or ends the process. */
void devices_enable(struct host_device_set *devices);

#endif
