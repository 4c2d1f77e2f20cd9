/* SPDX-License-Identifier: MIT */
/*
 * Small memory in blocks of 32 to 2048 bytes, powers of two, each size with a list of its free
 * blocks; larger memory in pages of its own. Both ways take constant time. Pages that were cut into
 * small blocks stay so; pages of large memory go back.
 */
#include "kernel/heap.h"

#include <stdint.h>
#include <string.h>

#include "kernel/lock.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

/* Before every address handed out. The words are unlike anything a stray pointer would find. */
enum block_state {
    BLOCK_SMALL = 0x6b6c5331,
    BLOCK_LARGE = 0x6b6c4c32,
    BLOCK_ALIGNED = 0x6b6c4133, /* the block proper begins `offset` bytes lower */
    BLOCK_FREE = 0x6b6c4634,
};

struct header {
    uint32_t state;
    uint32_t offset; /* BLOCK_ALIGNED */
    uint64_t size;   /* of the block with its header: a power of two, or whole pages */
};
_Static_assert(sizeof(struct header) == HEAP_ALIGNMENT, "what follows it is aligned");

struct free_block {
    struct header header;
    struct free_block *next;
};

#define SMALLEST 32u
#define LARGEST  2048u
#define SIZES    7u
_Static_assert(SMALLEST << (SIZES - 1) == LARGEST, "one list for each size");

/* Choice: more is a mistake; keeps sums from wrapping. */
#define SIZE_LIMIT ((size_t)1 << 46)

static struct spin_lock lock = SPIN_LOCK_INITIALISER;
static struct free_block *free_blocks[SIZES];

static unsigned list_for(size_t size)
{
    unsigned list = 0;

    while ((size_t)SMALLEST << list < size) {
        list++;
    }
    return list;
}

/* Cuts a page into free blocks. The lock is held. */
static void add_page(unsigned list, void *page)
{
    size_t size = (size_t)SMALLEST << list;

    for (size_t offset = 0; offset < PAGE_SIZE; offset += size) {
        struct free_block *block = (struct free_block *)(void *)((char *)page + offset);
        block->header = (struct header){.state = BLOCK_FREE, .size = size};
        block->next = free_blocks[list];
        free_blocks[list] = block;
    }
}

static struct header *allocate_small(size_t size)
{
    unsigned list = list_for(size);
    enum irql previous = spin_lock_acquire(&lock);

    if (free_blocks[list] == NULL) {
        void *page = pages_allocate(1);
        if (page == NULL) {
            spin_lock_release(&lock, previous);
            return NULL;
        }
        add_page(list, page);
    }
    struct free_block *block = free_blocks[list];
    free_blocks[list] = block->next;
    block->header.state = BLOCK_SMALL;
    spin_lock_release(&lock, previous);
    return &block->header;
}

static struct header *allocate_large(size_t size)
{
    size_t count = (size + PAGE_SIZE - 1) / PAGE_SIZE;
    struct header *header = pages_allocate(count);

    if (header != NULL) {
        *header = (struct header){.state = BLOCK_LARGE, .size = count * PAGE_SIZE};
    }
    return header;
}

void *heap_allocate(size_t size, size_t alignment)
{
    if (size > SIZE_LIMIT || alignment > PAGE_SIZE) {
        return NULL;
    }
    size += sizeof(struct header);
    if (alignment > HEAP_ALIGNMENT) {
        size += alignment;
    }
    struct header *header = size <= LARGEST ? allocate_small(size) : allocate_large(size);
    if (header == NULL) {
        return NULL;
    }
    char *memory = (char *)(header + 1);
    size_t beyond = (uintptr_t)memory % alignment;
    if (beyond != 0) {
        memory += alignment - beyond;
        struct header *second = (struct header *)(void *)memory - 1;
        *second = (struct header){.state = BLOCK_ALIGNED,
                                  .offset = (uint32_t)((char *)second - (char *)header)};
    }
    return memory;
}

/* The header of the block proper. NULL: the address was not handed out, or was given back. */
static struct header *header_of(const void *memory)
{
    if ((uintptr_t)memory % HEAP_ALIGNMENT != 0) {
        return NULL;
    }
    struct header *header = (struct header *)(uintptr_t)memory - 1;
    if (header->state == BLOCK_ALIGNED) {
        header = (struct header *)(void *)((char *)header - header->offset);
    }
    return header->state == BLOCK_SMALL || header->state == BLOCK_LARGE ? header : NULL;
}

void heap_free(void *memory)
{
    struct header *header = header_of(memory);

    if (header == NULL) {
        panic("heap: %p is freed, which is not allocated", memory);
    }
    bool large = header->state == BLOCK_LARGE;
    ((struct header *)memory - 1)->state = BLOCK_FREE;
    header->state = BLOCK_FREE;
    if (large) {
        pages_free(header, header->size / PAGE_SIZE);
        return;
    }
    struct free_block *block = (struct free_block *)(void *)header;
    enum irql previous = spin_lock_acquire(&lock);
    unsigned list = list_for(header->size);
    block->next = free_blocks[list];
    free_blocks[list] = block;
    spin_lock_release(&lock, previous);
}

size_t heap_usable_size(const void *memory)
{
    const struct header *header = header_of(memory);

    if (header == NULL) {
        panic("heap: %p is not allocated", memory);
    }
    return header->size - (size_t)((const char *)memory - (const char *)header);
}

void *heap_reallocate(void *memory, size_t size)
{
    if (memory == NULL) {
        return heap_allocate(size, HEAP_ALIGNMENT);
    }
    size_t usable = heap_usable_size(memory);
    if (size <= usable && size > usable / 4) {
        return memory;
    }
    void *moved = heap_allocate(size, HEAP_ALIGNMENT);
    if (moved != NULL) {
        memcpy(moved, memory, size < usable ? size : usable);
        heap_free(memory);
    }
    return moved;
}

void *memory_allocate(size_t size)
{
    void *memory = heap_allocate(size, HEAP_ALIGNMENT);

    return memory == NULL ? NULL : memset(memory, 0, size);
}

void memory_free(void *memory)
{
    if (memory != NULL) {
        heap_free(memory);
    }
}
