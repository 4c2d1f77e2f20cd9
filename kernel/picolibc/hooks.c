/* SPDX-License-Identifier: MIT */
/*
 * What picolibc asks of the system below it (picolibc, "Picolibc and Operating Systems"). The
 * console is stdout and stderr; there are no files. Its malloc is replaced by the kernel's heap:
 * one heap for both, blocks aligned to 16 bytes as the ABI wants them, and safe at DISPATCH level.
 */
#include <errno.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kernel/console.h"
#include "kernel/exit.h"
#include "kernel/heap.h"

/* The names of picolibc's parameters are its own.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

static void *allocate(size_t size, size_t alignment)
{
    void *memory = heap_allocate(size, alignment);

    if (memory == NULL) {
        errno = ENOMEM;
    }
    return memory;
}

void *malloc(size_t size)
{
    return allocate(size, HEAP_ALIGNMENT);
}

void free(void *memory)
{
    if (memory != NULL) {
        heap_free(memory);
    }
}

void *calloc(size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    void *memory = malloc(total);
    return memory == NULL ? NULL : memset(memory, 0, total);
}

void *realloc(void *memory, size_t size)
{
    void *moved = heap_reallocate(memory, size);

    if (moved == NULL) {
        errno = ENOMEM;
    }
    return moved;
}

void *memalign(size_t alignment, size_t size)
{
    if (alignment == 0 || (alignment & (alignment - 1)) != 0) {
        errno = EINVAL;
        return NULL;
    }
    return allocate(size, alignment < HEAP_ALIGNMENT ? HEAP_ALIGNMENT : alignment);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    return memalign(alignment, size);
}

size_t malloc_usable_size(void *memory)
{
    return memory == NULL ? 0 : heap_usable_size(memory);
}

static int put(char character, FILE *stream)
{
    (void)stream;
    console_write_lines(&character, 1);
    return (unsigned char)character;
}

/* Nobody types. */
static int get(FILE *stream)
{
    (void)stream;
    return _FDEV_EOF;
}

static FILE console = FDEV_SETUP_STREAM(put, get, NULL, _FDEV_SETUP_RW);

FILE *const stdin = &console;
FILE *const stdout = &console;
FILE *const stderr = &console;

void _exit(int status)
{
    kernel_exit(status);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
