/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_BALLOON_FAKE_KMCL_H
#define TESTS_UNIT_BALLOON_FAKE_KMCL_H

/*
 * One client channel as its driver sees it, with the test as the host: what the driver sends is
 * kept, and packets and changes of state come when the test says so. It checks how it is called as
 * the KMCL contract demands.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "VmbusKernelModeClientLibApi.h"

#define FAKE_KMCL_MESSAGES_MAXIMUM 64u

struct fake_kmcl_message {
    unsigned char bytes[4096];
    size_t length;
};

enum fake_kmcl_state { FAKE_KMCL_NONE, FAKE_KMCL_DISABLED, FAKE_KMCL_ENABLED, FAKE_KMCL_OPEN };

struct fake_kmcl {
    enum fake_kmcl_state state;
    unsigned enabled; /* times */
    unsigned disabled;

    /* How the driver configured the channel. */
    uint32_t maximum_packet_size;
    uint32_t incoming_pages;
    uint32_t outgoing_pages;
    bool passive;
    bool named;
    GUID type;
    bool any_instance;

    /* What the driver sent and the host took out of the ring, oldest first. */
    struct fake_kmcl_message sent[FAKE_KMCL_MESSAGES_MAXIMUM];
    size_t sent_count;
    unsigned packets; /* objects that exist */

    /* The test's switches. */
    bool ring_is_full;   /* messages wait until fake_kmcl_make_room() */
    bool allocate_fails; /* of packets */
    bool send_fails;
    bool enable_fails;
    unsigned ring_faults;
    bool still_closing; /* to be enabled: not yet */
};

extern struct fake_kmcl fake_kmcl;

void fake_kmcl_reset(void);

/* The host offers the device and the channel opens: all three state callbacks. */
void fake_kmcl_open(void);

/* The device is there, but its channel cannot be opened. */
void fake_kmcl_fail_to_open(NTSTATUS status);

/* The host takes the device away. */
void fake_kmcl_rescind(void);

/* A packet arrives, padded to 8 bytes as the ring does. */
void fake_kmcl_receive(const void *message, size_t length);
void fake_kmcl_receive_with_external_data(const void *message, size_t length);

/* The host reads what waits, and goes on reading. */
void fake_kmcl_make_room(void);

#endif
