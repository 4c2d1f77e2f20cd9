/* SPDX-License-Identifier: MIT */
/*
 * In place of kernel/pages.c. Each run comes from the host's heap, and goes back when its last page
 * was freed; pages of it may be freed one by one.
 */
#include "kernel/pages.h"

#include <stdlib.h>
#include <string.h>

#include "kernel/panic.h"
#include "test_memory.h"

/* What a test of an upper layer may see as the size of its machine. */
#define TOTAL UINT64_C(65536)

struct run {
    struct run *next;
    char *first;
    size_t count;
    size_t left;
    bool freed[];
};

static struct run *runs;

static size_t alignment_of(size_t count)
{
    size_t alignment = PAGE_SIZE;

    while (alignment * 2 <= count * PAGE_SIZE && alignment < (2u << 20)) {
        alignment *= 2;
    }
    return alignment;
}

void *pages_allocate(size_t count)
{
    if (count == 0 || test_memory_attempt_fails()) {
        return NULL;
    }
    struct run *run = calloc(1, sizeof(*run) + count * sizeof(run->freed[0]));
    size_t alignment = alignment_of(count);
    size_t size = (count * PAGE_SIZE + alignment - 1) / alignment * alignment;
    if (run == NULL || (run->first = aligned_alloc(alignment, size)) == NULL) {
        abort();
    }
    memset(run->first, 0xa5, size);
    run->count = count;
    run->left = count;
    run->next = runs;
    runs = run;
    test_pages_count += count;
    return run->first;
}

void *pages_allocate_zeroed(size_t count)
{
    void *pages = pages_allocate(count);

    return pages == NULL ? NULL : memset(pages, 0, count * PAGE_SIZE);
}

/* The place of the run that holds the whole range, allocated; NULL if none does. */
static struct run **holder_of(const char *first, size_t count)
{
    for (struct run **at = &runs; *at != NULL; at = &(*at)->next) {
        struct run *run = *at;
        if (first < run->first || first >= run->first + run->count * PAGE_SIZE) {
            continue;
        }
        size_t page = (size_t)(first - run->first) / PAGE_SIZE;
        if (count > run->count - page) {
            return NULL;
        }
        for (size_t i = 0; i < count; i++) {
            if (run->freed[page + i]) {
                return NULL;
            }
        }
        return at;
    }
    return NULL;
}

void pages_free(void *first, size_t count)
{
    char *address = first;
    struct run **at = count == 0 ? NULL : holder_of(address, count);

    if (count == 0) {
        return;
    }
    if (at == NULL || (uintptr_t)first % PAGE_SIZE != 0) {
        panic("%zu pages at %p are freed but not allocated", count, first);
    }
    struct run *run = *at;
    memset(&run->freed[(size_t)(address - run->first) / PAGE_SIZE], true, count);
    run->left -= count;
    test_pages_count -= count;
    if (run->left == 0) {
        *at = run->next;
        free(run->first);
        free(run);
    }
}

bool pages_hot_add(uint64_t first_frame, uint64_t count)
{
    (void)first_frame;
    (void)count;
    return false;
}

bool pages_are_allocated(uint64_t first_frame, uint64_t count)
{
    return count != 0 && holder_of(page_address(first_frame), count) != NULL;
}

void pages_statistics(struct pages_statistics *out)
{
    *out = (struct pages_statistics){
        .total = TOTAL,
        .free = TOTAL - test_pages_count,
        .end_frame = TOTAL,
    };
}
