/* SPDX-License-Identifier: MIT */
#include "tests/unit/server/channel.h"

struct vmbus_server_statistics counts(void)
{
    struct vmbus_server_statistics out;

    vmbus_server_statistics(loopback_server, &out);
    return out;
}

void open_channel(void)
{
    guest_open(RELID, 7, RELID, 2);
    loopback_log_clear();
}

void finish_channel(void)
{
    device.waits = false;
    if (device.channel != NULL) {
        if (device_state(&device) == VMBUS_SERVER_CLOSING) {
            vmbus_server_close_done(device.channel);
        }
        vmbus_server_revoke(device.channel);
    }
    assert_null(device.channel);
    guest_unload();
    pages_free(rings, RING_PAGES);
}

void bring_to(enum vmbus_server_state state)
{
    switch (state) {
    case VMBUS_SERVER_OPENING:
        device.waits = true;
        open_channel();
        break;
    case VMBUS_SERVER_OPEN:
        open_channel();
        break;
    case VMBUS_SERVER_CLOSING:
        open_channel();
        device.waits = true;
        guest_close(RELID);
        break;
    default:
        break;
    }
    assert_int_equal(device_state(&device), state);
    device.call_count = 0;
    memset(device.calls, 0, sizeof(device.calls));
    loopback_log_clear();
}
