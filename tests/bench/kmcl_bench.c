/* SPDX-License-Identifier: MIT */
/*
 * What KMCL costs above the bare ring. Prints one line a measurement, for kmcl_bench.py:
 *
 *   kmcl_bench time    ns, for each payload P and burst B; then as channels grow from 1 to 2000
 *   kmcl_bench count   the same work between callgrind's client requests: counts are in its dumps
 *
 * One thread is guest and host in turn, over the product's whole bus: signals, event flags,
 * deferred work. Two kinds of traffic, B packets of P bytes under way all the time:
 *
 *   packets    each end answers every packet it is given with another, from the callback, which
 *              completes the packet: one send, one delivery, one completion each
 *   requests   the client sends a packet that wants a completion, the server completes it with P
 *              bytes, the client's completion routine sends the next
 *
 * over three pairs of ends: bare ring functions, used as vmbus/ring.h says, without bus and
 * callbacks (the floor); a client of KMCL and a server of bare ring functions; KMCL at both.
 * Whatever is measured must allocate nothing.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <valgrind/callgrind.h>

#include "VmbusKernelModeClientLibApi.h"
#include "kernel/pages.h"
#include "kmcl_extensions.h"
#include "tests/unit/processors/machine.h"
#include "vmbus/vmbus.h"

static const uint32_t payloads[] = {8, 64, 256, 1500, 16384};
static const uint32_t bursts[] = {1, 8, 64};
static const uint32_t channel_counts[] = {1, 10, 100, 500, 1000, 2000};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#define RING_SIZE     (64u * 1024)
#define LARGEST       16384u
#define ROUNDS        31u     /* of each kind, taken in turn; the quickest tenth tells */
#define ROUND_NS      500000u /* of one kind, roughly */
#define SWEEP_PAYLOAD 64u
#define SWEEP_BURST   8u
#define SWEEP_ROUNDS  15u
#define CHANNELS      2000u

static unsigned char source[LARGEST] __attribute__((aligned(64)));
static unsigned char guest_copy[LARGEST] __attribute__((aligned(64)));
static unsigned char host_copy[LARGEST] __attribute__((aligned(64)));

enum traffic {
    PACKETS,
    REQUESTS,
};

/* Kinds of ends that a pair is made of. */
enum pair_kind {
    BARE,        /* bare rings at both ends */
    BARE_SERVER, /* a client of KMCL */
    KMCL,
    PAIR_KINDS,
};
static const char *const pair_names[] = {"bare", "client", "both"};

/* A channel and its two ends. What of it is not used in a kind of pair stays empty. */
struct pair {
    enum traffic traffic;
    uint32_t payload;
    bool stopping;      /* nothing is answered any more */
    uint64_t delivered; /* packets, to either end */
    uint64_t completed; /* requests */
    VMBCHANNEL client;
    VMBCHANNEL server;
    VMBPACKET client_packet;
    VMBPACKET server_packet;
    VMBPACKET requests[64];
    struct vmbus_server_channel *bare_server;
    /* Both ends bare: two rings. */
    struct ring_writer writers[2];
    struct ring_reader readers[2];
    unsigned char *memory[2];
};

static struct pair pairs[CHANNELS];
static HANDLE bus;

static _Noreturn void fail(const char *what)
{
    fprintf(stderr, "kmcl_bench: %s\n", what);
    exit(1);
}

#define require(condition, what) ((condition) ? (void)0 : fail(what))

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- bare ends ---- */

/*
 * As vmbus/ring.h says: all there is, each answered, the answers published as one burst. Returns
 * whether the other end must be signalled.
 */
static bool serve(struct pair *pair, struct ring_reader *reader, struct ring_writer *writer,
                  unsigned char *copy, uint16_t answer_type, uint16_t answer_flags)
{
    struct ring_packet_in in;
    bool signal = false;

    do {
        enum ring_status status;

        ring_reader_mask(reader);
        while ((status = ring_reader_next(reader, copy, LARGEST, &in)) == RING_OK) {
            const struct ring_packet_out out = {.type = answer_type,
                                                .flags = answer_flags,
                                                .transaction_id = in.transaction_id,
                                                .payload = copy,
                                                .payload_length = in.payload_length};
            pair->delivered++;
            require((pair->stopping && answer_type != RING_PACKET_COMPLETION) ||
                        ring_writer_put(writer, &out) == RING_OK,
                    "put");
        }
        require(status == RING_EMPTY, "next");
        signal |= ring_reader_publish(reader);
        signal |= ring_writer_commit(writer);
    } while (ring_reader_unmask(reader));
    return signal;
}

