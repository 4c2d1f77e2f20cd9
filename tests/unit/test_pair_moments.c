/* SPDX-License-Identifier: MIT */
/* Both ends of a channel, with a guest, a host or a driver that acts at any moment. */

#include <string.h>

#include "kernel/work.h"
#include "tests/unit/pair/moments.h"
#include "vmbus/kmcl/kmcl.h"

/* ---- the guest, by raw messages; DISPATCH ---- */

/* The channel's number, once it was offered. */
static UINT32 relid(void)
{
    const struct loopback_message *offer = loopback_to_guest(1, 0);

    return offer != NULL ? loopback_word(offer, 184) : 1;
}

static void guest_says(UINT32 type, const UINT32 *words, UINT32 count)
{
    UINT32 message[16] = {type};

    for (UINT32 i = 0; i < count; i++) {
        message[2 + i] = words[i];
    }
    (void)vmbus_server_message(loopback_server, 4, message, 8 + count * 4);
    (void)vmbus_server_message(loopback_server, 1, message, 8 + count * 4);
}

static void guest_closes(void)
{
    const UINT32 words[] = {relid()};

    guest_says(7, words, 1);
}

static void guest_closes_and_opens(void)
{
    const struct loopback_message *open = loopback_from_guest(5, 0);

    guest_closes();
    if (open != NULL) { /* as it did before */
        (void)vmbus_server_message(loopback_server, open->number, open->bytes, open->size);
    }
}

static void guest_tears_its_rings_down(void)
{
    const struct loopback_message *open = loopback_from_guest(5, 0);
    const UINT32 words[] = {relid(), open != NULL ? loopback_word(open, 16) : 1};

    guest_says(11, words, 2);
}

static void guest_releases_the_number(void)
{
    const UINT32 words[] = {relid()};

    guest_says(13, words, 1);
}

static void guest_unloads(void)
{
    guest_says(16, NULL, 0);
}

static void guest_makes_contact(void)
{
    static const UINT32 words[] = {0x50003, 0, 2, 0, 0, 0, 0, 0};

    guest_says(14, words, 8);
}

static void guest_is_reset(void)
{
    vmbus_server_reset(loopback_server);
}

static void guest_signals(void)
{
    (void)vmbus_server_signal(loopback_server, VMBUS_SERVER_CONNECTION_ID_BASE + relid(), 0);
}

static void guest_breaks_its_ring(void)
{
    const struct kmcl_channel *channel = (const struct kmcl_channel *)(void *)client.channel;
    const UINT32 nonsense = 3;

    if (channel->writer != NULL) {
        memcpy((void *)channel->writer->control, &nonsense, sizeof(nonsense));
        guest_signals();
    }
}

static void a_guest_may_close_at_any_moment(void **state)
{
    static const struct intrusion close = {guest_closes, false, 1, &server, true};

    (void)state;
    at_each_moment(&close);
}

static void a_guest_may_close_and_open_at_any_moment(void **state)
{
    static const struct intrusion reopen = {guest_closes_and_opens, false, 3, &server, true};

    (void)state;
    at_each_moment(&reopen);
}

static void a_guest_may_be_reset_at_any_moment(void **state)
{
    static const struct intrusion reset = {guest_is_reset, false, 1, &server, true};
    static const struct intrusion unload = {guest_unloads, false, 3, &server, true};
    static const struct intrusion contact = {guest_makes_contact, false, 3, &server, true};

    (void)state;
    at_each_moment(&reset);
    at_each_moment(&unload);
    at_each_moment(&contact);
}

static void a_guest_may_break_its_ring_at_any_moment(void **state)
{
    static const struct intrusion broken = {guest_breaks_its_ring, false, 2, NULL, true};

    (void)state;
    at_each_moment(&broken);
}

static void a_guest_may_say_what_is_not_so_at_any_moment(void **state)
{
    static const struct intrusion lies[] = {
        {guest_tears_its_rings_down, false, 5, NULL, true},
        {guest_releases_the_number, false, 5, NULL, true},
        {guest_signals, false, 3, NULL, false},
    };

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        at_each_moment(&lies[i]);
    }
}

/* ---- the drivers and the guest's bus, in passive work ---- */

static void server_leaves(void)
{
    if (!is_below(&server)) {
        VmbChannelDisable(server.channel);
    }
}

static void client_leaves(void)
{
    if (!is_below(&client)) {
        VmbChannelDisable(client.channel);
    }
}

static void server_pauses_and_starts(void)
{
    if (!is_below(&server)) {
        VmbChannelPause(server.channel);
        VmbChannelStart(server.channel);
    }
}

static void client_pauses_and_starts(void)
{
    if (!is_below(&client)) {
        VmbChannelPause(client.channel);
        VmbChannelStart(client.channel);
    }
}

static void the_bus_ends(void)
{
    (void)vmbus_disconnect();
}

static void a_server_may_be_disabled_at_any_moment(void **state)
{
    static const struct intrusion leave = {server_leaves, true, 1, NULL, false};

    (void)state;
    at_each_moment(&leave);
}

static void a_client_may_be_disabled_at_any_moment(void **state)
{
    static const struct intrusion leave = {client_leaves, true, 1, NULL, false};

    (void)state;
    at_each_moment(&leave);
}

static void either_end_may_pause_and_start_at_any_moment(void **state)
{
    static const struct intrusion pauses[] = {
        {server_pauses_and_starts, true, 2, NULL, false},
        {client_pauses_and_starts, true, 2, NULL, false},
    };

    (void)state;
    at_each_moment(&pauses[0]);
    at_each_moment(&pauses[1]);
}

static void the_bus_may_end_at_any_moment(void **state)
{
    static const struct intrusion end = {the_bus_ends, true, 2, NULL, true};

    (void)state;
    at_each_moment(&end);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_may_close_at_any_moment),
        cmocka_unit_test(a_guest_may_close_and_open_at_any_moment),
        cmocka_unit_test(a_guest_may_be_reset_at_any_moment),
        cmocka_unit_test(a_guest_may_break_its_ring_at_any_moment),
        cmocka_unit_test(a_guest_may_say_what_is_not_so_at_any_moment),
        cmocka_unit_test(a_server_may_be_disabled_at_any_moment),
        cmocka_unit_test(a_client_may_be_disabled_at_any_moment),
        cmocka_unit_test(either_end_may_pause_and_start_at_any_moment),
        cmocka_unit_test(the_bus_may_end_at_any_moment),
    };
    return cmocka_run_group_tests_name("pair, moments", tests, NULL, NULL);
}
