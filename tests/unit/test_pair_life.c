/* SPDX-License-Identifier: MIT */
/* Lives of a server's channel, and of the client's on its other end. */

#include <string.h>

#include "tests/unit/pair/pair.h"
#include "vmbus/kmcl/kmcl.h"

/* ---- opening and closing ---- */

static void a_guest_without_a_host_makes_no_server_channels(void **state)
{
    (void)state;
    VMBCHANNEL channel = NULL;
    /* First of all tests here: nobody has asked for a handle yet. */
    assert_int_equal(VmbChannelAllocate(NULL, TRUE, &channel), STATUS_NOT_SUPPORTED);
    assert_int_equal(VmbChannelAllocate(NULL, TRUE, NULL), STATUS_INVALID_PARAMETER_3);
}

static void a_whole_life_calls_back_in_order_on_both_ends(void **state)
{
    (void)state;
    pair_start();
    assert_trace(client, "OSP");
    assert_trace(server, "OSP");
    assert_state(client, "active");
    assert_state(server, "active");
    VmbChannelDisable(client.channel);
    settle();
    assert_trace(client, "OSPUC");
    assert_trace(server, "OSPUC");
    assert_state(client, "disabled");
    assert_state(server, "offered");
    VmbChannelDisable(server.channel);
    assert_trace(server, "OSPUC");
    assert_state(server, "disabled");
}

static void the_guest_opens_again_as_often_as_it_likes(void **state)
{
    (void)state;
    pair_start();
    for (unsigned i = 0; i < 5; i++) {
        VmbChannelDisable(client.channel);
        assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
        settle();
        assert_int_equal(pair_send(&client, i, 64, WAIT), STATUS_SUCCESS);
        settle();
        assert_int_equal(client.completions, i + 1);
    }
    assert_trace(server, "OSPUCOSPUCOSPUCOSPUCOSPUCOSP");
}

static void a_server_is_paused_until_it_is_started(void **state)
{
    (void)state;
    pair_make(&server, TRUE);
    pair_make(&client, FALSE);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_trace(client, "OSP");
    assert_trace(server, "O");
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.packets, 0);
    VmbChannelStart(server.channel);
    settle();
    assert_trace(server, "OSP");
    assert_int_equal(server.packets, 1);
    assert_int_equal(client.completions, 1);
}

static void disabling_the_server_takes_the_channel_from_the_guest(void **state)
{
    (void)state;
    pair_start();
    VmbChannelDisable(server.channel);
    settle();
    assert_trace(server, "OSPUC");
    assert_trace(client, "OSPUC");
    assert_state(client, "disabled");
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_state(client, "waiting for an offer");
    /* Paused as new. */
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    settle();
    assert_trace(server, "OSPUCO");
    assert_trace(client, "OSPUCOSP");
    VmbChannelStart(server.channel);
    assert_trace(server, "OSPUCOSP");
}

static void a_server_that_nobody_opened_is_taken_back(void **state)
{
    (void)state;
    pair_make(&server, TRUE);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
        VmbChannelStart(server.channel);
        assert_state(server, "offered");
        VmbChannelDisable(server.channel);
    }
    assert_trace(server, "");
}

static void a_server_that_refuses_is_asked_again(void **state)
{
    (void)state;
    pair_make(&server, TRUE);
    server.opened_status = STATUS_INSUFFICIENT_RESOURCES;
    pair_start();
    assert_trace(server, "O");
    assert_trace(client, "F");
    assert_int_equal((UINT32)client.failure, VMBUS_SERVER_FAILURE);
    assert_state(client, "disabled");
    assert_state(server, "offered");
    server.opened_status = STATUS_SUCCESS;
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_trace(server, "OOSP");
    assert_trace(client, "FOSP");
}

static void rings_that_cannot_be_mapped_refuse_the_open(void **state)
{
    (void)state;
    loopback.map_fail = 1;
    pair_start();
    assert_trace(server, "");
    assert_trace(client, "F");
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_trace(server, "OSP");
}

