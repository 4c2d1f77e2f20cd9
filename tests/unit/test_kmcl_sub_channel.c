/* SPDX-License-Identifier: MIT */
/* A device's further channels, and the processors that get a channel's events, at a client. */

#include <string.h>

#include "tests/unit/kmcl/kmcl_test.h"

#define SUB_1    6u
#define SUB_2    7u
#define MODIFY   22u
#define MODIFIED 24u

static struct driver primary;
static struct driver subs[2];

static struct host_offer sub_offer(uint32_t relid, uint16_t index)
{
    struct host_offer offer = host_plain_offer(RELID);

    offer.relid = relid;
    offer.connection_id = 0x2000 + relid;
    offer.index = index;
    return offer;
}

static void offer_sub(uint32_t relid, uint16_t index)
{
    const struct host_offer offer = sub_offer(relid, index);

    host_add(&offer);
    settle();
}

static VOID sub_failed(VMBCHANNEL channel, NTSTATUS status)
{
    ((struct driver *)VmbChannelGetPointer(channel))->failure = status;
}

static void make_sub(struct driver *sub, UINT16 index)
{
    driver_make(sub);
    assert_int_equal(
        KmclClientChannelInitSetPrimary(sub->channel, primary.channel, index, sub_failed),
        STATUS_SUCCESS);
}

static void start_primary(void)
{
    memset(&primary, 0, sizeof(primary));
    memset(subs, 0, sizeof(subs));
    driver_start(&primary);
    assert_string_equal(KmclChannelStateName(primary.channel), "active");
}

/* ---- sub-channels ---- */

static void each_sub_channel_takes_the_offer_of_its_index(void **state)
{
    (void)state;
    start_primary();
    make_sub(&subs[0], 1);
    make_sub(&subs[1], 2);
    assert_int_equal(VmbChannelEnable(subs[0].channel), STATUS_SUCCESS);
    offer_sub(SUB_2, 2); /* in any order, and before somebody wants it */
    assert_string_equal(KmclChannelStateName(subs[0].channel), "waiting for an offer");
    assert_int_equal(VmbChannelEnable(subs[1].channel), STATUS_SUCCESS);
    settle();
    offer_sub(SUB_1, 1);
    assert_trace(&subs[0], "opened started post-started ");
    assert_trace(&subs[1], "opened started post-started ");
    assert_true(host_is_open(RELID) && host_is_open(SUB_1) && host_is_open(SUB_2));
    /* Each has rings of its own. */
    const UINT64 word = 42;
    assert_int_equal(host_put_inband(SUB_1, 1, false, &word, sizeof(word)), RING_OK);
    settle();
    assert_int_equal(subs[0].packets, 1);
    assert_int_equal(subs[1].packets + primary.packets, 0);
    assert_int_equal(driver_send(&subs[1], 7, 8, 0), STATUS_SUCCESS);
    assert_int_equal(host_signals(0x2000 + SUB_2), 1);
    driver_end(&subs[0]);
    driver_end(&subs[1]);
    driver_end(&primary);
}

static void a_primary_does_not_take_sub_channels_nor_they_its_offer(void **state)
{
    const struct host_offer own = host_plain_offer(RELID);
    struct driver another = {0};

    (void)state;
    start_primary();
    make_sub(&subs[0], 1);
    driver_make(&another); /* any device of the class */
    assert_int_equal(VmbChannelEnable(another.channel), STATUS_SUCCESS);
    offer_sub(SUB_1, 1);
    assert_string_equal(KmclChannelStateName(another.channel), "waiting for an offer");
    host_rescind(RELID);
    settle();
    host_add(&own);
    settle();
    assert_int_equal(VmbChannelEnable(subs[0].channel), STATUS_SUCCESS);
    settle();
    assert_string_equal(KmclChannelStateName(another.channel), "active");
    assert_true(host_is_open(SUB_1));
    driver_end(&subs[0]);
    driver_end(&another);
    driver_end(&primary);
}

static void a_sub_channel_belongs_to_the_device_of_its_primary(void **state)
{
    struct host_offer other = host_plain_offer(RELID);
    struct host_offer foreign = sub_offer(9, 1);
    const struct host_offer own = sub_offer(SUB_1, 1);
    GUID instance;

    (void)state;
    start_primary();
    make_sub(&subs[0], 1);
    assert_int_equal(VmbChannelEnable(subs[0].channel), STATUS_SUCCESS);
    other.relid = 8;
    ((UINT8 *)&other.instance)[0] ^= 0xFF; /* the same class */
    foreign.instance = other.instance;
    host_add(&other);
    host_add(&foreign);
    settle();
    assert_string_equal(KmclChannelStateName(subs[0].channel), "waiting for an offer");
    offer_sub(SUB_1, 1);
    assert_string_equal(KmclChannelStateName(subs[0].channel), "active");
    VmbChannelGetInterfaceInstance(subs[0].channel, &instance);
    assert_memory_equal(&instance, &own.instance, sizeof(instance));
    driver_end(&subs[0]);
    driver_end(&primary);
}

