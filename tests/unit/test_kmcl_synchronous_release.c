/* SPDX-License-Identifier: MIT */
/* Requests that are waited for (K11): what ends them beside an answer and their time, and when the
 * host has let go of the memory that came with them. */

#include <string.h>

#include "kernel/clock.h"
#include "kernel/wait.h"
#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION

/* ---- external data ---- */

static UINT8 shared_page[PAGE_SIZE] __attribute__((aligned(4096)));

static NTSTATUS ask_with_memory(struct driver *driver, int64_t limit)
{
    UINT64 space[8];
    PMDL mdl = (PMDL)(void *)space;
    UINT64 word = 1;
    LARGE_INTEGER timeout = relative(limit);

    MmInitializeMdl(mdl, shared_page, PAGE_SIZE);
    MmBuildMdlForNonPagedPool(mdl);
    return VmbChannelSendSynchronousRequest(driver->channel, &word, 8, mdl, WAIT, NULL, NULL,
                                            limit == 0 ? NULL : &timeout);
}

static void make_with_memory(struct driver *driver)
{
    driver_make(driver);
    assert_int_equal(VmbChannelInitSetMaximumExternalData(driver->channel, PAGE_SIZE, 1),
                     STATUS_SUCCESS);
}

static void answer_at_timer(void *context)
{
    answer_next(context);
}

static void with_external_data_a_timeout_waits_for_the_host_to_let_go(void **state)
{
    struct driver driver = {0};
    struct timer timer;

    (void)state;
    make_with_memory(&driver);
    driver_start(&driver);
    uint64_t before = clock_now();
    timer_initialise(&timer, answer_at_timer, &driver);
    timer_arm(&timer, clock_after(5 * CLOCK_SECOND));
    assert_int_equal(ask_with_memory(&driver, CLOCK_SECOND), STATUS_CANCELLED);
    assert_true(clock_now() - before >= 5 * CLOCK_SECOND);
    driver_end(&driver);
}

static unsigned torn_down_at_return;

static void rescind_now(struct driver *driver)
{
    (void)driver;
    host_rescind(RELID);
}

static void a_rescind_releases_a_request_with_external_data_after_the_ring_is_gone(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    make_with_memory(&driver);
    driver_start(&driver);
    script_start(&script, &driver, rescind_now);
    assert_int_equal(ask_with_memory(&driver, 0), STATUS_DEVICE_REMOVED);
    assert_int_equal(host_count(HOST_GPADL_TEARDOWN), 1);
    driver_end(&driver);
}

/* The same, where the state worker itself is below the wait. */
static void ask_with_memory_in_post_started(struct driver *driver, char letter)
{
    static struct script script;

    if (letter == 'P') {
        script_start(&script, driver, rescind_now);
        assert_int_equal(ask_with_memory(driver, 0), STATUS_DEVICE_REMOVED);
        torn_down_at_return = host_count(HOST_GPADL_TEARDOWN);
    }
}

static void a_rescind_releases_a_request_with_external_data_in_post_started(void **state)
{
    struct driver driver = {0};

    (void)state;
    make_with_memory(&driver);
    driver.on_state = ask_with_memory_in_post_started;
    driver_start(&driver);
    assert_int_equal(torn_down_at_return, 1);
    assert_trace(&driver, "opened started post-started suspend closed ");
    driver_end(&driver);
    settle();
    assert_int_equal(host_count(HOST_RELID_RELEASED), 1);
}

/* A driver that waits by its own means for a packet's completion. */
static struct event own_event;

static VOID set_own_event(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    (void)buffer, (void)length;
    assert_int_equal(status, STATUS_DEVICE_REMOVED);
    VmbPacketFree(packet);
    event_set(&own_event);
}

static void wait_for_packet_in_post_started(struct driver *driver, char letter)
{
    static struct script script;
    UINT64 word = 1;

    if (letter != 'P') {
        return;
    }
    VMBPACKET packet = VmbPacketAllocate(driver->channel);
    VmbPacketSetCompletionRoutine(packet, set_own_event);
    event_initialise(&own_event);
    assert_int_equal(VmbPacketSend(packet, &word, 8, NULL, WAIT), STATUS_SUCCESS);
    script_start(&script, driver, rescind_now);
    assert_true(event_wait(&own_event, clock_after(30 * CLOCK_SECOND)));
}

static void a_rescind_ends_a_drivers_own_wait_in_post_started(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_state = wait_for_packet_in_post_started;
    driver_start(&driver);
    assert_trace(&driver, "opened started post-started suspend closed ");
    driver_end(&driver);
}

/* ---- release ---- */

static void a_rescind_releases_a_request_at_once(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    script_start(&script, &driver, rescind_now);
    assert_int_equal(ask(&driver, 0), STATUS_DEVICE_REMOVED);
    /* Before anything else was done about it. */
    assert_int_equal(host_count(HOST_GPADL_TEARDOWN), 0);
    assert_trace(&driver, "opened started post-started ");
    driver_end(&driver);
    assert_trace(&driver, "opened started post-started suspend closed ");
}

static void a_queued_request_is_released_by_a_rescind_too(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    VmbChannelPause(driver.channel);
    script_start(&script, &driver, rescind_now);
    assert_int_equal(ask(&driver, 0), STATUS_DEVICE_REMOVED);
    driver_end(&driver);
}

static void start_now(struct driver *driver)
{
    static struct script script;

    VmbChannelStart(driver->channel);
    script_start(&script, driver, answer_next);
}

static void a_request_on_a_paused_channel_waits_for_the_start(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    VmbChannelPause(driver.channel);
    script_start(&script, &driver, start_now);
    assert_int_equal(ask(&driver, 0), STATUS_SUCCESS);
    driver_end(&driver);
}

static void offer_now(struct driver *driver)
{
    static struct timer timer;
    struct host_offer offer = host_plain_offer(RELID);

    host_add(&offer);
    timer_initialise(&timer, answer_at_timer, driver);
    timer_arm(&timer, clock_after(CLOCK_SECOND));
}

static void a_request_on_an_enabled_channel_waits_for_the_offer(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_make(&driver);
    vmbus_test_connect();
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    script_start(&script, &driver, offer_now);
    assert_int_equal(ask(&driver, 0), STATUS_SUCCESS);
    driver_end(&driver);
}

static void add_offer(struct driver *driver)
{
    struct host_offer offer = host_plain_offer(RELID);

    (void)driver;
    host_add(&offer);
}

static void a_request_is_released_when_the_channel_cannot_be_opened(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_make(&driver);
    vmbus_test_connect();
    host.open_status = 0xC0000022;
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    script_start(&script, &driver, add_offer);
    uint64_t before = clock_now();
    assert_int_equal(ask(&driver, 60 * (int64_t)CLOCK_SECOND), STATUS_DEVICE_REMOVED);
    assert_in_range(clock_now() - before, 0, CLOCK_SECOND);
    assert_trace(&driver, "failure ");
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(with_external_data_a_timeout_waits_for_the_host_to_let_go),
        kmcl_test(a_rescind_releases_a_request_with_external_data_after_the_ring_is_gone),
        kmcl_test(a_rescind_releases_a_request_with_external_data_in_post_started),
        kmcl_test(a_rescind_ends_a_drivers_own_wait_in_post_started),
        kmcl_test(a_rescind_releases_a_request_at_once),
        kmcl_test(a_queued_request_is_released_by_a_rescind_too),
        kmcl_test(a_request_on_a_paused_channel_waits_for_the_start),
        kmcl_test(a_request_on_an_enabled_channel_waits_for_the_offer),
        kmcl_test(a_request_is_released_when_the_channel_cannot_be_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
