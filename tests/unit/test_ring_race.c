/* SPDX-License-Identifier: MIT */
/* Two real processors at the two ends. */

#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>

#include "tests/unit/ring/fixture.h"
#include "tests/unit/ring/traffic.h"

#define ROUNDS   400000u
#define LIMIT_NS 1500000000ull
#define ENOUGH   2000u /* rounds, on a machine too busy for more */

static void all_packets_arrive_and_nobody_is_left_asleep(void **state)
{
    uint64_t seed = test_seed();
    const uint32_t pages[] = {1, 3, 16};

    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        const char *wrong = ring_traffic(pages[i], 40000, seed + i);

        if (wrong != NULL)
            fail_msg("%u pages: %s", pages[i], wrong);
    }
}

/*
 * Museum: without a full barrier a processor may read the other's word before its own store is
 * seen. One end commits a packet while the other unmasks, at the same moment as nearly as two
 * threads can do it, many times; each time one of them must know. Then the same of publish and arm.
 */
static struct {
    struct test_ring ring;
    _Atomic uint32_t round; /* of the leader */
    _Atomic uint32_t done;  /* by the follower */
    bool of_data;           /* commit against unmask, else publish against arm */
    bool follower_knows;
} race;

static void await(_Atomic uint32_t *word, uint32_t value)
{
    for (uint32_t spins = 0; atomic_load_explicit(word, memory_order_acquire) != value; spins++) {
        if (spins > 2000)
            sched_yield();
    }
}

static void *follow(void *nothing)
{
    (void)nothing;
    for (uint32_t round = 1;; round++) {
        uint32_t now;

        await(&race.round, round);
        now = atomic_load(&race.done);
        if (now == UINT32_MAX - 1)
            return NULL;
        for (volatile uint32_t delay = round * 7 % 32; delay != 0; delay--)
            ;
        if (race.of_data)
            race.follower_knows = ring_reader_unmask(&race.ring.reader);
        else
            race.follower_knows = ring_writer_arm(&race.ring.writer, 4000) == RING_OK;
        atomic_store_explicit(&race.done, round, memory_order_release);
    }
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void run_race(bool of_data)
{
    static const unsigned char payload[4000];
    uint64_t start = now_ns();
    uint32_t lost = 0;
    uint32_t round = 0;
    pthread_t follower;

    memset(&race, 0, sizeof(race));
    race.of_data = of_data;
    test_ring_open(&race.ring, 1);
    assert_int_equal(pthread_create(&follower, NULL, follow, NULL), 0);
    while (round < ROUNDS && (round < ENOUGH || now_ns() - start < LIMIT_NS)) {
        struct ring_packet_out out = {
            .type = 6, .payload = payload, .payload_length = of_data ? 8 : 3000};
        struct ring_packet_in in;
        bool leader_knows;

        /* Where the race starts, set up by this thread alone. */
        assert_int_equal(ring_writer_put(&race.ring.writer, &out), RING_OK);
        if (of_data) {
            ring_reader_mask(&race.ring.reader);
        } else {
            (void)ring_writer_commit(&race.ring.writer);
            assert_int_equal(ring_reader_peek(&race.ring.reader, &in), RING_OK);
            ring_reader_take(&race.ring.reader, &in, NULL, NULL);
        }
        atomic_store_explicit(&race.round, ++round, memory_order_release);
        for (volatile uint32_t delay = round * 5 % 32; delay != 0; delay--)
            ;
        leader_knows = of_data ? ring_writer_commit(&race.ring.writer)
                               : ring_reader_publish(&race.ring.reader);
        await(&race.done, round);
        lost += !leader_knows && !race.follower_knows;
        /* And back to where it started. */
        if (of_data) {
            assert_int_equal(ring_reader_peek(&race.ring.reader, &in), RING_OK);
            ring_reader_take(&race.ring.reader, &in, NULL, NULL);
            (void)ring_reader_publish(&race.ring.reader);
        } else {
            ring_writer_disarm(&race.ring.writer);
        }
    }
    atomic_store(&race.done, UINT32_MAX - 1);
    atomic_store_explicit(&race.round, round + 1, memory_order_release);
    pthread_join(follower, NULL);
    test_ring_close(&race.ring);
    printf("%u rounds\n", round);
    assert_int_equal(lost, 0);
}

static void m3_commit_and_unmask_at_the_same_moment(void **state)
{
    (void)state;
    run_race(true);
}

static void m3_publish_and_arm_at_the_same_moment(void **state)
{
    (void)state;
    run_race(false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(all_packets_arrive_and_nobody_is_left_asleep),
        cmocka_unit_test(m3_commit_and_unmask_at_the_same_moment),
        cmocka_unit_test(m3_publish_and_arm_at_the_same_moment),
    };

    return cmocka_run_group_tests_name("ring race", tests, NULL, NULL);
}
