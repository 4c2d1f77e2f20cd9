/* SPDX-License-Identifier: MIT */
/* Offers come, are checked, are told of, and go again. */
#include "vmbus_test.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/irql.h"
#include "vmbus/connection.h"
#include "vmbus/offers.h"

/* Sends a doctored offer that the host itself knows nothing of. */
static void offer(struct host_offer what)
{
    host_send_offer(&what);
    host_run();
}

static void expect_refused(struct host_offer what, const char *reason)
{
    uint64_t before = vmbus_test_counts().offers_refused;

    offer(what);
    assert_int_equal(vmbus_test_counts().offers_refused, before + 1);
    assert_int_equal(vmbus_test_lines(reason), 1);
    /* Once a kind. */
    offer(what);
    assert_int_equal(vmbus_test_counts().offers_refused, before + 2);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 0); /* counted as what it is */
    assert_int_equal(vmbus_test_lines(reason), 1);
}

static unsigned channels(void)
{
    struct vmbus_channel *channel;
    unsigned count = 0;

    for (uint32_t relid = 0; (channel = vmbus_channel_next(relid)) != NULL; count++) {
        relid = vmbus_channel_offer(channel)->relid + 1;
        vmbus_channel_put(channel);
    }
    return count;
}

/* ---- good offers ---- */

static void every_field_of_an_offer_arrives(void **state)
{
    struct host_offer what = host_plain_offer(2047);

    (void)state;
    what.flags = 0x2011;
    what.mmio_megabytes = 12;
    what.monitor_id = 127;
    what.monitor_allocated = 0xFF;
    what.connection_id = 0xDEADBEEF;
    for (unsigned i = 0; i < 120; i++) {
        what.user_defined[i] = (uint8_t)i;
    }
    host_add(&what);
    vmbus_test_connect();
    const struct vmbus_offer *seen = vmbus_channel_offer(vmbus_test_channel(2047));
    assert_memory_equal(&seen->interface_type, &what.type, 16);
    assert_memory_equal(&seen->interface_instance, &what.instance, 16);
    assert_int_equal(seen->relid, 2047);
    assert_int_equal(seen->connection_id, 0xDEADBEEF);
    assert_int_equal(seen->flags, 0x2011);
    assert_int_equal(seen->mmio_megabytes, 12);
    assert_int_equal(seen->monitor_id, 127);
    assert_true(seen->monitor_allocated);
    assert_true(seen->dedicated_interrupt);
    assert_memory_equal(seen->user_defined, what.user_defined, 120);
    assert_int_equal(vmbus_channel_state(vmbus_test_channel(2047)), VMBUS_CHANNEL_OFFERED);
}

static void all_numbers_can_be_offered(void **state)
{
    (void)state;
    for (uint32_t relid = 1; relid < 2048; relid++) {
        struct host_offer what = host_plain_offer(relid);
        host_add(&what);
    }
    vmbus_test_connect();
    assert_int_equal(channels(), 2047);
    assert_int_equal(vmbus_test_counts().offers, 2047);
    assert_int_equal(vmbus_test_counts().offers_refused, 0);
}

static void devices_may_come_later(void **state)
{
    struct host_offer what = host_plain_offer(9);

    (void)state;
    vmbus_test_connect();
    assert_int_equal(channels(), 0);
    host_add(&what);
    host_run();
    assert_non_null(vmbus_test_channel(9));
}

static void flags_of_features_nobody_negotiated_are_dropped(void **state)
{
    struct host_offer what = host_plain_offer(9);

    (void)state;
    vmbus_test_connect();
    what.flags = 0x001F;
    offer(what);
    assert_int_equal(vmbus_channel_offer(vmbus_test_channel(9))->flags, 0x0011);
}

static void a_monitor_id_counts_only_if_it_is_allocated(void **state)
{
    struct host_offer what = host_plain_offer(9);

    (void)state;
    vmbus_test_connect();
    what.monitor_id = 200;
    what.monitor_allocated = 0xFE;
    offer(what);
    assert_non_null(vmbus_test_channel(9));
    assert_false(vmbus_channel_offer(vmbus_test_channel(9))->monitor_allocated);
}

