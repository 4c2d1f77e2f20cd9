/* SPDX-License-Identifier: MIT */
#include "tests/el2/guests/guest_machine.h"

#include "arch/aarch64/hypervisor_abi.h"

#define PSCI_SYSTEM_OFF UINT64_C(0x84000008)

#define MOMENT 62500 /* ticks of the counter: 1 ms on QEMU */
#define OS_ID  UINT64_C(0x8100000000000000)

static _Alignas(4096) struct hv_message_page messages[PROCESSORS_LIMIT];
static _Alignas(4096) struct hv_event_flags_page events[PROCESSORS_LIMIT];
static _Alignas(4096) uint8_t input[4096]; /* of hypercalls; one processor at a time */

/* ---- what the compiler may call; with the MMU off the C library's may not run ---- */

void *memset(void *memory, int value, size_t size);
void *memcpy(void *to, const void *from, size_t size);

void *memset(void *memory, int value, size_t size)
{
    unsigned char *bytes = memory;

    while (size-- != 0) {
        *bytes++ = (unsigned char)value;
    }
    return memory;
}

void *memcpy(void *to, const void *from, size_t size)
{
    unsigned char *bytes = to;
    const unsigned char *source = from;

    while (size-- != 0) {
        *bytes++ = *source++;
    }
    return to;
}

/* ---- the machine ---- */

uint32_t this_processor(void)
{
    uint64_t affinity;

    __asm__ volatile("mrs %0, mpidr_el1" : "=r"(affinity));
    return (uint32_t)(affinity & 0xff);
}

struct hv_message_slot *slot(void)
{
    return &messages[this_processor()].slots[SINT];
}

void print(const char *text)
{
    while (*text != '\0') {
        *(volatile uint32_t *)GUEST_UART = (uint32_t)*text++;
    }
}

_Noreturn void leave(unsigned status)
{
    const uint64_t in[8] = {PSCI_SYSTEM_OFF, status};

    for (;;) {
        (void)call_hvc0(in, NULL);
    }
}

void check(unsigned number, bool good)
{
    if (!good) {
        print("hostile: a check failed\n");
        leave(number);
    }
}

hv_status call_fast(uint64_t code, uint64_t count, const uint64_t parameters[6], uint64_t *value)
{
    uint64_t in[8] = {HV_SMCCC_HYPERCALL, code | HV_CALL_FAST | count << 32};
    struct words out;

    for (unsigned i = 0; i < 6; i++) {
        in[2 + i] = parameters[i];
    }
    (void)call_hvc0(in, &out);
    if (value != NULL) {
        *value = out.x[6];
    }
    return (hv_status)out.x[0];
}

hv_status register_get(uint32_t name, uint64_t *value)
{
    const uint64_t parameters[6] = {HV_PARTITION_SELF, HV_VP_SELF, name};

    return call_fast(HV_CALL_GET_VP_REGISTERS, 1, parameters, value);
}

hv_status register_set(uint32_t name, uint64_t value)
{
    const uint64_t parameters[6] = {HV_PARTITION_SELF, HV_VP_SELF, name, 0, value, 0};

    return call_fast(HV_CALL_SET_VP_REGISTERS, 1, parameters, NULL);
}

hv_status post_at(uint64_t address)
{
    const uint64_t in[8] = {HV_SMCCC_HYPERCALL, HV_CALL_POST_MESSAGE, address};

    return (hv_status)call_hvc0(in, NULL);
}

hv_status post(uint32_t connection_id, const void *payload, uint32_t size)
{
    struct hv_post_message_input *block = (void *)input;
    const uint8_t *bytes = payload;

    block->connection_id = connection_id;
    block->reserved = 0;
    block->message_type = HV_MESSAGE_TYPE_VMBUS;
    block->payload_size = size;
    for (uint32_t i = 0; i < size && i < sizeof(block->payload); i++) {
        block->payload[i] = bytes[i];
    }
    return post_at((uintptr_t)block);
}

static uint64_t redistributor(void)
{
    return GUEST_GICR + (uint64_t)this_processor() * GICR_FRAME_SIZE;
}

static void store(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

void interrupts_start(void)
{
    store(GUEST_GICD, 0x12);               /* affinity routing, group 1 */
    store(redistributor() + 0x14, 0);      /* the redistributor is awake */
    store(redistributor() + 0x10080, ~0u); /* all in group 1 */
    store(redistributor() + 0x10100, 1u << GUEST_VMBUS_INTERRUPT | 1u << VIRT_TIMER_VIRTUAL);
    __asm__ volatile("msr s3_0_c4_c6_0, %0; msr s3_0_c12_c12_7, %1; isb" : : "r"(0xffL), "r"(1L));
}

void wait(void)
{
    __asm__ volatile("dsb sy; wfi" : : : "memory");
    store(redistributor() + 0x10280, 1u << GUEST_VMBUS_INTERRUPT);
    __asm__ volatile("dsb sy" : : : "memory");
}

static uint64_t now(void)
{
    uint64_t ticks;

    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(ticks) : : "memory");
    return ticks;
}

void relax(void)
{
    const uint64_t end = now() + MOMENT;

    __asm__ volatile("msr cntv_cval_el0, %0; msr cntv_ctl_el0, %1; isb" : : "r"(end), "r"(1L));
    while (now() < end) {
        wait(); /* for the timer, in the end */
    }
    __asm__ volatile("msr cntv_ctl_el0, %0; isb" : : "r"(0L));
}

void synic_start(void)
{
    const uint32_t self = this_processor();

    interrupts_start();
    check(90, register_set(HV_ARM64_GUEST_OS_ID, OS_ID) == HV_STATUS_SUCCESS);
    check(91, register_set(HV_ARM64_SIMP, (uintptr_t)&messages[self] | 1) == HV_STATUS_SUCCESS);
    check(92, register_set(HV_ARM64_SIEFP, (uintptr_t)&events[self] | 1) == HV_STATUS_SUCCESS);
    /* What is in the pages is nobody's promise. */
    memset(&messages[self], 0, sizeof(messages[self]));
    memset(&events[self], 0, sizeof(events[self]));
    check(93, register_set(HV_ARM64_SINT0 + SINT, GUEST_VMBUS_INTERRUPT) == HV_STATUS_SUCCESS);
    check(94, register_set(HV_ARM64_SCONTROL, 1) == HV_STATUS_SUCCESS);
}

hv_status post_patiently(uint32_t connection_id, const void *payload, uint32_t size)
{
    hv_status status;

    do {
        status = post(connection_id, payload, size);
        if (status == HV_STATUS_INSUFFICIENT_BUFFERS) {
            relax();
        }
    } while (status == HV_STATUS_INSUFFICIENT_BUFFERS);
    return status;
}
