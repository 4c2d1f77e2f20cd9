/* SPDX-License-Identifier: MIT */
/* Saves and restores that cannot be completed: memory that is not there, drivers that do not do
 * their part. What was refused has changed nothing. */

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "kernel/work.h"
#include "tests/unit/pair/save.h"
#include "vmbus/kmcl/server/kmcl_saved.h"
#include "vmbus/server/checksum.h"

/* ---- a driver that may do its part or not ---- */

static VMBPACKET taken[256];
static unsigned taken_count;
static unsigned calls;
static unsigned forget_at; /* the nth packet, from 1 */

static NTSTATUS take(VMBCHANNEL channel, PVOID lib, UINT32 lib_size, PVOID saved, UINT32 size)
{
    UINT64 number = 0;

    calls++;
    if (calls == forget_at) {
        return STATUS_SUCCESS;
    }
    assert_true(size >= sizeof(number));
    memcpy(&number, saved, sizeof(number));
    VMBPACKET packet = VmbPacketAllocate(channel);
    if (packet == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    VmbPacketSetCompletionRoutine(packet, pair_recorded);
    VmbPacketSetPointer(packet, (void *)(uintptr_t)number);
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size), STATUS_SUCCESS);
    taken[taken_count++] = packet;
    return STATUS_SUCCESS;
}

/* What a failed restore left the driver with. */
static void free_taken(void)
{
    while (taken_count > 0) {
        VmbPacketFree(taken[--taken_count]);
    }
}

static NTSTATUS (*save_with)(PVOID buffer, UINT32 size, PUINT32 needed);

static NTSTATUS save_packet(VMBCHANNEL channel, VMBPACKET packet, PVOID buffer, UINT32 size,
                            PUINT32 needed)
{
    const UINT64 number = (uintptr_t)VmbPacketGetPointer(packet);

    (void)channel;
    if (save_with != NULL) {
        return save_with(buffer, size, needed);
    }
    *needed = sizeof(number);
    if (size < sizeof(number)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    memcpy(buffer, &number, sizeof(number));
    return STATUS_SUCCESS;
}

static void make_careful_server(void)
{
    taken_count = 0;
    calls = 0;
    forget_at = 0;
    save_with = NULL;
    memset(&server, 0, sizeof(server));
    make_server();
    assert_int_equal(
        VmbServerChannelInitSetSaveRestorePacketCallbacks(server.channel, save_packet, take),
        STATUS_SUCCESS);
}

static void defer(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                  UINT32 flags)
{
    (void)end, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketDeferToPassive(packet);
}

/* Some of everything: packets that the guest has, packets and answers that wait, one put off. */
static void start_and_pause(void)
{
    make_careful_server();
    pair_start();
    VmbChannelSetTransactionQuota(client.channel, 1);
    client.on_packet = pair_keep;
    for (unsigned i = 0; i < 6; i++) {
        assert_int_equal(pair_send(&server, i, 900, WAIT), STATUS_SUCCESS);
    }
    settle();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pair_send(&client, i, 200, WAIT), STATUS_SUCCESS);
    }
    settle();
    server.on_packet = defer;
    assert_int_equal(pair_send(&client, 9, 8, WAIT), STATUS_SUCCESS);
    while (server.packets == 3 && test_host_step()) {
    }
    assert_int_equal(server.packets, 4);
    VmbChannelPause(server.channel);
    server.on_packet = NULL;
}

static void let_go(void)
{
    VmbChannelSetTransactionQuota(client.channel, 1000);
    client.on_packet = NULL;
    VmbChannelPacketComplete(client.kept[0], NULL, 0);
    VmbChannelStart(server.channel);
    settle();
    assert_int_equal(server.completions, 6);
    assert_int_equal(client.completions, 4);
}

/* ---- no memory ---- */

