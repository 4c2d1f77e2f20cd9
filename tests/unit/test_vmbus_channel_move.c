/* SPDX-License-Identifier: MIT */
/* An open channel's events move to another processor: the request, its answer, and hosts that give
 * none or a wrong one. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernel/clock.h"
#include "kernel/work.h"
#include "vmbus_test.h"

#define RELID    5u
#define MODIFY   22u
#define MODIFIED 24u

static struct test_owner owner;

/* ---- a host that answers requests, or does something else at their time ---- */

static uint32_t answer_status;
static uint32_t answer_relid;
static bool answers;
static bool rescinds;

static bool on_message(void *context, const struct host_message *message)
{
    (void)context;
    if (host_word(message, 0) != MODIFY) {
        return false;
    }
    assert_int_equal(message->size, 16);
    assert_int_equal(host_word(message, 8), RELID);
    if (rescinds) {
        host_rescind(RELID);
    }
    if (answers) {
        host_send_words(MODIFIED, 16, answer_relid, answer_status, 0);
    }
    return true;
}

static void start(uint32_t version)
{
    host.highest_version = version;
    host.hook = on_message;
    answer_status = 0;
    answer_relid = RELID;
    answers = true;
    rescinds = false;
    vmbus_test_connect();
    assert_int_equal(vmbus_version(), version);
    vmbus_test_open(&owner, RELID, 1, 1);
}

static uint32_t requests(void)
{
    return host_count(MODIFY);
}

/* ---- asked and answered ---- */

static void a_move_is_over_when_the_host_says_so(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_OK);
    assert_int_equal(requests(), 1);
    assert_int_equal(host_word(host_message(MODIFY, 0), 12), 3);
    assert_int_equal(vmbus_channel_move(owner.channel, 0), VMBUS_OK);
    assert_int_equal(host_word(host_message(MODIFY, 1), 12), 0);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 0);
    vmbus_test_give_back(&owner);
}

static void a_move_that_is_refused_says_so(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    answer_status = 0x8000FFFF;
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_REFUSED);
    answer_status = 0;
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_OK);
    vmbus_test_give_back(&owner);
}

static void below_5_3_a_move_has_no_answer(void **state)
{
    (void)state;
    start(VERSION_OF(5, 2));
    answers = false;
    const uint64_t before = clock_now();
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_OK);
    assert_int_equal(requests(), 1);
    assert_true(clock_now() - before < CLOCK_SECOND);
    vmbus_test_give_back(&owner);
}

static void below_4_1_channels_do_not_move(void **state)
{
    (void)state;
    start(VERSION_OF(4, 0));
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_UNAVAILABLE);
    assert_int_equal(requests(), 0);
    vmbus_test_give_back(&owner);
}

static void only_open_channels_move_and_only_to_a_processor(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    assert_int_equal(vmbus_channel_move(owner.channel, UINT32_MAX), VMBUS_BAD_ARGUMENT);
    vmbus_channel_close(owner.channel);
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_BAD_STATE);
    assert_int_equal(requests(), 0);
    vmbus_test_give_back(&owner);
}

/* ---- hosts that do something else ---- */

static void a_move_without_answer_has_a_limit_and_is_not_asked_for_twice(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    answers = false;
    const uint64_t before = clock_now();
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_NO_ANSWER);
    assert_true(clock_now() - before >= VMBUS_ANSWER_LIMIT);
    /* Its answer could be taken for that of the next. */
    assert_int_equal(vmbus_channel_move(owner.channel, 4), VMBUS_BAD_STATE);
    assert_int_equal(requests(), 1);
    host_send_words(MODIFIED, 16, RELID, 0, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 0);
    answers = true;
    assert_int_equal(vmbus_channel_move(owner.channel, 4), VMBUS_OK);
    vmbus_test_give_back(&owner);
}

static void answers_to_moves_that_nobody_asked_for_are_counted(void **state)
{
    static const uint32_t relids[] = {0, 1, RELID, 4000, UINT32_MAX};

    (void)state;
    start(VERSION_OF(5, 3));
    for (unsigned i = 0; i < 5; i++) {
        host_send_words(MODIFIED, 16, relids[i], 0, 0);
    }
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 5);
    /* Once somebody asked there is a handler: it must not take them either. */
    answer_relid = 7;
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_NO_ANSWER);
    host_send_words(MODIFIED, 16, RELID, 0, 0);
    host_send_words(MODIFIED, 16, RELID, 0, 0);
    host_send_words(20, 12, RELID, 0, 0); /* CLOSE_RESERVED_RESPONSE */
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 8);
    vmbus_test_give_back(&owner);
}

static void a_rescind_ends_a_move(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    answers = false;
    rescinds = true;
    const uint64_t before = clock_now();
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_RESCINDED);
    assert_true(clock_now() - before < CLOCK_SECOND);
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_RESCINDED);
    assert_int_equal(requests(), 1);
    vmbus_test_give_back(&owner);
}

static void give_back(void *context)
{
    (void)context;
    vmbus_test_give_back(&owner);
}

static void a_channel_may_go_while_it_moves(void **state)
{
    struct vmbus_channel *channel;
    struct work_item work;

    (void)state;
    start(VERSION_OF(5, 3));
    channel = owner.channel;
    answers = false;
    rescinds = true;
    work_item_initialise(&work, give_back, NULL);
    passive_work_queue(&work); /* inside the wait */
    assert_int_equal(vmbus_channel_move(channel, 3), VMBUS_RESCINDED);
    assert_null(vmbus_test_channel(RELID));
}

static void a_move_that_nobody_takes(void **state)
{
    (void)state;
    start(VERSION_OF(5, 3));
    host.post_status = HV_STATUS_INVALID_PARAMETER;
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_POST_FAILED);
    host.post_status = HV_STATUS_SUCCESS;
    assert_int_equal(vmbus_channel_move(owner.channel, 3), VMBUS_OK);
    vmbus_test_give_back(&owner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        bus_test(a_move_is_over_when_the_host_says_so),
        bus_test(a_move_that_is_refused_says_so),
        bus_test(below_5_3_a_move_has_no_answer),
        bus_test(below_4_1_channels_do_not_move),
        bus_test(only_open_channels_move_and_only_to_a_processor),
        bus_test(a_move_without_answer_has_a_limit_and_is_not_asked_for_twice),
        bus_test(answers_to_moves_that_nobody_asked_for_are_counted),
        bus_test(a_rescind_ends_a_move),
        bus_test(a_channel_may_go_while_it_moves),
        bus_test(a_move_that_nobody_takes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
