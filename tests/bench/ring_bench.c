/* SPDX-License-Identifier: MIT */
/*
 * What the ring costs above the two copies that no ring can avoid. Prints one line a measurement,
 * for ring_bench.py, which makes a table of them:
 *
 *   ring_bench time      ns a packet: ring and floor, for each payload P and burst B
 *   ring_bench count     the same work between callgrind's client requests: counts are in its dumps
 *   ring_bench threads   two threads: packets a second and signals per 1000 packets
 *
 * The ring's part is send and receive of one packet, in one thread: B puts and a commit, then B
 * receptions and a publish. The floor is one memcpy of P bytes into an area of the ring's size and
 * one out of it, in the same bursts.
 */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <valgrind/callgrind.h>

#include "vmbus/ring.h"

static const uint32_t payloads[] = {8, 64, 256, 1500, 16384};
static const uint32_t bursts[] = {1, 8, 64};
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

#ifndef RING_SIZE
#define RING_SIZE (64u * 1024)
#endif
#define LARGEST        16384u
#define ROUNDS         61u     /* of each kind, taken in turn; the quickest tenth tells */
#define ROUND_NS       700000u /* of one kind, roughly */
#define THREAD_RING    (256u * 1024)
#define THREAD_PAYLOAD 1500u
#define THREAD_FLUSH   8u
#define THREAD_PACKETS 1000000u
#define THREAD_ROUNDS  7u

static unsigned char source[LARGEST] __attribute__((aligned(64)));
static unsigned char target[LARGEST + 64] __attribute__((aligned(64)));

struct bench {
    struct ring_writer writer;
    struct ring_reader reader;
    unsigned char *area; /* of the floor */
    uint32_t size;
    uint32_t offset;
    uint64_t signals;
};

static void fail(const char *what)
{
    fprintf(stderr, "ring_bench: %s\n", what);
    exit(1);
}

static double now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* 64 KiB, or what a whole burst needs if that is more. */
static void bench_open(struct bench *bench, uint32_t size)
{
    unsigned char *memory = aligned_alloc(RING_PAGE_SIZE, size + RING_PAGE_SIZE);

    bench->area = aligned_alloc(RING_PAGE_SIZE, 2 * size);
    if (memory == NULL || bench->area == NULL)
        fail("no memory");
    memset(memory, 0, size + RING_PAGE_SIZE);
    memset(bench->area, 0, 2 * size);
    bench->size = size;
    bench->offset = 0;
    bench->signals = 0;
    if (ring_writer_attach(&bench->writer, (struct ring_control *)memory, memory + RING_PAGE_SIZE,
                           size) != RING_OK ||
        ring_reader_attach(&bench->reader, (struct ring_control *)memory, memory + RING_PAGE_SIZE,
                           size) != RING_OK)
        fail("attach");
}

static void bench_close(struct bench *bench)
{
    free(bench->writer.control);
    free(bench->area);
}

static uint32_t ring_size_for(uint32_t payload, uint32_t burst)
{
    uint64_t need = burst * ring_packet_size(0, payload) + RING_PAGE_SIZE;

    if (need < RING_SIZE)
        return RING_SIZE;
    return (uint32_t)((need + RING_PAGE_SIZE - 1) & ~(uint64_t)(RING_PAGE_SIZE - 1));
}

static inline void send_burst(struct bench *bench, struct ring_packet_out *out, uint32_t burst)
{
    for (uint32_t i = 0; i < burst; i++) {
        if (ring_writer_put(&bench->writer, out) != RING_OK)
            fail("put");
    }
    bench->signals += ring_writer_commit(&bench->writer);
}

static __attribute__((noinline)) void ring_bursts(struct bench *bench, uint32_t payload,
                                                  uint32_t burst, uint32_t count)
{
    struct ring_packet_out out = {.type = RING_PACKET_DATA_INBAND,
                                  .transaction_id = 1,
                                  .payload = source,
                                  .payload_length = payload};
    struct ring_packet_in in;

    for (; count != 0; count--) {
        send_burst(bench, &out, burst);
        for (uint32_t i = 0; i < burst; i++) {
            if (ring_reader_next(&bench->reader, target, sizeof(target), &in) != RING_OK)
                fail("next");
        }
        bench->signals += ring_reader_publish(&bench->reader);
    }
}

