/* SPDX-License-Identifier: MIT */
/*
 * A server's packets survive in a file: saved here, restored in another process, which has a copy
 * of the guest's memory and a bus and a server of its own.
 */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/pair/pair.h"
#include "vmbus/server/checksum.h"

#define PARTS      512u
#define FORM_LIMIT 0x200000u

/* What was saved: the channel, part by part, and the bus. */
static struct {
    UINT32 part_count;
    UINT32 sizes[PARTS];
    UINT32 size;
    UINT8 bytes[FORM_LIMIT];
    size_t bus_size;
    UINT8 bus[FORM_LIMIT];
} form;

static UINT32 seed = 1;

static UINT32 draw(UINT32 limit)
{
    seed = seed * 1664525u + 1013904223u;
    return (seed >> 8) % limit;
}

/* ---- the driver's part: its packets' numbers, and some bytes more ---- */

static unsigned save_calls;
static NTSTATUS save_failure;
static bool save_nothing;
static unsigned restored;
static unsigned fail_restore_at; /* the nth, from 1 */
static VMBPACKET made[256];
static unsigned made_count;

static UINT32 size_of(UINT64 number)
{
    return 8 + (UINT32)(number % 40);
}

static NTSTATUS save_packet(VMBCHANNEL channel, VMBPACKET packet, PVOID buffer, UINT32 size,
                            PUINT32 needed)
{
    const UINT64 number = (uintptr_t)VmbPacketGetPointer(packet);

    assert_ptr_equal(channel, server.channel);
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    save_calls++;
    if (save_nothing) {
        return STATUS_SUCCESS;
    }
    *needed = size_of(number);
    if (size < *needed) {
        assert_null(buffer);
        assert_int_equal(size, 0);
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (save_failure != STATUS_SUCCESS) {
        return save_failure;
    }
    memset(buffer, (int)number, *needed);
    memcpy(buffer, &number, sizeof(number));
    return STATUS_SUCCESS;
}

static NTSTATUS restore_packet(VMBCHANNEL channel, PVOID lib, UINT32 lib_size, PVOID saved,
                               UINT32 size)
{
    UINT64 number = 9999;

    assert_int_equal(irql_current(), IRQL_PASSIVE);
    restored++;
    if (restored == fail_restore_at) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    if (size > 0) {
        memcpy(&number, saved, sizeof(number));
        assert_int_equal(size, size_of(number));
    }
    VMBPACKET packet = VmbPacketAllocate(channel);
    assert_non_null(packet);
    VmbPacketSetPointer(packet, (void *)(uintptr_t)number);
    VmbPacketSetCompletionRoutine(packet, NULL);
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size), STATUS_INVALID_DEVICE_REQUEST);
    VmbPacketSetCompletionRoutine(packet, pair_recorded);
    assert_int_equal(VmbPacketRestore(packet, (UINT8 *)lib + 8, lib_size),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size - 8), STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size), STATUS_SUCCESS);
    made[made_count++ % 256] = packet;
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size), STATUS_INVALID_PARAMETER_1);
    return STATUS_SUCCESS;
}

static void make_server(void)
{
    pair_make(&server, TRUE);
    assert_int_equal(VmbServerChannelInitSetSaveRestorePacketCallbacks(server.channel, save_packet,
                                                                       restore_packet),
                     STATUS_SUCCESS);
}

static int setup(void **state)
{
    save_calls = 0;
    save_failure = STATUS_SUCCESS;
    save_nothing = false;
    restored = 0;
    fail_restore_at = 0;
    made_count = 0;
    return pair_setup(state);
}

static void start(void)
{
    make_server();
    pair_start();
}

/* ---- saving ---- */

/* Saves into parts of at most `limit` bytes, or what a chunk needs. */
static void save(UINT32 limit)
{
    ULONG filled, required;
    ULONG size = limit;
    NTSTATUS status;

    form.part_count = 0;
    form.size = 0;
    assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_SUCCESS);
    do {
        assert_true(form.part_count < PARTS && form.size + size <= FORM_LIMIT);
        status = VmbChannelSaveContinue(server.channel, form.bytes + form.size, size, &filled,
                                        &required);
        if (status == STATUS_BUFFER_TOO_SMALL) {
            assert_int_equal(filled, 0);
            assert_true(required > size);
            size = required;
            continue;
        }
        assert_true(status == STATUS_SUCCESS || status == STATUS_BUFFER_OVERFLOW);
        assert_true(filled > 0 && filled <= size);
        assert_true((required != 0) == (status == STATUS_BUFFER_OVERFLOW));
        form.sizes[form.part_count++] = filled;
        form.size += filled;
        size = limit;
    } while (status != STATUS_SUCCESS);
    assert_int_equal(
        VmbChannelSaveContinue(server.channel, form.bytes, FORM_LIMIT, &filled, &required),
        STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelSaveEnd(server.channel);
}

