/* SPDX-License-Identifier: MIT */
/*
 * Measures a channel, and loads it: sends messages to a load device (drivers/load) and prints what
 * that took. Words of the command line:
 *
 *   sizes=64,1500  bytes of a message, one run each
 *
 *   bursts=1,8,64  packets that go out at a time, one run each
 *
 *   packets=10000  in each run
 *
 *   seconds=n      instead of these runs: one that lasts so long, or until the host asks for a
 *                  shutdown, of the first size and burst
 *
 *   report=0       without a line for each of these seconds, since it costs exits to the host
 *
 *   wait=10        seconds to wait for the device
 *
 *   stay=0         seconds to stay when all is done, for whoever wants to look from outside
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

#include "drivers/load/load.h"
#include "drivers/shutdown/shutdown.h"
#include "hv/hypervisor.h"
#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/exit.h"
#include "kernel/log.h"
#include "kernel/wait.h"

#define LIST_MAX 8u

/* Longer than any run takes that is worth waiting for. */
#define RUN_LIMIT (600 * CLOCK_SECOND)

/* For the packets under way when a run is told to end: choice of ours, longer than a busy host
 * takes. */
#define STOP_LIMIT (30 * CLOCK_SECOND)

enum load_status { NO_DEVICE = EXIT_STATUS_APPLICATION, LOST_OR_WRONG };

struct list {
    uint32_t values[LIST_MAX];
    unsigned count;
};

/* The numbers of a word, or those of `fallback`. */
static struct list list_of(const char *key, const char *fallback)
{
    struct list list = {.count = 0};
    char text[64];

    const char *at = command_line_value(key, text, sizeof(text)) ? text : fallback;
    while (*at != '\0' && list.count < LIST_MAX) {
        char *end;
        list.values[list.count++] = (uint32_t)strtoul(at, &end, 0);
        at = *end == ',' ? end + 1 : end;
        if (end == at && *at != '\0') {
            log_warning("load", "%s=%s: numbers are needed, with commas between", key, text);
            break;
        }
    }
    return list;
}

static bool is_open(void *context)
{
    struct load_progress progress;

    (void)context;
    load_progress(&progress);
    return progress.is_open;
}

static bool is_faultless(const struct load_progress *progress)
{
    return progress->lost == 0 && progress->wrong == 0 && progress->malformed == 0 &&
           progress->gaps == 0 && progress->repeats == 0;
}

/* Lines for programs: words of key=value. */
static void print(const char *what, const struct load_parameters *parameters,
                  const struct load_progress *progress, uint64_t interrupts)
{
    const uint64_t microseconds = progress->elapsed / CLOCK_MICROSECOND;
    const uint64_t bursts = (progress->completed + parameters->burst - 1) / parameters->burst;

    log_info("load",
             "%s size=%" PRIu32 " burst=%" PRIu32 " sent=%" PRIu64 " completed=%" PRIu64
             " lost=%" PRIu64 " wrong=%" PRIu64 " elapsed_us=%" PRIu64
             " packets_per_second=%" PRIu64 " burst_ns=%" PRIu64 " shortest_ns=%" PRIu64
             " longest_ns=%" PRIu64,
             what, parameters->size, parameters->burst, progress->sent, progress->completed,
             progress->lost, progress->wrong, microseconds,
             microseconds != 0 ? progress->completed * 1000000 / microseconds : 0,
             bursts != 0 ? progress->elapsed * 100 / bursts : 0, progress->shortest * 100,
             progress->longest * 100);
    log_info("load",
             "%s bursts=%" PRIu64 " signals=%" PRIu64 " interrupts=%" PRIu64 " batches=%" PRIu64
             " received=%" PRIu64 " malformed=%" PRIu64 " gaps=%" PRIu64 " repeats=%" PRIu64,
             what, bursts, progress->signals, interrupts, progress->batches, progress->received,
             progress->malformed, progress->gaps, progress->repeats);
}

static uint64_t interrupts(void)
{
    struct hv_statistics statistics;

    hv_statistics(&statistics);
    return statistics.interrupts;
}

static int run(const struct load_parameters *parameters)
{
    struct load_progress progress;
    const uint64_t before = interrupts();

    const bool ended = load_run(parameters, clock_after(RUN_LIMIT));
    load_progress(&progress);
    print("done", parameters, &progress, interrupts() - before);
    return ended && progress.completed == parameters->packets && is_faultless(&progress)
               ? EXIT_STATUS_SUCCESS
               : (int)LOST_OR_WRONG;
}

static bool is_asked_to_end;

/* The end of the run, and with it of the guest, is the answer. */
static enum shutdown_answer asked(const struct shutdown_request *request)
{
    (void)request;
    is_asked_to_end = true;
    return SHUTDOWN_LATER;
}

/* The drivers work meanwhile. */
static void let_pass(uint64_t time)
{
    struct event never;

    event_initialise(&never);
    (void)event_wait(&never, clock_after(time));
}

/* A device that goes away ends a run; it begins anew when the device is there again. */
static int run_for(struct load_parameters *parameters, uint64_t end)
{
    const bool report = command_line_number("report", 1) != 0;
    struct load_progress progress = {.lost = 0};
    const uint64_t before = interrupts();
    bool faultless = true;

    parameters->packets = UINT64_MAX;
    shutdown_set_hook(asked);
    while (clock_now() < end && !is_asked_to_end) {
        (void)load_start(parameters); /* not if it runs */
        let_pass(CLOCK_SECOND);
        load_progress(&progress);
        if (report) {
            print("now", parameters, &progress, interrupts() - before);
        }
        faultless = faultless && progress.wrong == 0 && progress.malformed == 0 &&
                    progress.gaps == 0 && progress.repeats == 0;
    }
    load_stop();
    const uint64_t limit = clock_after(STOP_LIMIT);
    do {
        let_pass(CLOCK_SECOND / 100);
        load_progress(&progress);
    } while (progress.is_running && clock_now() < limit);
    print("done", parameters, &progress, interrupts() - before);
    return faultless && !progress.is_running && progress.sent == progress.completed + progress.lost
               ? EXIT_STATUS_SUCCESS
               : (int)LOST_OR_WRONG;
}

int main(void)
{
    const struct list sizes = list_of("sizes", "64,1500");
    const struct list bursts = list_of("bursts", "1,8,64");
    const uint64_t seconds = command_line_number("seconds", 0);
    const uint64_t stay = command_line_number("stay", 0) * CLOCK_SECOND;
    struct load_parameters parameters = {.packets = command_line_number("packets", 10000)};

    load_driver_start();
    if (!wait_until(is_open, NULL, clock_after(command_line_number("wait", 10) * CLOCK_SECOND))) {
        log_warning("load", "no load device: the host needs --device load");
        return (int)NO_DEVICE;
    }
    if (seconds != 0 && sizes.count > 0 && bursts.count > 0) {
        parameters.size = sizes.values[0];
        parameters.burst = bursts.values[0];
        const int ended = run_for(&parameters, clock_after(seconds * CLOCK_SECOND));
        let_pass(stay);
        return ended;
    }
    int status = EXIT_STATUS_SUCCESS;
    for (unsigned i = 0; i < sizes.count; i++) {
        for (unsigned k = 0; k < bursts.count && status == EXIT_STATUS_SUCCESS; k++) {
            parameters.size = sizes.values[i];
            parameters.burst = bursts.values[k];
            status = run(&parameters);
        }
    }
    let_pass(stay);
    return status;
}
