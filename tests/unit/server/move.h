/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SERVER_MOVE_H
#define TESTS_SERVER_MOVE_H

/*
 * What the tests of saving share: one device and its rings, and a server that is saved, ends, and
 * is followed by another one.
 */

#include "tests/unit/server/device.h"

#define RELID 3u

extern struct device device;
extern uint8_t *rings;

struct saved {
    uint8_t *bytes;
    size_t size;
};

/* The server's bytes, which the caller frees. Shorter memory is refused. */
struct saved save_server(void);
enum vmbus_server_restored restore_server(const struct saved *saved);

/* The end of an owner's process, as far as the server is concerned. */
void device_leave(struct device *leaving);

/* Ends the old server without a word to the guest. */
void end_server(struct device *devices, size_t count);

/* Saves, ends the old process, offers the same device in the new one and restores. */
void move_machine(bool waits);

/* The device, a guest that is connected, the GPADL of the rings. */
void start_device(void);
void open_device(void);
/* Ends what start_device() began. */
void finish_device(void);

/* Whether the guest can open, use and close the device as if nothing had been. */
void expect_usable(void);

#endif
