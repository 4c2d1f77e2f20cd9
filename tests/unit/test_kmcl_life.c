/* SPDX-License-Identifier: MIT */
/* The life of a channel: configuration, the order of callbacks, start and pause, rescind at every
 * step. */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/wait.h"
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

static void use_no_channel(VMBCHANNEL bad)
{
    UINT64 memory[64] = {0};
    UINT16 latency;
    UINT32 handle;

    call_every_init(bad, STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelEnable(bad), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelSetInterruptLatency(bad, 1, &latency), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbPacketInitialize(bad, (VMBPACKET)(void *)memory, 512),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelCreateGpadlFromBuffer(bad, 0, memory, 8, &handle),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(VmbChannelSendSynchronousRequest(bad, NULL, 0, NULL, 0, NULL, NULL, NULL),
                     STATUS_INVALID_PARAMETER_1);
    expect_panic(VmbChannelDisable(bad));
    assert_non_null(strstr(test_panic_message(), "VmbChannelDisable"));
    expect_panic(VmbChannelStart(bad));
    expect_panic(VmbChannelPause(bad));
    expect_panic(VmbChannelCleanup(bad));
    expect_panic((void)VmbPacketAllocate(bad));
    expect_panic(VmbChannelSetTransactionQuota(bad, 1));
    expect_panic(VmbChannelDeleteGpadl(bad, 1));
}

static void a_handle_that_is_no_channel_is_refused_or_stops_the_guest(void **state)
{
    static UINT64 rubbish[64];

    (void)state;
    use_no_channel(NULL);
    use_no_channel((VMBCHANNEL)(void *)rubbish);
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

/* ---- the order of callbacks ---- */

static void a_normal_life_calls_each_callback_once_in_order(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    assert_trace(&driver, "opened started post-started ");
    assert_true(host_is_open(RELID));
    assert_string_equal(KmclChannelStateName(driver.channel), "active");
    VmbChannelDisable(driver.channel);
    assert_trace(&driver, FULL_LIFE);
    assert_false(host_is_open(RELID));
    VmbChannelDisable(driver.channel);
    driver_end(&driver);
    assert_int_equal(host_count(HOST_CLOSE), 1);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
    assert_trace(&driver, FULL_LIFE);
}

static void callbacks_are_optional(void **state)
{
    struct driver driver = {0};
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS none;

    (void)state;
    driver_make(&driver);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&none);
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(driver.channel, &none), STATUS_SUCCESS);
    driver_start(&driver);
    assert_true(host_is_open(RELID));
    driver_end(&driver);
    assert_trace(&driver, "");
}

static void enable_waits_for_an_offer_that_comes_later(void **state)
{
    struct driver driver = {0};
    struct host_offer other = host_plain_offer(RELID + 1);
    struct host_offer sub = host_plain_offer(RELID + 2);
    struct host_offer offer = host_plain_offer(RELID);

    (void)state;
    other.type.data1++;
    driver_make(&driver);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    host_add(&other);
    settle();
    assert_trace(&driver, "");
    host_add(&offer);
    sub.instance = offer.instance;
    sub.index = 1;
    host_add(&sub);
    settle();
    assert_trace(&driver, "opened started post-started ");
    assert_true(host_is_open(RELID));
    assert_false(host_is_open(RELID + 2));
    driver_end(&driver);
}

static void an_instance_is_chosen_when_one_is_named(void **state)
{
    struct driver driver = {0};
    struct host_offer first = host_plain_offer(RELID);
    struct host_offer second = host_plain_offer(RELID + 1);
    GUID type;
    GUID instance;
    GUID active;

    (void)state;
    driver_make(&driver);
    memcpy(&type, &first.type, sizeof(type));
    memcpy(&instance, &second.instance, sizeof(instance));
    assert_int_equal(VmbClientChannelInitSetTargetPnp(driver.channel, &type, &instance, NULL),
                     STATUS_SUCCESS);
    VmbChannelGetInterfaceInstance(driver.channel, &active);
    assert_int_equal(active.Data1, 0);
    host_add(&first);
    host_add(&second);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    settle();
    assert_true(host_is_open(RELID + 1));
    VmbChannelGetInterfaceInstance(driver.channel, &active);
    assert_memory_equal(&active, &instance, sizeof(active));
    driver_end(&driver);
}