static uint16_t answer_type(const struct pair *pair)
{
    return pair->traffic == REQUESTS ? RING_PACKET_COMPLETION : RING_PACKET_DATA_INBAND;
}

static void bare_event(void *context)
{
    struct pair *pair = context;

    if (serve(pair, vmbus_server_incoming(pair->bare_server),
              vmbus_server_outgoing(pair->bare_server), host_copy, answer_type(pair), 0)) {
        vmbus_server_raise(pair->bare_server);
    }
}

static void bare_open(void *context, const struct vmbus_server_open *request)
{
    struct pair *pair = context;

    (void)request;
    require(vmbus_server_map_rings(pair->bare_server) == VMBUS_OK &&
                vmbus_server_open_done(pair->bare_server, 0) == VMBUS_OK,
            "open");
}

static void bare_close(void *context)
{
    struct pair *pair = context;

    vmbus_server_close_done(pair->bare_server);
}

static void bare_released(void *context)
{
    struct pair *pair = context;

    pair->bare_server = NULL;
}

/* ---- ends of KMCL ---- */

/* One for each of what a driver may be, so that it does no more than that. */
static VOID answer_as_client(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                             UINT32 length, UINT32 flags)
{
    struct pair *pair = VmbChannelGetPointer(channel);

    (void)flags;
    pair->delivered++;
    require(pair->stopping ||
                VmbPacketSend(pair->client_packet, buffer, length, NULL, 0) == STATUS_SUCCESS,
            "send");
    VmbChannelPacketComplete(packet, NULL, 0);
}

static VOID answer_as_server(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                             UINT32 length, UINT32 flags)
{
    struct pair *pair = VmbChannelGetPointer(channel);

    (void)flags;
    pair->delivered++;
    require(pair->stopping ||
                VmbPacketSend(pair->server_packet, buffer, length, NULL, 0) == STATUS_SUCCESS,
            "send");
    VmbChannelPacketComplete(packet, NULL, 0);
}

static VOID complete_request(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                             UINT32 length, UINT32 flags)
{
    struct pair *pair = VmbChannelGetPointer(channel);

    (void)flags;
    pair->delivered++;
    VmbChannelPacketComplete(packet, buffer, length);
}

static VOID sent(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    (void)packet, (void)buffer, (void)length;
    require(status == STATUS_SUCCESS, "sent");
}

static VOID request_completed(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct pair *pair = VmbPacketGetPointer(packet);

    require(status == STATUS_SUCCESS, "completion");
    pair->completed++;
    require(pair->stopping ||
                VmbPacketSend(packet, buffer, length, NULL,
                              VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION) == STATUS_SUCCESS,
            "request");
}

static VMBPACKET make_packet(VMBCHANNEL channel, PFN_VMB_PACKET_COMPLETION_ROUTINE routine,
                             struct pair *pair)
{
    VMBPACKET packet = VmbPacketAllocate(channel);

    require(packet != NULL, "packet");
    VmbPacketSetCompletionRoutine(packet, routine);
    VmbPacketSetPointer(packet, pair);
    return packet;
}

static const GUID device_class = {0x11223344, 0x5566, 0x7788, {1, 2, 3, 4, 5, 6, 7, 8}};

static GUID instance_of(const struct pair *pair)
{
    GUID instance = {1, 2, 3, {4}};

    instance.Data1 = (ULONG)(pair - pairs);
    return instance;
}

static VMBCHANNEL make_channel(struct pair *pair, BOOLEAN is_server, uint32_t ring_size)
{
    const GUID instance = instance_of(pair);
    PFN_VMB_CHANNEL_PROCESS_PACKET process_packet = pair->traffic == REQUESTS ? complete_request
                                                    : is_server               ? answer_as_server
                                                                              : answer_as_client;
    VMBCHANNEL channel;
    NTSTATUS status = VmbChannelAllocate(NULL, is_server, &channel);

    require(status == STATUS_SUCCESS, "channel");
    VmbChannelSetPointer(channel, pair);
    status |= VmbChannelInitSetProcessPacketCallbacks(channel, process_packet, NULL);
    status |= VmbChannelInitSetMaximumPacketSize(channel, (pair->payload + 7) & ~7u);
    if (is_server) {
        status |= VmbServerChannelInitSetTargetInterfaceId(channel, device_class, instance);
        status |= VmbServerChannelInitSetVmbusHandle(channel, bus);
    } else {
        status |= VmbClientChannelInitSetTargetPnp(channel, &device_class, &instance, NULL);
        status |= VmbClientChannelInitSetRingBufferPageCount(channel, ring_size / PAGE_SIZE,
                                                             ring_size / PAGE_SIZE);
    }
    require(status == STATUS_SUCCESS && VmbChannelEnable(channel) == STATUS_SUCCESS, "enable");
    VmbChannelStart(channel);
    return channel;
}