/* ---- hostile fields, each by itself ---- */

static void channel_ids_out_of_range_are_refused(void **state)
{
    static const uint32_t relids[] = {0, 2048, 2049, 0x10005, UINT32_MAX};

    (void)state;
    vmbus_test_connect();
    for (size_t i = 0; i < sizeof(relids) / sizeof(relids[0]); i++) {
        struct host_offer what = host_plain_offer(5);
        what.relid = relids[i];
        expect_refused(what, "channel id out of range");
    }
    assert_int_equal(channels(), 0);
}

static void a_channel_id_in_use_is_refused(void **state)
{
    struct host_offer what = host_plain_offer(5);
    struct vmbus_channel *first;

    (void)state;
    vmbus_test_connect();
    offer(what);
    first = vmbus_test_channel(5);
    what.instance.data1 = 0x1234;
    expect_refused(what, "channel id in use");
    assert_ptr_equal(vmbus_test_channel(5), first);
    assert_int_equal(vmbus_channel_offer(first)->interface_instance.data1, 5);
}

static void a_second_offer_of_a_device_is_refused(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    vmbus_test_connect();
    offer(what);
    what.relid = 6;
    expect_refused(what, "device exists");
    assert_null(vmbus_test_channel(6));
}

static void monitor_ids_out_of_range_are_refused(void **state)
{
    static const uint8_t ids[] = {128, 129, 255};

    (void)state;
    vmbus_test_connect();
    for (size_t i = 0; i < sizeof(ids); i++) {
        struct host_offer what = host_plain_offer(5);
        what.monitor_id = ids[i];
        what.monitor_allocated = 1;
        expect_refused(what, "monitor id out of range");
    }
}

static void a_sub_channel_needs_its_primary(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    vmbus_test_connect();
    what.index = 1;
    expect_refused(what, "sub-channel of no device");
}

static void no_memory_for_an_offer_refuses_it(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    vmbus_test_connect();
    test_memory_fail(1);
    offer(what);
    assert_null(vmbus_test_channel(5));
    assert_int_equal(vmbus_test_lines("offer refused: no memory"), 1);
    offer(what);
    assert_non_null(vmbus_test_channel(5));
}

/* ---- sub-channels ---- */

static unsigned announced;

static void count(void *context, struct vmbus_channel *channel)
{
    (void)context;
    assert_non_null(channel);
    assert_int_equal(irql_current(), IRQL_DISPATCH);
    announced++;
}

static struct host_offer sub_channel(uint32_t primary, uint32_t relid, uint16_t index)
{
    struct host_offer what = host_plain_offer(primary);

    what.relid = relid;
    what.index = index;
    return what;
}

static void sub_channels_are_announced_behind_their_primary(void **state)
{
    struct vmbus_offer_listener listener = {.offered = count};
    struct vmbus_channel_owner owner = {0};

    (void)state;
    announced = 0;
    vmbus_offer_listener_add(&listener);
    vmbus_test_connect();
    offer(host_plain_offer(5));
    assert_int_equal(announced, 1);
    offer(sub_channel(5, 8, 3)); /* in any order */
    offer(sub_channel(5, 7, 2));
    offer(sub_channel(5, 6, 1));
    assert_int_equal(announced, 4);
    assert_int_equal(channels(), 4);
    assert_int_equal(vmbus_channel_offer(vmbus_test_channel(8))->sub_channel_index, 3);
    expect_refused(sub_channel(5, 9, 2), "device exists");
    vmbus_offer_listener_remove(&listener);
    assert_true(vmbus_channel_claim(vmbus_test_channel(7), &owner));
    assert_true(vmbus_channel_unclaim(vmbus_test_channel(7)));
}