static void two_channels_share_a_class_and_each_takes_its_own_device(void **state)
{
    struct driver a = {0};
    struct driver b = {0};
    struct host_offer second = host_plain_offer(RELID + 1);

    (void)state;
    driver_start(&a);
    driver_start(&b);
    assert_trace(&b, "");
    host_add(&second);
    settle();
    assert_trace(&b, "opened started post-started ");
    driver_end(&a);
    driver_end(&b);
}

static void of_two_standing_offers_one_is_taken_and_the_other_left(void **state)
{
    struct driver a = {0};
    struct driver b = {0};
    struct host_offer first = host_plain_offer(RELID);
    struct host_offer second = host_plain_offer(RELID + 1);

    (void)state;
    host_add(&first);
    host_add(&second);
    driver_start(&a);
    assert_true(host_is_open(RELID));
    assert_false(host_is_open(RELID + 1));
    driver_start(&b);
    assert_true(host_is_open(RELID + 1));
    driver_end(&a);
    driver_end(&b);
}

static void start_and_pause_go_round(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 3; i++) {
        driver.trace[0] = 0;
        VmbChannelPause(driver.channel);
        VmbChannelPause(driver.channel);
        assert_trace(&driver, "suspend ");
        assert_string_equal(KmclChannelStateName(driver.channel), "paused");
        VmbChannelStart(driver.channel);
        VmbChannelStart(driver.channel);
        assert_trace(&driver, "suspend started post-started ");
    }
    VmbChannelPause(driver.channel);
    driver.trace[0] = 0;
    driver_end(&driver);
    assert_trace(&driver, "closed ");
}

static void a_pause_while_disabled_holds_the_channel_when_it_opens(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    VmbChannelPause(driver.channel);
    driver_start(&driver);
    assert_trace(&driver, "opened ");
    VmbChannelStart(driver.channel);
    assert_trace(&driver, "opened started post-started ");
    VmbChannelDisable(driver.channel);
    VmbChannelPause(driver.channel);
    VmbChannelStart(driver.channel);
    driver.trace[0] = 0;
    driver_start(&driver);
    assert_trace(&driver, "opened started post-started ");
    driver_end(&driver);
}

static void a_channel_can_be_enabled_again_and_again(void **state)
{
    struct driver driver = {0};

    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        driver.trace[0] = 0;
        driver_start(&driver);
        VmbChannelDisable(driver.channel);
        assert_trace(&driver, FULL_LIFE);
    }
    driver_end(&driver);
    assert_int_equal(host_count(HOST_OPEN), 5);
}

static void disable_before_any_offer_just_stops_waiting(void **state)
{
    struct driver driver = {0};
    struct host_offer offer = host_plain_offer(RELID);

    (void)state;
    driver_make(&driver);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    VmbChannelDisable(driver.channel);
    host_add(&offer);
    settle();
    assert_trace(&driver, "");
    assert_int_equal(host_count(HOST_OPEN), 0);
    driver_end(&driver);
}

static void disable_right_behind_enable_opens_nothing(void **state)
{
    struct driver driver = {0};
    struct host_offer offer = host_plain_offer(RELID);

    (void)state;
    driver_make(&driver);
    host_add(&offer);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    driver_end(&driver);
    assert_trace(&driver, "");
    assert_int_equal(host_count(HOST_OPEN), 0);
}

/* ---- failures to connect (K13) ---- */

static void an_open_that_the_host_refuses_is_reported(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.open_status = 0xC0000022;
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_int_equal((UINT32)driver.failure, 0xC0000022);
    assert_string_equal(KmclChannelStateName(driver.channel), "disabled");
    host.open_status = 0;
    driver_start(&driver);
    assert_trace(&driver, "failure opened started post-started ");
    driver_end(&driver);
}

