/* SPDX-License-Identifier: MIT */
#ifndef TESTS_TEST_MEMORY_H
#define TESTS_TEST_MEMORY_H

/*
 * pages_*() and memory_*() of the host build, in place of kernel/pages.c and kernel/heap.c, over
 * the host's heap: the sanitizer watches them, leaks are counted, and any allocation can be made to
 * fail.
 */

#include <stddef.h>
#include <stdint.h>

/* Forgets counters and failures; what is still allocated is forgotten (and leaks). */
void test_memory_reset(void);

/* The allocation of this number from now on (1: the next) fails, pages and small memory counted
 * together; 0: none. */
void test_memory_fail(unsigned number);

/* Allocations that were tried since the reset, so that a test can fail each of them in turn. */
unsigned test_memory_attempts(void);

/* What is not freed yet. */
uint64_t test_pages_held(void);
uint64_t test_memory_held(void);

/* For the two allocators: counts an attempt; whether it must fail. */
_Bool test_memory_attempt_fails(void);

/* For the two allocators. */
extern uint64_t test_pages_count, test_memory_count;

#endif
