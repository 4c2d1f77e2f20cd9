/* SPDX-License-Identifier: MIT */
#include "tests/unit/pair/traffic.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/pages.h"

#define HEADER 32u

enum kind {
    KIND_EMPTY,
    KIND_PLAIN,
    KIND_PFNS,     /* whole pages */
    KIND_MDL,      /* a chain, all of it */
    KIND_WINDOW,   /* a part of a chain */
    KIND_FORCED,   /* behind the end of an MDL */
    KIND_TRANSFER, /* ranges of shared memory */
    KIND_OWN,      /* in a packet object of the driver's memory */
    KIND_TOO_LARGE,
    KIND_ASK,  /* waited for */
    KIND_TELL, /* now or not at all */
};

struct side sides[2];
bool traffic_may_keep;
bool traffic_is_pipe;
unsigned traffic_kinds[16];

static UINT8 *external; /* the client's memory of packets; byte i is (UINT8)(i * 7) */
/* ---- the model ---- */

struct payload {
    UINT64 number;
    UINT32 length;
    UINT32 kind;
    UINT64 sum;          /* of the bytes behind this */
    UINT32 start;        /* of the memory that comes with it, */
    UINT32 memory_bytes; /* so much */
};
_Static_assert(sizeof(struct payload) == HEADER, "payload");

static struct side *side_of(VMBCHANNEL channel)
{
    return &sides[VmbChannelGetPointer(channel) == &client ? 0 : 1];
}

struct side *other_side(struct side *side)
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

/* UNDER_WAY: none. */
static UINT32 free_slot(const struct side *side)
{
    UINT32 slot = 0;

    while (slot < UNDER_WAY && side->under_way[slot].used) {
        slot++;
    }
    return slot;
}

static void has_ended(struct side *side, UINT64 number, NTSTATUS status, const void *buffer,
                      UINT32 length)
{
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
}

static VOID ended(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    const UINT64 number = (uintptr_t)VmbPacketGetPointer(packet);

    has_ended(side_of(VmbPacketGetChannel(packet)), number, status, buffer, length);
    VmbPacketFree(packet);
}

/* ---- packet objects in memory of the driver's ---- */

#define OWN 8u
static struct {
    bool made;
    bool used;
    _Alignas(16) UINT8 memory[4096];
} own[2][OWN];

static VOID ended_in_own(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct side *side = side_of(VmbPacketGetChannel(packet));
    const UINT64 number = (uintptr_t)VmbPacketGetPointer(packet);

    for (unsigned i = 0; i < OWN; i++) {
        if ((void *)own[side - sides][i].memory == (void *)packet) {
            own[side - sides][i].used = false;
        }
    }
    has_ended(side, number, status, buffer, length);
}

static VOID empty_ended(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct side *side = side_of(VmbPacketGetChannel(packet));

    assert_true(status == STATUS_SUCCESS || status == STATUS_DEVICE_REMOVED);
    assert_null(buffer);
    assert_int_equal(length, 0);
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
    complete(other_side(side), packet, number);
}

static void check_external(VMBPACKETCOMPLETION packet, const struct payload *payload)
{
    UINT32 at = payload->start;
    PMDL mdl;

    assert_int_equal(VmbChannelPacketGetExternalData(packet, 0, &mdl), STATUS_SUCCESS);
    for (; mdl != NULL; mdl = mdl->Next) {
        const UINT8 *bytes = MmGetSystemAddressForMdlSafe(mdl, 0);
        const UINT32 count = MmGetMdlByteCount(mdl);
        assert_int_equal(bytes[0], (UINT8)(at * 7));
        assert_int_equal(bytes[count - 1], (UINT8)((at + count - 1) * 7));
        at += count;
    }
    assert_int_equal(at - payload->start, payload->memory_bytes);
}

/* The memory that the packets name, from the first moment on. */
static void on_state(struct end *end, char letter)
{
    if (end == &client && letter == 'O' && !traffic_is_pipe) {
        assert_int_equal(
            KmclClientChannelSetTransferPages(end->channel, TRANSFER_SET, TRANSFER_BYTES),
            STATUS_SUCCESS);
    }
    if (letter == 'C') {
        side_of(end->channel)->failed = false;
    }
}

