/* SPDX-License-Identifier: MIT */
/*
 * What newlib asks of the system below it (newlib, "System Calls", "Reentrant Syscalls"). The
 * console is files 0 to 2; there are no others. Its malloc is replaced by the kernel's heap: one
 * heap for both, blocks aligned to 16 bytes as the x86-64 ABI wants them, and safe at DISPATCH
 * level.
 */
#include <errno.h>
#include <reent.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/console.h"
#include "kernel/exit.h"
#include "kernel/heap.h"

/* The names of newlib's parameters are its own.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name) */

#define CONSOLE_LAST 2

/* Declared where a program looks for them only under other names. */
void *_memalign_r(struct _reent *reent, size_t alignment, size_t size);
int kill(pid_t process, int signal);

void *_malloc_r(struct _reent *reent, size_t size)
{
    void *memory = heap_allocate(size, HEAP_ALIGNMENT);

    if (memory == NULL) {
        reent->_errno = ENOMEM;
    }
    return memory;
}

void *_memalign_r(struct _reent *reent, size_t alignment, size_t size)
{
    void *memory = NULL;

    if (alignment != 0 && (alignment & (alignment - 1)) == 0) {
        memory = heap_allocate(size, alignment < HEAP_ALIGNMENT ? HEAP_ALIGNMENT : alignment);
    }
    if (memory == NULL) {
        reent->_errno = ENOMEM;
    }
    return memory;
}

void *_calloc_r(struct _reent *reent, size_t count, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(count, size, &total)) {
        reent->_errno = ENOMEM;
        return NULL;
    }
    void *memory = _malloc_r(reent, total);
    return memory == NULL ? NULL : memset(memory, 0, total);
}

void _free_r(struct _reent *reent, void *memory)
{
    (void)reent;
    if (memory != NULL) {
        heap_free(memory);
    }
}

void *_realloc_r(struct _reent *reent, void *memory, size_t size)
{
    void *moved = heap_reallocate(memory, size);

    if (moved == NULL) {
        reent->_errno = ENOMEM;
    }
    return moved;
}

int write(int file, const void *bytes, size_t count)
{
    if (file < 0 || file > CONSOLE_LAST) {
        errno = EBADF;
        return -1;
    }
    console_write_lines(bytes, count);
    return (int)count;
}

/* Nobody types. */
int read(int file, void *bytes, size_t size)
{
    (void)bytes;
    (void)size;
    if (file < 0 || file > CONSOLE_LAST) {
        errno = EBADF;
        return -1;
    }
    return 0;
}

int close(int file)
{
    (void)file;
    errno = EBADF;
    return -1;
}

int fstat(int file, struct stat *out)
{
    if (file < 0 || file > CONSOLE_LAST) {
        errno = EBADF;
        return -1;
    }
    memset(out, 0, sizeof(*out));
    out->st_mode = S_IFCHR;
    return 0;
}

int isatty(int file)
{
    return file >= 0 && file <= CONSOLE_LAST;
}

off_t lseek(int file, off_t offset, int whence)
{
    (void)file;
    (void)offset;
    (void)whence;
    errno = ESPIPE;
    return -1;
}

int kill(pid_t process, int signal)
{
    (void)process;
    (void)signal;
    errno = EINVAL;
    return -1;
}

pid_t getpid(void)
{
    return 1;
}

void _exit(int status)
{
    kernel_exit(status);
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name) */
