/* SPDX-License-Identifier: MIT */
#ifndef VMM_CONTROL_H
#define VMM_CONTROL_H

/*
 * Commands from outside, a line each, over a socket. What comes back, a line each:
 *
 *     | TEXT       a part of the answer
 *     ok           its end: it was done
 *     error        its end: it was refused; the last part says why
 *     ! TEXT       something happened; at any time, but never between the parts of an answer to
 *                  another command, for these are answered one after the other
 *
 * The executive's thread, IRQL_PASSIVE.
 */

#include "tests/host/device.h"

struct machine;
struct options;

/* Opens what the options name; does nothing if they name nothing. Ends the process if it cannot. */
void control_start(struct machine *machine, const struct options *options);

/* Where events go: to the socket, or to standard error while nobody is there. */
extern const struct host_output control_events;

#endif
