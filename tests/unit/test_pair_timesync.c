/* SPDX-License-Identifier: MIT */
/* The time synchronisation driver and the host's end, against each other; and the driver against a
 * host that breaks the rules. */

#include <stdlib.h>
#include <string.h>

#include "drivers/timesync/timesync.h"
#include "drivers/timesync/timesync_device.h"
#include "drivers/timesync/timesync_protocol.h"
#include "kernel/clock.h"
#include "kernel/wall_clock.h"
#include "tests/host/machine.h"
#include "tests/host/timesync.h"
#include "tests/unit/pair/host.h"

/* 2026-11-26 12:00 UTC. */
#define NOON (WALL_CLOCK_UNIX_EPOCH + UINT64_C(1795694400) * CLOCK_SECOND)

/* Good enough for two ends in one process. */
#define NEAR (10 * CLOCK_MILLISECOND)

static struct host_device *device;

static int setup(void **state)
{
    memset(&timesync_driver, 0, sizeof(timesync_driver));
    machine_wall_offset = NOON - test_time();
    return pair_setup(state);
}

static int teardown(void **state)
{
    integration_end();
    return pair_teardown(state);
}

static void start_both(const char *text)
{
    device = host_offer(text);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    timesync_start();
    settle();
}

static struct timesync_status status_now(void)
{
    struct timesync_status status;

    timesync_status(&status);
    return status;
}

/* How far the guest's clock is from the host's, without sign. */
static UINT64 difference(void)
{
    const UINT64 host = machine_wall_clock();
    const UINT64 guest = wall_clock_now();

    return guest > host ? guest - host : host - guest;
}

/* ---- both ends ---- */

static void the_clock_is_set_when_the_channel_opens(void **state)
{
    static const char *const versions[] = {"timesync", "timesync,version=3.0",
                                           "timesync,version=1.0"};

    for (unsigned i = 0; i < 3; i++) {
        start_both(versions[i]);
        assert_said("the guest's clock is synchronised");
        assert_true(difference() < NEAR);
        assert_int_equal(status_now().syncs, 1);
        assert_int_equal(status_now().set, 1);
        assert_int_equal(status_now().age_is_known, i == 0);
        host_device_destroy(device);
        (void)teardown(state);
        (void)setup(state);
        machine_wall_offset += (i + 1) * 1000 * CLOCK_SECOND; /* what is set next is another */
    }
}

static void a_step_arrives_and_is_measured(void **state)
{
    static const struct {
        const char *command;
        int64_t seconds;
        const char *said;
    } steps[] = {
        {"step 3600", 3600, "3600.00000"},
        {"step -86400", -86400, "86400.0000"},
        {"step +1", 1, "1.00000"},
    };

    (void)state;
    start_both("timesync");
    for (unsigned i = 0; i < 3; i++) {
        const UINT64 monotonic = clock_now();
        test_console_clear();
        assert_true(host_command(device, steps[i].command));
        settle();
        assert_said("the guest's clock is synchronised");
        const int64_t off = status_now().offset + steps[i].seconds * (int64_t)CLOCK_SECOND;
        assert_true(off > -(int64_t)NEAR && off < (int64_t)NEAR);
        assert_non_null(strstr(test_console(), steps[i].seconds > 0 ? " s behind" : " s ahead"));
        assert_true(clock_now() - monotonic < CLOCK_SECOND);
    }
    assert_false(host_command(device, "step"));
    assert_false(host_command(device, "step soon"));
    assert_said("soon is no number of seconds");
    assert_false(host_command(device, "step -"));
    host_device_destroy(device);
}

static void samples_correct_what_is_far_off_and_measure_the_rest(void **state)
{
    (void)state;
    start_both("timesync,interval=1000");
    pass_time(10 * CLOCK_SECOND);
    assert_true(status_now().samples >= 9);
    assert_int_equal(status_now().set, 1);
    /* The host's clock goes off by itself, a little and then far. */
    machine_wall_offset += 50 * CLOCK_MILLISECOND;
    pass_time(2 * CLOCK_SECOND);
    assert_int_equal(status_now().set, 1);
    assert_true(status_now().offset < -(int64_t)(49 * CLOCK_MILLISECOND));
    assert_true(difference() >= 49 * CLOCK_MILLISECOND);
    machine_wall_offset += 50 * CLOCK_MILLISECOND;
    pass_time(2 * CLOCK_SECOND);
    assert_int_equal(status_now().set, 2);
    assert_true(difference() < NEAR);
    machine_wall_offset -= 200 * CLOCK_MILLISECOND;
    pass_time(2 * CLOCK_SECOND);
    assert_int_equal(status_now().set, 3);
    assert_true(difference() < NEAR);
    assert_true(host_command(device, "status"));
    assert_said("syncs=1");
    assert_said("refused=0");
    host_device_destroy(device);
}

