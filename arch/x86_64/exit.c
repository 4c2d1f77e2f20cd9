/* SPDX-License-Identifier: MIT */
#include "kernel/exit.h"
#include "arch/cpu.h"
#include "arch/x86_64/instructions.h"
#include "arch/x86_64/power.h"
#include "kernel/command_line.h"

/*
 * `exit=<port>` names the port of QEMU's isa-debug-exit, or of a monitor's own, which takes the
 * status as a byte. Without one the machine is switched off; after a panic it starts anew, and so
 * it does where nothing switches it off.
 */
_Noreturn void arch_exit(int status)
{
    uint64_t port = command_line_number("exit", 0);

    if (port != 0 && port <= UINT16_MAX) {
        port_write8((uint16_t)port, (uint8_t)status);
    } else if (status != EXIT_STATUS_PANIC) {
        power_off(status);
    }
    arch_restart();
}
