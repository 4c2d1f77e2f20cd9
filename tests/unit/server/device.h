/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SERVER_DEVICE_H
#define TESTS_SERVER_DEVICE_H

/*
 * What tests of the server share: a device that records what is asked of it, and answers at once or
 * when the test says so; and the guest's messages in raw form.
 */

#include <string.h>

#include "kernel/irql.h"
#include "kernel/pages.h"
#include "loopback.h"
#include "test_arch.h"
#include "test_memory.h"
#include "vmbus/protocol.h"

enum device_call {
    CALLED_OPEN = 'o',
    CALLED_CLOSE = 'c',
    CALLED_EVENT = 'e',
    CALLED_WANTED = 'w',
    CALLED_RELEASED = 'r',
};

struct device {
    struct vmbus_server_channel *channel;
    struct vmbus_server_offer offer;
    char calls[64]; /* enum device_call, in order, without events */
    unsigned call_count;
    unsigned events;
    struct vmbus_server_open request; /* the last */
    uint32_t wanted;                  /* the last */

    /* What it does by itself. */
    bool waits;           /* answers neither open nor close */
    uint32_t open_status; /* 0 */
    bool echoes;          /* sends every packet back as a completion */
    bool keeps_gpadls;    /* unmaps none that the guest wants */
    bool revoked;         /* the test's own note */
    bool busy;            /* in a call of the server's: callbacks are answered behind it */
    bool close_waits;
    void (*on_event)(struct device *device); /* NULL; instead of looking at the ring */
};

/* Each test: a server of the default options; afterwards nothing is left over. */
int server_test_setup(void **state);
int server_test_teardown(void **state);
#define server_test(function)                                                                      \
    cmocka_unit_test_setup_teardown(function, server_test_setup, server_test_teardown)

/* The same server with other options. */
void server_test_restart(const struct vmbus_server_options *options);

/* A class of nobody, its instance made from the number. */
struct vmbus_server_offer device_offer(uint32_t number);

/* Offers it: a fresh device, or one whose offer is filled in already. */
void device_start(struct device *device, uint32_t number);
enum vmbus_status device_offer_now(struct device *device);
uint32_t device_relid(const struct device *device);
enum vmbus_server_state device_state(const struct device *device);

/* Maps the rings and opens, as an answer. */
enum vmbus_status device_accept(struct device *device);

/* Looks at the incoming ring, and answers what is there. */
void device_drain(struct device *device);

/* The calls so far, compared and forgotten. */
void expect_calls(struct device *device, const char *calls);

/* ---- the guest, by hand ---- */

/* Posts on connection id 1; the status. */
hv_status guest_post(const void *message, uint32_t size);
/* A message of zeros with these words from byte 8 on. */
hv_status guest_words(uint32_t type, uint32_t size, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
                      uint32_t e);

void guest_connect(uint32_t version); /* contact and offers; the log is empty afterwards */
void guest_contact(uint32_t version);

/* A GPADL of contiguous pages. Whether it was created. */
bool guest_gpadl(uint32_t relid, uint32_t id, const void *memory, uint32_t pages);
/* The messages of any list of ranges; nothing is expected. */
void guest_send_gpadl(uint32_t relid, uint32_t id, uint32_t range_count, const uint64_t *words,
                      uint32_t count);
void guest_teardown(uint32_t relid, uint32_t id);

/* Opens with the second half of the pages as the second ring. */
void guest_open(uint32_t relid, uint32_t open_id, uint32_t gpadl, uint32_t downstream);
void guest_close(uint32_t relid);
void guest_release(uint32_t relid);
void guest_unload(void);

/* Zeroed ring memory and its GPADL, id as the relid, and OPEN with open id 7. */
#define RING_PAGES 4u
void *guest_open_rings(uint32_t relid);

/* The message of this type that came last, its words compared; and none came besides. */
void expect_answer(uint32_t type, uint32_t a, uint32_t b, uint32_t c);
/* Nothing was sent to the guest since the log was cleared. */
void expect_silence(void);

#define FAILURE 0x8000FFFFu

#endif
