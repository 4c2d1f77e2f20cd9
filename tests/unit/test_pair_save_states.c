/* SPDX-License-Identifier: MIT */
/*
 * A machine is saved whenever its owner likes, so channels are met in every state, and guests in
 * every mood. The order of calls is that of docs/porting.md.
 */

#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/pair/save.h"
#include "vmbus/kmcl/kmcl.h"

/* ---- what a VMM does ---- */

/* The guest's processors stand still: nothing of it moves from here on. */
static void save_machine(void)
{
    while (passive_work_run()) { /* the host ends what it was at */
    }
    VmbChannelPause(server.channel);
    save(FORM_LIMIT / 2);
    assert_int_equal(vmbus_server_save(loopback_server, form.bus, FORM_LIMIT, &form.bus_size),
                     VMBUS_OK);
}

/* In place of the server that is here; the guest's memory is as it was. */
static void restore_machine(bool bus_too)
{
    loopback_replace_forked(NULL);
    memset(&server, 0, sizeof(server));
    make_server();
    assert_int_equal(restore(), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    if (bus_too) {
        assert_int_equal(vmbus_server_restore(loopback_server, form.bus, form.bus_size),
                         VMBUS_SERVER_RESTORED);
    }
    VmbChannelStart(server.channel);
}

/* Saves, and goes on elsewhere; what an assertion finds there fails the test here. */
static void move(void (*go_on)(void))
{
    int status;

    save_machine();
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        restore_machine(true);
        go_on();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
}

/* The channel carries packets both ways. */
static void expect_usable(void)
{
    const unsigned before[2] = {client.completions, server.completions};

    client.on_packet = NULL;
    assert_int_equal(pair_send(&client, 500, 16, WAIT), STATUS_SUCCESS);
    assert_int_equal(pair_send(&server, 501, 16, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.completions, before[0] + 1);
    assert_int_equal(server.completions, before[1] + 1);
    assert_int_equal(server.completion_status, STATUS_SUCCESS);
}

/* ---- guests that broke their ring ---- */

static void break_ring(void)
{
    const struct kmcl_channel *channel = (const struct kmcl_channel *)(void *)client.channel;
    const UINT32 nonsense = 3;

    memcpy((void *)channel->writer->control, &nonsense, sizeof(nonsense));
    (void)vmbus_server_signal(
        loopback_server,
        VMBUS_SERVER_CONNECTION_ID_BASE + loopback_word(loopback_to_guest(1, 0), 184), 0);
    settle();
}

static void expect_closed_until_the_guest_closes(void)
{
    settle();
    assert_state(server, "closed");
    assert_trace(server, "OSPUC");
    VmbChannelDisable(client.channel);
    settle();
    assert_state(server, "offered");
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    expect_usable();
}

static void a_guest_that_broke_its_ring_does_not_hold_up_a_save(void **state)
{
    (void)state;
    start_to_save();
    break_ring();
    assert_state(server, "closed");
    move(expect_closed_until_the_guest_closes);
    VmbChannelStart(server.channel);
    VmbChannelDisable(client.channel);
    settle();
    assert_state(server, "offered");
}

static void a_pause_of_a_channel_that_waits_for_its_guest_lasts_over_the_next_open(void **state)
{
    (void)state;
    start_to_save();
    break_ring();
    VmbChannelPause(server.channel);
    VmbChannelDisable(client.channel);
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_trace(server, "OSPUCO");
    assert_state(server, "paused");
    VmbChannelStart(server.channel);
    assert_trace(server, "OSPUCOSP");
}

/* ---- guests that act at the last moment ---- */

static void expect_offered(void)
{
    settle();
    assert_state(server, "offered");
    assert_trace(server, "");
    assert_int_equal(server.completions, 0);
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    expect_usable();
}

/* Its CLOSE is with the host, which has not got round to it. */
static void a_close_right_before_the_save_is_worked_off_first(void **state)
{
    (void)state;
    start_to_save();
    const UINT32 message[3] = {7, 0, loopback_word(loopback_to_guest(1, 0), 184)};
    VmbChannelPause(server.channel);
    assert_int_equal(vmbus_server_message(loopback_server, loopback_from_guest(5, 0)->number,
                                          message, sizeof(message)),
                     HV_STATUS_SUCCESS);
    assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_INVALID_DEVICE_REQUEST);
    while (passive_work_run()) {
    }
    assert_int_equal(VmbChannelSaveBegin(server.channel), STATUS_SUCCESS);
    VmbChannelSaveEnd(server.channel);
    assert_state(server, "offered");
}

static void expect_open_again(void)
{
    settle();
    assert_state(server, "active");
    assert_trace(server, "OSP");
    expect_usable();
}

static void an_open_right_before_the_save_is_answered_afterwards(void **state)
{
    (void)state;
    make_server();
    pair_make(&client, FALSE);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    VmbChannelStart(server.channel);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_trace(server, "OSP");
    move(expect_open_again);
    VmbChannelStart(server.channel);
    expect_usable();
}

static void offer_to_a_guest_that_does_not_open(void)
{
    make_server();
    pair_make(&client, FALSE);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    settle();
}

static void a_channel_that_nobody_opened_is_saved_and_offered_again(void **state)
{
    (void)state;
    offer_to_a_guest_that_does_not_open();
    move(expect_offered);
}

static void expect_the_queue_flows(void)
{
    settle();
    assert_int_equal(server.completions, 0);
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.completions, 3);
    assert_int_equal(server.completion_status, STATUS_SUCCESS);
    assert_int_equal(client.packets, 3);
    expect_usable();
}

