/* SPDX-License-Identifier: MIT */
/* A channel that ends without its owner: rescinds at every step, the end of the connection. */

#include "vmbus_test.h"

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/work.h"
#include "vmbus/channel.h"
#include "vmbus/connection.h"

static struct test_owner owner;

static enum vmbus_status open_it(void)
{
    return vmbus_channel_open(owner.channel, 3, 2, NULL);
}

/* Nothing of the rings is left, and the channel can be opened or given back. */
static void assert_nothing_left(void)
{
    assert_int_equal(vmbus_channel_state(owner.channel), VMBUS_CHANNEL_OFFERED);
    assert_null(owner.channel->ring_memory);
    assert_null(vmbus_bus.gpadls);
    assert_int_equal(host_gpadls(), 0);
}

static bool took_about(uint64_t start, uint64_t limit)
{
    uint64_t took = clock_now() - start;

    return took >= limit && took < limit + CLOCK_SECOND;
}

/* ---- rescinds, state by state ---- */

static void give_back_rescinded(void)
{
    assert_int_equal(owner.rescinds, 1);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
    vmbus_test_give_back(&owner);
    host_run();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
    assert_ptr_equal(host_message(0, host_attempts() - 1), host_message(HOST_RELID_RELEASED, 0));
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
    assert_null(vmbus_test_channel(5));
    /* The number is free for another device. */
    struct host_offer offer = host_plain_offer(5);
    host_add(&offer);
    host_run();
    assert_non_null(vmbus_test_channel(5));
}

static void rescind_before_open(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host_rescind(5);
    host_run();
    assert_int_equal(open_it(), VMBUS_RESCINDED);
    assert_int_equal(host_count(HOST_GPADL_HEADER), 0);
    give_back_rescinded();
}

/* Between the message and the work that gives the number back. */
static void a_rescinded_channel_cannot_be_claimed(void **state)
{
    struct host_offer offer = host_plain_offer(5);

    (void)state;
    host_add(&offer);
    vmbus_test_connect();
    struct vmbus_channel *channel = vmbus_test_channel(5);
    host_rescind(5);
    while (test_host_step()) {
    }
    assert_ptr_equal(vmbus_test_channel(5), channel);
    assert_false(vmbus_channel_claim(channel, &owner.callbacks));
    host_run();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
}

static void rescind_while_the_rings_are_on_their_way(void **state)
{
    uint64_t start;

    (void)state;
    vmbus_test_claim(&owner, 5);
    host.gpadl = HOST_IS_SILENT;
    host.rescind_type = HOST_GPADL_HEADER;
    start = clock_now();
    assert_int_equal(open_it(), VMBUS_RESCINDED);
    assert_true(clock_now() - start < CLOCK_SECOND);
    assert_int_equal(host_count(HOST_OPEN), 0);
    give_back_rescinded();
}

static void rescind_between_the_messages_of_the_rings(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host.fail_every = 2;
    host.rescind_type = HOST_GPADL_BODY;
    host.rescind_at_once = true;
    assert_int_equal(vmbus_channel_open(owner.channel, 100, 100, NULL), VMBUS_RESCINDED);
    assert_int_equal(host_count(HOST_OPEN), 0);
    host.fail_every = 0;
    vmbus_test_give_back(&owner);
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
}

static void rescind_behind_the_created_rings(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host.rescind_type = HOST_GPADL_HEADER; /* CREATED, then RESCIND */
    assert_int_equal(open_it(), VMBUS_RESCINDED);
    give_back_rescinded();
}

static void rescind_instead_of_the_open_result(void **state)
{
    uint64_t start;

    (void)state;
    vmbus_test_claim(&owner, 5);
    host.open = HOST_IGNORES;
    host.rescind_type = HOST_OPEN;
    start = clock_now();
    assert_int_equal(open_it(), VMBUS_RESCINDED);
    assert_true(clock_now() - start < CLOCK_SECOND);
    assert_int_equal(host_count(HOST_CLOSE), 0);
    give_back_rescinded();
}

