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
    /* One shot, `delay` 100 ns units from now; a second call replaces the first. Interrupts off. */
    void (*arm)(uint64_t delay);
    void (*disarm)(void); /* interrupts off */
};

/*
 * The structures stay the caller's, unchanged until they are unregistered. A handful of each can be
 * registered; one more panics. IRQL_PASSIVE.
 */
void clock_source_register(const struct clock_source *source);
void clock_event_register(const struct clock_event *device);
void clock_source_unregister(const struct clock_source *source);
void clock_event_unregister(const struct clock_event *device);

/* Whether there is any. Without an event device a wait polls the clock; without a source time
 * stands. Any IRQL. */
bool clock_source_is_there(void);
bool clock_event_is_there(void);

/* Names of what is in use, for the boot report; "none" where there is nothing. Any IRQL. */
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

/* A deadline `delay` from now, at most UINT64_MAX. Any IRQL. */
uint64_t clock_after(uint64_t delay);

/* A timer calls back once at IRQL_DISPATCH, never early. The memory is the caller's and must stay
 * valid until the timer has expired or was cancelled. */
struct timer {
    struct timer *next;
    uint64_t deadline;
    void (*expired)(void *context);
    void *context;
    bool armed;
};

void timer_initialise(struct timer *timer, void (*expired)(void *context), void *context);

/* `deadline` is a time of clock_now(); an armed timer is moved to it. At or below DISPATCH. */
void timer_arm(struct timer *timer, uint64_t deadline);

/* False: it was not armed; it may be calling back now. At or below DISPATCH. */
bool timer_cancel(struct timer *timer);

/* The interrupt handler of the clock event device calls this. IRQL_DEVICE. */
void timers_interrupt(void);

#endif
