/* SPDX-License-Identifier: MIT */
#include "tests/host/device.h"

#include "tests/host/dynamic_memory.h"
#include "tests/host/echo_device.h"
#include "tests/host/heartbeat.h"
#include "tests/host/kvp.h"
#include "tests/host/load.h"
#include "tests/host/shutdown.h"
#include "tests/host/timesync.h"

/* clang-format off */
const struct host_device_type *const host_device_types[] = {
    &heartbeat_device_type,
    &shutdown_device_type,
    &timesync_device_type,
    &kvp_device_type,
    &dynamic_memory_device_type,
    &load_device_type,
    &echo_device_type,
    NULL,
};
/* clang-format on */
