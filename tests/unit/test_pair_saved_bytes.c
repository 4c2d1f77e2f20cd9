/* SPDX-License-Identifier: MIT */
/* Saved packets that are damaged, cut, foreign or forged: refused with a status that says why and
 * nothing half-restored, or harmless. */

#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/pair/save.h"
#include "vmbus/kmcl/server/kmcl_saved.h"
#include "vmbus/server/checksum.h"

static void defer(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                  UINT32 flags)
{
    (void)end, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketDeferToPassive(packet);
}

static NTSTATUS save_nothing_of(VMBCHANNEL channel, VMBPACKET packet, PVOID buffer, UINT32 size,
                                PUINT32 needed)
{
    (void)channel, (void)packet, (void)buffer, (void)size, (void)needed;
    return STATUS_SUCCESS;
}

/* ---- a small form with something of every kind ---- */

#define BLOCKED 3u /* of the client's requests are answered into a full ring */

/* A packet of ranges, of which nobody knows here. */
static void queue_ranges(void)
{
    static const KMCL_TRANSFER_PAGE_RANGE ranges[] = {{1, 2}, {3, 4}};
    UINT64 payload = 107;

    assert_int_equal(KmclServerPacketSendWithTransferPages(pair_packet(&server, 33), &payload,
                                                           sizeof(payload), 1, ranges, 2, WAIT),
                     STATUS_SUCCESS);
}

/*
 * The client takes one packet and no more, so the server's ring fills: packets that are answered
 * never, packets that wait for room, answers that do. With `deferred` one of the client's packets
 * is put off.
 */
static void save_small(bool deferred)
{
    start_to_save();
    VmbChannelSetTransactionQuota(client.channel, 1);
    client.on_packet = pair_keep;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(pair_send(&server, i, i < 2 ? 8 : 1000, i < 2 ? WAIT : 0), STATUS_SUCCESS);
        settle();
    }
    assert_int_equal(client.kept_count, 1);
    assert_int_equal(pair_send(&server, 30, 1000, 0), STATUS_SUCCESS); /* does not fit */
    assert_int_equal(pair_send(&server, 31, 8, 0), STATUS_SUCCESS);
    assert_int_equal(pair_send(&server, 32, 11, WAIT), STATUS_SUCCESS);
    queue_ranges();
    for (unsigned i = 0; i < BLOCKED; i++) {
        assert_int_equal(pair_send(&client, i, 8, WAIT), STATUS_SUCCESS);
        settle();
    }
    assert_int_equal(server.packets, BLOCKED);
    assert_int_equal(client.completions, 0);
    if (deferred) {
        server.on_packet = defer;
        assert_int_equal(pair_send(&client, BLOCKED, 8, WAIT), STATUS_SUCCESS);
        while (server.packets == BLOCKED && test_host_step()) {
        }
    }
    VmbChannelPause(server.channel);
    server.on_packet = NULL;
    save(FORM_LIMIT / 2);
    assert_int_equal(form.part_count, 1);
}

/* The kinds of chunks in the form, a bit each. */
static unsigned kinds(void)
{
    unsigned found = 0;

    for (UINT32 at = 0; at < form.size;) {
        struct kmcl_saved_chunk chunk;
        memcpy(&chunk, form.bytes + at, sizeof(chunk));
        found |= 1u << chunk.kind;
        at += chunk.size;
    }
    return found;
}

static void let_go(void)
{
    VmbChannelSetTransactionQuota(client.channel, 1000);
    client.on_packet = NULL;
    VmbChannelPacketComplete(client.kept[0], NULL, 0);
    VmbChannelStart(server.channel);
    settle();
}

/* ---- damage ---- */

static void flip_all(void)
{
    put_aside();
    for (UINT32 i = 0; i < form.size; i++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            form.bytes[i] ^= (UINT8)(1u << bit);
            const NTSTATUS status = restore();
            assert_true(status == STATUS_CRC_ERROR || status == STATUS_INVALID_SIGNATURE ||
                        status == STATUS_REVISION_MISMATCH || status == STATUS_INVALID_BUFFER_SIZE);
            form.bytes[i] ^= (UINT8)(1u << bit);
        }
    }
    expect_untouched();
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_true(restored > 3);
    put_back();
}

