/* SPDX-License-Identifier: MIT */
/* Our own guest against our own host, in one process: neither knows that the other is ours. */
#include "tests/unit/server/device.h"

#include <stdlib.h>

#include "kernel/clock.h"
#include "kernel/log.h"
#include "vmbus/connection.h"
#include "vmbus/offers.h"
#include "vmbus/vmbus.h"

struct client {
    struct vmbus_channel_owner callbacks;
    struct vmbus_channel *channel;
    unsigned events;
    unsigned rescinds;
};

static void on_event(void *context)
{
    ((struct client *)context)->events++;
}

static void on_rescind(void *context)
{
    ((struct client *)context)->rescinds++;
}

static struct vmbus_channel *find(uint32_t relid)
{
    struct vmbus_channel *channel = vmbus_channel_next(relid);

    if (channel == NULL || vmbus_channel_offer(channel)->relid != relid) {
        if (channel != NULL) {
            vmbus_channel_put(channel);
        }
        return NULL;
    }
    vmbus_channel_put(channel);
    return channel;
}

static void claim(struct client *client, uint32_t relid)
{
    *client = (struct client){
        .callbacks = {.event = on_event, .rescinded = on_rescind, .context = client}};
    client->channel = find(relid);
    assert_non_null(client->channel);
    assert_true(vmbus_channel_claim(client->channel, &client->callbacks));
}

static void claim_and_open(struct client *client, uint32_t relid)
{
    claim(client, relid);
    assert_int_equal(vmbus_channel_open(client->channel, 2, 3, NULL), VMBUS_OK);
}

static void connect(void)
{
    assert_int_equal(vmbus_connect(), VMBUS_OK);
}

static void disconnect(void)
{
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_true(vmbus_server_is_idle(loopback_server));
}

/* Sends a request and takes the echo. */
static void ping(struct client *client, uint64_t id)
{
    const struct ring_packet_out out = {
        .transaction_id = id,
        .type = RING_PACKET_DATA_INBAND,
        .flags = RING_PACKET_FLAG_COMPLETION_REQUESTED,
        .payload = &id,
        .payload_length = sizeof(id),
    };
    struct ring_packet_in in;
    uint64_t echoed = 0;

    assert_int_equal(ring_writer_put(vmbus_channel_outgoing(client->channel), &out), RING_OK);
    if (ring_writer_commit(vmbus_channel_outgoing(client->channel))) {
        vmbus_channel_signal(client->channel);
    }
    loopback_run();
    assert_int_equal(
        ring_reader_next(vmbus_channel_incoming(client->channel), &echoed, sizeof(echoed), &in),
        RING_OK);
    (void)ring_reader_publish(vmbus_channel_incoming(client->channel));
    assert_int_equal(in.transaction_id, id);
    assert_int_equal(in.type, RING_PACKET_COMPLETION);
    assert_int_equal(echoed, id);
}

static void they_agree_on_the_newest_version_that_both_know(void **state)
{
    static const uint32_t versions[] = {
        VMBUS_VERSION_2_4, VMBUS_VERSION_3_0, VMBUS_VERSION_4_0,
        VMBUS_VERSION_4_1, VMBUS_VERSION_5_0, VMBUS_VERSION_5_1,
        VMBUS_VERSION_5_2, VMBUS_VERSION_5_3, VMBUS_VERSION_6_0,
    };

    (void)state;
    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]); i++) {
        const struct vmbus_server_options options = {.version_maximum = versions[i]};
        struct device device;
        struct client client;

        server_test_restart(&options);
        device_start(&device, 5);
        device.echoes = true;
        connect();
        assert_int_equal(vmbus_version(), versions[i]);
        assert_int_equal(vmbus_server_version(loopback_server), versions[i]);
        claim_and_open(&client, 5);
        ping(&client, 1);
        vmbus_channel_close(client.channel);
        assert_true(vmbus_channel_unclaim(client.channel));
        expect_calls(&device, "oc");
        assert_int_equal(loopback_maps(), 0);
        assert_int_equal(vmbus_disconnect(), VMBUS_OK);
        /* Before 3.0 the guest leaves without a word. */
        assert_int_equal(vmbus_server_is_idle(loopback_server), versions[i] >= VMBUS_VERSION_3_0);
        vmbus_server_revoke(device.channel);
        assert_null(device.channel);
    }
}

