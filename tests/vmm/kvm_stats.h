/* SPDX-License-Identifier: MIT */
#ifndef VMM_KVM_STATS_H
#define VMM_KVM_STATS_H

/* What KVM counts of a virtual processor: exits by kind, interrupts, hypercalls (Linux,
 * Documentation/virt/kvm/api.rst, KVM_GET_STATS_FD). */

#include <stdbool.h>
#include <stdint.h>

/* A file with the counters, to be opened while the processor does not run; -1: KVM has none. */
int kvm_stats_open(int vcpu);

/*
 * Calls `counter` for each counter that is not zero, with its name in KVM; `name` is valid for the
 * call. False: the file has none. Any thread, whatever the processor does.
 */
bool kvm_stats_read(int file, void (*counter)(void *context, const char *name, uint64_t value),
                    void *context);

#endif
