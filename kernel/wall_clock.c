/* SPDX-License-Identifier: MIT */
#include "kernel/wall_clock.h"

#include <stdatomic.h>

#include "kernel/clock.h"

#define SECONDS_A_DAY  86400u
#define DAYS_400_YEARS 146097u /* of the Gregorian calendar, which repeats then */
#define DAYS_100_YEARS 36524u  /* without the leap day at their end */
#define DAYS_4_YEARS   1461u
#define DAYS_A_YEAR    365u
#define DAYS_TO_MARCH  306u /* from 1 March 1600 to 1 January 1601 */

/* Of wall time to clock_now(), modulo 2^64; 0: not set. No difference that can be set is 0. */
static _Atomic uint64_t difference;

bool wall_clock_is_set(void)
{
    return atomic_load(&difference) != 0;
}

uint64_t wall_clock_at(uint64_t clock)
{
    const uint64_t value = atomic_load(&difference);

    return value != 0 ? clock + value : 0;
}

uint64_t wall_clock_now(void)
{
    return wall_clock_at(clock_now());
}

bool wall_clock_set(uint64_t now)
{
    if (now < WALL_CLOCK_UNIX_EPOCH || now >= WALL_CLOCK_END) {
        return false;
    }
    atomic_store(&difference, now - clock_now());
    return true;
}

/* Writes `count` digits and returns where the next character goes. */
static char *digits(char *at, unsigned value, unsigned count)
{
    for (unsigned i = count; i > 0; i--) {
        at[i - 1] = (char)('0' + value % 10);
        value /= 10;
    }
    return at + count;
}

/*
 * Years are counted from March, so that the leap day is the last of its year: then the days before
 * a month follow a straight line, (153 * month + 2) / 5 with March as 0.
 */
void wall_clock_format(uint64_t time, char text[WALL_CLOCK_TEXT_SIZE])
{
    const uint64_t seconds = time / CLOCK_SECOND;
    const unsigned in_day = (unsigned)(seconds % SECONDS_A_DAY);
    unsigned days = (unsigned)(seconds / SECONDS_A_DAY) + DAYS_TO_MARCH;
    unsigned year = 1600 + 400 * (days / DAYS_400_YEARS);

    days %= DAYS_400_YEARS;
    const unsigned centuries = days / DAYS_100_YEARS < 3 ? days / DAYS_100_YEARS : 3;
    days -= centuries * DAYS_100_YEARS;
    const unsigned fours = days / DAYS_4_YEARS;
    days -= fours * DAYS_4_YEARS;
    const unsigned ones = days / DAYS_A_YEAR < 3 ? days / DAYS_A_YEAR : 3;
    days -= ones * DAYS_A_YEAR;
    year += 100 * centuries + 4 * fours + ones;
    const unsigned month = (5 * days + 2) / 153;
    const unsigned day = days - (153 * month + 2) / 5;

    char *at = digits(text, month < 10 ? year : year + 1, 4);
    *at++ = '-';
    at = digits(at, month < 10 ? month + 3 : month - 9, 2);
    *at++ = '-';
    at = digits(at, day + 1, 2);
    *at++ = ' ';
    at = digits(at, in_day / 3600, 2);
    *at++ = ':';
    at = digits(at, in_day / 60 % 60, 2);
    *at++ = ':';
    at = digits(at, in_day % 60, 2);
    *at++ = '.';
    at = digits(at, (unsigned)(time % CLOCK_SECOND / CLOCK_MILLISECOND), 3);
    *at++ = ' ';
    *at++ = 'U';
    *at++ = 'T';
    *at++ = 'C';
    *at = '\0';
}
