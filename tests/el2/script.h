/* SPDX-License-Identifier: MIT */
#ifndef EL2_SCRIPT_H
#define EL2_SCRIPT_H

/*
 * What the host does while the guest runs: a text file, a command a line, read by semihosting. Each
 * line and what comes of it is on the host's console:
 *
 *     > LINE       it is run now
 *     | TEXT       a part of its answer
 *     ! TEXT       something happened
 *
 * Besides the commands of tests/host/device_set.h:
 *
 *     sleep MS     lets so many milliseconds pass
 *     wait TEXT    until something happens whose line has TEXT in it, at most 60 s; what happened
 *                  before counts, but each line for one `wait` alone
 *
 * A command that is refused, and a wait in vain, end the run.
 */

#include "tests/host/device_set.h"

/* Where devices tell what happens. */
extern const struct host_output script_events;

/* Runs the script of the word `script=FILE`, if there is one, to its end or to that of the guest.
 * PASSIVE. */
void script_run(struct host_device_set *set);

#endif
