/* SPDX-License-Identifier: MIT */
/* Packets of transfer pages at a client: what a driver gets, and what hosts may try. */

#include <string.h>

#include "tests/unit/kmcl/kmcl_test.h"

#define SET        0xCAFEu
#define BYTES      8192u
#define RANGES_MAX 512u

static struct driver driver;

/* What the accessor said inside the last delivery. */
static NTSTATUS said;
static UINT32 range_count;
static KMCL_TRANSFER_PAGE_RANGE ranges[RANGES_MAX];

static void look(struct driver *own, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    const KMCL_TRANSFER_PAGE_RANGE *list = (const void *)&said;

    (void)own, (void)buffer, (void)length;
    range_count = 99;
    said = KmclPacketGetTransferPages(packet, &list, &range_count);
    assert_true((list == NULL) == (said != STATUS_SUCCESS));
    assert_true((range_count == 0) == (said != STATUS_SUCCESS));
    assert_true(range_count <= RANGES_MAX);
    if (list != NULL) {
        memcpy(ranges, list, range_count * sizeof(ranges[0]));
    }
    VmbChannelPacketComplete(packet, "answer..", 8);
}

static void start(void)
{
    memset(&driver, 0, sizeof(driver));
    driver_start(&driver);
    driver.on_packet = look;
    said = STATUS_PENDING;
    assert_int_equal(KmclClientChannelSetTransferPages(driver.channel, SET, BYTES), STATUS_SUCCESS);
}

/* The host sends a packet with this header and the ranges behind it, `stated` of them as it says.
 */
static void put(UINT16 set, UINT32 stated, const UINT32 (*list)[2], UINT32 count)
{
    static UINT32 head[2 + 2 * RANGES_MAX];
    const UINT64 payload = 107;
    const struct ring_packet_out packet = {
        .transaction_id = 0x1234,
        .type = 7,
        .flags = RING_PACKET_FLAG_COMPLETION_REQUESTED,
        .extension_length = 8 + 8 * count,
        .head_length = 8 + 8 * count,
        .head = head,
        .payload_length = sizeof(payload),
        .payload = &payload,
    };

    head[0] = set | 0x5A010000u; /* the two bytes behind it may be anything */
    head[1] = stated;
    memcpy(head + 2, list, count * sizeof(list[0]));
    assert_int_equal(host_put(RELID, &packet), RING_OK);
    settle();
}

/* ---- as it should be ---- */

static void ranges_are_delivered_and_completed_once(void **state)
{
    static const UINT32 list[][2] = {{100, 0}, {8, 4096}, {BYTES, 0}, {0, BYTES}};
    struct ring_packet_in packet;

    (void)state;
    start();
    put(SET, 4, list, 4);
    assert_int_equal(driver.packets, 1);
    assert_int_equal(driver.last_length, 8);
    assert_int_equal(driver.last[0], 107);
    assert_int_equal(said, STATUS_SUCCESS);
    assert_int_equal(range_count, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(ranges[i].ByteCount, list[i][0]);
        assert_int_equal(ranges[i].ByteOffset, list[i][1]);
    }
    (void)host_take(&packet);
    assert_int_equal(packet.type, RING_PACKET_COMPLETION);
    assert_int_equal(packet.transaction_id, 0x1234);
    assert_false(host_has_packet());
    driver_end(&driver);
}

static void as_many_ranges_as_a_packet_holds_arrive(void **state)
{
    UINT32 list[375][2];

    (void)state;
    start();
    for (UINT32 i = 0; i < 375; i++) {
        list[i][0] = i;
        list[i][1] = 2 * i;
    }
    put(SET, 375, (const UINT32(*)[2])list, 375);
    assert_int_equal(said, STATUS_SUCCESS);
    assert_int_equal(range_count, 375);
    assert_int_equal(ranges[374].ByteOffset, 748);
    driver_end(&driver);
}

static VMBPACKETCOMPLETION kept;

static void keep(struct driver *own, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    (void)own, (void)buffer, (void)length;
    kept = packet;
}

static void a_packet_that_is_kept_keeps_its_ranges(void **state)
{
    static const UINT32 list[][2] = {{16, 32}};
    static const UINT32 other[][2] = {{99, 77}};
    const KMCL_TRANSFER_PAGE_RANGE *found;
    struct ring_packet_in packet;

    (void)state;
    start();
    driver.on_packet = keep;
    put(SET, 1, list, 1);
    VMBPACKETCOMPLETION first = kept;
    put(SET, 1, other, 1);
    assert_int_equal(KmclPacketGetTransferPages(first, &found, &range_count), STATUS_SUCCESS);
    assert_int_equal(found[0].ByteOffset, 32);
    VmbChannelPacketComplete(first, NULL, 0);
    VmbChannelPacketComplete(kept, NULL, 0);
    (void)host_take(&packet);
    (void)host_take(&packet);
    assert_false(host_has_packet());
    expect_panic(KmclPacketGetTransferPages(kept, &found, &range_count));
    driver_end(&driver);
}