static void check_transfer(VMBPACKETCOMPLETION packet, const struct payload *payload)
{
    const KMCL_TRANSFER_PAGE_RANGE *ranges;
    UINT32 count;
    UINT32 bytes = 0;
    NTSTATUS status = KmclPacketGetTransferPages(packet, &ranges, &count);

    assert_int_equal(status, STATUS_SUCCESS);
    for (UINT32 i = 0; i < count; i++) {
        bytes += ranges[i].ByteCount;
    }
    assert_int_equal(bytes, payload->memory_bytes);
    assert_int_equal(ranges[0].ByteOffset, payload->start);
}

static void arrived(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                    UINT32 flags)
{
    struct side *side = side_of(end->channel);
    struct side *sender = other_side(side);
    struct payload payload;
    UINT64 sum = 0;

    if (end->level == IRQL_DISPATCH && draw(50) == 0) {
        VmbChannelPacketDeferToPassive(packet);
        return;
    }
    if (length == 0) {
        sender->empty_arrived++;
        assert_true(sender->empty_arrived <= sender->empty_sent);
        VmbChannelPacketComplete(packet, NULL, 0);
        return;
    }
    memcpy(&payload, buffer, sizeof(payload));
    assert_int_equal(traffic_is_pipe ? payload.length : (payload.length + 7) & ~7u, length);
    for (UINT32 i = HEADER; i < payload.length; i++) {
        sum += ((UINT8 *)buffer)[i];
    }
    assert_int_equal(payload.sum, sum);
    assert_true(payload.number > sender->delivered && payload.number <= sender->sent);
    sender->delivered = payload.number;
    const bool is_external = payload.kind >= KIND_PFNS && payload.kind <= KIND_FORCED;
    assert_int_equal(flags, is_external);
    if (is_external) {
        check_external(packet, &payload);
    }
    if (payload.kind == KIND_TRANSFER) {
        check_transfer(packet, &payload);
    }
    sender->arrived++;
    if (traffic_may_keep && draw(20000) == 0) {
        side->failed = true;
        VmbChannelPacketFail(packet);
        return;
    }
    if (traffic_may_keep && side->kept_count < KEPT && draw(3) == 0) {
        side->kept[side->kept_count] = packet;
        side->kept_numbers[side->kept_count++] = payload.number;
        return;
    }
    complete(sender, packet, payload.number);
}

/* ---- sending ---- */

static UINT32 any_length(void)
{
    switch (draw(4)) {
    case 0:
        return draw(1024 - HEADER + 1);
    case 1:
        return 1024 - HEADER - draw(9); /* the largest */
    default:
        return draw(64);
    }
}

static void fill(struct payload *payload, UINT8 *bytes)
{
    payload->length = HEADER + any_length();
    for (UINT32 i = HEADER; i < payload->length; i++) {
        bytes[i] = (UINT8)draw(256);
        payload->sum += bytes[i];
    }
}

/* A chain of MDLs over consecutive parts of the external memory, from `start` on. */
#define CHAIN 3u
static struct {
    _Alignas(8) UINT8 room[sizeof(MDL) + (EXTERNAL_PAGES + 1) * sizeof(PFN_NUMBER)];
} chain[CHAIN];

static PMDL make_chain(UINT32 start, UINT32 *bytes)
{
    const UINT32 count = 1 + draw(CHAIN);
    PMDL first = NULL;
    PMDL *link = &first;

    *bytes = 0;
    for (UINT32 i = 0; i < count; i++) {
        PMDL mdl = (PMDL)(void *)chain[i].room;
        const UINT32 length = 1 + draw(PAGE_SIZE + 500);
        MmInitializeMdl(mdl, external + start + *bytes, length);
        MmBuildMdlForNonPagedPool(mdl);
        mdl->Next = NULL;
        *link = mdl;
        link = &mdl->Next;
        *bytes += length;
    }
    return first;
}

static NTSTATUS send_pfns(VMBPACKET packet, UINT8 *bytes, struct payload *payload)
{
    PFN_NUMBER frames[EXTERNAL_PAGES];
    const UINT32 first = draw(EXTERNAL_PAGES);
    const UINT32 count = 1 + draw(EXTERNAL_PAGES - first);

    for (UINT32 i = 0; i < count; i++) {
        frames[i] = page_frame_of(external) + first + i;
    }
    payload->start = first * PAGE_SIZE;
    payload->memory_bytes = count * PAGE_SIZE;
    memcpy(bytes, payload, sizeof(*payload));
    return VmbPacketSendWithExternalPfns(packet, bytes, payload->length, frames, count, WAIT);
}