static void an_offer_arrives_as_it_was_made(void **state)
{
    struct device device = {.offer = device_offer(0)};

    (void)state;
    device.offer.flags = VMBUS_OFFER_FLAG_ENUMERATE_DEVICE_INTERFACE | VMBUS_OFFER_FLAG_NAMED_PIPE;
    device.offer.mmio_megabytes = 8;
    device.offer.mmio_megabytes_optional = 16;
    memset(device.offer.user_defined, 0x5C, sizeof(device.offer.user_defined));
    assert_int_equal(device_offer_now(&device), VMBUS_OK);
    connect();
    const struct vmbus_offer *offer = vmbus_channel_offer(find(1));
    assert_true(vmbus_guid_equal(&offer->interface_type, &device.offer.interface_type));
    assert_true(vmbus_guid_equal(&offer->interface_instance, &device.offer.interface_instance));
    assert_int_equal(offer->relid, 1);
    assert_int_equal(offer->connection_id, 0x2001);
    assert_int_equal(offer->flags, 0x11);
    assert_int_equal(offer->mmio_megabytes, 8);
    assert_int_equal(offer->mmio_megabytes_optional, 16);
    assert_int_equal(offer->sub_channel_index, 0);
    assert_false(offer->monitor_allocated);
    assert_true(offer->dedicated_interrupt);
    assert_memory_equal(offer->user_defined, device.offer.user_defined, 120);
    disconnect();
    vmbus_server_revoke(device.channel);
}

static void two_thousand_and_forty_seven_offers_pass_through_a_short_queue(void **state)
{
    struct device *devices = calloc(2047, sizeof(*devices));

    (void)state;
    for (uint32_t i = 0; i < 2047; i++) {
        device_start(&devices[i], i + 1);
    }
    struct device one_more = {.offer = device_offer(0)};
    one_more.offer.interface_instance.data1 = 5000;
    assert_int_equal(device_offer_now(&one_more), VMBUS_REFUSED);
    connect();
    for (uint32_t i = 0; i < 2047; i++) {
        assert_non_null(find(i + 1));
        vmbus_server_revoke(devices[i].channel);
    }
    loopback_run();
    for (uint32_t i = 0; i < 2047; i++) {
        assert_null(find(i + 1));
        assert_null(devices[i].channel);
    }
    disconnect();
    free(devices);
}

static void an_offer_while_connected_arrives_at_once(void **state)
{
    struct device device;

    (void)state;
    connect();
    device_start(&device, 9);
    loopback_run();
    assert_non_null(find(9));
    vmbus_server_revoke(device.channel);
    loopback_run();
    assert_null(find(9));
    disconnect();
}

static void packets_pass_with_many_channels_open(void **state)
{
    enum { COUNT = 40 };
    static struct device devices[COUNT];
    static struct client clients[COUNT];

    (void)state;
    for (uint32_t i = 0; i < COUNT; i++) {
        device_start(&devices[i], i + 1);
        devices[i].echoes = true;
    }
    connect();
    for (uint32_t i = 0; i < COUNT; i++) {
        claim_and_open(&clients[i], i + 1);
        assert_int_equal(devices[i].request.incoming_pages, 2);
        assert_int_equal(devices[i].request.outgoing_pages, 3);
        assert_true(loopback_doorbell(0x2001 + i));
    }
    for (uint64_t id = 1; id < 200; id++) {
        ping(&clients[id % COUNT], id);
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        vmbus_channel_close(clients[i].channel);
        assert_true(vmbus_channel_unclaim(clients[i].channel));
        vmbus_server_revoke(devices[i].channel);
    }
    disconnect();
}

