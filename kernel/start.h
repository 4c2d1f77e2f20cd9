/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_START_H
#define KERNEL_START_H

#include <stdint.h>

#include "kernel/memory_map.h"

/* How the parts of the kernel are set up and reach each other; of no interest to anybody above it.
 */

/* The text must stay valid for ever. */
void command_line_initialise(const char *line);

/* The processor's counter when the guest got control: time is counted from there. */
void clock_initialise(uint64_t counter_at_entry);

/* Hands all memory of the map to the page allocator. */
void pages_initialise(const struct memory_map *map);

#endif
