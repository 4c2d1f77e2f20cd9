/* SPDX-License-Identifier: MIT */
/*
 * One whole conversation of version 5.2, byte for byte: one device of 16 + 16 ring pages, one
 * request and its completion, an orderly end. The host's messages here are these very bytes. Page
 * addresses are the only thing that a test cannot choose: they are put in where they belong.
 */
#include "golden.h"
#include "vmbus_test.h"

#include <stdio.h>
#include <string.h>

#include "kernel/pages.h"
#include "vmbus/protocol.h"

#define RELID 5u

static void put64(struct bytes *bytes, uint32_t offset, uint64_t value)
{
    memcpy(bytes->at + offset, &value, sizeof(value));
}

static void assert_bytes(const void *actual, uint32_t size, const struct bytes *expected)
{
    assert_int_equal(size, expected->size);
    assert_memory_equal(actual, expected->at, size);
}

static void assert_message(uint32_t type, unsigned n, uint32_t connection,
                           const struct bytes *expected)
{
    const struct host_message *message = host_message(type, n);

    assert_non_null(message);
    assert_int_equal(message->connection_id, connection);
    assert_bytes(message->bytes, message->size, expected);
}

/* ---- the host's side ---- */

static const char t2[] = "0f 00 00 00 00 00 00 00 | 01 | 00 | 00 00 | 01 00 00 00";
static const char t4[] =
    "01 00 00 00 00 00 00 00"
    "d9 63 61 ba a1 04 29 4d b6 05 72 e2 ff b1 dc 7f"
    "5c 8b 3a 6e 2f 1d 60 4a 9b 7e 01 23 45 67 89 ab"
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "01 00 | 00 00 | 00 x120 | 00 00 | 00 00 | 05 00 00 00 | ff | 00 | 01 00 | 05 20 00 00";
static const char t5[] = "04 00 00 00 00 00 00 00";
static const char t8[] = "0a 00 00 00 00 00 00 00 | 05 00 00 00 | 10 1e 0e 00 | 00 00 00 00";
static const char t11[] = "06 00 00 00 00 00 00 00 | 05 00 00 00 | 01 00 00 00 | 00 00 00 00";
static const char t16[] = "0c 00 00 00 00 00 00 00 | 10 1e 0e 00";
static const char t17[] = "02 00 00 00 00 00 00 00 | 05 00 00 00";
static const char t20[] = "11 00 00 00 00 00 00 00";
static const char v6[] = "0f 00 00 00 00 00 00 00 | 00 00 00 00 00 00 00 00";

static const uint64_t *frames;
static bool control_pages_seen;

static void send(const char *text)
{
    struct bytes bytes = golden(text);

    host_send(bytes.at, bytes.size);
}

/* T9: what stands in the control pages when OPEN_CHANNEL arrives. */
static void look_at_control_pages(const struct host_message *open)
{
    static const struct bytes zeros;
    struct bytes t9 = golden("00 x64 01 00 00 00");
    size_t count = 0;

    frames = host_gpadl_frames(host_word(open, 16), &count);
    assert_int_equal(count, 32);
    const uint8_t *page = page_address(frames[0]);
    assert_memory_equal(page, t9.at, t9.size);
    for (uint32_t i = t9.size; i < PAGE_SIZE; i++) {
        assert_int_equal(page[i], 0);
    }
    page = page_address(frames[16]);
    for (uint32_t i = 0; i < PAGE_SIZE; i += 128) {
        assert_memory_equal(page + i, zeros.at, 128);
    }
    control_pages_seen = true;
}