static void a_rescind_of_a_sub_channel_leaves_the_others(void **state)
{
    (void)state;
    start_primary();
    make_sub(&subs[0], 1);
    make_sub(&subs[1], 2);
    offer_sub(SUB_1, 1);
    offer_sub(SUB_2, 2);
    assert_int_equal(VmbChannelEnable(subs[0].channel), STATUS_SUCCESS);
    assert_int_equal(VmbChannelEnable(subs[1].channel), STATUS_SUCCESS);
    settle();
    host_rescind(SUB_1);
    settle();
    assert_trace(&subs[0], "opened started post-started suspend closed ");
    assert_string_equal(KmclChannelStateName(subs[0].channel), "disabled");
    assert_trace(&subs[1], "opened started post-started ");
    assert_trace(&primary, "opened started post-started ");
    /* Asked for again it comes again. */
    offer_sub(SUB_1, 1);
    assert_int_equal(VmbChannelEnable(subs[0].channel), STATUS_SUCCESS);
    settle();
    assert_string_equal(KmclChannelStateName(subs[0].channel), "active");
    /* The host takes the whole device. */
    host_rescind(SUB_1);
    host_rescind(SUB_2);
    host_rescind(RELID);
    settle();
    assert_string_equal(KmclChannelStateName(subs[0].channel), "disabled");
    assert_string_equal(KmclChannelStateName(subs[1].channel), "disabled");
    assert_string_equal(KmclChannelStateName(primary.channel), "disabled");
    driver_end(&subs[0]);
    driver_end(&subs[1]);
    driver_end(&primary);
}

static void a_sub_channel_that_the_host_refuses_is_reported(void **state)
{
    (void)state;
    start_primary();
    make_sub(&subs[0], 1);
    offer_sub(SUB_1, 1);
    host.open_status = 0xC0000001;
    assert_int_equal(VmbChannelEnable(subs[0].channel), STATUS_SUCCESS);
    settle();
    assert_int_equal((UINT32)subs[0].failure, 0xC0000001);
    driver_end(&subs[0]);
    driver_end(&primary);
}

static void primaries_that_are_none_are_refused(void **state)
{
    struct driver fresh = {0};

    (void)state;
    start_primary();
    driver_make(&fresh);
    make_sub(&subs[0], 1);
    VMBCHANNEL sub = subs[0].channel;
    assert_int_equal(KmclClientChannelInitSetPrimary(NULL, primary.channel, 1, NULL),
                     STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclClientChannelInitSetPrimary(primary.channel, sub, 1, NULL),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclClientChannelInitSetPrimary(sub, NULL, 1, NULL),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclClientChannelInitSetPrimary(sub, sub, 1, NULL),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclClientChannelInitSetPrimary(sub, fresh.channel, 1, NULL),
                     STATUS_INVALID_PARAMETER_2); /* has no device yet */
    assert_int_equal(KmclClientChannelInitSetPrimary(sub, primary.channel, 0, NULL),
                     STATUS_INVALID_PARAMETER_3);
    offer_sub(SUB_1, 1);
    assert_int_equal(VmbChannelEnable(sub), STATUS_SUCCESS);
    settle();
    assert_int_equal(KmclClientChannelInitSetPrimary(sub, primary.channel, 1, NULL),
                     STATUS_INVALID_PARAMETER_1); /* not Disabled */
    assert_int_equal(KmclClientChannelInitSetPrimary(fresh.channel, sub, 1, NULL),
                     STATUS_INVALID_PARAMETER_2); /* a sub-channel itself */
    driver_end(&subs[0]);
    driver_end(&fresh);
    driver_end(&primary);
}

static void a_target_makes_it_a_primary_again(void **state)
{
    const struct host_offer offer = host_plain_offer(RELID);
    GUID type;

    (void)state;
    start_primary();
    make_sub(&subs[0], 1);
    memcpy(&type, &offer.type, sizeof(type));
    assert_int_equal(VmbClientChannelInitSetTargetPnp(subs[0].channel, &type, NULL, NULL),
                     STATUS_SUCCESS);
    driver_end(&primary);
    assert_int_equal(VmbChannelEnable(subs[0].channel), STATUS_SUCCESS);
    settle();
    assert_true(host_is_open(RELID));
    driver_end(&subs[0]);
}

/* ---- target processors ---- */

static bool answers;
static bool rescinds;

static bool on_message(void *context, const struct host_message *message)
{
    (void)context;
    if (host_word(message, 0) != MODIFY) {
        return false;
    }
    if (rescinds) {
        host_rescind(RELID);
    } else if (answers) {
        host_send_words(MODIFIED, 16, host_word(message, 8), 0, 0);
    }
    return true;
}

