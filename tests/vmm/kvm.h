/* SPDX-License-Identifier: MIT */
#ifndef VMM_KVM_H
#define VMM_KVM_H

/* KVM as a device of Linux: what it can do, and one virtual machine of it. Linux,
 * Documentation/virt/kvm/api.rst. */

#include <linux/kvm.h>
#include <stdbool.h>
#include <stdint.h>

struct kvm {
    int system; /* /dev/kvm */
    int vm;
};

/* ioctl() that is tried again when a signal interrupts it. -1: errno says why. */
int kvm_ioctl(int file, unsigned long request, void *argument);

/* The same, where a failure means that this program or KVM is wrong: ends the process. */
int kvm_must(int file, unsigned long request, void *argument, const char *what);

/* Opens KVM and makes a machine with its interrupt controllers and timer. Ends the process with one
 * line where KVM has no Hyper-V support. */
void kvm_open(struct kvm *kvm);

/* Guest memory from here on. `read_only`: writes of the guest are exits. */
void kvm_memory(const struct kvm *kvm, uint32_t slot, uint64_t guest_address, void *memory,
                uint64_t size, bool read_only);

/*
 * Interrupt lines. Below KVM_LINES they are those of a PC; line KVM_LINES + n is the SINT of the
 * bus on virtual processor n.
 */
#define KVM_LINES 24u
void kvm_route(const struct kvm *kvm, uint32_t processors, uint32_t sint);

/* A level on a line of a PC. Any thread. */
void kvm_line(const struct kvm *kvm, uint32_t line, bool level);

#endif