static void sub_channels_go_one_by_one(void **state)
{
    struct host_offer primary = host_plain_offer(5);
    struct host_offer sub = sub_channel(5, 6, 1);

    (void)state;
    host_add(&primary);
    host_add(&sub);
    vmbus_test_connect();
    host_rescind(6);
    host_run();
    assert_null(vmbus_test_channel(6));
    assert_non_null(vmbus_test_channel(5));
    host_add(&sub);
    host_run();
    assert_non_null(vmbus_test_channel(6));
    host_rescind(5); /* the primary first: a host should not, but may */
    host_rescind(6);
    host_run();
    assert_int_equal(channels(), 0);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 3);
    host_add(&sub);
    host_run();
    assert_int_equal(channels(), 0);
}

/* ---- listeners ---- */

static void a_listener_hears_standing_offers_first(void **state)
{
    struct vmbus_offer_listener listener = {.offered = count};
    struct host_offer what = host_plain_offer(5);

    (void)state;
    announced = 0;
    host_add(&what);
    vmbus_test_connect();
    vmbus_offer_listener_add(&listener);
    assert_int_equal(announced, 1);
    what = host_plain_offer(6);
    host_add(&what);
    host_run();
    assert_int_equal(announced, 2);
    vmbus_offer_listener_remove(&listener);
    vmbus_offer_listener_remove(&listener);
    what = host_plain_offer(7);
    host_add(&what);
    host_run();
    assert_int_equal(announced, 2);
}

static void any_listener_of_several_can_leave(void **state)
{
    struct vmbus_offer_listener listeners[3] = {
        {.offered = count}, {.offered = count}, {.offered = count}};

    (void)state;
    vmbus_test_connect();
    for (size_t i = 0; i < 3; i++) {
        vmbus_offer_listener_add(&listeners[i]);
    }
    vmbus_offer_listener_remove(&listeners[1]);
    announced = 0;
    offer(host_plain_offer(5));
    assert_int_equal(announced, 2);
    vmbus_offer_listener_remove(&listeners[0]);
    offer(host_plain_offer(6));
    assert_int_equal(announced, 3);
    vmbus_offer_listener_remove(&listeners[2]);
}

static struct vmbus_channel_owner nobody;
static struct vmbus_channel *claimed;

static void claim(void *context, struct vmbus_channel *channel)
{
    struct vmbus_offer_listener *listener = context;

    if (vmbus_channel_claim(channel, &nobody)) {
        assert_null(claimed);
        claimed = channel;
        vmbus_offer_listener_remove(listener);
    }
}

static void a_listener_can_claim_and_leave_while_it_is_told(void **state)
{
    struct vmbus_offer_listener first = {.offered = claim, .context = &first};
    struct vmbus_offer_listener second = {.offered = count};

    (void)state;
    announced = 0;
    claimed = NULL;
    vmbus_test_connect();
    vmbus_offer_listener_add(&second);
    vmbus_offer_listener_add(&first);
    offer(host_plain_offer(5));
    assert_ptr_equal(claimed, vmbus_test_channel(5));
    assert_int_equal(announced, 1);
    assert_false(vmbus_channel_claim(claimed, &nobody));
    offer(host_plain_offer(6));
    assert_true(vmbus_channel_unclaim(claimed));
    assert_true(vmbus_channel_claim(claimed, &nobody)); /* it stands to be claimed again */
    assert_true(vmbus_channel_unclaim(claimed));
    vmbus_offer_listener_remove(&second);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
}

static void a_rescinded_offer_is_not_announced(void **state)
{
    struct vmbus_offer_listener listener = {.offered = count};
    struct test_owner owner;

    (void)state;
    announced = 0;
    vmbus_test_claim(&owner, 5);
    host_rescind(5);
    host_run();
    vmbus_offer_listener_add(&listener);
    assert_int_equal(announced, 0);
    vmbus_offer_listener_remove(&listener);
    assert_false(vmbus_channel_claim(owner.channel, &nobody));
    vmbus_test_give_back(&owner);
}

/* ---- rescinds of channels that nobody opened ---- */

/* M15: a rescind that is never answered keeps the device away for ever. */
static void m15_an_unclaimed_rescinded_channel_is_released_once(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    host_add(&what);
    vmbus_test_connect();
    host_rescind(5);
    host_run();
    assert_null(vmbus_test_channel(5));
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    assert_int_equal(host_word(host_message(HOST_RELID_RELEASED, 0), 8), 5);
    assert_int_equal(vmbus_test_counts().rescinds, 1);
}

