/* SPDX-License-Identifier: MIT */
/*
 * A guest that does what no guest should, to see that the host at EL2 says so: `test=NAME` on its
 * command line, one of the table at the end. It ends with status 0 if its test found everything as
 * it should be, with the number of the check that failed otherwise.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "arch/aarch64/hypervisor_abi.h"
#include "hv/hypercall.h"
#include "hv/tlfs.h"
#include "tests/el2/machine.h"
#include "vmbus/messages.h"
#include "vmbus/ring_layout.h"

#define PSCI_CPU_ON     UINT64_C(0xC4000003)
#define PSCI_SYSTEM_OFF UINT64_C(0x84000008)
#define PSCI_RESET      UINT64_C(0x84000009)

#define OS_ID      UINT64_C(0x8100000000000000)
#define SINT       2u
#define MEMORY_END (UINT64_C(64) << 20) /* the host's default */

struct words {
    uint64_t x[18];
};

uint64_t call_hvc0(const uint64_t in[8], struct words *out);
uint64_t call_hvc1(const uint64_t in[8], struct words *out);
uint64_t call_hvc2(const uint64_t in[8], struct words *out);
uint64_t call_smc(const uint64_t in[8], struct words *out);
void second_start(void);
void guest_main(const char *device_tree);
void second_main(uint64_t argument);

static _Alignas(4096) struct hv_message_page messages;
static _Alignas(4096) struct hv_event_flags_page events;
static _Alignas(4096) uint8_t input[2][4096];

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

static void print(const char *text)
{
    while (*text != '\0') {
        *(volatile uint32_t *)GUEST_UART = (uint32_t)*text++;
    }
}

static _Noreturn void leave(unsigned status)
{
    const uint64_t in[8] = {PSCI_SYSTEM_OFF, status};

    for (;;) {
        (void)call_hvc0(in, NULL);
    }
}

/* Ends the guest with the number of a check that failed. */
static void check(unsigned number, bool good)
{
    if (!good) {
        print("hostile: a check failed\n");
        leave(number);
    }
}

static hv_status call_fast(uint64_t code, uint64_t count, const uint64_t parameters[6],
                           uint64_t *value)
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

static hv_status register_get(uint32_t name, uint64_t *value)
{
    const uint64_t parameters[6] = {HV_PARTITION_SELF, HV_VP_SELF, name};

    return call_fast(HV_CALL_GET_VP_REGISTERS, 1, parameters, value);
}

static hv_status register_set(uint32_t name, uint64_t value)
{
    const uint64_t parameters[6] = {HV_PARTITION_SELF, HV_VP_SELF, name, 0, value, 0};

    return call_fast(HV_CALL_SET_VP_REGISTERS, 1, parameters, NULL);
}

static hv_status post_at(uint64_t address)
{
    const uint64_t in[8] = {HV_SMCCC_HYPERCALL, HV_CALL_POST_MESSAGE, address};

    return (hv_status)call_hvc0(in, NULL);
}

