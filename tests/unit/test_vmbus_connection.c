/* SPDX-License-Identifier: MIT */
/* Negotiation with every kind of host, the end of the connection, and hosts that do neither well.
 */
#include "vmbus_test.h"

#include <limits.h>
#include <string.h>

#include "hv/synic.h"
#include "kernel/clock.h"
#include "vmbus/protocol.h"

static const uint32_t versions[] = {
    VMBUS_VERSION_6_0, VMBUS_VERSION_5_3, VMBUS_VERSION_5_2, VMBUS_VERSION_5_1, VMBUS_VERSION_5_0,
    VMBUS_VERSION_4_1, VMBUS_VERSION_4_0, VMBUS_VERSION_3_0, VMBUS_VERSION_2_4,
};
#define VERSIONS (sizeof(versions) / sizeof(versions[0]))

static uint32_t contact_version(unsigned n)
{
    return host_word(host_message(HOST_CONTACT, n), 8);
}

/* ---- what is agreed on ---- */

static void the_newest_version_of_each_host_is_agreed_on(void **state)
{
    for (unsigned i = 0; i < VERSIONS; i++) {
        assert_int_equal(vmbus_test_setup(state), 0);
        host.highest_version = versions[i];
        vmbus_test_connect();
        assert_int_equal(vmbus_version(), versions[i]);
        assert_true(vmbus_connected_at() != 0);
        assert_int_equal(host_count(HOST_CONTACT), i + 1);
        for (unsigned n = 0; n <= i; n++) {
            const struct host_message *contact = host_message(HOST_CONTACT, n);
            bool modern = versions[n] >= VMBUS_VERSION_5_0;
            assert_int_equal(contact_version(n), versions[n]);
            assert_int_equal(contact->connection_id, modern ? 4 : 1);
            assert_int_equal(host_word(contact, 16), modern ? 2 : 0);
            assert_int_equal(host_word(contact, 20), 0);
        }
        assert_int_equal(vmbus_test_teardown(state), 0);
    }
}

static void a_host_without_connection_id_4_is_asked_from_4_1_on(void **state)
{
    (void)state;
    host.multi_client = false;
    host.highest_version = VMBUS_VERSION_4_0;
    vmbus_test_connect();
    assert_int_equal(vmbus_version(), VMBUS_VERSION_4_0);
    /* Only one attempt with the id that does not exist. */
    assert_int_equal(host_attempts(), 1 + 2 + 1);
    assert_int_equal(contact_version(0), VMBUS_VERSION_4_1);
    assert_int_equal(host_message(HOST_REQUEST_OFFERS, 0)->connection_id, 1);
}

static void messages_go_where_the_host_says_from_5_0_on(void **state)
{
    struct test_owner owner;

    (void)state;
    host.message_connection = 0x1234;
    vmbus_test_open(&owner, 9, 1, 1);
    vmbus_test_give_back(&owner);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    for (unsigned n = host_count(HOST_CONTACT); host_message(0, n) != NULL; n++) {
        assert_int_equal(host_message(0, n)->connection_id, 0x1234);
    }
    assert_int_equal(host_count(HOST_UNLOAD), 1);
}

static void messages_go_where_the_host_says_with_5_0_too(void **state)
{
    (void)state;
    host.highest_version = VMBUS_VERSION_5_0;
    host.message_connection = 0x55;
    vmbus_test_connect();
    assert_int_equal(host_message(HOST_REQUEST_OFFERS, 0)->connection_id, 0x55);
}

/* Hosts throttle with this status once a connection stands. */
static void an_invalid_connection_id_is_passing_once_connected(void **state)
{
    struct test_owner owner;

    (void)state;
    vmbus_test_connect();
    host.fail_every = 2;
    host.fail_status = HV_STATUS_INVALID_CONNECTION_ID;
    vmbus_test_open(&owner, 4, 30, 30);
    vmbus_test_give_back(&owner);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
}

static void the_id_of_an_earlier_refusal_is_not_kept(void **state)
{
    (void)state;
    host.highest_version = VMBUS_VERSION_4_1;
    host.message_connection = 0x1234;
    vmbus_test_connect();
    assert_int_equal(host_message(HOST_REQUEST_OFFERS, 0)->connection_id, 1);
}

static void messages_are_asked_for_on_this_processor(void **state)
{
    (void)state;
    host.vp_index = 3;
    vmbus_test_connect();
    assert_int_equal(host_word(host_message(HOST_CONTACT, 0), 12), 3);
}

