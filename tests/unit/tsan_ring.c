/* SPDX-License-Identifier: MIT */
/* The two-thread traffic under a thread sanitizer (-fsanitize=thread), which knows what each atomic
 * orders and what it does not. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/ring/traffic.h"

/*
 * Museum: an index published behind a compiler barrier only. Store-release of each index by its
 * owner and load-acquire by the other end make every byte of a packet ordered; with anything weaker
 * the copies of the two ends are a race, and the sanitizer says so.
 */
static void m1_indices_order_the_bytes_they_cover(void **state)
{
    (void)state;
    for (uint32_t pages = 1; pages <= 4; pages++)
        assert_null(ring_traffic(pages, 15000, pages));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(m1_indices_order_the_bytes_they_cover)};

    return cmocka_run_group_tests_name("ring under tsan", tests, NULL, NULL);
}
