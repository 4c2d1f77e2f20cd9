/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_BOOT_INFO_H
#define KERNEL_BOOT_INFO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "kernel/memory_map.h"

/* With its terminator; the same as Linux' limit on x86. A longer one is cut and reported. */
#define COMMAND_LINE_SIZE 2048u

/* What every way of booting comes down to. All of it is the kernel's own memory. */
struct boot_info {
    const char *protocol; /* for the boot report */
    struct memory_map memory;
    char command_line[COMMAND_LINE_SIZE];
    bool command_line_cut;
    uint64_t acpi_rsdp;        /* physical address, 0 if boot gave none */
    uint64_t counter_at_entry; /* arch_counter() when the guest got control */
};

/* Copies a terminated string of at most `maximum` bytes into the command line. */
void boot_info_command_line(struct boot_info *info, const char *text, size_t maximum);

/* Where boot hands over, interrupts off, on the boot stack. Never returns. */
_Noreturn void kernel_start(struct boot_info *info);

#endif
