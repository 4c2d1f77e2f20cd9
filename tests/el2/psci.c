/* SPDX-License-Identifier: MIT */
#include "tests/el2/psci.h"

#include "tests/el2/instructions.h"
#include "tests/el2/semihosting.h"

#define PSCI_VERSION           0x84000000u
#define PSCI_CPU_OFF           0x84000002u
#define PSCI_CPU_ON_32         0x84000003u
#define PSCI_CPU_ON            0xC4000003u
#define PSCI_AFFINITY_INFO_32  0x84000004u
#define PSCI_AFFINITY_INFO     0xC4000004u
#define PSCI_MIGRATE_INFO_TYPE 0x84000006u
#define PSCI_SYSTEM_OFF        0x84000008u
#define PSCI_SYSTEM_RESET      0x84000009u
#define PSCI_FEATURES          0x8400000Au

#define PSCI_SUCCESS            UINT64_C(0)
#define PSCI_NOT_SUPPORTED      (~UINT64_C(0))
#define PSCI_INVALID_PARAMETERS ((uint64_t)-2)
#define PSCI_ALREADY_ON         ((uint64_t)-4)

#define FUNCTION_SERVICE(function) ((function) >> 24 & 0x3fu) /* SMC calling convention */
#define SERVICE_ARCHITECTURE       0u /* a real host has none of it either: Linux' log on Windows 11 */
#define SERVICE_STANDARD           4u

/* start.S */
void start_processor(void);

void psci_start_processor(uint32_t index)
{
    /* QEMU numbers up to eight processors in affinity level 0. */
    const uint64_t result =
        secure_monitor_call(PSCI_CPU_ON, index, (uintptr_t)start_processor, index);

    if (result != PSCI_SUCCESS) {
        stop(STATUS_HOST_FAILED, "processor %u does not start (PSCI: %d); QEMU needs a larger -smp",
             index, (int)result);
    }
}

_Noreturn void psci_stop_processor(void)
{
    (void)secure_monitor_call(PSCI_CPU_OFF, 0, 0, 0);
    stop(STATUS_HOST_FAILED, "a processor cannot be stopped");
}

static uint64_t start_guest_processor(const uint64_t *x)
{
    const struct processor *target = x[1] < UINT32_MAX ? processor_find((uint32_t)x[1]) : NULL;

    if (target == NULL) {
        return PSCI_INVALID_PARAMETERS;
    }
    return processor_start((uint32_t)x[1], x[2], x[3]) ? PSCI_SUCCESS : PSCI_ALREADY_ON;
}

bool psci_call(struct processor *processor)
{
    uint64_t *x = processor->registers.x;
    const uint32_t function = (uint32_t)x[0];

    if (FUNCTION_SERVICE(function) != SERVICE_ARCHITECTURE &&
        FUNCTION_SERVICE(function) != SERVICE_STANDARD) {
        return false;
    }
    switch (function) {
    case PSCI_CPU_ON:
    case PSCI_CPU_ON_32:
        x[0] = start_guest_processor(x);
        break;
    case PSCI_CPU_OFF:
        processor_stop(processor);
    case PSCI_SYSTEM_OFF:
        /* PSCI has no status: one that this host understands stands where it has no parameter. */
        processors_guest_ends((int)(x[1] & 0x7f));
    case PSCI_SYSTEM_RESET:
        processors_guest_ends(STATUS_GUEST_RESTARTS);
    case PSCI_VERSION:
    case PSCI_AFFINITY_INFO:
    case PSCI_AFFINITY_INFO_32:
    case PSCI_MIGRATE_INFO_TYPE:
    case PSCI_FEATURES:
        x[0] = secure_monitor_call(function, x[1], x[2], x[3]);
        break;
    default:
        x[0] = PSCI_NOT_SUPPORTED;
        break;
    }
    return true;
}
