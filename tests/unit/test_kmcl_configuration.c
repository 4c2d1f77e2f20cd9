/* SPDX-License-Identifier: MIT */
/* What a driver sets in a channel and what a channel tells it: init calls, handles, names, latency.
 */

#include <string.h>

#include "tests/unit/kmcl/kmcl_test.h"

#define FULL_LIFE "opened started post-started suspend closed "

/* ---- configuration ---- */

static void a_fresh_channel_is_disabled_and_can_be_cleaned_up(void **state)
{
    VMBCHANNEL channel;

    (void)state;
    assert_int_equal(VmbChannelAllocate(NULL, FALSE, &channel), STATUS_SUCCESS);
    assert_string_equal(KmclChannelStateName(channel), "disabled");
    assert_null(VmbChannelGetPointer(channel));
    VmbChannelDisable(channel);
    VmbChannelCleanup(channel);
}

static void allocate_refuses_what_it_cannot_make(void **state)
{
    VMBCHANNEL channel;

    (void)state;
    assert_int_equal(VmbChannelAllocate(NULL, FALSE, NULL), STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbChannelAllocate(NULL, TRUE, &channel), STATUS_NOT_SUPPORTED);
    test_memory_fail(1);
    assert_int_equal(VmbChannelAllocate(NULL, FALSE, &channel), STATUS_INSUFFICIENT_RESOURCES);
}

static EVT_VMB_CHANNEL_PROCESS_PACKET ignore;
static VOID ignore(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer, UINT32 length,
                   UINT32 flags)
{
    (void)channel, (void)packet, (void)buffer, (void)length, (void)flags;
}

/* Calls every Init function with good arguments, which must give `expected`. */
static void call_every_init(VMBCHANNEL channel, NTSTATUS expected)
{
    static const GUID type = {1, 2, 3, {4}};
    static WCHAR text[] = u"tiny";
    UNICODE_STRING name = {8, 10, text};
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;

    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(channel, 64), expected);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(channel, 4096, 1), expected);
    assert_int_equal(VmbChannelInitSetClientContextSize(channel, 8), expected);
    assert_int_equal(VmbChannelInitSetProcessPacketCallbacks(channel, ignore, NULL), expected);
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(channel, &callbacks), expected);
    assert_int_equal(VmbChannelInitSetFriendlyName(channel, &name), expected);
    assert_int_equal(VmbChannelInitSetFlags(channel, VMBUS_CHANNEL_INIT_FLAG_IS_PIPE), expected);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(channel, 2, 2), expected);
    assert_int_equal(VmbClientChannelInitSetTargetPnp(channel, &type, &type, NULL), expected);
}

static void init_calls_work_while_disabled_and_in_no_other_state(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    assert_string_equal(KmclChannelStateName(driver.channel), "waiting for an offer");
    call_every_init(driver.channel, STATUS_INVALID_PARAMETER_1);
    VmbChannelPause(driver.channel);
    struct host_offer offer = host_plain_offer(RELID);
    host_add(&offer);
    settle();
    assert_string_equal(KmclChannelStateName(driver.channel), "paused");
    call_every_init(driver.channel, STATUS_INVALID_PARAMETER_1);
    VmbChannelStart(driver.channel);
    assert_string_equal(KmclChannelStateName(driver.channel), "active");
    call_every_init(driver.channel, STATUS_INVALID_PARAMETER_1);
    VmbChannelDisable(driver.channel);
    call_every_init(driver.channel, STATUS_SUCCESS);
    VmbChannelCleanup(driver.channel);
}

static void try_init_in_callback(struct driver *driver, char letter)
{
    (void)letter;
    call_every_init(driver->channel, STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelEnable(driver->channel), STATUS_INVALID_DEVICE_REQUEST);
}

static void init_calls_are_refused_inside_state_callbacks(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = try_init_in_callback;
    driver_start(&driver);
    driver_end(&driver);
    assert_trace(&driver, FULL_LIFE);
}

static void init_calls_refuse_bad_arguments(void **state)
{
    struct driver driver = {0};
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    GUID type = {1, 2, 3, {4}};

    (void)state;
    driver_make(&driver);
    VMBCHANNEL c = driver.channel;
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(c, 0), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(c, 524280), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(c, UINT32_MAX), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(c, 0, 1), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(c, 1, 0), STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(c, UINT32_MAX, UINT32_MAX),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetClientContextSize(c, UINT32_MAX), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetProcessPacketCallbacks(c, NULL, NULL),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(c, NULL), STATUS_INVALID_PARAMETER_2);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.Version = 2;
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(c, &callbacks),
                     STATUS_INVALID_PARAMETER_2);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.Size -= 8;
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(c, &callbacks),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetFriendlyName(c, NULL), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbChannelInitSetFlags(c, 2), STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(c, 0, 1),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(c, 1, 0),
                     STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(c, 4095, 1),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(c, 1, UINT32_MAX),
                     STATUS_INVALID_PARAMETER_3);
    assert_int_equal(VmbClientChannelInitSetTargetPnp(c, NULL, &type, NULL),
                     STATUS_INVALID_PARAMETER_2);
    driver_end(&driver);
}

