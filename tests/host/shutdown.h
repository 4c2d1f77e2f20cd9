/* SPDX-License-Identifier: MIT */
#ifndef HOST_SHUTDOWN_H
#define HOST_SHUTDOWN_H

#include "tests/host/device.h"

extern const struct host_device_type shutdown_device_type;

#endif
