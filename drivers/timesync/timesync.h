/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_TIMESYNC_TIMESYNC_H
#define DRIVERS_TIMESYNC_TIMESYNC_H

/*
 * Sets the wall clock (kernel/wall_clock.h) to the host's. It starts by itself (INIT_DRIVERS).
 *
 * When the host says "sync" (the guest starts, was paused, or moved) the clock is set. Between
 * those the host tells the time every few seconds: what is off by TIMESYNC_TOLERANCE or more is set
 * too, what is less is only measured, so that the clock does not tremble.
 */

#include <stdbool.h>
#include <stdint.h>

/* FreeBSD's, for the same purpose. 100 ns units. */
#define TIMESYNC_TOLERANCE UINT64_C(1000000)

/*
 * From version 4.0 on a message says at what moment of the guest's own counter it was true. One
 * that is older is not believed (the limit that Linux has). 100 ns units.
 */
#define TIMESYNC_AGE_MAX UINT64_C(6000000000)

struct timesync_status {
    uint64_t syncs;    /* messages that said so */
    uint64_t samples;  /* messages that told the time */
    uint64_t set;      /* times that the clock was set */
    uint64_t refused;  /* messages with a time that cannot be */
    int64_t offset;    /* of the guest's clock to the host's at the last message, before it was
                          set; 100 ns units, positive: ahead; 0 at the first one */
    uint64_t measured; /* clock_now() then; 0: never */
    uint64_t age;      /* of that message, from reading the host's clock to here; 100 ns units */
    bool age_is_known; /* from version 4.0 on */
    uint8_t leap;      /* as in NTP, from version 4.0 on */
    uint8_t stratum;
};

/* At or below DISPATCH. */
void timesync_status(struct timesync_status *out);

#endif