static void a_host_that_was_away_synchronises_again(void **state)
{
    (void)state;
    start_both("timesync");
    host_device_disable(device);
    machine_wall_offset += 1000 * CLOCK_SECOND;
    pass_time(CLOCK_SECOND);
    assert_true(host_device_enable(device, &host_output));
    host_device_start(device);
    pass_time(CLOCK_SECOND);
    assert_int_equal(status_now().syncs, 2);
    assert_true(difference() < NEAR);
    host_device_destroy(device);
}

static void the_step_survives_in_bytes(void **state)
{
    (void)state;
    start_both("timesync");
    assert_true(host_command(device, "step 100"));
    settle();
    device = host_move(device, "timesync");
    assert_true(host_device_enable(device, &host_output));
    host_device_start(device);
    pass_time(CLOCK_SECOND);
    assert_int_equal(status_now().syncs, 3);
    machine_wall_offset += 100 * CLOCK_SECOND;
    assert_true(difference() < NEAR);
    host_device_destroy(device);
}

/* ---- a host that breaks the rules ---- */

static struct peer host_peer;

static void start_with_peer(UINT16 major)
{
    static const GUID device_class = TIMESYNC_CLASS_INITIALISER;
    static const GUID instance = TIMESYNC_INSTANCE_INITIALISER;
    const UINT16 offered[] = {1, 1, 0, 0, 3, 0, major, 0};

    peer_make(&host_peer, true, &device_class, &instance, true);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    timesync_start();
    settle();
    peer_send_integration(&host_peer, INTEGRATION_NEGOTIATE, 3, 1, offered, sizeof(offered));
    (void)peer_next(&host_peer);
    assert_int_equal(timesync_driver.device.state, INTEGRATION_NEGOTIATED);
    assert_true(wall_clock_set(NOON));
}

/* The status that the guest answers to one message; the message comes back as it was. */
static UINT32 tell(const void *body, UINT32 size)
{
    struct integration_header header;

    peer_send_integration(&host_peer, INTEGRATION_TIMESYNC, 3, 2, body, size);
    const UINT8 *answer = peer_next(&host_peer);
    memcpy(&header, answer, sizeof(header));
    assert_int_equal(host_peer.length, sizeof(header) + size);
    assert_memory_equal(answer + sizeof(header), body, size);
    return header.status;
}

static void expect_noon(void)
{
    const UINT64 now = wall_clock_now();

    assert_true(now >= NOON && now - NOON < CLOCK_SECOND);
    assert_int_equal(status_now().set, 0);
}

static void times_that_cannot_be_change_nothing(void **state)
{
    struct timesync_message_4 message = {.flags = TIMESYNC_SYNC};
    static const UINT64 times[] = {0, 1, WALL_CLOCK_UNIX_EPOCH - 1, WALL_CLOCK_END, UINT64_MAX};

    (void)state;
    start_with_peer(4);
    for (unsigned i = 0; i < 5; i++) {
        message.host_time = times[i];
        message.reference_time = machine_reference_time();
        assert_int_equal(tell(&message, 24), INTEGRATION_STATUS_INVALID_ARGUMENT);
    }
    /* A moment that is to come, or long ago. */
    pass_time(2 * TIMESYNC_AGE_MAX);
    assert_true(wall_clock_set(NOON));
    message.host_time = NOON + 100 * CLOCK_SECOND;
    message.reference_time = machine_reference_time() + CLOCK_SECOND;
    assert_int_equal(tell(&message, 24), INTEGRATION_STATUS_INVALID_ARGUMENT);
    message.reference_time = machine_reference_time() - TIMESYNC_AGE_MAX - 1;
    assert_int_equal(tell(&message, 24), INTEGRATION_STATUS_INVALID_ARGUMENT);
    assert_int_equal(status_now().refused, 7);
    expect_noon();
    peer_end(&host_peer);
}