static void an_open_names_the_processor_that_was_set(void **state)
{
    (void)state;
    host.vp_index = 3;
    memset(&primary, 0, sizeof(primary));
    driver_start(&primary);
    assert_int_equal(host_word(host_message(HOST_OPEN, 0), 20), 3); /* the one that opens */
    VmbChannelDisable(primary.channel);
    assert_int_equal(KmclClientChannelSetTargetProcessor(primary.channel, 0), STATUS_SUCCESS);
    driver_start(&primary);
    assert_int_equal(host_word(host_message(HOST_OPEN, 1), 20), 0);
    VmbChannelDisable(primary.channel);
    driver_start(&primary); /* it stays */
    assert_int_equal(host_word(host_message(HOST_OPEN, 2), 20), 0);
    assert_int_equal(host_count(MODIFY), 0);
    driver_end(&primary);
}

static void move_in_opened(struct driver *own, char letter)
{
    if (letter == 'O') {
        assert_int_equal(KmclClientChannelSetTargetProcessor(own->channel, 2), STATUS_SUCCESS);
    }
}

static void an_open_channel_moves_at_once_and_stays_there(void **state)
{
    (void)state;
    host.hook = on_message;
    answers = true;
    rescinds = false;
    memset(&primary, 0, sizeof(primary));
    driver_make(&primary);
    primary.on_state = move_in_opened;
    driver_start(&primary);
    assert_int_equal(host_count(MODIFY), 1);
    assert_int_equal(host_word(host_message(MODIFY, 0), 12), 2);
    assert_int_equal(KmclClientChannelSetTargetProcessor(primary.channel, 5), STATUS_SUCCESS);
    assert_int_equal(host_word(host_message(MODIFY, 1), 12), 5);
    primary.on_state = NULL;
    VmbChannelDisable(primary.channel);
    driver_start(&primary);
    assert_int_equal(host_word(host_message(HOST_OPEN, 1), 20), 5);
    driver_end(&primary);
}

static void a_move_that_fails_leaves_the_target_of_before(void **state)
{
    (void)state;
    host.hook = on_message;
    answers = false;
    rescinds = false;
    start_primary();
    assert_int_equal(KmclClientChannelSetTargetProcessor(primary.channel, 5), STATUS_IO_TIMEOUT);
    assert_int_equal(KmclClientChannelSetTargetProcessor(primary.channel, 5),
                     STATUS_INVALID_DEVICE_REQUEST);
    VmbChannelDisable(primary.channel);
    driver_start(&primary);
    assert_int_equal(host_word(host_message(HOST_OPEN, 1), 20), 0);
    driver_end(&primary);
}

static void a_rescind_while_it_moves_closes_the_channel(void **state)
{
    (void)state;
    host.hook = on_message;
    rescinds = true;
    start_primary();
    assert_int_equal(KmclClientChannelSetTargetProcessor(primary.channel, 5),
                     STATUS_DEVICE_REMOVED);
    settle();
    assert_trace(&primary, "opened started post-started suspend closed ");
    driver_end(&primary);
}

static void processors_that_are_none_and_old_buses_are_refused(void **state)
{
    (void)state;
    host.highest_version = VERSION_OF(4, 0);
    start_primary();
    assert_int_equal(KmclClientChannelSetTargetProcessor(NULL, 1), STATUS_INVALID_PARAMETER_1);
    assert_int_equal(KmclClientChannelSetTargetProcessor(primary.channel, UINT32_MAX),
                     STATUS_INVALID_PARAMETER_2);
    assert_int_equal(KmclClientChannelSetTargetProcessor(primary.channel, 1), STATUS_NOT_SUPPORTED);
    enum irql level = irql_raise_to_dispatch();
    expect_panic((void)KmclClientChannelSetTargetProcessor(primary.channel, 1));
    irql_lower(level);
    driver_end(&primary);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(each_sub_channel_takes_the_offer_of_its_index),
        kmcl_test(a_primary_does_not_take_sub_channels_nor_they_its_offer),
        kmcl_test(a_sub_channel_belongs_to_the_device_of_its_primary),
        kmcl_test(a_rescind_of_a_sub_channel_leaves_the_others),
        kmcl_test(a_sub_channel_that_the_host_refuses_is_reported),
        kmcl_test(primaries_that_are_none_are_refused),
        kmcl_test(a_target_makes_it_a_primary_again),
        kmcl_test(an_open_names_the_processor_that_was_set),
        kmcl_test(an_open_channel_moves_at_once_and_stays_there),
        kmcl_test(a_move_that_fails_leaves_the_target_of_before),
        kmcl_test(a_rescind_while_it_moves_closes_the_channel),
        kmcl_test(processors_that_are_none_and_old_buses_are_refused),
    };
    return cmocka_run_group_tests_name("kmcl, sub-channels and processors", tests, NULL, NULL);
}