static NTSTATUS send_mdl(VMBPACKET packet, UINT8 *bytes, struct payload *payload)
{
    payload->start = draw(PAGE_SIZE);
    PMDL mdl = make_chain(payload->start, &payload->memory_bytes);
    if (payload->kind == KIND_WINDOW) {
        const UINT32 offset = draw(payload->memory_bytes);
        const UINT32 length = draw(payload->memory_bytes - offset + 1); /* 0: to the end */
        payload->start += offset;
        payload->memory_bytes = length != 0 ? length : payload->memory_bytes - offset;
        memcpy(bytes, payload, sizeof(*payload));
        return VmbPacketSendWithExternalMdl(packet, bytes, payload->length, mdl, offset, length,
                                            WAIT);
    }
    if (payload->kind == KIND_FORCED) {
        const UINT32 behind = payload->start + MmGetMdlByteCount(mdl);
        payload->memory_bytes = MmGetMdlByteCount(mdl) + (0u - behind) % PAGE_SIZE;
        memcpy(bytes, payload, sizeof(*payload));
        return VmbPacketSendWithExternalMdl(packet, bytes, payload->length, mdl, 0,
                                            payload->memory_bytes,
                                            WAIT | VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH);
    }
    memcpy(bytes, payload, sizeof(*payload));
    return VmbPacketSend(packet, bytes, payload->length, mdl, WAIT);
}

static NTSTATUS send_transfer(VMBPACKET packet, UINT8 *bytes, struct payload *payload)
{
    KMCL_TRANSFER_PAGE_RANGE ranges[4] = {{0, 0}};
    const UINT32 count = 1 + draw(4);

    for (UINT32 i = 0; i < count; i++) {
        ranges[i].ByteOffset = draw(TRANSFER_BYTES);
        ranges[i].ByteCount = draw(TRANSFER_BYTES - ranges[i].ByteOffset + 1);
        payload->memory_bytes += ranges[i].ByteCount;
    }
    payload->start = ranges[0].ByteOffset;
    memcpy(bytes, payload, sizeof(*payload));
    return KmclServerPacketSendWithTransferPages(packet, bytes, payload->length, TRANSFER_SET,
                                                 ranges, count, WAIT);
}

static enum kind any_kind(const struct side *side)
{
    const UINT32 what = draw(100);

    if (what < 5) {
        return KIND_EMPTY;
    }
    if (what < 7) {
        return KIND_TOO_LARGE;
    }
    if (what < 15) {
        return KIND_OWN;
    }
    if (traffic_is_pipe || what >= 40) {
        return KIND_PLAIN;
    }
    if (side == &sides[1]) {
        return what < 30 ? KIND_TRANSFER : KIND_PLAIN;
    }
    return (enum kind)(KIND_PFNS + draw(4));
}

static void send_empty(struct side *side)
{
    VMBPACKET packet = VmbPacketAllocate(side->end->channel);

    assert_non_null(packet);
    VmbPacketSetCompletionRoutine(packet, empty_ended);
    side->sent++; /* a number that never arrives */
    side->empty_sent++;
    assert_int_equal(VmbPacketSend(packet, NULL, 0, NULL, 0), STATUS_SUCCESS);
}

static void send_too_large(struct side *side)
{
    static UINT8 bytes[1025];
    VMBPACKET packet = VmbPacketAllocate(side->end->channel);

    assert_non_null(packet);
    assert_int_equal(VmbPacketSend(packet, bytes, sizeof(bytes), NULL, 0),
                     STATUS_INVALID_PARAMETER);
    VmbPacketFree(packet);
}

/* In memory of the driver's if it wants that and there is some. */
static VMBPACKET any_object(struct side *side, enum kind kind)
{
    for (unsigned i = 0; kind == KIND_OWN && i < OWN; i++) {
        if (!own[side - sides][i].used) {
            VMBPACKET packet = (VMBPACKET)(void *)own[side - sides][i].memory;
            own[side - sides][i].used = true;
            if (!own[side - sides][i].made) {
                own[side - sides][i].made = true;
                assert_int_equal(VmbPacketInitialize(side->end->channel, packet,
                                                     sizeof(own[side - sides][i].memory)),
                                 STATUS_SUCCESS);
                VmbPacketSetCompletionRoutine(packet, ended_in_own);
            }
            return packet;
        }
    }
    VMBPACKET packet = VmbPacketAllocate(side->end->channel);
    assert_non_null(packet);
    VmbPacketSetCompletionRoutine(packet, ended);
    return packet;
}

