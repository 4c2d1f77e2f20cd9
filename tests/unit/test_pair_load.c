/* SPDX-License-Identifier: MIT */
/* The load device at both ends: measures, counts, and a move to another process amid a load. */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "drivers/load/load.h"
#include "drivers/load/load_device.h"
#include "kernel/clock.h"
#include "tests/host/load.h"
#include "tests/unit/pair/host.h"

static struct host_device *device;

static int setup(void **state)
{
    memset(&load_driver, 0, sizeof(load_driver));
    return pair_setup(state);
}

static int teardown(void **state)
{
    load_driver_end();
    return pair_teardown(state);
}

static void start_both(void)
{
    device = host_offer("load");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    load_driver_start();
    settle();
}

static struct load_progress progress_now(void)
{
    struct load_progress progress;

    load_progress(&progress);
    return progress;
}

static struct load_progress run(uint64_t packets, uint32_t size, uint32_t burst)
{
    const struct load_parameters parameters = {packets, size, burst};

    assert_true(load_run(&parameters, clock_after(600 * CLOCK_SECOND)));
    const struct load_progress progress = progress_now();
    assert_int_equal(progress.sent, packets);
    assert_int_equal(progress.completed, packets);
    assert_int_equal(progress.lost + progress.wrong, 0);
    return progress;
}

static void every_size_and_burst_comes_back(void **state)
{
    static const uint32_t sizes[] = {16, 17, 24, 64, 1500, 4095, 4096};
    static const uint32_t bursts[] = {1, 2, 8, 63, 64};

    (void)state;
    start_both();
    for (unsigned i = 0; i < 7; i++) {
        for (unsigned k = 0; k < 5; k++) {
            const struct load_progress progress = run(101, sizes[i], bursts[k]);
            assert_true(progress.shortest > 0 && progress.shortest <= progress.longest);
            assert_true(progress.elapsed >= progress.longest);
        }
    }
    assert_true(host_command(device, "status"));
    assert_said("open=1 received=3535 gaps=0 repeats=0 malformed=0");
    host_device_destroy(device);
}

static void a_burst_costs_one_signal_and_one_batch(void **state)
{
    (void)state;
    start_both();
    for (uint32_t burst = 1; burst <= 64; burst *= 8) {
        const struct load_progress progress = run(64 * 100, 64, burst);
        /* The first burst is not sent behind a delivery. */
        assert_true(progress.signals <= 6400 / burst + 64);
        assert_true(progress.batches <= 6400 / burst + 64);
    }
    host_device_destroy(device);
}

static void the_host_sends_too(void **state)
{
    (void)state;
    start_both();
    assert_true(host_command(device, "run 1000 100 8"));
    settle();
    assert_said("run: sent=1000 completed=1000 lost=0 wrong=0");
    assert_int_equal(progress_now().received, 1000);
    assert_int_equal(progress_now().gaps + progress_now().repeats + progress_now().malformed, 0);
    /* Both at a time. */
    const struct load_parameters parameters = {1000, 100, 8};
    assert_true(host_command(device, "run 1000 100 8"));
    assert_true(load_start(&parameters));
    settle();
    assert_said("run: sent=1000 completed=1000 lost=0 wrong=0");
    assert_int_equal(progress_now().completed, 1000);
    assert_int_equal(progress_now().received, 2000);
    host_device_destroy(device);
}

static void steps(unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        (void)test_host_step();
    }
}

static void an_endless_run_ends_when_it_is_told_to(void **state)
{
    const struct load_parameters parameters = {UINT64_MAX, 64, 4};

    (void)state;
    start_both();
    assert_true(load_start(&parameters));
    assert_true(host_command(device, "run 0 64 4"));
    steps(500);
    assert_true(progress_now().is_running);
    assert_true(progress_now().completed > 50);
    assert_false(load_start(&parameters));
    assert_false(host_command(device, "run 1 64 1"));
    assert_said("a run is under way");
    load_stop();
    assert_true(host_command(device, "stop"));
    settle();
    assert_false(progress_now().is_running);
    assert_int_equal(progress_now().sent, progress_now().completed);
    assert_said("lost=0 wrong=0");
    /* And another. */
    (void)run(100, 64, 4);
    host_device_destroy(device);
}

