/* SPDX-License-Identifier: MIT */
/*
 * KMCL's client on one thread and its server on another, under a thread sanitizer: both send as
 * fast as they can through rings of one page, so that rings are full, or one by one, so that each
 * packet has to wake the other end; some packets want a completion, and get it at once, or later
 * and out of turn, or after they were deferred. What is judged: every packet comes once, in its
 * order, with its contents; every completion comes once, with what belongs to it; no data is raced
 * for and no thread is left asleep.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "VmbusKernelModeClientLibApi.h"
#include "kmcl_extensions.h"
#include "tests/unit/processors/machine.h"
#include "vmbus/vmbus.h"

#define PACKETS      100000u /* each way, unless PROCESSORS_PACKETS says more */
#define PACKET_SIZE  600u
#define UNDER_WAY    64u /* packet objects of an end */
#define KEPT         32u /* packets that an end completes later, at most */
#define DEFER_EACH   101u
#define PATIENCE     60 /* seconds in which nothing moves, on a machine that is busy */
#define ANSWER_VALUE UINT64_C(0x5deece66d)

static const GUID device_class = {0x01020304, 0x0506, 0x0708, {9, 10, 11, 12, 13, 14, 15, 16}};
static const GUID instance = {1, 2, 3, {4}};

/* Of one thread alone, but for `done`. */
struct end {
    VMBCHANNEL channel;
    uint64_t seed;
    uint64_t sent;
    uint64_t received;
    uint64_t finished; /* own packets that are done, in whichever way */
    uint64_t answered; /* of these, by a completion of the other end */
    uint64_t deferred; /* number + 1 of the packet that is to come again */
    uint64_t deferrals;
    VMBPACKET free[UNDER_WAY];
    unsigned free_count;
    struct {
        VMBPACKETCOMPLETION packet;
        uint64_t number;
    } kept[KEPT];
    unsigned kept_count;
    atomic_bool done;
};

static struct end client;
static struct end server;
static uint64_t wanted;
static atomic_bool over;

#define require(condition, what) ((condition) ? (void)0 : machine_fail(what))

static uint32_t next_random(struct end *end)
{
    end->seed = end->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(end->seed >> 33);
}

/* ---- contents ---- */

/* A packet's number is in front, and decides the rest, its length and whether it is answered. */
static uint32_t length_of(uint64_t number)
{
    return 8 + (uint32_t)(number * UINT64_C(2654435761) >> 7) % (PACKET_SIZE - 8);
}

static bool wants_answer(uint64_t number)
{
    return number % 3 != 0;
}

static void fill(UINT8 *bytes, uint64_t number)
{
    const uint32_t length = length_of(number);

    memcpy(bytes, &number, sizeof(number));
    for (uint32_t i = sizeof(number); i < length; i++) {
        bytes[i] = (UINT8)(number + i);
    }
}

static void check(const UINT8 *bytes, uint32_t length, uint64_t number)
{
    uint64_t found;

    memcpy(&found, bytes, sizeof(found));
    require(found == number, "a packet is lost, comes twice, or out of order");
    require(length == ((length_of(number) + 7) & ~7u), "a packet's length");
    for (uint32_t i = sizeof(number); i < length_of(number); i++) {
        require(bytes[i] == (UINT8)(number + i), "a packet's contents");
    }
}

/* ---- what the other end sends ---- */

static void answer(VMBPACKETCOMPLETION packet, uint64_t number)
{
    uint64_t value = number ^ ANSWER_VALUE;

    VmbChannelPacketComplete(packet, &value, sizeof(value));
}