static void features_nobody_asked_for_are_refused(void **state)
{
    (void)state;
    host.highest_version = VMBUS_VERSION_6_0;
    host.features = VMBUS_FEATURE_SIGNAL_PARAMETERS;
    vmbus_test_connect();
    assert_int_equal(vmbus_version(), VMBUS_VERSION_5_3);
}

static void features_are_not_looked_for_below_6_0(void **state)
{
    (void)state;
    host.highest_version = VMBUS_VERSION_5_2;
    host.round_sizes = true;
    host.contact_size = 20; /* whatever follows byte 16 means nothing */
    vmbus_test_connect();
    assert_int_equal(vmbus_version(), VMBUS_VERSION_5_2);
}

static void a_short_acceptance_of_6_0_grants_nothing(void **state)
{
    (void)state;
    host.highest_version = VMBUS_VERSION_6_0;
    host.contact_size = 16;
    vmbus_test_connect();
    assert_int_equal(vmbus_version(), VMBUS_VERSION_6_0);
}

static void a_supported_version_that_failed_is_not_a_connection(void **state)
{
    (void)state;
    host.contact_state = VMBUS_CONTACT_UNKNOWN_FAILURE;
    host.contact_state_from = VMBUS_VERSION_5_0;
    vmbus_test_connect();
    assert_int_equal(vmbus_version(), VMBUS_VERSION_4_1);
}

static void sizes_may_be_rounded_up(void **state)
{
    struct test_owner owner;

    (void)state;
    host.round_sizes = true;
    host.highest_version = VMBUS_VERSION_4_0;
    vmbus_test_open(&owner, 3, 2, 2);
    vmbus_test_give_back(&owner);
    assert_int_equal(vmbus_test_counts().messages_malformed, 0);
}

static void stale_messages_before_the_answer_are_discarded(void **state)
{
    struct host_offer offer = host_plain_offer(44);

    (void)state;
    host_send_offer(&offer);
    host_send_words(HOST_RESCIND, 12, 44, 0, 0);
    host_send_words(HOST_ALL_OFFERS, 8, 0, 0, 0);
    host_send_words(HOST_UNLOAD_COMPLETE, 8, 0, 0, 0);
    host_send_words(HOST_GPADL_TORNDOWN, 12, 0xE1E10, 0, 0);
    host_send_words(HOST_OPEN_RESULT, 20, 44, 1, 0);
    vmbus_test_connect();
    assert_int_equal(vmbus_version(), VMBUS_VERSION_5_3);
    assert_null(vmbus_test_channel(44));
    assert_int_equal(vmbus_test_counts().messages_unexpected, 6);
    /* They are nobody's fault. */
    assert_string_equal(test_console(), "");
}

static void monitor_pages_are_given_and_come_back(void **state)
{
    uint64_t pages[2];

    (void)state;
    vmbus_test_connect();
    memcpy(pages, host_message(HOST_CONTACT, 0)->bytes + 24, sizeof(pages));
    assert_true(pages[0] != 0 && pages[1] == pages[0] + 4096);
    assert_int_equal(test_pages_held(), 2);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(test_pages_held(), 0);
}

static void without_monitor_pages_both_addresses_are_zero(void **state)
{
    (void)state;
    test_memory_fail(1);
    vmbus_test_connect();
    assert_int_equal(host_word(host_message(HOST_CONTACT, 0), 24), 0);
    assert_int_equal(host_word(host_message(HOST_CONTACT, 0), 32), 0);
}

/* ---- hosts that do not take part ---- */

static void expect_failure(enum vmbus_status expected)
{
    test_console_clear();
    assert_int_equal(vmbus_connect(), expected);
    assert_int_equal(vmbus_connection_state(), VMBUS_FAILED);
    assert_int_equal(vmbus_version(), 0);
    assert_false(host_attached());
    assert_int_equal(vmbus_test_lines("\n"), 1);
    assert_int_equal(vmbus_disconnect(), VMBUS_UNAVAILABLE);
    assert_int_equal(host_count(HOST_UNLOAD), 0);
}

static void a_host_that_refuses_every_version(void **state)
{
    (void)state;
    host.highest_version = 0;
    expect_failure(VMBUS_REFUSED);
    assert_int_equal(host_count(HOST_CONTACT), VERSIONS);
    assert_int_equal(test_pages_held(), 0);
}

static void a_host_too_new_for_us(void **state)
{
    (void)state;
    host.highest_version = 0x00090000;
    host.lowest_version = 0x00070000;
    expect_failure(VMBUS_REFUSED);
}