static void offer_bare(struct pair *pair)
{
    const struct vmbus_server_owner owner = {.open = bare_open,
                                             .close = bare_close,
                                             .event = bare_event,
                                             .released = bare_released,
                                             .context = pair};
    struct vmbus_server_offer offer = {.flags = 0};
    const GUID instance = instance_of(pair);

    memcpy(&offer.interface_type, &device_class, sizeof(offer.interface_type));
    memcpy(&offer.interface_instance, &instance, sizeof(offer.interface_instance));
    require(vmbus_server_offer(machine_server, &offer, &owner, &pair->bare_server) == VMBUS_OK,
            "offer");
}

/* ---- pairs ---- */

static void open_bare(struct pair *pair, uint32_t ring_size)
{
    for (size_t i = 0; i < 2; i++) {
        unsigned char *memory = aligned_alloc(RING_PAGE_SIZE, ring_size + RING_PAGE_SIZE);

        require(memory != NULL, "memory");
        memset(memory, 0, ring_size + RING_PAGE_SIZE);
        pair->memory[i] = memory;
        require(ring_writer_attach(&pair->writers[i], (struct ring_control *)memory,
                                   memory + RING_PAGE_SIZE, ring_size) == RING_OK &&
                    ring_reader_attach(&pair->readers[i], (struct ring_control *)memory,
                                       memory + RING_PAGE_SIZE, ring_size) == RING_OK,
                "attach");
    }
}

static void open_pair(struct pair *pair, enum pair_kind kind, enum traffic traffic,
                      uint32_t payload, uint32_t ring_size)
{
    memset(pair, 0, sizeof(*pair));
    pair->traffic = traffic;
    pair->payload = payload;
    if (kind == BARE) {
        open_bare(pair, ring_size);
        return;
    }
    if (kind == KMCL) {
        machine_enter(MACHINE_HOST);
        pair->server = make_channel(pair, TRUE, ring_size);
        machine_enter(MACHINE_GUEST);
        pair->server_packet = make_packet(pair->server, sent, pair);
    } else {
        machine_enter(MACHINE_HOST);
        offer_bare(pair);
        machine_enter(MACHINE_GUEST);
    }
    pair->client = make_channel(pair, FALSE, ring_size);
    pair->client_packet = make_packet(pair->client, sent, pair);
    for (size_t i = 0; i < COUNT(pair->requests); i++) {
        pair->requests[i] = make_packet(pair->client, request_completed, pair);
    }
    machine_settle();
    require(strcmp(KmclChannelStateName(pair->client), "active") == 0, "the channel is not open");
}

static void free_packets(struct pair *pair)
{
    VmbPacketFree(pair->client_packet);
    for (size_t i = 0; i < COUNT(pair->requests); i++) {
        VmbPacketFree(pair->requests[i]);
    }
}

static void close_pair(struct pair *pair, enum pair_kind kind)
{
    if (kind == BARE) {
        free(pair->memory[0]);
        free(pair->memory[1]);
        return;
    }
    VmbChannelDisable(pair->client);
    free_packets(pair);
    VmbChannelCleanup(pair->client);
    machine_enter(MACHINE_HOST);
    if (kind == KMCL) {
        VmbChannelDisable(pair->server);
        VmbPacketFree(pair->server_packet);
        VmbChannelCleanup(pair->server);
    } else {
        vmbus_server_revoke(pair->bare_server);
    }
    machine_enter(MACHINE_GUEST);
    machine_settle();
}

static void start_bare(struct pair *pair, uint32_t burst)
{
    const struct ring_packet_out out = {
        .type = RING_PACKET_DATA_INBAND,
        .transaction_id = 1,
        .flags = pair->traffic == REQUESTS ? RING_PACKET_FLAG_COMPLETION_REQUESTED : 0,
        .payload = source,
        .payload_length = pair->payload};

    for (uint32_t i = 0; i < burst; i++) {
        require(ring_writer_put(&pair->writers[0], &out) == RING_OK, "put");
    }
    (void)ring_writer_commit(&pair->writers[0]);
}

/* Puts B packets on their way. */
static void start_traffic(struct pair *pair, enum pair_kind kind, uint32_t burst)
{
    if (kind == BARE) {
        start_bare(pair, burst);
        return;
    }
    for (uint32_t i = 0; i < burst; i++) {
        NTSTATUS status = pair->traffic == REQUESTS
                              ? VmbPacketSend(pair->requests[i], source, pair->payload, NULL,
                                              VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION)
                              : VmbPacketSend(pair->client_packet, source, pair->payload, NULL, 0);
        require(status == STATUS_SUCCESS, "first");
    }
}