static void the_end_of_the_connection_closes_the_server(void **state)
{
    (void)state;
    pair_start();
    VmbChannelDisable(client.channel);
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    settle();
    assert_trace(server, "OSPUCOSPUC");
    assert_state(server, "offered");
    assert_state(client, "disabled");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_trace(server, "OSPUCOSPUCOSP");
}

/* ---- the other end acts in the middle of a callback ---- */

static char at;

/* What the guest says when it closes, without the wait that would be for this very callback. */
static void close_from_client(struct end *end, char letter)
{
    const UINT32 message[3] = {7, 0, loopback_word(loopback_to_guest(1, 0), 184)};

    if (letter == at) {
        end->on_state = NULL;
        assert_int_equal(vmbus_server_message(loopback_server, loopback_from_guest(5, 0)->number,
                                              message, sizeof(message)),
                         HV_STATUS_SUCCESS);
    }
}

static void a_client_that_closes_in_each_of_the_servers_callbacks_is_let_go(void **state)
{
    const char letters[] = "SPU";

    (void)state;
    for (unsigned i = 0; letters[i] != '\0'; i++) {
        loopback_log_clear();
        pair_start();
        memset(server.trace, 0, sizeof(server.trace));
        at = letters[i];
        server.on_state = close_from_client;
        VmbChannelPause(server.channel);
        VmbChannelStart(server.channel);
        settle();
        assert_null(server.on_state);
        assert_state(server, "offered");
        assert_trace(server, at == 'S' ? "USUC" : at == 'P' ? "USPUC" : "UC");
        pair_end(&client);
        pair_end(&server);
        settle();
    }
}

static void revoke_server(struct end *end, char letter)
{
    if (letter == at) {
        end->on_state = NULL;
        VmbChannelDisable(server.channel);
    }
}

static void a_server_that_leaves_in_each_of_the_clients_callbacks_is_let_go(void **state)
{
    const char letters[] = "OSPUC";

    (void)state;
    for (unsigned i = 0; letters[i] != '\0'; i++) {
        memset(client.trace, 0, sizeof(client.trace));
        pair_make(&client, FALSE);
        at = letters[i];
        client.on_state = revoke_server;
        pair_start();
        if (client.on_state != NULL) {
            VmbChannelDisable(client.channel);
        }
        settle();
        assert_state(client, "disabled");
        assert_state(server, "disabled");
        assert_int_equal(client.trace[strlen(client.trace) - 1], 'C');
        pair_end(&client);
        pair_end(&server);
        settle();
    }
}

/* ---- pause ---- */