static void a_host_that_never_answers_costs_one_limit(void **state)
{
    uint64_t start = clock_now();

    (void)state;
    host.contact = HOST_IGNORES;
    expect_failure(VMBUS_NO_ANSWER);
    /* Asking again could not be told apart from the first answer, late. */
    assert_int_equal(host_count(HOST_CONTACT), 1);
    assert_true(clock_now() - start >= VMBUS_ANSWER_LIMIT);
    assert_true(clock_now() - start < VMBUS_ANSWER_LIMIT + CLOCK_SECOND);
    /* It may have them by now. */
    assert_int_equal(vmbus_test_counts().pages_kept, 2);
}

static void a_truncated_answer_is_no_answer(void **state)
{
    (void)state;
    host.contact_size = 15;
    assert_int_equal(vmbus_connect(), VMBUS_NO_ANSWER);
    assert_int_equal(vmbus_test_counts().messages_malformed, 1);
    assert_int_equal(vmbus_test_lines("malformed message: VERSION_RESPONSE"), 1);
}

static void nobody_takes_messages(void **state)
{
    (void)state;
    host.post_status = HV_STATUS_INVALID_CONNECTION_ID;
    expect_failure(VMBUS_POST_FAILED);
    assert_int_equal(host_attempts(), 2); /* on 4, then on 1 */
    assert_int_equal(test_pages_held(), 0);
}

static void the_hypervisor_never_has_a_buffer(void **state)
{
    uint64_t start = clock_now();

    (void)state;
    host.post_status = HV_STATUS_INSUFFICIENT_BUFFERS;
    expect_failure(VMBUS_POST_FAILED);
    assert_true(clock_now() - start >= VMBUS_ANSWER_LIMIT);
    assert_true(clock_now() - start < VMBUS_ANSWER_LIMIT + CLOCK_SECOND);
}

static void every_second_post_has_to_be_repeated(void **state)
{
    struct test_owner owner;

    (void)state;
    host.fail_every = 2;
    vmbus_test_open(&owner, 4, 100, 100);
    vmbus_test_give_back(&owner);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_true(host_attempts() >= 2 * host_count(HOST_GPADL_BODY));
}

/* M22: other clouds leave Hyper-V's presence without its bus. */
static void m22_hyperv_without_a_bus_is_no_reason_to_stop(void **state)
{
    (void)state;
    host.presence = HV_WITHOUT_SYNIC;
    host.reason = "no SynIC here";
    assert_int_equal(vmbus_connect(), VMBUS_UNAVAILABLE);
    assert_int_equal(vmbus_connection_state() == VMBUS_CONNECTED, false);
    assert_int_equal(vmbus_test_lines("\n"), 1);
    assert_int_equal(vmbus_test_lines("no SynIC here"), 1);
    assert_int_equal(host_attempts(), 0);
    assert_int_equal(test_pages_held(), 0);
}

static void somebody_else_has_the_bus(void **state)
{
    static const struct hv_synic_client other;

    (void)state;
    assert_true(hv_synic_attach(&other));
    assert_int_equal(vmbus_connect(), VMBUS_UNAVAILABLE);
    assert_int_equal(host_attempts(), 0);
    hv_synic_detach(&other);
    vmbus_test_connect();
}

static void a_connected_bus_does_not_connect_again(void **state)
{
    (void)state;
    vmbus_test_connect();
    assert_int_equal(vmbus_connect(), VMBUS_BAD_STATE);
    assert_int_equal(host_count(HOST_REQUEST_OFFERS), 1);
}

static void a_failed_bus_can_try_once_more(void **state)
{
    (void)state;
    host.contact = HOST_IGNORES;
    assert_int_equal(vmbus_connect(), VMBUS_NO_ANSWER);
    host.contact = HOST_ANSWERS;
    vmbus_test_connect();
    assert_int_equal(host_count(HOST_REQUEST_OFFERS), 1);
}

static void two_answers_count_once(void **state)
{
    (void)state;
    vmbus_test_connect();
    host_send_words(HOST_VERSION_RESPONSE, 16, 0, 0x77, 0);
    host_send_words(HOST_VERSION_RESPONSE, 16, 1, 0x77, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 2);
    assert_int_equal(vmbus_version(), VMBUS_VERSION_5_3);
    struct test_owner owner;
    vmbus_test_claim(&owner, 8); /* messages still go where they went */
    vmbus_test_give_back(&owner);
}

/* ---- offers that end late, or never ---- */

