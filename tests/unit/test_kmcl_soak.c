/* SPDX-License-Identifier: MIT */
/*
 * Random histories of driver and host against a small model: every packet ends exactly once, what
 * reaches the host is in order, every request of the host is completed once if the channel lives,
 * and nothing leaks.
 */

#include <stdlib.h>
#include <string.h>

#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT    VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION
#define STEPS   30000u
#define PACKETS 65536u
#define HELD    64u

static struct driver driver;
static UINT32 seed;

/* What the driver sent, by number. */
static UINT8 ended[PACKETS];
static UINT32 sent;
static UINT32 ends;

/* What is at the host. */
static UINT64 last_seen;           /* number of the last packet that arrived */
static UINT64 unanswered[PACKETS]; /* ids of requests that the host owes a completion */
static UINT32 unanswered_count;

/* What the host sent in this opening. */
static UINT64 host_sent;
static UINT64 host_completed;
static UINT64 delivered_last;
static UINT8 host_wants[PACKETS];
static UINT8 host_got[PACKETS];

static VMBPACKETCOMPLETION held[HELD];
static UINT32 held_count;
static bool may_defer;

static UINT32 draw(UINT32 limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

static VOID packet_ended(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    uintptr_t number = (uintptr_t)VmbPacketGetPointer(packet);

    (void)buffer, (void)length;
    assert_true(status == STATUS_SUCCESS || status == STATUS_DEVICE_REMOVED);
    assert_int_equal(ended[number], 0);
    ended[number] = 1;
    ends++;
    VmbPacketFree(packet);
}

static void send_one(void)
{
    UINT64 words[128] = {sent};
    VMBPACKET packet = VmbPacketAllocate(driver.channel);

    if (sent == PACKETS - 1) {
        VmbPacketFree(packet);
        return;
    }
    VmbPacketSetCompletionRoutine(packet, packet_ended);
    VmbPacketSetPointer(packet, (void *)(uintptr_t)sent);
    sent++;
    assert_int_equal(VmbPacketSend(packet, words, 8 + 8 * draw(120), NULL, draw(2) == 0 ? WAIT : 0),
                     STATUS_SUCCESS);
}

static void complete_held(UINT32 index)
{
    UINT64 words[64] = {0};
    VMBPACKETCOMPLETION packet = held[index];

    held[index] = held[--held_count];
    VmbChannelPacketComplete(packet, words, 8 * draw(64));
}

static void on_packet(struct driver *self, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    UINT64 number;

    (void)self;
    assert_true(length >= 8);
    memcpy(&number, buffer, sizeof(number));
    if (may_defer && irql_current() == IRQL_DISPATCH && draw(8) == 0) {
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    assert_true(number > delivered_last); /* in order, and a deferred one not overtaken */
    delivered_last = number;
    if (draw(4) == 0) {
        send_one();
    }
    if (draw(3) == 0 && held_count < HELD) {
        held[held_count++] = packet;
    } else {
        VmbChannelPacketComplete(packet, NULL, 0);
    }
    if (held_count > 0 && draw(3) == 0) {
        complete_held(draw(held_count));
    }
}

/* A new opening: the host starts over. */
static void on_state(struct driver *self, char letter)
{
    if (letter == 'O') {
        host_sent = 0;
        host_completed = 0;
        delivered_last = 0;
        unanswered_count = 0;
    }
    if (letter == 'U') {
        while (held_count > 0) {
            complete_held(0);
        }
    }
    self->trace[0] = 0;
}

static void host_takes(void)
{
    UINT64 words[256];
    struct ring_packet_in in;

    if (host_get(RELID, words, sizeof(words), &in) != RING_OK) {
        return;
    }
    if (in.type == RING_PACKET_COMPLETION) {
        assert_int_equal(host_wants[in.transaction_id], 1);
        assert_int_equal(host_got[in.transaction_id], 0);
        host_got[in.transaction_id] = 1;
        host_completed++;
        return;
    }
    assert_true(words[0] + 1 > last_seen);
    last_seen = words[0] + 1;
    if (in.flags != 0) {
        unanswered[unanswered_count++] = in.transaction_id;
    }
}

static void host_answers(void)
{
    UINT64 words[64] = {0};
    UINT32 index;

    if (unanswered_count == 0) {
        return;
    }
    index = draw(unanswered_count);
    if (host_put_completion(RELID, unanswered[index], words, 8 * draw(64)) == RING_OK) {
        unanswered[index] = unanswered[--unanswered_count];
    }
}

static void host_sends(void)
{
    UINT64 words[512] = {host_sent + 1};
    bool wants = draw(2) == 0;

    if (host_sent + 1 < PACKETS &&
        host_put_inband(RELID, host_sent + 1, wants, words,
                        draw(20) == 0 ? 3000 : 8 + 8 * draw(60)) == RING_OK) {
        host_sent++;
        host_wants[host_sent] = wants;
        host_got[host_sent] = 0;
    }
}

static void enable(void)
{
    if (strcmp(KmclChannelStateName(driver.channel), "disabled") == 0) {
        assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    }
}

static void one_step(void)
{
    bool is_open = host_is_open(RELID);
    UINT32 pick = draw(1000);

    if (pick < 250) {
        send_one();
    } else if (pick < 450 && is_open) {
        host_takes();
    } else if (pick < 550 && is_open) {
        host_answers();
    } else if (pick < 700 && is_open) {
        host_sends();
    } else if (pick < 800) {
        (void)test_host_step();
    } else if (pick < 880) {
        settle();
    } else if (pick < 940 && held_count > 0) {
        complete_held(draw(held_count));
    } else if (pick < 955) {
        VmbChannelSetTransactionQuota(driver.channel, 1 + draw(20));
    } else if (pick < 965) {
        VmbChannelSetIncomingProcessingAtPassive(driver.channel, (BOOLEAN)draw(2));
    } else if (pick < 972) {
        VmbChannelPause(driver.channel);
    } else if (pick < 985) {
        VmbChannelStart(driver.channel);
    } else if (pick < 988) {
        VmbChannelDisable(driver.channel);
    } else if (pick == 988) {
        host_rescind(RELID);
        settle();
        VmbChannelDisable(driver.channel);
        settle();
        struct host_offer offer = host_plain_offer(RELID);
        host_add(&offer);
    } else if (pick == 989 && is_open) {
        /* Now and then the host loses its senses. */
        host_set_write_index(RELID, 5);
        settle();
    } else {
        enable();
    }
}

static void run(UINT32 start)
{
    struct host_offer offer = host_plain_offer(RELID);

    seed = start;
    memset(ended, 0, sizeof(ended));
    sent = 0;
    ends = 0;
    last_seen = 0;
    held_count = 0;
    may_defer = start % 2 == 0;
    memset(&driver, 0, sizeof(driver));
    driver_make(&driver);
    driver.on_packet = on_packet;
    driver.on_state = on_state;
    host_add(&offer);
    vmbus_test_connect();
    enable();
    for (UINT32 step = 0; step < STEPS; step++) {
        one_step();
        driver.kept_count = 0;
    }

    /* Whatever is still under way comes to its end. */
    VmbChannelStart(driver.channel);
    enable();
    VmbChannelSetTransactionQuota(driver.channel, 1000);
    VmbChannelStart(driver.channel);
    settle();
    assert_true(host_is_open(RELID));
    for (UINT32 i = 0; i < 100000 && (ends < sent || host_completed < host_sent); i++) {
        host_takes();
        host_answers();
        while (held_count > 0) {
            complete_held(0);
        }
        settle();
        if (i > 2000 && ends == sent && !host_has_packet() && held_count == 0) {
            break;
        }
    }
    assert_int_equal(ends, sent);
    assert_int_equal(delivered_last, host_sent);
    for (UINT64 id = 1; id <= host_sent; id++) {
        assert_int_equal(host_got[id], host_wants[id]);
    }
    assert_true(sent > STEPS / 8);
    driver_end(&driver);
}

static void a_random_history_ends_each_packet_once(void **state)
{
    (void)state;
    for (UINT32 i = 1; i <= 60; i++) {
        run(i);
        (void)vmbus_disconnect();
        host_reset();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(a_random_history_ends_each_packet_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
