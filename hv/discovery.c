/* SPDX-License-Identifier: MIT */
#include "hv/discovery.h"

#include "hv/tlfs.h"

#define REQUIRED (HV_PRIVILEGE_HYPERCALL | HV_PRIVILEGE_VP_INDEX)

enum hv_presence hv_discover(const struct arch_hypervisor *words, const char **reason)
{
    if (!words->present) {
        *reason = "no hypervisor";
        return HV_ABSENT;
    }
    if (!words->is_hyperv) {
        *reason = "a hypervisor without the Hyper-V interface";
        return HV_ABSENT;
    }
    if ((words->privileges & REQUIRED) != REQUIRED) {
        *reason = "an imitation of the Hyper-V interface, without hypercalls or VP index";
        return HV_ABSENT;
    }
    if ((words->privileges & HV_PRIVILEGE_ISOLATION) != 0) {
        /* Hypercalls and pages shared with the host work differently there. */
        *reason = "a confidential virtual machine, which this guest does not support";
        return HV_REFUSED;
    }
    if ((words->privileges & HV_PRIVILEGE_CPU_MANAGEMENT) != 0) {
        *reason = "the root partition, whose VMBus is not for guests";
        return HV_REFUSED;
    }
    if ((words->privileges & HV_PRIVILEGE_SYNIC) == 0) {
        *reason = "Hyper-V without a synthetic interrupt controller";
        return HV_WITHOUT_SYNIC;
    }
    *reason = "";
    return HV_PRESENT;
}
