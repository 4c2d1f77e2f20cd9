/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <stdatomic.h>

#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/irql.h"

/*
 * A spin lock for state shared by code at PASSIVE and DISPATCH level. Holding it means being at
 * DISPATCH level, so deferred work of this processor cannot interrupt the holder. Interrupt
 * handlers must not take one: what they share is reached with atomics or with interrupts off. Never
 * held across a callback.
 */
struct spin_lock {
    atomic_flag held;
};

#define SPIN_LOCK_INITIALISER                                                                      \
    {                                                                                              \
        ATOMIC_FLAG_INIT                                                                           \
    }

void spin_lock_initialise(struct spin_lock *lock);

/* Spins until the lock, which another processor holds, is the caller's. For spin_lock_acquire()
 * alone. */
void spin_lock_wait(struct spin_lock *lock);

/*
 * At or below DISPATCH. The returned level goes to spin_lock_release(). Both are defined here, so
 * that the compiler may inline them where that pays: every packet passes through them.
 */
inline enum irql spin_lock_acquire(struct spin_lock *lock)
{
    enum irql previous =
        (enum irql)atomic_load_explicit(&arch_this_cpu()->irql, memory_order_relaxed);

    /* At DISPATCH already is the usual case on the data path: there is no level to change. */
    if (previous != IRQL_DISPATCH) {
        previous = irql_raise_to_dispatch();
    }
    if (atomic_flag_test_and_set_explicit(&lock->held, memory_order_acquire)) {
        spin_lock_wait(lock);
    }
    return previous;
}

inline void spin_lock_release(struct spin_lock *lock, enum irql previous)
{
    atomic_flag_clear_explicit(&lock->held, memory_order_release);
    if (previous != IRQL_DISPATCH) {
        irql_lower(previous);
    }
}

#endif