static void offers_that_never_end_do_not_hold_up_the_guest(void **state)
{
    struct host_offer offer = host_plain_offer(6);
    uint64_t start = clock_now();

    (void)state;
    host.all_offers = HOST_IGNORES;
    host_add(&offer);
    vmbus_test_connect();
    assert_true(clock_now() - start >= VMBUS_ANSWER_LIMIT);
    assert_true(clock_now() - start < VMBUS_ANSWER_LIMIT + CLOCK_SECOND);
    assert_non_null(vmbus_test_channel(6));
    assert_int_equal(vmbus_test_lines("\n"), 1);
    /* Late is not wrong. */
    host_send_words(HOST_ALL_OFFERS, 8, 0, 0, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 0);
    host_send_words(HOST_ALL_OFFERS, 8, 0, 0, 0);
    host_run();
    assert_int_equal(vmbus_test_counts().messages_unexpected, 1);
}

static void a_request_for_offers_that_nobody_takes(void **state)
{
    (void)state;
    host.post_limit = 2; /* contacts for 6.0 and 5.3 */
    host.post_status_late = HV_STATUS_INVALID_PARAMETER;
    assert_int_equal(vmbus_connect(), VMBUS_POST_FAILED);
    assert_int_equal(vmbus_connection_state(), VMBUS_FAILED);
    assert_false(host_attached());
    assert_int_equal(vmbus_test_counts().pages_kept, 2);
}

/* ---- the end ---- */

static void unload_is_sent_once_and_answered(void **state)
{
    (void)state;
    host.highest_version = VMBUS_VERSION_3_0; /* the first that means it */
    vmbus_test_connect();
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(vmbus_test_lines("\n"), 0);
    assert_int_equal(vmbus_connection_state(), VMBUS_DISCONNECTED);
    assert_int_equal(vmbus_version(), 0);
    assert_int_equal(vmbus_disconnect(), VMBUS_UNAVAILABLE);
    assert_int_equal(host_count(HOST_UNLOAD), 1);
    assert_false(host_attached());
}

static void nothing_is_unloaded_that_was_never_connected(void **state)
{
    (void)state;
    assert_int_equal(vmbus_disconnect(), VMBUS_UNAVAILABLE);
    assert_int_equal(host_attempts(), 0);
}

static void unload_without_answer_has_a_limit_and_keeps_memory(void **state)
{
    uint64_t start = clock_now();

    (void)state;
    vmbus_test_connect();
    host.unload = HOST_IGNORES;
    assert_int_equal(vmbus_disconnect(), VMBUS_NO_ANSWER);
    assert_true(clock_now() - start >= VMBUS_ANSWER_LIMIT);
    assert_true(clock_now() - start < VMBUS_ANSWER_LIMIT + CLOCK_SECOND);
    assert_int_equal(vmbus_connection_state(), VMBUS_FAILED);
    assert_int_equal(vmbus_test_counts().pages_kept, 2);
    assert_int_equal(vmbus_test_lines("UNLOAD: no answer"), 1);
    assert_false(host_attached());
}

static void unload_that_nobody_takes(void **state)
{
    (void)state;
    vmbus_test_connect();
    host.post_status = HV_STATUS_INVALID_PARAMETER;
    assert_int_equal(vmbus_disconnect(), VMBUS_POST_FAILED);
    assert_int_equal(vmbus_test_counts().pages_kept, 2);
}

static bool confirm_twice(void *context, const struct host_message *message)
{
    (void)context;
    if (host_word(message, 0) == HOST_UNLOAD) {
        host_send_words(HOST_UNLOAD_COMPLETE, 8, 0, 0, 0);
    }
    return false;
}

static void an_unload_that_is_confirmed_twice_ends_once(void **state)
{
    (void)state;
    vmbus_test_connect();
    host.burst = true;
    host.hook = confirm_twice;
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 1);
}

static void no_unload_below_3_0(void **state)
{
    (void)state;
    host.highest_version = VMBUS_VERSION_2_4;
    vmbus_test_connect();
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_int_equal(host_count(HOST_UNLOAD), 0);
    /* Nobody said that they are free. */
    assert_int_equal(vmbus_test_counts().pages_kept, 2);
}

static void a_spurious_unload_complete_changes_nothing(void **state)
{
    (void)state;
    vmbus_test_connect();
    host_send_words(HOST_UNLOAD_COMPLETE, 8, 0, 0, 0);
    host_run();
    assert_int_equal(vmbus_connection_state(), VMBUS_CONNECTED);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 1);
    /* And does not stand for the real one. */
    host.unload = HOST_IGNORES;
    assert_int_equal(vmbus_disconnect(), VMBUS_NO_ANSWER);
}