/* As one receives who looks at a packet before taking it, or leaves it: KMCL when its quota is used
 * up. */
static __attribute__((noinline)) void peek_bursts(struct bench *bench, uint32_t payload,
                                                  uint32_t burst, uint32_t count)
{
    struct ring_packet_out out = {.type = RING_PACKET_DATA_INBAND,
                                  .transaction_id = 1,
                                  .payload = source,
                                  .payload_length = payload};
    struct ring_packet_in in;

    for (; count != 0; count--) {
        send_burst(bench, &out, burst);
        for (uint32_t i = 0; i < burst; i++) {
            if (ring_reader_peek(&bench->reader, &in) != RING_OK)
                fail("peek");
            if (in.type != RING_PACKET_DATA_INBAND || in.payload_length > sizeof(target))
                fail("packet");
            ring_reader_take(&bench->reader, &in, NULL, target);
        }
        bench->signals += ring_reader_publish(&bench->reader);
    }
}

/*
 * At the places where the ring puts the payloads, since where they lie in cache lines and pages is
 * the wire format's doing. Only the cut at the end is left out: the area is longer than the ring.
 */
static __attribute__((noinline)) void floor_bursts(struct bench *bench, uint32_t payload,
                                                   uint32_t burst, uint32_t count)
{
    uint32_t stride = (uint32_t)ring_packet_size(0, payload);

    for (; count != 0; count--) {
        unsigned char *at;

        at = bench->area + bench->offset + 16;
        for (uint32_t i = 0; i < burst; i++) {
            memcpy(at, source, payload);
            at += stride;
            __asm__ volatile("" ::: "memory");
        }
        at = bench->area + bench->offset + 16;
        for (uint32_t i = 0; i < burst; i++) {
            memcpy(target, at, payload);
            at += stride;
            __asm__ volatile("" ::: "memory");
        }
        bench->offset += burst * stride;
        if (bench->offset >= bench->size)
            bench->offset -= bench->size;
    }
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;

    return (x > y) - (x < y);
}

typedef void run_bursts(struct bench *bench, uint32_t payload, uint32_t burst, uint32_t count);
static const struct {
    const char *name;
    run_bursts *run;
} kinds[] = {{"floor", floor_bursts}, {"next", ring_bursts}, {"peek", peek_bursts}};

static void measure_time(uint32_t payload, uint32_t burst)
{
    struct bench bench;
    double ns[COUNT(kinds)][ROUNDS];
    uint64_t packets = 0;
    uint32_t count = 64;

    bench_open(&bench, ring_size_for(payload, burst));
    for (;;) {
        double start = now_ns();

        ring_bursts(&bench, payload, burst, count);
        if (now_ns() - start >= ROUND_NS)
            break;
        count *= 2;
    }
    bench.signals = 0;
    for (uint32_t i = 0; i < ROUNDS; i++) {
        for (size_t kind = 0; kind < COUNT(kinds); kind++) {
            double start = now_ns();

            kinds[kind].run(&bench, payload, burst, count);
            ns[kind][i] = (now_ns() - start) / count / burst;
        }
        packets += 2 * (uint64_t)count * burst;
    }
    if (memcmp(source, target, payload) != 0)
        fail("what arrived is not what was sent");
    printf("time %u %u", payload, burst);
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        qsort(ns[kind], ROUNDS, sizeof(ns[kind][0]), by_value);
        printf(" %.3f", ns[kind][ROUNDS / 10]);
    }
    printf(" %.1f\n", (double)bench.signals * 1000 / (double)packets);
    bench_close(&bench);
}

/* A whole number of turns of the ring, so that the cut packets count in their share. */
static void count_instructions(uint32_t payload, uint32_t burst)
{
    struct bench bench;
    uint32_t size = ring_size_for(payload, burst);
    uint32_t count = (uint32_t)(4 * size / ring_packet_size(0, payload) / burst + 1);

    bench_open(&bench, size);
    for (size_t kind = 0; kind < COUNT(kinds); kind++) {
        char name[64];

        kinds[kind].run(&bench, payload, burst, 1); /* binds memcpy */
        snprintf(name, sizeof(name), "%s %u %u %u", kinds[kind].name, payload, burst,
                 count * burst);
        CALLGRIND_ZERO_STATS;
        kinds[kind].run(&bench, payload, burst, count);
        CALLGRIND_DUMP_STATS_AT(name);
    }
    bench_close(&bench);
}

