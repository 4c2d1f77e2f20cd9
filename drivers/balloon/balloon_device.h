/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_BALLOON_BALLOON_DEVICE_H
#define DRIVERS_BALLOON_BALLOON_DEVICE_H

/*
 * The inside of the driver, for its own files only.
 *
 * All of it but the functions marked so runs at IRQL_PASSIVE and never waits: packets (the channel
 * is set to passive processing), state callbacks, and the work that a timer or a message that left
 * queues. So these run one after the other, and no lock is needed.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "VmbusKernelModeClientLibApi.h"

#include "drivers/balloon/balloon.h"
#include "drivers/balloon/balloon_pages.h"
#include "drivers/balloon/dynamic_memory_protocol.h"
#include "drivers/reopen/reopen.h"
#include "kernel/clock.h"
#include "kernel/exit.h"
#include "kernel/work.h"

/*
 * Choice of ours: how long after a request its answer goes out. QEMU 10 (hw/hyperv/hv-balloon.c)
 * looks for packets right after it has sent a request, outside the handler in which it may do so,
 * and aborts if one is there: a guest that answers at once would end its own host. 100 ns units.
 */
#define BALLOON_REPLY_DELAY (20 * CLOCK_MILLISECOND)

#define BALLOON_RESPONSE_RANGES_MAX                                                                \
    ((DYNAMIC_MEMORY_MESSAGE_SIZE_MAX - sizeof(struct dynamic_memory_balloon_response)) /          \
     sizeof(uint64_t))

struct balloon_device {
    VMBCHANNEL channel;
    enum balloon_state state;

    size_t version_index; /* of the version that is asked for */
    uint32_t transaction_id;
    uint64_t deadline; /* of the answer waited for, or of the next status report */
    struct timer timer;
    struct work_item timer_work;
    struct work_item give_up_work;
    struct reopen reopen;
    struct exit_hook exit_hook;

    struct balloon_pages pages;

    /* The operation that runs: a request being answered, or a list of pages being returned. */
    uint64_t asked;
    uint64_t done;
    unsigned parts;    /* messages */
    uint64_t reply_at; /* not before this time */
    struct timer reply_timer;
    struct work_item reply_work;

    /* The answer to anything but a balloon request, until it goes out. */
    union {
        struct dynamic_memory_unballoon_response unballoon;
        struct dynamic_memory_hot_add_response hot_add;
    } reply;
    enum dynamic_memory_message_type reply_type;
    size_t reply_size;

    /*
     * The latest balloon response. It is kept until it is in the ring: if it never gets there, the
     * host never learns of these pages and they are the guest's again.
     */
    struct {
        struct dynamic_memory_balloon_response head;
        uint64_t ranges[BALLOON_RESPONSE_RANGES_MAX];
    } response;
    size_t response_ranges;

    /* Shared with IRQL_DISPATCH. */
    atomic_uint messages_waiting;
    atomic_bool response_waiting;
    atomic_bool response_lost;

    struct balloon_statistics statistics;
    bool malformed_reported;
    bool unknown_reported;
    bool unexpected_reported;
    bool refused_reported;
    bool dropped_reported;
};
_Static_assert(sizeof(((struct balloon_device *)0)->response) == DYNAMIC_MEMORY_MESSAGE_SIZE_MAX,
               "a response is a page at most");

extern struct balloon_device balloon;

/* ---- balloon.c: states, negotiation, status ---- */

#define BALLOON_IN(state_) (1u << (state_))

void balloon_initialise(void);

/* The one place where the state changes. */
void balloon_enter(enum balloon_state next);

/* Ends the conversation for good; passive work closes the channel. */
void balloon_fail(const char *reason);

/* Asks for the version that is next. */
void balloon_request_version(void);
void balloon_version_response(const void *message, size_t size);
void balloon_capabilities_response(const void *message, size_t size);

/* ---- balloon_channel.c ---- */

/*
 * Sends a message, which starts with a header that is filled in here, and copies it. `done` is
 * called at IRQL_DISPATCH when it is in the ring or never will be, and calls balloon_message_left()
 * first. False: counted, `done` will not be called.
 */
bool balloon_send(enum dynamic_memory_message_type type, void *message, size_t size,
                  PFN_VMB_PACKET_COMPLETION_ROUTINE done);
void balloon_message_left(VMBPACKET packet);

/* For messages nothing waits for. */
EVT_VMB_PACKET_COMPLETION_ROUTINE balloon_message_done;

/* Counts a message whose inside makes no sense, and reports the first. */
void balloon_malformed(const void *message, size_t length);

/* ---- balloon_requests.c ---- */

void balloon_requests_initialise(void);

/* Handlers of what the host asks once the negotiation is over. `size` is checked against the fixed
 * part of the message. */
void balloon_balloon_request(const void *message, size_t size);
void balloon_unballoon_request(const void *message, size_t size);
void balloon_hot_add_request(const void *message, size_t size);
void balloon_information(const void *message, size_t size);

#endif
