/* SPDX-License-Identifier: MIT */
#ifndef ARCH_PAGE_MAP_H
#define ARCH_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "kernel/memory_map.h"

/* Addresses below are never mapped. */
#define PAGING_NULL_END 4096u

/* Maps device registers one to one, uncached, in whole pages; what is mapped already stays as it
 * is. False: no page for a table, or an address that no map reaches. IRQL_PASSIVE. */
bool paging_map_device(uint64_t address, uint64_t size);

/* Where an address lies, for the exception report. Any IRQL. */
bool paging_on_stack(uint64_t address, uint64_t size);
bool paging_on_stack_guard(uint64_t address);
/* The stack pointer, or the end of the stack if it ran past that. */
uint64_t paging_stack_from(uint64_t stack_pointer);
bool paging_in_text(uint64_t address);

/*
 * What arch/page_map.c asks of a processor: how an entry of a table looks. Tables have 512 entries
 * of 8 bytes; level 0 is the last, with pages of 4 KiB, each level above has pages 512 times as
 * large, where it has pages at all.
 */
enum page_permission {
    PAGE_CODE,        /* read and execute */
    PAGE_CONSTANTS,   /* read */
    PAGE_DATA,        /* read and write */
    PAGE_DEVICE,      /* read and write, uncached, every access as it is written */
    PAGE_FRAMEBUFFER, /* read and write, uncached, writes may wait and be joined */
    PAGE_FIRMWARE,    /* read, write and execute */
};
unsigned page_level_largest(void); /* that has pages */
bool page_entry_is_present(uint64_t entry);
bool page_entry_is_leaf(uint64_t entry, unsigned level); /* a page, not a table; of a present one */
uint64_t page_entry_address(uint64_t entry);
uint64_t page_entry_of_table(uint64_t address);
uint64_t page_entry_of_page(uint64_t address, enum page_permission permission, unsigned level);

/* Forgets what the processor remembers of the page at an address that is no longer mapped. */
void page_invalidate(uint64_t address);
/* Gives a present entry another value, by which `address` (among others) is mapped differently. */
void page_entry_replace(uint64_t *entry, uint64_t value, uint64_t address);
/* New entries are to be seen by what comes next. */
void page_map_changed(void);

/* From where tables may come while the map of boot is still in use: memory that it maps. */
struct memory_range page_map_early_place(const struct memory_map *map);
/* Maps the devices that are in use already. False: paging_map_device() said so. */
bool page_map_early_devices(void);
/* Leaves the map of boot. */
void page_map_use(uint64_t root);

#endif
