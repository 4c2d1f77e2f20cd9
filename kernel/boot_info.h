/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_BOOT_INFO_H
#define KERNEL_BOOT_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/framebuffer.h"
#include "kernel/memory_map.h"

/* With its terminator; the same as Linux' limit on x86. A longer one is cut and reported. */
#define COMMAND_LINE_SIZE 2048u

/* Choices: more than any way of booting has to say, and than any firmware keeps for itself. */
#define BOOT_REMARKS         8u
#define BOOT_FIRMWARE_RANGES 32u

/*
 * What firmware left behind for its runtime services: the memory they need, mapped one to one, and
 * how to switch the machine off with them. power_off is NULL if there are none.
 */
struct boot_firmware {
    void (*power_off)(void); /* returns only if firmware fails */
    struct memory_range ranges[BOOT_FIRMWARE_RANGES];
    uint32_t count;
};

/* What every way of booting comes down to. All of it is the kernel's own memory. */
struct boot_info {
    const char *protocol; /* for the boot report */
    struct memory_map memory;
    char command_line[COMMAND_LINE_SIZE];
    bool command_line_cut;
    uint64_t acpi_rsdp;             /* physical address, 0 if boot gave none */
    uint64_t counter_at_entry;      /* arch_counter() when the guest got control */
    struct framebuffer framebuffer; /* base 0: none */
    struct boot_firmware firmware;
    const char *remarks[BOOT_REMARKS]; /* constant texts, for the boot report */
    uint32_t remark_count;
};

/* Copies a string into the command line, up to its terminator or `maximum` bytes. What does not fit
 * is cut, and remembered so. */
void boot_info_command_line(struct boot_info *info, const char *text, size_t maximum);

/* Something about the way of booting that whoever reads the console should know. `text` stays
 * valid for ever; what no longer fits is left out. */
void boot_info_remark(struct boot_info *info, const char *text);

/* Where boot hands over, interrupts off, on the boot stack. Never returns. */
_Noreturn void kernel_start(struct boot_info *info);

#endif
