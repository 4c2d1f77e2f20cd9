/* SPDX-License-Identifier: MIT */
/* The heartbeat driver and the host's heartbeat: against each other, and each against a peer that
 * breaks the rules. */

#include <string.h>

#include "drivers/heartbeat/heartbeat.h"
#include "drivers/heartbeat/heartbeat_device.h"
#include "drivers/heartbeat/heartbeat_protocol.h"
#include "kernel/clock.h"
#include "tests/host/heartbeat.h"
#include "tests/unit/pair/host.h"

static const GUID class_of_device = HEARTBEAT_CLASS_INITIALISER;

static int setup(void **state)
{
    memset(&heartbeat_device, 0, sizeof(heartbeat_device));
    heartbeat_set_application_state(HEARTBEAT_APPLICATION_UNKNOWN);
    return pair_setup(state);
}

static int teardown(void **state)
{
    integration_end();
    return pair_teardown(state);
}

static struct host_device *start_both(const char *text)
{
    struct host_device *device = host_offer(text);

    assert_int_equal(vmbus_connect(), VMBUS_OK);
    heartbeat_start();
    settle();
    return device;
}

static void ten_minutes_of_heartbeats_are_answered(void **state)
{
    (void)state;
    const UINT64 before = heartbeat_count();
    struct host_device *device = start_both("heartbeat");
    assert_said("version 3.0, framework 3.0");
    assert_said("the first heartbeat is answered");
    pass_time(600 * CLOCK_SECOND + CLOCK_MILLISECOND);
    assert_true(host_command(device, "status"));
    assert_said("state=idle version=3.0 framework=3.0 malformed=0 unexpected=0");
    assert_said("sent=301 answered=301 late=0 wrong=0 application=0");
    assert_int_equal(heartbeat_count() - before, 301);
    host_device_destroy(device);
}

static void heartbeats_are_answered_while_main_computes(void **state)
{
    (void)state;
    const UINT64 before = heartbeat_count();
    struct host_device *device = start_both("heartbeat,interval=10");
    /* At DISPATCH: nothing that runs at PASSIVE gets the processor. */
    for (unsigned i = 0; i < 20; i++) {
        test_time_pass(10 * CLOCK_MILLISECOND);
        while (test_host_step()) {
        }
    }
    assert_true(heartbeat_count() - before >= 20);
    host_device_destroy(device);
}

static void the_applications_state_reaches_the_host(void **state)
{
    (void)state;
    struct host_device *device = start_both("heartbeat");
    heartbeat_set_application_state(HEARTBEAT_APPLICATION_CRITICAL);
    pass_time(2 * CLOCK_SECOND);
    assert_said("the application's state is 2");
    host_device_destroy(device);
}

static void a_host_of_2008_is_understood(void **state)
{
    (void)state;
    struct host_device *device = start_both("heartbeat,version=1.0");
    assert_said("version 1.0, framework 3.0");
    pass_time(20 * CLOCK_SECOND);
    assert_true(host_command(device, "status"));
    assert_said("answered=11");
    host_device_destroy(device);
}

static void a_service_that_was_taken_back_comes_again(void **state)
{
    (void)state;
    struct host_device *device = start_both("heartbeat");
    for (unsigned i = 0; i < 5; i++) {
        host_device_disable(device);
        pass_time(CLOCK_SECOND);
        assert_int_equal(heartbeat_device.state, INTEGRATION_WAITING);
        assert_true(host_device_enable(device, &host_output));
        host_device_start(device);
        pass_time(10 * CLOCK_SECOND);
        assert_int_equal(heartbeat_device.state, INTEGRATION_NEGOTIATED);
    }
    assert_true(host_command(device, "status"));
    assert_said("late=0 wrong=0");
    host_device_destroy(device);
}

static void options_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    assert_null(host_create("heartbeat,interval=soon"));
    assert_said("interval=soon: a number up to 3600000");
    assert_null(host_create("heartbeat,version=3"));
    assert_said("version=3: MAJOR.MINOR is needed");
    assert_null(host_create("heartbeat,version=x.0"));
    for (unsigned n = 1; n < 4; n++) {
        test_memory_fail(n);
        assert_null(host_create("heartbeat"));
    }
}

