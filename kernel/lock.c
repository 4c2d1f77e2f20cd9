/* SPDX-License-Identifier: MIT */
#include "kernel/lock.h"

void spin_lock_initialise(struct spin_lock *lock)
{
    atomic_flag_clear_explicit(&lock->held, memory_order_relaxed);
}

void spin_lock_wait(struct spin_lock *lock)
{
    do {
        arch_relax();
    } while (atomic_flag_test_and_set_explicit(&lock->held, memory_order_acquire));
}

/* For callers that do not inline them. */
extern inline enum irql spin_lock_acquire(struct spin_lock *lock);
extern inline void spin_lock_release(struct spin_lock *lock, enum irql previous);
