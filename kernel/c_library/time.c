/* SPDX-License-Identifier: MIT */
/* What the C library asks of the system for time(), clock() and their like. */
#include <errno.h>
#include <stdint.h>
#include <sys/time.h>
#include <sys/times.h>
#include <time.h>

#include "kernel/clock.h"
#include "kernel/wall_clock.h"

/* As long as nobody has set the wall clock it fails, and time() returns -1: the time is not known.
 */
int gettimeofday(struct timeval *restrict time, /* NOLINT: its own names for the parameters */
                 void *restrict zone)
{
    const uint64_t now = wall_clock_now();

    (void)zone;
    if (now == 0) {
        errno = EAGAIN;
        return -1;
    }
    const uint64_t since_epoch = now - WALL_CLOCK_UNIX_EPOCH;
    time->tv_sec = (time_t)(since_epoch / CLOCK_SECOND);
    time->tv_usec = (suseconds_t)(since_epoch % CLOCK_SECOND / CLOCK_MICROSECOND);
    return 0;
}

/* The guest's only program has all of the processor's time. The C library's clock() adds the parts
 * up and takes them for CLOCKS_PER_SEC. */
clock_t times(struct tms *out)
{
    const clock_t now = (clock_t)(clock_now() / (CLOCK_SECOND / CLOCKS_PER_SEC));

    *out = (struct tms){.tms_utime = now};
    return now;
}
