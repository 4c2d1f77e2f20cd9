/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_LOAD_LOAD_H
#define DRIVERS_LOAD_LOAD_H

/*
 * Loads the channel of a load device (load_protocol.h): sends messages in bursts, one burst when
 * all of the last have come back, and completes what the host sends. An image has it only if its
 * application starts it.
 */

#include <stdbool.h>
#include <stdint.h>

struct load_parameters {
    uint64_t packets; /* in all; UINT64_MAX: until load_stop() */
    uint32_t size;    /* bytes of each, LOAD_SIZE_MIN to LOAD_SIZE_MAX */
    uint32_t burst;   /* packets, 1 to LOAD_BURST_MAX */
};

/* Times are 100 ns units. */
struct load_progress {
    bool is_open; /* the device is there */
    bool is_running;
    /* Of the run that is under way, or the last one. */
    uint64_t sent;
    uint64_t completed;
    uint64_t lost;  /* not completed: the channel closed */
    uint64_t wrong; /* completed with other bytes than were sent */
    uint64_t elapsed;
    uint64_t shortest; /* burst, from the first send to the last completion; 0: none is done */
    uint64_t longest;
    uint64_t signals; /* to the host */
    uint64_t batches; /* deliveries without a pause: no more than interrupts */
    /* Since the channel opened. */
    uint64_t received;  /* messages of the host */
    uint64_t malformed; /* of these, those that are not well-formed */
    uint64_t gaps;      /* numbers that were left out */
    uint64_t repeats;   /* numbers that came again */
};

/* Lets the driver look for its device. What goes wrong is said. PASSIVE. */
void load_driver_start(void);

/* Begins a run. False: the device is not there, a run is under way, or a parameter is out of its
 * range. At most DISPATCH. */
bool load_start(const struct load_parameters *parameters);

/* Ends it behind the burst that is under way. At most DISPATCH. */
void load_stop(void);

/* How far it is. At most DISPATCH. */
void load_progress(struct load_progress *out);

/* Begins a run and waits until it has ended, or until `deadline` (clock_now()); then it is stopped,
 * and one more second is waited for its last burst. False: it could not begin, or has not ended.
 * PASSIVE. */
bool load_run(const struct load_parameters *parameters, uint64_t deadline);

#endif
