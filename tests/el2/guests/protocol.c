/* SPDX-License-Identifier: MIT */
/* What a host has to take from a guest, and goes on: messages, slots, pages, processors. */
#include <string.h>

#include "arch/aarch64/hypervisor_abi.h"
#include "tests/el2/guests/guest_machine.h"
#include "tests/el2/guests/tests.h"
#include "vmbus/messages.h"
#include "vmbus/ring_layout.h"

static _Alignas(4096) uint8_t other_page[4096];

/* ---- messages ---- */

/* Contact at version 5.0, when that is answered; the answer is left in the slot. */
static void contact(void)
{
    static const struct vmbus_message_initiate_contact message = {
        .header = {.type = VMBUS_MESSAGE_INITIATE_CONTACT},
        .version = VMBUS_VERSION_5_0,
        .target = {.sint = SINT},
    };
    struct hv_message_slot *at = slot();

    check(30, post_patiently(VMBUS_CONNECTION_ID_MULTI_CLIENT, &message, sizeof(message)) ==
                  HV_STATUS_SUCCESS);
    while (at->type == HV_MESSAGE_TYPE_NONE) {
        wait();
    }
    const struct vmbus_message_version_response *answer = (const void *)at->payload;
    check(31, at->type == HV_MESSAGE_TYPE_VMBUS &&
                  at->payload_size >= sizeof(struct vmbus_message_version_response));
    check(32, answer->header.type == VMBUS_MESSAGE_VERSION_RESPONSE && answer->supported == 1);
}

/* Nothing of this is worth an answer, and the host still answers what is. */
void bad_messages(void)
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
void covered_page(void)
{
    volatile uint8_t *page = other_page;
    const uint64_t value = (uintptr_t)other_page | 1;

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
void occupied_slot(void)
{
    const struct vmbus_message_bare request = {{VMBUS_MESSAGE_REQUEST_OFFERS, 0}};
    struct hv_message_slot *at = slot();

    synic_start();
    contact();
    check(40, post(VMBUS_CONNECTION_ID_MESSAGES, &request, sizeof(request)) == HV_STATUS_SUCCESS);
    while ((at->flags & HV_MESSAGE_FLAG_PENDING) == 0) {
        relax();
    }
    at->type = HV_MESSAGE_TYPE_NONE;
    check(41, register_set(HV_ARM64_EOM, 0) == HV_STATUS_SUCCESS);
    while (at->type == HV_MESSAGE_TYPE_NONE) {
        wait();
    }
    check(42, *(const uint32_t *)(const void *)at->payload == VMBUS_MESSAGE_ALL_OFFERS_DELIVERED);
}

/*
 * A guest that asks and never takes an answer: the server stops taking its messages, then the port
 * has no buffer left, and the guest is told; no memory grows.
 */
void answers_never_taken(void)
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
    struct hv_message_slot *at = slot();

    while (at->type == HV_MESSAGE_TYPE_NONE) {
        wait();
    }
    memcpy(taken, at->payload, sizeof(taken));
    at->type = HV_MESSAGE_TYPE_NONE;
    __asm__ volatile("dsb sy" : : : "memory");
    check(number, (at->flags & HV_MESSAGE_FLAG_PENDING) == 0 ||
                      register_set(HV_ARM64_EOM, 0) == HV_STATUS_SUCCESS);
    check(number, ((const struct vmbus_message_header *)(const void *)taken)->type == type);
    return taken;
}

static void send(unsigned number, const void *message, uint32_t size)
{
    check(number, post_patiently(VMBUS_CONNECTION_ID_MESSAGES, message, size) == HV_STATUS_SUCCESS);
}

/* Rings of pages that lie in no order: the host has to see them as one piece. */
void scattered_rings(void)
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

/* ---- several processors ---- */

#define PSCI_CPU_ON UINT64_C(0xC4000003)

#define OTHERS (PROCESSORS_LIMIT - 1)

void other_main(uint64_t argument);

/* By number of the processor: what it was started with, when its SynIC is up; then whether it has
 * the message. */
static volatile uint64_t started[PROCESSORS_LIMIT];
static volatile bool has_message[PROCESSORS_LIMIT];

void other_main(uint64_t argument)
{
    const uint32_t self = this_processor();
    uint64_t index = 0;

    synic_start();
    check(70, register_get(HV_ARM64_VP_INDEX, &index) == HV_STATUS_SUCCESS && index == self);
    started[self] = argument;
    for (;;) {
        wait();
        has_message[self] = slot()->type != HV_MESSAGE_TYPE_NONE;
    }
}

/* Each starts once, has a SynIC of its own, and gets what is sent to it and nothing else. */
void other_processors(void)
{
    const uint64_t nobody[8] = {PSCI_CPU_ON, 7, (uintptr_t)other_start, 0};

    synic_start();
    check(60, (int)call_hvc0(nobody, NULL) == -2);
    for (uint64_t n = 1; n <= OTHERS; n++) {
        const uint64_t in[8] = {PSCI_CPU_ON, n, (uintptr_t)other_start, 4711 + n};
        check(61, (int)(n % 2 == 0 ? call_hvc0(in, NULL) : call_smc(in, NULL)) == 0);
        check(62, (int)call_hvc0(in, NULL) == -4);
        while (started[n] != 4711 + n) {
            relax();
        }
    }
    struct vmbus_message_initiate_contact message = {
        .header = {.type = VMBUS_MESSAGE_INITIATE_CONTACT},
        .version = VMBUS_VERSION_5_0,
        .target_vp = OTHERS,
    };
    message.target.sint = SINT;
    check(63, post_patiently(VMBUS_CONNECTION_ID_MULTI_CLIENT, &message, sizeof(message)) ==
                  HV_STATUS_SUCCESS);
    while (!has_message[OTHERS]) {
        relax();
    }
    check(64, !has_message[1] && !has_message[2] && slot()->type == HV_MESSAGE_TYPE_NONE);
}
