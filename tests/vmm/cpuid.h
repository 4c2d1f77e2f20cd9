/* SPDX-License-Identifier: MIT */
#ifndef VMM_CPUID_H
#define VMM_CPUID_H

#include <stdbool.h>
#include <stdint.h>

#include "tests/vmm/kvm.h"

/* Gives a virtual processor its CPUID: what KVM supports, Hyper-V's leaves in place of KVM's own,
 * each processor a package of its own; with or without synthetic timers. */
void cpuid_set(const struct kvm *kvm, int vcpu, uint32_t processor, uint32_t processors,
               bool timers);

#endif