/* The host does its work silently; what it says is said here. */
static bool say(void *context, const struct host_message *message)
{
    (void)context;
    switch (host_word(message, 0)) {
    case HOST_CONTACT:
        send(host_word(message, 8) == 0x00050002 ? t2 : v6);
        break;
    case HOST_REQUEST_OFFERS:
        send(t4);
        send(t5);
        return true;
    case HOST_GPADL_BODY:
        send(t8);
        break;
    case HOST_OPEN:
        look_at_control_pages(message);
        send(t11);
        break;
    case HOST_GPADL_TEARDOWN:
        send(t16);
        break;
    case HOST_UNLOAD:
        send(t20);
        break;
    default:
        break;
    }
    return false;
}

/* ---- the guest's side ---- */

static void check_contact(void)
{
    const struct host_message *contact = host_message(HOST_CONTACT, 2);
    struct bytes t1 = golden("0e 00 00 00 00 00 00 00 | 02 00 05 00 | 00 00 00 00"
                             "02 | 00 | 00 00 | 00 00 00 00"
                             "00 10 00 01 00 00 00 00 | 00 20 00 01 00 00 00 00");
    uint64_t pages[2];

    assert_non_null(contact);
    memcpy(pages, contact->bytes + 24, sizeof(pages));
    assert_int_not_equal(pages[0], 0);
    assert_int_equal(pages[1], pages[0] + PAGE_SIZE);
    put64(&t1, 24, pages[0]);
    put64(&t1, 32, pages[1]);
    assert_message(HOST_CONTACT, 2, 4, &t1);
    assert_int_equal(host_count(HOST_CONTACT), 3);
}

static void check_gpadl(void)
{
    struct bytes t6 = golden("08 00 00 00 00 00 00 00 | 05 00 00 00 | 10 1e 0e 00"
                             "08 01 | 01 00 | 00 00 02 00 | 00 00 00 00 | 00 x208");
    struct bytes t7 = golden("09 00 00 00 00 00 00 00 | 00 00 00 00 | 10 1e 0e 00 | 00 x48");

    for (uint32_t i = 0; i < 26; i++) {
        put64(&t6, 28 + 8 * i, frames[0] + i);
    }
    for (uint32_t i = 0; i < 6; i++) {
        put64(&t7, 16 + 8 * i, frames[0] + 26 + i);
    }
    assert_int_equal(t6.size, 0xec);
    assert_int_equal(t7.size, 0x40);
    assert_message(HOST_GPADL_HEADER, 0, 1, &t6);
    assert_message(HOST_GPADL_BODY, 0, 1, &t7);
    assert_int_equal(host_count(HOST_GPADL_BODY), 1);
}

static void check_request(struct vmbus_channel *channel)
{
    struct bytes t12 = golden("06 00 | 02 00 | 04 00 | 01 00 | 01 00 00 00 00 00 00 00"
                              "56 4d 42 75 73 2d 70 69 6e 67 21 21 | 00 00 00 00"
                              "00 00 00 00 | 00 00 00 00");
    const struct ring_packet_out packet = {
        .transaction_id = 1,
        .type = RING_PACKET_DATA_INBAND,
        .flags = RING_PACKET_FLAG_COMPLETION_REQUESTED,
        .payload = "VMBus-ping!!",
        .payload_length = 12,
    };
    struct ring_writer *writer = vmbus_channel_outgoing(channel);

    assert_int_equal(ring_writer_put(writer, &packet), RING_OK);
    assert_true(ring_writer_commit(writer));
    vmbus_channel_signal(channel);
    assert_int_equal(host_signals(0x2005), 1);
    assert_memory_equal(page_address(frames[1]), t12.at, t12.size);
    assert_int_equal(*(uint32_t *)page_address(frames[0]), 0x28);
}

