/* SPDX-License-Identifier: MIT */
#ifndef HOST_KVP_H
#define HOST_KVP_H

#include "tests/host/device.h"

extern const struct host_device_type kvp_device_type;

#endif