static bool send_offers(void *context, const struct host_message *message)
{
    struct host_offer offer = host_plain_offer(30);

    (void)context;
    if (host_word(message, 0) == HOST_UNLOAD) {
        host_send_offer(&offer);
        host_send_words(HOST_RESCIND, 12, 1, 0, 0);
    }
    return false;
}

static void nothing_but_the_answer_counts_while_unloading(void **state)
{
    (void)state;
    vmbus_test_connect();
    host.hook = send_offers;
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    assert_null(vmbus_test_channel(30));
    assert_int_equal(vmbus_test_counts().offers, 0);
    assert_int_equal(vmbus_test_counts().messages_unexpected, 2);
}

static void the_bus_can_be_left_and_entered_again(void **state)
{
    struct test_owner owner;
    uint32_t first;

    (void)state;
    vmbus_test_open(&owner, 2, 1, 1);
    first = host_ring_gpadl(2);
    vmbus_test_give_back(&owner);
    assert_int_equal(vmbus_disconnect(), VMBUS_OK);
    vmbus_test_open(&owner, 2, 1, 1);
    assert_int_not_equal(host_ring_gpadl(2), first);
    vmbus_test_give_back(&owner);
}

static void states_and_statuses_have_names(void **state)
{
    (void)state;
    for (int status = VMBUS_OK; status <= VMBUS_POST_FAILED; status++) {
        assert_true(strlen(vmbus_status_name((enum vmbus_status)status)) > 1);
    }
    for (int at = VMBUS_DISCONNECTED; at <= VMBUS_FAILED; at++) {
        assert_true(strlen(vmbus_connection_state_name((enum vmbus_connection_state)at)) > 1);
    }
    for (int at = VMBUS_CHANNEL_OFFERED; at <= VMBUS_CHANNEL_RELEASED; at++) {
        assert_true(strlen(vmbus_channel_state_name((enum vmbus_channel_state)at)) > 1);
    }
    assert_string_equal(vmbus_status_name((enum vmbus_status)99), "?");
    assert_string_equal(vmbus_connection_state_name((enum vmbus_connection_state)99), "?");
    assert_string_equal(vmbus_channel_state_name((enum vmbus_channel_state)99), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_newest_version_of_each_host_is_agreed_on),
        bus_test(a_host_without_connection_id_4_is_asked_from_4_1_on),
        bus_test(messages_go_where_the_host_says_from_5_0_on),
        bus_test(messages_go_where_the_host_says_with_5_0_too),
        bus_test(an_invalid_connection_id_is_passing_once_connected),
        bus_test(the_id_of_an_earlier_refusal_is_not_kept),
        bus_test(messages_are_asked_for_on_this_processor),
        bus_test(features_nobody_asked_for_are_refused),
        bus_test(features_are_not_looked_for_below_6_0),
        bus_test(a_short_acceptance_of_6_0_grants_nothing),
        bus_test(a_supported_version_that_failed_is_not_a_connection),
        bus_test(sizes_may_be_rounded_up),
        bus_test(stale_messages_before_the_answer_are_discarded),
        bus_test(monitor_pages_are_given_and_come_back),
        bus_test(without_monitor_pages_both_addresses_are_zero),
        bus_test(a_host_that_refuses_every_version),
        bus_test(a_host_too_new_for_us),
        bus_test(a_host_that_never_answers_costs_one_limit),
        bus_test(a_truncated_answer_is_no_answer),
        bus_test(nobody_takes_messages),
        bus_test(the_hypervisor_never_has_a_buffer),
        bus_test(every_second_post_has_to_be_repeated),
        bus_test(m22_hyperv_without_a_bus_is_no_reason_to_stop),
        bus_test(somebody_else_has_the_bus),
        bus_test(a_connected_bus_does_not_connect_again),
        bus_test(a_failed_bus_can_try_once_more),
        bus_test(two_answers_count_once),
        bus_test(offers_that_never_end_do_not_hold_up_the_guest),
        bus_test(a_request_for_offers_that_nobody_takes),
        bus_test(unload_is_sent_once_and_answered),
        bus_test(nothing_is_unloaded_that_was_never_connected),
        bus_test(unload_without_answer_has_a_limit_and_keeps_memory),
        bus_test(unload_that_nobody_takes),
        bus_test(an_unload_that_is_confirmed_twice_ends_once),
        bus_test(no_unload_below_3_0),
        bus_test(a_spurious_unload_complete_changes_nothing),
        bus_test(nothing_but_the_answer_counts_while_unloading),
        bus_test(the_bus_can_be_left_and_entered_again),
        bus_test(states_and_statuses_have_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
