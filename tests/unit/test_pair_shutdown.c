/* SPDX-License-Identifier: MIT */
/* The shutdown driver and the host's shutdown, against each other; and the driver against a host
 * that breaks the rules. */

#include <string.h>

#include "drivers/shutdown/shutdown.h"
#include "drivers/shutdown/shutdown_device.h"
#include "drivers/shutdown/shutdown_protocol.h"
#include "kernel/clock.h"
#include "tests/host/shutdown.h"
#include "tests/unit/pair/host.h"

static struct host_device *device;

static enum shutdown_answer hook_answer;
static unsigned hook_calls;
static struct shutdown_request hook_request;

static enum shutdown_answer hook(const struct shutdown_request *request)
{
    assert_int_equal(irql_current(), IRQL_PASSIVE);
    assert_not_said("agrees"); /* it is asked first */
    hook_calls++;
    hook_request = *request;
    return hook_answer;
}

static int setup(void **state)
{
    memset(&shutdown_driver, 0, sizeof(shutdown_driver));
    hook_calls = 0;
    hook_answer = SHUTDOWN_AGREE;
    return pair_setup(state);
}

static int teardown(void **state)
{
    (void)timer_cancel(&shutdown_driver.timer);
    integration_end();
    return pair_teardown(state);
}

static void start_both(const char *text)
{
    device = host_offer(text);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    shutdown_start();
    shutdown_set_hook(hook);
    settle();
    host_forget();
}

/* No wait: the guest would end in the midst of it. */
static void let_it_end(UINT64 duration)
{
    for (UINT64 i = 0; i < duration; i += CLOCK_SECOND / 10) {
        test_time_pass(CLOCK_SECOND / 10);
        settle();
    }
}

/* The guest ends within that time, with the host's knowledge. */
#define expect_end(duration, how)                                                                  \
    do {                                                                                           \
        expect_panic(let_it_end(duration));                                                        \
        assert_string_equal(test_panic_message(), how);                                            \
        assert_int_equal(test_exit_status(), 0);                                                   \
        assert_said("the guest agrees");                                                           \
        assert_true(shutdown_is_under_way());                                                      \
    } while (0)

static void the_guest_powers_off_behind_its_answer(void **state)
{
    (void)state;
    start_both("shutdown");
    shutdown_set_hook(NULL);
    assert_true(host_command(device, "shutdown"));
    expect_end(CLOCK_SECOND, "exit");
    host_device_destroy(device);
}

static void the_guest_restarts(void **state)
{
    (void)state;
    start_both("shutdown,version=3.0");
    assert_true(host_command(device, "shutdown reboot 60"));
    expect_end(CLOCK_SECOND, "restart");
    assert_int_equal(hook_calls, 1);
    assert_true(hook_request.restart);
    assert_false(hook_request.force);
    assert_int_equal(hook_request.seconds, 60);
    assert_int_equal(hook_request.reason, SHUTDOWN_REASON_PLANNED);
    host_device_destroy(device);
}

static void the_application_may_refuse(void **state)
{
    (void)state;
    start_both("shutdown,version=1.0");
    hook_answer = SHUTDOWN_REFUSE;
    for (unsigned i = 1; i <= 3; i++) {
        assert_true(host_command(device, "shutdown"));
        pass_time(60 * CLOCK_SECOND);
        assert_said("the guest refuses: status 0x80004005");
        assert_int_equal(hook_calls, i);
    }
    assert_true(host_command(device, "status"));
    assert_said("requests=3 agreed=0 refused=3");
    host_device_destroy(device);
}

static void the_application_cannot_refuse_force(void **state)
{
    (void)state;
    start_both("shutdown");
    hook_answer = SHUTDOWN_REFUSE;
    assert_true(host_command(device, "shutdown force"));
    expect_end(CLOCK_SECOND, "exit");
    assert_true(hook_request.force);
    host_device_destroy(device);
}