static void a_message_that_lay_about_is_still_right(void **state)
{
    struct timesync_message_4 message = {.flags = TIMESYNC_SYNC, .leap = 3, .stratum = 5};

    (void)state;
    start_with_peer(4);
    message.reference_time = machine_reference_time();
    message.host_time = machine_wall_clock();
    pass_time(7 * CLOCK_SECOND);
    assert_int_equal(tell(&message, TIMESYNC_MESSAGE_4_SIZE_MINIMUM), INTEGRATION_STATUS_OK);
    assert_true(difference() < NEAR);
    assert_true(status_now().age >= 7 * CLOCK_SECOND && status_now().age < 8 * CLOCK_SECOND);
    assert_int_equal(status_now().leap, 3);
    assert_int_equal(status_now().stratum, 5);
    peer_end(&host_peer);
}

static void what_is_too_short_changes_nothing(void **state)
{
    UINT8 bytes[32];

    (void)state;
    memset(bytes, 1, sizeof(bytes));
    for (UINT16 major = 3; major <= 4; major++) {
        const UINT32 minimum =
            major == 4 ? TIMESYNC_MESSAGE_4_SIZE_MINIMUM : TIMESYNC_MESSAGE_3_SIZE_MINIMUM;
        start_with_peer(major);
        for (UINT32 size = 0; size < minimum; size++) {
            assert_int_equal(tell(bytes, size), INTEGRATION_STATUS_INVALID_ARGUMENT);
        }
        expect_noon();
        peer_end(&host_peer);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void other_flags_are_answered_and_change_nothing(void **state)
{
    struct timesync_message_4 message = {.host_time = NOON + 1000 * CLOCK_SECOND};

    (void)state;
    start_with_peer(4);
    for (unsigned flags = 0; flags < 256; flags++) {
        if (flags != TIMESYNC_SYNC && flags != TIMESYNC_SAMPLE) {
            message.flags = (UINT8)flags;
            message.reference_time = machine_reference_time();
            assert_int_equal(tell(&message, 24), INTEGRATION_STATUS_OK);
        }
    }
    expect_noon();
    peer_end(&host_peer);
}

static void random_messages_never_set_a_time_that_cannot_be(void **state)
{
    UINT8 bytes[32];

    (void)state;
    srand(1);
    for (UINT16 major = 3; major <= 4; major++) {
        start_with_peer(major);
        for (unsigned i = 0; i < 2000; i++) {
            for (unsigned k = 0; k < sizeof(bytes); k++) {
                bytes[k] = (UINT8)(rand() >> 8);
            }
            bytes[7] = (UINT8)(rand() >> 8 & 0x3f);
            bytes[16] = (UINT8)(rand() >> 8 & 3);
            bytes[24] = (UINT8)(rand() >> 8 & 3);
            if (i % 2 != 0) {
                const UINT64 now = machine_reference_time();
                memcpy(bytes + 8, &now, sizeof(now));
            }
            (void)tell(bytes, 28);
            assert_true(wall_clock_now() >= WALL_CLOCK_UNIX_EPOCH);
            assert_true(wall_clock_now() <= WALL_CLOCK_END + CLOCK_SECOND);
        }
        assert_true(status_now().set > 0);
        peer_end(&host_peer);
        (void)teardown(state);
        (void)setup(state);
    }
}

int main(void)
{
#define timesync_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        timesync_test(the_clock_is_set_when_the_channel_opens),
        timesync_test(a_step_arrives_and_is_measured),
        timesync_test(samples_correct_what_is_far_off_and_measure_the_rest),
        timesync_test(a_host_that_was_away_synchronises_again),
        timesync_test(the_step_survives_in_bytes),
        timesync_test(times_that_cannot_be_change_nothing),
        timesync_test(a_message_that_lay_about_is_still_right),
        timesync_test(what_is_too_short_changes_nothing),
        timesync_test(other_flags_are_answered_and_change_nothing),
        timesync_test(random_messages_never_set_a_time_that_cannot_be),
    };
    clock_shared_with_host_register(machine_reference_time);
    return cmocka_run_group_tests_name("pair, time synchronisation", tests, NULL, NULL);
}
