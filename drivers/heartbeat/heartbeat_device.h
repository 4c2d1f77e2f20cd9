/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_HEARTBEAT_HEARTBEAT_DEVICE_H
#define DRIVERS_HEARTBEAT_HEARTBEAT_DEVICE_H

#include "drivers/integration/integration.h"

/* For the driver and its tests. */
extern struct integration_device heartbeat_device;
void heartbeat_start(void);

#endif