static NTSTATUS restore(void)
{
    NTSTATUS status = STATUS_MORE_PROCESSING_REQUIRED;
    UINT32 at = 0;

    for (UINT32 i = 0; i < form.part_count && status == STATUS_MORE_PROCESSING_REQUIRED; i++) {
        status = VmbChannelRestoreFromBuffer(server.channel, form.bytes + at, form.sizes[i]);
        at += form.sizes[i];
    }
    return status;
}

/* A Disabled server like the one that was saved, beside it. */
static struct end saved_end;

static void put_aside(void)
{
    saved_end = server;
    memset(&server, 0, sizeof(server));
    make_server();
}

static void put_back(void)
{
    VmbChannelCleanup(server.channel);
    server = saved_end;
    VmbChannelSetPointer(server.channel, &server);
}

/* ---- the order of calls ---- */

static void calls_out_of_order_are_refused(void **state)
{
    ULONG filled, required;
    UINT8 bytes[64];

    (void)state;
    start();
    VMBCHANNEL channel = server.channel;
    assert_int_equal(VmbChannelSaveBegin(NULL), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelSaveBegin(channel), STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(VmbChannelSaveContinue(channel, bytes, 64, &filled, &required),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(VmbChannelRestoreFromBuffer(channel, bytes, 64),
                     STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelPause(channel);
    assert_int_equal(VmbChannelSaveBegin(channel), STATUS_SUCCESS);
    assert_int_equal(VmbChannelSaveBegin(channel), STATUS_INVALID_DEVICE_REQUEST);
    /* What comes meanwhile would be lost. */
    assert_int_equal(pair_send(&server, 1, 8, 0), STATUS_SUCCESS);
    assert_int_equal(VmbChannelSaveContinue(channel, bytes, 64, &filled, &required),
                     STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelSaveEnd(channel);
    assert_int_equal(VmbPacketRestore(NULL, NULL, 0), STATUS_INVALID_PARAMETER_1);
    VMBPACKET packet = pair_packet(&server, 1);
    assert_int_equal(VmbPacketRestore(packet, bytes, 64), STATUS_INVALID_PARAMETER_1);
    VmbPacketFree(packet);
    VmbChannelStart(channel);
    settle();
    assert_int_equal(client.packets, 1);
}

static void nothing_to_save_is_saved_and_restored_too(void **state)
{
    (void)state;
    start();
    VmbChannelPause(server.channel);
    save(1);
    assert_int_equal(form.part_count, 2);
    put_aside();
    assert_int_equal(restore(), STATUS_SUCCESS);
    put_back();
}

static void a_driver_that_cannot_save_ends_the_save(void **state)
{
    ULONG filled, required;

    (void)state;
    start();
    VmbChannelPause(client.channel);
    assert_int_equal(pair_send(&server, 1, 8, WAIT), STATUS_SUCCESS);
    VmbChannelPause(server.channel);
    save_failure = STATUS_UNSUCCESSFUL;
    assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_SUCCESS);
    assert_int_equal(
        VmbChannelSaveContinue(server.channel, form.bytes, FORM_LIMIT, &filled, &required),
        STATUS_UNSUCCESSFUL);
    assert_int_equal(
        VmbChannelSaveContinue(server.channel, form.bytes, FORM_LIMIT, &filled, &required),
        STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelSaveEnd(server.channel);
    for (unsigned n = 1; n < 5; n++) {
        save_failure = STATUS_SUCCESS;
        test_memory_fail(n);
        NTSTATUS status = VmbChannelSaveBegin(server.channel);
        if (status == STATUS_SUCCESS) {
            status =
                VmbChannelSaveContinue(server.channel, form.bytes, FORM_LIMIT, &filled, &required);
            VmbChannelSaveEnd(server.channel);
        }
        assert_int_equal(status, STATUS_INSUFFICIENT_RESOURCES);
    }
    test_memory_fail(0);
    VmbChannelStart(server.channel);
    VmbChannelStart(client.channel);
    settle();
    assert_int_equal(server.completions, 1);
}

/* ---- packets in every state ---- */

/* Requests in the guest's hands, in the ring, and queued; completions that found no room. */
static void make_traffic(unsigned requests)
{
    client.on_packet = pair_keep;
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(pair_send(&server, i, 64, WAIT), STATUS_SUCCESS);
    }
    settle();
    assert_int_equal(client.kept_count, 5);
    VmbChannelPacketComplete(client.kept[1], "early...", 8);
    settle();
    assert_int_equal(server.completions, 1);
    server.completions = 0;
    for (unsigned i = 5; i < 5 + requests; i++) {
        assert_int_equal(pair_send(&client, i, 8 + draw(1000), WAIT), STATUS_SUCCESS);
        assert_int_equal(pair_send(&server, i, 8 + draw(1000), draw(2)), STATUS_SUCCESS);
        if (draw(4) == 0) {
            loopback_run();
        }
        if (draw(8) == 0 && client.kept_count > 10) {
            client.kept_count--;
            VmbChannelPacketComplete(client.kept[client.kept_count], NULL, 0);
        }
    }
}

/* The other process. Its guest goes on as if nothing had happened. */
static int go_on(const char *file_name, const bool *owed, unsigned count, unsigned client_sent)
{
    FILE *file = fopen(file_name, "rb");
    unsigned seen[1024] = {0};

    assert_non_null(file);
    memset(&form, 0, sizeof(form));
    assert_int_equal(fread(&form, sizeof(form), 1, file), 1);
    (void)fclose(file);
    loopback_replace_forked(NULL);
    memset(&server, 0, sizeof(server));
    make_server();
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    assert_int_equal(vmbus_server_restore(loopback_server, form.bus, form.bus_size),
                     VMBUS_SERVER_RESTORED);
    VmbChannelStart(server.channel);
    settle();
    assert_state(server, "active");
    VmbChannelStart(client.channel);
    client.on_packet = NULL;
    for (unsigned i = 2; i < client.kept_count; i++) {
        VmbChannelPacketComplete(client.kept[i], NULL, 0);
    }
    VmbChannelPacketComplete(client.kept[0], NULL, 0);
    settle();
    for (unsigned i = 0; i < server.completions; i++) {
        seen[server.completed[i]]++;
        assert_int_equal(server.completion_status, STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(seen[i], owed[i]);
    }
    assert_int_equal(client.completions, client_sent);
    /* And the channel works. */
    assert_int_equal(pair_send(&client, 1000, 16, WAIT), STATUS_SUCCESS);
    assert_int_equal(pair_send(&server, 1000, 16, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.completed[client.completions - 1], 1000);
    assert_int_equal(server.completed[server.completions - 1], 1000);
    VmbChannelDisable(client.channel);
    settle();
    assert_state(server, "offered");
    pair_end(&server);
    return 0;
}

static void one_round(void)
{
    char file_name[] = "/tmp/test-pair-save-XXXXXX";
    const unsigned requests = draw(60);
    const unsigned count = 5 + requests;
    bool owed[128];
    int status;

    make_traffic(requests);
    if (draw(2) == 0) {
        VmbChannelStart(client.channel);
    }
    if (draw(2) == 0) {
        settle();
    }
    VmbChannelPause(server.channel);
    for (unsigned i = 0; i < count; i++) {
        owed[i] = i != 1;
    }
    for (unsigned i = 0; i < server.completions; i++) {
        owed[server.completed[i]] = false;
    }
    save(1 + draw(3000));
    assert_int_equal(vmbus_server_save(loopback_server, form.bus, FORM_LIMIT, &form.bus_size),
                     VMBUS_OK);
    int fd = mkstemp(file_name);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "wb");
    assert_int_equal(fwrite(&form, sizeof(form), 1, file), 1);
    (void)fclose(file);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        _exit(go_on(file_name, owed, count, requests));
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)unlink(file_name);
    assert_int_equal(status, 0);
    /* Here it goes on too: a save changes nothing. */
    VmbChannelStart(server.channel);
    VmbChannelStart(client.channel);
    client.on_packet = NULL;
    for (unsigned i = 0; i < client.kept_count; i++) {
        if (i != 1) {
            VmbChannelPacketComplete(client.kept[i], NULL, 0);
        }
    }
    settle();
    assert_int_equal(client.completions, requests);
}

static void another_process_completes_every_transaction_once(void **state)
{
    const char *wanted = getenv("PAIR_SAVE_ROUNDS");
    const unsigned long rounds = wanted != NULL ? strtoul(wanted, NULL, 10) : 40;

    for (unsigned long i = 0; i < rounds; i++) {
        seed = (UINT32)i + 1;
        start();
        one_round();
        (void)pair_teardown(state);
        (void)setup(state);
    }
}

static VMBPACKETCOMPLETION deferred;

static void defer_all(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                      UINT32 flags)
{
    (void)end, (void)buffer, (void)length, (void)flags;
    deferred = packet;
    VmbChannelPacketDeferToPassive(packet);
}

/* A packet that left the ring but was put off is the server's to save. */
static void a_deferred_packet_is_delivered_by_the_restored_server(void **state)
{
    (void)state;
    start();
    server.on_packet = defer_all;
    assert_int_equal(pair_send(&client, 77, 24, WAIT), STATUS_SUCCESS);
    test_time_pass(1000);
    while (server.packets == 0 && test_host_step()) {
    }
    assert_int_equal(server.packets, 1);
    VmbChannelPause(server.channel);
    const unsigned before = server.packets;
    save(100);
    put_aside();
    assert_int_equal(restore(), STATUS_SUCCESS);
    /* Saved once more it is the same. */
    static UINT8 copy[4096];
    const UINT32 size = form.size;
    memcpy(copy, form.bytes, size);
    save(100);
    assert_int_equal(form.size, size);
    assert_memory_equal(form.bytes, copy, size);
    put_back();
    server.on_packet = NULL;
    VmbChannelStart(server.channel);
    settle();
    assert_int_equal(server.packets, before + 1);
    assert_int_equal(client.completions, 1);
}

/* ---- restoring what is not right ---- */

/* Saves a channel with some of everything in its hands. */
static void save_some(UINT32 limit)
{
    start();
    seed = 3;
    make_traffic(30);
    VmbChannelPause(server.channel);
    save(limit);
    put_aside();
}

static void go_back(void)
{
    put_back();
    client.on_packet = NULL;
    for (unsigned i = 0; i < client.kept_count; i++) {
        if (i != 1) {
            VmbChannelPacketComplete(client.kept[i], NULL, 0);
        }
    }
    VmbChannelStart(server.channel);
    settle();
}

static void expect_untouched(void)
{
    assert_int_equal(restored, 0);
    assert_int_equal(server.completions, 0);
}

static void every_flipped_byte_is_refused(void **state)
{
    (void)state;
    save_some(FORM_LIMIT / 2);
    assert_int_equal(form.part_count, 1);
    for (UINT32 i = 0; i < form.size; i += i < 400 || i + 400 > form.size ? 1 : 37) {
        for (unsigned bit = 0; bit < 8; bit += 3) {
            form.bytes[i] ^= (UINT8)(1u << bit);
            const NTSTATUS status = restore();
            assert_false(NT_SUCCESS(status));
            assert_int_not_equal(status, STATUS_MORE_PROCESSING_REQUIRED);
            form.bytes[i] ^= (UINT8)(1u << bit);
        }
    }
    expect_untouched();
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_true(restored > 0);
    go_back();
}

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
    const UINT16 newer = 3;
    const UINT16 older = 1;
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

/* The driver's list of what it made, to free what came back. */
static void a_driver_that_refuses_one_packet_refuses_all(void **state)
{
    (void)state;
    save_some(1000);
    for (fail_restore_at = 1; fail_restore_at < 6; fail_restore_at++) {
        restored = 0;
        made_count = 0;
        assert_int_equal(restore(), STATUS_INSUFFICIENT_RESOURCES);
        assert_int_equal(restored, fail_restore_at);
        assert_int_equal(made_count, restored - 1);
        assert_int_equal(server.completions, 0);
        for (unsigned i = 0; i < made_count; i++) {
            VmbPacketFree(made[i]);
        }
    }
    fail_restore_at = 0;
    assert_int_equal(restore(), STATUS_SUCCESS);
    go_back();
}

static void a_new_channel_abandons_what_was_saved(void **state)
{
    (void)state;
    save_some(1000);
    assert_int_equal(VmbServerChannelInitSetFlags(server.channel,
                                                  VMBUS_SERVER_CHANNEL_INIT_FLAG_FORCE_NEW_CHANNEL),
                     STATUS_SUCCESS);
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_true(restored > 5);
    assert_int_equal(server.completions, restored);
    assert_int_equal(server.completion_status, STATUS_CANCELLED);
    go_back();
}

static void packets_whose_driver_saves_nothing_are_restored_without(void **state)
{
    (void)state;
    save_nothing = true;
    save_some(1000);
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_true(restored > 5);
    assert_int_equal(save_calls, restored);
    assert_int_equal(VmbChannelRestoreFromBuffer(server.channel, form.bytes, form.sizes[0]),
                     STATUS_INVALID_DEVICE_REQUEST);
    go_back();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define save_test(function) cmocka_unit_test_setup_teardown(function, setup, pair_teardown)
        save_test(calls_out_of_order_are_refused),
        save_test(nothing_to_save_is_saved_and_restored_too),
        save_test(a_driver_that_cannot_save_ends_the_save),
        save_test(another_process_completes_every_transaction_once),
        save_test(a_deferred_packet_is_delivered_by_the_restored_server),
        save_test(every_flipped_byte_is_refused),
        save_test(every_cut_is_refused_or_waits_for_more),
        save_test(parts_missing_doubled_or_swapped_are_refused),
        save_test(foreign_newer_and_other_forms_are_told_apart),
        save_test(a_driver_that_refuses_one_packet_refuses_all),
        save_test(a_new_channel_abandons_what_was_saved),
        save_test(packets_whose_driver_saves_nothing_are_restored_without),
    };
    return cmocka_run_group_tests_name("pair, save and restore", tests, NULL, NULL);
}