/* ---- two threads ---- */

struct threads {
    struct bench bench;
    _Atomic uint32_t data_event; /* to the reader */
    _Atomic uint32_t room_event; /* to the writer */
    uint32_t data_signals;
    uint32_t room_signals;
};

/* On a processor of its own, before all others if this user may ask for that. */
static void enter_thread(int cpu)
{
    struct sched_param first = {.sched_priority = 1};
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    (void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
    (void)pthread_setschedparam(pthread_self(), SCHED_FIFO, &first);
}

static void signal_event(_Atomic uint32_t *event, uint32_t *counter)
{
    atomic_store_explicit(event, 1, memory_order_release);
    ++*counter;
}

static void wait_event(_Atomic uint32_t *event)
{
    for (uint32_t spins = 0; atomic_load_explicit(event, memory_order_acquire) == 0; spins++) {
        if (spins < 2000)
            __builtin_ia32_pause();
        else
            sched_yield();
    }
    atomic_store_explicit(event, 0, memory_order_relaxed);
}

static void *receive_all(void *argument)
{
    struct threads *threads = argument;
    struct ring_reader *reader = &threads->bench.reader;
    struct ring_packet_in in;
    uint32_t received = 0;

    enter_thread(1);
    while (received < THREAD_PACKETS) {
        wait_event(&threads->data_event);
        do {
            ring_reader_mask(reader);
            for (uint32_t burst = 0;; received++) {
                enum ring_status status = ring_reader_next(reader, target, sizeof(target), &in);

                if (status == RING_EMPTY)
                    break;
                if (status != RING_OK || in.transaction_id != received)
                    fail("a packet came out of turn");
                if (++burst == THREAD_FLUSH) {
                    burst = 0;
                    if (ring_reader_publish(reader))
                        signal_event(&threads->room_event, &threads->room_signals);
                }
            }
            if (ring_reader_publish(reader))
                signal_event(&threads->room_event, &threads->room_signals);
        } while (ring_reader_unmask(reader));
    }
    return NULL;
}

static void *send_all(void *argument)
{
    struct threads *threads = argument;
    struct ring_writer *writer = &threads->bench.writer;
    struct ring_packet_out out = {
        .type = RING_PACKET_DATA_INBAND, .payload = source, .payload_length = THREAD_PAYLOAD};

    enter_thread(0);
    for (uint32_t sent = 0; sent < THREAD_PACKETS;) {
        enum ring_status status;

        out.transaction_id = sent;
        status = ring_writer_put(writer, &out);
        if (status == RING_OK && ++sent % THREAD_FLUSH != 0 && sent != THREAD_PACKETS)
            continue;
        if (ring_writer_commit(writer))
            signal_event(&threads->data_event, &threads->data_signals);
        if (status == RING_FULL) {
            while (ring_writer_arm(writer, ring_packet_size(0, THREAD_PAYLOAD)) == RING_FULL)
                wait_event(&threads->room_event);
            ring_writer_disarm(writer);
        } else if (status != RING_OK) {
            fail("put");
        }
    }
    return NULL;
}

/*
 * The floor of two threads: the same copies at the same places, handed over by one counter each way
 * on a cache line of its own, both ends polling. No ring can be quicker than the bytes travel.
 */
struct handover {
    _Alignas(128) _Atomic uint32_t produced;
    _Alignas(128) _Atomic uint32_t consumed;
    unsigned char *area;
};

static unsigned char *handover_place(struct handover *handover, uint32_t burst)
{
    uint32_t stride = (uint32_t)ring_packet_size(0, THREAD_PAYLOAD) * THREAD_FLUSH;

    return handover->area + burst % (THREAD_RING / stride) * stride + 16;
}

static void *handover_receive(void *argument)
{
    struct handover *handover = argument;

    enter_thread(1);
    for (uint32_t burst = 0; burst < THREAD_PACKETS / THREAD_FLUSH; burst++) {
        unsigned char *at = handover_place(handover, burst);

        while (atomic_load_explicit(&handover->produced, memory_order_acquire) == burst)
            __builtin_ia32_pause();
        for (uint32_t i = 0; i < THREAD_FLUSH; i++) {
            memcpy(target, at, THREAD_PAYLOAD);
            at += ring_packet_size(0, THREAD_PAYLOAD);
            __asm__ volatile("" ::: "memory");
        }
        atomic_store_explicit(&handover->consumed, burst + 1, memory_order_release);
    }
    return NULL;
}

static void *handover_send(void *argument)
{
    struct handover *handover = argument;
    uint32_t room = THREAD_RING / ((uint32_t)ring_packet_size(0, THREAD_PAYLOAD) * THREAD_FLUSH);

    enter_thread(0);
    for (uint32_t burst = 0; burst < THREAD_PACKETS / THREAD_FLUSH; burst++) {
        unsigned char *at = handover_place(handover, burst);

        while (burst - atomic_load_explicit(&handover->consumed, memory_order_acquire) == room)
            __builtin_ia32_pause();
        for (uint32_t i = 0; i < THREAD_FLUSH; i++) {
            memcpy(at, source, THREAD_PAYLOAD);
            at += ring_packet_size(0, THREAD_PAYLOAD);
            __asm__ volatile("" ::: "memory");
        }
        atomic_store_explicit(&handover->produced, burst + 1, memory_order_release);
    }
    return NULL;
}

/* Mpackets/s. */
static double run_pair(void *(*send)(void *), void *(*receive)(void *), void *argument)
{
    pthread_t threads[2];
    double start = now_ns();

    if (pthread_create(&threads[0], NULL, receive, argument) != 0 ||
        pthread_create(&threads[1], NULL, send, argument) != 0)
        fail("thread");
    pthread_join(threads[0], NULL);
    pthread_join(threads[1], NULL);
    return THREAD_PACKETS / (now_ns() - start) * 1e3;
}

static double run_ring(struct threads *threads)
{
    double rate;

    memset(threads, 0, sizeof(*threads));
    bench_open(&threads->bench, THREAD_RING);
    rate = run_pair(send_all, receive_all, threads);
    bench_close(&threads->bench);
    return rate;
}

static double run_handover(void)
{
    static struct handover handover;
    double rate;

    memset(&handover, 0, sizeof(handover));
    handover.area = aligned_alloc(RING_PAGE_SIZE, THREAD_RING);
    if (handover.area == NULL)
        fail("no memory");
    memset(handover.area, 0, THREAD_RING);
    rate = run_pair(handover_send, handover_receive, &handover);
    free(handover.area);
    return rate;
}

static void measure_threads(void)
{
    static struct threads threads;
    double ring[THREAD_ROUNDS];
    double floor[THREAD_ROUNDS];
    uint64_t data_signals = 0;
    uint64_t room_signals = 0;

    for (uint32_t i = 0; i < THREAD_ROUNDS; i++) {
        ring[i] = run_ring(&threads);
        floor[i] = run_handover();
        data_signals += threads.data_signals;
        room_signals += threads.room_signals;
    }
    qsort(ring, THREAD_ROUNDS, sizeof(ring[0]), by_value);
    qsort(floor, THREAD_ROUNDS, sizeof(floor[0]), by_value);
    printf("threads %.2f %.2f %.1f %.1f\n", ring[THREAD_ROUNDS / 2], floor[THREAD_ROUNDS / 2],
           (double)data_signals * 1000 / THREAD_PACKETS / THREAD_ROUNDS,
           (double)room_signals * 1000 / THREAD_PACKETS / THREAD_ROUNDS);
}

int main(int argc, char **argv)
{
    const char *what = argc > 1 ? argv[1] : "";

    for (uint32_t i = 0; i < LARGEST; i++)
        source[i] = (unsigned char)(i * 7 + 1);
    if (strcmp(what, "threads") == 0) {
        measure_threads();
        return 0;
    }
    for (size_t p = 0; p < COUNT(payloads); p++) {
        for (size_t b = 0; b < COUNT(bursts); b++) {
            if (strcmp(what, "time") == 0)
                measure_time(payloads[p], bursts[b]);
            else if (strcmp(what, "count") == 0)
                count_instructions(payloads[p], bursts[b]);
            else
                fail("usage: ring_bench time | count | threads");
        }
    }
    return 0;
}
