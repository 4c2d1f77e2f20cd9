/* SPDX-License-Identifier: MIT */
/* Small memory: sizes, alignment, contents, what goes back, and mistakes. */
#include <stdlib.h>
#include <string.h>

#include "kernel/heap.h"
#include "kernel/pages.h"
#include "test_arch.h"
#include "test_memory.h"

static bool is_zero(const char *memory, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (memory[i] != 0) {
            return false;
        }
    }
    return true;
}

static void memory_is_zeroed_and_aligned_at_every_size(void **state)
{
    (void)state;
    for (size_t size = 0; size < 3 * PAGE_SIZE; size = size * 5 / 4 + 1) {
        char *first = memory_allocate(size);
        assert_non_null(first);
        assert_int_equal((uintptr_t)first % 16, 0);
        assert_true(is_zero(first, size));
        memset(first, 0xff, size);
        memory_free(first);
        char *second = memory_allocate(size);
        assert_true(is_zero(second, size));
        memory_free(second);
    }
    memory_free(NULL);
}

static void large_memory_goes_back_to_the_pages(void **state)
{
    (void)state;
    uint64_t before = test_pages_held();
    void *memory = memory_allocate(100000);
    assert_int_equal(test_pages_held(), before + 25);
    memory_free(memory);
    assert_int_equal(test_pages_held(), before);
}

static void small_memory_is_used_again(void **state)
{
    (void)state;
    void *blocks[200];

    for (unsigned i = 0; i < 200; i++) {
        blocks[i] = memory_allocate(100);
    }
    uint64_t held = test_pages_held();
    for (unsigned round = 0; round < 10; round++) {
        for (unsigned i = 0; i < 200; i++) {
            memory_free(blocks[i]);
        }
        for (unsigned i = 0; i < 200; i++) {
            blocks[i] = memory_allocate(100);
        }
    }
    assert_int_equal(test_pages_held(), held);
    for (unsigned i = 0; i < 200; i++) {
        memory_free(blocks[i]);
    }
}

static void alignment_can_be_asked_for(void **state)
{
    (void)state;
    for (size_t alignment = 16; alignment <= PAGE_SIZE; alignment *= 2) {
        for (size_t size = 1; size < 5000; size *= 3) {
            char *memory = heap_allocate(size, alignment);
            assert_non_null(memory);
            assert_int_equal((uintptr_t)memory % alignment, 0);
            assert_true(heap_usable_size(memory) >= size);
            memset(memory, 1, heap_usable_size(memory));
            heap_free(memory);
        }
    }
    assert_null(heap_allocate(1, 2 * PAGE_SIZE));
}

static void no_memory_is_an_answer(void **state)
{
    (void)state;
    assert_null(memory_allocate(SIZE_MAX));
    assert_null(memory_allocate(SIZE_MAX - 8));
    test_memory_fail(1);
    assert_null(memory_allocate(5000));
    /* A small one that needs a fresh page: its size is used nowhere else here. */
    test_memory_fail(1);
    void *blocks[PAGE_SIZE / 2048 + 1];
    unsigned failed = 0;
    for (unsigned i = 0; i < PAGE_SIZE / 2048 + 1; i++) {
        blocks[i] = memory_allocate(2000);
        failed += blocks[i] == NULL;
    }
    assert_int_equal(failed, 1);
    for (unsigned i = 0; i < PAGE_SIZE / 2048 + 1; i++) {
        memory_free(blocks[i]);
    }
}

static void what_is_not_allocated_cannot_be_freed(void **state)
{
    (void)state;
    char *small = memory_allocate(64);
    char *neighbour = memory_allocate(64);
    char *aligned = heap_allocate(64, 256);
    static char other[64] __attribute__((aligned(16)));

    memory_free(small);
    expect_panic(memory_free(small));
    expect_panic(memory_free(neighbour + 16));
    expect_panic(memory_free(neighbour + 1));
    expect_panic(memory_free(other + 16));
    expect_panic((void)heap_usable_size(small));
    heap_free(aligned);
    expect_panic(heap_free(aligned));
    memory_free(neighbour);
}

static void random_use_keeps_contents(void **state)
{
    (void)state;
    enum { SLOTS = 300 };
    static struct {
        unsigned char *memory;
        size_t size;
    } slots[SLOTS];

    srand(7);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned slot = (unsigned)rand() % SLOTS;
        if (slots[slot].memory != NULL) {
            for (size_t at = 0; at < slots[slot].size; at++) {
                assert_int_equal(slots[slot].memory[at], slot & 0xff);
            }
            heap_free(slots[slot].memory);
            slots[slot].memory = NULL;
            continue;
        }
        slots[slot].size = (size_t)(rand() % 10 == 0 ? rand() % 9000 : rand() % 300);
        slots[slot].memory = heap_allocate(slots[slot].size, (size_t)16 << rand() % 4);
        assert_non_null(slots[slot].memory);
        memset(slots[slot].memory, (int)(slot & 0xff), slots[slot].size);
    }
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        if (slots[slot].memory != NULL) {
            heap_free(slots[slot].memory);
        }
    }
}

static void memory_grows_and_shrinks_with_its_contents(void **state)
{
    (void)state;
    unsigned char *memory = heap_reallocate(NULL, 10);

    assert_non_null(memory);
    memset(memory, 0x5a, 10);
    unsigned char *same = heap_reallocate(memory, 8);
    assert_ptr_equal(same, memory);
    unsigned char *larger = heap_reallocate(memory, 10000);
    assert_non_null(larger);
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(larger[i], 0x5a);
    }
    memset(larger, 0xa5, 10000);
    assert_null(heap_reallocate(larger, SIZE_MAX / 2));
    unsigned char *smaller = heap_reallocate(larger, 100);
    assert_non_null(smaller);
    assert_ptr_not_equal(smaller, larger);
    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(smaller[i], 0xa5);
    }
    heap_free(smaller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(memory_is_zeroed_and_aligned_at_every_size, test_arch_setup),
        cmocka_unit_test_setup(large_memory_goes_back_to_the_pages, test_arch_setup),
        cmocka_unit_test_setup(small_memory_is_used_again, test_arch_setup),
        cmocka_unit_test_setup(alignment_can_be_asked_for, test_arch_setup),
        cmocka_unit_test_setup(no_memory_is_an_answer, test_arch_setup),
        cmocka_unit_test_setup(what_is_not_allocated_cannot_be_freed, test_arch_setup),
        cmocka_unit_test_setup(memory_grows_and_shrinks_with_its_contents, test_arch_setup),
        cmocka_unit_test_setup(random_use_keeps_contents, test_arch_setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
