/* SPDX-License-Identifier: MIT */
#ifndef TESTS_KMCL_TEST_H
#define TESTS_KMCL_TEST_H

/*
 * What the tests of KMCL share: a driver that records every callback it gets, over the real bus and
 * the fake host. What it does in a callback, a test sets in its hooks.
 */

#include "VmbusKernelModeClientLibApi.h"
#include "kernel/work.h"
#include "kmcl_extensions.h"
#include "vmbus_test.h"

#define RELID 5u

struct driver {
    VMBCHANNEL channel;
    char trace[1024]; /* a word a callback, with a blank behind it */
    NTSTATUS opened_status;
    NTSTATUS failure;

    /* In a state callback, by its letter in the trace: O S P U C F. */
    void (*on_state)(struct driver *driver, char letter);

    /* Incoming packets. The default completes each at once with nothing. */
    void (*on_packet)(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer,
                      UINT32 length);
    void (*on_batch)(struct driver *driver, UINT32 count);
    VMBPACKETCOMPLETION kept[256];
    unsigned kept_count;
    unsigned packets;
    unsigned batches;
    UINT32 batch_count; /* of the last one */
    enum irql level;    /* of the last delivery */
    UINT8 last[4096];
    UINT32 last_length;

    /* Outgoing packets. */
    unsigned completions;
    NTSTATUS completion_status;
    UINT8 completion[4096];
    UINT32 completion_length;
    enum irql completion_level;
    unsigned long long completed[1024]; /* pointers of the packets, in order */
};

int kmcl_test_setup(void **state);
int kmcl_test_teardown(void **state);

#define kmcl_test(function)                                                                        \
    cmocka_unit_test_setup_teardown(function, kmcl_test_setup, kmcl_test_teardown)

/* A disabled channel of the plain device RELID, with all callbacks set. */
void driver_make(struct driver *driver);

/* The same, offered, enabled, and run until nothing moves. */
void driver_start(struct driver *driver);

/* Disables and cleans up. */
void driver_end(struct driver *driver);

/* Lets everything happen that can. */
void settle(void);

/* A packet with a recording routine. `number` is what `completed` gets. */
VMBPACKET driver_packet(struct driver *driver, unsigned long long number);

/* The routine itself: records; frees the packet. */
EVT_VMB_PACKET_COMPLETION_ROUTINE recorded;

/* Sends `length` bytes, the first of them `number`. */
NTSTATUS driver_send(struct driver *driver, unsigned long long number, UINT32 length, UINT32 flags);

/* The next packet in the host's ring: must be there. Returns its payload's first word. */
UINT64 host_take(struct ring_packet_in *packet);
bool host_has_packet(void);

/* The host sends one word, which is the transaction's id too. */
void host_put_word(UINT64 word, bool wants_completion);

/* 1, 2, ... `count`: several at once, so that they are one batch. */
void host_put_burst(unsigned count, bool wants_completion);

/* For on_packet: completes nothing, the packet goes to `kept`. */
void driver_keep(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length);

/* Runs once, as passive work: in the middle of a wait. */
struct script {
    struct work_item item;
    void (*run)(struct driver *driver);
    struct driver *driver;
};
void script_start(struct script *script, struct driver *driver, void (*run)(struct driver *));

/* Answers the next request, which must be in the ring, with 16 bytes. */
void answer_next(struct driver *driver);

/* A limit of a wait, from now on. */
LARGE_INTEGER relative(int64_t delay);

/* Asks the host without external data, 16 bytes of answer_next() expected. Limit 0: none. */
NTSTATUS ask(struct driver *driver, int64_t limit);

#define assert_trace(driver, text) assert_string_equal((driver)->trace, text)

#endif