static void the_application_may_answer_later(void **state)
{
    (void)state;
    start_both("shutdown");
    hook_answer = SHUTDOWN_LATER;
    assert_true(host_command(device, "shutdown"));
    pass_time(20 * CLOCK_SECOND);
    assert_int_equal(hook_calls, 1);
    assert_not_said("the guest");
    assert_false(host_command(device, "shutdown"));
    assert_said("not now: the service is asked");
    shutdown_refuse();
    settle();
    assert_said("refuses");
    shutdown_agree(); /* too late: nobody asks */
    pass_time(60 * CLOCK_SECOND);
    assert_true(host_command(device, "shutdown"));
    pass_time(20 * CLOCK_SECOND);
    shutdown_agree();
    shutdown_refuse(); /* too late */
    expect_end(CLOCK_SECOND, "exit");
    host_device_destroy(device);
}

static void an_answer_that_never_comes_is_a_yes_when_time_is_up(void **state)
{
    (void)state;
    start_both("shutdown");
    hook_answer = SHUTDOWN_LATER;
    assert_true(host_command(device, "shutdown reboot 10"));
    pass_time(9 * CLOCK_SECOND);
    assert_not_said("the guest");
    expect_end(2 * CLOCK_SECOND, "restart");
    host_device_destroy(device);
}

static void a_host_that_allows_no_time_gets_our_limit(void **state)
{
    (void)state;
    start_both("shutdown");
    hook_answer = SHUTDOWN_LATER;
    assert_true(host_command(device, "shutdown"));
    pass_time(SHUTDOWN_LIMIT - CLOCK_SECOND);
    assert_not_said("the guest");
    expect_end(2 * CLOCK_SECOND, "exit");
    host_device_destroy(device);
}

static void a_host_that_goes_away_takes_its_request_along(void **state)
{
    (void)state;
    start_both("shutdown");
    hook_answer = SHUTDOWN_LATER;
    assert_true(host_command(device, "shutdown"));
    pass_time(CLOCK_SECOND);
    host_device_disable(device);
    pass_time(60 * CLOCK_SECOND);
    assert_int_equal(shutdown_driver.state, SHUTDOWN_IDLE);
    shutdown_agree();
    assert_true(host_device_enable(device, &host_output));
    host_device_start(device);
    pass_time(60 * CLOCK_SECOND);
    hook_answer = SHUTDOWN_AGREE;
    assert_true(host_command(device, "shutdown"));
    expect_end(CLOCK_SECOND, "exit");
    host_device_destroy(device);
}

static void what_the_guest_cannot_do_is_refused(void **state)
{
    (void)state;
    start_both("shutdown");
    assert_true(host_command(device, "shutdown hibernate"));
    pass_time(CLOCK_SECOND);
    assert_said("refuses");
    assert_true(host_command(device, "shutdown reboot hibernate force"));
    pass_time(CLOCK_SECOND);
    assert_said("refuses");
    assert_int_equal(hook_calls, 0);
    assert_false(host_command(device, "shutdown now"));
    assert_said("what is now?");
    host_device_destroy(device);
}

/* ---- a host that breaks the rules ---- */

static struct peer host_peer;

static void start_with_peer(void)
{
    static const GUID device_class = SHUTDOWN_CLASS_INITIALISER;
    static const GUID instance = SHUTDOWN_INSTANCE_INITIALISER;
    static const UINT16 offered[] = {1, 1, 0, 0, 3, 0, 3, 2};

    peer_make(&host_peer, true, &device_class, &instance, true);
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    shutdown_start();
    shutdown_set_hook(hook);
    settle();
    peer_send_integration(&host_peer, INTEGRATION_NEGOTIATE, 3, 1, offered, sizeof(offered));
    (void)peer_next(&host_peer);
    assert_int_equal(shutdown_driver.device.state, INTEGRATION_NEGOTIATED);
}

static UINT32 status_of(const UINT8 *message)
{
    struct integration_header header;

    memcpy(&header, message, sizeof(header));
    return header.status;
}

