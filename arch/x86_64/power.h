/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_POWER_H
#define ARCH_X86_64_POWER_H

/* Interrupts off, IRQL_PASSIVE. Returns if nothing switches this machine off. The status only goes
 * to the console. */
void power_off(int status);

#endif