static void an_odd_open_status_still_is_a_failure(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.open_status = 1;
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_int_equal(driver.failure, STATUS_UNSUCCESSFUL);
    driver_end(&driver);
}

/* M4 */
static void a_ring_gpadl_that_the_host_refuses_costs_that_channel_alone(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.gpadl_status = 0x80000001;
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_false(NT_SUCCESS(driver.failure));
    driver_end(&driver);
}

/* M16 */
static void an_open_that_is_never_answered_ends_after_the_limit(void **state)
{
    struct driver driver = {0};
    uint64_t before;

    (void)state;
    host.open = HOST_IS_SILENT;
    before = test_time();
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    assert_int_equal(driver.failure, STATUS_IO_TIMEOUT);
    assert_in_range(test_time() - before, VMBUS_ANSWER_LIMIT, 3 * VMBUS_ANSWER_LIMIT);
    driver_end(&driver);
}

static void a_rescind_while_opening_is_reported(void **state)
{
    static const UINT32 at[] = {HOST_GPADL_HEADER, HOST_OPEN};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct driver driver = {0};
        host.rescind_type = at[i];
        host.rescind_count = 1;
        host.rescind_at_once = true;
        driver_start(&driver);
        assert_trace(&driver, "failure ");
        assert_int_equal(driver.failure, STATUS_DEVICE_REMOVED);
        driver_end(&driver);
        settle();
        assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
        (void)vmbus_disconnect();
        host_reset();
    }
}

static void no_memory_at_any_point_of_opening_is_reported(void **state)
{
    unsigned failures = 0;

    (void)state;
    for (unsigned nth = 1; nth < 12; nth++) {
        struct driver driver = {0};
        driver_make(&driver);
        struct host_offer offer = host_plain_offer(RELID);
        if (host_channel(RELID) == NULL) {
            host_add(&offer);
            vmbus_test_connect();
        }
        assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
        test_memory_fail(nth);
        settle();
        test_memory_fail(0);
        if (strcmp(driver.trace, "failure ") == 0) {
            assert_int_equal(driver.failure, STATUS_INSUFFICIENT_RESOURCES);
            failures++;
        } else {
            assert_trace(&driver, "opened started post-started ");
        }
        driver_end(&driver);
    }
    assert_true(failures >= 3);
}

static void a_failing_opened_callback_takes_the_channel_back(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.opened_status = STATUS_UNSUCCESSFUL;
    driver_start(&driver);
    assert_trace(&driver, "opened ");
    assert_false(host_is_open(RELID));
    assert_string_equal(KmclChannelStateName(driver.channel), "disabled");
    driver.opened_status = STATUS_SUCCESS;
    driver_start(&driver);
    assert_trace(&driver, "opened opened started post-started ");
    driver_end(&driver);
}

/* ---- rescind at every step (M15) ---- */

static char rescind_letter;

static void rescind_in_callback(struct driver *driver, char letter)
{
    (void)driver;
    if (letter == rescind_letter) {
        host_rescind(RELID);
        while (test_host_step()) {
        }
    }
}

static void check_rescind_in(char letter, const char *trace)
{
    struct driver driver = {0};

    driver_make(&driver);
    rescind_letter = letter;
    driver.on_state = rescind_in_callback;
    driver_start(&driver);
    if (letter == 'U' || letter == 'C') {
        VmbChannelDisable(driver.channel);
    }
    settle();
    assert_trace(&driver, trace);
    assert_string_equal(KmclChannelStateName(driver.channel), "disabled");
    driver_end(&driver);
    settle();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    assert_trace(&driver, trace);
}

static void a_rescind_during_opened_closes_without_starting(void **state)
{
    (void)state;
    check_rescind_in('O', "opened closed ");
}

static void a_rescind_during_started_suspends_and_closes(void **state)
{
    (void)state;
    check_rescind_in('S', "opened started suspend closed ");
}

static void a_rescind_during_post_started_suspends_and_closes(void **state)
{
    (void)state;
    check_rescind_in('P', FULL_LIFE);
}

static void a_rescind_during_suspend_changes_nothing(void **state)
{
    (void)state;
    check_rescind_in('U', FULL_LIFE);
}

