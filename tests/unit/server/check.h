/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SERVER_CHECK_H
#define TESTS_SERVER_CHECK_H

/*
 * What is true of a server whenever nobody is inside: its counters count what is there, its lists
 * hold what they should, and nothing is mapped that nobody answers for. Fails the test otherwise.
 */

#include "vmbus/server/server.h"

/* `mapped_frames`: pieces that an owner mapped outside of rings and GPADLs. */
void check_server(struct vmbus_server *server, unsigned mapped_frames);

#endif