void traffic_send(struct side *side)
{
    UINT8 bytes[1024];
    const enum kind kind = any_kind(side);
    struct payload payload = {.number = side->sent + 1, .kind = kind};
    const UINT32 slot = free_slot(side);
    NTSTATUS status;

    if (slot == UNDER_WAY) {
        return;
    }
    traffic_kinds[kind]++;
    if (kind == KIND_EMPTY || kind == KIND_TOO_LARGE) {
        (kind == KIND_EMPTY ? send_empty : send_too_large)(side);
        return;
    }
    fill(&payload, bytes);
    const bool has_memory = kind >= KIND_PFNS && kind <= KIND_TRANSFER;
    const UINT32 flags = has_memory || draw(2) == 0 ? WAIT : 0;
    VMBPACKET packet = any_object(side, kind);
    VmbPacketSetPointer(packet, (void *)(uintptr_t)payload.number);
    side->under_way[slot].used = 1;
    side->under_way[slot].number = payload.number;
    side->under_way[slot].waits = flags != 0;
    side->under_way[slot].answered = 0;
    side->sent++;
    if (kind == KIND_PFNS) {
        status = send_pfns(packet, bytes, &payload);
    } else if (kind == KIND_TRANSFER) {
        status = send_transfer(packet, bytes, &payload);
    } else if (has_memory) {
        status = send_mdl(packet, bytes, &payload);
    } else {
        memcpy(bytes, &payload, sizeof(payload));
        status = VmbPacketSend(packet, bytes, payload.length, NULL, flags);
    }
    assert_int_equal(status, STATUS_SUCCESS);
}

void traffic_ask(void)
{
    struct side *side = &sides[0];
    UINT8 bytes[1024];
    const bool waits = draw(2) == 0;
    struct payload payload = {.number = side->sent + 1, .kind = waits ? KIND_ASK : KIND_TELL};
    LARGE_INTEGER limit = {.QuadPart = waits ? -(int64_t)draw(CLOCK_MILLISECOND) - 1 : 0};
    UINT64 answer = 0;
    UINT32 size = sizeof(answer);

    traffic_kinds[payload.kind]++;
    fill(&payload, bytes);
    memcpy(bytes, &payload, sizeof(payload));
    side->sent++;
    const NTSTATUS status = VmbChannelSendSynchronousRequest(
        client.channel, bytes, payload.length, NULL, waits ? WAIT : 0, &answer, &size, &limit);
    side->ended++;
    if (status == STATUS_SUCCESS && waits) {
        assert_int_equal(size, 8);
        assert_int_equal(answer, ~payload.number);
    } else {
        assert_true(status == STATUS_SUCCESS || status == STATUS_DEVICE_REMOVED ||
                    status == (waits ? STATUS_CANCELLED : STATUS_BUFFER_OVERFLOW));
    }
}

void traffic_complete_one(struct side *side)
{
    if (side->kept_count > 0) {
        complete_kept(side, draw(side->kept_count));
    }
}

void traffic_complete_all(void)
{
    traffic_may_keep = false;
    while (sides[0].kept_count > 0) {
        complete_kept(&sides[0], 0);
    }
    while (sides[1].kept_count > 0) {
        complete_kept(&sides[1], 0);
    }
}

void traffic_begin(bool is_pipe)
{
    memset(sides, 0, sizeof(sides));
    memset(own, 0, sizeof(own));
    memset(traffic_kinds, 0, sizeof(traffic_kinds));
    sides[0].end = &client;
    sides[1].end = &server;
    traffic_is_pipe = is_pipe;
    traffic_may_keep = true;
    external = pages_allocate(EXTERNAL_PAGES);
    for (UINT32 i = 0; i < EXTERNAL_PAGES * PAGE_SIZE; i++) {
        external[i] = (UINT8)(i * 7);
    }
    client.on_packet = arrived;
    client.on_state = on_state;
    server.on_packet = arrived;
    server.on_state = on_state;
}

void traffic_end(void)
{
    pages_free(external, EXTERNAL_PAGES);
}
