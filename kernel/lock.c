/* SPDX-License-Identifier: MIT */
#include "kernel/lock.h"

#include "arch/cpu.h"

void spin_lock_initialise(struct spin_lock *lock)
{
    atomic_flag_clear_explicit(&lock->held, memory_order_relaxed);
}

enum irql spin_lock_acquire(struct spin_lock *lock)
{
    enum irql previous = irql_current();

    /* At DISPATCH already is the usual case on the data path: there is no level to change. */
    if (previous != IRQL_DISPATCH) {
        previous = irql_raise_to_dispatch();
    }
    while (atomic_flag_test_and_set_explicit(&lock->held, memory_order_acquire)) {
        arch_relax();
    }
    return previous;
}

void spin_lock_release(struct spin_lock *lock, enum irql previous)
{
    atomic_flag_clear_explicit(&lock->held, memory_order_release);
    if (previous != IRQL_DISPATCH) {
        irql_lower(previous);
    }
}