static void defer_once(struct driver *own, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    if (own->packets == 1) {
        VmbChannelPacketDeferToPassive(packet);
    } else {
        look(own, packet, buffer, length);
    }
}

static void a_deferred_packet_keeps_its_ranges(void **state)
{
    static const UINT32 list[][2] = {{16, 32}};

    (void)state;
    start();
    driver.on_packet = defer_once;
    put(SET, 1, list, 1);
    assert_int_equal(driver.packets, 2);
    assert_int_equal(said, STATUS_SUCCESS);
    assert_int_equal(ranges[0].ByteOffset, 32);
    driver_end(&driver);
}

static void other_packets_name_no_ranges(void **state)
{
    const UINT64 words[4] = {UINT64_C(0x00000001CAFE), UINT64_C(0x0000002000000010), 3, 4};
    const struct ring_packet_out with_extension = {.type = RING_PACKET_DATA_INBAND,
                                                   .extension_length = 16,
                                                   .head_length = 16,
                                                   .head = words,
                                                   .payload = words,
                                                   .payload_length = 16};

    (void)state;
    start();
    host_put_word(1, false);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(said, STATUS_INVALID_DEVICE_REQUEST);
    said = STATUS_PENDING;
    /* What stands before its payload looks like ranges. */
    assert_int_equal(host_put(RELID, &with_extension), RING_OK);
    settle();
    assert_int_equal(driver.packets, 2);
    assert_int_equal(said, STATUS_INVALID_DEVICE_REQUEST);
    driver_end(&driver);
}

/* ---- what hosts may try ---- */

static void ranges_that_leave_the_memory_are_refused(void **state)
{
    static const UINT32 bad[][2] = {
        {BYTES + 1, 0},           {1, BYTES},      {2, BYTES - 1},        {BYTES, 1},
        {0, BYTES + 1},           {1, 1u << 31},   {1, UINT32_MAX},       {UINT32_MAX, 1},
        {UINT32_MAX, UINT32_MAX}, {UINT32_MAX, 0}, {0xFFFFF000u, 0x1001},
    };
    static const UINT32 good[][2] = {{BYTES, 0}};

    (void)state;
    start();
    for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        UINT32 list[3][2] = {{8, 8}, {8, 8}, {8, 8}};
        struct ring_packet_in packet;
        memcpy(list[i % 3], bad[i], sizeof(bad[i]));
        put(SET, 3, (const UINT32(*)[2])list, 3);
        assert_int_equal(driver.packets, i + 1);
        assert_int_equal(said, STATUS_INVALID_PARAMETER);
        (void)host_take(&packet); /* it was the driver's to complete */
        assert_int_equal(packet.type, RING_PACKET_COMPLETION);
    }
    put(SET, 1, good, 1);
    assert_int_equal(said, STATUS_SUCCESS);
    driver_end(&driver);
}

static void counts_that_do_not_fit_are_refused(void **state)
{
    static const UINT32 list[][2] = {{8, 8}, {8, 8}};
    static const UINT32 counts[] = {0,          3,          4,          0x1FFFFFFF,
                                    0x20000000, 0x20000001, 0x80000000, UINT32_MAX};

    (void)state;
    start();
    for (unsigned i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        said = STATUS_PENDING;
        put(SET, counts[i], list, 2);
        assert_int_equal(said, STATUS_INVALID_PARAMETER);
    }
    put(SET, 1, list, 2); /* words behind the last one do no harm */
    assert_int_equal(said, STATUS_SUCCESS);
    assert_int_equal(range_count, 1);
    driver_end(&driver);
}

static void a_header_that_is_cut_is_refused(void **state)
{
    const UINT64 payload = 107;
    const struct ring_packet_out packet = {.type = 7, .payload_length = 8, .payload = &payload};

    (void)state;
    start();
    assert_int_equal(host_put(RELID, &packet), RING_OK);
    settle();
    assert_int_equal(driver.packets, 1);
    assert_int_equal(said, STATUS_INVALID_PARAMETER);
    driver_end(&driver);
}

static void another_set_is_refused(void **state)
{
    static const UINT32 list[][2] = {{8, 8}};

    (void)state;
    start();
    put(SET + 1, 1, list, 1);
    assert_int_equal(said, STATUS_INVALID_PARAMETER);
    put(0, 1, list, 1);
    assert_int_equal(said, STATUS_INVALID_PARAMETER);
    assert_int_equal(driver.packets, 2);
    driver_end(&driver);
}