static void check_completion(struct vmbus_channel *channel, const struct test_owner *owner)
{
    struct bytes t13 = golden("0b 00 | 02 00 | 03 00 | 00 00 | 01 00 00 00 00 00 00 00"
                              "00 00 00 00 78 56 34 12 | 00 00 00 00 | 00 00 00 00");
    struct ring_packet_in packet;
    uint8_t payload[64];

    assert_int_equal(host_get(RELID, payload, sizeof(payload), &packet), RING_OK);
    assert_int_equal(packet.payload_length, 16);
    assert_int_equal(host_put_completion(RELID, 1, t13.at + 16, 8), RING_OK);
    assert_memory_equal(page_address(frames[17]), t13.at, t13.size);
    host_run();
    assert_int_equal(owner->events, 1);
    struct ring_reader *reader = vmbus_channel_incoming(channel);
    assert_int_equal(ring_reader_next(reader, payload, sizeof(payload), &packet), RING_OK);
    assert_memory_equal(payload, t13.at + 16, 8);
    assert_false(ring_reader_publish(reader));
    assert_int_equal(((uint32_t *)page_address(frames[16]))[1], 0x20);
}

static void a_conversation_of_5_2(void **state)
{
    struct host_offer offer = host_plain_offer(RELID);
    struct bytes t3 = golden("03 00 00 00 00 00 00 00");
    struct bytes t10 = golden("05 00 00 00 00 00 00 00 | 05 00 00 00 | 01 00 00 00"
                              "10 1e 0e 00 | 00 00 00 00 | 10 00 00 00 | 00 x120");
    struct bytes t14 = golden("07 00 00 00 00 00 00 00 | 05 00 00 00");
    struct bytes t15 = golden("0b 00 00 00 00 00 00 00 | 05 00 00 00 | 10 1e 0e 00");
    struct bytes t18 = golden("0d 00 00 00 00 00 00 00 | 05 00 00 00");
    struct bytes t19 = golden("10 00 00 00 00 00 00 00");
    struct test_owner owner;

    (void)state;
    host.highest_version = 0x00050002;
    host.contact = host.gpadl = host.open = host.teardown = host.unload = HOST_IS_SILENT;
    host.hook = say;
    host_add(&offer);
    vmbus_test_claim(&owner, RELID);
    assert_int_equal(vmbus_version(), 0x00050002);
    check_contact();
    assert_message(HOST_REQUEST_OFFERS, 0, 1, &t3);
    assert_int_equal(host_count(HOST_REQUEST_OFFERS), 1);

    const struct vmbus_offer *seen = vmbus_channel_offer(owner.channel);
    assert_string_equal(vmbus_class_name(&seen->interface_type), "scsi");
    assert_int_equal(seen->flags, 1);
    assert_int_equal(seen->connection_id, 0x2005);
    assert_true(seen->dedicated_interrupt);
    assert_false(seen->monitor_allocated);

    assert_int_equal(vmbus_channel_open(owner.channel, 15, 15, NULL), VMBUS_OK);
    assert_true(control_pages_seen);
    check_gpadl();
    assert_message(HOST_OPEN, 0, 1, &t10);
    check_request(owner.channel);
    check_completion(owner.channel, &owner);

    vmbus_channel_close(owner.channel);
    assert_message(HOST_CLOSE, 0, 1, &t14);
    assert_message(HOST_GPADL_TEARDOWN, 0, 1, &t15);
    send(t17);
    host_channel(RELID)->rescinded = true;
    host_run();
    assert_int_equal(owner.rescinds, 1);
    assert_true(vmbus_channel_unclaim(owner.channel));
    assert_message(HOST_RELID_RELEASED, 0, 1, &t18);

    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_message(HOST_UNLOAD, 0, 1, &t19);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 0);
    assert_int_equal(vmbus_test_counts().messages_malformed, 0);
    assert_int_equal(vmbus_test_counts().messages_unknown, 0);
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
}

/* ---- layouts that this guest does not send or receive in that conversation ---- */

static const struct vmbus_guid client_id = {
    0x6e3a8b5c, 0x1d2f, 0x4a60, {0x9b, 0x7e, 0x01, 0x23, 0x45, 0x67, 0x89, 0xab}};