/* What is sent to a closed channel waits for the next open, wherever that is. */
static void packets_that_wait_for_an_open_still_do_elsewhere(void **state)
{
    (void)state;
    offer_to_a_guest_that_does_not_open();
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pair_send(&server, i, 16, WAIT), STATUS_SUCCESS);
    }
    move(expect_the_queue_flows);
    VmbChannelStart(server.channel);
    expect_the_queue_flows();
}

static void fail_packet(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                        UINT32 flags)
{
    (void)end, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketFail(packet);
}

static void expect_nothing_until_the_guest_opens_anew(void)
{
    server.on_packet = NULL;
    settle();
    assert_int_equal(server.packets, 0);
    assert_state(server, "active");
    VmbChannelDisable(client.channel);
    settle();
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    expect_usable();
}

static void move_once_more(void)
{
    move(expect_nothing_until_the_guest_opens_anew);
    VmbChannelStart(server.channel);
    expect_nothing_until_the_guest_opens_anew();
}

static void a_queue_that_its_driver_stopped_is_stopped_elsewhere_too(void **state)
{
    (void)state;
    start_to_save();
    server.on_packet = fail_packet;
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(pair_send(&client, i, 16, 0), STATUS_SUCCESS);
    }
    settle();
    assert_int_equal(server.packets, 1);
    move(move_once_more);
    server.packets = 0;
    VmbChannelStart(server.channel);
    expect_nothing_until_the_guest_opens_anew();
}

/* ---- guests that start anew ---- */

/* What was restored belongs to an open channel that is no more: nobody will answer it, and answers
 * of ours would be to nobody. */
