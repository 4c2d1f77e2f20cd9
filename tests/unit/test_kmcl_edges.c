/* SPDX-License-Identifier: MIT */
/* What happens at one moment only: at the end of a batch, behind a close, with the ring in pieces.
 */

#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "tests/unit/kmcl/kmcl_test.h"

#define WAIT       VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION
/* Of a plain offer (fake_host.h). */
#define CONNECTION (0x2000 + RELID)

static void put(UINT64 word)
{
    assert_int_equal(host_put_inband(RELID, word, false, &word, sizeof(word)), RING_OK);
}

static void keep(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    (void)buffer, (void)length;
    driver->kept[driver->kept_count++] = packet;
}

/* ---- the end of a batch ---- */

/* The other half of flow control: a host that found the ring full sleeps until we say otherwise. */
static void a_host_that_waits_for_room_is_signalled_when_packets_leave(void **state)
{
    struct driver driver = {0};
    UINT8 bytes[1000] = {0};
    unsigned sent = 0;

    (void)state;
    driver_start(&driver);
    enum irql level = irql_raise_to_dispatch();
    while (host_put_inband(RELID, 1, false, bytes, sizeof(bytes)) == RING_OK) {
        sent++;
    }
    assert_int_equal(ring_writer_arm(host_outgoing(RELID), ring_packet_size(0, sizeof(bytes))),
                     RING_FULL);
    const unsigned before = host_signals(CONNECTION);
    irql_lower(level);
    settle();
    assert_int_equal(driver.packets, sent);
    assert_int_equal(host_signals(CONNECTION), before + 1);
    /* Who does not wait is not signalled. */
    ring_writer_disarm(host_outgoing(RELID));
    put(1);
    settle();
    assert_int_equal(driver.packets, sent + 1);
    assert_int_equal(host_signals(CONNECTION), before + 1);
    driver_end(&driver);
}

static void put_one_more(struct driver *driver, UINT32 count)
{
    (void)count;
    if (driver->batches == 1) {
        put(2); /* signals are off: no event comes with it */
    }
}

static void a_packet_that_comes_at_the_end_of_a_batch_is_found(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_batch = put_one_more;
    driver_start(&driver);
    put(1);
    settle();
    assert_int_equal(driver.packets, 2);
    assert_int_equal(driver.batches, 2);
    driver_end(&driver);
}

/* The same two ends of a batch, where a worker takes them and not an event. */
static void batches_at_passive_end_and_go_on_likewise(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_batch = put_one_more;
    VmbChannelSetIncomingProcessingAtPassive(driver.channel, TRUE);
    driver_start(&driver);
    put(1);
    settle();
    assert_int_equal(driver.packets, 2);
    assert_int_equal(driver.batches, 2);
    driver.on_batch = NULL;
    driver.packets = 0;
    enum irql level = irql_raise_to_dispatch();
    for (unsigned i = 0; i < 120; i++) {
        put(i);
    }
    irql_lower(level);
    settle();
    assert_int_equal(driver.packets, 120);
    assert_int_equal(driver.level, IRQL_PASSIVE);
    driver_end(&driver);
}

static void complete_the_last(struct driver *driver, UINT32 count)
{
    (void)count;
    while (driver->kept_count > 0) {
        VmbChannelPacketComplete(driver->kept[--driver->kept_count], NULL, 0);
    }
}

static void a_quota_used_up_and_given_back_in_one_batch_does_not_stop_the_queue(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver.on_batch = complete_the_last;
    VmbChannelSetTransactionQuota(driver.channel, 1);
    driver_start(&driver);
    enum irql level = irql_raise_to_dispatch();
    for (unsigned i = 0; i < 4; i++) {
        put(i);
    }
    irql_lower(level);
    settle();
    assert_int_equal(driver.packets, 4);
    driver_end(&driver);
}

/* ---- a second life ---- */

static void a_failure_is_not_reported_again_in_the_next_life(void **state)
{
    struct driver driver = {0};

    (void)state;
    host.open_status = 0xC0000022;
    driver_start(&driver);
    assert_trace(&driver, "failure ");
    host.open_status = 0;
    assert_int_equal(VmbChannelEnable(driver.channel), STATUS_SUCCESS);
    VmbChannelDisable(driver.channel); /* before anything could be opened */
    settle();
    assert_trace(&driver, "failure ");
    driver_end(&driver);
}

/* ---- the ring in pieces ---- */

/* M6: a packet under way had two owners when the ring reported corruption. */
static void m6_packets_under_way_end_once_when_the_ring_breaks(void **state)
{
    struct driver driver = {0};

    (void)state;
    driver_start(&driver);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(driver_send(&driver, i, 8, WAIT), STATUS_SUCCESS);
    }
    assert_int_equal(driver.completions, 0);
    host_set_write_index(RELID, 3);
    settle();
    assert_int_equal(driver.completions, 3);
    assert_int_equal(driver.completion_status, STATUS_DEVICE_REMOVED);
    assert_int_equal(vmbus_test_lines("closing the channel"), 1);
    host_rescind(RELID);
    settle();
    driver_end(&driver);
    assert_int_equal(driver.completions, 3);
}

