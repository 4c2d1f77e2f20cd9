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

#include "kernel/work.h"
#include "tests/unit/pair/save.h"

/* ---- the order of calls ---- */

static void calls_out_of_order_are_refused(void **state)
{
    ULONG filled, required;
    UINT8 bytes[64];

    (void)state;
    start_to_save();
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
    start_to_save();
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
    start_to_save();
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

/* ---- another process ---- */

#define PACKETS 128u

/* Packets of the server that were not completed yet, and by now must be, once. */
static bool owed[PACKETS];

static void note_completed(void)
{
    for (unsigned i = 0; i < server.completions; i++) {
        assert_true(owed[server.completed[i]]);
        assert_int_equal(server.completion_status, STATUS_SUCCESS);
        owed[server.completed[i]] = false;
    }
    server.completions = 0;
}

static void restore_from(const char *file_name)
{
    FILE *file = fopen(file_name, "rb");

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
}

/* The guest goes on as if nothing had happened. */
static void finish(unsigned client_sent)
{
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
    note_completed();
    for (unsigned i = 0; i < PACKETS; i++) {
        assert_false(owed[i]);
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
}

/* Saves the paused server into a file and ends its part; another process goes on, perhaps to yet
 * another. Returns how that one ended. */
static int move(unsigned client_sent, unsigned moves)
{
    char file_name[] = "/tmp/test-pair-save-XXXXXX";
    int status;

    note_completed();
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
        restore_from(file_name);
        if (moves == 0) {
            finish(client_sent);
            _exit(0);
        }
        /* Some of it runs here, or nothing does. */
        if (draw(2) == 0) {
            VmbChannelStart(server.channel);
            (void)(draw(2) == 0 && test_host_step());
        }
        while (passive_work_run()) {
        }
        VmbChannelPause(server.channel);
        _exit(move(client_sent, moves - 1) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    (void)unlink(file_name);
    return status;
}

static void one_round(void)
{
    const unsigned requests = draw(60);

    make_traffic(requests);
    if (draw(2) == 0) {
        VmbChannelStart(client.channel);
    }
    if (draw(2) == 0) {
        settle();
    }
    VmbChannelPause(server.channel);
    for (unsigned i = 0; i < PACKETS; i++) {
        owed[i] = i != 1 && i < 5 + requests;
    }
    assert_int_equal(move(requests, draw(3)), 0);
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
        draw_from((UINT32)i + 1);
        start_to_save();
        one_round();
        (void)pair_teardown(state);
        (void)save_setup(state);
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
    start_to_save();
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

/* ---- a driver that does not want them ---- */

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

static VOID sent_again(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    UINT64 word = 1;

    (void)buffer, (void)length;
    server.completions++;
    server.completion_status = status;
    VmbPacketSetCompletionRoutine(packet, pair_recorded);
    assert_int_equal(VmbPacketSend(packet, &word, sizeof(word), NULL, WAIT), STATUS_SUCCESS);
}

/* A driver may send what came back. It waits for the guest then. */
static void what_was_abandoned_can_be_sent_again(void **state)
{
    (void)state;
    save_some(1000);
    assert_int_equal(VmbServerChannelInitSetFlags(server.channel,
                                                  VMBUS_SERVER_CHANNEL_INIT_FLAG_FORCE_NEW_CHANNEL),
                     STATUS_SUCCESS);
    restored_routine = sent_again;
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_int_equal(server.completions, restored);
    assert_int_equal(server.completion_status, STATUS_CANCELLED);
    go_back();
}

static void what_was_restored_and_not_opened_is_saved_as_it_was(void **state)
{
    static UINT8 before[FORM_LIMIT];

    (void)state;
    save_some(FORM_LIMIT / 2);
    const UINT32 size = form.size;
    memcpy(before, form.bytes, size);
    assert_int_equal(restore(), STATUS_SUCCESS);
    save(FORM_LIMIT / 2);
    assert_int_equal(form.size, size);
    assert_memory_equal(form.bytes, before, size);
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

/* The guest leaves no room for answers, and nothing but answers waits. */
static void pause_with_answers(void)
{
    start_to_save();
    VmbChannelSetTransactionQuota(client.channel, 1);
    client.on_packet = pair_keep;
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pair_send(&server, i, i < 3 ? 1000 : 984, 0), STATUS_SUCCESS);
    }
    settle();
    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(pair_send(&client, i, 200, WAIT), STATUS_SUCCESS);
        settle();
    }
    assert_int_equal(server.completions, 4);
    assert_true(client.completions < 8);
    VmbChannelPause(server.channel);
}

static void save_answers(void)
{
    pause_with_answers();
    save(1);
    put_aside();
}

static void let_go_of_answers(void)
{
    VmbChannelSetTransactionQuota(client.channel, 1000);
    client.on_packet = NULL;
    VmbChannelPacketComplete(client.kept[0], NULL, 0);
    settle();
}

/* A machine that does not stand still: as many things wait as before, but not the same. */
static void what_comes_and_goes_during_a_save_ends_it(void **state)
{
    ULONG filled, required;

    (void)state;
    pause_with_answers();
    save(1);
    const unsigned waiting =
        form.part_count - 2; /* a part each; one for the channel, one the end */
    assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_SUCCESS);
    let_go_of_answers();
    assert_int_equal(client.completions, 10);
    for (unsigned i = 0; i < waiting; i++) {
        assert_int_equal(pair_send(&server, i, 8, 0), STATUS_SUCCESS);
    }
    assert_int_equal(
        VmbChannelSaveContinue(server.channel, form.bytes, FORM_LIMIT, &filled, &required),
        STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelSaveEnd(server.channel);
    VmbChannelStart(server.channel);
    settle();
    assert_int_equal(server.completions, 4 + waiting);
}

/* A driver's mistake: what was found good no longer fits. */
static void limits_made_smaller_between_parts_do_no_harm(void **state)
{
    NTSTATUS status = STATUS_MORE_PROCESSING_REQUIRED;
    UINT32 at = 0;

    (void)state;
    save_answers();
    for (UINT32 i = 0; i < form.part_count; i++) {
        assert_int_equal(status, STATUS_MORE_PROCESSING_REQUIRED);
        if (i == form.part_count - 1) {
            assert_int_equal(VmbChannelInitSetMaximumPacketSize(server.channel, 8), STATUS_SUCCESS);
        }
        status = VmbChannelRestoreFromBuffer(server.channel, form.bytes + at, form.sizes[i]);
        at += form.sizes[i];
    }
    assert_true(status == STATUS_SUCCESS || status == STATUS_INVALID_PARAMETER);
    put_back();
    let_go_of_answers();
    VmbChannelStart(server.channel);
    settle();
    assert_int_equal(client.completions, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        save_test(calls_out_of_order_are_refused),
        save_test(nothing_to_save_is_saved_and_restored_too),
        save_test(a_driver_that_cannot_save_ends_the_save),
        save_test(another_process_completes_every_transaction_once),
        save_test(a_deferred_packet_is_delivered_by_the_restored_server),
        save_test(a_driver_that_refuses_one_packet_refuses_all),
        save_test(a_new_channel_abandons_what_was_saved),
        save_test(what_was_abandoned_can_be_sent_again),
        save_test(what_was_restored_and_not_opened_is_saved_as_it_was),
        save_test(packets_whose_driver_saves_nothing_are_restored_without),
        save_test(what_comes_and_goes_during_a_save_ends_it),
        save_test(limits_made_smaller_between_parts_do_no_harm),
    };
    return cmocka_run_group_tests_name("pair, save and restore", tests, NULL, NULL);
}
