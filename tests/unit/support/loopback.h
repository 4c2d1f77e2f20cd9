/* SPDX-License-Identifier: MIT */
#ifndef TESTS_LOOPBACK_H
#define TESTS_LOOPBACK_H

/*
 * The machine between a guest and a server of the bus, both in the process of the test: behind the
 * guest's hv_* functions, and the server's struct vmbus_server_host. A post becomes
 * vmbus_server_message() at once, a signal vmbus_server_signal(); messages and events for the guest
 * are delivered in test_host_step() (test_arch.h), which the guest's waits call. There is one slot,
 * as in a real one. Guest memory is what pages_allocate() gave, mapped one to one.
 *
 * Without a guest attached to the SynIC, a message is taken as soon as it is posted, and read from
 * the log: for tests that play the guest themselves.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmbus/server/server.h"

struct loopback_message {
    uint32_t number; /* connection id of a guest's message; processor of a host's */
    uint32_t sint;
    uint32_t size;
    hv_status status; /* that the guest's got */
    _Alignas(8) uint8_t bytes[240];
};

static inline uint32_t loopback_word(const struct loopback_message *message, size_t offset)
{
    const uint8_t *at = message->bytes + offset;

    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

struct loopback_settings {
    uint32_t processors;    /* 1: virtual processors of the guest */
    bool slot_stuck;        /* false: nobody takes messages out of the slot */
    bool busy_once;         /* false: every other post finds the slot busy, and free right after */
    unsigned map_fail;      /* 0; n: the nth map from now fails */
    bool signals_wait;      /* false: signals reach the server in test_host_step() */
    bool queue_full_status; /* false: every second post of the guest is refused at first */
    /* NULL: called whenever the server calls its machine, and holds no lock: what other threads may
     * do at that moment. */
    void (*meanwhile)(void);
};
extern struct loopback_settings loopback;
extern struct vmbus_server *loopback_server;

/* A new server with default settings, and an empty log. NULL: default options. */
void loopback_start(const struct vmbus_server_options *options);

/* Destroys the server: everything must be unmapped and released. */
void loopback_end(void);

/*
 * Destroys the server, whose owners have left, and puts another in its place, as when a machine
 * goes on in another process: logs, the slot and the guest stay.
 */
void loopback_replace(const struct vmbus_server_options *options);

/* The same in a process that was forked: the server that is there is the other process' one, and is
 * left as it is, with what it has mapped. */
void loopback_replace_forked(const struct vmbus_server_options *options);

/* What the guest posted, and what the host did: the nth of a type from 0; type 0: any. NULL if
 * there are not so many. */
const struct loopback_message *loopback_from_guest(uint32_t type, unsigned n);
const struct loopback_message *loopback_to_guest(uint32_t type, unsigned n);
unsigned loopback_count_to_guest(uint32_t type);
void loopback_log_clear(void);

/* Lets the guest take the message in the slot, if there is one: stuck or not. */
bool loopback_take(void);

/* Steps until nothing is on its way, and runs passive work. IRQL_PASSIVE. */
void loopback_run(void);

unsigned loopback_events(uint32_t relid);   /* raised, on any processor */
uint32_t loopback_event_vp(uint32_t relid); /* of the last */
bool loopback_doorbell(uint32_t connection_id);
unsigned loopback_maps(void);      /* that stand */
unsigned loopback_map_calls(void); /* made */

#endif