static void what_was_restored_ends_when_the_guest_opens_anew(void **state)
{
    int status;

    (void)state;
    start_to_save();
    make_traffic(60);
    VmbChannelPause(server.channel);
    save(FORM_LIMIT / 2);
    (void)fflush(NULL);
    pid_t child = fork();
    client.on_packet = NULL;
    if (child == 0) {
        for (unsigned i = 0; i < client.kept_count; i++) {
            if (i != 1) {
                VmbChannelPacketComplete(client.kept[i], NULL, 0);
            }
        }
        VmbChannelDisable(client.channel);
        settle();
        assert_int_equal(vmbus_disconnect(), VMBUS_OK);
        client.completions = 0;
        restore_machine(false);
        assert_int_equal(vmbus_connect(), VMBUS_OK);
        assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
        settle();
        assert_state(client, "active");
        assert_int_equal(server.completions, restored);
        assert_int_equal(server.completion_status, STATUS_DEVICE_REMOVED);
        expect_usable();
        assert_state(client, "active");
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    VmbChannelStart(server.channel);
    for (unsigned i = 0; i < client.kept_count; i++) {
        if (i != 1) {
            VmbChannelPacketComplete(client.kept[i], NULL, 0);
        }
    }
    settle();
}

/* ---- servers that are saved twice ---- */

static unsigned kept_before;

static void expect_each_once(void)
{
    settle();
    for (unsigned i = 0; i < kept_before; i++) {
        VmbChannelPacketComplete(client.kept[i], NULL, 0);
    }
    settle();
    assert_int_equal(server.completions, kept_before);
    expect_usable();
}

static void move_on(void)
{
    settle();
    move(expect_each_once);
}

static void a_machine_that_moves_twice_completes_everything_once(void **state)
{
    (void)state;
    start_to_save();
    client.on_packet = pair_keep;
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(pair_send(&server, i, 64, WAIT), STATUS_SUCCESS);
    }
    settle();
    kept_before = client.kept_count;
    assert_int_equal(kept_before, 20);
    move(move_on);
    VmbChannelStart(server.channel);
    expect_each_once();
}

/* ---- ranges of transfer pages that wait ---- */

static unsigned with_ranges;

static void count_ranges(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                         UINT32 flags)
{
    const KMCL_TRANSFER_PAGE_RANGE *ranges;
    UINT32 count;

    (void)end, (void)buffer, (void)length, (void)flags;
    assert_int_equal(KmclPacketGetTransferPages(packet, &ranges, &count), STATUS_SUCCESS);
    assert_int_equal(count, 2);
    assert_int_equal(ranges[1].ByteCount, 100 + with_ranges);
    assert_int_equal(ranges[1].ByteOffset, with_ranges);
    with_ranges++;
    VmbChannelPacketComplete(packet, "done....", 8);
}

static void expect_ranges(void)
{
    with_ranges = 0;
    client.on_packet = count_ranges;
    VmbChannelStart(client.channel);
    settle();
    assert_int_equal(with_ranges, 150);
    assert_int_equal(server.completions, 150);
}

static void queued_packets_keep_their_ranges(void **state)
{
    UINT64 payload = 107;

    (void)state;
    start_to_save();
    assert_int_equal(KmclClientChannelSetTransferPages(client.channel, 1, PAGE_SIZE),
                     STATUS_SUCCESS);
    VmbChannelPause(client.channel);
    for (unsigned i = 0; i < 150; i++) {
        const KMCL_TRANSFER_PAGE_RANGE ranges[] = {{1, 2}, {100 + i, i}};
        assert_int_equal(KmclServerPacketSendWithTransferPages(pair_packet(&server, i), &payload,
                                                               sizeof(payload), 1, ranges, 2, WAIT),
                         STATUS_SUCCESS);
    }
    move(expect_ranges);
    VmbChannelStart(server.channel);
    expect_ranges();
}

/* ---- a packet that was put off ---- */

static void defer(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                  UINT32 flags)
{
    (void)end, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketDeferToPassive(packet);
}

static void answer_at_length(struct end *end, VMBPACKETCOMPLETION packet, void *buffer,
                             UINT32 length, UINT32 flags)
{
    static UINT8 answer[1024] = {1, 2, 3};

    (void)end, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketComplete(packet, answer, sizeof(answer));
}

static void expect_long_answer(void)
{
    server.on_packet = answer_at_length;
    VmbChannelStart(server.channel);
    settle();
    assert_int_equal(client.completions, 0); /* there is no room for it yet */
    VmbChannelSetTransactionQuota(client.channel, 1000);
    client.on_packet = NULL;
    VmbChannelPacketComplete(client.kept[0], NULL, 0);
    settle();
    assert_int_equal(client.completions, 1);
    assert_int_equal(client.completion_length, 1024);
    assert_int_equal(client.completion[2], 3);
}

