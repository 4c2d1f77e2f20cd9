/* SPDX-License-Identifier: MIT */
#ifndef EL2_LOCK_H
#define EL2_LOCK_H

#include <stdatomic.h>

/*
 * Between the processors of the machine, below the executive: kernel/lock.h is for its one
 * processor. Held for a few dozen instructions, and never while another is taken.
 */
struct machine_lock {
    atomic_flag held;
};

static inline void machine_lock(struct machine_lock *lock)
{
    while (atomic_flag_test_and_set_explicit(&lock->held, memory_order_acquire)) {
        __asm__ volatile("yield");
    }
}

static inline void machine_unlock(struct machine_lock *lock)
{
    atomic_flag_clear_explicit(&lock->held, memory_order_release);
}

#endif
