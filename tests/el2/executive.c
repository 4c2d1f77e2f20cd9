/* SPDX-License-Identifier: MIT */
#include "tests/el2/executive.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "arch/cpu.h"
#include "arch/start.h"
#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/cpu.h"
#include "kernel/exit.h"
#include "tests/el2/instructions.h"
#include "tests/el2/lock.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/switch.h"
#include "tests/host/machine.h"

#define STACK_SIZE 65536u
#define RATING     100u

static struct cpu cpu;
static bool interrupts; /* there are none; whether they would be taken */
static struct boot_info *boot;

/* Whoever holds it is the executive's processor. */
static struct machine_lock turn;
static struct context waiting; /* the executive, while nobody lends it a processor */
static struct context *lender; /* who does */
static _Alignas(16) unsigned char stack[STACK_SIZE];

/* Ticks of the counter. Read by processors that are about to wait. */
static _Atomic uint64_t deadline = UINT64_MAX;

static void begin(void)
{
    kernel_start(boot);
}

void executive_initialise(struct boot_info *info)
{
    boot = info;
    context_initialise(&waiting, begin, stack + STACK_SIZE);
}

void executive_run(void)
{
    struct context here;

    machine_lock(&turn);
    lender = &here;
    context_switch(&here, &waiting);
    machine_unlock(&turn);
}

uint64_t executive_deadline(void)
{
    return atomic_load_explicit(&deadline, memory_order_acquire);
}

/* ---- what the executive asks of its processor: arch/cpu.h, arch/start.h ---- */

void arch_initialise_processor(void)
{
    cpu_initialise(&cpu);
}

struct cpu *arch_this_cpu(void)
{
    return &cpu;
}

bool arch_interrupts_disable(void)
{
    bool were_enabled = interrupts;

    interrupts = false;
    return were_enabled;
}

void arch_interrupts_restore(bool were_enabled)
{
    interrupts = were_enabled;
}

void arch_interrupts_enable(void)
{
    interrupts = true;
}

/* The guest has the processor until something happens, which is then the interrupt. */
void arch_wait_for_interrupt(void)
{
    context_switch(&waiting, lender);
    interrupts = false;
    enum irql previous = interrupt_enter();
    if (executive_deadline() <= arch_counter()) {
        atomic_store_explicit(&deadline, UINT64_MAX, memory_order_release);
        timers_interrupt();
    }
    machine_interrupt();
    if (interrupt_leave(previous)) {
        interrupt_run_deferred(previous);
    }
    interrupts = true;
}

void arch_relax(void)
{
    __asm__ volatile("yield" : : : "memory");
}

uint64_t arch_counter(void)
{
    return physical_counter_read();
}

uint64_t arch_counter_frequency(void)
{
    return counter_frequency_read();
}

static uint64_t ticks_of(uint64_t time)
{
    const uint64_t frequency = arch_counter_frequency();

    return time / CLOCK_SECOND * frequency + time % CLOCK_SECOND * frequency / CLOCK_SECOND;
}

static void arm(uint64_t delay)
{
    const uint64_t now = arch_counter();
    const uint64_t ticks = ticks_of(delay) + 1; /* never early */

    atomic_store_explicit(&deadline, ticks < UINT64_MAX - now ? now + ticks : UINT64_MAX - 1,
                          memory_order_release);
}

static void disarm(void)
{
    atomic_store_explicit(&deadline, UINT64_MAX, memory_order_release);
}

void arch_register_clocks(void)
{
    static const struct clock_source source = {
        .name = "generic counter", .rating = RATING, .read = machine_reference_time};
    static const struct clock_event event = {
        .name = "EL2 timer", .rating = RATING, .arm = arm, .disarm = disarm};

    clock_source_register(&source);
    clock_event_register(&event);
}

/* ---- the C library's end ---- */

_Noreturn void exit(int status)
{
    kernel_exit(status);
}
