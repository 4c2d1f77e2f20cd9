/* SPDX-License-Identifier: MIT */
#include "tests/vmm/hypercall.h"

#include <string.h>

#include "hv/hypercall.h"
#include "hv/tlfs.h"
#include "kernel/pages.h"
#include "tests/vmm/machine.h"

#define CODE       UINT64_C(0xFFFF)
/* Of a call without lists, everything but code and the fast bit is zero (TLFS, Hypercall Inputs).
 */
#define NOT_SIMPLE (~(CODE | HV_CALL_FAST))

#define INPUT_ALIGNMENT 8u

/* Of HvSignalEvent's parameter (TLFS, HvCallSignalEvent). */
#define SIGNAL_CONNECTION 0x00FFFFFFu
#define SIGNAL_RESERVED   UINT64_C(0xFFFF0000FF000000)
#define SIGNAL_FLAG_SHIFT 32

static hv_status post_message(struct machine *machine, uint64_t control, uint64_t address)
{
    struct hv_post_message_input input;

    if ((control & HV_CALL_FAST) != 0) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    if (address % INPUT_ALIGNMENT != 0 || address % PAGE_SIZE + sizeof(input) > PAGE_SIZE) {
        return HV_STATUS_INVALID_ALIGNMENT;
    }
    const void *memory = guest_memory_at(&machine->memory, address, sizeof(input));
    if (memory == NULL) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    memcpy(&input, memory, sizeof(input)); /* from here on the guest cannot change it */
    if (input.message_type != HV_MESSAGE_TYPE_VMBUS ||
        input.payload_size > HV_MESSAGE_PAYLOAD_MAXIMUM) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    return bus_message(&machine->bus, input.connection_id, input.payload, input.payload_size);
}

/* KVM has fetched the parameter out of memory already, where it was there, and has not found a
 * doorbell (kvm_hvcall_signal_event() of Linux' arch/x86/kvm/hyperv.c). */
static hv_status signal_event(struct machine *machine, uint64_t parameter)
{
    if ((parameter & SIGNAL_RESERVED) != 0) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    return bus_signal(&machine->bus, (uint32_t)(parameter & SIGNAL_CONNECTION),
                      (uint32_t)(parameter >> SIGNAL_FLAG_SHIFT));
}

uint64_t hypercall(struct machine *machine, uint64_t control, uint64_t input)
{
    if ((control & NOT_SIMPLE) != 0) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    switch (control & CODE) {
    case HV_CALL_POST_MESSAGE:
        return post_message(machine, control, input);
    case HV_CALL_SIGNAL_EVENT:
        return signal_event(machine, input);
    default:
        return HV_STATUS_INVALID_HYPERCALL_CODE;
    }
}
