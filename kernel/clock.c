/* SPDX-License-Identifier: MIT */
#include "kernel/clock.h"

#include <stdatomic.h>
#include <stddef.h>

#include "arch/cpu.h"
#include "kernel/panic.h"
#include "kernel/start.h"

/* Choice: the processor's counter, two of a hypervisor, one spare. */
#define SOURCES_MAXIMUM 4u

static const struct clock_source *sources[SOURCES_MAXIMUM];

/* Time is what the source in use reads plus an offset; a change of source goes to the other of two
 * slots. */
struct clock_base {
    const struct clock_source *source;
    uint64_t offset;
};
static struct clock_base bases[2];
static _Atomic(const struct clock_base *) current;

/* The latest time anybody was told. Nobody is told an earlier one, whatever a source does. */
static _Atomic uint64_t latest;

static uint64_t counter_at_entry;

static uint64_t (*_Atomic shared_with_host)(void);

void clock_initialise(uint64_t counter)
{
    counter_at_entry = counter;
}

uint64_t clock_now(void)
{
    const struct clock_base *base = atomic_load_explicit(&current, memory_order_acquire);
    uint64_t seen = atomic_load_explicit(&latest, memory_order_relaxed);

    if (base == NULL) {
        return seen;
    }
    uint64_t now = base->source->read() + base->offset;
    /* The difference counts: a source that falls back behind its own start would look far ahead
     * otherwise. */
    while ((int64_t)(now - seen) > 0) {
        if (atomic_compare_exchange_weak_explicit(&latest, &seen, now, memory_order_relaxed,
                                                  memory_order_relaxed)) {
            return now;
        }
    }
    return seen;
}

uint64_t clock_after(uint64_t delay)
{
    uint64_t now = clock_now();

    return delay > UINT64_MAX - now ? UINT64_MAX : now + delay;
}

/* What passed between the guest's first instruction and the first source. */
static uint64_t time_since_entry(void)
{
    uint64_t frequency = arch_counter_frequency();

    if (frequency == 0 || counter_at_entry == 0) {
        return 0;
    }
    uint64_t ticks = arch_counter() - counter_at_entry;
    return ticks / frequency * CLOCK_SECOND + ticks % frequency * CLOCK_SECOND / frequency;
}

static void use_best_source(void)
{
    bool interrupts = arch_interrupts_disable();
    const struct clock_base *old = atomic_load_explicit(&current, memory_order_relaxed);
    const struct clock_source *best = NULL;

    for (unsigned i = 0; i < SOURCES_MAXIMUM; i++) {
        if (sources[i] != NULL && (best == NULL || sources[i]->rating > best->rating)) {
            best = sources[i];
        }
    }
    if (best == NULL) {
        atomic_store_explicit(&current, NULL, memory_order_release);
    } else if (old == NULL || best != old->source) {
        struct clock_base *next = old == &bases[0] ? &bases[1] : &bases[0];
        uint64_t now = clock_now();
        if (now == 0) {
            now = time_since_entry();
        }
        next->source = best;
        next->offset = now - best->read();
        atomic_store_explicit(&current, next, memory_order_release);
    }
    arch_interrupts_restore(interrupts);
}

void clock_source_register(const struct clock_source *source)
{
    for (unsigned i = 0; i < SOURCES_MAXIMUM; i++) {
        if (sources[i] == NULL) {
            sources[i] = source;
            use_best_source();
            return;
        }
    }
    panic("no room for clock source %s", source->name);
}

void clock_source_unregister(const struct clock_source *source)
{
    for (unsigned i = 0; i < SOURCES_MAXIMUM; i++) {
        if (sources[i] == source) {
            sources[i] = NULL;
        }
    }
    use_best_source();
}

void clock_shared_with_host_register(uint64_t (*read)(void))
{
    atomic_store_explicit(&shared_with_host, read, memory_order_release);
}

bool clock_shared_with_host(uint64_t *now)
{
    uint64_t (*read)(void) = atomic_load_explicit(&shared_with_host, memory_order_acquire);

    *now = read != NULL ? read() : 0;
    return read != NULL;
}

bool clock_source_is_there(void)
{
    return atomic_load_explicit(&current, memory_order_acquire) != NULL;
}

const char *clock_source_name(void)
{
    const struct clock_base *base = atomic_load_explicit(&current, memory_order_acquire);

    return base == NULL ? "none" : base->source->name;
}
