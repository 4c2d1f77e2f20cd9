/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_RING_ACCESS_H
#define TESTS_UNIT_RING_ACCESS_H

/*
 * The other end of the ring, acting in the middle of a function. The ring's memory is taken away,
 * so that every access of the function, as it was compiled, faults; the k-th fault lets the other
 * end act first. For every k there is, this shows each order in which one step of the peer can fall
 * among the loads and stores of the function, with no hook in it. What it cannot show is a
 * processor that delays stores: for that see test_ring_race.c.
 */

#include "tests/unit/ring/fixture.h"

bool access_can_be_interrupted(void);

/* Runs `function`, and `peer` before its access number `k`. False: there were fewer; the peer has
 * not run. */
bool interrupt_at_access(struct test_ring *ring, void (*function)(void), void (*peer)(void),
                         unsigned k);

#endif
