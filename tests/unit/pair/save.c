/* SPDX-License-Identifier: MIT */
#include "tests/unit/pair/save.h"

#include <string.h>

struct form form;

/* ---- the driver's part: its packets' numbers, and some bytes more ---- */

unsigned save_calls;
NTSTATUS save_failure;
bool save_nothing;
unsigned restored;
unsigned fail_restore_at; /* the nth, from 1 */
VMBPACKET made[256];
unsigned made_count;
PFN_VMB_PACKET_COMPLETION_ROUTINE restored_routine;

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
    VmbPacketSetCompletionRoutine(packet, restored_routine);
    assert_int_equal(VmbPacketRestore(packet, (UINT8 *)lib + 8, lib_size),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size - 8), STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size), STATUS_SUCCESS);
    made[made_count++ % 256] = packet;
    assert_int_equal(VmbPacketRestore(packet, lib, lib_size), STATUS_INVALID_PARAMETER_1);
    return STATUS_SUCCESS;
}

void make_server(void)
{
    pair_make(&server, TRUE);
    assert_int_equal(VmbServerChannelInitSetSaveRestorePacketCallbacks(server.channel, save_packet,
                                                                       restore_packet),
                     STATUS_SUCCESS);
}

int save_setup(void **state)
{
    save_calls = 0;
    save_failure = STATUS_SUCCESS;
    save_nothing = false;
    restored = 0;
    fail_restore_at = 0;
    made_count = 0;
    restored_routine = pair_recorded;
    return pair_setup(state);
}

void start_to_save(void)
{
    make_server();
    pair_start();
}

/* ---- saving ---- */

void save(UINT32 limit)
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

NTSTATUS restore(void)
{
    NTSTATUS status = STATUS_MORE_PROCESSING_REQUIRED;
    UINT32 at = 0;

    for (UINT32 i = 0; i < form.part_count && status == STATUS_MORE_PROCESSING_REQUIRED; i++) {
        status = VmbChannelRestoreFromBuffer(server.channel, form.bytes + at, form.sizes[i]);
        at += form.sizes[i];
    }
    return status;
}

static struct end saved_end;

void put_aside(void)
{
    saved_end = server;
    memset(&server, 0, sizeof(server));
    make_server();
}

void put_back(void)
{
    VmbChannelCleanup(server.channel);
    server = saved_end;
    VmbChannelSetPointer(server.channel, &server);
}

/* ---- packets in every state ---- */

void make_traffic(unsigned requests)
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

void save_some(UINT32 limit)
{
    start_to_save();
    draw_from(3);
    make_traffic(30);
    VmbChannelPause(server.channel);
    save(limit);
    put_aside();
}

void go_back(void)
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

void expect_untouched(void)
{
    assert_int_equal(restored, 0);
    assert_int_equal(server.completions, 0);
}