static void a_rescind_during_closed_changes_nothing(void **state)
{
    (void)state;
    check_rescind_in('C', FULL_LIFE);
}

static void a_rescind_while_active_disables_the_channel_for_good(void **state)
{
    struct driver driver = {0};
    struct host_offer again = host_plain_offer(RELID + 1);

    (void)state;
    driver_start(&driver);
    host_rescind(RELID);
    settle();
    assert_trace(&driver, FULL_LIFE);
    assert_int_equal(host_count(HOST_CLOSE), 0);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    host_add(&again);
    settle();
    assert_trace(&driver, FULL_LIFE);
    driver.trace[0] = 0;
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    settle();
    assert_trace(&driver, "opened started post-started ");
    driver_end(&driver);
}

static void a_rescind_while_paused_closes(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    VmbChannelPause(driver.channel);
    driver.trace[0] = 0;
    host_rescind(RELID);
    settle();
    assert_trace(&driver, "closed ");
    driver_end(&driver);
}

static void a_rescind_before_the_worker_sees_the_offer_is_reported(void **state)
{
    struct driver driver = {0};
    struct host_offer offer = host_plain_offer(RELID);

    (void)state;
    driver_make(&driver);
    host_add(&offer);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    host_rescind(RELID);
    while (test_host_step()) {
    }
    settle();
    assert_trace(&driver, "failure ");
    assert_int_equal(driver.failure, STATUS_DEVICE_REMOVED);
    driver_end(&driver);
}

static void losing_the_connection_closes_the_channel(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    (void)vmbus_disconnect();
    settle();
    assert_trace(&driver, FULL_LIFE);
    driver_end(&driver);
}

/* ---- order on the wire ---- */

static unsigned close_messages;
static unsigned torn_down;

static void note_wire_in_callback(struct driver *driver, char letter)
{
    (void)driver;
    if (letter == 'C') {
        close_messages = host_count(HOST_CLOSE);
        torn_down = host_count(HOST_GPADL_TEARDOWN);
    }
}

static void closed_comes_after_the_host_let_go(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = note_wire_in_callback;
    driver_start(&driver);
    driver_end(&driver);
    assert_int_equal(close_messages, 1);
    assert_int_equal(torn_down, 1);
}

static void closed_comes_before_the_close_below_version_4(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.highest_version = VERSION_OF(3, 0);
    driver_make(&driver);
    driver.on_state = note_wire_in_callback;
    driver_start(&driver);
    driver_end(&driver);
    assert_trace(&driver, FULL_LIFE);
    assert_int_equal(close_messages, 0);
    assert_int_equal(torn_down, 0);
    assert_int_equal(host_count(HOST_CLOSE), 1);
}

/* M14 */
static void ring_memory_is_kept_if_the_host_never_confirms(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    host.teardown = HOST_IGNORES;
    driver_end(&driver);
    assert_int_equal(vmbus_test_counts().pages_kept, 4);
}

/* ---- misuse ---- */

static void disable_in_callback(struct driver *driver, char letter)
{
    if (letter == 'P') {
        expect_panic(VmbChannelDisable(driver->channel));
        assert_non_null(strstr(test_panic_message(), "VmbChannelDisable"));
        expect_panic(VmbChannelPause(driver->channel));
        expect_panic(VmbChannelStart(driver->channel));
        expect_panic(VmbChannelCleanup(driver->channel));
    }
}

static void waiting_for_a_channel_inside_its_callback_stops_the_guest(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = disable_in_callback;
    driver_start(&driver);
    driver_end(&driver);
}

static void cleanup_of_a_channel_in_use_stops_the_guest(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    expect_panic(VmbChannelCleanup(driver.channel));
    VmbChannelDisable(driver.channel);
    VMBPACKET packet = VmbPacketAllocate(driver.channel);
    expect_panic(VmbChannelCleanup(driver.channel));
    VmbPacketFree(packet);
    driver_end(&driver);
}