static void ring_page_counts_are_data_pages_incoming_first(void **state)
{
    struct driver driver = {0};
    size_t pages = 0;

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(driver.channel, 3, 5),
                     STATUS_SUCCESS);
    driver_start(&driver);
    /* On the wire the guest's outgoing ring comes first; a control page each. */
    assert_int_equal(host_word(host_message(HOST_OPEN, 0), 24), 5 + 1);
    assert_non_null(host_gpadl_frames(host_ring_gpadl(RELID), &pages));
    assert_int_equal(pages, 5 + 1 + 3 + 1);
    driver_end(&driver);
}

static void enable_needs_a_target_and_a_packet_callback(void **state)
{
    VMBCHANNEL channel;
    GUID type = {1, 2, 3, {4}};

    (void)state;
    assert_int_equal(VmbChannelAllocate(NULL, FALSE, &channel), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(channel), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbClientChannelInitSetTargetPnp(channel, &type, NULL, NULL), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(channel), STATUS_INVALID_PARAMETER);
    assert_int_equal(VmbChannelInitSetProcessPacketCallbacks(channel, ignore, NULL),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(channel), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(channel), STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelDisable(channel);
    VmbChannelCleanup(channel);
}

static void a_friendly_name_is_copied_and_appears_in_messages(void **state)
{
    struct driver driver = {0};
    WCHAR text[] = u"d\u00e4mon with a name far too long for what it is";
    UNICODE_STRING name = {sizeof(text) - 2, sizeof(text), text};

    (void)state;
    driver_make(&driver);
    assert_int_equal(VmbChannelInitSetFriendlyName(driver.channel, &name), STATUS_SUCCESS);
    memset(text, 0, sizeof(text));
    VmbChannelSetTransactionQuota(driver.channel, 0);
    assert_non_null(strstr(test_console(), "d?mon with a name far too long : "));
    driver_end(&driver);
}

/* ---- what else a channel knows ---- */

static UINT16 original_latency;
static NTSTATUS latency_status[128];

static void set_latency_in_callback(struct driver *driver, char letter)
{
    latency_status[(unsigned char)letter] =
        VmbChannelSetInterruptLatency(driver->channel, 100, &original_latency);
}

static void interrupt_latency_is_valid_from_opened_to_closed(void **state)
{
    struct driver driver = {0};
    struct host_offer offer = host_plain_offer(RELID);

    (void)state;
    offer.monitor_id = 40;
    offer.monitor_allocated = 1;
    host_add(&offer);
    driver_make(&driver);
    assert_int_equal(VmbChannelSetInterruptLatency(driver.channel, 1, &original_latency),
                     STATUS_INVALID_DEVICE_REQUEST);
    driver.on_state = set_latency_in_callback;
    driver_start(&driver);
    assert_int_equal(VmbChannelSetInterruptLatency(driver.channel, 7, &original_latency),
                     STATUS_SUCCESS);
    assert_int_equal(original_latency, 100);
    VmbChannelDisable(driver.channel);
    for (const char *letter = "OSPUC"; *letter != 0; letter++) {
        assert_int_equal(latency_status[(unsigned char)*letter], STATUS_SUCCESS);
    }
    assert_int_equal(VmbChannelSetInterruptLatency(driver.channel, 1, &original_latency),
                     STATUS_INVALID_DEVICE_REQUEST);
    driver_end(&driver);
}

static void interrupt_latency_without_a_monitor_is_not_supported(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    assert_int_equal(VmbChannelSetInterruptLatency(driver.channel, 7, &original_latency),
                     STATUS_NOT_SUPPORTED);
    driver_end(&driver);
}

static void mmio_space_is_none_and_a_wish_for_some_is_said(void **state)
{
    struct driver driver = {0};
    struct host_offer offer = host_plain_offer(RELID);
    UINT64 address = 1;
    UINT64 size = 1;

    (void)state;
    offer.mmio_megabytes = 8;
    host_add(&offer);
    driver_start(&driver);
    VmbChannelGetMmioSpace(driver.channel, &address, &size);
    assert_int_equal(address, 0);
    assert_int_equal(size, 0);
    assert_non_null(strstr(test_console(), "no device memory is reserved"));
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(a_fresh_channel_is_disabled_and_can_be_cleaned_up),
        kmcl_test(allocate_refuses_what_it_cannot_make),
        kmcl_test(init_calls_work_while_disabled_and_in_no_other_state),
        kmcl_test(init_calls_are_refused_inside_state_callbacks),
        kmcl_test(init_calls_refuse_bad_arguments),
        kmcl_test(ring_page_counts_are_data_pages_incoming_first),
        kmcl_test(enable_needs_a_target_and_a_packet_callback),
        kmcl_test(a_friendly_name_is_copied_and_appears_in_messages),
        kmcl_test(interrupt_latency_is_valid_from_opened_to_closed),
        kmcl_test(interrupt_latency_without_a_monitor_is_not_supported),
        kmcl_test(mmio_space_is_none_and_a_wish_for_some_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
