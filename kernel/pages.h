/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PAGES_H
#define KERNEL_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* 4096 bytes on every architecture: the hypervisor and VMBus count in this unit whatever the
 * processor does. */
#define PAGE_SIZE  4096u
#define PAGE_SHIFT 12u

struct pages_statistics {
    uint64_t total;     /* pages the allocator was given, its own tables excluded */
    uint64_t free;      /* of these, pages nobody holds */
    uint64_t tables;    /* pages its own tables occupy */
    uint64_t end_frame; /* one past the highest page frame it knows */
};

/*
 * Contiguous pages, aligned to the largest power of two not above `count` pages (at most 2 MiB).
 * Contents undefined. NULL if there is no such run, or for 0 pages. At or below DISPATCH.
 */
void *pages_allocate(size_t count);

/* The same, zeroed. */
void *pages_allocate_zeroed(size_t count);

/*
 * Returns pages. Any part of what pages_allocate() gave may be returned by itself, in any order.
 * Returning a page that is free already, or that the allocator never had, is a broken invariant and
 * panics. At or below DISPATCH.
 */
void pages_free(void *first, size_t count);

/*
 * Hands over memory that appeared while running (hot add), mapping it first. The allocator's tables
 * for it come out of it. False, and nothing changed: it is smaller than its tables, overlaps what
 * is known or mapped, or there is no page for the map. At or below DISPATCH, one caller at a time.
 */
bool pages_hot_add(uint64_t first_frame, uint64_t count);

/* Whether every frame of the range belongs to the allocator and is allocated. Any numbers may be
 * asked for. At or below DISPATCH. */
bool pages_are_allocated(uint64_t first_frame, uint64_t count);

/* At or below DISPATCH. */
void pages_statistics(struct pages_statistics *out);

/* Memory is mapped one to one: an address and its guest physical address are the same number. */
static inline uint64_t page_frame_of(const void *address)
{
    return (uint64_t)(uintptr_t)address >> PAGE_SHIFT;
}

static inline void *page_address(uint64_t frame)
{
    return (void *)(uintptr_t)(frame << PAGE_SHIFT);
}

/* Small memory, zeroed, aligned to 16 bytes. NULL when there is none. At or below DISPATCH. */
void *memory_allocate(size_t size);

/* NULL is allowed; what was not allocated, or freed already, panics. At or below DISPATCH. */
void memory_free(void *memory);

#endif