static void without_memory_the_driver_says_so_and_stays_away(void **state)
{
    (void)state;
    struct host_device *device = host_offer("heartbeat");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    for (unsigned n = 1; n < 3; n++) {
        test_memory_fail(n);
        heartbeat_start();
        test_memory_fail(0);
        settle();
        assert_int_equal(heartbeat_device.state, INTEGRATION_STOPPED);
        memset(&heartbeat_device, 0, sizeof(heartbeat_device));
    }
    heartbeat_start();
    settle();
    assert_int_equal(heartbeat_device.state, INTEGRATION_NEGOTIATED);
    host_device_destroy(device);
}

static void counters_survive_in_bytes(void **state)
{
    (void)state;
    struct host_device *device = start_both("heartbeat");
    pass_time(20 * CLOCK_SECOND);
    device = host_move(device, "heartbeat");
    assert_true(host_command(device, "status"));
    assert_said("sent=11 answered=11");
    host_device_destroy(device);
}

static void a_host_that_was_paused_goes_on(void **state)
{
    (void)state;
    struct host_device *device = start_both("heartbeat");
    host_device_pause(device);
    pass_time(20 * CLOCK_SECOND);
    host_device_start(device);
    settle();
    assert_said("heartbeats are answered again");
    pass_time(20 * CLOCK_SECOND);
    assert_true(host_command(device, "status"));
    assert_said("wrong=0");
    host_device_destroy(device);
}

/* ---- the host, against a guest that breaks the rules ---- */

static struct peer guest;

static struct host_device *start_with_peer(void)
{
    struct host_device *device = host_offer("heartbeat");

    assert_int_equal(vmbus_connect(), VMBUS_OK);
    peer_make(&guest, false, &class_of_device, NULL, true);
    settle();
    assert_true(guest.is_open);
    return device;
}

static void answer(const UINT8 *request, const void *body, UINT32 size)
{
    struct integration_header header;

    memcpy(&header, request, sizeof(header));
    peer_send_integration(&guest, header.type,
                          INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_RESPONSE,
                          header.transaction_id, body, size);
    settle();
}

static const UINT16 agreed[8] = {1, 1, 0, 0, 3, 0, 3, 0};

static void versions_are_offered_oldest_first(void **state)
{
    static const UINT8 expected[] = {
        1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 24, 0, /* framework, type, version, size */
        0, 0, 0, 0, 1, 3, 0, 0,              /* status, transaction, flags */
        2, 0, 2, 0, 0, 0, 0, 0,              /* counts */
        1, 0, 0, 0, 3, 0, 0, 0, 1, 0, 0,  0, 3, 0, 0, 0,
    };

    (void)state;
    struct host_device *device = start_with_peer();
    const UINT8 *request = peer_next(&guest);
    assert_int_equal(guest.length, sizeof(expected));
    /* No framework is agreed on yet. */
    assert_memory_equal(request + 4, expected + 4, sizeof(expected) - 4);
    peer_end(&guest);
    host_device_destroy(device);
}

static void a_guest_that_is_silent_is_said_once(void **state)
{
    struct heartbeat_message message;

    (void)state;
    struct host_device *device = start_with_peer();
    pass_time(61 * CLOCK_SECOND);
    assert_said("the guest does not answer (negotiating)");
    answer(peer_next(&guest), agreed, sizeof(agreed));
    const UINT8 *beat = peer_next(&guest);
    memcpy(&message, beat + sizeof(struct integration_header), sizeof(message));
    assert_int_equal(message.sequence, 1);
    assert_int_equal(guest.length, sizeof(struct integration_header) + sizeof(message));
    host_forget();
    pass_time(CLOCK_SECOND * 3 / 2);
    assert_not_said("not answered");
    pass_time(10 * CLOCK_SECOND);
    assert_said("heartbeat 1 is not answered");
    message.sequence++;
    answer(guest.received, &message, HEARTBEAT_MESSAGE_SIZE_MINIMUM);
    assert_said("heartbeats are answered again");
    assert_true(host_command(device, "status"));
    assert_said("sent=1 answered=1 late=5 wrong=0");
    pass_time(2 * CLOCK_SECOND);
    answer(peer_next(&guest), &message, sizeof(message)); /* as it came, or worse */
    assert_said("heartbeat 3 is answered with 2");
    peer_end(&guest);
    host_device_destroy(device);
}

