/* SPDX-License-Identifier: MIT */
/*
 * One whole conversation of version 5.2 from the host's side, byte for byte: the guest's messages
 * are these very bytes, and the host's answers are compared. One device of 16 + 16 ring pages, one
 * request and its completion, an orderly end. Page addresses are the only thing that a test cannot
 * choose: they are put in where they belong.
 */
#include "golden.h"
#include "tests/unit/server/device.h"

#define RELID 5u
#define PAGES 32u

static void send_on(uint32_t connection, const char *text)
{
    struct bytes bytes = golden(text);

    assert_int_equal(hv_post_message(connection, bytes.at, bytes.size), HV_STATUS_SUCCESS);
}

static void send(const char *text)
{
    send_on(1, text);
}

/* The next message that the host has sent. */
static void expect(const char *text)
{
    struct bytes bytes = golden(text);
    const struct loopback_message *message = loopback_to_guest(0, 0);

    assert_non_null(message);
    assert_null(loopback_to_guest(0, 1));
    assert_int_equal(message->number, 0);
    assert_int_equal(message->sint, 2);
    assert_int_equal(message->size, bytes.size);
    assert_memory_equal(message->bytes, bytes.at, bytes.size);
    loopback_log_clear();
}

static const char t1[] = "0e 00 00 00 00 00 00 00 | 02 00 05 00 | 00 00 00 00"
                         "02 | 00 | 00 00 | 00 00 00 00"
                         "00 10 00 01 00 00 00 00 | 00 20 00 01 00 00 00 00";
static const char t2[] = "0f 00 00 00 00 00 00 00 | 01 | 00 | 00 00 | 01 00 00 00";
static const char t3[] = "03 00 00 00 00 00 00 00";
static const char t4[] =
    "01 00 00 00 00 00 00 00"
    "d9 63 61 ba a1 04 29 4d b6 05 72 e2 ff b1 dc 7f"
    "5c 8b 3a 6e 2f 1d 60 4a 9b 7e 01 23 45 67 89 ab"
    "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00"
    "01 00 | 00 00 | 00 x120 | 00 00 | 00 00 | 05 00 00 00 | ff | 00 | 01 00 | 05 20 00 00";
static const char t5[] = "04 00 00 00 00 00 00 00";
static const char t8[] = "0a 00 00 00 00 00 00 00 | 05 00 00 00 | 10 1e 0e 00 | 00 00 00 00";
static const char t10[] = "05 00 00 00 00 00 00 00 | 05 00 00 00 | 01 00 00 00"
                          "10 1e 0e 00 | 00 00 00 00 | 10 00 00 00 | 00 x120";
static const char t11[] = "06 00 00 00 00 00 00 00 | 05 00 00 00 | 01 00 00 00 | 00 00 00 00";
static const char t12[] = "06 00 | 02 00 | 04 00 | 01 00 | 01 00 00 00 00 00 00 00"
                          "56 4d 42 75 73 2d 70 69 6e 67 21 21 | 00 00 00 00 | 00 x8";
static const char t13[] = "0b 00 | 02 00 | 03 00 | 00 00 | 01 00 00 00 00 00 00 00"
                          "00 00 00 00 78 56 34 12 | 00 00 00 00 | 00 00 00 00";
static const char t14[] = "07 00 00 00 00 00 00 00 | 05 00 00 00";
static const char t15[] = "0b 00 00 00 00 00 00 00 | 05 00 00 00 | 10 1e 0e 00";
static const char t16[] = "0c 00 00 00 00 00 00 00 | 10 1e 0e 00";
static const char t17[] = "02 00 00 00 00 00 00 00 | 05 00 00 00";
static const char t18[] = "0d 00 00 00 00 00 00 00 | 05 00 00 00";
static const char t19[] = "10 00 00 00 00 00 00 00";
static const char t20[] = "11 00 00 00 00 00 00 00";
static const char v4[] = "0e 00 00 00 00 00 00 00 | 00 00 06 00 | 00 00 00 00"
                         "02 | 00 | 00 00 | 08 00 00 00 | 00 x16"
                         "5c 8b 3a 6e 2f 1d 60 4a 9b 7e 01 23 45 67 89 ab";
/* No feature is granted; a host that grants the client id says so in the last word. */
static const char v5[] = "0f 00 00 00 00 00 00 00 | 01 | 00 | 00 00 | 01 00 00 00 | 00 00 00 00";
static const char v6[] = "0f 00 00 00 00 00 00 00 | 00 00 00 00 00 00 00 00";
static const char v7[] = "16 00 00 00 00 00 00 00 | 05 00 00 00 | 03 00 00 00";
static const char v7a[] = "18 00 00 00 00 00 00 00 | 05 00 00 00 | 00 00 00 00";
static const char v8[] = "15 00 00 00 00 00 00 00"
                         "44 33 22 11 66 55 88 77 99 aa bb cc dd ee ff 00"
                         "bb 01 00 00 cb fa e6 11 bd 58 64 00 6a 79 86 d3";
static const char v8_refused[] = "17 00 00 00 00 00 00 00"
                                 "44 33 22 11 66 55 88 77 99 aa bb cc dd ee ff 00"
                                 "bb 01 00 00 cb fa e6 11 bd 58 64 00 6a 79 86 d3 36 02 00 c0";