static void parameters_out_of_range_are_refused(void **state)
{
    static const struct load_parameters bad[] = {
        {0, 64, 1}, {1, 15, 1}, {1, 4097, 1}, {1, 64, 0}, {1, 64, 65},
    };
    static const char *const lines[] = {"run 1 15 1", "run 1 4097 1", "run 1 64 0", "run 1 64 65",
                                        "run x 64 1"};

    (void)state;
    load_driver_start();
    assert_false(load_start(&(struct load_parameters){1, 64, 1})); /* no device yet */
    device = host_offer("load");
    assert_false(host_command(device, "run 1 64 1"));
    assert_said("the guest has not opened it");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    settle();
    for (unsigned i = 0; i < 5; i++) {
        assert_false(load_start(&bad[i]));
        assert_false(host_command(device, lines[i]));
    }
    host_device_destroy(device);
}

static void a_device_that_goes_away_ends_both_runs(void **state)
{
    const struct load_parameters parameters = {UINT64_MAX, 64, 4};

    (void)state;
    start_both();
    for (unsigned i = 0; i < 20; i++) {
        assert_true(load_start(&parameters));
        assert_true(host_command(device, "run 0 64 4"));
        steps(i * 7);
        host_device_disable(device);
        settle();
        assert_said("run: ");
        assert_false(progress_now().is_running);
        assert_int_equal(progress_now().sent, progress_now().completed + progress_now().lost);
        pass_time(CLOCK_SECOND);
        assert_true(host_device_enable(device, &host_output));
        host_device_start(device);
        pass_time(CLOCK_SECOND);
        assert_true(progress_now().is_open);
        (void)run(100, 64, 8);
        assert_int_equal(progress_now().gaps + progress_now().repeats, 0);
    }
    host_device_destroy(device);
}

static void without_memory_nothing_is_left(void **state)
{
    (void)state;
    test_memory_fail(1);
    load_driver_start();
    assert_null(load_driver.channel);
    test_memory_fail(0);
    device = host_offer("load");
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    load_driver_start();
    load_driver_start(); /* does nothing */
    settle();
    assert_true(progress_now().is_open);
    host_device_destroy(device);
}

/* ---- peers that break the rules ---- */

static const GUID device_class = LOAD_CLASS_INITIALISER;
static struct peer peer;

static void what_is_no_message_is_counted_by_both_ends(void **state)
{
    static const GUID instance = {1, 2, 3, {4}};
    UINT64 message[LOAD_SIZE_MAX / 8 + 2] = {0};
    UINT32 size;

    for (unsigned turn = 0; turn < 2; turn++) {
        if (turn == 0) {
            peer_make(&peer, true, &device_class, &instance, false);
            assert_int_equal(vmbus_connect(), VMBUS_OK);
            load_driver_start();
        } else {
            device = host_offer("load");
            assert_int_equal(vmbus_connect(), VMBUS_OK);
            peer_make(&peer, false, &device_class, NULL, false);
        }
        settle();
        load_make_message(message, 64, 1);
        peer_send(&peer, message, 8); /* shorter than a header */
        peer_send(&peer, message, 56);
        for (unsigned i = 0; i < 4; i++) {
            static const UINT32 sizes[] = {0, 15, 4097, UINT32_MAX};
            memcpy(message, &sizes[i], sizeof(size));
            peer_send(&peer, message, sizeof(message));
        }
        load_make_message(message, 64, 1);
        ((UINT8 *)message)[63] ^= 1;
        peer_send(&peer, message, 64);
        load_make_message(message, 64, 3);
        peer_send(&peer, message, 64); /* two are missing */
        load_make_message(message, 64, 2);
        peer_send(&peer, message, 64); /* one came late, or again */
        settle();
        if (turn == 0) {
            const struct load_progress progress = progress_now();
            assert_int_equal(progress.received, 9);
            assert_int_equal(progress.malformed, 7);
            assert_int_equal(progress.gaps, 2);
            assert_int_equal(progress.repeats, 1);
            peer_end(&peer);
            (void)teardown(state);
            (void)setup(state);
        } else {
            assert_true(host_command(device, "status"));
            assert_said("received=9 gaps=2 repeats=1 malformed=7");
            peer_end(&peer);
            host_device_destroy(device);
        }
    }
}

