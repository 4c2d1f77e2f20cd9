/* SPDX-License-Identifier: MIT */
/* In place of kernel/pages.c and kernel/heap.c: memory of the executive is memory of Linux. */
#include "kernel/pages.h"

#include <stdlib.h>
#include <string.h>

void *pages_allocate(size_t count)
{
    return count == 0 || count > SIZE_MAX / PAGE_SIZE ? NULL
                                                      : aligned_alloc(PAGE_SIZE, count * PAGE_SIZE);
}

void *pages_allocate_zeroed(size_t count)
{
    void *pages = pages_allocate(count);

    return pages == NULL ? NULL : memset(pages, 0, count * PAGE_SIZE);
}

/* Whoever runs here returns runs as a whole. */
void pages_free(void *first, size_t count)
{
    if (count != 0) {
        free(first);
    }
}

void *memory_allocate(size_t size)
{
    return calloc(1, size);
}

void memory_free(void *memory)
{
    free(memory);
}
