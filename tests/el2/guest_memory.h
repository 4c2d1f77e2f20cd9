/* SPDX-License-Identifier: MIT */
#ifndef EL2_GUEST_MEMORY_H
#define EL2_GUEST_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Gives the guest memory at an address of its own: `pages` from `address` on, with `spare` pages
 * behind them that it may get later. The calls of tests/host/machine.h about memory work from here
 * on. Ends the run if there is no memory for the tables. PASSIVE, once.
 */
void guest_memory_create(uint64_t guest_address, uint64_t address, uint64_t pages, uint64_t spare);

#endif
