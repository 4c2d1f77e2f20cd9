/* SPDX-License-Identifier: MIT */
#ifndef HOST_DYNAMIC_MEMORY_H
#define HOST_DYNAMIC_MEMORY_H

#include "tests/host/device.h"

extern const struct host_device_type dynamic_memory_device_type;

#endif
