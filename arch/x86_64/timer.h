/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_TIMER_H
#define ARCH_X86_64_TIMER_H

/* Takes the frequencies from the processor's or a hypervisor's CPUID leaves, if they tell. Once,
 * from arch_initialise_processor(). */
void timer_ask_processor(void);

#endif
