/* SPDX-License-Identifier: MIT */
#include "test_arch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"

const char arch_name[] = "test";

#define STEP_TIME    (10 * CLOCK_MICROSECOND)
#define CONSOLE_SIZE 65536u
#define NOT_ARMED    UINT64_MAX

static struct cpu cpu;
static bool interrupts_on;
static unsigned halts;
static struct {
    unsigned moment; /* 0: none */
    void (*handler)(void *context);
    void *context;
} later;

static uint64_t now = CLOCK_SECOND;
static uint64_t timer_at = NOT_ARMED;

static char console[CONSOLE_SIZE];
static size_t console_used;

uint64_t test_timer_arm_time;
static uint64_t range_first, range_end;
bool test_map_memory_works;
unsigned test_map_memory_calls;

/* ---- the clock ---- */

static uint64_t read_time(void)
{
    return ++now;
}

static void arm_timer(uint64_t delay)
{
    assert_false(interrupts_on);
    timer_at = delay > NOT_ARMED - 1 - now ? NOT_ARMED - 1 : now + delay;
    now += test_timer_arm_time;
}

static void disarm_timer(void)
{
    timer_at = NOT_ARMED;
}

static const struct clock_source virtual_source = {"virtual clock", 1, read_time};
static const struct clock_event virtual_event = {"virtual timer", 1, arm_timer, disarm_timer};
static bool clock_registered;

void test_clock_remove(void)
{
    clock_source_unregister(&virtual_source);
    clock_event_unregister(&virtual_event);
    clock_registered = false;
}

uint64_t test_time(void)
{
    return now;
}

static void timer_handler(void *context)
{
    (void)context;
    timers_interrupt();
}

/* The timer's interrupt stays pending while interrupts are off. */
static void timer_fires(void)
{
    uint64_t at = timer_at;

    now = now < at ? at : now;
    timer_at = NOT_ARMED;
    if (!test_interrupt(timer_handler, NULL)) {
        timer_at = at;
    }
}

void test_time_pass(uint64_t delay)
{
    uint64_t end = now + delay;

    while (timer_at <= end && interrupts_on) {
        timer_fires();
    }
    now = now < end ? end : now;
}

/* ---- the processor ---- */

static void later_comes(void)
{
    if (later.moment != 0 && --later.moment == 0) {
        (void)test_interrupt(later.handler, later.context);
    }
}

struct cpu *arch_this_cpu(void)
{
    if (interrupts_on) {
        later_comes();
    }
    return &cpu;
}

bool arch_interrupts_disable(void)
{
    bool were_on = interrupts_on;

    interrupts_on = false;
    return were_on;
}

void test_interrupt_later(unsigned moment, void (*handler)(void *context), void *context)
{
    later.moment = moment;
    later.handler = handler;
    later.context = context;
}

bool test_interrupt_still_to_come(void)
{
    bool still = later.moment != 0;

    later.moment = 0;
    return still;
}

/* What became due while interrupts were off comes now, like in a real processor. */
void arch_interrupts_enable(void)
{
    interrupts_on = true;
    later_comes();
    while (timer_at <= now) {
        timer_fires();
    }
}

void arch_interrupts_restore(bool were_enabled)
{
    if (were_enabled) {
        arch_interrupts_enable();
    }
}

bool test_interrupt(void (*handler)(void *context), void *context)
{
    if (!interrupts_on) {
        return false;
    }
    interrupts_on = false;
    enum irql previous = interrupt_enter();
    handler(context);
    if (interrupt_leave(previous)) {
        interrupt_run_deferred(previous);
    }
    assert_false(interrupts_on);
    interrupts_on = true;
    return true;
}

__attribute__((weak)) bool test_host_step(void)
{
    return false;
}

void arch_wait_for_interrupt(void)
{
    assert_false(interrupts_on);
    halts++;
    interrupts_on = true;
    /* A host that always has something to do must not hold up the timers. */
    if (timer_at <= now) {
        timer_fires();
    } else if (test_host_step()) {
        now += STEP_TIME;
    } else if (timer_at != NOT_ARMED) {
        timer_fires();
    } else {
        fail_msg("the processor would halt for ever");
    }
    interrupts_on = true;
}

unsigned test_halts(void)
{
    return halts;
}

void arch_relax(void)
{
    now += CLOCK_MICROSECOND;
}

uint64_t arch_counter(void)
{
    return now;
}

uint64_t arch_counter_frequency(void)
{
    return CLOCK_SECOND;
}

_Noreturn void arch_exit(int status)
{
    test_end("exit", status);
}

_Noreturn void arch_restart(void)
{
    test_end("restart", 0);
}

bool arch_map_memory(uint64_t base, uint64_t size)
{
    (void)base;
    (void)size;
    test_map_memory_calls++;
    return test_map_memory_works;
}

bool arch_map_executable(uint64_t address)
{
    (void)address;
    return true;
}

/* ---- the console ---- */

void test_map_range_allow(const void *first, const void *end)
{
    range_first = (uintptr_t)first;
    range_end = (uintptr_t)end;
}

bool arch_map_range(uint64_t base, uint64_t size, enum arch_mapping mapping)
{
    (void)mapping;
    return base >= range_first && base <= range_end && size <= range_end - base;
}

bool arch_console_write(const char *text, uint32_t length)
{
    for (uint32_t i = 0; i < length && console_used < CONSOLE_SIZE - 1; i++) {
        if (text[i] != '\r') {
            console[console_used++] = text[i];
        }
    }
    console[console_used] = '\0';
    if (getenv("TEST_LOG") != NULL) {
        (void)fwrite(text, 1, length, stdout);
    }
    return true;
}

const char *test_console(void)
{
    return console;
}

void test_console_clear(void)
{
    console_used = 0;
    console[0] = '\0';
}

int test_arch_setup(void **state)
{
    (void)state;
    cpu_initialise(&cpu);
    interrupts_on = true;
    halts = 0;
    later.moment = 0;
    test_timer_arm_time = 0;
    test_map_range_allow(NULL, NULL);
    test_map_memory_works = true;
    test_map_memory_calls = 0;
    test_console_clear();
    if (!clock_registered) {
        clock_registered = true;
        clock_source_register(&virtual_source);
        clock_event_register(&virtual_event);
    }
    /* An interrupt that a wait of the last test did not need. */
    if (timer_at != NOT_ARMED) {
        timer_fires();
    }
    return 0;
}
