/* SPDX-License-Identifier: MIT */
#include "tests/host/device.h"

#include "tests/host/echo_device.h"

const struct host_device_type *const host_device_types[] = {
    &echo_device_type,
    NULL,
};
