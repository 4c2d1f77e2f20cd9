/* SPDX-License-Identifier: MIT */
#include "tests/unit/server/move.h"

#include <stdlib.h>

#include "tests/unit/server/check.h"

#define OPEN_RESULT 6u
#define TORNDOWN    12u

struct device device;
uint8_t *rings;

struct saved save_server(void)
{
    struct saved saved = {0};
    size_t size;

    assert_int_equal(vmbus_server_save(loopback_server, NULL, 0, &saved.size), VMBUS_NO_MEMORY);
    saved.bytes = malloc(saved.size);
    assert_int_equal(vmbus_server_save(loopback_server, saved.bytes, saved.size - 1, &size),
                     VMBUS_NO_MEMORY);
    assert_int_equal(size, saved.size);
    assert_int_equal(vmbus_server_save(loopback_server, saved.bytes, saved.size, &size), VMBUS_OK);
    assert_int_equal(size, saved.size);
    return saved;
}

enum vmbus_server_restored restore_server(const struct saved *saved)
{
    return vmbus_server_restore(loopback_server, saved->bytes, saved->size);
}

void device_leave(struct device *leaving)
{
    if (leaving->channel != NULL) {
        if (device_state(leaving) == VMBUS_SERVER_CLOSING) {
            vmbus_server_close_done(leaving->channel);
        }
        vmbus_server_revoke(leaving->channel);
    }
    assert_null(leaving->channel);
}

void end_server(struct device *devices, size_t count)
{
    bool stuck = loopback.slot_stuck;

    vmbus_server_reset(loopback_server);
    for (size_t i = 0; i < count; i++) {
        device_leave(&devices[i]);
        devices[i] = (struct device){.offer = devices[i].offer, .echoes = devices[i].echoes};
    }
    loopback_replace(NULL);
    loopback.slot_stuck = stuck;
    loopback_log_clear();
}

void move_machine(bool waits)
{
    struct saved saved = save_server();

    end_server(&device, 1);
    device.waits = waits;
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    assert_int_equal(restore_server(&saved), VMBUS_SERVER_RESTORED);
    check_server(loopback_server, 0);
    free(saved.bytes);
}

void start_device(void)
{
    device_start(&device, RELID);
    guest_connect(VMBUS_VERSION_5_3);
    rings = pages_allocate_zeroed(RING_PAGES);
    assert_true(guest_gpadl(RELID, RELID, rings, RING_PAGES));
    loopback_log_clear();
}

void open_device(void)
{
    guest_open(RELID, 7, RELID, 2);
    loopback_log_clear();
    memset(device.calls, 0, sizeof(device.calls));
    device.call_count = 0;
}

void finish_device(void)
{
    device.waits = false;
    guest_unload();
    device_leave(&device);
    pages_free(rings, RING_PAGES);
}

void expect_usable(void)
{
    memset(rings, 0, RING_PAGES * PAGE_SIZE);
    loopback_log_clear();
    device.waits = false;
    guest_open(RELID, 30, RELID, 2);
    expect_answer(OPEN_RESULT, RELID, 30, 0);
    guest_close(RELID);
    guest_teardown(RELID, RELID);
    expect_answer(TORNDOWN, RELID, 0, 0);
}