static void a_paused_server_waits_for_what_it_was_given(void **state)
{
    (void)state;
    pair_start();
    server.on_packet = pair_keep;
    assert_int_equal(pair_send(&client, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.kept_count, 1);
    VmbChannelPacketComplete(server.kept[0], NULL, 0);
    VmbChannelPause(server.channel);
    assert_state(server, "paused");
    assert_trace(server, "OSPU");
    assert_int_equal(pair_send(&client, 2, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.packets, 1);
    VmbChannelStart(server.channel);
    settle();
    assert_int_equal(server.packets, 2);
    VmbChannelPacketComplete(server.kept[1], NULL, 0);
    settle();
    assert_int_equal(client.completions, 2);
}

/* ---- a guest that breaks the rules ---- */

/* Puts a write index into the guest's ring that no sender can have, and signals. */
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

static void a_broken_ring_costs_the_guest_this_opening_only(void **state)
{
    (void)state;
    pair_start();
    client.on_packet = pair_keep;
    assert_int_equal(pair_send(&server, 1, 8, WAIT), STATUS_SUCCESS);
    settle();
    break_ring();
    assert_trace(server, "OSPUC");
    assert_state(server, "closed");
    assert_int_equal(server.completions, 1);
    assert_int_equal(server.completion_status, STATUS_DEVICE_REMOVED);
    /* It waits for the guest to close what it broke. */
    VmbChannelPacketComplete(client.kept[0], NULL, 0);
    VmbChannelDisable(client.channel);
    settle();
    assert_state(server, "offered");
    client.on_packet = NULL;
    assert_int_equal(VmbChannelEnable(client.channel), STATUS_SUCCESS);
    settle();
    assert_trace(server, "OSPUCOSP");
    assert_int_equal(pair_send(&client, 2, 8, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.completions, 1);
}

static void a_server_leaves_a_guest_that_broke_its_ring(void **state)
{
    (void)state;
    pair_start();
    break_ring();
    assert_state(server, "closed");
    VmbChannelDisable(server.channel);
    assert_state(server, "disabled");
    assert_trace(server, "OSPUC");
    settle();
    assert_state(client, "disabled");
}

/* ---- configuration ---- */

static void configuration_is_refused_where_it_does_not_belong(void **state)
{
    (void)state;
    pair_make(&server, TRUE);
    pair_make(&client, FALSE);
    VMBCHANNEL s = server.channel;
    VMBCHANNEL c = client.channel;
    assert_int_equal(VmbServerChannelInitSetFlags(c, 0), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetFlags(NULL, 0), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetFlags(s, 0x20), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbServerChannelInitSetFlags(s, 0x1F), STATUS_SUCCESS);
    assert_int_equal(VmbServerChannelInitSetFlags(s, 0), STATUS_SUCCESS);
    assert_int_equal(VmbServerChannelInitSetMmioMegabytes(c, 1, 1), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetMmioMegabytes(s, 0, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbServerChannelInitSetMmioMegabytes(s, 0, 7), STATUS_SUCCESS);
    assert_int_equal(VmbServerChannelInitSetTargetVtl(c, 0), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetTargetVtl(s, 1), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbServerChannelInitSetTargetVtl(s, 0), STATUS_SUCCESS);
    assert_int_equal(VmbServerChannelInitSetVmbusHandle(s, NULL), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbServerChannelInitSetVmbusHandle(c, loopback_server),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetTargetInterfaceId(c, pair_type, pair_instance),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(s, 1, 1),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbClientChannelInitSetTargetPnp(s, &pair_type, NULL, NULL),
                     STATUS_INVALID_PARAMETER_1);
    HANDLE handle = NULL;
    assert_int_equal(VmbConvertVmbusHandleToKernelHandle(loopback_server, &handle), STATUS_SUCCESS);
    assert_ptr_equal(handle, loopback_server);
    assert_int_equal(VmbConvertVmbusHandleToKernelHandle(NULL, &handle),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbConvertVmbusHandleToKernelHandle(handle, NULL), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelEnable(s), STATUS_SUCCESS);
    assert_int_equal(VmbServerChannelInitSetFlags(s, 0), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetMmioMegabytes(s, 1, 1), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetTargetVtl(s, 0), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetVmbusHandle(s, handle), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbServerChannelInitSetTargetInterfaceId(s, pair_type, pair_instance),
                     STATUS_INVALID_PARAMETER_1);
}

static VOID complete(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer, UINT32 length,
                     UINT32 flags)
{
    (void)channel, (void)buffer, (void)length, (void)flags;
    VmbChannelPacketComplete(packet, NULL, 0);
}

static void a_server_without_a_bus_or_a_device_cannot_be_enabled(void **state)
{
    VMBCHANNEL channel;

    (void)state;
    pair_make(&server, TRUE);
    assert_int_equal(VmbChannelAllocate(NULL, TRUE, &channel), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(channel), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbServerChannelInitSetTargetInterfaceId(channel, pair_type, pair_instance),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(channel), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelInitSetProcessPacketCallbacks(channel, complete, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(channel), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbServerChannelInitSetVmbusHandle(channel, loopback_server), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_SUCCESS);
    /* The same device twice. */
    assert_int_equal(VmbChannelEnable(channel), STATUS_UNSUCCESSFUL);
    assert_string_equal(KmclChannelStateName(channel), "disabled");
    VmbChannelCleanup(channel);
}

static void flags_and_memory_of_the_offer_reach_the_guest(void **state)
{
    (void)state;
    pair_make(&server, TRUE);
    assert_int_equal(
        VmbServerChannelInitSetFlags(server.channel,
                                     VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE |
                                         VMBUS_SERVER_CHANNEL_INIT_FLAG_ENUMERATE_DEVICE_INTERFACE),
        STATUS_SUCCESS);
    assert_int_equal(VmbServerChannelInitSetMmioMegabytes(server.channel, 3, 5), STATUS_SUCCESS);
    pair_start();
    const struct loopback_message *offer = loopback_to_guest(1, 0);
    assert_non_null(offer);
    assert_memory_equal(offer->bytes + 8, &pair_type, 16);
    assert_memory_equal(offer->bytes + 24, &pair_instance, 16);
    assert_int_equal(loopback_word(offer, 56) & 0xFFFF, 0x11);
    assert_int_equal(loopback_word(offer, 56) >> 16, 3);
    GUID instance;
    VmbChannelGetInterfaceInstance(server.channel, &instance);
    assert_memory_equal(&instance, &pair_instance, sizeof(instance));
    /* A pipe carries lengths exactly. */
    assert_int_equal(pair_send(&client, 1, 13, WAIT), STATUS_SUCCESS);
    settle();
    assert_int_equal(server.last_length, 13);
    assert_int_equal(pair_send(&server, 1, 11, 0), STATUS_SUCCESS);
    settle();
    assert_int_equal(client.last_length, 11);
}

static void no_memory_at_any_moment_leaks_nothing(void **state)
{
    (void)state;
    KmclServerHandle(loopback_server);
    for (unsigned n = 1; n < 3; n++) {
        VMBCHANNEL channel;
        test_memory_fail(n);
        assert_int_equal(VmbChannelAllocate(NULL, TRUE, &channel), STATUS_INSUFFICIENT_RESOURCES);
    }
    pair_make(&server, TRUE);
    test_memory_fail(1);
    assert_int_equal(VmbChannelEnable(server.channel), STATUS_INSUFFICIENT_RESOURCES);
    test_memory_fail(0);
    assert_state(server, "disabled");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        pair_test(a_guest_without_a_host_makes_no_server_channels),
        pair_test(a_whole_life_calls_back_in_order_on_both_ends),
        pair_test(the_guest_opens_again_as_often_as_it_likes),
        pair_test(a_server_is_paused_until_it_is_started),
        pair_test(disabling_the_server_takes_the_channel_from_the_guest),
        pair_test(a_server_that_nobody_opened_is_taken_back),
        pair_test(a_server_that_refuses_is_asked_again),
        pair_test(rings_that_cannot_be_mapped_refuse_the_open),
        pair_test(the_end_of_the_connection_closes_the_server),
        pair_test(a_client_that_closes_in_each_of_the_servers_callbacks_is_let_go),
        pair_test(a_server_that_leaves_in_each_of_the_clients_callbacks_is_let_go),
        pair_test(a_paused_server_waits_for_what_it_was_given),
        pair_test(a_broken_ring_costs_the_guest_this_opening_only),
        pair_test(a_server_leaves_a_guest_that_broke_its_ring),
        pair_test(configuration_is_refused_where_it_does_not_belong),
        pair_test(a_server_without_a_bus_or_a_device_cannot_be_enabled),
        pair_test(flags_and_memory_of_the_offer_reach_the_guest),
        pair_test(no_memory_at_any_moment_leaks_nothing),
    };
    return cmocka_run_group_tests_name("pair, life", tests, NULL, NULL);
}
