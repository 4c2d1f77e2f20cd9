/* SPDX-License-Identifier: MIT */
/* The table of transactions: an id never yields what was not entered under it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sanitizer/asan_interface.h>

#include "vmbus/kmcl/kmcl_transaction.h"

static struct kmcl_transaction_table table;
static int packets[128];

static void grow(uint32_t capacity)
{
    free(
        kmcl_transaction_grow(&table, calloc(capacity, sizeof(struct kmcl_transaction)), capacity));
}

static int setup(void **state)
{
    (void)state;
    free(table.slots);
    table = (struct kmcl_transaction_table){0};
    return 0;
}

static void an_empty_table_gives_no_id_and_knows_none(void **state)
{
    (void)state;
    assert_int_equal(kmcl_transaction_begin(&table, packets), 0);
    assert_null(kmcl_transaction_end(&table, 0));
    assert_null(kmcl_transaction_end(&table, 1));
    assert_null(kmcl_transaction_end(&table, UINT64_MAX));
}

static void an_id_is_never_zero_and_works_once(void **state)
{
    (void)state;
    grow(2);
    uint64_t a = kmcl_transaction_begin(&table, &packets[0]);
    uint64_t b = kmcl_transaction_begin(&table, &packets[1]);
    assert_true(a != 0 && b != 0 && a != b);
    assert_int_equal(kmcl_transaction_begin(&table, &packets[2]), 0);
    assert_ptr_equal(kmcl_transaction_end(&table, b), &packets[1]);
    assert_null(kmcl_transaction_end(&table, b));
    assert_ptr_equal(kmcl_transaction_end(&table, a), &packets[0]);
    assert_null(kmcl_transaction_end(&table, a));
    assert_int_equal(table.live, 0);
}

static void an_id_of_an_earlier_generation_is_dead(void **state)
{
    (void)state;
    grow(1);
    uint64_t first = kmcl_transaction_begin(&table, &packets[0]);
    (void)kmcl_transaction_end(&table, first);
    for (unsigned i = 0; i < 1000; i++) {
        uint64_t id = kmcl_transaction_begin(&table, &packets[1]);
        assert_true(id != first);
        assert_null(kmcl_transaction_end(&table, first));
        assert_ptr_equal(kmcl_transaction_end(&table, id), &packets[1]);
    }
}

static void ids_outside_the_table_are_unknown(void **state)
{
    (void)state;
    grow(4);
    uint64_t id = kmcl_transaction_begin(&table, &packets[0]);
    assert_null(kmcl_transaction_end(&table, 0));
    assert_null(kmcl_transaction_end(&table, 5));
    assert_null(kmcl_transaction_end(&table, 0xFFFFFFFF));
    assert_null(kmcl_transaction_end(&table, id + (UINT64_C(1) << 32)));
    assert_null(kmcl_transaction_end(&table, (uint64_t)(uintptr_t)&packets[0]));
    assert_ptr_equal(kmcl_transaction_end(&table, id), &packets[0]);
}

static void growing_keeps_ids(void **state)
{
    uint64_t ids[96];

    (void)state;
    grow(3);
    for (unsigned i = 0; i < 3; i++) {
        ids[i] = kmcl_transaction_begin(&table, &packets[i]);
    }
    grow(96);
    for (unsigned i = 3; i < 96; i++) {
        ids[i] = kmcl_transaction_begin(&table, &packets[i]);
        assert_true(ids[i] != 0);
    }
    assert_int_equal(kmcl_transaction_begin(&table, packets), 0);
    for (unsigned i = 0; i < 96; i++) {
        assert_ptr_equal(kmcl_transaction_end(&table, ids[i]), &packets[i]);
    }
}

static void a_replaced_packet_is_found_in_its_place(void **state)
{
    (void)state;
    grow(1);
    uint64_t id = kmcl_transaction_begin(&table, &packets[0]);
    kmcl_transaction_replace(&table, id, &packets[1]);
    assert_ptr_equal(kmcl_transaction_end(&table, id), &packets[1]);
    kmcl_transaction_replace(&table, id, &packets[2]);
    assert_null(kmcl_transaction_end(&table, id));
}

static void end_any_finds_each_once(void **state)
{
    uint32_t cursor = 0;
    unsigned seen = 0;

    (void)state;
    grow(8);
    uint64_t gap = 0;
    for (unsigned i = 0; i < 6; i++) {
        uint64_t id = kmcl_transaction_begin(&table, &packets[i]);
        gap = i == 3 ? id : gap;
    }
    (void)kmcl_transaction_end(&table, gap);
    for (const int *packet; (packet = kmcl_transaction_end_any(&table, &cursor)) != NULL;) {
        seen |= 1u << (packet - packets);
    }
    assert_int_equal(seen, 0x37);
    assert_int_equal(table.live, 0);
}

/* M8: the packet of a completion was looked for among all. Here no other slot may be touched. */
static void m8_an_id_is_found_without_a_search(void **state)
{
    uint64_t ids[64];

    (void)state;
    grow(64);
    for (unsigned i = 0; i < 64; i++) {
        ids[i] = kmcl_transaction_begin(&table, &packets[i]);
    }
    for (unsigned i = 0; i < 64; i++) {
        ASAN_POISON_MEMORY_REGION(table.slots, 64 * sizeof(*table.slots));
        ASAN_UNPOISON_MEMORY_REGION(&table.slots[i], sizeof(*table.slots));
        assert_ptr_equal(kmcl_transaction_end(&table, ids[i]), &packets[i]);
    }
    ASAN_UNPOISON_MEMORY_REGION(table.slots, 64 * sizeof(*table.slots));
}

/* Random operations against a plain array of what is live. */
static void a_random_history_agrees_with_a_model(void **state)
{
    struct {
        uint64_t id;
        void *packet;
    } live[64];
    unsigned count = 0;
    uint64_t dead[16] = {0};

    (void)state;
    srand(1);
    grow(64);
    for (unsigned step = 0; step < 100000; step++) {
        unsigned pick = (unsigned)rand();
        if (pick % 3 == 0 && count < 64) {
            live[count].packet = &packets[pick % 128];
            live[count].id = kmcl_transaction_begin(&table, live[count].packet);
            assert_true(live[count].id != 0);
            count++;
        } else if (pick % 3 == 1 && count > 0) {
            unsigned i = pick / 3 % count;
            assert_ptr_equal(kmcl_transaction_end(&table, live[i].id), live[i].packet);
            dead[step % 16] = live[i].id;
            live[i] = live[--count];
        } else {
            assert_null(kmcl_transaction_end(&table, dead[pick / 3 % 16]));
        }
        assert_int_equal(table.live, count);
    }
    free(table.slots);
    table.slots = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_empty_table_gives_no_id_and_knows_none, setup),
        cmocka_unit_test_setup(an_id_is_never_zero_and_works_once, setup),
        cmocka_unit_test_setup(an_id_of_an_earlier_generation_is_dead, setup),
        cmocka_unit_test_setup(ids_outside_the_table_are_unknown, setup),
        cmocka_unit_test_setup(growing_keeps_ids, setup),
        cmocka_unit_test_setup(a_replaced_packet_is_found_in_its_place, setup),
        cmocka_unit_test_setup(end_any_finds_each_once, setup),
        cmocka_unit_test_setup(m8_an_id_is_found_without_a_search, setup),
        cmocka_unit_test_setup(a_random_history_agrees_with_a_model, setup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
