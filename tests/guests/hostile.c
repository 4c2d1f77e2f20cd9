/* SPDX-License-Identifier: MIT */
/*
 * A guest that breaks every rule it can, to show that its host stands it. With `scenario=` one of
 *
 *   hypercalls   control words and addresses at random
 *   messages     channel messages at random, of every type and length, without a bus below them
 *   lists        GPADLs of pages that do not exist, of too many, of none, and rings made of them
 *   signals      a flood of HvSignalEvent
 *   rings        an open channel whose ring's indices and packets are destroyed
 *
 * and `seed=`. Afterwards it behaves: it connects, exchanges some packets with the echo device, and
 * stays until that is taken back; then it leaves with 0. 16: the host did not let it connect again;
 * 17: nor exchange packets; 18: the device was not taken back.
 */
#include <inttypes.h>
#include <string.h>

#include "arch/hypervisor.h"
#include "drivers/echo/echo_client.h"
#include "hv/hypercall.h"
#include "hv/synic.h"
#include "hv/tlfs.h"
#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/exit.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "vmbus/messages.h"
#include "vmbus/ring.h"
#include "vmbus/vmbus.h"

#define EXIT_NOT_CONNECTED (EXIT_STATUS_APPLICATION + 0)
#define EXIT_NO_EXCHANGE   (EXIT_STATUS_APPLICATION + 1)
#define EXIT_STILL_THERE   (EXIT_STATUS_APPLICATION + 2)

#define ROUNDS       1000u /* of each kind of nonsense */
#define RING_ROUNDS  24u
#define DEVICE_LIMIT (10 * CLOCK_SECOND)
#define STAY_LIMIT   (120 * CLOCK_SECOND)
#define RELID        1u /* of the only device */

static uint64_t seed;

/* Marsaglia, "Xorshift RNGs" (2003). */
static uint64_t any(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static uint32_t below(uint32_t end)
{
    return (uint32_t)(any() % end);
}

/* Deferred work and interrupts get their turn. */
static void breathe(uint64_t time)
{
    struct event nothing;

    event_initialise(&nothing);
    event_wait(&nothing, clock_after(time));
}

/* ---- without a bus: what the host answers is taken and dropped ---- */

static uint64_t taken;

static void drop_message(void *context, const struct hv_message *message)
{
    (void)context;
    (void)message;
    taken++;
}

static void drop_event(void *context, uint32_t flag)
{
    (void)context;
    (void)flag;
}

static const struct hv_synic_client dropper = {drop_message, drop_event, NULL};

static void post(const void *message, uint32_t size)
{
    hv_status status =
        hv_post_message(below(8) == 0 ? below(6) : VMBUS_CONNECTION_ID_MESSAGES, message, size);

    /* Whoever takes no answers gets no more of them. */
    if (status == HV_STATUS_INSUFFICIENT_BUFFERS && below(4) != 0) {
        breathe(CLOCK_MILLISECOND);
    }
}

static void contact(void)
{
    struct vmbus_message_initiate_contact message = {
        .header.type = VMBUS_MESSAGE_INITIATE_CONTACT,
        .version = VMBUS_VERSION_5_3,
        .target.sint = HV_SYNIC_SINT_VMBUS,
    };
    const struct vmbus_message_bare offers = {.header.type = VMBUS_MESSAGE_REQUEST_OFFERS};

    (void)hv_post_message(VMBUS_CONNECTION_ID_MULTI_CLIENT, &message, sizeof(message));
    breathe(20 * CLOCK_MILLISECOND);
    (void)hv_post_message(VMBUS_CONNECTION_ID_MESSAGES, &offers, sizeof(offers));
    breathe(20 * CLOCK_MILLISECOND);
}

static void random_messages(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        uint32_t message[VMBUS_MESSAGE_SIZE_MAXIMUM / 4];
        for (unsigned i = 0; i < sizeof(message) / sizeof(message[0]); i++) {
            /* Small numbers are numbers of something more often. */
            message[i] = below(3) == 0 ? (uint32_t)any() : below(6);
        }
        message[0] = below(16) == 0 ? (uint32_t)any() : below(VMBUS_MESSAGE_TYPE_END + 2);
        post(message, below(VMBUS_MESSAGE_SIZE_MAXIMUM + 1));
        if (below(50) == 0) {
            contact();
        }
    }
}

