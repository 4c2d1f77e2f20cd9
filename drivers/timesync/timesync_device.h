/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_TIMESYNC_TIMESYNC_DEVICE_H
#define DRIVERS_TIMESYNC_TIMESYNC_DEVICE_H

#include "drivers/integration/integration.h"
#include "drivers/timesync/timesync.h"

/* For the driver and its tests. */
struct timesync_driver {
    struct integration_device device;
    struct timesync_status status;
};
extern struct timesync_driver timesync_driver;
void timesync_start(void);

#endif
