/* SPDX-License-Identifier: MIT */
#include "tests/el2/hypercall.h"

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "arch/aarch64/hypervisor_abi.h"
#include "hv/hypercall.h"
#include "hv/tlfs.h"
#include "kernel/pages.h"
#include "tests/el2/bus.h"
#include "tests/el2/configuration.h"
#include "tests/el2/psci.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/stage2.h"
#include "tests/el2/vp_registers.h"

#define INSTRUCTION_SIZE 4u
#define INPUT_MAXIMUM    256u /* of the calls below */

/* A call as both conventions come down to. */
struct call {
    struct processor *processor;
    uint64_t control;
    uint64_t input_address; /* of a call that is not fast */
    uint64_t *fast;         /* registers with the input of a fast call, first of them */
    uint32_t output; /* of a fast call: index of the register that a result of 16 bytes goes to */
    _Alignas(8) uint8_t input[INPUT_MAXIMUM];
    uint32_t done; /* repetitions */
};

#define CONTROL_CODE(control)  ((control)&0xffffu)
#define CONTROL_COUNT(control) ((uint32_t)((control) >> 32) & 0xfffu)
#define CONTROL_START(control) ((uint32_t)((control) >> 48) & 0xfffu)
#define CONTROL_RESERVED       UINT64_C(0xf000f00078000000)
#define RESULT_DONE_SHIFT      32

/* Without its extension for 128-bit input. */
#define FAST_REGISTERS 16u

#define SMCCC_NOT_SUPPORTED UINT64_MAX /* Arm DEN 0028 */

_Noreturn void hypercall_unknown(const struct processor *processor, const char *instruction)
{
    const uint64_t *x = processor->registers.x;

    stop(STATUS_GUEST_STRAY,
         "processor %u: unknown call by %s at 0x%llx: x0 0x%llx, x1 0x%llx, x2 0x%llx",
         processor->index, instruction,
         (unsigned long long)processor->registers.pc - INSTRUCTION_SIZE, (unsigned long long)x[0],
         (unsigned long long)x[1], (unsigned long long)x[2]);
}

/* Fetches `size` bytes of input. */
static hv_status fetch(struct call *call, uint32_t size)
{
    if (size > sizeof(call->input)) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    if ((call->control & HV_CALL_FAST) != 0) {
        if (size > FAST_REGISTERS * sizeof(uint64_t)) {
            return HV_STATUS_INVALID_HYPERCALL_INPUT;
        }
        memcpy(call->input, call->fast, size);
        return HV_STATUS_SUCCESS;
    }
    if (call->input_address % 8 != 0 ||
        call->input_address / PAGE_SIZE != (call->input_address + size - 1) / PAGE_SIZE) {
        return HV_STATUS_INVALID_ALIGNMENT;
    }
    const void *memory = stage2_memory(call->input_address, size);
    if (memory == NULL) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    memcpy(call->input, memory, size);
    return HV_STATUS_SUCCESS;
}

/* ---- the calls ---- */

static hv_status post_message(struct call *call)
{
    struct hv_post_message_input input;
    hv_status status = fetch(call, sizeof(input));

    if ((call->control & HV_CALL_FAST) != 0) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    if (status != HV_STATUS_SUCCESS) {
        return status;
    }
    memcpy(&input, call->input, sizeof(input));
    if (input.payload_size > sizeof(input.payload) || input.message_type != HV_MESSAGE_TYPE_VMBUS) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    return bus_post(input.connection_id, input.payload, input.payload_size);
}

static hv_status signal_event(struct call *call)
{
    struct hv_signal_event_input input;
    hv_status status = fetch(call, sizeof(input));

    if (status != HV_STATUS_SUCCESS) {
        return status;
    }
    memcpy(&input, call->input, sizeof(input));
    return input.reserved != 0 ? HV_STATUS_INVALID_PARAMETER
                               : bus_signal(input.connection_id, input.flag);
}

/* The head of both register calls. This host serves a guest its own partition, and a virtual
 * processor its own registers. */
static hv_status check_target(const struct call *call)
{
    struct hv_vp_registers_header header;

    memcpy(&header, call->input, sizeof(header));
    if (header.partition != HV_PARTITION_SELF) {
        return HV_STATUS_ACCESS_DENIED;
    }
    if (header.vp != HV_VP_SELF && header.vp != call->processor->index) {
        return HV_STATUS_ACCESS_DENIED;
    }
    return header.vtl != 0 ? HV_STATUS_INVALID_PARAMETER : HV_STATUS_SUCCESS;
}

