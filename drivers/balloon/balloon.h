/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_BALLOON_BALLOON_H
#define DRIVERS_BALLOON_BALLOON_H

/*
 * The dynamic memory driver: gives pages to the host when it asks for some, takes them back, and
 * takes memory that the host adds. It starts by itself (INIT_DRIVERS) and waits for the device to
 * be offered; there is nothing to call but what reports.
 *
 * Pages given to the host stay the host's until it returns them, whatever happens to the channel:
 * after a close or a rescind the host may have taken the memory behind them away, so touching them
 * is never safe. The driver remembers them, and a host that offers the device again can return them
 * then.
 */

#include <stdbool.h>
#include <stdint.h>

enum balloon_state {
    BALLOON_STOPPED,      /* not started, or ended for good */
    BALLOON_WAITING,      /* for the host to offer the device, or for its channel to open */
    BALLOON_VERSION,      /* a protocol version is asked for; limit: BALLOON_ANSWER_LIMIT */
    BALLOON_CAPABILITIES, /* they are reported; limit: BALLOON_ANSWER_LIMIT */
    BALLOON_IDLE,         /* negotiated, nothing to do but to report the status */
    BALLOON_INFLATING,    /* giving pages, one response after the other */
    BALLOON_DEFLATING,    /* the host returns pages, and more parts of its list are to come */
    BALLOON_REPLYING,     /* what was asked is done, its answer goes out in a moment */
    BALLOON_CLOSING,      /* the channel is going away */
    BALLOON_FAILED,       /* negotiation or opening failed, the channel is closed */
    BALLOON_STATES,
};

/* Each step of the negotiation waits this long for the host's answer; the limit Linux uses. 100 ns
 * units. */
#define BALLOON_ANSWER_LIMIT UINT64_C(50000000)

/* Counters since start; pages are 4 KiB each. */
struct balloon_statistics {
    enum balloon_state state;
    uint32_t version;            /* (major << 16) | minor agreed on, 0 if none */
    bool status_suppressed;      /* the host wants no status reports */
    uint64_t ballooned;          /* pages the host holds now */
    uint64_t taken;              /* pages ever given to the host */
    uint64_t returned;           /* pages ever returned by it */
    uint64_t hot_added;          /* pages ever added */
    uint64_t requests;           /* balloon requests answered or being answered */
    uint64_t requests_partial;   /* of these, met in part or not at all */
    uint64_t responses;          /* messages that answered them */
    uint64_t unballoon_requests; /* parts of lists count one each */
    uint64_t pages_refused;      /* pages the host returned that it did not hold */
    uint64_t hot_add_requests;
    uint64_t hot_add_refused;
    uint64_t status_reports;
    uint64_t status_skipped;     /* because an earlier message had not left yet */
    uint64_t reported_available; /* as the latest status report said */
    uint64_t reported_committed;
    uint64_t maximum_pages;       /* as the host's information message said, 0 if none came */
    uint64_t messages;            /* received */
    uint64_t messages_malformed;  /* too short, too long, or sizes that contradict each other */
    uint64_t messages_unknown;    /* of a type this driver does not know or did not ask for */
    uint64_t messages_unexpected; /* well-formed, but not in this state */
    uint64_t replies_dropped;     /* no memory, or the host does not read what it was sent */
};

void balloon_statistics(struct balloon_statistics *out); /* IRQL_PASSIVE */

enum balloon_state balloon_state(void); /* IRQL_PASSIVE */

/* A printable name; "unknown" for what is no state. Any IRQL. */
const char *balloon_state_name(enum balloon_state state);

/* Prints the driver's state and its counters. IRQL_PASSIVE. */
void balloon_report(void);

/* Takes part in start-up and runs once: makes the channel and waits for the device in the
 * background. IRQL_PASSIVE. */
void balloon_start(void);

#endif