static void rescind(struct driver *driver)
{
    (void)driver;
    host_rescind(RELID);
}

static void ask_and_lose_the_channel(struct driver *driver)
{
    static struct script script;

    script_start(&script, driver, rescind);
    assert_int_equal(ask(driver, 0), STATUS_DEVICE_REMOVED);
}

static void a_rescind_releases_each_of_two_requests_at_once(void **state)
{
    struct driver driver = {0};
    struct script script;

    (void)state;
    driver_start(&driver);
    script_start(&script, &driver, ask_and_lose_the_channel);
    assert_int_equal(ask(&driver, 0), STATUS_DEVICE_REMOVED);
    /* Before the channel was closed. */
    assert_int_equal(host_count(HOST_GPADL_TEARDOWN), 0);
    driver_end(&driver);
}

/* The channel closes below EvtChannelPostStarted, which may wait for what the close completes. */
static void hold_a_packet_over_a_rescind(struct driver *driver, char letter)
{
    static struct script script;
    struct event never;

    if (letter != 'P') {
        return;
    }
    event_initialise(&never);
    assert_int_equal(host_put_inband(RELID, 1, true, NULL, 0), RING_OK);
    (void)event_wait(&never, clock_after(CLOCK_SECOND));
    assert_int_equal(driver->kept_count, 1);
    script_start(&script, driver, rescind);
    (void)event_wait(&never, clock_after(5 * CLOCK_SECOND));
    assert_false(host_is_open(RELID));
    VmbChannelPacketComplete(driver->kept[0], driver, 64);
}

static void a_completion_for_a_ring_that_is_gone_is_dropped(void **state)
{
    struct driver driver = {0};
    KMCL_CHANNEL_STATISTICS statistics;

    (void)state;
    driver_make(&driver);
    driver.on_packet = keep;
    driver.on_state = hold_a_packet_over_a_rescind;
    driver_start(&driver);
    assert_trace(&driver, "opened started post-started suspend closed ");
    KmclChannelGetStatistics(driver.channel, &statistics);
    assert_int_equal(statistics.CompletionsSent, 0);
    driver_end(&driver);
}

/* ---- GPADLs ---- */

static UINT8 memory[3 * PAGE_SIZE] __attribute__((aligned(4096)));

static void share(struct driver *driver, UINT32 handles[3])
{
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(VmbChannelCreateGpadlFromBuffer(driver->channel, 0, memory + i * PAGE_SIZE,
                                                         PAGE_SIZE, &handles[i]),
                         STATUS_SUCCESS);
    }
}

static void gpadls_are_deleted_in_any_order(void **state)
{
    struct driver driver = {0};
    UINT32 handles[3];

    (void)state;
    driver_start(&driver);
    const unsigned before = host_gpadls();
    share(&driver, handles);
    VmbChannelDeleteGpadl(driver.channel, handles[1]);
    VmbChannelDeleteGpadl(driver.channel, handles[0]);
    VmbChannelDeleteGpadl(driver.channel, handles[2]);
    assert_int_equal(host_gpadls(), before);
    expect_panic(VmbChannelDeleteGpadl(driver.channel, handles[0]));
    driver_end(&driver);
}

static void refuse_all_posts(struct driver *driver, char letter)
{
    (void)driver;
    if (letter == 'C') {
        host.post_status = HV_STATUS_INVALID_PARAMETER;
    }
}

/* Nobody takes the tear-down or the number: the host may use that memory for ever. */
static void a_rescinded_channel_that_cannot_be_given_back_is_said(void **state)
{
    struct driver driver = {0};
    UINT32 handles[3];

    (void)state;
    driver_make(&driver);
    driver.on_state = refuse_all_posts;
    driver_start(&driver);
    share(&driver, handles);
    host_rescind(RELID);
    settle();
    assert_trace(&driver, "opened started post-started suspend closed ");
    assert_int_equal(vmbus_test_lines("memory of its GPADLs must not be reused"), 1);
    host.post_status = HV_STATUS_SUCCESS;
    driver_end(&driver);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        kmcl_test(a_host_that_waits_for_room_is_signalled_when_packets_leave),
        kmcl_test(a_packet_that_comes_at_the_end_of_a_batch_is_found),
        kmcl_test(batches_at_passive_end_and_go_on_likewise),
        kmcl_test(a_quota_used_up_and_given_back_in_one_batch_does_not_stop_the_queue),
        kmcl_test(a_failure_is_not_reported_again_in_the_next_life),
        kmcl_test(m6_packets_under_way_end_once_when_the_ring_breaks),
        kmcl_test(a_rescind_releases_each_of_two_requests_at_once),
        kmcl_test(a_completion_for_a_ring_that_is_gone_is_dropped),
        kmcl_test(gpadls_are_deleted_in_any_order),
        kmcl_test(a_rescinded_channel_that_cannot_be_given_back_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