static void a_claimed_rescinded_channel_is_released_by_its_owner(void **state)
{
    struct test_owner owner;

    (void)state;
    vmbus_test_claim(&owner, 5);
    host_rescind(5);
    host_run();
    assert_int_equal(owner.rescinds, 1);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
    /* Who still looks at it sees what it is. */
    struct vmbus_channel *channel = vmbus_channel_next(5);
    assert_non_null(channel);
    vmbus_test_give_back(&owner);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    assert_null(vmbus_test_channel(5));
    assert_int_equal(vmbus_channel_state(channel), VMBUS_CHANNEL_RELEASED);
    vmbus_channel_put(channel);
}

static void offer_and_rescind_in_one_go(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    vmbus_test_connect();
    for (unsigned i = 0; i < 20; i++) {
        host_add(&what);
        host_rescind(5);
        host_run();
        assert_null(vmbus_test_channel(5));
        assert_int_equal(host_count(HOST_RELID_RELEASED), i + 1);
    }
}

static void a_device_comes_back_under_the_same_number(void **state)
{
    struct test_owner owner;

    (void)state;
    vmbus_test_claim(&owner, 5);
    host.reoffer = true;
    host_rescind(5);
    host_run();
    vmbus_test_give_back(&owner);
    host_run();
    assert_non_null(vmbus_test_channel(5));
    assert_false(vmbus_channel_is_rescinded(vmbus_test_channel(5)));
    assert_int_equal(vmbus_test_counts().offers_refused, 0);
    vmbus_test_claim(&owner, 5);
    vmbus_test_give_back(&owner);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
}

static void a_device_comes_back_under_another_number(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    host_add(&what);
    vmbus_test_connect();
    host.reoffer = true;
    host.reoffer_relid = 77;
    host_rescind(5);
    host_run();
    assert_null(vmbus_test_channel(5));
    assert_non_null(vmbus_test_channel(77));
    assert_int_equal(vmbus_channel_offer(vmbus_test_channel(77))->interface_instance.data1, 5);
}

static void a_device_may_be_offered_anew_before_its_old_number_is_back(void **state)
{
    struct test_owner owner;
    struct host_offer what = host_plain_offer(5);

    (void)state;
    vmbus_test_claim(&owner, 5);
    host_rescind(5);
    what.relid = 6;
    host_add(&what);
    host_run();
    assert_non_null(vmbus_test_channel(6));
    vmbus_test_give_back(&owner);
}

static void rescinds_that_fit_nothing_are_counted(void **state)
{
    static const uint32_t relids[] = {0, 7, 2047, 2048, 0x80000005, UINT32_MAX};
    const size_t number = sizeof(relids) / sizeof(relids[0]);

    (void)state;
    vmbus_test_connect();
    for (size_t i = 0; i < number; i++) {
        host_send_words(HOST_RESCIND, 12, relids[i], 0, 0);
    }
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, number);
    assert_int_equal(vmbus_test_lines("unexpected message: RESCIND_CHANNEL_OFFER"), 1);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
}

static void a_second_rescind_changes_nothing(void **state)
{
    struct test_owner owner;

    (void)state;
    vmbus_test_claim(&owner, 5);
    host_rescind(5);
    host_send_words(HOST_RESCIND, 12, 5, 0, 0);
    host_run();
    assert_int_equal(owner.rescinds, 1);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 1);
    vmbus_test_give_back(&owner);
    host_send_words(HOST_RESCIND, 12, 5, 0, 0);
    host_run();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
}

static void a_release_that_nobody_takes_has_a_limit(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    host_add(&what);
    vmbus_test_connect();
    host_rescind(5);
    host.post_status = HV_STATUS_INSUFFICIENT_BUFFERS;
    uint64_t start = clock_now();
    host_run();
    assert_true(clock_now() - start >= VMBUS_ANSWER_LIMIT);
    assert_true(clock_now() - start < VMBUS_ANSWER_LIMIT + CLOCK_SECOND);
    assert_null(vmbus_test_channel(5));
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
    assert_int_equal(vmbus_test_lines("channel 5: its number cannot be given back"), 1);
    assert_int_equal(vmbus_test_lines("\n"), 1);
}

