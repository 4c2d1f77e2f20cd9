/* SPDX-License-Identifier: MIT */
#ifndef HOST_HEARTBEAT_H
#define HOST_HEARTBEAT_H

#include "tests/host/device.h"

extern const struct host_device_type heartbeat_device_type;

#endif
