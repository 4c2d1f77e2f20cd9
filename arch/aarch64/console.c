/* SPDX-License-Identifier: MIT */
/* The console: a PL011 (Arm DDI 0183), set up by whoever started us. */
#include "arch/aarch64/console.h"

#include "arch/aarch64/boot_map.h"
#include "arch/aarch64/instructions.h"
#include "arch/aarch64/platform.h"
#include "arch/cpu.h"
#include "arch/page_map.h"
#include "kernel/log_memory.h"
#include "kernel/pages.h"

#define PL011_DATA          0x000u
#define PL011_FLAGS         0x018u
#define PL011_INTERRUPTS    0x038u /* mask */
#define FLAGS_TRANSMIT_FULL 0x20u

/*
 * Choice: how often the flags are read before a byte is given up. At 115200 baud the 32 bytes of
 * the queue take 2.8 ms, and a read a tenth of a microsecond at the least; this is more than ten
 * times that.
 */
#define NOT_FULL_READS 400000u

static uint64_t registers; /* 0: no device, or not mapped */

void console_initialise(void)
{
    if (platform.console != 0 && boot_map_device(platform.console)) {
        registers = platform.console;
        device_write32(registers + PL011_INTERRUPTS, 0);
    }
}

void console_initialise_late(void)
{
    char piece[256];
    uint64_t from = 0;
    size_t length;

    if (registers != 0 || platform.console == 0 ||
        !paging_map_device(platform.console, PAGE_SIZE)) {
        return;
    }
    registers = platform.console;
    device_write32(registers + PL011_INTERRUPTS, 0);
    while ((length = log_memory_read(&from, piece, sizeof(piece))) > 0) {
        (void)arch_console_write(piece, (uint32_t)length);
    }
}

bool console_map(void)
{
    return registers == 0 || paging_map_device(registers, PAGE_SIZE);
}

static bool wait_for_room(void)
{
    for (uint32_t i = 0; i < NOT_FULL_READS; i++) {
        if ((device_read32(registers + PL011_FLAGS) & FLAGS_TRANSMIT_FULL) == 0) {
            return true;
        }
        arch_relax();
    }
    return false;
}

bool arch_console_write(const char *text, uint32_t length)
{
    if (registers == 0) {
        return false;
    }
    for (uint32_t i = 0; i < length; i++) {
        if (!wait_for_room()) {
            return false;
        }
        device_write8(registers + PL011_DATA, (uint8_t)text[i]);
    }
    return true;
}
