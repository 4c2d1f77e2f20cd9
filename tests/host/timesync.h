/* SPDX-License-Identifier: MIT */
#ifndef HOST_TIMESYNC_H
#define HOST_TIMESYNC_H

#include "tests/host/device.h"

extern const struct host_device_type timesync_device_type;

#endif