static void a_revoked_open_channel_ends_on_both_sides_and_comes_back(void **state)
{
    struct device device;
    struct device again;
    struct client client;

    (void)state;
    device_start(&device, 3);
    connect();
    claim_and_open(&client, 3);
    vmbus_server_revoke(device.channel);
    expect_calls(&device, "ocr");
    device_start(&again, 3);
    assert_int_equal(device_state(&again), VMBUS_SERVER_WAITING);
    assert_int_equal(device_relid(&again), 0);
    loopback_run();
    assert_int_equal(client.rescinds, 1);
    assert_int_equal(device_state(&again), VMBUS_SERVER_WAITING);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    assert_int_equal(device_relid(&again), 3);
    assert_int_equal(device_state(&again), VMBUS_SERVER_OFFERED);
    loopback_run();
    claim_and_open(&client, 3);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    disconnect();
    vmbus_server_revoke(again.channel);
}

static void an_open_that_the_owner_refuses_is_refused_in_the_guest(void **state)
{
    struct device device;
    struct client client;
    uint32_t status = 0;

    (void)state;
    device_start(&device, 4);
    device.open_status = 0xC00000BB;
    connect();
    claim(&client, 4);
    assert_int_equal(vmbus_channel_open(client.channel, 1, 1, &status), VMBUS_REFUSED);
    assert_int_equal(status, 0xC00000BB);
    expect_calls(&device, "o");
    device.open_status = 0;
    assert_int_equal(vmbus_channel_open(client.channel, 1, 1, &status), VMBUS_OK);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    disconnect();
    vmbus_server_revoke(device.channel);
}

static void gpadls_of_several_ranges_arrive_whole(void **state)
{
    struct device device;
    struct client client;
    uint32_t id;
    const struct vmbus_server_range *ranges;
    size_t count;
    unsigned char *memory = pages_allocate_zeroed(600);

    (void)state;
    device_start(&device, 2);
    connect();
    claim_and_open(&client, 2);
    const struct vmbus_gpa_range parts[] = {
        {.byte_count = 10, .byte_offset = 4090, .first_frame = page_frame_of(memory)},
        {.byte_count = 500 * PAGE_SIZE, .first_frame = page_frame_of(memory) + 20},
        {.byte_count = 1, .byte_offset = 7, .first_frame = page_frame_of(memory) + 599},
    };
    assert_int_equal(vmbus_gpadl_create(client.channel, parts, 3, &id), VMBUS_OK);
    assert_int_equal(vmbus_server_gpadl_map(device.channel, id, true, &ranges, &count), VMBUS_OK);
    assert_int_equal(count, 3);
    assert_ptr_equal(ranges[0].address, memory);
    assert_int_equal(ranges[0].byte_offset, 4090);
    assert_int_equal(ranges[0].frame_count, 2);
    assert_ptr_equal(ranges[1].address, memory + 20 * PAGE_SIZE);
    assert_int_equal(ranges[1].frame_count, 500);
    assert_int_equal(ranges[2].byte_count, 1);
    assert_ptr_equal(ranges[2].address, memory + 599 * PAGE_SIZE);
    assert_int_equal(vmbus_gpadl_teardown(client.channel, id), VMBUS_OK);
    expect_calls(&device, "ow");
    assert_int_equal(device.wanted, id);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    disconnect();
    vmbus_server_revoke(device.channel);
    pages_free(memory, 600);
}

static void the_largest_gpadl_passes_while_posts_are_refused(void **state)
{
    struct device device;
    struct client client;
    uint32_t id;
    unsigned char *memory = pages_allocate(8190);
    const struct vmbus_gpa_range range = {.byte_count = 8190 * PAGE_SIZE,
                                          .first_frame = page_frame_of(memory)};

    (void)state;
    loopback.queue_full_status = true;
    device_start(&device, 2);
    connect();
    claim_and_open(&client, 2);
    assert_int_equal(vmbus_gpadl_create(client.channel, &range, 1, &id), VMBUS_OK);
    assert_int_equal(vmbus_gpadl_teardown(client.channel, id), VMBUS_OK);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    disconnect();
    vmbus_server_revoke(device.channel);
    pages_free(memory, 8190);
}

/* Two owners who take their time; the guest's waits are long enough. */
static struct device *slow_device;
static void answer_late(void *context)
{
    (void)context;
    if (device_state(slow_device) == VMBUS_SERVER_CLOSING) {
        vmbus_server_close_done(slow_device->channel);
    } else {
        (void)device_accept(slow_device);
    }
}

