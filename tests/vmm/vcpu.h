/* SPDX-License-Identifier: MIT */
#ifndef VMM_VCPU_H
#define VMM_VCPU_H

/* Virtual processors, a thread each. */

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/vmm/kvm.h"
#include "tests/vmm/synic.h"

struct machine;

struct vcpu {
    struct machine *machine;
    uint32_t index;
    int file;
    int stats; /* kvm_stats.h */
    struct kvm_run *run;
    pthread_t thread;
    struct synic synic;
};

/* Makes it, with its CPUID and its SynIC; it does not run yet. */
void vcpu_create(struct vcpu *vcpu, struct machine *machine, uint32_t index);

/* The processor starts in 32-bit protected mode, paging off and interrupts too, general registers
 * as given. */
void vcpu_set_protected_mode(struct vcpu *vcpu, const struct kvm_regs *general);

/* What the threads are to do. */
enum vcpus_wanted {
    VCPUS_STAND, /* out of the guest, its state complete in KVM */
    VCPUS_RUN,
    VCPUS_END,
};

/* Of all processors together. */
struct vcpus_control {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    enum vcpus_wanted wanted; /* guarded by the lock */
    atomic_uint standing;     /* threads that stand or have ended */
    struct source stood;      /* tells the executive */
};

/* Starts the threads: they stand. */
void vcpus_start(struct machine *machine);

/* Changes what they do, and waits until all of them do it. IRQL_PASSIVE on the executive's thread.
 * After VCPUS_END the threads are gone. */
void vcpus_want(struct machine *machine, enum vcpus_wanted wanted);

#endif
