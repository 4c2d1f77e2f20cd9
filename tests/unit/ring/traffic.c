/* SPDX-License-Identifier: MIT */
#define _GNU_SOURCE
#include "tests/unit/ring/traffic.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "vmbus/ring.h"

#define LONGER_THAN_ANYTHING 20 /* seconds */

/* An event as the bus has it: one bit; set twice is set once. */
struct event {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool set;
};

static struct {
    struct ring_writer writer;
    struct ring_reader reader;
    struct event data;
    struct event room;
    uint32_t packets;
    uint64_t seed;
    _Atomic(const char *) wrong;
} run;

static void event_initialise(struct event *event)
{
    pthread_mutex_init(&event->lock, NULL);
    pthread_cond_init(&event->changed, NULL);
    event->set = false;
}

static void event_signal(struct event *event)
{
    pthread_mutex_lock(&event->lock);
    event->set = true;
    pthread_cond_signal(&event->changed);
    pthread_mutex_unlock(&event->lock);
}

static bool event_wait(struct event *event)
{
    struct timespec until;
    int error = 0;
    bool set;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LONGER_THAN_ANYTHING;
    pthread_mutex_lock(&event->lock);
    while (!event->set && error == 0)
        error = pthread_cond_timedwait(&event->changed, &event->lock, &until);
    set = event->set;
    event->set = false;
    pthread_mutex_unlock(&event->lock);
    return set;
}

static uint64_t next_random(uint64_t *state)
{
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

static uint32_t length_of(uint64_t *state)
{
    return (uint32_t)(next_random(state) % (next_random(state) % 4 == 0 ? 1500 : 64));
}

static void *send_all(void *nothing)
{
    unsigned char payload[1500];
    uint64_t lengths = run.seed;
    uint64_t bursts = run.seed + 1;
    uint32_t left_in_burst = 0;

    (void)nothing;
    for (uint32_t id = 0; id < run.packets && run.wrong == NULL; id++) {
        struct ring_packet_out out = {.type = RING_PACKET_DATA_INBAND,
                                      .transaction_id = id,
                                      .payload = payload,
                                      .payload_length = length_of(&lengths)};

        memset(payload, (int)id, out.payload_length);
        for (;;) {
            enum ring_status status = ring_writer_put(&run.writer, &out);

            if (status == RING_OK)
                break;
            if (status != RING_FULL)
                run.wrong = "put failed";
            if (ring_writer_commit(&run.writer))
                event_signal(&run.data);
            status = ring_writer_arm(&run.writer, ring_packet_size(0, out.payload_length));
            if (status == RING_FULL && !event_wait(&run.room))
                run.wrong = "the sender was never woken";
            if (run.wrong != NULL)
                return NULL;
        }
        ring_writer_disarm(&run.writer);
        if (left_in_burst-- == 0 || id + 1 == run.packets) {
            left_in_burst = (uint32_t)next_random(&bursts) % 12;
            if (ring_writer_commit(&run.writer))
                event_signal(&run.data);
        }
    }
    return NULL;
}

static bool check(uint32_t id, uint32_t length, const struct ring_packet_in *in,
                  const unsigned char *buffer)
{
    if (in->transaction_id != id || in->payload_length != ((length + 7) & ~7u))
        return false;
    for (uint32_t i = 0; i < in->payload_length; i++) {
        if (buffer[i] != (i < length ? (unsigned char)id : 0))
            return false;
    }
    return true;
}

static void *receive_all(void *nothing)
{
    unsigned char buffer[1504];
    uint64_t lengths = run.seed;
    uint64_t bursts = run.seed + 2;
    uint32_t id = 0;

    (void)nothing;
    while (id < run.packets && run.wrong == NULL) {
        if (!event_wait(&run.data))
            run.wrong = "the receiver was never woken";
        if (run.wrong != NULL)
            return NULL;
        do {
            struct ring_packet_in in;
            enum ring_status status;

            ring_reader_mask(&run.reader);
            while ((status = ring_reader_next(&run.reader, buffer, sizeof(buffer), &in)) ==
                   RING_OK) {
                if (!check(id, length_of(&lengths), &in, buffer))
                    run.wrong = "a packet is not what was sent";
                id++;
                if (next_random(&bursts) % 8 == 0 && ring_reader_publish(&run.reader))
                    event_signal(&run.room);
            }
            if (status != RING_EMPTY)
                run.wrong = "next failed";
            if (ring_reader_publish(&run.reader))
                event_signal(&run.room);
        } while (run.wrong == NULL && ring_reader_unmask(&run.reader));
    }
    return NULL;
}

const char *ring_traffic(uint32_t pages, uint32_t packets, uint64_t seed)
{
    unsigned char *memory = aligned_alloc(RING_PAGE_SIZE, (1 + (size_t)pages) * RING_PAGE_SIZE);
    struct ring_control *control = (struct ring_control *)(void *)memory;
    pthread_t sender;
    pthread_t receiver;

    memset(memory, 0, (1 + (size_t)pages) * RING_PAGE_SIZE);
    memset(&run, 0, sizeof(run));
    run.packets = packets;
    run.seed = seed;
    event_initialise(&run.data);
    event_initialise(&run.room);
    if (ring_writer_attach(&run.writer, control, memory + RING_PAGE_SIZE, pages * RING_PAGE_SIZE) !=
            RING_OK ||
        ring_reader_attach(&run.reader, control, memory + RING_PAGE_SIZE, pages * RING_PAGE_SIZE) !=
            RING_OK ||
        pthread_create(&receiver, NULL, receive_all, NULL) != 0 ||
        pthread_create(&sender, NULL, send_all, NULL) != 0)
        return "no start";
    pthread_join(sender, NULL);
    pthread_join(receiver, NULL);
    free(memory);
    return run.wrong;
}
