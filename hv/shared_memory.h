/* SPDX-License-Identifier: MIT */
#ifndef HV_SHARED_MEMORY_H
#define HV_SHARED_MEMORY_H

/*
 * The only ways to touch memory that the hypervisor writes while we look at it. Each name says the
 * order it gives; the reason for the order stands where it is used.
 */

#include <stdatomic.h>
#include <stdint.h>
#include <string.h>

static inline uint32_t shared_load_u32_acquire(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

static inline uint32_t shared_load_u32(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline uint8_t shared_load_u8(_Atomic uint8_t *byte)
{
    return atomic_load_explicit(byte, memory_order_relaxed);
}

static inline uint64_t shared_load_u64(_Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

static inline void shared_store_u32_release(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

/* Atomic with regard to the hypervisor's own atomic operations; no access moves across it. */
static inline uint64_t shared_exchange_u64(_Atomic uint64_t *word, uint64_t value)
{
    return atomic_exchange_explicit(word, value, memory_order_seq_cst);
}

/* The source may change while it is copied: what counts afterwards is the copy. */
static inline void shared_copy_in(void *to, const void *from, size_t size)
{
    memcpy(to, from, size);
}

/* Orders a store before a later load, which neither release nor acquire does. */
static inline void shared_full_fence(void)
{
    atomic_thread_fence(memory_order_seq_cst);
}

/* Orders earlier loads before later ones. */
static inline void shared_load_fence(void)
{
    atomic_thread_fence(memory_order_acquire);
}

#endif
