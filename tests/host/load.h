/* SPDX-License-Identifier: MIT */
#ifndef HOST_LOAD_H
#define HOST_LOAD_H

#include "tests/host/device.h"

extern const struct host_device_type load_device_type;

#endif
