/* SPDX-License-Identifier: MIT */
#include "tests/unit/balloon/fake_pages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "kernel/pages.h"

enum page_state { ABSENT, FREE, ALLOCATED };

static unsigned char states[FAKE_PAGES_MAXIMUM];
static size_t known;
static size_t free_count;

bool fake_pages_hot_add_works;
unsigned fake_pages_hot_add_calls;
bool fake_pages_from_the_top;

static void map_once(void)
{
    static bool mapped;
    if (mapped)
        return;
    void *wanted = page_address(FAKE_PAGES_FIRST_FRAME);
    void *memory = mmap(wanted, (size_t)FAKE_PAGES_MAXIMUM * PAGE_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
    assert_ptr_equal(memory, wanted);
    mapped = true;
}

void fake_pages_reset(size_t count)
{
    map_once();
    assert_in_range(count, 0, FAKE_PAGES_MAXIMUM);
    memset(states, ABSENT, sizeof(states));
    memset(states, FREE, count);
    known = count;
    free_count = count;
    fake_pages_hot_add_works = true;
    fake_pages_hot_add_calls = 0;
    fake_pages_from_the_top = false;
}

void fake_pages_occupy(uint64_t frame)
{
    unsigned char *page_state = &states[frame - FAKE_PAGES_FIRST_FRAME];

    assert_in_range(frame, FAKE_PAGES_FIRST_FRAME, FAKE_PAGES_FIRST_FRAME + FAKE_PAGES_MAXIMUM - 1);
    assert_int_equal(*page_state, FREE);
    *page_state = ALLOCATED;
    free_count--;
}

size_t fake_pages_free_count(void)
{
    return free_count;
}

bool fake_pages_is_allocated(uint64_t frame)
{
    const uint64_t i = frame - FAKE_PAGES_FIRST_FRAME;
    return i < FAKE_PAGES_MAXIMUM && states[i] == ALLOCATED;
}

static size_t alignment_of(size_t count)
{
    size_t alignment = 1;
    while (alignment * 2 <= count && alignment < 512)
        alignment *= 2;
    return alignment;
}

static bool all_free(size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++)
        if (states[i] != FREE)
            return false;
    return true;
}

void *pages_allocate(size_t count)
{
    const size_t alignment = alignment_of(count);

    assert_true(count > 0);
    for (size_t at = 0; at + count <= FAKE_PAGES_MAXIMUM; at += alignment) {
        const size_t top = (FAKE_PAGES_MAXIMUM - count) / alignment * alignment;
        const size_t first = fake_pages_from_the_top ? top - at : at;
        if (!all_free(first, count))
            continue;
        memset(&states[first], ALLOCATED, count);
        free_count -= count;
        return page_address(FAKE_PAGES_FIRST_FRAME + first);
    }
    return NULL;
}

void *pages_allocate_zeroed(size_t count)
{
    void *memory = pages_allocate(count);
    if (memory)
        memset(memory, 0, count * PAGE_SIZE);
    return memory;
}

void pages_free(void *first, size_t count)
{
    const uint64_t frame = page_frame_of(first);

    assert_in_range(frame, FAKE_PAGES_FIRST_FRAME, FAKE_PAGES_FIRST_FRAME + FAKE_PAGES_MAXIMUM - 1);
    for (size_t i = 0; i < count; i++) {
        unsigned char *state = &states[frame - FAKE_PAGES_FIRST_FRAME + i];
        assert_int_equal(*state, ALLOCATED);
        *state = FREE;
    }
    free_count += count;
}

bool pages_hot_add(uint64_t first_frame, uint64_t count)
{
    const uint64_t first = first_frame - FAKE_PAGES_FIRST_FRAME;

    fake_pages_hot_add_calls++;
    if (!fake_pages_hot_add_works || first_frame < FAKE_PAGES_FIRST_FRAME ||
        first + count > FAKE_PAGES_MAXIMUM)
        return false;
    for (uint64_t i = first; i < first + count; i++)
        if (states[i] != ABSENT)
            return false;
    memset(&states[first], FREE, count);
    free_count += count;
    known += count;
    return true;
}

void pages_statistics(struct pages_statistics *out)
{
    size_t end = FAKE_PAGES_MAXIMUM;
    while (end > 0 && states[end - 1] == ABSENT)
        end--;
    *out = (struct pages_statistics){
        .total = known,
        .free = free_count,
        .tables = 3,
        .end_frame = FAKE_PAGES_FIRST_FRAME + end,
    };
}

void *memory_allocate(size_t size)
{
    return calloc(1, size);
}

void memory_free(void *memory)
{
    free(memory);
}
