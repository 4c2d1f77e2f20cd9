/* SPDX-License-Identifier: MIT */
/* The time-stamp counter as clock source, the local APIC's timer as clock event device, and where
 * their frequencies come from. */
#include "arch/timer.h"

#include <stddef.h>

#include "arch/cpu.h"
#include "arch/start.h"
#include "arch/x86_64/instructions.h"
#include "arch/x86_64/interrupts.h"
#include "arch/x86_64/local_apic.h"
#include "arch/x86_64/timer.h"
#include "kernel/clock.h"
#include "kernel/log.h"

/* Choice: below everything a hypervisor offers. */
#define RATING 100u

/* Choice: a frequency below this is not believed, and counts as not known. */
#define PLAUSIBLE_MINIMUM MHZ

#define KHZ UINT64_C(1000)
#define MHZ UINT64_C(1000000)

/* Leaf by which KVM and VMware tell both frequencies in kHz, if the hypervisor's range of leaves
 * reaches it. */
#define CPUID_HYPERVISOR         0x40000000u
#define CPUID_HYPERVISOR_TIMING  0x40000010u
#define CPUID_HYPERVISOR_LAST    0x400000ffu
#define CPUID_FEATURES           1u
#define CPUID_FEATURES_ECX_GUEST (1u << 31)
/* Intel SDM, CPUID: the counter as a ratio of the crystal, the base frequency in MHz. */
#define CPUID_CRYSTAL            0x15u
#define CPUID_FREQUENCY          0x16u

/* The interval timer (Intel 8254): channel 0 counts down by itself; its interrupt is masked. */
#define PIT_FREQUENCY         UINT64_C(1193182)
#define PIT_CHANNEL0          0x40u
#define PIT_COMMAND           0x43u
#define PIT_CHANNEL0_ONE_SHOT 0x30u /* both bytes, mode 0 */
#define PIT_CHANNEL0_LATCH    0x00u
#define PIT_START             0xffffu
#define PIT_WATCH             11932u /* ticks, 10 ms */

/* Choices: reads of the timer, a microsecond each at least, after which it counts as dead if it
 * moved too slowly, or not at all. */
#define PIT_READS_MAXIMUM  100000u
#define PIT_STANDING_READS 100u

/*
 * Reading a device is an exit or more, and a busy hypervisor may take the processor away for long
 * in the middle of one. So each reading stands between two of the clock it is compared with, and
 * what passes between these two is its uncertainty.
 *
 * Choices: a measurement is good enough if its uncertainty is at most 1 / UNCERTAINTY_PART of it;
 * if none of MEASUREMENTS is, the best of them is taken.
 */
#define UNCERTAINTY_PART 50u
#define MEASUREMENTS     16u

struct measurement {
    uint64_t passed;      /* by the clock */
    uint64_t ticks;       /* of the device */
    uint64_t uncertainty; /* in units of the clock */
};

/* Choice: how long the timer is watched against the clock, and how often the clock is read before
 * it counts as standing. */
#define TIMER_WATCH         (5 * CLOCK_MILLISECOND)
#define TIMER_READS_MAXIMUM 10000000u

static uint64_t counter_frequency; /* Hz, 0: not known yet */
static uint64_t timer_frequency;   /* Hz before the divisor, 0: not known yet */

/* 100 ns units a tick, times 2^32. */
static uint64_t counter_scale;

/* Longest delay that the timer's 32 bits hold, and ticks a second behind the divisor. */
static uint64_t timer_maximum;
static uint64_t timer_rate;

uint64_t arch_counter_frequency(void)
{
    return counter_frequency;
}

void arch_timer_frequencies(uint64_t counter, uint64_t timer)
{
    counter_frequency = counter >= PLAUSIBLE_MINIMUM ? counter : counter_frequency;
    timer_frequency = timer >= PLAUSIBLE_MINIMUM ? timer : timer_frequency;
}

static void ask_hypervisor_leaf(void)
{
    if ((cpuid(CPUID_FEATURES, 0).ecx & CPUID_FEATURES_ECX_GUEST) == 0) {
        return;
    }
    uint32_t last = cpuid(CPUID_HYPERVISOR, 0).eax;
    if (last < CPUID_HYPERVISOR_TIMING || last > CPUID_HYPERVISOR_LAST) {
        return;
    }
    struct cpuid timing = cpuid(CPUID_HYPERVISOR_TIMING, 0);
    arch_timer_frequencies(timing.eax * KHZ, timing.ebx * KHZ);
}

static void ask_crystal_leaf(void)
{
    uint32_t last = cpuid(0, 0).eax;

    if (last < CPUID_CRYSTAL) {
        return;
    }
    struct cpuid crystal = cpuid(CPUID_CRYSTAL, 0);
    if (crystal.eax != 0 && crystal.ebx != 0 && crystal.ecx != 0) {
        arch_timer_frequencies((uint64_t)crystal.ecx * crystal.ebx / crystal.eax, crystal.ecx);
    } else if (last >= CPUID_FREQUENCY) {
        arch_timer_frequencies((cpuid(CPUID_FREQUENCY, 0).eax & 0xffff) * MHZ, 0);
    }
}

void timer_ask_processor(void)
{
    ask_hypervisor_leaf();
    if (counter_frequency == 0) {
        ask_crystal_leaf();
    }
}

static uint32_t read_interval_timer(void)
{
    port_write8(PIT_COMMAND, PIT_CHANNEL0_LATCH);
    uint32_t low = port_read8(PIT_CHANNEL0);
    return (uint32_t)port_read8(PIT_CHANNEL0) << 8 | low;
}

