/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PAIR_H
#define TESTS_PAIR_H

/*
 * A client's and a server's end of one channel in one process: KMCL against KMCL, over the guest's
 * bus and the host's, with the loopback between them. Each end records the callbacks it gets; what
 * it does in one, a test sets in its hooks.
 */

#include "VmbusKernelModeClientLibApi.h"
#include "kernel/irql.h"
#include "kmcl_extensions.h"
#include "loopback.h"
#include "test_arch.h"
#include "test_memory.h"
#include "vmbus/vmbus.h"

#define WAIT VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION

/* Of the device that both ends name. */
extern const GUID pair_type;
extern const GUID pair_instance;

struct end {
    VMBCHANNEL channel;
    char trace[2048]; /* a letter a state callback: O S P U C, F with EvtChannelPnpFailure */
    NTSTATUS opened_status;
    NTSTATUS failure;
    void (*on_state)(struct end *end, char letter);

    /* Incoming packets. The default completes each at once, with its own payload. */
    void (*on_packet)(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                      UINT32 flags);
    VMBPACKETCOMPLETION kept[256];
    unsigned kept_count;
    unsigned packets;
    unsigned batches;
    void (*on_batch)(struct end *end);
    enum irql level; /* of the last delivery */
    UINT8 last[65536];
    UINT32 last_length;
    UINT32 last_flags;

    /* Outgoing packets. */
    unsigned completions;
    NTSTATUS completion_status;
    UINT8 completion[65536];
    UINT32 completion_length;
    unsigned long long completed[1024]; /* numbers of the packets, in order */
};

extern struct end client;
extern struct end server;

int pair_setup(void **state);
int pair_teardown(void **state);

#define pair_test(function) cmocka_unit_test_setup_teardown(function, pair_setup, pair_teardown)

/* A Disabled end with all callbacks set; 1024 bytes of payload, rings of one page. */
void pair_make(struct end *end, BOOLEAN is_server);

/* Both, connected, enabled and started, run until nothing moves. */
void pair_start(void);

/* Disables and cleans up. */
void pair_end(struct end *end);

/* Runs until nothing moves. */
void settle(void);

/* A packet whose routine records, then frees it. */
VMBPACKET pair_packet(struct end *end, unsigned long long number);
EVT_VMB_PACKET_COMPLETION_ROUTINE pair_recorded;

/* Sends `length` bytes, the first of them `number`. */
NTSTATUS pair_send(struct end *end, unsigned long long number, UINT32 length, UINT32 flags);

/* on_packet: keeps it. */
void pair_keep(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
               UINT32 flags);

/* Numbers below `limit` that look random, the same ones for each start. */
void draw_from(UINT32 start);
UINT32 draw(UINT32 limit);

#define assert_trace(end, text) assert_string_equal((end).trace, text)
#define assert_state(end, text) assert_string_equal(KmclChannelStateName((end).channel), text)

#endif