static void bad_requests_end_nothing(void **state)
{
    UINT32 words[515] = {0};

    (void)state;
    start_with_peer();
    for (UINT32 size = 0; size < SHUTDOWN_MESSAGE_SIZE_MINIMUM; size++) {
        peer_send_integration(&host_peer, INTEGRATION_SHUTDOWN, 3, 2, words, size);
        assert_int_equal(status_of(peer_next(&host_peer)), INTEGRATION_STATUS_INVALID_ARGUMENT);
    }
    for (UINT32 bit = 2; bit < 32; bit++) {
        words[2] = 1u << bit;
        peer_send_integration(&host_peer, INTEGRATION_SHUTDOWN, 3, 2, words, 2060);
        assert_int_equal(status_of(peer_next(&host_peer)), INTEGRATION_STATUS_FAILURE);
        assert_int_equal(host_peer.length, 2080);
    }
    pass_time(60 * CLOCK_SECOND);
    assert_int_equal(hook_calls, 0);
    peer_end(&host_peer);
}

static void a_flood_of_requests_asks_once_at_a_time(void **state)
{
    const UINT32 words[3] = {0};

    (void)state;
    start_with_peer();
    hook_answer = SHUTDOWN_LATER;
    for (unsigned i = 0; i < 30; i++) {
        peer_send_integration(&host_peer, INTEGRATION_SHUTDOWN, 3, 2, words, sizeof(words));
    }
    for (unsigned i = 0; i < 30; i++) {
        settle();
        assert_int_equal(hook_calls, i + 1);
        shutdown_refuse();
        assert_int_equal(status_of(peer_next(&host_peer)), INTEGRATION_STATUS_FAILURE);
    }
    peer_end(&host_peer);
}

static void a_host_that_reads_nothing_does_not_keep_the_guest_alive(void **state)
{
    UINT32 words[515] = {0};

    (void)state;
    start_with_peer();
    peer_stops_reading(&host_peer);
    /* Until the guest's ring has no room for one more refusal. */
    words[2] = SHUTDOWN_FLAG_HIBERNATE;
    while (!shutdown_driver.device.answering) {
        peer_send_integration(&host_peer, INTEGRATION_SHUTDOWN, 3, 2, words, 2060);
        settle();
    }
    /* One more is read, so that the request comes; its answer waits. */
    words[2] = 0;
    peer_send_integration(&host_peer, INTEGRATION_SHUTDOWN, 3, 2, words, 2060);
    VMBPACKETCOMPLETION held = host_peer.held;
    VmbChannelPacketComplete(held, NULL, 0);
    settle();
    assert_int_equal(hook_calls, 1);
    assert_true(shutdown_driver.device.answering);
    let_it_end(4 * CLOCK_SECOND);
    expect_panic(let_it_end(2 * CLOCK_SECOND));
    assert_string_equal(test_panic_message(), "exit");
    peer_end(&host_peer);
}

int main(void)
{
#define shutdown_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        shutdown_test(the_guest_powers_off_behind_its_answer),
        shutdown_test(the_guest_restarts),
        shutdown_test(the_application_may_refuse),
        shutdown_test(the_application_cannot_refuse_force),
        shutdown_test(the_application_may_answer_later),
        shutdown_test(an_answer_that_never_comes_is_a_yes_when_time_is_up),
        shutdown_test(a_host_that_allows_no_time_gets_our_limit),
        shutdown_test(a_host_that_goes_away_takes_its_request_along),
        shutdown_test(what_the_guest_cannot_do_is_refused),
        shutdown_test(bad_requests_end_nothing),
        shutdown_test(a_flood_of_requests_asks_once_at_a_time),
        shutdown_test(a_host_that_reads_nothing_does_not_keep_the_guest_alive),
    };
    return cmocka_run_group_tests_name("pair, shutdown", tests, NULL, NULL);
}
