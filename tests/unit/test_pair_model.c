/* SPDX-License-Identifier: MIT */
/*
 * Random histories of a client and a server: packets of every kind (tests/unit/pair/traffic.h),
 * while channels are paused, started, closed, taken back and offered again, quotas and levels
 * change, memory is shared and given back, and the bus ends and begins. Nothing is lost while the
 * channel stays open; nothing leaks. PAIR_OPERATIONS in the environment: how many (make soak),
 * PAIR_SEED: another history.
 */

#include <stdlib.h>
#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/pair/traffic.h"

#define OPERATIONS  100000u
#define GPADLS      5u
#define GPADL_PAGES 3u

static unsigned long long open_operations; /* done while packets could flow both ways */
static unsigned full_rings;

/* ---- shared memory ---- */

static struct {
    UINT8 *pages;
    UINT32 handle; /* 0: none */
    bool mapped;
} gpadls[GPADLS];

static void drop_gpadl(unsigned i)
{
    const UINT32 handle = gpadls[i].handle;

    if (gpadls[i].mapped) {
        gpadls[i].mapped = false;
        VmbChannelUnmapGpadl(server.channel, handle);
    }
    if (handle != 0) {
        gpadls[i].handle = 0;
        VmbChannelDeleteGpadl(client.channel, handle);
    }
}

static void drop_gpadls(void)
{
    for (unsigned i = 0; i < GPADLS; i++) {
        drop_gpadl(i);
    }
}

static NTSTATUS create_gpadl(unsigned i)
{
    _Alignas(8) UINT8 room[2][sizeof(MDL) + (GPADL_PAGES + 1) * sizeof(PFN_NUMBER)];
    PMDL first = (PMDL)(void *)room[0];
    PMDL second = (PMDL)(void *)room[1];

    if (draw(2) == 0) {
        return VmbChannelCreateGpadlFromBuffer(client.channel, 0, gpadls[i].pages,
                                               GPADL_PAGES * PAGE_SIZE, &gpadls[i].handle);
    }
    /* The first two bytes, and a piece behind them. */
    MmInitializeMdl(first, gpadls[i].pages, 2);
    MmInitializeMdl(second, gpadls[i].pages + 2, GPADL_PAGES * PAGE_SIZE - 2);
    MmBuildMdlForNonPagedPool(first);
    MmBuildMdlForNonPagedPool(second);
    first->Next = second;
    return VmbChannelCreateGpadlFromMdl(client.channel, VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY, first,
                                        draw(2), draw(2) * (3 + draw(PAGE_SIZE)),
                                        &gpadls[i].handle);
}

static bool is_open(void)
{
    return strcmp(KmclChannelStateName(client.channel), "active") == 0 &&
           strcmp(KmclChannelStateName(server.channel), "active") == 0;
}

static void use_gpadl(void)
{
    const unsigned i = draw(GPADLS);
    PMDL mdl;

    if (!is_open()) {
        return;
    }
    if (gpadls[i].handle == 0) {
        memset(gpadls[i].pages, (int)draw(256), GPADL_PAGES * PAGE_SIZE);
        assert_int_equal(create_gpadl(i), STATUS_SUCCESS);
    } else if (!gpadls[i].mapped) {
        assert_int_equal(VmbChannelMapGpadl(server.channel, 0, gpadls[i].handle, &mdl),
                         STATUS_SUCCESS);
        for (; mdl != NULL; mdl = mdl->Next) {
            const UINT8 *bytes = MmGetSystemAddressForMdlSafe(mdl, 0);
            assert_int_equal(bytes[0], gpadls[i].pages[0]);
            assert_int_equal(bytes[MmGetMdlByteCount(mdl) - 1], gpadls[i].pages[0]);
        }
        gpadls[i].mapped = true;
    } else {
        drop_gpadl(i);
    }
}

/* ---- operations ---- */

static void pause_or_start(struct side *side)
{
    if (side->paused) {
        VmbChannelStart(side->end->channel);
    } else {
        traffic_complete_all();
        VmbChannelPause(side->end->channel);
        traffic_may_keep = true;
    }
    side->paused = !side->paused;
}

static bool is_disabled(const struct side *side)
{
    return strcmp(KmclChannelStateName(side->end->channel), "disabled") == 0;
}

/* Enables what is disabled, the other way round: the server's is a rescind, and a new offer. */
static void toggle(struct side *side)
{
    VMBCHANNEL channel = side->end->channel;

    if (is_disabled(side)) {
        assert_int_equal(VmbChannelEnable(channel), STATUS_SUCCESS);
        if (side == &sides[1] && !side->paused) {
            VmbChannelStart(channel);
        }
        return;
    }
    traffic_complete_all();
    drop_gpadls();
    VmbChannelDisable(channel);
    settle();
    traffic_may_keep = true;
    if (side == &sides[1]) {
        side->paused = false;
    }
}

static void end_bus(void)
{
    traffic_complete_all();
    drop_gpadls();
    (void)vmbus_disconnect();
    settle();
    traffic_may_keep = true;
    assert_true(is_disabled(&sides[0]) ||
                strcmp(KmclChannelStateName(client.channel), "waiting for an offer") == 0);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
}

