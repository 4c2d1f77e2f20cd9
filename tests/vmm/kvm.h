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

/*
 * Makes the timers of the local APICs 50 times slower than OVMF believes, where KVM can. To be
 * called before there are processors; guests that ask the hypervisor are told.
 *
 * OVMF then gets two ticks a second, not a hundred. It needs none of them, and where QEMU 7.2 to 10
 * emulates the processor below us each is a risk: QEMU aborts ("tcg_handle_interrupt: assertion
 * failed: (bql_locked())") if a guest writes CR8 while KVM waits for it to allow an interrupt. Each
 * of OVMF's interrupt handlers ends with such a write, and on a busy machine the next tick is
 * waiting by then.
 */
void kvm_slow_apic_timer(const struct kvm *kvm);

/* Numbers of pieces of guest memory. */
#define KVM_SLOT_LOW      0u
#define KVM_SLOT_HIGH     1u /* behind the hole */
#define KVM_SLOT_FIRMWARE 2u
#define KVM_SLOT_ADDED    8u /* and on */

/* Guest memory from here on. `read_only`: writes of the guest are exits. */
void kvm_memory(const struct kvm *kvm, uint32_t slot, uint64_t guest_address, void *memory,
                uint64_t size, bool read_only);

/*
 * Interrupt lines: those of a PC, and the SINT of the bus on each virtual processor. To be called
 * when all processors are there: KVM notes in each SynIC which line its EOM is told to.
 */
#define KVM_LINES     24u /* of a PC */
#define KVM_LINE_SINT KVM_LINES
void kvm_route(const struct kvm *kvm, uint32_t processors, uint32_t sint);

/* A level on a line of a PC. Any thread. */
void kvm_line(const struct kvm *kvm, uint32_t line, bool level);

#endif