static hv_status get_registers(struct call *call)
{
    const uint32_t count = CONTROL_COUNT(call->control);
    const uint32_t size =
        (uint32_t)(sizeof(struct hv_vp_registers_header) + count * sizeof(uint32_t));
    uint64_t value[2] = {0, 0};
    hv_status status = fetch(call, size);

    if (status == HV_STATUS_SUCCESS) {
        status = check_target(call);
    }
    /* One at a time, in registers: all that a guest is known to do on ARM64. */
    if (status == HV_STATUS_SUCCESS && (count != 1 || (call->control & HV_CALL_FAST) == 0)) {
        hypercall_unknown(call->processor, "HVC, reading several registers or into memory");
    }
    if (status == HV_STATUS_SUCCESS) {
        uint32_t name;
        memcpy(&name, call->input + sizeof(struct hv_vp_registers_header), sizeof(name));
        status = vp_register_get(call->processor, name, &value[0]);
    }
    if (status == HV_STATUS_SUCCESS) {
        call->done = 1;
        memcpy(&call->processor->registers.x[call->output], value, sizeof(value));
    }
    return status;
}

static hv_status set_registers(struct call *call)
{
    const uint32_t count = CONTROL_COUNT(call->control);
    struct hv_vp_register_value element;
    hv_status status =
        fetch(call, (uint32_t)(sizeof(struct hv_vp_registers_header) + count * sizeof(element)));

    if (status == HV_STATUS_SUCCESS) {
        status = check_target(call);
    }
    while (status == HV_STATUS_SUCCESS && call->done < count) {
        memcpy(&element,
               call->input + sizeof(struct hv_vp_registers_header) + call->done * sizeof(element),
               sizeof(element));
        status = vp_register_set(call->processor, element.name, element.low);
        call->done += status == HV_STATUS_SUCCESS;
    }
    return status;
}

static hv_status run(struct call *call)
{
    const uint64_t code = CONTROL_CODE(call->control);
    const bool repeats = code == HV_CALL_GET_VP_REGISTERS || code == HV_CALL_SET_VP_REGISTERS;
    const uint32_t count = CONTROL_COUNT(call->control);

    if ((call->control & CONTROL_RESERVED) != 0 || (count != 0) != repeats ||
        CONTROL_START(call->control) != 0) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    switch (code) {
    case HV_CALL_GET_VP_REGISTERS:
        return get_registers(call);
    case HV_CALL_SET_VP_REGISTERS:
        return set_registers(call);
    case HV_CALL_POST_MESSAGE:
        return vp_registers_guest_is_known() ? post_message(call) : HV_STATUS_ACCESS_DENIED;
    case HV_CALL_SIGNAL_EVENT:
        return vp_registers_guest_is_known() ? signal_event(call) : HV_STATUS_ACCESS_DENIED;
    default:
        hypercall_unknown(call->processor, "HVC");
    }
}

/* ---- the conventions ---- */

static void handle_hypercall(struct processor *processor, bool smccc)
{
    uint64_t *x = processor->registers.x;
    struct call call = {
        .processor = processor,
        .control = smccc ? x[1] : x[0],
        .fast = smccc ? &x[2] : &x[1],
        .input_address = smccc ? x[2] : x[1],
        .output = smccc ? HV_SMCCC_VALUE : HV_PLAIN_VALUE,
    };
    const hv_status status = run(&call);

    x[0] = status | (uint64_t)call.done << RESULT_DONE_SHIFT;
}

void hypercall_handle(struct processor *processor, uint32_t immediate)
{
    const enum convention convention = configuration()->convention;
    uint64_t *x = processor->registers.x;

    if (immediate == 1 && convention != CONVENTION_SMCCC) {
        handle_hypercall(processor, false);
    } else if (immediate != 0) {
        hypercall_unknown(processor, "HVC");
    } else if (x[0] == HV_SMCCC_HYPERCALL && convention != CONVENTION_PLAIN) {
        handle_hypercall(processor, true);
    } else if (x[0] == HV_SMCCC_HYPERCALL) {
        x[0] = SMCCC_NOT_SUPPORTED;
    } else if ((uint32_t)x[0] == HV_SMCCC_VENDOR_UID) {
        const uint64_t words[] = HV_SMCCC_VENDOR_UID_WORDS;
        memcpy(x, words, sizeof(words));
    } else if (!psci_call(processor)) {
        hypercall_unknown(processor, "HVC");
    }
}
