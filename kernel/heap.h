/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_HEAP_H
#define KERNEL_HEAP_H

#include <stddef.h>

/*
 * What memory_allocate() and the C library's malloc() have in common. All at or below DISPATCH;
 * addresses are multiples of HEAP_ALIGNMENT.
 */
#define HEAP_ALIGNMENT 16u

/* Contents undefined. NULL: there is no memory. `alignment` is a power of two, at most PAGE_SIZE.
 */
void *heap_allocate(size_t size, size_t alignment);

/* What heap_allocate() gave, else panics. */
void heap_free(void *memory);

/* Bytes that may be used at an address heap_allocate() gave: its size or more. */
size_t heap_usable_size(const void *memory);

/*
 * Makes memory of heap_allocate(), or NULL, `size` bytes long, where it is or elsewhere, with what
 * was in it. NULL: there is no memory, and the old one is as it was.
 */
void *heap_reallocate(void *memory, size_t size);

#endif