/* Keeps the better one in `best`. True: it is good enough. */
static bool measurement_take(struct measurement *best, const struct measurement *next)
{
    if (best->ticks == 0 ||
        next->uncertainty * (best->passed >> 10) < best->uncertainty * (next->passed >> 10)) {
        *best = *next;
    }
    return best->uncertainty * UNCERTAINTY_PART <= best->passed;
}

/* The counter in the middle of a reading of the interval timer. */
static uint64_t counter_at_interval(uint32_t *interval, uint64_t *uncertainty)
{
    uint64_t before = arch_counter();

    *interval = read_interval_timer();
    uint64_t width = arch_counter() - before;
    *uncertainty += width;
    return before + width / 2;
}

/* Counts the counter's ticks while the interval timer runs. False: there is no such timer. */
static bool interval_measure(struct measurement *result)
{
    uint32_t first;
    uint64_t uncertainty = 0;

    port_write8(PIT_COMMAND, PIT_CHANNEL0_ONE_SHOT);
    port_write8(PIT_CHANNEL0, PIT_START & 0xff);
    port_write8(PIT_CHANNEL0, PIT_START >> 8);
    uint64_t start = counter_at_interval(&first, &uncertainty);
    for (uint32_t i = 0; i < PIT_READS_MAXIMUM; i++) {
        uint32_t now;
        uint64_t last = 0;
        uint64_t passed = counter_at_interval(&now, &last) - start;
        if (now > first || (now == first && i >= PIT_STANDING_READS)) {
            return false; /* it ran out long ago and tells nothing any more; or it stands */
        }
        if (first - now >= PIT_WATCH) {
            *result = (struct measurement){passed, first - now, uncertainty + last};
            return true;
        }
    }
    return false;
}

static bool measure_counter(void)
{
    struct measurement best = {0};
    struct measurement next;

    for (uint32_t i = 0; i < MEASUREMENTS; i++) {
        if (interval_measure(&next) && measurement_take(&best, &next)) {
            break;
        }
        if (i == 1 && best.ticks == 0) {
            return false; /* twice nothing: there is none, rather than a busy hypervisor */
        }
    }
    if (best.ticks == 0) {
        return false;
    }
    counter_frequency = best.passed * PIT_FREQUENCY / best.ticks;
    return counter_frequency >= PLAUSIBLE_MINIMUM;
}

static uint64_t read_counter(void)
{
    __extension__ typedef unsigned __int128 uint128_t;

    return (uint64_t)((uint128_t)arch_counter() * counter_scale >> 32);
}

static const struct clock_source counter_source = {
    .name = "time-stamp counter", .rating = RATING, .read = read_counter};

static void register_counter(void)
{
    if (counter_frequency == 0 && clock_source_is_there()) {
        return; /* somebody has a better clock, and this one is not worth measuring */
    }
    if (counter_frequency == 0 && !measure_counter()) {
        counter_frequency = 1000 * MHZ;
        log_warning("kernel", "nothing tells the processor's frequency: time is a guess");
    }
    counter_scale = (CLOCK_SECOND << 32) / counter_frequency;
    clock_source_register(&counter_source);
}

static void arm(uint64_t delay)
{
    uint64_t limited = delay < timer_maximum ? delay : timer_maximum;
    uint64_t ticks = limited * timer_rate / CLOCK_SECOND + 1;

    local_apic_timer_start(ticks < UINT32_MAX ? (uint32_t)ticks : UINT32_MAX);
}

static void disarm(void)
{
    local_apic_timer_start(0);
}

static const struct clock_event timer_event = {
    .name = "local APIC timer", .rating = RATING, .arm = arm, .disarm = disarm};

static void interrupt(void *context)
{
    (void)context;
    timers_interrupt();
}

/* Counts the timer's ticks while the clock runs. False: the clock stands. */
static bool timer_measure(struct measurement *result)
{
    uint64_t before = clock_now();

    local_apic_timer_start(UINT32_MAX);
    uint64_t start = clock_now();
    for (uint32_t i = 0; i < TIMER_READS_MAXIMUM; i++) {
        uint64_t now = clock_now();
        if (now - start >= TIMER_WATCH) {
            uint64_t ticks = UINT32_MAX - local_apic_timer_left();
            uint64_t uncertainty = clock_now() - now + start - before;
            local_apic_timer_start(0);
            *result = (struct measurement){now - before + uncertainty / 2, ticks, uncertainty};
            return true;
        }
    }
    local_apic_timer_start(0);
    return false;
}

static bool measure_timer(void)
{
    struct measurement best = {0};
    struct measurement next;

    for (uint32_t i = 0; i < MEASUREMENTS && timer_measure(&next); i++) {
        if (measurement_take(&best, &next)) {
            break;
        }
    }
    if (best.ticks == 0) {
        return false;
    }
    timer_frequency = best.ticks * LOCAL_APIC_TIMER_DIVISOR * CLOCK_SECOND / best.passed;
    return timer_frequency >= PLAUSIBLE_MINIMUM;
}

static void register_timer(void)
{
    if (!local_apic_present() || (timer_frequency == 0 && clock_event_is_there())) {
        return;
    }
    uint32_t vector = interrupt_vector_allocate(interrupt, NULL);
    if (vector == 0) {
        return;
    }
    local_apic_timer_enable(vector);
    if (timer_frequency == 0 && !measure_timer()) {
        log_warning("kernel", "the local APIC's timer cannot be measured: waits poll the clock");
        return;
    }
    timer_rate = timer_frequency / LOCAL_APIC_TIMER_DIVISOR;
    timer_maximum = (uint64_t)UINT32_MAX * CLOCK_SECOND / timer_rate;
    clock_event_register(&timer_event);
}

void arch_register_clocks(void)
{
    register_counter();
    register_timer();
}