static NTSTATUS try_to_save(void)
{
    ULONG required;
    NTSTATUS status = VmbChannelSaveBegin(server.channel);

    if (status == STATUS_SUCCESS) {
        ULONG filled;
        status = VmbChannelSaveContinue(server.channel, form.bytes, FORM_LIMIT, &filled, &required);
        form.size = filled;
        form.sizes[0] = filled;
        form.part_count = 1;
        VmbChannelSaveEnd(server.channel);
    }
    return status;
}

static void no_memory_at_any_moment_of_a_save(void **state)
{
    NTSTATUS status = STATUS_PENDING;

    (void)state;
    start_and_pause();
    for (unsigned n = 1; status != STATUS_SUCCESS; n++) {
        test_memory_fail(n);
        status = try_to_save();
        assert_true(status == STATUS_SUCCESS || status == STATUS_INSUFFICIENT_RESOURCES);
        assert_true(n < 100);
    }
    test_memory_fail(0);
    const UINT32 size = form.size;
    save(FORM_LIMIT / 2);
    assert_int_equal(form.size, size);
    let_go();
}

static void no_memory_at_any_moment_of_a_restore(void **state)
{
    NTSTATUS status = STATUS_PENDING;
    unsigned failures = 0;

    (void)state;
    start_and_pause();
    save(200);
    put_aside();
    VmbChannelCleanup(server.channel);
    make_careful_server();
    for (unsigned n = 1; status != STATUS_SUCCESS; n++) {
        calls = 0;
        test_memory_fail(n);
        status = restore();
        test_memory_fail(0);
        if (status != STATUS_SUCCESS) {
            assert_int_equal(status, STATUS_INSUFFICIENT_RESOURCES);
            assert_int_equal(server.completions, 0);
            free_taken();
            failures++;
        }
        assert_true(n < 200);
    }
    assert_true(failures > 10);
    assert_int_equal(taken_count, 6);
    VmbChannelCleanup(server.channel);
    make_careful_server();
    put_back();
    let_go();
}

/* ---- drivers that do not do their part ---- */

static NTSTATUS want_too_much(PVOID buffer, UINT32 size, PUINT32 needed)
{
    *needed = KMCL_SAVED_DRIVER_LIMIT + 1;
    if (size < *needed) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    memset(buffer, 0, size);
    return STATUS_SUCCESS;
}

static NTSTATUS want_nothing_and_fail(PVOID buffer, UINT32 size, PUINT32 needed)
{
    (void)buffer, (void)size;
    *needed = 0;
    return STATUS_NOT_SUPPORTED;
}

static NTSTATUS say_more_than_there_was_room_for(PVOID buffer, UINT32 size, PUINT32 needed)
{
    (void)buffer;
    *needed = size == 0 ? 8 : size + 1;
    return size == 0 ? STATUS_BUFFER_TOO_SMALL : STATUS_SUCCESS;
}

