/* SPDX-License-Identifier: MIT */
#ifndef TESTS_UNIT_BALLOON_FAKE_PAGES_H
#define TESTS_UNIT_BALLOON_FAKE_PAGES_H

/*
 * A page allocator with a few thousand real pages at low addresses, where frame numbers are as
 * small as in a guest. A page that is freed twice, or was never allocated, fails the test.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FAKE_PAGES_FIRST_FRAME UINT64_C(0x10000)
#define FAKE_PAGES_MAXIMUM     49152u /* 192 MiB */

/* `count` free pages from FAKE_PAGES_FIRST_FRAME on; behind them, up to the maximum, there is
 * nothing yet. */
void fake_pages_reset(size_t count);

/* Allocates a page by its frame, as something else in the guest would. */
void fake_pages_occupy(uint64_t frame);

size_t fake_pages_free_count(void);
bool fake_pages_is_allocated(uint64_t frame);

/* What hot add may do, and what it was asked. */
extern bool fake_pages_hot_add_works;
extern unsigned fake_pages_hot_add_calls;

/* Hands out the highest free pages first. */
extern bool fake_pages_from_the_top;

#endif