static void operate(void)
{
    struct side *side = &sides[draw(2)];
    const UINT32 what = draw(10000);

    if (what < 6000) {
        traffic_send(side);
    } else if (what < 8000) {
        traffic_complete_one(side);
    } else if (what < 9000) {
        (void)test_host_step();
    } else if (what < 9500) {
        settle();
    } else if (what < 9600) {
        VmbChannelSetTransactionQuota(side->end->channel, 1 + draw(20));
    } else if (what < 9700) {
        VmbChannelSetIncomingProcessingAtPassive(side->end->channel, (BOOLEAN)draw(2));
    } else if (what < 9800) {
        use_gpadl();
    } else if (what < 9850) {
        traffic_ask();
    } else if (what < 9920) {
        if (side->paused || what < 9870) {
            pause_or_start(side);
        }
    } else if (what < 9999) {
        settle();
        if (is_disabled(side) || what >= 9990) {
            toggle(side);
        }
    } else if (draw(10) == 0) {
        end_bus();
    }
    open_operations += is_open();
}

/* Both open and running, until nothing is under way. */
static void come_to_rest(void)
{
    traffic_complete_all();
    for (unsigned i = 0; i < 2; i++) {
        VmbChannelSetTransactionQuota(sides[i].end->channel, 1000);
        if (is_disabled(&sides[1 - i])) {
            toggle(&sides[1 - i]);
        }
    }
    traffic_may_keep = false;
    if (sides[0].failed || sides[1].failed) {
        toggle(&sides[0]);
        traffic_may_keep = false;
        toggle(&sides[0]);
    }
    for (unsigned i = 0; i < 2; i++) {
        VmbChannelStart(sides[i].end->channel);
        sides[i].paused = false;
    }
    settle();
    if (!is_open()) { /* the client lost the offer while it was disabled here */
        toggle(&sides[0]);
        settle();
    }
    settle();
    assert_true(is_open());
    traffic_may_keep = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sides[i].ended, sides[i].sent);
    }
}

static UINT64 queued(const struct side *side)
{
    KMCL_CHANNEL_STATISTICS statistics;

    KmclChannelGetStatistics(side->end->channel, &statistics);
    return statistics.PacketsQueued;
}

/* With the channel open all the time nothing may be lost. */
static void expect_no_loss(void)
{
    const UINT64 queued_before = queued(&sides[0]) + queued(&sides[1]);
    UINT64 before[2];

    for (unsigned i = 0; i < 2; i++) {
        sides[i].arrived = 0;
        before[i] = sides[i].sent;
        sides[i].empty_sent = 0;
        sides[i].empty_arrived = 0;
    }
    traffic_may_keep = false; /* nor fail any */
    for (unsigned i = 0; i < 200; i++) {
        traffic_send(&sides[draw(2)]);
        if (draw(20) == 0) {
            (void)test_host_step();
        }
    }
    settle();
    traffic_may_keep = true;
    full_rings += queued(&sides[0]) + queued(&sides[1]) > queued_before;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sides[i].arrived + sides[i].empty_arrived, sides[i].sent - before[i]);
        assert_int_equal(sides[i].empty_arrived, sides[i].empty_sent);
    }
}

static unsigned long long operations(void)
{
    const char *count = getenv("PAIR_OPERATIONS");

    return count != NULL ? strtoull(count, NULL, 10) : OPERATIONS;
}

static void play(bool is_pipe, unsigned long long count)
{
    const char *start = getenv("PAIR_SEED");

    draw_from(start != NULL ? (UINT32)strtoul(start, NULL, 10) : 1);
    memset(gpadls, 0, sizeof(gpadls));
    for (unsigned i = 0; i < GPADLS; i++) {
        gpadls[i].pages = pages_allocate(GPADL_PAGES);
    }
    open_operations = 0;
    full_rings = 0;
    pair_make(&server, TRUE);
    if (is_pipe) {
        assert_int_equal(VmbServerChannelInitSetFlags(server.channel,
                                                      VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE),
                         STATUS_SUCCESS);
    }
    traffic_begin(is_pipe);
    pair_start();
    for (unsigned long long i = 1; i <= count; i++) {
        operate();
        client.trace[0] = '\0';
        server.trace[0] = '\0';
        if (i % 5000 == 0 || i == count) {
            come_to_rest();
            expect_no_loss();
            loopback_log_clear();
        }
    }
    traffic_complete_all();
    drop_gpadls();
    traffic_end();
    for (unsigned i = 0; i < GPADLS; i++) {
        pages_free(gpadls[i].pages, GPADL_PAGES);
    }
    assert_true(open_operations > count / 4);
    assert_true(sides[0].sent > count / 10 && sides[1].sent > count / 10);
    assert_true(full_rings > 0);
}

static void random_histories_agree_with_the_model(void **state)
{
    (void)state;
    play(false, operations());
    for (unsigned kind = 0; kind < 11; kind++) {
        assert_true(traffic_kinds[kind] > 10);
    }
}

static void random_histories_of_a_pipe_agree_with_the_model(void **state)
{
    (void)state;
    play(true, operations() / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(random_histories_agree_with_the_model),
        pair_test(random_histories_of_a_pipe_agree_with_the_model),
    };
    return cmocka_run_group_tests_name("pair, model", tests, NULL, NULL);
}
