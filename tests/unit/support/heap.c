/* SPDX-License-Identifier: MIT */
/* In place of kernel/heap.c. */
#include <stdlib.h>

#include "kernel/pages.h"
#include "test_memory.h"

void *memory_allocate(size_t size)
{
    void *memory = test_memory_attempt_fails() ? NULL : calloc(1, size);

    test_memory_count += memory != NULL;
    return memory;
}

void memory_free(void *memory)
{
    test_memory_count -= memory != NULL;
    free(memory);
}
