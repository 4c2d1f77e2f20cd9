/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/vmm/guest_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kernel/pages.h"

/* Bytes into the file, which is also the distance from `base`; UINT64_MAX: no memory. `run`: how
 * much there is from there on in one piece. */
static uint64_t offset_of(const struct guest_memory *memory, uint64_t address, uint64_t *run)
{
    if (address < memory->low) {
        *run = memory->low - address;
        return address;
    }
    uint64_t high = memory->size - memory->low;
    if (address >= GUEST_HOLE_END && address - GUEST_HOLE_END < high) {
        *run = high - (address - GUEST_HOLE_END);
        return memory->low + (address - GUEST_HOLE_END);
    }
    uint64_t offset = memory->size;
    uint32_t count = atomic_load_explicit(&memory->added_count, memory_order_acquire);
    for (uint32_t i = 0; i < count; i++) {
        const struct guest_added *range = &memory->added[i];
        if (address >= range->address && address - range->address < range->size) {
            *run = range->size - (address - range->address);
            return offset + (address - range->address);
        }
        offset += range->size;
    }
    *run = 0;
    return UINT64_MAX;
}

bool guest_memory_create(struct guest_memory *memory, uint64_t size)
{
    memory->size = size;
    memory->total = size;
    memory->low = size < GUEST_HOLE_START ? size : GUEST_HOLE_START;
    memory->file = memfd_create("guest", MFD_CLOEXEC);
    if (memory->file < 0 || ftruncate(memory->file, (off_t)size) != 0) {
        return false;
    }
    /* Beyond the file there is nothing yet: nobody gets an address there. */
    void *base = mmap(NULL, size + GUEST_ADDED_MOST, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_NORESERVE, memory->file, 0);
    if (base == MAP_FAILED) {
        return false;
    }
    memory->base = base;
    memory->taken = calloc((size + GUEST_ADDED_MOST) >> PAGE_SHIFT, 1);
    return memory->taken != NULL;
}

void *guest_memory_at(const struct guest_memory *memory, uint64_t address, uint64_t size)
{
    uint64_t run;
    uint64_t offset = offset_of(memory, address, &run);

    return offset == UINT64_MAX || size > run ? NULL : memory->base + offset;
}

/* How many of the frames follow each other in the file, from the first on. 0: it is no memory. */
static size_t run_length(const struct guest_memory *memory, const uint64_t *frames, size_t count,
                         uint64_t *offset)
{
    uint64_t run;
    size_t length = 1;

    if (frames[0] > UINT64_MAX >> PAGE_SHIFT) {
        return 0;
    }
    *offset = offset_of(memory, frames[0] << PAGE_SHIFT, &run);
    if (*offset == UINT64_MAX) {
        return 0;
    }
    while (length < count && frames[length] == frames[0] + length && length < run >> PAGE_SHIFT) {
        length++;
    }
    return length;
}

