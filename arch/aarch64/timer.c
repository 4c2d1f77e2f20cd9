/* SPDX-License-Identifier: MIT */
/* The generic timer (Arm ARM, "The Generic Timer"): its virtual counter as clock source, its
 * virtual timer as clock event device. */
#include "arch/timer.h"

#include <stddef.h>

#include "arch/aarch64/instructions.h"
#include "arch/aarch64/interrupts.h"
#include "arch/aarch64/platform.h"
#include "arch/cpu.h"
#include "arch/start.h"
#include "kernel/clock.h"
#include "kernel/log.h"

/*
 * Choices: the counter costs no exit to read, unlike a hypervisor's, so it comes before that one
 * but behind a hypervisor's page. The timer comes before a hypervisor's: to arm it costs no exit
 * either.
 */
#define RATING_COUNTER 275u
#define RATING_TIMER   350u

/* Choice: where firmware left the register empty. Time is wrong then, but it passes. */
#define FREQUENCY_GUESSED UINT64_C(25000000)

#define TIMER_ENABLE 1u

/*
 * Choice: longer delays end early and the kernel arms again. Keeps the product below of a frequency
 * of 32 bits in 64 bits.
 */
#define DELAY_LONGEST (UINT64_C(60) * CLOCK_SECOND)

/* 100 ns units a tick, times 2^32. */
static uint64_t counter_scale;
static uint64_t frequency;

uint64_t arch_counter_frequency(void)
{
    return counter_frequency_read() & UINT32_MAX;
}

/* The processor has its frequency in a register; in which unit a hypervisor would tell it is not
 * certain (TLFS). */
void arch_timer_frequencies(uint64_t counter, uint64_t timer)
{
    (void)counter;
    (void)timer;
}

static uint64_t read_counter(void)
{
    __extension__ typedef unsigned __int128 uint128_t;

    return (uint64_t)((uint128_t)counter_read() * counter_scale >> 32);
}

static const struct clock_source counter_source = {
    .name = "virtual counter", .rating = RATING_COUNTER, .read = read_counter};

static void arm(uint64_t delay)
{
    uint64_t limited = delay < DELAY_LONGEST ? delay : DELAY_LONGEST;

    timer_deadline_write(counter_read() + limited * frequency / CLOCK_SECOND + 1);
    timer_control_write(TIMER_ENABLE);
}

static void disarm(void)
{
    timer_control_write(0);
}

static const struct clock_event timer_event = {
    .name = "virtual timer", .rating = RATING_TIMER, .arm = arm, .disarm = disarm};

/* Its line stays up until the timer is off or armed anew. */
static void interrupt(void *context)
{
    (void)context;
    timer_control_write(0);
    timers_interrupt();
}

void arch_register_clocks(void)
{
    frequency = arch_counter_frequency();
    if (frequency == 0) {
        frequency = FREQUENCY_GUESSED;
        log_warning("kernel", "nothing tells the counter's frequency: time is a guess");
    }
    counter_scale = (CLOCK_SECOND << 32) / frequency;
    clock_source_register(&counter_source);
    timer_control_write(0);
    if (interrupt_attach(platform.timer_interrupt, false, interrupt, NULL)) {
        clock_event_register(&timer_event);
    }
}
