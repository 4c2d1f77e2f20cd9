/* SPDX-License-Identifier: MIT */
/*
 * A server's driver below a guest that sends anything: packets of every type with descriptions that
 * are nearly right, answers to nothing, rings with random bytes and indices. It costs that guest
 * its opening, never the host; the next opening works. PAIR_SEED in the environment: another
 * history.
 */

#include <stdlib.h>
#include <string.h>

#include "kernel/pages.h"
#include "tests/unit/pair/pair.h"
#include "vmbus/kmcl/kmcl.h"

#define ROUNDS 5000u
#define PAGES  4u

static UINT8 *memory; /* of the guest */
static unsigned mapped;
static unsigned refused;

/* ---- the server's driver: uses all that it is given ---- */

static void touch(PMDL mdl, bool writable)
{
    for (; mdl != NULL; mdl = mdl->Next) {
        volatile UINT8 *bytes = MmGetSystemAddressForMdlSafe(mdl, 0);
        const UINT32 count = MmGetMdlByteCount(mdl);
        assert_true(count > 0);
        const UINT8 last = bytes[count - 1];
        if (writable) {
            bytes[0] = last;
        }
    }
}

static void use(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                UINT32 flags)
{
    const bool writable = draw(2) == 0;
    UINT8 sum = 0;
    PMDL mdl = NULL;

    for (UINT32 i = 0; i < length; i++) {
        sum = (UINT8)(sum + ((UINT8 *)buffer)[i]);
    }
    const NTSTATUS status = VmbChannelPacketGetExternalData(
        packet, writable ? 0 : VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAG_READ_ONLY, &mdl);
    assert_true((mdl != NULL) == (status == STATUS_SUCCESS));
    if (flags == 0) {
        assert_int_equal(status, STATUS_INVALID_DEVICE_REQUEST);
    } else if (status == STATUS_SUCCESS) {
        mapped++;
        touch(mdl, writable);
    } else {
        refused++;
        assert_true(status == STATUS_INVALID_PARAMETER || status == STATUS_INSUFFICIENT_RESOURCES);
    }
    switch (draw(8)) {
    case 0:
        if (end->kept_count < 100) {
            pair_keep(end, packet, buffer, length, flags);
            return;
        }
        break;
    case 1:
        if (end->level == IRQL_DISPATCH) {
            VmbChannelPacketDeferToPassive(packet);
            return;
        }
        break;
    case 2:
        if (draw(50) == 0) {
            VmbChannelPacketFail(packet);
            return;
        }
        break;
    default:
        break;
    }
    VmbChannelPacketComplete(packet, &sum, draw(2));
}

static void let_go(struct end *end, char letter)
{
    while (letter == 'U' && end->kept_count > 0) {
        VmbChannelPacketComplete(end->kept[--end->kept_count], NULL, 0);
    }
}

/* ---- the guest ---- */

static struct ring_writer *guest_ring(void)
{
    return ((struct kmcl_channel *)(void *)client.channel)->writer;
}

static void signal_server(void)
{
    (void)vmbus_server_signal(
        loopback_server,
        VMBUS_SERVER_CONNECTION_ID_BASE + loopback_word(loopback_to_guest(1, 0), 184), 0);
}

static UINT64 any_frame(void)
{
    static const UINT64 wild[] = {0, 1, UINT64_C(1) << 40, UINT64_C(1) << 52, UINT64_MAX};

    return draw(10) == 0 ? wild[draw(5)] : page_frame_of(memory);
}

static UINT32 any_number(UINT32 likely)
{
    static const UINT32 wild[] = {0,     1,          4095,       4096,      65535,
                                  65537, 0x7FFFFFFF, 0xFFFFF000, UINT32_MAX};

    return draw(6) == 0 ? wild[draw(9)] : likely;
}

/* Header and ranges that are right but for one number or two. */
static UINT32 any_description(UINT8 *head)
{
    const UINT32 ranges = 1 + draw(3);
    UINT32 words[2] = {draw(2), any_number(ranges)};
    UINT32 at = 8;

    memcpy(head, words, sizeof(words));
    for (UINT32 i = 0; i < ranges; i++) {
        const UINT32 pages = 1 + draw(PAGES);
        const UINT32 offset = draw(PAGE_SIZE);
        UINT64 frame = any_frame();
        words[0] = any_number(pages * PAGE_SIZE - offset);
        words[1] = any_number(offset);
        memcpy(head + at, words, sizeof(words));
        at += 8;
        for (UINT32 page = 0; page < pages; page++, at += 8) {
            memcpy(head + at, &frame, sizeof(frame));
            frame += draw(20) != 0;
        }
    }
    return draw(8) == 0 ? 8 * draw(at / 8 + 1) : at;
}