static VOID process_packet(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                           UINT32 length, UINT32 flags)
{
    struct end *end = VmbChannelGetPointer(channel);
    const uint64_t number = end->received;

    (void)flags;
    check(buffer, length, number);
    if (number % DEFER_EACH == 0 && end->deferred != number + 1) {
        end->deferred = number + 1;
        end->deferrals++;
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    end->received++;
    if (end->kept_count < KEPT && next_random(end) % 4 == 0) {
        end->kept[end->kept_count].packet = packet;
        end->kept[end->kept_count++].number = number;
        return;
    }
    answer(packet, number);
}

static void complete_one(struct end *end)
{
    const unsigned which = next_random(end) % end->kept_count;
    VMBPACKETCOMPLETION packet = end->kept[which].packet;
    const uint64_t number = end->kept[which].number;

    end->kept[which] = end->kept[--end->kept_count];
    answer(packet, number);
}

/* ---- what this end sends ---- */

static VOID packet_done(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct end *end = VmbChannelGetPointer(VmbPacketGetChannel(packet));
    const uint64_t number = (uintptr_t)VmbPacketGetPointer(packet);

    require(status == STATUS_SUCCESS, "a packet fails");
    require(end->free_count < UNDER_WAY, "a packet is done twice");
    if (wants_answer(number)) {
        uint64_t value;

        require(length == sizeof(value), "an answer's length");
        memcpy(&value, buffer, sizeof(value));
        require(value == (number ^ ANSWER_VALUE), "an answer to another packet");
        end->answered++;
    } else {
        require(length == 0, "an answer that nobody wanted");
    }
    end->finished++;
    end->free[end->free_count++] = packet;
}

/* Half of the time one by one, so that the other end sleeps between two packets. */
static bool may_send(const struct end *end)
{
    const unsigned least = end->sent / 1024 % 2 == 0 ? 1 : UNDER_WAY;

    return end->free_count >= least && end->sent < wanted;
}

static bool send_some(struct end *end)
{
    UINT8 bytes[PACKET_SIZE];
    bool did = false;

    for (unsigned burst = 1 + next_random(end) % 16; burst > 0 && may_send(end); burst--) {
        const uint64_t number = end->sent++;
        VMBPACKET packet = end->free[--end->free_count];

        fill(bytes, number);
        VmbPacketSetPointer(packet, (void *)(uintptr_t)number);
        require(VmbPacketSend(packet, bytes, length_of(number), NULL,
                              wants_answer(number) ? VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION
                                                   : 0) == STATUS_SUCCESS,
                "send");
        did = true;
    }
    return did;
}

/* ---- both ends ---- */

static void make(struct end *end, BOOLEAN is_server)
{
    HANDLE bus = is_server ? KmclServerHandle(machine_server) : NULL;
    NTSTATUS status = VmbChannelAllocate(NULL, is_server, &end->channel);

    require(status == STATUS_SUCCESS, "channel");
    VmbChannelSetPointer(end->channel, end);
    status |= VmbChannelInitSetProcessPacketCallbacks(end->channel, process_packet, NULL);
    status |= VmbChannelInitSetMaximumPacketSize(end->channel, PACKET_SIZE);
    if (is_server) {
        status |= VmbServerChannelInitSetVmbusHandle(end->channel, bus);
        status |= VmbServerChannelInitSetTargetInterfaceId(end->channel, device_class, instance);
    } else {
        status |= VmbClientChannelInitSetTargetPnp(end->channel, &device_class, NULL, NULL);
        status |= VmbClientChannelInitSetRingBufferPageCount(end->channel, 1, 1);
    }
    require(status == STATUS_SUCCESS, "configuration");
    require(VmbChannelEnable(end->channel) == STATUS_SUCCESS, "enable");
    VmbChannelStart(end->channel);
    while (end->free_count < UNDER_WAY) {
        VMBPACKET packet = VmbPacketAllocate(end->channel);

        require(packet != NULL, "packet");
        VmbPacketSetCompletionRoutine(packet, packet_done);
        end->free[end->free_count++] = packet;
    }
}

static void unmake(struct end *end)
{
    VmbChannelDisable(end->channel);
    while (end->free_count > 0) {
        VmbPacketFree(end->free[--end->free_count]);
    }
    VmbChannelCleanup(end->channel);
}

/* Sends and serves until both ends are done. */
static void work(struct end *end)
{
    time_t moved = time(NULL);

    while (!atomic_load(&client.done) || !atomic_load(&server.done)) {
        bool did = send_some(end);

        did |= machine_step();
        if (end->kept_count > 0 && (next_random(end) % 4 == 0 || end->received == wanted)) {
            complete_one(end);
            did = true;
        }
        if (end->finished == wanted && end->received == wanted && end->kept_count == 0) {
            atomic_store(&end->done, true);
        }
        if (did) {
            moved = time(NULL);
        } else {
            require(time(NULL) - moved < PATIENCE, "nothing moves any more");
            (void)sched_yield();
        }
    }
}

static void *be_host(void *argument)
{
    (void)argument;
    machine_enter(MACHINE_HOST);
    make(&server, TRUE);
    work(&server);
    while (!atomic_load(&over)) {
        (void)machine_step();
        (void)sched_yield();
    }
    unmake(&server);
    return NULL;
}

static void check_end(const char *name, struct end *end)
{
    KMCL_CHANNEL_STATISTICS counts;

    KmclChannelGetStatistics(end->channel, &counts);
    printf("%s: %llu sent (%llu had to wait), %llu answered, %llu received, %llu deferred, "
           "%llu signals\n",
           name, (unsigned long long)end->sent, (unsigned long long)counts.PacketsQueued,
           (unsigned long long)end->answered, (unsigned long long)end->received,
           (unsigned long long)end->deferrals, (unsigned long long)counts.Signals);
    assert_int_equal(end->finished, wanted);
    assert_int_equal(end->received, wanted);
    assert_int_equal(end->answered, wanted - (wanted + 2) / 3);
    assert_int_equal(counts.PacketsSent, wanted);
    assert_int_equal(counts.CompletionsReceived, end->answered);
    assert_int_equal(counts.PacketsDropped + counts.CompletionsUnknown + counts.RingFaults, 0);
    /* What the test is about has happened. */
    assert_true(counts.PacketsQueued > wanted / 100);
    assert_true(end->deferrals == (wanted + DEFER_EACH - 1) / DEFER_EACH);
}

static void client_and_server_on_two_processors_lose_nothing(void **state)
{
    const char *packets = getenv("PROCESSORS_PACKETS");
    pthread_t host;

    (void)state;
    wanted = packets != NULL ? strtoull(packets, NULL, 10) : PACKETS;
    client.seed = (uint64_t)time(NULL);
    server.seed = client.seed + 1;
    machine_start(true);
    assert_int_equal(pthread_create(&host, NULL, be_host, NULL), 0);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    make(&client, FALSE);
    work(&client);
    check_end("client", &client);
    check_end("server", &server);
    unmake(&client);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    atomic_store(&over, true);
    assert_int_equal(pthread_join(host, NULL), 0);
    machine_end();
    assert_int_equal(machine_allocated(), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(client_and_server_on_two_processors_lose_nothing)};

    return cmocka_run_group_tests_name("KMCL under tsan", tests, NULL, NULL);
}
