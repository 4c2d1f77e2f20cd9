/* SPDX-License-Identifier: MIT */
#ifndef HOST_ECHO_DEVICE_H
#define HOST_ECHO_DEVICE_H

#include "tests/host/device.h"

/* The sample driver of echo_server.h as a device that a host offers. */
extern const struct host_device_type echo_device_type;

#endif