static void a_guest_without_a_version_in_common_is_left_alone(void **state)
{
    const UINT16 none[8] = {0};

    (void)state;
    struct host_device *device = start_with_peer();
    answer(peer_next(&guest), none, sizeof(none));
    assert_said("the guest knows no version that was offered");
    pass_time(20 * CLOCK_SECOND);
    assert_int_equal(guest.count, 1);
    peer_send(&guest, none, 8); /* nor is what it says then listened to */
    settle();
    assert_said("is none; it is not listened to");
    peer_end(&guest);
    host_device_destroy(device);
}

static void what_is_no_answer_ends_the_conversation(void **state)
{
    static const UINT16 bodies[][8] = {
        {2, 1, 0, 0, 3, 0, 3, 0}, {1, 0, 0, 0, 3, 0, 3, 0}, {0, 1, 0, 0, 3, 0, 3, 0},
        {1, 1, 0, 0, 2, 0, 3, 0}, {1, 1, 0, 0, 3, 0, 3, 1}, {1, 1, 0, 0, 3, 0, 0, 0},
        {1, 1, 0, 0, 0, 0, 3, 0},
    };

    (void)state;
    struct host_device *device = start_with_peer();
    for (unsigned i = 0; i < sizeof(bodies) / sizeof(bodies[0]) + 4; i++) {
        UINT8 bytes[64];
        memcpy(bytes, peer_next(&guest), guest.length);
        host_forget();
        switch (i) {
        case 0: /* shorter than a header */
            peer_send(&guest, bytes, 19);
            break;
        case 1: /* not a response */
            peer_send(&guest, bytes, 36);
            break;
        case 2: /* says more than there is */
            bytes[17] = 5;
            bytes[10] = 17;
            peer_send(&guest, bytes, 36);
            break;
        case 3: /* shorter than an answer */
            answer(bytes, agreed, 15);
            break;
        default:
            answer(bytes, bodies[i - 4], 16);
            break;
        }
        settle();
        assert_said("is none; it is not listened to");
        /* Opened anew, it starts over. */
        VmbChannelDisable(guest.channel);
        settle();
        assert_int_equal(VmbChannelEnable(guest.channel), STATUS_SUCCESS);
    }
    assert_true(host_command(device, "status"));
    assert_said("malformed=11");
    peer_end(&guest);
    host_device_destroy(device);
}

static void answers_nobody_waits_for_are_counted(void **state)
{
    UINT8 bytes[64];

    (void)state;
    struct host_device *device = start_with_peer();
    memcpy(bytes, peer_next(&guest), sizeof(bytes));
    peer_send_integration(&guest, INTEGRATION_HEARTBEAT, 5, bytes[16], agreed, 16);
    peer_send_integration(&guest, INTEGRATION_NEGOTIATE, 5, (UINT8)(bytes[16] + 1), agreed, 16);
    settle();
    answer(bytes, agreed, 16);
    (void)peer_next(&guest);
    answer(bytes, agreed, 16);
    assert_true(host_command(device, "status"));
    assert_said("state=asked version=3.0 framework=3.0 malformed=0 unexpected=3");
    peer_end(&guest);
    host_device_destroy(device);
}

int main(void)
{
#define heartbeat_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        heartbeat_test(ten_minutes_of_heartbeats_are_answered),
        heartbeat_test(heartbeats_are_answered_while_main_computes),
        heartbeat_test(the_applications_state_reaches_the_host),
        heartbeat_test(a_host_of_2008_is_understood),
        heartbeat_test(a_service_that_was_taken_back_comes_again),
        heartbeat_test(options_that_make_no_sense_are_refused),
        heartbeat_test(without_memory_the_driver_says_so_and_stays_away),
        heartbeat_test(counters_survive_in_bytes),
        heartbeat_test(a_host_that_was_paused_goes_on),
        heartbeat_test(versions_are_offered_oldest_first),
        heartbeat_test(a_guest_that_is_silent_is_said_once),
        heartbeat_test(a_guest_without_a_version_in_common_is_left_alone),
        heartbeat_test(what_is_no_answer_ends_the_conversation),
        heartbeat_test(answers_nobody_waits_for_are_counted),
    };
    return cmocka_run_group_tests_name("pair, heartbeat", tests, NULL, NULL);
}
