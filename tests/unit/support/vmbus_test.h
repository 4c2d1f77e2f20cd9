/* SPDX-License-Identifier: MIT */
#ifndef TESTS_VMBUS_TEST_H
#define TESTS_VMBUS_TEST_H

/* What the tests of the bus share: a fresh host for each, and an owner that counts its callbacks.
 */

#include "fake_host.h"
#include "kernel/irql.h"
#include "test_arch.h"
#include "test_memory.h"
#include "vmbus/vmbus.h"

#define VERSION_OF(major, minor) ((uint32_t)(major) << 16 | (minor))

struct test_owner {
    struct vmbus_channel_owner callbacks;
    struct vmbus_channel *channel;
    unsigned events;
    unsigned rescinds;
    bool closed; /* an event now is an error */
};

/* Each test: a new host; afterwards disconnected, nothing left over, and no complaint of the host.
 */
int vmbus_test_setup(void **state);
int vmbus_test_teardown(void **state);

#define bus_test(function)                                                                         \
    cmocka_unit_test_setup_teardown(function, vmbus_test_setup, vmbus_test_teardown)

/* The counters since the test began. */
struct vmbus_statistics vmbus_test_counts(void);

/* Connects and expects it to work. */
void vmbus_test_connect(void);

/* Adds a plain channel, with its events and rescinds counted. Claims it; connects first if it must.
 */
void vmbus_test_claim(struct test_owner *owner, uint32_t relid);

/* The same, opened with this many data pages each way. */
void vmbus_test_open(struct test_owner *owner, uint32_t relid, uint32_t outgoing_pages,
                     uint32_t incoming_pages);

/* Closes what is open, and gives it back. */
void vmbus_test_give_back(struct test_owner *owner);

/* How often a text is on the console. */
unsigned vmbus_test_lines(const char *text);

/* The channel object of a number, or NULL. */
struct vmbus_channel *vmbus_test_channel(uint32_t relid);

#endif
