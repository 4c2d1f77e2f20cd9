/* SPDX-License-Identifier: MIT */
#include "arch/aarch64/firmware.h"

#include "arch/aarch64/platform.h"

struct call_registers firmware_call(uint32_t function, uint64_t argument)
{
    struct call_registers registers = {.x = {function, argument}};

    switch (platform.conduit) {
    case PLATFORM_CONDUIT_HVC:
        call_hvc0(&registers);
        break;
    case PLATFORM_CONDUIT_SMC:
        call_smc0(&registers);
        break;
    case PLATFORM_CONDUIT_NONE:
        registers.x[0] = FIRMWARE_NOT_SUPPORTED;
        break;
    }
    return registers;
}
