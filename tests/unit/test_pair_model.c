/* SPDX-License-Identifier: MIT */
/*
 * Random histories of a client and a server against a small model. Every packet ends exactly once;
 * what arrives is what was sent, in that order; what asked for an answer and ended well was
 * answered; nothing is lost while the channel stays open; nothing leaks. PAIR_OPERATIONS in the
 * environment: how many (make soak), PAIR_SEED: another history.
 */

#include <stdlib.h>
#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/pair/pair.h"

#define OPERATIONS  40000u
#define UNDER_WAY   400u /* at most, of one end */
#define KEPT        64u
#define HEADER      24u
#define GPADL_PAGES 4u

static UINT32 seed;

static UINT32 draw(UINT32 limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

/* ---- the model ---- */

/* One direction, by its sender. */
struct side {
    struct end *end;
    UINT64 sent;      /* numbers from 1 */
    UINT64 ended;     /* how many */
    UINT64 delivered; /* the last that arrived */
    UINT64 arrived;   /* how many, since somebody began to count */
    struct {
        UINT64 number;
        UINT8 waits;
        UINT8 answered;
        UINT8 used;
    } under_way[UNDER_WAY];
    VMBPACKETCOMPLETION kept[KEPT]; /* of the other side's packets, at this one */
    UINT64 kept_numbers[KEPT];
    UINT32 kept_count;
    bool paused;
};

static struct side sides[2]; /* the client's, the server's */
static bool may_keep;
static UINT8 *gpadl_pages;
static UINT32 gpadl;
static bool gpadl_is_mapped;
static UINT8 *external_page;
static unsigned long long open_operations; /* done while packets could flow both ways */

struct payload {
    UINT64 number;
    UINT32 length;
    UINT32 is_external;
    UINT64 sum;
};
_Static_assert(sizeof(struct payload) == HEADER, "payload");

static struct side *side_of(VMBCHANNEL channel)
{
    return &sides[VmbChannelGetPointer(channel) == &client ? 0 : 1];
}

static struct side *other(struct side *side)
{
    return &sides[side == &sides[0] ? 1 : 0];
}

static UINT32 slot_of(struct side *side, UINT64 number)
{
    UINT32 slot = 0;

    while (!side->under_way[slot].used || side->under_way[slot].number != number) {
        slot++;
        assert_true(slot < UNDER_WAY);
    }
    return slot;
}

static VOID ended(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct side *side = side_of(VmbPacketGetChannel(packet));
    const UINT64 number = (uintptr_t)VmbPacketGetPointer(packet);
    const UINT32 slot = slot_of(side, number);
    UINT64 answer;

    assert_true(status == STATUS_SUCCESS || status == STATUS_DEVICE_REMOVED);
    if (status == STATUS_SUCCESS && side->under_way[slot].waits) {
        assert_true(side->under_way[slot].answered);
        assert_int_equal(length, 8);
        memcpy(&answer, buffer, sizeof(answer));
        assert_int_equal(answer, ~number);
    } else {
        assert_int_equal(length, 0);
    }
    side->under_way[slot].used = 0;
    side->ended++;
    VmbPacketFree(packet);
}

/* ---- what the drivers do with a packet ---- */

static void complete(struct side *sender, VMBPACKETCOMPLETION packet, UINT64 number)
{
    UINT64 answer = ~number;

    for (UINT32 i = 0; i < UNDER_WAY; i++) {
        if (sender->under_way[i].used && sender->under_way[i].number == number) {
            sender->under_way[i].answered = 1;
        }
    }
    VmbChannelPacketComplete(packet, &answer, sizeof(answer));
}

static void complete_kept(struct side *side, UINT32 i)
{
    VMBPACKETCOMPLETION packet = side->kept[i];
    const UINT64 number = side->kept_numbers[i];

    side->kept_count--;
    side->kept[i] = side->kept[side->kept_count];
    side->kept_numbers[i] = side->kept_numbers[side->kept_count];
    complete(other(side), packet, number);
}

static void arrived(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                    UINT32 flags)
{
    struct side *side = side_of(end->channel);
    struct side *sender = other(side);
    struct payload payload;
    UINT64 sum = 0;

    if (end->level == IRQL_DISPATCH && draw(50) == 0) {
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    memcpy(&payload, buffer, sizeof(payload));
    assert_int_equal((payload.length + 7) & ~7u, length);
    for (UINT32 i = HEADER; i < payload.length; i++) {
        sum += ((UINT8 *)buffer)[i];
    }
    assert_int_equal(payload.sum, sum);
    assert_true(payload.number > sender->delivered && payload.number <= sender->sent);
    sender->delivered = payload.number;
    assert_int_equal(flags, payload.is_external);
    if (payload.is_external) {
        PMDL mdl;
        assert_int_equal(VmbChannelPacketGetExternalData(packet, 0, &mdl), STATUS_SUCCESS);
        assert_int_equal(MmGetMdlByteCount(mdl), PAGE_SIZE);
        assert_int_equal(*(UINT8 *)MmGetSystemAddressForMdlSafe(mdl, 0), 0x77);
    }
    sender->arrived++;
    if (may_keep && side->kept_count < KEPT && draw(3) == 0) {
        side->kept[side->kept_count] = packet;
        side->kept_numbers[side->kept_count++] = payload.number;
        return;
    }
    complete(sender, packet, payload.number);
}

/* ---- operations ---- */

static void send_one(struct side *side)
{
    UINT8 bytes[1024];
    struct payload payload = {.number = side->sent + 1};
    UINT32 slot = 0;
    NTSTATUS status;

    while (slot < UNDER_WAY && side->under_way[slot].used) {
        slot++;
    }
    if (slot == UNDER_WAY) {
        return;
    }
    payload.length = HEADER + (draw(3) == 0 ? draw(1000) : draw(64));
    payload.is_external = side == &sides[0] && draw(8) == 0;
    for (UINT32 i = HEADER; i < payload.length; i++) {
        bytes[i] = (UINT8)draw(256);
        payload.sum += bytes[i];
    }
    memcpy(bytes, &payload, sizeof(payload));
    const UINT32 flags = payload.is_external || draw(2) == 0 ? WAIT : 0;
    VMBPACKET packet = VmbPacketAllocate(side->end->channel);
    assert_non_null(packet);
    VmbPacketSetPointer(packet, (void *)(uintptr_t)payload.number);
    VmbPacketSetCompletionRoutine(packet, ended);
    side->under_way[slot].used = 1;
    side->under_way[slot].number = payload.number;
    side->under_way[slot].waits = flags != 0;
    side->under_way[slot].answered = 0;
    side->sent++;
    if (payload.is_external) {
        PFN_NUMBER frame = page_frame_of(external_page);
        status = VmbPacketSendWithExternalPfns(packet, bytes, payload.length, &frame, 1, flags);
    } else {
        status = VmbPacketSend(packet, bytes, payload.length, NULL, flags);
    }
    assert_int_equal(status, STATUS_SUCCESS);
}

/* So that nobody waits for a packet that one of us has. */
static void complete_all(void)
{
    may_keep = false;
    while (sides[0].kept_count > 0) {
        complete_kept(&sides[0], 0);
    }
    while (sides[1].kept_count > 0) {
        complete_kept(&sides[1], 0);
    }
}

static void drop_gpadl(void)
{
    if (gpadl_is_mapped) {
        VmbChannelUnmapGpadl(server.channel, gpadl);
        gpadl_is_mapped = false;
    }
    if (gpadl != 0) {
        VmbChannelDeleteGpadl(client.channel, gpadl);
        gpadl = 0;
    }
}

static bool is_open(void)
{
    return strcmp(KmclChannelStateName(client.channel), "active") == 0 &&
           strcmp(KmclChannelStateName(server.channel), "active") == 0;
}

static void use_gpadl(void)
{
    PMDL mdl;

    if (!is_open()) {
        return;
    }
    if (gpadl == 0) {
        gpadl_pages[0] = (UINT8)draw(256);
        assert_int_equal(VmbChannelCreateGpadlFromBuffer(client.channel, 0, gpadl_pages,
                                                         GPADL_PAGES * PAGE_SIZE, &gpadl),
                         STATUS_SUCCESS);
    } else if (!gpadl_is_mapped) {
        assert_int_equal(VmbChannelMapGpadl(server.channel, 0, gpadl, &mdl), STATUS_SUCCESS);
        assert_int_equal(*(UINT8 *)MmGetSystemAddressForMdlSafe(mdl, 0), gpadl_pages[0]);
        gpadl_is_mapped = true;
    } else {
        drop_gpadl();
    }
}

static void pause_or_start(struct side *side)
{
    if (side->paused) {
        VmbChannelStart(side->end->channel);
    } else {
        complete_all();
        VmbChannelPause(side->end->channel);
        may_keep = true;
    }
    side->paused = !side->paused;
}

static void toggle(unsigned i)
{
    VMBCHANNEL channel = sides[i].end->channel;

    if (strcmp(KmclChannelStateName(channel), "disabled") == 0) {
        assert_int_equal(VmbChannelEnable(channel), STATUS_SUCCESS);
        if (i == 1 && !sides[1].paused) {
            VmbChannelStart(channel);
        }
    } else {
        complete_all();
        drop_gpadl();
        VmbChannelDisable(channel);
        settle();
        may_keep = true;
        if (i == 1) {
            sides[1].paused = false;
        }
    }
}

static void operate(void)
{
    struct side *side = &sides[draw(2)];
    const UINT32 what = draw(1000);

    if (what < 600) {
        send_one(side);
    } else if (what < 800) {
        if (side->kept_count > 0) {
            complete_kept(side, draw(side->kept_count));
        }
    } else if (what < 900) {
        (void)test_host_step();
    } else if (what < 950) {
        settle();
    } else if (what < 960) {
        VmbChannelSetTransactionQuota(side->end->channel, 1 + draw(20));
    } else if (what < 970) {
        VmbChannelSetIncomingProcessingAtPassive(side->end->channel, (BOOLEAN)draw(2));
    } else if (what < 980) {
        use_gpadl();
    } else if (what < 990) {
        if (side->paused || what < 983) {
            pause_or_start(side);
        }
    } else {
        const unsigned i = draw(2);
        settle();
        if (strcmp(KmclChannelStateName(sides[i].end->channel), "disabled") == 0 || what == 999) {
            toggle(i);
        }
    }
    open_operations += is_open();
}

/* Both open and running, until nothing is under way. */
static void come_to_rest(void)
{
    complete_all();
    for (unsigned i = 0; i < 2; i++) {
        VmbChannelSetTransactionQuota(sides[i].end->channel, 1000);
        if (strcmp(KmclChannelStateName(sides[1 - i].end->channel), "disabled") == 0) {
            toggle(1 - i);
        }
    }
    for (unsigned i = 0; i < 2; i++) {
        VmbChannelStart(sides[i].end->channel);
        sides[i].paused = false;
    }
    settle();
    if (!is_open()) { /* the client lost the offer while it was disabled here */
        toggle(0);
        settle();
    }
    settle();
    assert_true(is_open());
    may_keep = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sides[i].ended, sides[i].sent);
    }
}

