/* SPDX-License-Identifier: MIT */
#ifndef TESTS_PAIR_MOMENTS_H
#define TESTS_PAIR_MOMENTS_H

/*
 * A whole life of a channel, both ends of it, with something that comes in between at each moment:
 * at every point where interrupts come on, between any two critical sections of either end, in
 * every state and inside every callback. What comes is at DISPATCH, or passive work that runs in
 * the next wait. Every packet ends once, every call comes back, callbacks keep their order, and
 * nothing is left over.
 */

#include "tests/unit/pair/pair.h"

struct intrusion {
    void (*act)(void);
    bool at_passive;      /* else at DISPATCH */
    unsigned stride;      /* moments between two tries; 1: each */
    struct end *closes;   /* the end whose callbacks of a close must follow at once; NULL: see the
                             order   of callbacks only */
    bool ends_connection; /* the guest's memory may be kept, not given back */
};

/* Tries it at all moments, with packets processed at DISPATCH and at PASSIVE. */
void at_each_moment(const struct intrusion *wanted);

/* Whether a wait for this end's channel would be for something below it on the stack. */
bool is_below(const struct end *end);

#endif
