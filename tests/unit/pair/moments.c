/* SPDX-License-Identifier: MIT */
#include "tests/unit/pair/moments.h"

#include <string.h>

#include "arch/cpu.h"
#include "callback_order.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/work.h"
#include "vmbus/kmcl/kmcl.h"

static const struct intrusion *intrusion;
static struct work_item work;
static bool is_over;
static size_t trace_before; /* letters of the end that closes, when it came */
static unsigned sent[2];
static UINT8 *memory;
static UINT32 gpadl;
static UINT32 mapped;

bool is_below(const struct end *end)
{
    return kmcl_is_below((const struct kmcl_channel *)(void *)end->channel);
}

/* One more moment, inside a callback. */
static void gap(void)
{
    arch_interrupts_restore(arch_interrupts_disable());
}

/* ---- the drivers ---- */

static void complete_kept(struct end *end)
{
    while (end->kept_count > 0) {
        VmbChannelPacketComplete(end->kept[--end->kept_count], "answer..", 8);
    }
}

static void delete_gpadl(void)
{
    const UINT32 handle = gpadl;

    gpadl = 0; /* first: what runs in the middle must not delete it too */
    if (handle != 0) {
        VmbChannelDeleteGpadl(client.channel, handle);
    }
}

static void unmap_gpadl(void)
{
    const UINT32 handle = mapped;

    mapped = 0;
    if (handle != 0) {
        VmbChannelUnmapGpadl(server.channel, handle);
    }
}

static void on_state(struct end *end, char letter)
{
    gap();
    if (letter == 'U') {
        complete_kept(end);
        if (end == &server) {
            unmap_gpadl(); /* or a client that closes waits for it */
        }
    }
    if (letter == 'C' && end == &client) {
        delete_gpadl();
    }
}

static void on_packet(struct end *end, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length,
                      UINT32 flags)
{
    (void)flags;
    gap();
    if (end->packets % 3 == 0) {
        pair_keep(end, packet, buffer, length, flags);
    } else {
        VmbChannelPacketComplete(packet, buffer, length);
    }
}

static void on_batch(struct end *end)
{
    (void)end;
    gap();
}

/* ---- a life ---- */

static void send_some(struct end *end)
{
    for (unsigned i = 0; i < 3; i++) {
        sent[end == &server] += pair_send(end, i, 500, i == 1 ? 0 : WAIT) == STATUS_SUCCESS;
    }
}

static void share(void)
{
    UINT32 handle;
    PMDL mdl;

    if (VmbChannelCreateGpadlFromBuffer(client.channel, 0, memory, PAGE_SIZE, &handle) !=
        STATUS_SUCCESS) {
        return;
    }
    gpadl = handle;
    if (VmbChannelMapGpadl(server.channel, 0, handle, &mdl) == STATUS_SUCCESS) {
        mapped = handle;
        gap();
        unmap_gpadl();
    }
    delete_gpadl();
}

static void ask(void)
{
    LARGE_INTEGER limit = {.QuadPart = -(int64_t)CLOCK_SECOND};
    UINT64 word = 7;
    UINT64 answer[2];
    UINT32 size = sizeof(answer);

    (void)VmbChannelSendSynchronousRequest(client.channel, &word, sizeof(word), NULL, WAIT, answer,
                                           &size, &limit);
}

static void complete_all(void)
{
    complete_kept(&client);
    complete_kept(&server);
}

static void pause_and_start(struct end *end)
{
    VmbChannelPause(end->channel);
    send_some(&client);
    send_some(&server);
    settle();
    VmbChannelStart(end->channel);
    settle();
    complete_all();
}

static void live(void)
{
    send_some(&client); /* before anything */
    (void)VmbChannelEnable(server.channel);
    VmbChannelStart(server.channel);
    (void)vmbus_connect();
    (void)VmbChannelEnable(client.channel);
    settle();
    send_some(&server);
    send_some(&client);
    settle();
    complete_all();
    share();
    pause_and_start(&server);
    pause_and_start(&client);
    ask();
    complete_all();
    VmbChannelDisable(client.channel);
    settle();
    (void)VmbChannelEnable(client.channel);
    settle();
    send_some(&client);
    complete_all();
    VmbChannelDisable(server.channel);
    settle();
    complete_all();
    VmbChannelDisable(client.channel);
    unmap_gpadl();
    delete_gpadl();
}

/* ---- each moment ---- */

static void intrude(void *context)
{
    (void)context;
    is_over = true;
    if (intrusion->closes != NULL) {
        trace_before = strlen(intrusion->closes->trace);
    }
    intrusion->act();
}

static void moment_comes(void *context)
{
    (void)context;
    if (intrusion->at_passive) {
        passive_work_queue(&work);
    } else {
        deferred_work_queue(&work);
    }
}

/* Returns whether it came to that moment. */
static bool live_with(unsigned moment, BOOLEAN at_passive)
{
    struct vmbus_statistics statistics;
    void *state = NULL;

    (void)pair_setup(&state);
    memset(sent, 0, sizeof(sent));
    gpadl = 0;
    mapped = 0;
    is_over = false;
    trace_before = 0;
    vmbus_statistics(&statistics);
    const uint64_t kept_before = statistics.pages_kept;
    work_item_initialise(&work, intrude, NULL);
    memory = pages_allocate(1);
    pair_make(&server, TRUE);
    pair_make(&client, FALSE);
    for (unsigned i = 0; i < 2; i++) {
        struct end *end = i == 0 ? &client : &server;
        VmbChannelSetIncomingProcessingAtPassive(end->channel, at_passive);
        end->on_state = on_state;
        end->on_packet = on_packet;
        end->on_batch = on_batch;
    }
    test_interrupt_later(moment, moment_comes, NULL);
    live();
    const bool came = !test_interrupt_still_to_come();
    (void)passive_work_cancel(&work);
    pair_end(&client);
    const unsigned client_ended = client.completions;
    pair_end(&server);
    check_callback_order("client", client.trace);
    check_callback_order("server", server.trace);
    if (intrusion->closes != NULL && is_over) {
        check_callbacks_of_close(intrusion->closes->trace, trace_before);
    }
    assert_int_equal(client_ended, sent[0]);
    assert_int_equal(server.completions, sent[1]);
    pages_free(memory, 1);
    if (vmbus_connection_state() == VMBUS_CONNECTED) {
        (void)vmbus_disconnect();
    }
    settle();
    vmbus_statistics(&statistics);
    if (intrusion->ends_connection) {
        test_pages_count -= statistics.pages_kept - kept_before;
    }
    (void)pair_teardown(&state);
    return came;
}

void at_each_moment(const struct intrusion *wanted)
{
    intrusion = wanted;
    for (BOOLEAN at_passive = FALSE; at_passive <= TRUE; at_passive++) {
        unsigned moment = 1 + at_passive;
        while (live_with(moment, at_passive)) {
            moment += wanted->stride;
        }
        print_message("%u moments\n", moment - 1);
        assert_true(moment > 500);
    }
}
