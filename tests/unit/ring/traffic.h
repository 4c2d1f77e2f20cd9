/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_RING_TRAFFIC_H
#define TESTS_UNIT_RING_TRAFFIC_H

#include <stdint.h>

/*
 * Two threads, one ring between them, each sleeping until it is signalled: a sender of `packets`
 * packets of random lengths and a receiver that checks them. NULL if all arrived as they were sent,
 * else what went wrong; a wake-up that is lost shows as a thread that waits for longer than
 * anything takes.
 */
const char *ring_traffic(uint32_t pages, uint32_t packets, uint64_t seed);

#endif
