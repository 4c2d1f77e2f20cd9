/* SPDX-License-Identifier: MIT */
/* The time, for the devices of tests/host. */
#include "arch/cpu.h"
#include "kernel/clock.h"
#include "tests/el2/instructions.h"
#include "tests/el2/machine.h"
#include "tests/host/machine.h"

/* From 1601-01-01 to 1970-01-01, both UTC. */
#define SECONDS_TO_UNIX UINT64_C(11644473600)

/* Since the machine was switched on, which is when its counter began. Any processor. */
uint64_t machine_reference_time(void)
{
    const uint64_t frequency = arch_counter_frequency();
    const uint64_t ticks = arch_counter();

    return ticks / frequency * CLOCK_SECOND + ticks % frequency * CLOCK_SECOND / frequency;
}

/* The machine's own clock knows whole seconds: it is read once, and the counter tells what passed
 * since. */
uint64_t machine_wall_clock(void)
{
    static uint64_t origin;

    if (origin == 0) {
        origin =
            (SECONDS_TO_UNIX + device_read32(VIRT_RTC)) * CLOCK_SECOND - machine_reference_time();
    }
    return origin + machine_reference_time();
}
