/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_LOCK_H
#define KERNEL_LOCK_H

#include <stdatomic.h>

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

/* At or below DISPATCH. The returned level goes to spin_lock_release(). */
enum irql spin_lock_acquire(struct spin_lock *lock);
void spin_lock_release(struct spin_lock *lock, enum irql previous);

#endif
