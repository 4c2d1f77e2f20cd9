/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_RING_MEMORY_H
#define VMBUS_RING_MEMORY_H

/*
 * The only ways into ring memory, for ring_*.c alone. All of it can change under our hands, so
 * every word that is decided upon is an atomic: loaded once, never loaded again behind our back by
 * the compiler. Plain copies move payload, which nobody looks at before it is in private memory.
 *
 * Order. Both ends publish an index and then read a word that the other end writes, to find out
 * whether it sleeps. If the store may be delayed past the load, both can find the other end busy,
 * and a packet lies there until the next one comes: x86 does so too, a load barrier does not help.
 * So:
 *
 *   ring_publish(word, value)   everything before is visible before the value is (release), and the
 *                               value is visible before anything that ring_load_after() reads
 *   ring_load_after(word)       never satisfied before an earlier ring_publish(), and before all
 *                               later loads
 *
 * Both are sequentially consistent operations, hence one exchange and a plain load on x86: cheaper
 * than a store and a fence. (The fence forms give the same order, at twice the price.)
 */

#include <stdatomic.h>
#include <stdint.h>

#include "vmbus/ring.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "ring words are little-endian and not swapped here"
#endif

/* One instruction each; a call of it would be longer. */
#define RING_ACCESSOR static inline __attribute__((always_inline))

RING_ACCESSOR uint32_t ring_load(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_relaxed);
}

/* Later loads see at least what was written before the value seen here. */
RING_ACCESSOR uint32_t ring_load_acquire(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

RING_ACCESSOR uint32_t ring_load_after(_Atomic uint32_t *word)
{
    return atomic_load_explicit(word, memory_order_seq_cst);
}

RING_ACCESSOR void ring_store(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_relaxed);
}

RING_ACCESSOR void ring_store_release(_Atomic uint32_t *word, uint32_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

RING_ACCESSOR void ring_publish(_Atomic uint32_t *word, uint32_t value)
{
    (void)atomic_exchange_explicit(word, value, memory_order_seq_cst);
}

/* Data is moved in words where a word matters; every data offset is a multiple of 8. */
RING_ACCESSOR uint64_t ring_load_word(const unsigned char *at)
{
    return atomic_load_explicit((_Atomic uint64_t *)(uintptr_t)at, memory_order_relaxed);
}

RING_ACCESSOR void ring_store_word(unsigned char *at, uint64_t value)
{
    atomic_store_explicit((_Atomic uint64_t *)(void *)at, value, memory_order_relaxed);
}

/*
 * The arithmetic. S is the size of the data area, w and r the indices, all multiples of 8, w, r <
 * S.
 *
 *        r           w                              w           r
 *  |     |###########|         |         |##########|           |##########|
 *  0                           S         0                                 S
 *     used = w - r                          used = S - r + w
 *
 * w == r is the empty ring, always. One word therefore stays free for ever: filled to the last word
 * the ring would be empty again, and lose all it holds. S need not be a power of two: an index that
 * has run past the end comes back by subtraction.
 *
 * A packet is one stream of bytes that may be cut at any word by the end of the area:
 *
 *  |4567|              |0123|      from offset S - 32: the descriptor and 16 bytes behind it lie at
 *  0                        S      the end, the rest of the packet at the start
 */
static inline uint32_t ring_used(uint32_t size, uint32_t write_index, uint32_t read_index)
{
    return write_index >= read_index ? write_index - read_index : size - read_index + write_index;
}

/* n <= size. */
static inline uint32_t ring_advance(uint32_t size, uint32_t index, uint32_t n)
{
    uint32_t next = index + n;

    return next >= size ? next - size : next;
}

static inline _Bool ring_index_is_valid(uint32_t size, uint32_t index)
{
    return index < size && (index & 7) == 0;
}

static inline _Bool ring_data_size_is_valid(uint32_t size)
{
    return size != 0 && size % RING_PAGE_SIZE == 0 && size <= RING_DATA_SIZE_MAX;
}

#endif
