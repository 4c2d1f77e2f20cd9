/* SPDX-License-Identifier: MIT */
#ifndef VMM_VCPU_STATE_H
#define VMM_VCPU_STATE_H

/* What KVM keeps of a machine and its processors, as sections of a snapshot. The processors stand.
 */

#include "tests/vmm/kvm.h"
#include "tests/vmm/snapshot_file.h"
#include "tests/vmm/vcpu.h"

void vcpu_state_save(struct vcpu *vcpu, struct snapshot *snapshot);
void vcpu_state_restore(struct vcpu *vcpu, const struct snapshot *snapshot);

/* Interrupt controllers, timer and clock. To be restored behind the processors. */
void kvm_state_save(const struct kvm *kvm, struct snapshot *snapshot);
void kvm_state_restore(const struct kvm *kvm, const struct snapshot *snapshot);

#endif
