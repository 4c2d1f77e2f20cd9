/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_WALL_CLOCK_H
#define KERNEL_WALL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/*
 * The date and time of day: 100 ns units since 1601-01-01 UTC, as Windows and the hypervisor count
 * it. It is what somebody (a driver that hears it from the host) set, moved on by clock_now(). It
 * may be set at any time, forwards or backwards: whoever measures durations, or waits, uses
 * clock_now() and the timers of kernel/clock.h, which never jump.
 */

/* 1970-01-01: where the C library's time counts from. */
#define WALL_CLOCK_UNIX_EPOCH UINT64_C(116444736000000000)

/* The latest time that may be set: the end of the year 9999. */
#define WALL_CLOCK_END UINT64_C(2650467744000000000)

/* Whether anybody has set it. Any IRQL. */
bool wall_clock_is_set(void);

/* The time; 0 as long as nobody has set it. Any IRQL. */
uint64_t wall_clock_now(void);

/* What the wall clock says it was, or will be, at a time of clock_now(). Any IRQL. */
uint64_t wall_clock_at(uint64_t clock);

/* Sets it to what it is now. False: before 1970 or behind WALL_CLOCK_END, and nothing has changed.
 * Any IRQL. */
bool wall_clock_set(uint64_t now);

/* "2026-11-26 12:54:51.123 UTC" and a terminator, for any time before WALL_CLOCK_END. */
#define WALL_CLOCK_TEXT_SIZE 28
void wall_clock_format(uint64_t time, char text[WALL_CLOCK_TEXT_SIZE]);

#endif
