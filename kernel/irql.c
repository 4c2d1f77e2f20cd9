/* SPDX-License-Identifier: MIT */
#include "kernel/irql.h"

#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"

/*
 * Choice of ours: at most this many items of deferred work run in a row before the code that was
 * interrupted, or that lowered the level, goes on. Work that queues work again, for a device that
 * answers each packet at once, would otherwise keep main() from ever running. The rest runs at the
 * next interrupt, the next time the level falls, or the next wait, which does not halt before.
 */
#define DEFERRED_ITEMS_IN_A_ROW 256u

/*
 * The level is read and written by this processor alone. An interrupt handler on it may look at any
 * point between two instructions, so the compiler must not move work over a change of level; the
 * processor itself sees its own order.
 */
void irql_set(struct cpu *cpu, enum irql level)
{
    atomic_signal_fence(memory_order_seq_cst);
    atomic_store_explicit(&cpu->irql, (unsigned)level, memory_order_relaxed);
    atomic_signal_fence(memory_order_seq_cst);
}

void cpu_initialise(struct cpu *cpu)
{
    *cpu = (struct cpu){.self = cpu};
    irql_set(cpu, IRQL_PASSIVE);
}

const char *irql_name(enum irql level)
{
    switch (level) {
    case IRQL_PASSIVE:
        return "passive";
    case IRQL_DISPATCH:
        return "dispatch";
    case IRQL_DEVICE:
        return "device";
    }
    return "unknown";
}

enum irql irql_current(void)
{
    return cpu_level(arch_this_cpu());
}

enum irql irql_raise_to_dispatch(void)
{
    struct cpu *cpu = arch_this_cpu();
    enum irql previous = cpu_level(cpu);

    if (previous > IRQL_DISPATCH) {
        panic("raise to dispatch level at %s level", irql_name(previous));
    }
    irql_set(cpu, IRQL_DISPATCH);
    return previous;
}

void irql_lower(enum irql previous)
{
    struct cpu *cpu = arch_this_cpu();

    if (cpu_level(cpu) != IRQL_DISPATCH || previous > IRQL_DISPATCH) {
        panic("lower from %s to %s level", irql_name(cpu_level(cpu)), irql_name(previous));
    }
    if (previous == IRQL_DISPATCH) {
        return;
    }
    /*
     * An interrupt before the level falls sees DISPATCH and leaves its work to us; one behind that
     * runs its work itself. So a look after the level fell misses nothing.
     */
    for (unsigned left = DEFERRED_ITEMS_IN_A_ROW;;) {
        irql_set(cpu, previous);
        if (left == 0 || !deferred_work_pending(cpu)) {
            return;
        }
        irql_set(cpu, IRQL_DISPATCH);
        while (left != 0 && deferred_work_run_one(cpu)) {
            left--;
        }
    }
}

enum irql interrupt_enter(void)
{
    struct cpu *cpu = arch_this_cpu();
    enum irql previous = cpu_level(cpu);

    irql_set(cpu, IRQL_DEVICE);
    cpu->statistics.interrupts++;
    return previous;
}

bool interrupt_leave(enum irql previous)
{
    struct cpu *cpu = arch_this_cpu();

    irql_set(cpu, previous);
    return previous < IRQL_DISPATCH && deferred_work_pending(cpu);
}

void interrupt_run_deferred(enum irql previous)
{
    struct cpu *cpu = arch_this_cpu();
    unsigned left = DEFERRED_ITEMS_IN_A_ROW;

    irql_set(cpu, IRQL_DISPATCH);
    do {
        arch_interrupts_enable();
        while (left != 0 && deferred_work_run_one(cpu)) {
            left--;
        }
        (void)arch_interrupts_disable();
    } while (left != 0 && deferred_work_pending(cpu));
    irql_set(cpu, previous);
}
