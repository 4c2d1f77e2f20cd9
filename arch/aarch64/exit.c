/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <string.h>

#include "arch/aarch64/console.h"
#include "arch/aarch64/firmware.h"
#include "arch/aarch64/machine_acpi.h"
#include "arch/cpu.h"
#include "arch/start.h"
#include "kernel/boot_info.h"
#include "kernel/command_line.h"

/* Arm DEN 0022, "Power State Coordination Interface". */
#define PSCI_SYSTEM_OFF   0x84000008u
#define PSCI_SYSTEM_RESET 0x84000009u

/* Arm IHI 0098, "Semihosting": the extended exit with the reason "the application ended". */
#define SEMIHOSTING_EXIT        0x20u
#define SEMIHOSTING_APPLICATION UINT64_C(0x20026)

/*
 * Power is PSCI's, whose conduit ACPI names where there is no device tree. So what else ACPI tells
 * of the machine is taken here as well.
 */
void arch_initialise_power(const struct boot_info *info)
{
    if (info->acpi_rsdp != 0) {
        machine_from_acpi(&platform);
        console_initialise_late();
    }
}

_Noreturn void arch_restart(void)
{
    (void)firmware_call(PSCI_SYSTEM_RESET, 0);
    for (;;) {
        __asm__ volatile("wfi"); /* there is no firmware */
    }
}

static void exit_by_semihosting(int status)
{
    uint64_t block[2] = {SEMIHOSTING_APPLICATION, (uint64_t)(unsigned)status};
    register uint64_t operation __asm__("x0") = SEMIHOSTING_EXIT;
    register uint64_t argument __asm__("x1") = (uintptr_t)block;

    __asm__ volatile("hlt #0xf000" : "+r"(operation) : "r"(argument), "m"(block) : "memory");
}

/*
 * `exit=semihosting` asks a debugger or an emulator to end with the status. Where nobody serves
 * that, the instruction is an exception, and its panic comes here again. Otherwise the machine is
 * powered off: PSCI has no argument for that, and tests/el2 finds the status where it would be.
 */
_Noreturn void arch_exit(int status)
{
    static bool tried;
    char way[sizeof("semihosting")];

    if (!tried && command_line_value("exit", way, sizeof(way)) && strcmp(way, "semihosting") == 0) {
        tried = true;
        exit_by_semihosting(status);
    }
    (void)firmware_call(PSCI_SYSTEM_OFF, (uint64_t)(unsigned)status);
    arch_restart();
}
