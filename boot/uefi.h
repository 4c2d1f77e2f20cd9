/* SPDX-License-Identifier: MIT */
#ifndef BOOT_UEFI_H
#define BOOT_UEFI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "boot/uefi_tables.h"
#include "kernel/boot_info.h"

/*
 * Started by UEFI. The entry of an architecture relocates the image, calls uefi_collect() on
 * firmware's stack and, if that gives anything, takes its own stack and map, interrupts off, and
 * calls kernel_start(). Firmware's memory, its stack among it, is ordinary usable memory then.
 */

/* The text file with the command line, in the folder of the application's file. */
#define UEFI_COMMAND_LINE_FILE "barebus.txt"

/*
 * Asks firmware for all that the kernel needs to know and ends boot services. Nothing of Hyper-V is
 * touched. `counter` is the processor's counter at entry. NULL: boot services still run, firmware's
 * console says why, and `status` is what the application should return.
 */
struct boot_info *uefi_collect(efi_handle handle, struct efi_system_table *system, uint64_t counter,
                               efi_status *status);

/*
 * For the entry of an architecture: whether it can take this processor over in the state that
 * firmware runs it in; if not, `why` is a constant text. Boot services run.
 */
bool uefi_arch_can_take_over(const char **why);

/* ---- parts of uefi_collect() that call no firmware ---- */

/*
 * Sorts firmware's memory map into memory that the kernel may use and memory that runtime services
 * need. Descriptors are `descriptor_size` bytes apart, which may be more than we know of them.
 * False: they are smaller than the structure, and nothing was taken.
 */
bool uefi_take_memory_map(struct boot_info *info, const void *map, uint64_t size,
                          uint64_t descriptor_size);

/*
 * Why no framebuffer was taken, as a constant text; NULL if one was. Its pixels are described in
 * `framebuffer`.
 */
const char *uefi_take_graphics(struct framebuffer *framebuffer,
                               const struct efi_graphics_mode *mode,
                               const struct efi_graphics_information *information);

enum uefi_text {
    UEFI_TEXT_TAKEN,
    UEFI_TEXT_EMPTY,    /* nothing but blanks */
    UEFI_TEXT_NOT_TEXT, /* a character that no command line has: nothing was taken */
};

/* Takes load options, UTF-16 without a terminator or with one, as the command line. */
enum uefi_text uefi_take_load_options(struct boot_info *info, const void *options, size_t size);

/* Takes a file's contents: UTF-8 or, behind its byte order mark, UTF-16; either way in ASCII
 * characters. Lines are words further on. */
enum uefi_text uefi_take_file(struct boot_info *info, const void *bytes, size_t size);

/*
 * The path of the command line's file, beside the file of the application: `length` counts
 * characters of `path` with the terminator. Without a usable path of the application it is the
 * folder of removable media. False: it is too long.
 */
bool uefi_command_line_path(uint16_t *path, size_t length, const struct efi_device_path *file_path);

#endif