static hv_status post(uint32_t connection_id, const void *payload, uint32_t size)
{
    struct hv_post_message_input *block = (void *)input[0];
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

static void store(uint64_t address, uint32_t value)
{
    *(volatile uint32_t *)address = value;
}

/* As much of the interrupt controller as ends a wait; the interrupt itself stays masked. */
static void interrupts_start(void)
{
    store(GUEST_GICD, 0x12);          /* affinity routing, group 1 */
    store(GUEST_GICR + 0x14, 0);      /* the redistributor is awake */
    store(GUEST_GICR + 0x10080, ~0u); /* all in group 1 */
    store(GUEST_GICR + 0x10100, 1u << GUEST_VMBUS_INTERRUPT | 1u << VIRT_TIMER_VIRTUAL);
    __asm__ volatile("msr s3_0_c4_c6_0, %0; msr s3_0_c12_c12_7, %1; isb" : : "r"(0xffL), "r"(1L));
}

/* Waits for the VMBus interrupt, and takes it as handled. */
static void wait(void)
{
    __asm__ volatile("dsb sy; wfi" : : : "memory");
    store(GUEST_GICR + 0x10280, 1u << GUEST_VMBUS_INTERRUPT);
    __asm__ volatile("dsb sy" : : : "memory");
}

/* Waits for a moment, in which the host may work on what it was given. */
static void relax(void)
{
    uint64_t now;

    __asm__ volatile("isb; mrs %0, cntvct_el0" : "=r"(now));
    __asm__ volatile("msr cntv_cval_el0, %0; msr cntv_ctl_el0, %1; isb"
                     :
                     : "r"(now + 2000), "r"(1L));
    __asm__ volatile("dsb sy; wfi" : : : "memory");
    __asm__ volatile("msr cntv_ctl_el0, %0; isb" : : "r"(0L));
}

static void synic_start(void)
{
    interrupts_start();
    check(90, register_set(HV_ARM64_GUEST_OS_ID, OS_ID) == HV_STATUS_SUCCESS);
    check(91, register_set(HV_ARM64_SIMP, (uintptr_t)&messages | 1) == HV_STATUS_SUCCESS);
    check(92, register_set(HV_ARM64_SIEFP, (uintptr_t)&events | 1) == HV_STATUS_SUCCESS);
    /* What is in the pages is nobody's promise. */
    memset(&messages, 0, sizeof(messages));
    memset(&events, 0, sizeof(events));
    check(93, register_set(HV_ARM64_SINT0 + SINT, GUEST_VMBUS_INTERRUPT) == HV_STATUS_SUCCESS);
    check(94, register_set(HV_ARM64_SCONTROL, 1) == HV_STATUS_SUCCESS);
}

/* ---- what a guest may not do ---- */

static void read_behind_memory(void)
{
    (void)*(volatile uint32_t *)(MEMORY_END + 0x1238);
}

static void write_to_the_host(void)
{
    *(volatile uint32_t *)HOST_IMAGE = 0;
}

static void execute_nowhere(void)
{
    ((void (*)(void))(MEMORY_END + 0x4000))();
}

static void unknown_hypercall(void)
{
    const uint64_t none[6] = {0};

    synic_start();
    (void)call_fast(0x7777, 0, none, NULL);
}

static void unknown_convention(void)
{
    const uint64_t in[8] = {HV_CALL_POST_MESSAGE};

    (void)call_hvc2(in, NULL);
}

static void unknown_secure_call(void)
{
    const uint64_t in[8] = {UINT64_C(0xC2000001)};

    (void)call_smc(in, NULL);
}

static void read_unknown_register(void)
{
    uint64_t value;

    (void)register_get(0x12345, &value);
}

static void write_unknown_register(void)
{
    (void)register_set(0x000A0099, 1);
}

static void reset(void)
{
    const uint64_t in[8] = {PSCI_RESET};

    (void)call_hvc0(in, NULL);
}

static void wait_for_ever(void)
{
    interrupts_start();
    for (;;) {
        wait();
    }
}

/* ---- what a host refuses, and goes on ---- */

static void refused_calls(void)
{
    const uint64_t in_plain[8] = {HV_CALL_GET_VP_REGISTERS | HV_CALL_FAST | UINT64_C(1) << 32,
                                  HV_PARTITION_SELF, HV_VP_SELF, HV_ARM64_VP_INDEX};
    const uint64_t somebody[6] = {HV_PARTITION_SELF, 1, HV_ARM64_VP_INDEX};
    const uint64_t no_flag[6] = {0x2001 | UINT64_C(1) << 32};
    const uint64_t no_channel[6] = {0x77777};
    uint64_t value = 0;
    struct words out;

    check(1, register_get(HV_ARM64_PRIVILEGES, &value) == HV_STATUS_SUCCESS &&
                 (value & HV_PRIVILEGE_SYNIC) != 0);
    check(2, register_set(HV_ARM64_VP_INDEX, 1) == HV_STATUS_INVALID_PARAMETER);
    check(3, register_set(HV_ARM64_SCONTROL, 1) == HV_STATUS_ACCESS_DENIED);
    check(4, post(VMBUS_CONNECTION_ID_MESSAGES, input[1], 0) == HV_STATUS_ACCESS_DENIED);
    synic_start();
    check(5, register_set(HV_ARM64_SIMP, 0x1003) == HV_STATUS_INVALID_PARAMETER);
    check(6, register_set(HV_ARM64_SIMP, MEMORY_END | 1) == HV_STATUS_INVALID_PARAMETER);
    check(7, register_set(HV_ARM64_SINT0, 8) == HV_STATUS_INVALID_PARAMETER);
    check(8, register_get(HV_ARM64_SINT0, &value) == HV_STATUS_SUCCESS && value == HV_SINT_MASKED);
    check(9, post(0x55, input[1], 0) == HV_STATUS_INVALID_CONNECTION_ID);
    check(10, post(VMBUS_CONNECTION_ID_MESSAGES, input[1], 241) == HV_STATUS_INVALID_PARAMETER);
    check(11, post_at((uintptr_t)input[0] + 4) == HV_STATUS_INVALID_ALIGNMENT);
    check(12, post_at((uintptr_t)input[0] + 4096 - 128) == HV_STATUS_INVALID_ALIGNMENT);
    check(13, post_at(MEMORY_END) == HV_STATUS_INVALID_PARAMETER);
    check(14,
          call_fast(HV_CALL_SIGNAL_EVENT, 0, no_channel, NULL) == HV_STATUS_INVALID_CONNECTION_ID);
    check(15, call_fast(HV_CALL_SIGNAL_EVENT, 0, no_flag, NULL) == HV_STATUS_INVALID_PORT_ID);
    check(16,
          call_fast(HV_CALL_SIGNAL_EVENT, 1, no_flag, NULL) == HV_STATUS_INVALID_HYPERCALL_INPUT);
    check(17, call_fast(HV_CALL_GET_VP_REGISTERS, 0, no_flag, NULL) ==
                  HV_STATUS_INVALID_HYPERCALL_INPUT);
    check(18, call_fast(HV_CALL_GET_VP_REGISTERS, 1, somebody, NULL) == HV_STATUS_ACCESS_DENIED);
    (void)call_hvc1(in_plain, &out);
    check(19, (hv_status)out.x[0] == HV_STATUS_SUCCESS && out.x[15] == 0);
}

/* The host works on what it was sent when it gets to it. */
static hv_status post_patiently(uint32_t connection_id, const void *payload, uint32_t size)
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

/* Contact at version 5.0, when that is answered; the answer is left in the slot. */
static void contact(void)
{
    static const struct vmbus_message_initiate_contact message = {
        .header = {.type = VMBUS_MESSAGE_INITIATE_CONTACT},
        .version = VMBUS_VERSION_5_0,
        .target = {.sint = SINT},
    };
    struct hv_message_slot *slot = &messages.slots[SINT];

    check(30, post_patiently(VMBUS_CONNECTION_ID_MULTI_CLIENT, &message, sizeof(message)) ==
                  HV_STATUS_SUCCESS);
    while (slot->type == HV_MESSAGE_TYPE_NONE) {
        wait();
    }
    const struct vmbus_message_version_response *answer = (const void *)slot->payload;
    check(31, slot->type == HV_MESSAGE_TYPE_VMBUS &&
                  slot->payload_size >= sizeof(struct vmbus_message_version_response));
    check(32, answer->header.type == VMBUS_MESSAGE_VERSION_RESPONSE && answer->supported == 1);
}

/* Nothing of this is worth an answer, and the host still answers what is. */
static void bad_messages(void)
{
    uint32_t words[60] = {0};

    synic_start();
    check(20, post(VMBUS_CONNECTION_ID_MESSAGES, words, 3) == HV_STATUS_SUCCESS);
    for (uint32_t type = 0; type < VMBUS_MESSAGE_TYPE_END + 3; type++) {
        words[0] = type;
        check(21, post_patiently(VMBUS_CONNECTION_ID_MESSAGES, words, 8) == HV_STATUS_SUCCESS);
    }
    contact();
}

/* What lay under a page of the SynIC is there again when it is disabled; the page itself is not. */
static void covered_page(void)
{
    volatile uint8_t *page = input[1];
    const uint64_t value = (uintptr_t)input[1] | 1;

    synic_start();
    page[7] = 0x77;
    check(80, register_set(HV_ARM64_SIMP, value) == HV_STATUS_SUCCESS);
    check(81, page[7] != 0x77);
    page[7] = 0x11;
    check(82, register_set(HV_ARM64_SIEFP, value) == HV_STATUS_INVALID_PARAMETER);
    check(83, register_set(HV_ARM64_SIMP, value & ~UINT64_C(1)) == HV_STATUS_SUCCESS);
    check(84, page[7] == 0x77);
}

/* The second answer waits until the first is taken and the end of message is written. */
static void occupied_slot(void)
{
    const struct vmbus_message_bare request = {{VMBUS_MESSAGE_REQUEST_OFFERS, 0}};
    struct hv_message_slot *slot = &messages.slots[SINT];

    synic_start();
    contact();
    check(40, post(VMBUS_CONNECTION_ID_MESSAGES, &request, sizeof(request)) == HV_STATUS_SUCCESS);
    while ((slot->flags & HV_MESSAGE_FLAG_PENDING) == 0) {
        relax();
    }
    slot->type = HV_MESSAGE_TYPE_NONE;
    check(41, register_set(HV_ARM64_EOM, 0) == HV_STATUS_SUCCESS);
    while (slot->type == HV_MESSAGE_TYPE_NONE) {
        wait();
    }
    check(42, *(const uint32_t *)(const void *)slot->payload == VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);
}

/*
 * A guest that asks and never takes an answer: the server stops taking its messages, then the port
 * has no buffer left, and the guest is told; no memory grows.
 */
static void answers_never_taken(void)
{
    const struct vmbus_message_tl_connect_request request = {
        .header = {.type = VMBUS_MESSAGE_TL_CONNECT_REQUEST}};
    unsigned taken = 0;

    synic_start();
    contact();
    for (unsigned refused = 0; refused < 20;) {
        if (post(VMBUS_CONNECTION_ID_MESSAGES, &request, sizeof(request)) == HV_STATUS_SUCCESS) {
            check(50, ++taken < 1000);
            refused = 0;
        } else {
            refused++;
        }
        relax();
    }
    check(51, taken > 16);
}

/* Waits for the next message to this guest, which must be of that type, and frees its slot; it is
 * in `taken` then. */
static uint8_t taken[HV_MESSAGE_PAYLOAD_MAXIMUM] __attribute__((aligned(8)));

static const void *take(unsigned number, uint32_t type)
{
    struct hv_message_slot *slot = &messages.slots[SINT];

    while (slot->type == HV_MESSAGE_TYPE_NONE) {
        wait();
    }
    memcpy(taken, slot->payload, sizeof(taken));
    slot->type = HV_MESSAGE_TYPE_NONE;
    __asm__ volatile("dsb sy" : : : "memory");
    check(number, (slot->flags & HV_MESSAGE_FLAG_PENDING) == 0 ||
                      register_set(HV_ARM64_EOM, 0) == HV_STATUS_SUCCESS);
    check(number, ((const struct vmbus_message_header *)(const void *)taken)->type == type);
    return taken;
}

static void send(unsigned number, const void *message, uint32_t size)
{
    check(number, post_patiently(VMBUS_CONNECTION_ID_MESSAGES, message, size) == HV_STATUS_SUCCESS);
}

/* Rings of pages that lie in no order: the host has to see them as one piece. */
static void scattered_rings(void)
{
    static _Alignas(4096) uint8_t pages[4][4096];
    static const unsigned order[4] = {2, 0, 3, 1};
    static const uint32_t gpadl = 0x1234;
    const struct vmbus_message_bare request = {{VMBUS_MESSAGE_REQUEST_OFFERS, 0}};
    const struct ring_control *outgoing = (const void *)pages[order[2]];
    struct {
        struct vmbus_message_gpadl_header head;
        uint32_t range[2];
        uint64_t frames[4];
    } __attribute__((packed)) list = {
        .head = {.header = {VMBUS_MESSAGE_GPADL_HEADER, 0},
                 .gpadl = gpadl,
                 .range_bytes = 40,
                 .range_count = 1},
        .range = {sizeof(pages), 0},
    };

    synic_start();
    contact();
    (void)take(100, VMBUS_MESSAGE_VERSION_RESPONSE);
    send(101, &request, sizeof(request));
    const struct vmbus_message_offer_channel *offer = take(102, VMBUS_MESSAGE_OFFER_CHANNEL);
    const uint32_t relid = offer->relid;
    (void)take(103, VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);

    list.head.relid = relid;
    for (unsigned i = 0; i < 4; i++) {
        list.frames[i] = (uintptr_t)pages[order[i]] >> 12;
    }
    send(104, &list, sizeof(list));
    const struct vmbus_message_gpadl_created *created = take(105, VMBUS_MESSAGE_GPADL_CREATED);
    check(106, created->status == 0);

    const struct vmbus_message_open_channel open = {
        .header = {VMBUS_MESSAGE_OPEN_CHANNEL, 0},
        .relid = relid,
        .ring_gpadl = gpadl,
        .downstream_page = 2,
    };
    send(107, &open, sizeof(open));
    const struct vmbus_message_open_result *result = take(108, VMBUS_MESSAGE_OPEN_CHANNEL_RESULT);
    check(109, result->status == 0);
    /* The host has put its mark into the ring that it writes, and into no other page. */
    check(110, outgoing->feature_bits == RING_FEATURE_PENDING_SEND_SIZE);
    for (unsigned i = 0; i < 4; i++) {
        const struct ring_control *page = (const void *)pages[i];
        check(111, page == outgoing || page->feature_bits == 0);
    }

    const struct vmbus_message_relid close = {{VMBUS_MESSAGE_CLOSE_CHANNEL, 0}, relid};
    const struct vmbus_message_gpadl_teardown teardown = {
        {VMBUS_MESSAGE_GPADL_TEARDOWN, 0}, relid, gpadl};
    send(112, &close, sizeof(close));
    send(113, &teardown, sizeof(teardown));
    (void)take(114, VMBUS_MESSAGE_GPADL_TORNDOWN);
}

static volatile uint64_t second_value;

void second_main(uint64_t argument)
{
    uint64_t index = 0;

    check(70, register_get(HV_ARM64_VP_INDEX, &index) == HV_STATUS_SUCCESS && index == 1);
    second_value = argument;
    for (;;) {
        __asm__ volatile("wfi");
    }
}

static void second_processor(void)
{
    const uint64_t nobody[8] = {PSCI_CPU_ON, 7, (uintptr_t)second_start, 0};
    const uint64_t in[8] = {PSCI_CPU_ON, 1, (uintptr_t)second_start, 4711};

    check(60, (int)call_hvc0(nobody, NULL) == -2);
    check(61, (int)call_smc(in, NULL) == 0);
    check(62, (int)call_hvc0(in, NULL) == -4);
    while (second_value != 4711) {
    }
}

static void nothing(void)
{
}

static const struct {
    const char *name;
    void (*run)(void);
} tests[] = {
    {"nothing", nothing},
    {"read_behind_memory", read_behind_memory},
    {"write_to_the_host", write_to_the_host},
    {"execute_nowhere", execute_nowhere},
    {"unknown_hypercall", unknown_hypercall},
    {"unknown_convention", unknown_convention},
    {"unknown_secure_call", unknown_secure_call},
    {"read_unknown_register", read_unknown_register},
    {"write_unknown_register", write_unknown_register},
    {"reset", reset},
    {"wait_for_ever", wait_for_ever},
    {"refused_calls", refused_calls},
    {"bad_messages", bad_messages},
    {"covered_page", covered_page},
    {"occupied_slot", occupied_slot},
    {"answers_never_taken", answers_never_taken},
    {"scattered_rings", scattered_rings},
    {"second_processor", second_processor},
};

/* Whether `name` stands at `text`, and ends there. */
static bool begins_with(const char *text, const char *name)
{
    while (*name != '\0' && *text == *name) {
        text++;
        name++;
    }
    return *name == '\0' && (*text == '\0' || *text == ' ');
}

/* The command line is somewhere in the device tree, and nothing else there looks like it. */
void guest_main(const char *device_tree)
{
    static const char key[] = {'t', 'e', 's', 't', '='};

    for (unsigned at = 0; at < 4096; at++) {
        unsigned same = 0;
        while (same < sizeof(key) && device_tree[at + same] == key[same]) {
            same++;
        }
        for (size_t i = 0; same == sizeof(key) && i < sizeof(tests) / sizeof(tests[0]); i++) {
            if (begins_with(device_tree + at + same, tests[i].name)) {
                print("hostile: ");
                print(tests[i].name);
                print("\n");
                tests[i].run();
                leave(0);
            }
        }
    }
    print("hostile: no such test\n");
    leave(99);
}
