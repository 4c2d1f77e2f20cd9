/* SPDX-License-Identifier: MIT */
#ifndef TESTS_SERVER_CHANNEL_H
#define TESTS_SERVER_CHANNEL_H

/* What the tests of one channel's life share beside what those of moves have. */

#include "tests/unit/server/move.h"

#define OPEN_RESULT 6u
#define TORNDOWN    12u
#define RESCIND     2u
#define OFFER       1u
#define CREATED     10u

struct vmbus_server_statistics counts(void);

/* As open_device(), with all calls still noted; takes the device back, then ends the guest. */
void open_channel(void);
void finish_channel(void);

/* Puts the channel into a state, from OFFERED. */
void bring_to(enum vmbus_server_state state);

#endif
