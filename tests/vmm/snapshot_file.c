/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/vmm/snapshot_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "kernel/pages.h"
#include "tests/vmm/executive.h"
#include "tests/vmm/options.h"
#include "vmbus/server/checksum.h"

#define SECTIONS_MOST (64u << 20) /* choice: bounds what a damaged file makes us take */

static uint64_t padded(uint64_t size)
{
    return (size + 7) & ~UINT64_C(7);
}

void *snapshot_add(struct snapshot *snapshot, const char *name, uint64_t size)
{
    struct snapshot_section section = {.size = size};
    uint64_t needed = snapshot->used + sizeof(section) + padded(size);

    if (needed > snapshot->capacity) {
        uint64_t capacity = needed * 2;
        uint8_t *sections = realloc(snapshot->sections, capacity);
        if (sections == NULL) {
            die("no memory for a snapshot's sections");
        }
        snapshot->sections = sections;
        snapshot->capacity = capacity;
    }
    strncpy(section.name, name, SNAPSHOT_NAME - 1);
    uint8_t *at = snapshot->sections + snapshot->used;
    memcpy(at, &section, sizeof(section));
    memset(at + sizeof(section), 0, padded(size));
    snapshot->used = needed;
    return at + sizeof(section);
}

const void *snapshot_find(const struct snapshot *snapshot, const char *name, uint64_t *size)
{
    uint64_t at = 0;

    while (snapshot->used - at >= sizeof(struct snapshot_section)) {
        struct snapshot_section section;
        memcpy(&section, snapshot->sections + at, sizeof(section));
        at += sizeof(section);
        if (section.size > snapshot->used - at || padded(section.size) > snapshot->used - at) {
            break;
        }
        if (strncmp(section.name, name, SNAPSHOT_NAME) == 0) {
            *size = section.size;
            return snapshot->sections + at;
        }
        at += padded(section.size);
    }
    return NULL;
}

const void *snapshot_get(const struct snapshot *snapshot, const char *name, uint64_t size)
{
    uint64_t found;
    const void *bytes = snapshot_find(snapshot, name, &found);

    if (bytes == NULL || found != size) {
        die("option --resume: the snapshot has no section '%s' of %llu bytes", name,
            (unsigned long long)size);
    }
    return bytes;
}

static uint32_t checksum_of(const struct snapshot *snapshot)
{
    struct snapshot_header header = snapshot->header;

    header.checksum = 0;
    return vmbus_checksum(vmbus_checksum(0, &header, sizeof(header)), snapshot->sections,
                          snapshot->used);
}

/* ---- out ---- */

static bool write_at(int file, const void *bytes, uint64_t size, uint64_t at)
{
    const uint8_t *from = bytes;

    while (size > 0) {
        ssize_t done = pwrite(file, from, size, (off_t)at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            return false;
        }
        from += done;
        at += (uint64_t)done;
        size -= (uint64_t)done;
    }
    return true;
}

/* What was never touched is a hole in the guest's memory, and becomes one in the file. */
static bool write_memory(int file, const struct guest_memory *memory, uint64_t offset)
{
    uint64_t start = 0;
    uint64_t end = 0;

    while (guest_memory_touched(memory, end, &start, &end)) {
        if (!write_at(file, memory->base + start, end - start, offset + start)) {
            return false;
        }
    }
    return start == memory->total;
}

static bool write_all(int file, struct snapshot *snapshot, const struct guest_memory *memory)
{
    struct snapshot_header *header = &snapshot->header;

    header->magic = SNAPSHOT_MAGIC;
    header->format = SNAPSHOT_FORMAT;
    header->memory = memory->size;
    header->memory_total = memory->total;
    header->sections_size = snapshot->used;
    header->memory_offset =
        (sizeof(*header) + snapshot->used + PAGE_SIZE - 1) / PAGE_SIZE * PAGE_SIZE;
    if (!guest_memory_checksum(memory, &header->memory_sum)) {
        return false;
    }
    header->checksum = checksum_of(snapshot);
    return ftruncate(file, (off_t)(header->memory_offset + memory->total)) == 0 &&
           write_at(file, header, sizeof(*header), 0) &&
           write_at(file, snapshot->sections, snapshot->used, sizeof(*header)) &&
           write_memory(file, memory, header->memory_offset);
}