static void every_flipped_bit_is_refused(void **state)
{
    (void)state;
    save_small(false);
    assert_int_equal(kinds(), 1u << SAVED_CHANNEL | 1u << SAVED_PACKET | 1u << SAVED_REPLY |
                                  1u << SAVED_END);
    flip_all();
    let_go();
}

static void every_flipped_bit_beside_a_deferred_packet_is_refused(void **state)
{
    (void)state;
    save_small(true);
    assert_true((kinds() & 1u << SAVED_HELD) != 0);
    flip_all();
    let_go();
}

/* ---- forgeries: the checksums are right ---- */

static void seal_all(UINT8 *bytes, const UINT8 *sound, UINT32 size)
{
    UINT32 checksum = 0;

    for (UINT32 at = 0; at < size;) {
        struct kmcl_saved_chunk chunk;
        const UINT32 zero = 0;
        memcpy(&chunk, sound + at, sizeof(chunk));
        memcpy(bytes + at + offsetof(struct kmcl_saved_chunk, checksum), &zero, sizeof(zero));
        checksum = vmbus_checksum(checksum, bytes + at, chunk.size);
        memcpy(bytes + at + offsetof(struct kmcl_saved_chunk, checksum), &checksum,
               sizeof(checksum));
        at += chunk.size;
    }
}

/* A driver that takes what it is given, and knows nothing of it. */
static NTSTATUS restore_anything(VMBCHANNEL channel, PVOID lib, UINT32 lib_size, PVOID saved,
                                 UINT32 size)
{
    static UINT8 last[65536];
    VMBPACKET packet = VmbPacketAllocate(channel);

    assert_non_null(packet);
    assert_true(size <= sizeof(last));
    if (size > 0) {
        memcpy(last, saved, size);
    }
    const NTSTATUS status = VmbPacketRestore(packet, lib, lib_size);
    if (status != STATUS_SUCCESS) {
        VmbPacketFree(packet);
    }
    return status;
}

static void make_careless_server(void)
{
    memset(&server, 0, sizeof(server));
    make_server();
    assert_int_equal(VmbServerChannelInitSetSaveRestorePacketCallbacks(
                         server.channel, save_nothing_of, restore_anything),
                     STATUS_SUCCESS);
}

/* The guest goes on with a host that has the forged form. Whatever that does to this channel, it
 * ends.
 */
static void go_on_with_forgery(void)
{
    loopback_replace_forked(NULL);
    make_careless_server();
    if (restore() != STATUS_SUCCESS || VmbChannelEnable(server.channel) != STATUS_SUCCESS ||
        vmbus_server_restore(loopback_server, form.bus, form.bus_size) != VMBUS_SERVER_RESTORED) {
        _exit(1);
    }
    VmbChannelStart(server.channel);
    let_go();
    for (unsigned i = 0; i < 3; i++) {
        (void)pair_send(&client, 100 + i, 64, WAIT);
        (void)pair_send(&server, 100 + i, 64, WAIT);
        settle();
    }
    VmbChannelDisable(client.channel);
    settle();
    pair_end(&server);
    pair_end(&client);
    (void)vmbus_disconnect();
    _exit(test_pages_held() == 0 ? 0 : 2);
}

/* Whether the byte is one of a structure's, not of contents that only drivers and guests look at.
 */
static bool is_structure(UINT32 offset)
{
    for (UINT32 at = 0;;) {
        struct kmcl_saved_chunk chunk;
        memcpy(&chunk, form.bytes + at, sizeof(chunk));
        if (offset < at + chunk.size) {
            return offset - at < sizeof(chunk) + sizeof(struct kmcl_saved_packet);
        }
        at += chunk.size;
    }
}