/* A host that rewrites the packet after it was taken reaches ring memory, never the driver's copy.
 */
static void the_list_is_out_of_the_hosts_reach(void **state)
{
    static const UINT32 list[][2] = {{16, 32}};
    const KMCL_TRANSFER_PAGE_RANGE *found;

    (void)state;
    start();
    driver.on_packet = keep;
    put(SET, 1, list, 1);
    assert_int_equal(KmclPacketGetTransferPages(kept, &found, &range_count), STATUS_SUCCESS);
    memset(host_channel(RELID)->outgoing_data, 0xFF, host_channel(RELID)->outgoing_size);
    assert_int_equal(found[0].ByteCount, 16);
    assert_int_equal(found[0].ByteOffset, 32);
    VmbChannelPacketComplete(kept, NULL, 0);
    driver_end(&driver);
}

/* ---- when they are taken ---- */

static void without_memory_for_them_they_are_dropped_and_counted(void **state)
{
    static const UINT32 list[][2] = {{8, 8}};
    KMCL_CHANNEL_STATISTICS statistics;

    (void)state;
    start();
    assert_int_equal(KmclClientChannelSetTransferPages(driver.channel, SET, 0), STATUS_SUCCESS);
    put(SET, 1, list, 1);
    assert_int_equal(driver.packets, 0);
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.PacketsDropped, 1);
    assert_int_equal(KmclClientChannelSetTransferPages(driver.channel, SET, BYTES), STATUS_SUCCESS);
    put(SET, 1, list, 1);
    assert_int_equal(driver.packets, 1);
    /* Not over a close. */
    VmbChannelDisable(driver.channel);
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    settle();
    put(SET, 1, list, 1);
    assert_int_equal(driver.packets, 1);
    driver_end(&driver);
}

static void set_in_opened(struct driver *own, char letter)
{
    if (letter == 'O') {
        assert_int_equal(KmclClientChannelSetTransferPages(own->channel, SET, BYTES),
                         STATUS_SUCCESS);
    }
}

static void memory_for_them_is_set_from_opened_until_the_close(void **state)
{
    static const UINT32 list[][2] = {{8, 8}};

    (void)state;
    memset(&driver, 0, sizeof(driver));
    driver_make(&driver);
    driver.on_state = set_in_opened;
    driver.on_packet = look;
    assert_int_equal(KmclClientChannelSetTransferPages(NULL, SET, BYTES),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclClientChannelSetTransferPages(driver.channel, SET, BYTES),
                     STATUS_INVALID_DEVICE_REQUEST);
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    assert_int_equal(KmclClientChannelSetTransferPages(driver.channel, SET, BYTES),
                     STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelDisable(driver.channel);
    driver_start(&driver);
    put(SET, 1, list, 1);
    assert_int_equal(said, STATUS_SUCCESS);
    VmbChannelDisable(driver.channel);
    assert_int_equal(KmclClientChannelSetTransferPages(driver.channel, SET, BYTES),
                     STATUS_INVALID_DEVICE_REQUEST);
    driver_end(&driver);
}

static void a_pipe_has_none(void **state)
{
    (void)state;
    memset(&driver, 0, sizeof(driver));
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetFlags(driver.channel, VMBUS_CHANNEL_INIT_FLAG_IS_PIPE),
                     STATUS_SUCCESS);
    driver_start(&driver);
    assert_int_equal(KmclClientChannelSetTransferPages(driver.channel, SET, BYTES),
                     STATUS_INVALID_DEVICE_REQUEST);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(ranges_are_delivered_and_completed_once),
        kmcl_test(as_many_ranges_as_a_packet_holds_arrive),
        kmcl_test(a_packet_that_is_kept_keeps_its_ranges),
        kmcl_test(a_deferred_packet_keeps_its_ranges),
        kmcl_test(other_packets_name_no_ranges),
        kmcl_test(ranges_that_leave_the_memory_are_refused),
        kmcl_test(counts_that_do_not_fit_are_refused),
        kmcl_test(a_header_that_is_cut_is_refused),
        kmcl_test(another_set_is_refused),
        kmcl_test(the_list_is_out_of_the_hosts_reach),
        kmcl_test(without_memory_for_them_they_are_dropped_and_counted),
        kmcl_test(memory_for_them_is_set_from_opened_until_the_close),
        kmcl_test(a_pipe_has_none),
    };
    return cmocka_run_group_tests_name("kmcl, transfer pages", tests, NULL, NULL);
}
