/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_PAGING_H
#define ARCH_X86_64_PAGING_H

#include <stdbool.h>
#include <stdint.h>

/* Addresses below are never mapped. */
#define PAGING_NULL_END 4096u

/* Maps the page of device registers at `address` one to one, uncached. False: no page for a table.
 */
bool paging_map_device(uint64_t address);

/* Where an address lies, for the exception report. */
bool paging_on_stack(uint64_t address, uint64_t size);
bool paging_on_stack_guard(uint64_t address);
/* The stack pointer, or the end of the stack if it ran past that. */
uint64_t paging_stack_from(uint64_t stack_pointer);
bool paging_in_text(uint64_t address);

#endif