const char *snapshot_write(struct snapshot *snapshot, const struct guest_memory *memory,
                           const char *name)
{
    char temporary[4096];

    if (snprintf(temporary, sizeof(temporary), "%s.new", name) >= (int)sizeof(temporary)) {
        return "its name is too long";
    }
    int file = open(temporary, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (file < 0) {
        return strerror(errno);
    }
    const char *why = NULL;
    if (!write_all(file, snapshot, memory)) {
        why = strerror(errno);
    }
    if (close(file) != 0 && why == NULL) {
        why = strerror(errno);
    }
    if (why == NULL && rename(temporary, name) != 0) {
        why = strerror(errno);
    }
    if (why != NULL) {
        (void)unlink(temporary);
    }
    return why;
}

/* ---- in ---- */

static void read_at(int file, void *bytes, uint64_t size, uint64_t at, const char *name)
{
    uint8_t *to = bytes;

    while (size > 0) {
        ssize_t done = pread(file, to, size, (off_t)at);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        if (done <= 0) {
            die("option --resume: %s: %s", name, done == 0 ? "it is cut short" : strerror(errno));
        }
        to += done;
        at += (uint64_t)done;
        size -= (uint64_t)done;
    }
}

static int open_snapshot(const char *name)
{
    int file = open(name, O_RDONLY | O_CLOEXEC);

    if (file < 0) {
        die("option --resume: %s: %s", name, strerror(errno));
    }
    return file;
}

void snapshot_read(struct snapshot *snapshot, const char *name)
{
    struct snapshot_header *header = &snapshot->header;
    struct stat status;
    int file = open_snapshot(name);

    read_at(file, header, sizeof(*header), 0, name);
    if (header->magic != SNAPSHOT_MAGIC) {
        die("option --resume: %s is no snapshot", name);
    }
    if (header->format != SNAPSHOT_FORMAT) {
        die("option --resume: %s is a snapshot of format %u, this program reads %u", name,
            header->format, SNAPSHOT_FORMAT);
    }
    if (header->processors == 0 || header->processors > VCPUS_MAXIMUM ||
        header->memory % PAGE_SIZE != 0 || header->memory >> 20 < MEMORY_MIB_MINIMUM ||
        header->memory >> 20 > MEMORY_MIB_MAXIMUM || header->memory_total < header->memory ||
        header->memory_total - header->memory > GUEST_ADDED_MOST ||
        header->sections_size > SECTIONS_MOST ||
        header->memory_offset < sizeof(*header) + header->sections_size ||
        fstat(file, &status) != 0 ||
        (uint64_t)status.st_size != header->memory_offset + header->memory_total) {
        die("option --resume: %s is damaged", name);
    }
    snapshot->used = header->sections_size;
    snapshot->capacity = header->sections_size;
    snapshot->sections = malloc(header->sections_size);
    if (snapshot->sections == NULL) {
        die("no memory for a snapshot's sections");
    }
    read_at(file, snapshot->sections, snapshot->used, sizeof(*header), name);
    (void)close(file);
    if (header->checksum != checksum_of(snapshot)) {
        die("option --resume: %s is damaged: its checksum is wrong", name);
    }
}

void snapshot_read_memory(const struct snapshot *snapshot, const struct guest_memory *memory,
                          const char *name)
{
    const off_t begin = (off_t)snapshot->header.memory_offset;
    int file = open_snapshot(name);
    off_t at = begin;

    for (;;) {
        off_t start = lseek(file, at, SEEK_DATA);
        if (start < 0) {
            break; /* ENXIO: the rest is a hole */
        }
        at = lseek(file, start, SEEK_HOLE);
        if (at < start || (uint64_t)(at - begin) > memory->total) {
            die("option --resume: %s: %s", name, strerror(errno));
        }
        read_at(file, memory->base + (start - begin), (uint64_t)(at - start), (uint64_t)start,
                name);
    }
    (void)close(file);
    uint64_t sum;
    if (!guest_memory_checksum(memory, &sum) || sum != snapshot->header.memory_sum) {
        die("option --resume: %s is damaged: the checksum of its memory is wrong", name);
    }
}

void snapshot_free(struct snapshot *snapshot)
{
    free(snapshot->sections);
    *snapshot = (struct snapshot){.used = 0};
}
