/* SPDX-License-Identifier: MIT */
#ifndef VMM_SYNIC_H
#define VMM_SYNIC_H

/*
 * The host's end of a virtual processor's SynIC: message slots and event flags (TLFS,
 * Inter-Partition Communication). Registers and interrupts are KVM's; the two pages are guest
 * memory that is written here.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/vmm/executive.h"
#include "tests/vmm/guest_memory.h"
#include "tests/vmm/kvm.h"

/* The only SINT the bus uses, and the only one with an interrupt here (OpenVMM vmbus_server: other
 * ones are refused at contact). */
#define SYNIC_SINT 2u

struct synic {
    const struct guest_memory *memory;
    /* Addresses in the guest; 0: off. Set by the processor's thread. */
    _Atomic uint64_t message_page;
    _Atomic uint64_t event_page;
    int interrupt;              /* irqfd */
    struct source acknowledged; /* the guest wrote EOM or EOI; armed while a message waits */
    void (*slot_free)(void *context);
    void *context;
};

/* `slot_free` is called at DISPATCH after synic_post() returned SYNIC_BUSY, perhaps too early. */
void synic_create(struct synic *synic, const struct kvm *kvm, const struct guest_memory *memory,
                  uint32_t processor, void (*slot_free)(void *context), void *context);

/* The guest wrote its registers: as KVM reports them. The processor's thread. */
void synic_changed(struct synic *synic, uint64_t control, uint64_t message_page,
                   uint64_t event_page);

enum synic_posted {
    SYNIC_POSTED,
    SYNIC_BUSY, /* the guest has not taken the last message */
    SYNIC_OFF,
};

/* A message of type 1 (HV_MESSAGE_TYPE_VMBUS) into the slot of SYNIC_SINT. The executive's thread.
 */
enum synic_posted synic_post(struct synic *synic, const void *payload, uint32_t size);

/* Sets a flag of SYNIC_SINT below HV_EVENT_FLAG_WORDS * 64, interrupts the guest if it was clear.
 * False: off. Any thread. */
bool synic_event(struct synic *synic, uint32_t flag);

/* Interrupts the guest: it looks at both pages, and may find nothing. Any thread. */
void synic_interrupt(const struct synic *synic);

#endif