static void start(struct device *device)
{
    *device = (struct device){
        .offer = {
            .interface_type =
                {0xba6163d9, 0x04a1, 0x4d29, {0xb6, 5, 0x72, 0xe2, 0xff, 0xb1, 0xdc, 0x7f}},
            .interface_instance =
                {0x6e3a8b5c, 0x1d2f, 0x4a60, {0x9b, 0x7e, 1, 0x23, 0x45, 0x67, 0x89, 0xab}},
            .flags = VMBUS_OFFER_FLAG_ENUMERATE_DEVICE_INTERFACE,
            .relid = RELID,
        }};
    assert_int_equal(device_offer_now(device), VMBUS_OK);
}

/* T6 and T7: 26 frames in the header, 6 in the body. */
static void send_gpadl(const uint8_t *memory)
{
    struct bytes header = golden("08 00 00 00 00 00 00 00 | 05 00 00 00 | 10 1e 0e 00"
                                 "08 01 | 01 00 | 00 00 02 00 | 00 00 00 00 | 00 x208");
    struct bytes body = golden("09 00 00 00 00 00 00 00 | 00 00 00 00 | 10 1e 0e 00 | 00 x48");

    for (uint64_t i = 0; i < PAGES; i++) {
        uint64_t frame = page_frame_of(memory) + i;
        memcpy(i < 26 ? header.at + 28 + 8 * i : body.at + 16 + 8 * (i - 26), &frame, 8);
    }
    assert_int_equal(hv_post_message(1, header.at, header.size), HV_STATUS_SUCCESS);
    expect_silence();
    assert_int_equal(hv_post_message(1, body.at, body.size), HV_STATUS_SUCCESS);
}

/* The guest writes its packet as T12 has it, by offset. */
static void put_request(uint8_t *memory)
{
    struct bytes bytes = golden(t12);

    memcpy(memory + PAGE_SIZE, bytes.at, bytes.size);
    memory[0] = (uint8_t)bytes.size;
    assert_int_equal(vmbus_server_signal(loopback_server, 0x2005, 0), HV_STATUS_SUCCESS);
}

static void answer_request(struct device *device)
{
    static const uint8_t status[8] = {0, 0, 0, 0, 0x78, 0x56, 0x34, 0x12};
    struct ring_packet_in in;
    uint8_t payload[16];
    const struct ring_packet_out out = {
        .transaction_id = 1,
        .type = RING_PACKET_COMPLETION,
        .payload = status,
        .payload_length = sizeof(status),
    };

    assert_int_equal(device->events, 1);
    assert_int_equal(
        ring_reader_next(vmbus_server_incoming(device->channel), payload, sizeof(payload), &in),
        RING_OK);
    assert_memory_equal(payload, "VMBus-ping!!\0\0\0\0", 16);
    assert_false(ring_reader_publish(vmbus_server_incoming(device->channel)));
    assert_int_equal(ring_writer_put(vmbus_server_outgoing(device->channel), &out), RING_OK);
    assert_true(ring_writer_commit(vmbus_server_outgoing(device->channel)));
    vmbus_server_raise(device->channel);
}

static void a_conversation_from_contact_to_unload(void **state)
{
    struct device device;
    struct bytes completion = golden(t13);
    uint8_t *memory = pages_allocate_zeroed(PAGES);

    (void)state;
    start(&device);
    send_on(4, t1);
    expect(t2);
    send(t3);
    const struct loopback_message *all = loopback_to_guest(4, 0);
    assert_non_null(all);
    struct bytes expected = golden(t5);
    assert_int_equal(all->size, expected.size);
    assert_memory_equal(all->bytes, expected.at, expected.size);
    const struct loopback_message *offer = loopback_to_guest(0, 0);
    expected = golden(t4);
    assert_int_equal(offer->size, expected.size);
    assert_memory_equal(offer->bytes, expected.at, expected.size);
    loopback_log_clear();

    send_gpadl(memory);
    expect(t8);
    memory[64] = 1; /* T9 */
    send(t10);
    expect(t11);
    assert_int_equal(device.request.incoming_pages, 15);
    assert_int_equal(device.request.outgoing_pages, 15);
    put_request(memory);
    answer_request(&device);
    const uint8_t *incoming = memory + 16 * PAGE_SIZE;
    assert_memory_equal(incoming + PAGE_SIZE, completion.at, completion.size);
    assert_int_equal(incoming[0], 0x20);
    assert_int_equal(incoming[64], 1);
    assert_int_equal(memory[4], 0x28);
    assert_int_equal(loopback_events(RELID), 1);
    send(t14);
    expect_silence();
    send(t15);
    expect(t16);
    vmbus_server_revoke(device.channel);
    expect(t17);
    send(t18);
    expect_silence();
    send(t19);
    expect(t20);
    assert_true(vmbus_server_is_idle(loopback_server));
    expect_calls(&device, "ocr");
    pages_free(memory, PAGES);
}

static void the_other_vectors(void **state)
{
    struct device device;

    (void)state;
    loopback.processors = 4;
    start(&device);
    send_on(4, v4);
    expect(v5);
    send("0e 00 00 00 00 00 00 00 | 01 00 07 00 | 00 x28");
    expect(v6);
    guest_connect(VMBUS_VERSION_5_3);
    void *memory = guest_open_rings(RELID);
    loopback_log_clear();
    send(v7);
    expect(v7a);
    vmbus_server_raise(device.channel);
    assert_int_equal(loopback_event_vp(RELID), 3);
    send(v8);
    expect(v8_refused);
    guest_unload();
    pages_free(memory, RING_PAGES);
    vmbus_server_revoke(device.channel);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        server_test(a_conversation_from_contact_to_unload),
        server_test(the_other_vectors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
