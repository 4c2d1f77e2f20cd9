/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_CPU_H
#define KERNEL_CPU_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/irql.h"
#include "kernel/work.h"

/* Items in the order they came. Guarded by turning this processor's interrupts off. */
struct work_queue {
    struct work_item *first;
    struct work_item *last;
};

/* Counters a user can read at run time. */
struct cpu_statistics {
    uint64_t interrupts;
    uint64_t deferred_items; /* deferred work run */
    uint64_t passive_items;  /* passive work run */
    uint64_t halts;
};

/*
 * State of one processor. It is reached with arch_this_cpu(), and only by code that runs on this
 * processor: what an interrupt handler shares with the code it interrupted is atomic or reached
 * with interrupts off.
 */
struct cpu {
    struct cpu *self; /* first: an architecture may find the structure through it */
    atomic_uint irql; /* enum irql */
    struct work_queue deferred;
    struct work_queue passive;
    struct cpu_statistics statistics;
};

/* The level it runs at. */
static inline enum irql cpu_level(const struct cpu *cpu)
{
    return (enum irql)atomic_load_explicit(&cpu->irql, memory_order_relaxed);
}

/* Makes `cpu` a processor at IRQL_PASSIVE without work. The architecture calls it once, before
 * interrupts are on. */
void cpu_initialise(struct cpu *cpu);

/*
 * Around every interrupt handler, with interrupts off. interrupt_leave() returns true if deferred
 * work is pending and the interrupted code ran below IRQL_DISPATCH: the architecture then calls
 * interrupt_run_deferred(), with the processor state saved that such work may change (vector
 * registers). That turns interrupts on, runs the work at IRQL_DISPATCH, and returns with interrupts
 * off. Interrupts that come meanwhile queue further work and return: the nesting ends at two.
 */
enum irql interrupt_enter(void);
bool interrupt_leave(enum irql previous);
void interrupt_run_deferred(enum irql previous);

/* A printable name. */
const char *irql_name(enum irql level);

/* kernel/irql.c and kernel/wait.c only: sets the level without running what is pending. */
void irql_set(struct cpu *cpu, enum irql level);

/* kernel/irql.c, kernel/wait.c: one item each; false if there is none. */
bool deferred_work_run_one(struct cpu *cpu);
bool passive_work_run_one(struct cpu *cpu);

/* A look without turning interrupts off: an item that an interrupt adds right behind it is seen by
 * the next look. Every end of an interrupt and every fall of the level looks. */
static inline bool work_queue_has_items(const struct work_queue *queue)
{
    atomic_signal_fence(memory_order_seq_cst);
    const struct work_item *item = queue->first;
    atomic_signal_fence(memory_order_seq_cst);
    return item != NULL;
}

static inline bool deferred_work_pending(const struct cpu *cpu)
{
    return work_queue_has_items(&cpu->deferred);
}

static inline bool passive_work_pending(const struct cpu *cpu)
{
    return work_queue_has_items(&cpu->passive);
}

#endif