/* In another process: a guest that stops frees nothing. */
static void expect_stop_elsewhere(void)
{
    int status;

    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        save_with = say_more_than_there_was_room_for;
        expect_panic((void)try_to_save());
        _exit(strstr(test_panic_message(), "EvtVmbChannelSavePacket") != NULL ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

static void a_driver_that_wants_too_much_or_nothing_ends_the_save(void **state)
{
    (void)state;
    start_and_pause();
    save_with = want_too_much;
    assert_int_equal(try_to_save(), STATUS_BUFFER_TOO_SMALL);
    save_with = want_nothing_and_fail;
    assert_int_equal(try_to_save(), STATUS_NOT_SUPPORTED);
    expect_stop_elsewhere();
    save_with = NULL;
    assert_int_equal(try_to_save(), STATUS_SUCCESS);
    let_go();
}

static void packets_without_callbacks_cannot_be_saved(void **state)
{
    (void)state;
    pair_start();
    VmbChannelPause(client.channel);
    assert_int_equal(pair_send(&server, 1, 8, WAIT), STATUS_SUCCESS);
    VmbChannelPause(server.channel);
    assert_int_equal(try_to_save(), STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelStart(server.channel);
    VmbChannelStart(client.channel);
    settle();
    assert_int_equal(server.completions, 1);
}

/* ---- ids ---- */

/* Gives the second packet of the form the id of the first. */
static void give_one_id_twice(void)
{
    const size_t id = sizeof(struct kmcl_saved_chunk);
    UINT32 first = 0;
    UINT32 checksum = 0;

    for (UINT32 at = 0; at < form.size;) {
        struct kmcl_saved_chunk chunk;
        memcpy(&chunk, form.bytes + at, sizeof(chunk));
        if (chunk.kind == SAVED_PACKET && first == 0) {
            first = at;
        } else if (chunk.kind == SAVED_PACKET && chunk.number == 3) {
            memcpy(form.bytes + at + id, form.bytes + first + id, sizeof(UINT64));
        }
        chunk.checksum = 0;
        memcpy(form.bytes + at, &chunk, sizeof(chunk));
        checksum = vmbus_checksum(checksum, form.bytes + at, chunk.size);
        chunk.checksum = checksum;
        memcpy(form.bytes + at, &chunk, sizeof(chunk));
        at += chunk.size;
    }
}

static void an_id_that_stands_twice_is_refused(void **state)
{
    static UINT8 sound[65536];

    (void)state;
    start_and_pause();
    save(FORM_LIMIT / 2);
    put_aside();
    VmbChannelCleanup(server.channel);
    make_careful_server();
    assert_true(form.size <= sizeof(sound));
    memcpy(sound, form.bytes, form.size);
    give_one_id_twice();
    assert_int_equal(restore(), STATUS_CRC_ERROR);
    assert_int_equal(calls, 0);
    memcpy(form.bytes, sound, form.size);
    assert_int_equal(restore(), STATUS_SUCCESS);
    put_back();
    let_go();
}

/* ---- packets that a driver does not want back ---- */

static void restore_machine(void)
{
    loopback_replace_forked(NULL);
    const unsigned forget = forget_at;
    make_careful_server();
    forget_at = forget;
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    assert_int_equal(vmbus_server_restore(loopback_server, form.bus, form.bus_size),
                     VMBUS_SERVER_RESTORED);
    while (passive_work_run()) {
    }
    assert_state(server, "paused");
}

static void save_machine(void)
{
    save(FORM_LIMIT / 2);
    assert_int_equal(vmbus_server_save(loopback_server, form.bus, FORM_LIMIT, &form.bus_size),
                     VMBUS_OK);
}

static void answers_to_what_is_not_wanted_back_are_taken_and_dropped(void **state)
{
    KMCL_CHANNEL_STATISTICS statistics;
    int status;

    (void)state;
    start_and_pause();
    save_machine();
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        forget_at = 1;
        restore_machine();
        save_machine(); /* that one too is saved, as nobody's */
        forget_at = 0;
        restore_machine();
        VmbChannelSetTransactionQuota(client.channel, 1000);
        client.on_packet = NULL;
        VmbChannelPacketComplete(client.kept[0], NULL, 0);
        VmbChannelStart(server.channel);
        settle();
        KmclChannelGetStatistics(server.channel, &statistics);
        assert_int_equal(statistics.CompletionsLate, 1);
        assert_int_equal(server.completions, 5);
        assert_int_equal(client.completions, 4);
        assert_state(server, "active");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    let_go();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        save_test(no_memory_at_any_moment_of_a_save),
        save_test(no_memory_at_any_moment_of_a_restore),
        save_test(a_driver_that_wants_too_much_or_nothing_ends_the_save),
        save_test(packets_without_callbacks_cannot_be_saved),
        save_test(an_id_that_stands_twice_is_refused),
        save_test(answers_to_what_is_not_wanted_back_are_taken_and_dropped),
    };
    return cmocka_run_group_tests_name("pair, saves that fail", tests, NULL, NULL);
}