static void forge_each(void)
{
    static UINT8 sound[4096];
    const UINT32 size = form.size;
    unsigned accepted = 0;
    unsigned refused = 0;

    assert_true(size <= sizeof(sound));
    memcpy(sound, form.bytes, size);
    assert_int_equal(vmbus_server_save(loopback_server, form.bus, FORM_LIMIT, &form.bus_size),
                     VMBUS_OK);
    const struct end running = server;
    for (UINT32 i = 0; i < size; i++) {
        for (unsigned bit = 0; bit < 8; bit += is_structure(i) ? 1 : 7) {
            int status;
            form.bytes[i] ^= (UINT8)(1u << bit);
            seal_all(form.bytes, sound, size);
            make_careless_server();
            const NTSTATUS result = restore();
            assert_int_not_equal(result, STATUS_MORE_PROCESSING_REQUIRED);
            const bool is_good = result == STATUS_SUCCESS;
            VmbChannelCleanup(server.channel); /* completes, and frees, all that was restored */
            server = running;
            VmbChannelSetPointer(server.channel, &server);
            /* Another process takes some 10 ms. */
            if (is_good && is_structure(i) && bit == i % 8 && i % 3 == 0) {
                pid_t child = fork();
                if (child == 0) {
                    go_on_with_forgery();
                }
                assert_int_equal(waitpid(child, &status, 0), child);
                assert_int_equal(status, 0);
            }
            accepted += is_good;
            refused += !is_good;
            memcpy(form.bytes, sound, size);
        }
    }
    assert_true(accepted > 100);
    assert_true(refused > 1000);
}

/* Where the nth chunk of a kind begins. */
static UINT32 chunk_at(uint16_t kind, unsigned n)
{
    for (UINT32 at = 0; at < form.size;) {
        struct kmcl_saved_chunk chunk;
        memcpy(&chunk, form.bytes + at, sizeof(chunk));
        if (chunk.kind == kind && n-- == 0) {
            return at;
        }
        at += chunk.size;
    }
    fail_msg("no chunk of kind %u", kind);
    return 0;
}

#define BODY(type, field) (sizeof(struct kmcl_saved_chunk) + offsetof(struct type, field))

static void fields_that_contradict_each_other_are_refused(void **state)
{
    enum { IN_RING, QUEUED = 3 }; /* nth of the packets: see save_small() */
    static const struct {
        uint16_t kind;
        unsigned n;
        size_t offset;
        UINT32 values[2];
        unsigned count;
        NTSTATUS status;
    } forgeries[] = {
        {SAVED_PACKET, IN_RING, BODY(kmcl_saved_packet, in_ring), {2}, 1, STATUS_CRC_ERROR},
        {SAVED_PACKET, IN_RING, BODY(kmcl_saved_packet, flags), {0}, 1, STATUS_CRC_ERROR},
        {SAVED_PACKET, QUEUED, BODY(kmcl_saved_packet, flags), {2}, 1, STATUS_CRC_ERROR},
        {SAVED_PACKET, IN_RING, BODY(kmcl_saved_packet, transaction_id), {0}, 1, STATUS_CRC_ERROR},
        {SAVED_PACKET,
         IN_RING,
         BODY(kmcl_saved_packet, transaction_id),
         {0x10001},
         1,
         STATUS_CRC_ERROR},
        {SAVED_PACKET,
         IN_RING,
         BODY(kmcl_saved_packet, transaction_id),
         {UINT32_MAX},
         1,
         STATUS_CRC_ERROR},
        /* Sums of 32 bits that come out right. */
        {SAVED_PACKET,
         QUEUED,
         BODY(kmcl_saved_packet, extension_length),
         {0xFFFFFFF8, 24},
         2,
         STATUS_CRC_ERROR},
        {SAVED_PACKET,
         QUEUED,
         BODY(kmcl_saved_packet, extension_length),
         {24, 0xFFFFFFF8},
         2,
         STATUS_CRC_ERROR},
        {SAVED_PACKET,
         QUEUED,
         BODY(kmcl_saved_packet, extension_length),
         {0x80000008, 0x80000008},
         2,
         STATUS_CRC_ERROR},
        {SAVED_REPLY, 0, BODY(kmcl_saved_reply, payload_length), {0xFFFFFFF9}, 1, STATUS_CRC_ERROR},
        {SAVED_HELD, 0, BODY(kmcl_saved_held, payload_offset), {4}, 1, STATUS_CRC_ERROR},
        {SAVED_HELD, 0, BODY(kmcl_saved_held, flags), {2}, 1, STATUS_CRC_ERROR},
        {SAVED_HELD, 0, BODY(kmcl_saved_held, reply_wanted), {2}, 1, STATUS_CRC_ERROR},
        {SAVED_HELD, 0, BODY(kmcl_saved_held, copy_length), {16}, 1, STATUS_CRC_ERROR},
        {SAVED_HELD, 0, BODY(kmcl_saved_held, extension_length), {0xFFFFFFF8}, 1, STATUS_CRC_ERROR},
        {SAVED_CHANNEL, 0, BODY(kmcl_saved_channel, chunks), {1}, 1, STATUS_CRC_ERROR},
        {SAVED_CHANNEL, 0, BODY(kmcl_saved_channel, chunks), {100}, 1, STATUS_CRC_ERROR},
        {SAVED_PACKET, 0, offsetof(struct kmcl_saved_chunk, number), {9}, 1, STATUS_CRC_ERROR},
        {SAVED_END, 0, offsetof(struct kmcl_saved_chunk, number), {0}, 1, STATUS_CRC_ERROR},
    };
    static UINT8 sound[4096];

    (void)state;
    save_small(true);
    put_aside();
    memcpy(sound, form.bytes, form.size);
    for (size_t i = 0; i < sizeof(forgeries) / sizeof(forgeries[0]); i++) {
        const UINT32 at = chunk_at(forgeries[i].kind, forgeries[i].n);
        memcpy(form.bytes + at + forgeries[i].offset, forgeries[i].values,
               forgeries[i].count * sizeof(UINT32));
        seal_all(form.bytes, sound, form.size);
        const NTSTATUS status = restore();
        if (status != forgeries[i].status) {
            fail_msg("forgery %u: %x", (unsigned)i, (unsigned)status);
        }
        memcpy(form.bytes, sound, form.size);
    }
    expect_untouched();
    put_back();
    let_go();
}

