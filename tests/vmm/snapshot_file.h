/* SPDX-License-Identifier: MIT */
#ifndef VMM_SNAPSHOT_FILE_H
#define VMM_SNAPSHOT_FILE_H

/*
 * The form of a snapshot: a header, sections of bytes in any number, and the guest's memory, which
 * has holes where it was never touched. Integers as this machine has them: a snapshot is for the
 * kind of machine and the version of this program that made it.
 */

#include <stdbool.h>
#include <stdint.h>

#include "tests/vmm/guest_memory.h"

#define SNAPSHOT_MAGIC  UINT64_C(0x31504E5353454242) /* "BBESSNP1" */
#define SNAPSHOT_FORMAT 2u

struct snapshot_header {
    uint64_t magic;
    uint32_t format;
    uint32_t processors;
    uint64_t memory;        /* bytes at first */
    uint64_t memory_total;  /* with what was added */
    uint64_t memory_offset; /* in the file */
    uint64_t sections_size; /* bytes, behind this header */
    uint64_t memory_sum;    /* guest_memory_checksum() */
    uint32_t checksum;      /* CRC-32C of header, with this word 0, and sections */
    uint32_t reserved;      /* 0 */
};
_Static_assert(sizeof(struct snapshot_header) == 64, "header of a snapshot");

#define SNAPSHOT_NAME 48u

/* Stands before the bytes of a section, which are padded to 8. */
struct snapshot_section {
    char name[SNAPSHOT_NAME];
    uint64_t size;
};
_Static_assert(sizeof(struct snapshot_section) == 56, "a section of a snapshot");

/* Sections in memory, while they are collected or used. */
struct snapshot {
    struct snapshot_header header;
    uint8_t *sections;
    uint64_t used;
    uint64_t capacity;
};

/* A section to be filled; ends the process for lack of memory. Valid until the next one is added.
 */
void *snapshot_add(struct snapshot *snapshot, const char *name, uint64_t size);

/* A section's bytes, aligned to 8, of which there are `size`; NULL: there is none of this name. */
const void *snapshot_find(const struct snapshot *snapshot, const char *name, uint64_t *size);

/* The same of exactly `size` bytes; ends the process if there is none. */
const void *snapshot_get(const struct snapshot *snapshot, const char *name, uint64_t size);

/* NULL, or why it cannot be written. The file appears whole or not at all. */
const char *snapshot_write(struct snapshot *snapshot, const struct guest_memory *memory,
                           const char *name);

/* Header and sections; ends the process with one line if the file is no snapshot. */
void snapshot_read(struct snapshot *snapshot, const char *name);

/* The memory of that file into memory of the same total size, which was not touched; likewise. */
void snapshot_read_memory(const struct snapshot *snapshot, const struct guest_memory *memory,
                          const char *name);

void snapshot_free(struct snapshot *snapshot);

#endif