/* With the channel open all the time nothing may be lost. */
static void expect_no_loss(void)
{
    for (unsigned i = 0; i < 2; i++) {
        sides[i].arrived = 0;
    }
    const UINT64 before[2] = {sides[0].sent, sides[1].sent};
    for (unsigned i = 0; i < 200; i++) {
        send_one(&sides[draw(2)]);
        if (draw(4) == 0) {
            (void)test_host_step();
        }
    }
    complete_all();
    settle();
    complete_all();
    settle();
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(sides[i].arrived, sides[i].sent - before[i]);
    }
    may_keep = true;
}

static void random_histories_agree_with_the_model(void **state)
{
    const char *count = getenv("PAIR_OPERATIONS");
    const char *start = getenv("PAIR_SEED");
    const unsigned long long operations = count != NULL ? strtoull(count, NULL, 10) : OPERATIONS;

    (void)state;
    seed = start != NULL ? (UINT32)strtoul(start, NULL, 10) : 1;
    memset(sides, 0, sizeof(sides));
    sides[0].end = &client;
    sides[1].end = &server;
    gpadl_pages = pages_allocate(GPADL_PAGES);
    external_page = pages_allocate(1);
    external_page[0] = 0x77;
    client.on_packet = arrived;
    server.on_packet = arrived;
    may_keep = true;
    open_operations = 0;
    pair_start();
    for (unsigned long long i = 1; i <= operations; i++) {
        operate();
        client.trace[0] = '\0';
        server.trace[0] = '\0';
        if (i % 5000 == 0 || i == operations) {
            come_to_rest();
            expect_no_loss();
            loopback_log_clear();
        }
    }
    complete_all();
    drop_gpadl();
    pages_free(gpadl_pages, GPADL_PAGES);
    pages_free(external_page, 1);
    assert_true(open_operations > operations / 4);
    assert_true(sides[0].sent > operations / 10 && sides[1].sent > operations / 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {pair_test(random_histories_agree_with_the_model)};
    return cmocka_run_group_tests_name("pair, model", tests, NULL, NULL);
}