/* `count` times there and back. */
static __attribute__((noinline)) void run_bare(struct pair *pair, uint32_t count)
{
    const bool requests = pair->traffic == REQUESTS;
    const uint16_t flags = requests ? RING_PACKET_FLAG_COMPLETION_REQUESTED : 0;
    bool signals = true;

    for (; count != 0; count--) {
        signals &=
            serve(pair, &pair->readers[0], &pair->writers[1], host_copy, answer_type(pair), 0);
        signals &= serve(pair, &pair->readers[1], &pair->writers[0], guest_copy,
                         RING_PACKET_DATA_INBAND, flags);
    }
    require(signals, "a signal is missing");
}

static __attribute__((noinline)) void run_ends(uint32_t count)
{
    for (; count != 0; count--) {
        machine_enter(MACHINE_HOST);
        (void)machine_step();
        machine_enter(MACHINE_GUEST);
        (void)machine_step();
    }
}

static void run(struct pair *pair, enum pair_kind kind, uint32_t count)
{
    if (kind == BARE) {
        run_bare(pair, count);
    } else {
        run_ends(count);
    }
}

/* Nothing is under way any more in `active` pairs. */
static void stop_traffic(struct pair *first, uint32_t active, enum pair_kind kind)
{
    for (uint32_t i = 0; i < active; i++) {
        first[i].stopping = true;
    }
    if (kind == BARE) {
        (void)serve(first, &first->readers[0], &first->writers[1], host_copy, answer_type(first),
                    0);
        (void)serve(first, &first->readers[1], &first->writers[0], guest_copy, 0, 0);
    } else {
        machine_settle();
    }
    for (uint32_t i = 0; i < active; i++) {
        first[i].stopping = false;
    }
}

/* ---- sizes and bursts ---- */

/* 64 KiB, or what a whole burst needs if that is more. */
static uint32_t ring_size_for(uint32_t payload, uint32_t burst)
{
    const uint64_t need = burst * ring_packet_size(0, payload) + RING_PAGE_SIZE;

    if (need < RING_SIZE) {
        return RING_SIZE;
    }
    return (uint32_t)((need + RING_PAGE_SIZE - 1) & ~(uint64_t)(RING_PAGE_SIZE - 1));
}

static int by_value(const void *a, const void *b)
{
    const double x = *(const double *)a;
    const double y = *(const double *)b;

    return (x > y) - (x < y);
}

static uint64_t moved(const struct pair *first, uint32_t active)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < active; i++) {
        sum += first[i].delivered + first[i].completed;
    }
    return sum;
}

/* `count` times there and back on each of `active` pairs; ns. With a name callgrind counts it. */
static double measure(struct pair *first, uint32_t active, enum pair_kind kind, uint32_t count,
                      uint32_t burst, const char *name)
{
    for (uint32_t i = 0; i < active; i++) {
        start_traffic(&first[i], kind, burst);
    }
    run(first, kind, 1);
    const uint64_t before = moved(first, active);
    const uint64_t allocations = machine_allocations();
    if (name != NULL) {
        CALLGRIND_ZERO_STATS;
    }
    const double start = now_ns();
    run(first, kind, count);
    const double ns = now_ns() - start;
    if (name != NULL) {
        CALLGRIND_DUMP_STATS_AT(name);
    }
    require(machine_allocations() == allocations, "the path allocates");
    require(kind == BARE || moved(first, active) - before == 2ull * count * burst * active,
            "not all came");
    stop_traffic(first, active, kind);
    return ns;
}

static void open_all(enum traffic traffic, uint32_t payload, uint32_t burst)
{
    for (unsigned kind = 0; kind < PAIR_KINDS; kind++) {
        open_pair(&pairs[kind], kind, traffic, payload, ring_size_for(payload, burst));
    }
}

static void close_all(void)
{
    for (unsigned kind = 0; kind < PAIR_KINDS; kind++) {
        close_pair(&pairs[kind], kind);
    }
}

static void print_ns(double ns[PAIR_KINDS][ROUNDS])
{
    for (unsigned kind = 0; kind < PAIR_KINDS; kind++) {
        qsort(ns[kind], ROUNDS, sizeof(ns[kind][0]), by_value);
        printf(" %.3f", ns[kind][ROUNDS / 10]);
    }
    printf("\n");
}

static const char *const traffic_names[] = {"packets", "requests"};

