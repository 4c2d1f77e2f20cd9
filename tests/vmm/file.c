/* SPDX-License-Identifier: MIT */
#include "tests/vmm/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/vmm/executive.h"

struct file file_open(const char *option, const char *name)
{
    struct file file = {.option = option, .name = name};
    struct stat status;
    int descriptor = open(name, O_RDONLY | O_CLOEXEC);

    if (descriptor < 0 || fstat(descriptor, &status) != 0) {
        die("option %s: %s: %s", option, name, strerror(errno));
    }
    file.size = (uint64_t)status.st_size;
    void *data =
        file.size == 0 ? MAP_FAILED : mmap(NULL, file.size, PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (data == MAP_FAILED) {
        die("option %s: %s: %s", option, name, file.size == 0 ? "it is empty" : strerror(errno));
    }
    file.data = data;
    (void)close(descriptor);
    return file;
}

void file_close(const struct file *file)
{
    (void)munmap((void *)(uintptr_t)file->data, file->size);
}

const void *file_part(const struct file *file, uint64_t offset, uint64_t size, const char *what)
{
    if (offset > file->size || size > file->size - offset) {
        die("option %s: %s: its %s lies beyond its end", file->option, file->name, what);
    }
    return file->data + offset;
}