static void an_owner_may_answer_later(void **state)
{
    struct device device;
    struct client client;
    struct timer timer;

    (void)state;
    device_start(&device, 6);
    device.waits = true;
    slow_device = &device;
    connect();
    claim(&client, 6);
    timer_initialise(&timer, answer_late, NULL);
    timer_arm(&timer, clock_after(2 * CLOCK_SECOND));
    assert_int_equal(vmbus_channel_open(client.channel, 2, 2, NULL), VMBUS_OK);
    timer_arm(&timer, clock_after(2 * CLOCK_SECOND));
    uint64_t before = clock_now();
    vmbus_channel_close(client.channel);
    assert_true(clock_now() - before >= 2 * CLOCK_SECOND);
    assert_true(vmbus_channel_unclaim(client.channel));
    expect_calls(&device, "oc");
    disconnect();
    vmbus_server_revoke(device.channel);
}

static void a_disconnect_waits_until_owners_have_let_go(void **state)
{
    struct device device;
    struct client client;
    struct timer timer;

    (void)state;
    device_start(&device, 6);
    connect();
    claim_and_open(&client, 6);
    device.waits = true;
    slow_device = &device;
    timer_initialise(&timer, answer_late, NULL);
    timer_arm(&timer, clock_after(CLOCK_SECOND));
    uint64_t before = clock_now();
    disconnect();
    assert_true(clock_now() - before >= CLOCK_SECOND);
    assert_int_equal(client.rescinds, 1);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    expect_calls(&device, "oc");
    assert_int_equal(device_state(&device), VMBUS_SERVER_WAITING);
    connect();
    assert_int_equal(device_state(&device), VMBUS_SERVER_OFFERED);
    disconnect();
    vmbus_server_revoke(device.channel);
}

/* A guest that starts anew without having left, as after a crash. */
static void a_second_guest_finds_no_trace_of_the_first(void **state)
{
    struct device device;
    struct client client;

    (void)state;
    device_start(&device, 6);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(6);
    expect_calls(&device, "o");
    connect();
    expect_calls(&device, "c");
    assert_int_equal(loopback_maps(), 0);
    pages_free(memory, RING_PAGES);
    claim_and_open(&client, 6);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    disconnect();
    vmbus_server_revoke(device.channel);
}

static void signals_that_take_their_time_are_not_lost(void **state)
{
    struct device device;
    struct client client;

    (void)state;
    loopback.signals_wait = true;
    device_start(&device, 6);
    device.echoes = true;
    connect();
    claim_and_open(&client, 6);
    for (uint64_t id = 1; id < 50; id++) {
        ping(&client, id);
    }
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    disconnect();
    vmbus_server_revoke(device.channel);
}

static void a_slot_that_is_free_before_the_server_knows_it_was_busy_stalls_nothing(void **state)
{
    struct device device;
    struct client client;

    (void)state;
    loopback.busy_once = true;
    device_start(&device, 6);
    connect();
    claim_and_open(&client, 6);
    vmbus_channel_close(client.channel);
    assert_true(vmbus_channel_unclaim(client.channel));
    disconnect();
    vmbus_server_revoke(device.channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(they_agree_on_the_newest_version_that_both_know),
        server_test(an_offer_arrives_as_it_was_made),
        server_test(two_thousand_and_forty_seven_offers_pass_through_a_short_queue),
        server_test(an_offer_while_connected_arrives_at_once),
        server_test(packets_pass_with_many_channels_open),
        server_test(a_revoked_open_channel_ends_on_both_sides_and_comes_back),
        server_test(an_open_that_the_owner_refuses_is_refused_in_the_guest),
        server_test(gpadls_of_several_ranges_arrive_whole),
        server_test(the_largest_gpadl_passes_while_posts_are_refused),
        server_test(an_owner_may_answer_later),
        server_test(a_disconnect_waits_until_owners_have_let_go),
        server_test(a_second_guest_finds_no_trace_of_the_first),
        server_test(signals_that_take_their_time_are_not_lost),
        server_test(a_slot_that_is_free_before_the_server_knows_it_was_busy_stalls_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