static void every_forged_bit_is_refused_or_harmless(void **state)
{
    (void)state;
    save_small(false);
    forge_each();
    let_go();
}

static void every_forged_bit_of_a_deferred_packet_is_refused_or_harmless(void **state)
{
    (void)state;
    save_small(true);
    forge_each();
    let_go();
}

/* ---- cuts and parts ---- */

static void every_cut_is_refused_or_waits_for_more(void **state)
{
    unsigned more = 0;

    (void)state;
    save_some(FORM_LIMIT / 2);
    const UINT32 whole = form.size;
    for (UINT32 size = 0; size < whole; size++) {
        const NTSTATUS status = VmbChannelRestoreFromBuffer(server.channel, form.bytes, size);
        if (status == STATUS_MORE_PROCESSING_REQUIRED) {
            more++;
            /* An unfinished restore cannot be enabled; something wrong ends it. */
            assert_int_equal(VmbChannelEnable(server.channel), STATUS_INVALID_DEVICE_REQUEST);
            assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_INVALID_DEVICE_REQUEST);
            assert_int_equal(VmbChannelRestoreFromBuffer(server.channel, form.bytes, whole),
                             STATUS_CRC_ERROR);
        } else {
            assert_int_equal(status, STATUS_INVALID_BUFFER_SIZE);
        }
    }
    assert_true(more > 10);
    expect_untouched();
    go_back();
}

static void parts_missing_doubled_or_swapped_are_refused(void **state)
{
    (void)state;
    save_some(1);
    const UINT32 parts = form.part_count;
    assert_true(parts > 10);
    for (UINT32 missing = 0; missing < parts - 1; missing++) {
        NTSTATUS status = STATUS_MORE_PROCESSING_REQUIRED;
        UINT32 at = 0;
        for (UINT32 i = 0; i < parts && status == STATUS_MORE_PROCESSING_REQUIRED; i++) {
            if (i != missing) {
                status =
                    VmbChannelRestoreFromBuffer(server.channel, form.bytes + at, form.sizes[i]);
            }
            at += form.sizes[i];
        }
        assert_int_equal(status, STATUS_CRC_ERROR);
    }
    assert_int_equal(VmbChannelRestoreFromBuffer(server.channel, form.bytes, form.sizes[0]),
                     STATUS_MORE_PROCESSING_REQUIRED);
    assert_int_equal(VmbChannelRestoreFromBuffer(server.channel, form.bytes, form.sizes[0]),
                     STATUS_CRC_ERROR);
    expect_untouched();
    go_back();
}

