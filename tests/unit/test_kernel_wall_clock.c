/* SPDX-License-Identifier: MIT */
/* The date and time of day. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "kernel/clock.h"
#include "kernel/wall_clock.h"
#include "test_arch.h"

static void it_is_not_known_until_somebody_sets_it(void **state)
{
    (void)state;
    assert_false(wall_clock_is_set());
    assert_true(wall_clock_now() == 0);
    assert_true(wall_clock_at(5) == 0);
    assert_false(wall_clock_set(WALL_CLOCK_UNIX_EPOCH - 1));
    assert_false(wall_clock_set(WALL_CLOCK_END));
    assert_false(wall_clock_set(UINT64_MAX));
    assert_false(wall_clock_is_set());
}

static void expect_near(uint64_t expected)
{
    const uint64_t now = wall_clock_now();

    assert_true(now >= expected && now - expected < CLOCK_MILLISECOND);
}

static void it_goes_on_from_what_was_set_and_may_be_set_back(void **state)
{
    (void)state;
    assert_true(wall_clock_set(WALL_CLOCK_END - 1));
    assert_true(wall_clock_set(WALL_CLOCK_UNIX_EPOCH));
    assert_true(wall_clock_is_set());
    expect_near(WALL_CLOCK_UNIX_EPOCH);
    const uint64_t before = clock_now();
    test_time_pass(3 * CLOCK_SECOND);
    expect_near(WALL_CLOCK_UNIX_EPOCH + 3 * CLOCK_SECOND);
    assert_true(wall_clock_at(before) - WALL_CLOCK_UNIX_EPOCH < CLOCK_MILLISECOND);
    /* What measures durations never jumps. */
    assert_true(wall_clock_set(WALL_CLOCK_UNIX_EPOCH + CLOCK_SECOND));
    expect_near(WALL_CLOCK_UNIX_EPOCH + CLOCK_SECOND);
    assert_true(clock_now() - before < 4 * CLOCK_SECOND);
    assert_false(wall_clock_set(0));
    expect_near(WALL_CLOCK_UNIX_EPOCH + CLOCK_SECOND);
}

static void expect_text(uint64_t time, const char *expected)
{
    char text[WALL_CLOCK_TEXT_SIZE];

    wall_clock_format(time, text);
    assert_string_equal(text, expected);
}

static void dates_are_those_of_the_calendar(void **state)
{
    (void)state;
    expect_text(0, "1601-01-01 00:00:00.000 UTC");
    expect_text(WALL_CLOCK_UNIX_EPOCH, "1970-01-01 00:00:00.000 UTC");
    expect_text(WALL_CLOCK_END - 1, "9999-12-31 23:59:59.999 UTC");
    expect_text(WALL_CLOCK_UNIX_EPOCH + 951782400 * CLOCK_SECOND, "2000-02-29 00:00:00.000 UTC");
    expect_text(WALL_CLOCK_UNIX_EPOCH + 4107542399 * CLOCK_SECOND + 9999999,
                "2100-02-28 23:59:59.999 UTC");
    expect_text(WALL_CLOCK_UNIX_EPOCH + 4107542400 * CLOCK_SECOND, "2100-03-01 00:00:00.000 UTC");
}

/* Every day from 1601 to 9999, by the C library of this machine. */
static void every_day_is_the_same_as_elsewhere(void **state)
{
    const int64_t days_before_1970 = 134774;
    char expected[96];
    unsigned hour = 0;

    (void)state;
    for (int64_t day = 0; day < 3067671; day++) {
        const int64_t seconds = day * 86400 + hour * 3599;
        const time_t unix_time = (time_t)(seconds - days_before_1970 * 86400);
        struct tm broken;
        char text[WALL_CLOCK_TEXT_SIZE];
        if (day % 7 != 0 && day % 1461 > 2) {
            continue; /* leap days and their neighbours, and one day of a week */
        }
        hour = (hour + 5) % 24;
        assert_non_null(gmtime_r(&unix_time, &broken));
        (void)snprintf(expected, sizeof(expected), "%04d-%02d-%02d %02d:%02d:%02d.000 UTC",
                       broken.tm_year + 1900, broken.tm_mon + 1, broken.tm_mday, broken.tm_hour,
                       broken.tm_min, broken.tm_sec);
        wall_clock_format((uint64_t)seconds * CLOCK_SECOND, text);
        assert_string_equal(text, expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(it_is_not_known_until_somebody_sets_it, test_arch_setup),
        cmocka_unit_test_setup(it_goes_on_from_what_was_set_and_may_be_set_back, test_arch_setup),
        cmocka_unit_test(dates_are_those_of_the_calendar),
        cmocka_unit_test(every_day_is_the_same_as_elsewhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