static void a_rescind_that_was_not_worked_on_ends_with_the_connection(void **state)
{
    struct host_offer what = host_plain_offer(5);

    (void)state;
    host_add(&what);
    vmbus_test_connect();
    host_rescind(5);
    while (test_host_step()) {
    }
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    host_run();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
}

static void giving_back_an_open_channel_is_a_bug(void **state)
{
    struct test_owner owner;

    (void)state;
    vmbus_test_open(&owner, 5, 1, 1);
    expect_panic((void)vmbus_channel_unclaim(owner.channel));
    /* It happened under the lock of the bus, which the guest that stopped still holds. */
    spin_lock_initialise(&vmbus_bus.lock);
    vmbus_test_give_back(&owner);
}

static void the_report_lists_every_channel(void **state)
{
    struct host_offer balloon = host_plain_offer(3);
    struct test_owner owner;

    (void)state;
    balloon.type = (struct vmbus_guid){
        0x525074dc, 0x8985, 0x46e2, {0x80, 0x57, 0xa3, 0x07, 0xdc, 0x18, 0xa5, 0x02}};
    host_add(&balloon);
    vmbus_test_open(&owner, 5, 4, 2);
    test_console_clear();
    vmbus_report();
    assert_int_equal(vmbus_test_lines("\n"), 3);
    assert_int_equal(vmbus_test_lines("connected, version 5.3"), 1);
    assert_int_equal(vmbus_test_lines("dynamic memory"), 1);
    assert_int_equal(vmbus_test_lines("00000005-000b-000c-0d0e-0f1011121314"), 1);
    assert_int_equal(vmbus_test_lines("unknown"), 1);
    assert_int_equal(vmbus_test_lines("16+8 KiB, open"), 1);
    assert_int_equal(vmbus_test_lines("offered"), 1);
    host_rescind(5);
    host_run();
    test_console_clear();
    vmbus_report();
    assert_int_equal(vmbus_test_lines("open, rescinded"), 1);
    vmbus_test_give_back(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bus_test(every_field_of_an_offer_arrives),
        bus_test(all_numbers_can_be_offered),
        bus_test(devices_may_come_later),
        bus_test(flags_of_features_nobody_negotiated_are_dropped),
        bus_test(a_monitor_id_counts_only_if_it_is_allocated),
        bus_test(channel_ids_out_of_range_are_refused),
        bus_test(a_channel_id_in_use_is_refused),
        bus_test(a_second_offer_of_a_device_is_refused),
        bus_test(monitor_ids_out_of_range_are_refused),
        bus_test(a_sub_channel_needs_its_primary),
        bus_test(no_memory_for_an_offer_refuses_it),
        bus_test(sub_channels_are_announced_behind_their_primary),
        bus_test(sub_channels_go_one_by_one),
        bus_test(a_listener_hears_standing_offers_first),
        bus_test(any_listener_of_several_can_leave),
        bus_test(a_listener_can_claim_and_leave_while_it_is_told),
        bus_test(a_rescinded_offer_is_not_announced),
        bus_test(m15_an_unclaimed_rescinded_channel_is_released_once),
        bus_test(a_claimed_rescinded_channel_is_released_by_its_owner),
        bus_test(offer_and_rescind_in_one_go),
        bus_test(a_device_comes_back_under_the_same_number),
        bus_test(a_device_comes_back_under_another_number),
        bus_test(a_device_may_be_offered_anew_before_its_old_number_is_back),
        bus_test(rescinds_that_fit_nothing_are_counted),
        bus_test(a_second_rescind_changes_nothing),
        bus_test(a_release_that_nobody_takes_has_a_limit),
        bus_test(a_rescind_that_was_not_worked_on_ends_with_the_connection),
        bus_test(giving_back_an_open_channel_is_a_bug),
        bus_test(the_report_lists_every_channel),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
