/* SPDX-License-Identifier: MIT */
/* The memory of outgoing packets: allocated before they are sent, used again, the driver's own. */

#include "kernel/pages.h"
#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION

/* ---- memory ---- */

static void sending_never_allocates(void **state)
{
    struct driver driver = {0};
    VMBPACKET packets[40];
    UINT8 bytes[600] = {0};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 40; i++) {
        packets[i] = driver_packet(&driver, i);
    }
    settle();
    test_memory_fail(1);
    unsigned before = test_memory_attempts();
    for (unsigned i = 0; i < 40; i++) {
        assert_int_equal(VmbPacketSend(packets[i], bytes, sizeof(bytes), NULL, i % 2 ? WAIT : 0),
                         STATUS_SUCCESS);
    }
    for (unsigned i = 0; i < 40; i++) {
        struct ring_packet_in packet;
        (void)host_take(&packet);
        if (packet.flags != 0) {
            (void)host_put_completion(RELID, packet.transaction_id, NULL, 0);
        }
        settle();
    }
    assert_int_equal(driver.completions, 40);
    assert_int_equal(test_memory_attempts(), before);
    test_memory_fail(0);
    driver_end(&driver);
}

static void a_freed_packet_is_used_again_without_allocating(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    assert_int_equal(driver_send(&driver, 1, 8, 0), STATUS_SUCCESS);
    unsigned before = test_memory_attempts();
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(driver_send(&driver, i, 8, 0), STATUS_SUCCESS);
    }
    assert_int_equal(test_memory_attempts(), before);
    driver_end(&driver);
}

static void allocation_failures_give_null(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    test_memory_fail(1);
    assert_null(VmbPacketAllocate(driver.channel));
    test_memory_fail(2);
    assert_null(VmbPacketAllocate(driver.channel));
    test_memory_fail(0);
    VMBPACKET packet = VmbPacketAllocate(driver.channel);
    assert_non_null(packet);
    assert_null(VmbPacketGetPointer(packet));
    assert_ptr_equal(VmbPacketGetChannel(packet), driver.channel);
    VmbPacketFree(packet);
    driver_end(&driver);
}

static unsigned resends;

static VOID resend(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    UINT64 word = ++resends;

    (void)buffer, (void)length;
    assert_int_equal(status, STATUS_SUCCESS);
    if (resends < 5) {
        assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_SUCCESS);
    }
}

static void packets_can_live_in_the_drivers_memory(void **state)
{
    struct driver driver = {0};
    UINT64 word = 3;
    struct ring_packet_in in;

    (void)state;
    driver_make(&driver);
    UINT32 size = VmbChannelSizeofPacket(driver.channel);
    assert_true(size > 1024 + sizeof(void *));
    UINT8 *memory = memory_allocate(size + 8);
    VMBPACKET packet = (VMBPACKET)(void *)memory;
    assert_int_equal(VmbPacketInitialize(driver.channel, NULL, size), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbPacketInitialize(driver.channel, (VMBPACKET)(void *)(memory + 1), size),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbPacketInitialize(driver.channel, packet, size - 1),
                     STATUS_INVALID_PARAMETER_3);
    test_memory_fail(1);
    assert_int_equal(VmbPacketInitialize(driver.channel, packet, size),
                     STATUS_INSUFFICIENT_RESOURCES);
    test_memory_fail(0);
    assert_int_equal(VmbPacketInitialize(driver.channel, packet, size), STATUS_SUCCESS);
    assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, 0), STATUS_INVALID_DEVICE_REQUEST);
    expect_panic(VmbPacketFree(packet));
    VmbPacketSetCompletionRoutine(packet, resend);
    resends = 4;
    driver_start(&driver);
    assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_SUCCESS);
    assert_int_equal(host_take(&in), 3);
    (void)host_put_completion(RELID, in.transaction_id, NULL, 0);
    settle();
    assert_int_equal(resends, 5);
    memory_free(memory);
    driver_end(&driver);
}

static void changed_limits_do_not_hurt_packets_made_before(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[3000] = {0};
    UINT64 space[8];
    PMDL mdl = (PMDL)(void *)space;

    (void)state;
    driver_make(&driver);
    VMBPACKET old = driver_packet(&driver, 1);
    MmInitializeMdl(mdl, bytes, 8);
    MmBuildMdlForNonPagedPool(mdl);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(driver.channel, 3000), STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(driver.channel, PAGE_SIZE, 1),
                     STATUS_SUCCESS);
    driver_start(&driver);
    assert_int_equal(VmbPacketSend(old, bytes, 3000, NULL, 0), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(old, bytes, 8, mdl, WAIT), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbPacketSend(old, bytes, 1024, NULL, 0), STATUS_SUCCESS);
    VMBPACKET new = driver_packet(&driver, 2);
    assert_int_equal(VmbPacketSend(new, bytes, 3000, NULL, 0), STATUS_SUCCESS);
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(sending_never_allocates),
        kmcl_test(a_freed_packet_is_used_again_without_allocating),
        kmcl_test(allocation_failures_give_null),
        kmcl_test(packets_can_live_in_the_drivers_memory),
        kmcl_test(changed_limits_do_not_hurt_packets_made_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
