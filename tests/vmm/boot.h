/* SPDX-License-Identifier: MIT */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

#include <stdbool.h>
#include <stdint.h>

struct machine;
struct file;

/*
 * Loads the kernel that the options name, with command line and initial file system, and sets the
 * first processor to its entry. An ELF file is entered by its PVH note (boot_elf.c): guests of
 * ours, and Linux' vmlinux; a bzImage by Linux' own protocol (boot_linux.c). Ends the process with
 * one line if it cannot.
 */
void boot_load(struct machine *machine);

/* ---- between boot.c, boot_elf.c and boot_linux.c ---- */

/* Below 1 MiB, where no kernel lies. What is not named is free for a kernel; the last is reserved.
 */
#define BOOT_START_INFO        0x6000u /* struct start_page, or the zero page: 4 KiB */
#define BOOT_COMMAND_LINE      0x8000u
#define BOOT_COMMAND_LINE_SIZE 0x4000u
#define BOOT_LOW_MEMORY_END    0xA0000u
#define BOOT_ACPI_TABLES       0xE0000u
#define BOOT_HIGH_MEMORY       0x100000u

/* A part of the guest's addresses; Xen's and Linux' maps count the types alike. */
struct boot_range {
    uint64_t address;
    uint64_t size;
    uint32_t type;
};
#define BOOT_RANGE_MEMORY   1u
#define BOOT_RANGE_RESERVED 2u
#define BOOT_RANGES         4u

/* How many of `ranges` there are. */
uint32_t boot_memory_map(const struct machine *machine, struct boot_range ranges[BOOT_RANGES]);

/* Loads the initial file system that the options name, if they do, as high as `last`, its last
 * byte, allows, and behind the kernel. A size of 0: there is none. */
struct boot_range boot_initrd(struct machine *machine, uint64_t kernel_end, uint64_t last);

bool boot_is_elf(const struct file *kernel);
void boot_elf(struct machine *machine, const struct file *kernel);
bool boot_is_linux(const struct file *kernel);
void boot_linux(struct machine *machine, const struct file *kernel);

#endif