/* Puts another value into the first chunk and seals it anew. */
static void forge(UINT32 offset, const void *value, UINT32 size)
{
    UINT32 chunk_size;
    UINT32 checksum = 0;

    memcpy(form.bytes + offset, value, size);
    memcpy(&chunk_size, form.bytes + 8, sizeof(chunk_size));
    memcpy(form.bytes + 16, &checksum, sizeof(checksum));
    checksum = vmbus_checksum(0, form.bytes, chunk_size);
    memcpy(form.bytes + 16, &checksum, sizeof(checksum));
}

static void foreign_newer_and_other_forms_are_told_apart(void **state)
{
    const UINT16 newer = KMCL_SAVED_FORMAT + 1;
    const UINT16 older = KMCL_SAVED_FORMAT - 1;
    const UINT32 sub_channel = 1;
    const UINT32 foreign = 0x55555555;
    const UINT32 large = 1025;
    UINT8 first[64];

    (void)state;
    save_some(FORM_LIMIT / 2);
    memcpy(first, form.bytes, sizeof(first));
    forge(0, &foreign, sizeof(foreign));
    assert_int_equal(restore(), STATUS_INVALID_SIGNATURE);
    memcpy(form.bytes, first, sizeof(first));
    forge(4, &newer, sizeof(newer));
    assert_int_equal(restore(), STATUS_REVISION_MISMATCH);
    memcpy(form.bytes, first, sizeof(first));
    forge(4, &older, sizeof(older));
    assert_int_equal(restore(), STATUS_REVISION_MISMATCH);
    memcpy(form.bytes, first, sizeof(first));
    forge(24, &foreign, sizeof(foreign));
    assert_int_equal(restore(), STATUS_OBJECT_TYPE_MISMATCH);
    memcpy(form.bytes, first, sizeof(first));
    forge(56, &sub_channel, sizeof(sub_channel));
    assert_int_equal(restore(), STATUS_OBJECT_TYPE_MISMATCH);
    memcpy(form.bytes, first, sizeof(first));
    forge(60, &large, sizeof(large));
    assert_int_equal(restore(), STATUS_INVALID_PARAMETER);
    memcpy(form.bytes, first, sizeof(first));
    expect_untouched();
    /* Without the callbacks there is nobody to make the packets anew. */
    VmbChannelCleanup(server.channel);
    memset(&server, 0, sizeof(server));
    pair_make(&server, TRUE);
    assert_int_equal(restore(), STATUS_INVALID_DEVICE_REQUEST);
    go_back();
}

/* Of a closed channel nothing but queued packets can be there, and none of it was failed. */
static void forms_of_a_channel_that_cannot_be_are_refused(void **state)
{
    static const UINT32 flags[] = {0, KMCL_SAVED_FAILED, 4, KMCL_SAVED_OPEN | 0x80000000};
    const size_t at = sizeof(struct kmcl_saved_chunk) + offsetof(struct kmcl_saved_channel, flags);
    static UINT8 sound[FORM_LIMIT];

    (void)state;
    save_small(true);
    memcpy(sound, form.bytes, form.size);
    put_aside();
    for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        memcpy(form.bytes + at, &flags[i], sizeof(flags[i]));
        seal_all(form.bytes, sound, form.size);
        assert_int_equal(restore(), STATUS_CRC_ERROR);
    }
    expect_untouched();
    put_back();
    let_go();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        save_test(every_flipped_bit_is_refused),
        save_test(every_flipped_bit_beside_a_deferred_packet_is_refused),
        save_test(fields_that_contradict_each_other_are_refused),
        save_test(every_forged_bit_is_refused_or_harmless),
        save_test(every_forged_bit_of_a_deferred_packet_is_refused_or_harmless),
        save_test(every_cut_is_refused_or_waits_for_more),
        save_test(parts_missing_doubled_or_swapped_are_refused),
        save_test(foreign_newer_and_other_forms_are_told_apart),
        save_test(forms_of_a_channel_that_cannot_be_are_refused),
    };
    return cmocka_run_group_tests_name("pair, saved bytes", tests, NULL, NULL);
}
