/* SPDX-License-Identifier: MIT */
/* The life of a channel: the order of callbacks and of messages, start and pause, misuse. */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/unit/kmcl/kmcl_test.h"

#define FULL_LIFE "opened started post-started suspend closed "

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
        kmcl_test(closed_comes_after_the_host_let_go),
        kmcl_test(closed_comes_before_the_close_below_version_4),
        kmcl_test(ring_memory_is_kept_if_the_host_never_confirms),
        kmcl_test(waiting_for_a_channel_inside_its_callback_stops_the_guest),
        kmcl_test(cleanup_of_a_channel_in_use_stops_the_guest),
        kmcl_test(waiting_calls_above_passive_stop_the_guest),
        kmcl_test(a_start_in_the_middle_of_a_pause_ends_it),
        kmcl_test(channels_that_close_do_not_hold_up_the_unload_they_close_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
