/* SPDX-License-Identifier: MIT */
#include "tests/el2/vp_registers.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

#include "arch/aarch64/hypervisor_abi.h"
#include "hv/tlfs.h"
#include "kernel/pages.h"
#include "tests/el2/configuration.h"
#include "tests/el2/reference_page.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/stage2.h"
#include "tests/el2/stimer.h"
#include "tests/el2/synic.h"
#include "tests/host/machine.h"

/*
 * As a real host would answer (Linux' boot log on Windows 11 build 22000, ARM64), without what this
 * host does not have.
 */
#define PRIVILEGES_TIMERS (HV_PRIVILEGE_STIMER | HV_PRIVILEGE_REFERENCE_TSC)
#define PRIVILEGES                                                                                 \
    (HV_PRIVILEGE_TIME_REF_COUNT | HV_PRIVILEGE_SYNIC | HV_PRIVILEGE_HYPERCALL |                   \
     HV_PRIVILEGE_VP_INDEX | HV_PRIVILEGE_POST_MESSAGES | HV_PRIVILEGE_SIGNAL_EVENTS)
#define FEATURES        HV_FEATURE_CRASH
#define RECOMMENDATIONS UINT64_C(0x0E)
#define BUILD           22000u
#define VERSION         (10u << 16)

#define CRASH_REGISTERS   6u
#define CRASH_CTL         (CRASH_REGISTERS - 1)
#define CRASH_TEXT        3u /* its parameters */
#define CRASH_TEXT_LENGTH 4u

static _Atomic uint64_t guest_os_id;
static _Atomic uint64_t crash[CRASH_REGISTERS];

bool vp_registers_guest_is_known(void)
{
    return atomic_load_explicit(&guest_os_id, memory_order_acquire) != 0;
}

static _Noreturn void unknown(const struct processor *processor, const char *what, uint32_t name)
{
    stop(STATUS_GUEST_STRAY, "processor %u: %s of unknown register 0x%08x, call before 0x%" PRIx64,
         processor->index, what, name, processor->registers.pc);
}

static bool is_crash_register(uint32_t name)
{
    return name >= HV_ARM64_CRASH_P0 && name <= HV_ARM64_CRASH_CTL;
}

static bool is_synic_register(uint32_t name)
{
    return name >= HV_ARM64_SINT0 && name <= HV_ARM64_EOM;
}

static bool has_timers(void)
{
    return configuration()->timers != TIMERS_NONE;
}

/* Those of a guest that has said who it is; of the others it may ask before (TLFS,
 * HvCallGetVpRegisters). */
static bool needs_identity(uint32_t name)
{
    return is_synic_register(name) || stimer_has_register(name) ||
           (has_timers() && name == HV_ARM64_REFERENCE_TSC) || name == HV_ARM64_VP_INDEX;
}

/* Any bytes: what is not printable becomes a point. */
static void report_crash(void)
{
    char text[200] = "";
    const uint64_t length = crash[CRASH_TEXT_LENGTH];
    const bool has_text = (crash[CRASH_CTL] & HV_CRASH_MESSAGE) != 0;
    const char *from =
        has_text && length < sizeof(text) ? stage2_memory(crash[CRASH_TEXT], length) : NULL;

    for (uint64_t i = 0; from != NULL && i < length; i++) {
        text[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '.';
    }
    semihosting_print("the guest reports a crash: %" PRIx64 " %" PRIx64 " %" PRIx64 " %" PRIx64
                      " %" PRIx64 " %s",
                      crash[0], crash[1], crash[2], crash[3], crash[4], text);
}

hv_status vp_register_get(const struct processor *processor, uint32_t name, uint64_t *value)
{
    if (configuration()->silent && name >= HV_ARM64_VERSION && name <= HV_ARM64_HARDWARE) {
        return HV_STATUS_SUCCESS;
    }
    if (is_crash_register(name)) {
        *value = name == HV_ARM64_CRASH_CTL ? HV_CRASH_NOTIFY | HV_CRASH_MESSAGE
                                            : crash[name - HV_ARM64_CRASH_P0];
        return HV_STATUS_SUCCESS;
    }
    if (needs_identity(name) && !vp_registers_guest_is_known()) {
        return HV_STATUS_ACCESS_DENIED;
    }
    if (is_synic_register(name)) {
        return synic_register_get(processor->index, name, value);
    }
    if (stimer_has_register(name)) {
        return stimer_register_get(processor->index, name, value);
    }
    if (has_timers() && name == HV_ARM64_REFERENCE_TSC) {
        *value = reference_page_get();
        return HV_STATUS_SUCCESS;
    }
    switch (name) {
    case HV_ARM64_VERSION:
        value[0] = BUILD | (uint64_t)VERSION << 32;
        break;
    case HV_ARM64_PRIVILEGES:
        value[0] = PRIVILEGES | (has_timers() ? PRIVILEGES_TIMERS : 0);
        value[1] =
            FEATURES | (configuration()->timers == TIMERS_DIRECT ? HV_FEATURE_DIRECT_STIMER : 0);
        break;
    case HV_ARM64_RECOMMENDATIONS:
        value[0] = RECOMMENDATIONS | (uint64_t)UINT32_MAX << 32;
        break;
    case HV_ARM64_LIMITS:
        value[0] = configuration()->processors | (uint64_t)configuration()->processors << 32;
        break;
    case HV_ARM64_HARDWARE:
        break;
    case HV_ARM64_GUEST_OS_ID:
        value[0] = guest_os_id;
        break;
    case HV_ARM64_VP_INDEX:
        value[0] = processor->index;
        break;
    case HV_ARM64_TIME_REF_COUNT:
        value[0] = machine_reference_time();
        break;
    default:
        unknown(processor, "read", name);
    }
    return HV_STATUS_SUCCESS;
}

hv_status vp_register_set(const struct processor *processor, uint32_t name, uint64_t value)
{
    if (is_crash_register(name)) {
        crash[name - HV_ARM64_CRASH_P0] = value;
        if (name == HV_ARM64_CRASH_CTL && (value & HV_CRASH_NOTIFY) != 0) {
            report_crash();
        }
        return HV_STATUS_SUCCESS;
    }
    if (needs_identity(name) && !vp_registers_guest_is_known()) {
        return HV_STATUS_ACCESS_DENIED;
    }
    if (is_synic_register(name)) {
        return synic_register_set(processor->index, name, value);
    }
    if (stimer_has_register(name)) {
        return stimer_register_set(processor->index, name, value);
    }
    if (has_timers() && name == HV_ARM64_REFERENCE_TSC) {
        return reference_page_set(value);
    }
    switch (name) {
    case HV_ARM64_GUEST_OS_ID:
        atomic_store_explicit(&guest_os_id, value, memory_order_release);
        return HV_STATUS_SUCCESS;
    case HV_ARM64_VERSION:
    case HV_ARM64_PRIVILEGES:
    case HV_ARM64_RECOMMENDATIONS:
    case HV_ARM64_LIMITS:
    case HV_ARM64_HARDWARE:
    case HV_ARM64_VP_INDEX:
    case HV_ARM64_TIME_REF_COUNT:
        return HV_STATUS_INVALID_PARAMETER; /* read-only */
    default:
        unknown(processor, "write", name);
    }
}
