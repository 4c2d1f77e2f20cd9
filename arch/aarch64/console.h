/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_CONSOLE_H
#define ARCH_AARCH64_CONSOLE_H

#include <stdbool.h>

/* Sets up the console that the platform names, if it names one. */
void console_initialise(void);

/* Puts its registers into the map that is being built. False: no page for a table. */
bool console_map(void);

#endif