/* A page number that is not the guest's, mostly. */
static uint64_t wild_frame(void)
{
    switch (below(6)) {
    case 0:
        return any();
    case 1:
        return UINT64_C(0xFFFFFFFFFFFFF);
    case 2:
        return UINT64_C(0x100000) - below(4); /* around 4 GiB */
    case 3:
        return UINT64_C(0xFEE00); /* the local APIC */
    default:
        return below(0x400); /* memory, this program's own and the same pages again and again */
    }
}

static void lists(void)
{
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct {
            struct vmbus_message_gpadl_header header;
            uint32_t words[(VMBUS_MESSAGE_SIZE_MAXIMUM - 20) / 4];
        } message = {
            .header = {.header.type = VMBUS_MESSAGE_GPADL_HEADER,
                       .relid = below(3),
                       .gpadl = 1 + below(40),
                       .range_bytes = (uint16_t)(below(8) == 0 ? any() : 8 + 8 * below(26)),
                       .range_count = (uint16_t)(below(8) == 0 ? any() : 1)}};
        struct vmbus_gpadl_range range = {below(4) == 0 ? (uint32_t)any() : 4096 * below(24),
                                          below(8) == 0 ? (uint32_t)any() : 0};
        memcpy(message.words, &range, sizeof(range));
        for (unsigned i = 2; i + 2 <= sizeof(message.words) / 4; i += 2) {
            uint64_t frame = wild_frame();
            memcpy(&message.words[i], &frame, sizeof(frame));
        }
        post(&message, below(8) == 0 ? below(240) : sizeof(message));
        const struct vmbus_message_open_channel open = {
            .header.type = VMBUS_MESSAGE_OPEN_CHANNEL,
            .relid = RELID,
            .open_id = round,
            .ring_gpadl = message.header.gpadl,
            .target_vp = below(3),
            .downstream_page = below(12),
        };
        post(&open, sizeof(open));
        const struct vmbus_message_gpadl_teardown teardown = {
            .header.type = VMBUS_MESSAGE_GPADL_TEARDOWN, .relid = below(3), .gpadl = 1 + below(40)};
        post(&teardown, sizeof(teardown));
        if (below(4) == 0) {
            const struct vmbus_message_relid close = {.header.type = VMBUS_MESSAGE_CLOSE_CHANNEL,
                                                      .relid = RELID};
            post(&close, sizeof(close));
        }
    }
}

static void random_hypercalls(void)
{
    struct hv_post_message_input *page = pages_allocate_zeroed(1);

    for (unsigned round = 0; round < ROUNDS && page != NULL; round++) {
        uint64_t control = below(2) == 0 ? HV_CALL_POST_MESSAGE : HV_CALL_SIGNAL_EVENT;
        uint64_t input = (uintptr_t)page + (below(2) == 0 ? 0 : below(4096));
        *page = (struct hv_post_message_input){
            .connection_id = below(3) == 0 ? (uint32_t)any() : below(6),
            .reserved = below(4) == 0 ? (uint32_t)any() : 0,
            .message_type = below(3) == 0 ? (uint32_t)any() : 1,
            .payload_size = below(3) == 0 ? (uint32_t)any() : below(256),
        };
        control |= below(4) == 0 ? HV_CALL_FAST : 0;
        control |= below(4) == 0 ? any() & UINT64_C(0xFFFFFFFFFFFF0000) : 0;
        (void)arch_hypercall(control, below(4) == 0 ? any() : input, below(4) == 0 ? any() : 0);
        if (below(16) == 0) {
            breathe(CLOCK_MILLISECOND);
        }
    }
}

static void flood(void)
{
    for (unsigned round = 0; round < 10 * ROUNDS; round++) {
        (void)hv_signal_event(below(2) == 0 ? 0x2000u + below(4) : below(0x3000));
    }
}

/* ---- with a bus: a channel whose ring is destroyed ---- */

static struct vmbus_channel *attacked;

static void on_event(void *context)
{
    (void)context;
}

static const struct vmbus_channel_owner owner = {on_event, on_event, NULL, NULL};

static void claim(void *context, struct vmbus_channel *channel)
{
    (void)context;
    if (attacked == NULL && vmbus_channel_claim(channel, &owner)) {
        attacked = channel;
    }
}