static void rescind_right_behind_the_open_result(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host.rescind_type = HOST_OPEN;
    enum vmbus_status status = open_it();
    assert_true(status == VMBUS_OK || status == VMBUS_RESCINDED);
    host_run();
    give_back_rescinded();
}

static void rescind_together_with_the_open_result(void **state)
{
    (void)state;
    vmbus_test_claim(&owner, 5);
    host.burst = true;
    host.rescind_type = HOST_OPEN;
    assert_int_equal(open_it(), VMBUS_RESCINDED);
    assert_int_equal(host_count(HOST_CLOSE), 0);
    assert_nothing_left();
    give_back_rescinded();
}

static void rescind_of_an_open_channel(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host_rescind(5);
    host_run();
    assert_int_equal(vmbus_channel_state(owner.channel), VMBUS_CHANNEL_OPEN);
    assert_true(vmbus_channel_is_rescinded(owner.channel));
    vmbus_channel_signal(owner.channel); /* does no harm */
    vmbus_channel_close(owner.channel);
    assert_int_equal(host_count(HOST_CLOSE), 0);
    assert_int_equal(host_count(HOST_GPADL_TEARDOWN), 1);
    assert_nothing_left();
    give_back_rescinded();
}

static void rescind_of_an_open_channel_on_a_host_that_says_no_more(void **state)
{
    uint64_t start;

    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host_rescind(5);
    host_run();
    host.teardown = HOST_IGNORES;
    start = clock_now();
    vmbus_channel_close(owner.channel);
    assert_true(took_about(start, VMBUS_RESCINDED_LIMIT));
    assert_int_equal(test_pages_held(), 2 + 7); /* until the number is given back */
    give_back_rescinded();
    assert_int_equal(test_pages_held(), 2);
}

static void rescind_instead_of_torndown(void **state)
{
    uint64_t start;

    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host.teardown = HOST_IGNORES;
    host.rescind_type = HOST_GPADL_TEARDOWN;
    start = clock_now();
    vmbus_channel_close(owner.channel);
    assert_true(clock_now() - start < CLOCK_SECOND);
    give_back_rescinded();
}

static void rescind_behind_close(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host.rescind_type = HOST_CLOSE;
    vmbus_channel_close(owner.channel);
    give_back_rescinded();
}

static void rescind_after_close(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    vmbus_channel_close(owner.channel);
    host_rescind(5);
    host_run();
    give_back_rescinded();
}

static void rescinded_rings_are_kept_if_the_number_cannot_be_given_back(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host_rescind(5);
    host_run();
    host.post_status = HV_STATUS_INVALID_PARAMETER;
    vmbus_channel_close(owner.channel);
    assert_false(vmbus_channel_unclaim(owner.channel));
    assert_int_equal(vmbus_test_counts().pages_kept, 7);
}

/* ---- the connection ends under an open channel ---- */

static void unload_takes_open_channels_with_it(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(owner.rescinds, 1);
    assert_int_equal(vmbus_channel_state(owner.channel), VMBUS_CHANNEL_RELEASED);
    vmbus_channel_signal(owner.channel);
    vmbus_channel_kick(owner.channel);
    assert_int_equal(owner.events, 0);
    assert_int_equal(open_it(), VMBUS_RESCINDED);
    vmbus_channel_close(owner.channel);
    vmbus_channel_close(owner.channel);
    assert_true(vmbus_channel_unclaim(owner.channel));
    assert_int_equal(host_count(HOST_CLOSE), 0);
    assert_int_equal(host_count(HOST_RELID_RELEASED), 0);
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
}

static void unload_without_answer_keeps_the_rings(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host.unload = HOST_IGNORES;
    assert_int_equal(vmbus_disconnect(), VMBUS_NO_ANSWER);
    vmbus_channel_close(owner.channel);
    assert_false(vmbus_channel_unclaim(owner.channel));
    assert_int_equal(vmbus_test_counts().pages_kept, 7 + 2);
}