static void waiting_calls_above_passive_stop_the_guest(void **state)
{
    struct driver driver = {0};
    enum irql level;

    (void)state;
    driver_start(&driver);
    level = irql_raise_to_dispatch();
    expect_panic(VmbChannelDisable(driver.channel));
    expect_panic(VmbChannelPause(driver.channel));
    expect_panic(VmbChannelStart(driver.channel));
    expect_panic((void)VmbChannelEnable(driver.channel));
    irql_lower(level);
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

static void channels_that_close_do_not_hold_up_the_unload_they_close_for(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    host.fail_every = host_attempts() + 1; /* no room for UNLOAD at first: other work runs */
    uint64_t before = clock_now();
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_true(clock_now() - before < CLOCK_SECOND);
    host.fail_every = 0;
    driver_end(&driver);
}

static void start_again(struct driver *driver)
{
    VmbChannelStart(driver->channel);
}

static void a_start_in_the_middle_of_a_pause_ends_it(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    script_start(&script, &driver, start_again);
    VmbChannelPause(driver.channel);
    assert_string_equal(KmclChannelStateName(driver.channel), "active");
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
        kmcl_test(a_handle_that_is_no_channel_is_refused_or_stops_the_guest),
        kmcl_test(enable_needs_a_target_and_a_packet_callback),
        kmcl_test(a_friendly_name_is_copied_and_appears_in_messages),
        kmcl_test(a_normal_life_calls_each_callback_once_in_order),
        kmcl_test(callbacks_are_optional),
        kmcl_test(enable_waits_for_an_offer_that_comes_later),
        kmcl_test(an_instance_is_chosen_when_one_is_named),
        kmcl_test(two_channels_share_a_class_and_each_takes_its_own_device),
        kmcl_test(of_two_standing_offers_one_is_taken_and_the_other_left),
        kmcl_test(start_and_pause_go_round),
        kmcl_test(a_pause_while_disabled_holds_the_channel_when_it_opens),
        kmcl_test(a_channel_can_be_enabled_again_and_again),
        kmcl_test(disable_before_any_offer_just_stops_waiting),
        kmcl_test(disable_right_behind_enable_opens_nothing),
        kmcl_test(an_open_that_the_host_refuses_is_reported),
        kmcl_test(an_odd_open_status_still_is_a_failure),
        kmcl_test(a_ring_gpadl_that_the_host_refuses_costs_that_channel_alone),
        kmcl_test(an_open_that_is_never_answered_ends_after_the_limit),
        kmcl_test(a_rescind_while_opening_is_reported),
        kmcl_test(no_memory_at_any_point_of_opening_is_reported),
        kmcl_test(a_failing_opened_callback_takes_the_channel_back),
        kmcl_test(a_rescind_during_opened_closes_without_starting),
        kmcl_test(a_rescind_during_started_suspends_and_closes),
        kmcl_test(a_rescind_during_post_started_suspends_and_closes),
        kmcl_test(a_rescind_during_suspend_changes_nothing),
        kmcl_test(a_rescind_during_closed_changes_nothing),
        kmcl_test(a_rescind_while_active_disables_the_channel_for_good),
        kmcl_test(a_rescind_while_paused_closes),
        kmcl_test(a_rescind_before_the_worker_sees_the_offer_is_reported),
        kmcl_test(losing_the_connection_closes_the_channel),
        kmcl_test(closed_comes_after_the_host_let_go),
        kmcl_test(closed_comes_before_the_close_below_version_4),
        kmcl_test(ring_memory_is_kept_if_the_host_never_confirms),
        kmcl_test(waiting_for_a_channel_inside_its_callback_stops_the_guest),
        kmcl_test(cleanup_of_a_channel_in_use_stops_the_guest),
        kmcl_test(waiting_calls_above_passive_stop_the_guest),
        kmcl_test(interrupt_latency_is_valid_from_opened_to_closed),
        kmcl_test(interrupt_latency_without_a_monitor_is_not_supported),
        kmcl_test(mmio_space_is_none_and_a_wish_for_some_is_said),
        kmcl_test(a_start_in_the_middle_of_a_pause_ends_it),
        kmcl_test(channels_that_close_do_not_hold_up_the_unload_they_close_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
