/* SPDX-License-Identifier: MIT */
#include "arch/cpu.h"
#include "arch/x86_64/instructions.h"
#include "kernel/command_line.h"

/* A processor that meets an exception without a table to serve it resets the machine (Intel SDM,
 * "Double Fault"). */
_Noreturn void arch_restart(void)
{
    static const struct __attribute__((packed)) {
        uint16_t limit;
        uint64_t base;
    } no_table = {0, 0};

    for (;;) {
        __asm__ volatile("lidt %0; int3" : : "m"(no_table));
    }
}

/* `exit=<port>` names the port of QEMU's isa-debug-exit, or of a monitor's own, which takes the
 * status as a byte. */
_Noreturn void arch_exit(int status)
{
    uint64_t port = command_line_number("exit", 0);

    if (port != 0 && port <= UINT16_MAX) {
        port_write8((uint16_t)port, (uint8_t)status);
    }
    arch_restart();
}
