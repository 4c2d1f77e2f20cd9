/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CLOCK_H
#define KERNEL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Kernel time is counted in units of 100 ns since boot, as the hypervisor and Windows count it. It
 * never runs backwards. */
#define CLOCK_MICROSECOND UINT64_C(10)
#define CLOCK_MILLISECOND UINT64_C(10000)
#define CLOCK_SECOND      UINT64_C(10000000)

/* Where the time comes from. Whoever knows a better source registers it; the highest rating wins
 * and time stays continuous over the change. */
struct clock_source {
    const char *name;
    unsigned rating;
    uint64_t (*read)(void); /* 100 ns units from any origin; any IRQL */
};

/* What interrupts the processor at a deadline. Its interrupt handler calls timers_interrupt(). */
struct clock_event {
    const char *name;
    unsigned rating;
    void (*arm)(uint64_t delay); /* one shot, 100 ns units from now; a second call replaces the
                                    first; interrupts are off */
    void (*disarm)(void);
};

void clock_source_register(const struct clock_source *source);
void clock_event_register(const struct clock_event *device);
void clock_source_unregister(const struct clock_source *source);
void clock_event_unregister(const struct clock_event *device);

/* Whether there is any. Without an event device a wait polls the clock; without a source time
 * stands. */
bool clock_source_is_there(void);
bool clock_event_is_there(void);

/* Names of what is in use, for the boot report; "none". */
const char *clock_source_name(void);
const char *clock_event_name(void);

/* Time since boot, 100 ns units. Any IRQL. */
uint64_t clock_now(void);

/*
 * A counter that guest and host both read (a hypervisor's reference time), in 100 ns units: by it a
 * host can tell when something was. Registered by whoever knows it; NULL: no longer. False: there
 * is none. Any IRQL.
 */
void clock_shared_with_host_register(uint64_t (*read)(void));
bool clock_shared_with_host(uint64_t *now);

/* A deadline `delay` from now, saturating. */
uint64_t clock_after(uint64_t delay);

/* A timer calls back once at IRQL_DISPATCH, never early. The memory is the caller's until it
 * expired or was cancelled. */
struct timer {
    struct timer *next;
    uint64_t deadline;
    void (*expired)(void *context);
    void *context;
    bool armed;
};

void timer_initialise(struct timer *timer, void (*expired)(void *context), void *context);
void timer_arm(struct timer *timer,
               uint64_t deadline);      /* re-arming moves it; at or below DISPATCH */
bool timer_cancel(struct timer *timer); /* false: it was not armed; at or below DISPATCH */

/* The interrupt handler of the clock event device calls this. IRQL_DEVICE. */
void timers_interrupt(void);

#endif