static void a_deferred_packet_may_be_answered_at_length_afterwards(void **state)
{
    (void)state;
    start_to_save();
    VmbChannelSetTransactionQuota(client.channel, 1);
    client.on_packet = pair_keep;
    for (unsigned i = 0; i < 4; i++) { /* so that an answer has to wait */
        assert_int_equal(pair_send(&server, i, 1000, 0), STATUS_SUCCESS);
    }
    settle();
    server.on_packet = defer;
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    while (server.packets == 0 && test_host_step()) {
    }
    assert_int_equal(server.packets, 1);
    VmbChannelPause(server.channel);
    save_machine();
    int status;
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        loopback_replace_forked(NULL);
        memset(&server, 0, sizeof(server));
        make_server();
        assert_int_equal(restore(), STATUS_SUCCESS);
        assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
        assert_int_equal(vmbus_server_restore(loopback_server, form.bus, form.bus_size),
                         VMBUS_SERVER_RESTORED);
        while (passive_work_run()) {
        }
        expect_long_answer();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    expect_long_answer();
}

/* ---- sub-channels ---- */

static struct end client_sub;
static struct end server_sub;

static void make_server_sub(void)
{
    memset(&server_sub, 0, sizeof(server_sub));
    pair_make(&server_sub, TRUE);
    assert_int_equal(KmclServerChannelInitSetPrimary(server_sub.channel, server.channel, 1),
                     STATUS_SUCCESS);
}

static void start_server_sub(void)
{
    assert_int_equal(VmbChannelEnable(server_sub.channel), STATUS_SUCCESS);
    VmbChannelStart(server_sub.channel);
    settle();
}

static void expect_sub_usable(void)
{
    const unsigned before = server_sub.packets;

    assert_state(server_sub, "active");
    assert_int_equal(pair_send(&client_sub, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(server_sub.packets, before + 1);
    expect_usable();
}

static void a_sub_channel_moves_with_its_primary(void **state)
{
    int status;

    (void)state;
    start_to_save();
    make_server_sub();
    start_server_sub();
    memset(&client_sub, 0, sizeof(client_sub));
    pair_make(&client_sub, FALSE);
    assert_int_equal(KmclClientChannelInitSetPrimary(client_sub.channel, client.channel, 1, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(client_sub.channel), STATUS_SUCCESS);
    settle();
    expect_sub_usable();
    VmbChannelPause(server_sub.channel);
    save_machine();
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        loopback_replace_forked(NULL);
        memset(&server, 0, sizeof(server));
        make_server();
        assert_int_equal(restore(), STATUS_SUCCESS);
        make_server_sub();
        /* What was saved of the primary is not for it. */
        assert_int_equal(VmbChannelRestoreFromBuffer(server_sub.channel, form.bytes, form.size),
                         STATUS_OBJECT_TYPE_MISMATCH);
        assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
        assert_int_equal(VmbChannelEnable(server_sub.channel), STATUS_SUCCESS);
        assert_int_equal(vmbus_server_restore(loopback_server, form.bus, form.bus_size),
                         VMBUS_SERVER_RESTORED);
        VmbChannelStart(server.channel);
        VmbChannelStart(server_sub.channel);
        settle();
        expect_sub_usable();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    VmbChannelStart(server.channel);
    VmbChannelStart(server_sub.channel);
    expect_sub_usable();
    pair_end(&client_sub);
    pair_end(&server_sub);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        save_test(a_guest_that_broke_its_ring_does_not_hold_up_a_save),
        save_test(a_pause_of_a_channel_that_waits_for_its_guest_lasts_over_the_next_open),
        save_test(a_close_right_before_the_save_is_worked_off_first),
        save_test(an_open_right_before_the_save_is_answered_afterwards),
        save_test(a_channel_that_nobody_opened_is_saved_and_offered_again),
        save_test(packets_that_wait_for_an_open_still_do_elsewhere),
        save_test(a_queue_that_its_driver_stopped_is_stopped_elsewhere_too),
        save_test(what_was_restored_ends_when_the_guest_opens_anew),
        save_test(a_machine_that_moves_twice_completes_everything_once),
        save_test(queued_packets_keep_their_ranges),
        save_test(a_deferred_packet_may_be_answered_at_length_afterwards),
        save_test(a_sub_channel_moves_with_its_primary),
    };
    return cmocka_run_group_tests_name("pair, states that are saved", tests, NULL, NULL);
}