static void unload_behind_a_rescind_that_was_not_given_back(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    host_rescind(5);
    host_run();
    host.teardown = HOST_IGNORES;
    vmbus_channel_close(owner.channel);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(owner.rescinds, 1);
    vmbus_channel_close(owner.channel);
    assert_true(vmbus_channel_unclaim(owner.channel));
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
}

/* Passive work that leaves the bus while an open waits. */
static void leave(void *context)
{
    (void)context;
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
}

static struct work_item leave_work;

static bool leave_at_open(void *context, const struct host_message *message)
{
    if (host_word(message, 0) == *(const uint32_t *)context) {
        passive_work_queue(&leave_work);
        return true;
    }
    return false;
}

static void the_bus_ends_during(uint32_t type, enum vmbus_status expected)
{
    vmbus_test_claim(&owner, 5);
    work_item_initialise(&leave_work, leave, NULL);
    host.hook = leave_at_open;
    host.hook_context = &type;
    uint64_t start = clock_now();
    enum vmbus_status status = open_it();
    if (status == VMBUS_OK) {
        vmbus_channel_close(owner.channel);
    }
    assert_true(clock_now() - start < CLOCK_SECOND);
    assert_int_equal(status, expected);
    assert_int_equal(vmbus_connection_state(), VMBUS_DISCONNECTED);
    assert_true(vmbus_channel_unclaim(owner.channel));
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
}

static void the_bus_ends_while_rings_are_shared(void **state)
{
    (void)state;
    the_bus_ends_during(HOST_GPADL_HEADER, VMBUS_RESCINDED);
}

static void the_bus_ends_while_a_channel_opens(void **state)
{
    (void)state;
    the_bus_ends_during(HOST_OPEN, VMBUS_RESCINDED);
}

static void the_bus_ends_while_rings_are_torn_down(void **state)
{
    (void)state;
    the_bus_ends_during(HOST_GPADL_TEARDOWN, VMBUS_OK);
}

/* Passive work that closes a channel while the bus is unloading. */
static void close_late(void *context)
{
    (void)context;
    vmbus_channel_close(owner.channel);
    assert_true(vmbus_channel_unclaim(owner.channel));
}

static bool close_at_unload(void *context, const struct host_message *message)
{
    (void)context;
    if (host_word(message, 0) == HOST_UNLOAD) {
        passive_work_queue(&leave_work);
    }
    return false;
}

static void a_channel_closed_while_the_bus_unloads_waits_for_it(void **state)
{
    (void)state;
    vmbus_test_open(&owner, 5, 3, 2);
    work_item_initialise(&leave_work, close_late, NULL);
    host.hook = close_at_unload;
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(vmbus_test_counts().pages_kept, 0);
    assert_int_equal(host_count(HOST_CLOSE), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bus_test(rescind_before_open),
        bus_test(a_rescinded_channel_cannot_be_claimed),
        bus_test(rescind_while_the_rings_are_on_their_way),
        bus_test(rescind_between_the_messages_of_the_rings),
        bus_test(rescind_behind_the_created_rings),
        bus_test(rescind_instead_of_the_open_result),
        bus_test(rescind_right_behind_the_open_result),
        bus_test(rescind_together_with_the_open_result),
        bus_test(rescind_of_an_open_channel),
        bus_test(rescind_of_an_open_channel_on_a_host_that_says_no_more),
        bus_test(rescind_instead_of_torndown),
        bus_test(rescind_behind_close),
        bus_test(rescind_after_close),
        bus_test(rescinded_rings_are_kept_if_the_number_cannot_be_given_back),
        bus_test(unload_takes_open_channels_with_it),
        bus_test(unload_without_answer_keeps_the_rings),
        bus_test(unload_behind_a_rescind_that_was_not_given_back),
        bus_test(the_bus_ends_while_rings_are_shared),
        bus_test(the_bus_ends_while_a_channel_opens),
        bus_test(the_bus_ends_while_rings_are_torn_down),
        bus_test(a_channel_closed_while_the_bus_unloads_waits_for_it),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