static void measure_time(enum traffic traffic, uint32_t payload, uint32_t burst)
{
    double ns[PAIR_KINDS][ROUNDS];
    uint32_t count = 16;

    open_all(traffic, payload, burst);
    while (measure(&pairs[BARE], 1, BARE, count, burst, NULL) < ROUND_NS) {
        count *= 2;
    }
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (unsigned kind = 0; kind < PAIR_KINDS; kind++) {
            ns[kind][i] = measure(&pairs[kind], 1, kind, count, burst, NULL) / count / burst;
        }
    }
    require(memcmp(source, guest_copy, payload) == 0, "what arrived is not what was sent");
    printf("time %s %u %u", traffic_names[traffic], payload, burst);
    print_ns(ns);
    close_all();
}

/* A whole number of turns of the ring, so that the cut packets count in their share. */
static void count_instructions(enum traffic traffic, uint32_t payload, uint32_t burst)
{
    const uint32_t size = ring_size_for(payload, burst);
    const uint32_t count = (uint32_t)(4 * size / ring_packet_size(0, payload) / burst + 1);

    open_all(traffic, payload, burst);
    for (unsigned kind = 0; kind < PAIR_KINDS; kind++) {
        char name[64];

        snprintf(name, sizeof(name), "%s-%s %u %u %u", traffic_names[traffic], pair_names[kind],
                 payload, burst, count * burst);
        (void)measure(&pairs[kind], 1, kind, count, burst, name);
    }
    close_all();
}

/* ---- channels ---- */

/* Opens more until there are `count`. */
static void open_more(uint32_t *open, uint32_t count)
{
    for (; *open < count; ++*open) {
        open_pair(&pairs[*open], KMCL, PACKETS, SWEEP_PAYLOAD, RING_PAGE_SIZE);
    }
}

/* How often there and back, so that all of a measurement's channels together move as much. */
static uint32_t sweep_count(uint32_t active, bool count)
{
    return (count ? 32000 : 128000) / SWEEP_BURST / active;
}

/* Traffic on one of `open` channels, or on each. ns a packet. */
static double sweep(uint32_t open, bool all, bool count)
{
    const uint32_t active = all ? open : 1;
    const uint32_t rounds = sweep_count(active, count);
    char name[64];

    snprintf(name, sizeof(name), "sweep-%s %u %u %u", all ? "all" : "one", open, active,
             rounds * active * SWEEP_BURST * 2);
    return measure(&pairs[open - active], active, KMCL, rounds, SWEEP_BURST, count ? name : NULL) /
           rounds / active / SWEEP_BURST / 2;
}

static double sweep_repeatedly(uint32_t open, bool all)
{
    double ns[SWEEP_ROUNDS];

    for (uint32_t i = 0; i < SWEEP_ROUNDS; i++) {
        ns[i] = sweep(open, all, false);
    }
    qsort(ns, SWEEP_ROUNDS, sizeof(ns[0]), by_value);
    return ns[SWEEP_ROUNDS / 10];
}

static void measure_channels(bool count)
{
    uint32_t open = 0;

    for (size_t i = 0; i < COUNT(channel_counts); i++) {
        open_more(&open, channel_counts[i]);
        if (count) {
            (void)sweep(open, false, true);
            (void)sweep(open, true, true);
        } else {
            const double one = sweep_repeatedly(open, false);
            printf("sweep %u %.3f %.3f\n", open, one, sweep_repeatedly(open, true));
        }
    }
    while (open > 0) {
        close_pair(&pairs[--open], KMCL);
    }
}

static void measure_sizes(bool count)
{
    for (unsigned traffic = PACKETS; traffic <= REQUESTS; traffic++) {
        for (size_t p = 0; p < COUNT(payloads); p++) {
            for (size_t b = 0; b < COUNT(bursts); b++) {
                (count ? count_instructions : measure_time)(traffic, payloads[p], bursts[b]);
            }
        }
    }
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    for (uint32_t i = 0; i < LARGEST; i++) {
        source[i] = (unsigned char)(i * 7 + 1);
    }
    machine_start(false);
    bus = KmclServerHandle(machine_server); /* without which there are no servers */
    require(vmbus_connect() == VMBUS_OK, "the bus");
    if (strcmp(what, "time") == 0) {
        measure_sizes(false);
        measure_channels(false);
    } else if (strcmp(what, "count") == 0) {
        measure_sizes(true);
        measure_channels(true);
    } else {
        require(false, "usage: kmcl_bench time | count");
    }
    require(vmbus_disconnect() == VMBUS_OK, "the bus");
    machine_settle();
    machine_end();
    require(machine_allocated() == 0, "memory is left");
    return 0;
}
