/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_CONSOLE_H
#define ARCH_AARCH64_CONSOLE_H

#include <stdbool.h>

/* Sets up the console that the platform names, if it names one. With the map of the start. */
void console_initialise(void);

/* The same with the final map, where the platform became known only then: shows what was said
 * before. IRQL_PASSIVE. */
void console_initialise_late(void);

/* Puts its registers into the map that is being built. False: no page for a table. */
bool console_map(void);

#endif
