/* SPDX-License-Identifier: MIT */
/* What the devices of tests/host ask of this machine. */
#include "tests/host/machine.h"

#include <string.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/el2/stage2.h"

/* Since the machine was switched on, which is when its counter began. */
uint64_t machine_reference_time(void)
{
    const uint64_t frequency = arch_counter_frequency();
    const uint64_t ticks = arch_counter();

    return ticks / frequency * CLOCK_SECOND + ticks % frequency * CLOCK_SECOND / frequency;
}