static void send_packet(void)
{
    static const uint16_t types[] = {6, 6, 9, 9, 9, 9, 9, 7, 11, 0, 1, 8, 10, 12, 0xFFFF};
    UINT8 head[256];
    UINT8 payload[600];
    struct ring_packet_out packet = {
        .type = types[draw(40) == 0 ? draw(15) : draw(7)],
        .flags = (uint16_t)(draw(10) == 0 ? draw(65536) : draw(2)),
        .transaction_id = draw(3) == 0 ? draw(100) : UINT64_C(0x100000001) * draw(40),
        .payload = payload,
        .payload_length = draw(sizeof(payload)),
        .head = head,
    };

    memset(payload, (int)draw(256), sizeof(payload));
    packet.extension_length = draw(30) == 0 ? 8 * draw(4) : any_description(head);
    if (packet.type != 9 && draw(2) == 0) {
        packet.extension_length = 0;
    }
    packet.head_length = packet.extension_length;
    if (guest_ring() != NULL && ring_writer_put(guest_ring(), &packet) == RING_OK) {
        if (ring_writer_commit(guest_ring())) {
            signal_server();
        }
    }
}

static void scribble(void)
{
    struct ring_writer *ring = guest_ring();

    if (ring == NULL) {
        return;
    }
    const UINT32 index = draw(3) == 0 ? draw(2 * ring->size) : 8 * draw(ring->size / 8);
    for (unsigned i = 0; i < 64; i++) {
        ring->data[draw(ring->size)] = (UINT8)draw(draw(2) == 0 ? 12 : 256);
    }
    if (draw(2) == 0) {
        memcpy((void *)&ring->control->write_index, &index, sizeof(index));
    } else {
        memcpy((void *)&ring->control->pending_send_size, &index, sizeof(index));
    }
    signal_server();
}

/* What the server sends into is the guest's memory too. */
static void scribble_the_other_way(void)
{
    struct kmcl_channel *channel = (struct kmcl_channel *)(void *)client.channel;
    const UINT32 index = draw(10000);

    if (channel->writer != NULL) {
        memcpy((void *)&channel->reader->control->read_index, &index, sizeof(index));
        signal_server();
    }
}

/* ---- rounds ---- */

static bool is_active(const struct end *end)
{
    return strcmp(KmclChannelStateName(end->channel), "active") == 0;
}

/* Whatever the guest has done: closed and opened it is a channel like any other. */
static void open_anew(void)
{
    VmbChannelDisable(client.channel);
    settle();
    assert_state(server, "offered");
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_true(is_active(&server) && is_active(&client));
}

static void one_round(void)
{
    const UINT32 kind = draw(20);

    for (unsigned i = 0; i < 30; i++) {
        if (kind == 0 && i == 29) {
            scribble();
        } else if (kind == 1 && i == 29) {
            scribble_the_other_way();
        } else {
            send_packet();
        }
        if (draw(4) == 0) {
            (void)test_host_step();
        }
        if (draw(6) == 0) {
            (void)pair_send(&server, 1, draw(500), draw(2));
        }
        if (draw(4) == 0 && server.kept_count > 0) {
            VmbChannelPacketComplete(server.kept[--server.kept_count], NULL, 0);
        }
    }
    settle();
    server.completions = 0; /* their number is checked elsewhere */
    client.completions = 0;
    if (!is_active(&server) || !is_active(&client) || draw(4) == 0) {
        open_anew();
    }
    client.trace[0] = '\0';
    server.trace[0] = '\0';
}

static void a_guest_that_sends_anything_costs_itself_its_channel(void **state)
{
    const char *start = getenv("PAIR_SEED");

    (void)state;
    draw_from(start != NULL ? (UINT32)strtoul(start, NULL, 10) : 1);
    memory = pages_allocate(PAGES);
    pair_start();
    server.on_packet = use;
    server.on_state = let_go;
    client.on_state = let_go;
    for (unsigned i = 0; i < ROUNDS; i++) {
        one_round();
    }
    server.on_packet = NULL;
    open_anew();
    client.completions = 0;
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.completions, 1);
    assert_true(mapped > 500);
    assert_true(refused > 500);
    pages_free(memory, PAGES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(a_guest_that_sends_anything_costs_itself_its_channel),
    };
    return cmocka_run_group_tests_name("pair, hostile guest", tests, NULL, NULL);
}
