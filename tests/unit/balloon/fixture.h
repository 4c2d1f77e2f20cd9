/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_BALLOON_FIXTURE_H
#define TESTS_UNIT_BALLOON_FIXTURE_H

/* A balloon driver, 64 MiB of memory, and the words of its host. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "drivers/balloon/balloon.h"
#include "drivers/balloon/dynamic_memory_protocol.h"

#define FIXTURE_PAGES 16384u

/* cmocka's set-up and tear-down: a driver that waits for its device. The tear-down looks for lost
 * packets. */
int fixture_start(void **state);
int fixture_end(void **state);

/* The same with the negotiation done: version 2.0, status wanted or not; what was sent for that is
 * forgotten. */
int fixture_start_negotiated(void **state);
int fixture_start_negotiated_without_status(void **state);

/* A new world, in which the driver has not started yet. */
void fixture_reset(void **state);

/* Lets passive work run, and time pass. */
void run(void);
void pass_time(uint64_t duration);

/* ---- what the host says; after a request time passes until it is answered ---- */

void host_says_version(bool accepted);
void host_says_capabilities(uint64_t flags);
void host_asks_for_pages(uint32_t pages);
void host_returns(const uint64_t *ranges, uint32_t count, bool more);
void host_adds(uint64_t range);
void host_adds_in_region(uint64_t range, uint64_t region);

/* ---- what the driver said ---- */

/* Messages the host has read and the test has not; the oldest is taken and checked for a type and a
 * right header. */
size_t messages_left(void);
const unsigned char *take_message(enum dynamic_memory_message_type type, size_t *size);
void forget_messages(void);

/* The oldest message, which has to be a balloon response; returns its pages. */
uint64_t take_balloon_response(uint64_t *ranges, size_t *count, bool *more);

/* The oldest message, which has to be a hot add response. */
void expect_hot_add_response(uint32_t pages, uint32_t result);

struct balloon_statistics statistics(void);

/* Console lines since the set-up that contain the text. */
unsigned lines_with(const char *text);

#endif