static void destroy_ring(unsigned round)
{
    struct ring_writer *ring = vmbus_channel_outgoing(attacked);
    struct ring_reader *incoming = vmbus_channel_incoming(attacked);

    for (uint32_t i = 0; i < ring->size; i++) {
        ring->data[i] = (unsigned char)(round % 3 == 0 ? 0 : round % 3 == 1 ? 0xFF : any());
    }
    switch (round % 4) {
    case 0:
        atomic_store(&ring->control->write_index, 8 * (1 + below(ring->size / 8 - 1)));
        break;
    case 1:
        atomic_store(&ring->control->write_index, (uint32_t)any());
        break;
    case 2:
        atomic_store(&ring->control->write_index, ring->size - 8);
        atomic_store(&incoming->control->read_index, (uint32_t)any());
        break;
    default:
        for (unsigned i = 0; i < 1000; i++) {
            atomic_store(&ring->control->write_index, 8 * below(ring->size / 8));
            (void)hv_signal_event(vmbus_channel_offer(attacked)->connection_id);
        }
    }
    for (unsigned i = 0; i < 20; i++) {
        (void)hv_signal_event(vmbus_channel_offer(attacked)->connection_id);
    }
}

static void rings(void)
{
    static struct vmbus_offer_listener listener = {NULL, claim, NULL};

    vmbus_offer_listener_add(&listener);
    for (unsigned round = 0; round < RING_ROUNDS && attacked != NULL; round++) {
        if (vmbus_channel_open(attacked, 2, 2, NULL) == VMBUS_OK) {
            destroy_ring(round);
            breathe(5 * CLOCK_MILLISECOND);
            vmbus_channel_close(attacked);
        }
    }
    vmbus_offer_listener_remove(&listener);
    if (attacked != NULL) {
        (void)vmbus_channel_unclaim(attacked);
    }
}

/* ---- afterwards ---- */

static struct echo_client client;

static bool is_ready(void *context)
{
    (void)context;
    return client.is_ready;
}

static int behave(void)
{
    uint8_t data[100] = {1, 2, 3};
    uint8_t answer[sizeof(data)];

    if (vmbus_connection_state() != VMBUS_CONNECTED && vmbus_connect() != VMBUS_OK) {
        return EXIT_NOT_CONNECTED;
    }
    if (!NT_SUCCESS(echo_client_start(&client)) ||
        !wait_until(is_ready, NULL, clock_after(DEVICE_LIMIT))) {
        return EXIT_NO_EXCHANGE;
    }
    for (unsigned i = 0; i < 20; i++) {
        if (!NT_SUCCESS(echo_client_exchange(&client, data, sizeof(data), answer)) ||
            memcmp(data, answer, sizeof(data)) != 0) {
            return EXIT_NO_EXCHANGE;
        }
    }
    return EXIT_STATUS_SUCCESS;
}

static bool is_gone(void *context)
{
    (void)context;
    return !client.is_ready;
}

/* Whoever looks at the host's figures has time for that, and takes the device back then. */
static int stay(void)
{
    const bool gone = wait_until(is_gone, NULL, clock_after(STAY_LIMIT));

    echo_client_stop(&client);
    return gone ? EXIT_STATUS_SUCCESS : EXIT_STILL_THERE;
}

static const struct scenario {
    const char *name;
    void (*run)(void);
    bool with_bus;
} scenarios[] = {
    {"hypercalls", random_hypercalls, false},
    {"messages", random_messages, false},
    {"lists", lists, false},
    {"signals", flood, true},
    {"rings", rings, true},
};

static void run(const struct scenario *scenario)
{
    if (!scenario->with_bus) {
        if (vmbus_disconnect() != VMBUS_OK || !hv_synic_attach(&dropper)) {
            log_warning("hostile", "the bus does not go away");
            return;
        }
        contact();
    }
    scenario->run();
    log_info("hostile", "%s: over, %" PRIu64 " messages of the host taken", scenario->name, taken);
    if (!scenario->with_bus) {
        breathe(20 * CLOCK_MILLISECOND);
        hv_synic_detach(&dropper);
    }
}

int main(void)
{
    char name[32] = "";

    seed = command_line_number("seed", 1) * UINT64_C(0x9E3779B97F4A7C15) + 1;
    (void)command_line_value("scenario", name, sizeof(name));
    for (unsigned i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]); i++) {
        if (strcmp(scenarios[i].name, name) == 0) {
            run(&scenarios[i]);
        }
    }
    int status = behave();
    log_info("hostile", "the host is %s", status == 0 ? "well" : "not well");
    return status == 0 ? stay() : status;
}
