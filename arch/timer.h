/* SPDX-License-Identifier: MIT */
#ifndef ARCH_TIMER_H
#define ARCH_TIMER_H

#include <stdint.h>

/*
 * For the layer that reads them from the hypervisor: how many ticks a second the processor's
 * counter and its own timer make (0: not known). Makes arch_counter_frequency() known and saves
 * measuring. Before INIT_HYPERVISOR is over, IRQL_PASSIVE.
 */
void arch_timer_frequencies(uint64_t counter, uint64_t timer);

#endif