/* ---- another process goes on ---- */

static UINT8 bus_form[65536];
static size_t bus_form_size;

/* Its guest goes on as if nothing had happened, and both ends count no fault. */
static int go_on(void)
{
    loopback_replace_forked(NULL);
    device = host_create("load");
    assert_int_equal(host_device_restore(device, host_saved, host_saved_size), STATUS_SUCCESS);
    assert_true(host_device_enable(device, &host_output));
    assert_int_equal(vmbus_server_restore(loopback_server, bus_form, bus_form_size),
                     VMBUS_SERVER_RESTORED);
    host_device_start(device);
    const UINT64 before = progress_now().completed;
    steps(300);
    assert_true(progress_now().completed > before + 10);
    load_stop();
    assert_true(host_command(device, "stop"));
    settle();
    const struct load_progress progress = progress_now();
    assert_false(progress.is_running);
    assert_int_equal(progress.sent, progress.completed);
    assert_int_equal(progress.wrong + progress.lost + progress.gaps + progress.repeats, 0);
    assert_said("lost=0 wrong=0");
    assert_true(host_command(device, "status"));
    assert_said("gaps=0 repeats=0 malformed=0");
    assert_said("outstanding=0");
    char expected[64];
    (void)snprintf(expected, sizeof(expected), "received=%llu ", (unsigned long long)progress.sent);
    assert_said(expected);
    return 0;
}

static void a_load_goes_on_in_another_process(void **state)
{
    const struct load_parameters parameters = {UINT64_MAX, 200, 16};

    for (unsigned round = 0; round < 40; round++) {
        int status;
        start_both();
        assert_true(load_start(&parameters));
        assert_true(host_command(device, "run 0 200 16"));
        steps(round * 3);
        host_save(device);
        assert_int_equal(
            vmbus_server_save(loopback_server, bus_form, sizeof(bus_form), &bus_form_size),
            VMBUS_OK);
        (void)fflush(NULL);
        const pid_t child = fork();
        if (child == 0) {
            _exit(go_on());
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        load_stop();
        host_device_start(device);
        host_device_destroy(device);
        (void)teardown(state);
        (void)setup(state);
    }
}

static void saved_bytes_of_another_kind_are_refused(void **state)
{
    (void)state;
    start_both();
    host_save(device);
    host_device_destroy(device);
    device = host_create("load");
    /* A size beyond all messages, behind the header and twelve numbers of eight bytes. */
    UINT8 *bytes = (UINT8 *)host_saved;
    bytes[24 + 12 * 8 + 3] = 1;
    assert_int_equal(host_device_restore(device, host_saved, host_saved_size),
                     STATUS_OBJECT_TYPE_MISMATCH);
    host_device_destroy(device);
}

int main(void)
{
#define load_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)
    const struct CMUnitTest tests[] = {
        load_test(every_size_and_burst_comes_back),
        load_test(a_burst_costs_one_signal_and_one_batch),
        load_test(the_host_sends_too),
        load_test(an_endless_run_ends_when_it_is_told_to),
        load_test(parameters_out_of_range_are_refused),
        load_test(a_device_that_goes_away_ends_both_runs),
        load_test(without_memory_nothing_is_left),
        load_test(what_is_no_message_is_counted_by_both_ends),
        load_test(a_load_goes_on_in_another_process),
        load_test(saved_bytes_of_another_kind_are_refused),
    };
    return cmocka_run_group_tests_name("pair, load", tests, NULL, NULL);
}