static void a_contact_of_6_0_with_client_id(void **state)
{
    struct bytes v4 = golden("0e 00 00 00 00 00 00 00 | 00 00 06 00 | 00 00 00 00"
                             "02 | 00 | 00 00 | 08 00 00 00 | 00 x16 "
                             "5c 8b 3a 6e 2f 1d 60 4a 9b 7e 01 23 45 67 89 ab");
    struct bytes v5 = golden("0f 00 00 00 00 00 00 00 | 01 | 00 | 00 00 | 01 00 00 00"
                             "08 00 00 00");
    const struct vmbus_message_initiate_contact_2 contact = {
        .contact = {.header = {.type = 14},
                    .version = VMBUS_VERSION_6_0,
                    .target = {.sint = 2, .features = VMBUS_FEATURE_CLIENT_ID}},
        .client_id = client_id,
    };
    const struct vmbus_message_version_response_2 response = {
        .response = {.header = {.type = 15}, .supported = 1, .connection_id = 1},
        .features = VMBUS_FEATURE_CLIENT_ID,
    };

    (void)state;
    assert_bytes(&contact, sizeof(contact), &v4);
    assert_bytes(&response, sizeof(response), &v5);
}

static void modify_channel_and_its_response(void **state)
{
    struct bytes v7 = golden("16 00 00 00 00 00 00 00 | 05 00 00 00 | 03 00 00 00");
    struct bytes v7a = golden("18 00 00 00 00 00 00 00 | 05 00 00 00 | 00 00 00 00");
    const struct vmbus_message_modify_channel modify = {
        .header = {.type = 22}, .relid = 5, .target_vp = 3};
    const struct vmbus_message_modify_channel_response response = {.header = {.type = 24},
                                                                   .relid = 5};

    (void)state;
    assert_bytes(&modify, sizeof(modify), &v7);
    assert_bytes(&response, sizeof(response), &v7a);
}

static void a_socket_connects_to_a_host_port(void **state)
{
    struct bytes v8 = golden("15 00 00 00 00 00 00 00"
                             "44 33 22 11 66 55 88 77 99 aa bb cc dd ee ff 00"
                             "bb 01 00 00 cb fa e6 11 bd 58 64 00 6a 79 86 d3");
    const struct vmbus_message_tl_connect_request request = {
        .header = {.type = 21},
        .endpoint = {0x11223344, 0x5566, 0x7788, {0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x00}},
        .service = {443, 0xfacb, 0x11e6, {0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3}},
    };

    (void)state;
    assert_bytes(&request, sizeof(request), &v8);
}

/* Bytes that OpenVMM's own unit tests use. */
static void vectors_of_another_implementation(void **state)
{
    struct bytes close = golden("07 00 00 00 00 00 00 00 05 00 00 00");
    struct bytes unload = golden("10 00 00 00 00 00 00 00");
    struct bytes gpadl = golden("08 00 00 00 00 00 00 00 05 00 00 00 01 00 00 00 07 00 06 00"
                                "0a 0b 0c 0d");
    const struct vmbus_message_relid close_channel = {.header = {.type = 7}, .relid = 5};
    const struct vmbus_message_bare unload_message = {.header = {.type = 16}};
    const struct vmbus_message_gpadl_header header = {
        .header = {.type = 8}, .relid = 5, .gpadl = 1, .range_bytes = 7, .range_count = 6};

    (void)state;
    assert_bytes(&close_channel, sizeof(close_channel), &close);
    assert_bytes(&unload_message, sizeof(unload_message), &unload);
    assert_memory_equal(&header, gpadl.at, sizeof(header));
    assert_int_equal(sizeof(header) + 4, gpadl.size);
    assert_int_equal(ring_packet_size(0, 4000), 4024);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bus_test(a_conversation_of_5_2),
        cmocka_unit_test(a_contact_of_6_0_with_client_id),
        cmocka_unit_test(modify_channel_and_its_response),
        cmocka_unit_test(a_socket_connects_to_a_host_port),
        cmocka_unit_test(vectors_of_another_implementation),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