void *guest_memory_map_frames(const struct guest_memory *memory, const uint64_t *frames,
                              size_t count)
{
    uint64_t offset;

    if (count == 0 || count > SIZE_MAX >> PAGE_SHIFT) {
        return NULL;
    }
    if (run_length(memory, frames, count, &offset) == count) {
        return memory->base + offset;
    }
    uint8_t *piece = mmap(NULL, count << PAGE_SHIFT, PROT_NONE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (piece == MAP_FAILED) {
        return NULL;
    }
    for (size_t done = 0; done < count;) {
        size_t length = run_length(memory, frames + done, count - done, &offset);
        if (length == 0 ||
            mmap(piece + (done << PAGE_SHIFT), length << PAGE_SHIFT, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED, memory->file, (off_t)offset) == MAP_FAILED) {
            (void)munmap(piece, count << PAGE_SHIFT);
            return NULL;
        }
        done += length;
    }
    return piece;
}

void guest_memory_unmap_frames(const struct guest_memory *memory, void *address, size_t count)
{
    const uint8_t *start = address;

    if (start < memory->base || start >= memory->base + memory->size + GUEST_ADDED_MOST) {
        (void)munmap(address, count << PAGE_SHIFT);
    }
}

/* The bytes of `taken` for these pages, if they are memory in one piece and all as they should be;
 * else NULL. */
static uint8_t *pages_if(const struct guest_memory *memory, uint64_t first_frame, uint64_t count,
                         uint8_t taken)
{
    if (first_frame > UINT64_MAX >> PAGE_SHIFT || count > memory->total >> PAGE_SHIFT) {
        return NULL;
    }
    const uint8_t *address =
        guest_memory_at(memory, first_frame << PAGE_SHIFT, count << PAGE_SHIFT);
    if (address == NULL || count == 0) {
        return NULL;
    }
    uint8_t *pages = memory->taken + ((size_t)(address - memory->base) >> PAGE_SHIFT);
    for (uint64_t i = 0; i < count; i++) {
        if (pages[i] != taken) {
            return NULL;
        }
    }
    return pages;
}

bool guest_memory_take(struct guest_memory *memory, uint64_t first_frame, uint64_t count)
{
    uint8_t *pages = pages_if(memory, first_frame, count, 0);

    if (pages == NULL ||
        fallocate(memory->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  (off_t)(pages - memory->taken) << PAGE_SHIFT, (off_t)count << PAGE_SHIFT) != 0) {
        return false;
    }
    memset(pages, 1, count);
    return true;
}

bool guest_memory_return(struct guest_memory *memory, uint64_t first_frame, uint64_t count)
{
    uint8_t *pages = pages_if(memory, first_frame, count, 1);

    if (pages == NULL) {
        return false;
    }
    memset(pages, 0, count);
    return true;
}

static uint64_t end_of(const struct guest_memory *memory)
{
    uint32_t count = atomic_load(&memory->added_count);

    return count == 0 ? GUEST_HOLE_END + (memory->size - memory->low)
                      : memory->added[count - 1].address + memory->added[count - 1].size;
}

bool guest_memory_add(struct guest_memory *memory, uint64_t size, uint64_t alignment)
{
    uint32_t count = atomic_load(&memory->added_count);

    if (count == GUEST_ADDED_RANGES || size == 0 ||
        size > memory->size + GUEST_ADDED_MOST - memory->total ||
        ftruncate(memory->file, (off_t)(memory->total + size)) != 0) {
        return false;
    }
    memory->added[count] = (struct guest_added){
        .address = (end_of(memory) + alignment - 1) / alignment * alignment,
        .size = size,
    };
    memory->total += size;
    atomic_store_explicit(&memory->added_count, count + 1, memory_order_release);
    return true;
}

void *guest_memory_of_added(const struct guest_memory *memory, uint32_t range)
{
    uint64_t offset = memory->size;

    for (uint32_t i = 0; i < range; i++) {
        offset += memory->added[i].size;
    }
    return memory->base + offset;
}

bool guest_memory_touched(const struct guest_memory *memory, uint64_t offset, uint64_t *start,
                          uint64_t *end)
{
    off_t first = lseek(memory->file, (off_t)offset, SEEK_DATA);
    off_t behind = first < 0 ? first : lseek(memory->file, first, SEEK_HOLE);

    if (behind < 0) {
        *start = errno == ENXIO ? memory->total : 0; /* there is no more */
        return false;
    }
    *start = (uint64_t)first;
    *end = (uint64_t)behind;
    return true;
}

/* Odd, so that each step turns different sums into different ones; bits of the golden ratio. */
#define CHECKSUM_FACTOR UINT64_C(0x9E3779B97F4A7C15)

static uint64_t add_word(uint64_t sum, uint64_t word)
{
    sum = (sum ^ word) * CHECKSUM_FACTOR;
    return sum ^ sum >> 32;
}

/* 0 of a page of zeros, which may not be there at all. */
static uint64_t page_sum(const uint8_t *page)
{
    uint64_t sum = 0;
    uint64_t word;

    for (size_t i = 0; i < PAGE_SIZE; i += sizeof(word)) {
        memcpy(&word, page + i, sizeof(word));
        sum = add_word(sum, word);
    }
    return sum;
}

bool guest_memory_checksum(const struct guest_memory *memory, uint64_t *sum)
{
    uint64_t start = 0;
    uint64_t end = 0;

    *sum = 0;
    while (guest_memory_touched(memory, end, &start, &end)) {
        for (uint64_t at = start; at < end; at += PAGE_SIZE) {
            const uint64_t page = page_sum(memory->base + at);
            *sum = page != 0 ? add_word(add_word(*sum, at), page) : *sum;
        }
    }
    return start == memory->total;
}
