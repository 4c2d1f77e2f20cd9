/* SPDX-License-Identifier: MIT */
/*
 * A guest with the sample driver of drivers/echo: sends bytes that are never the same twice to a
 * host's echo device, and compares what comes back. Words of the command line:
 *   rounds=<n>      exchanges (default 100; 0: until the device is taken back)
 *   report=<n>      a line after each so many (default 0: none)
 * It leaves with 16 if the device does not appear, with 17 at the first answer that is wrong.
 */
#include <inttypes.h>
#include <string.h>

#include "drivers/echo/echo_client.h"
#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/exit.h"
#include "kernel/log.h"
#include "kernel/wait.h"
#include "vmbus/vmbus.h"

#define EXIT_NO_DEVICE    (EXIT_STATUS_APPLICATION + 0)
#define EXIT_WRONG_ANSWER (EXIT_STATUS_APPLICATION + 1)

#define DEVICE_LIMIT (10 * CLOCK_SECOND)

static struct echo_client client;

static bool is_ready(void *context)
{
    (void)context;
    return client.is_ready;
}

static bool is_gone(void *context)
{
    (void)context;
    return !client.is_ready;
}

static NTSTATUS exchange(uint64_t round)
{
    uint8_t sent[ECHO_DATA_SIZE];
    uint8_t answer[ECHO_DATA_SIZE];
    uint32_t length = (uint32_t)(round % (ECHO_DATA_SIZE - sizeof(round)) + sizeof(round));

    memset(sent, (int)round, sizeof(sent));
    memcpy(sent, &round, sizeof(round));
    NTSTATUS status = echo_client_exchange(&client, sent, length, answer);
    if (NT_SUCCESS(status) && memcmp(sent, answer, length) != 0) {
        return STATUS_UNSUCCESSFUL;
    }
    return status;
}

int main(void)
{
    const uint64_t rounds = command_line_number("rounds", 100);
    const uint64_t report = command_line_number("report", 0);

    if (!NT_SUCCESS(echo_client_start(&client)) ||
        !wait_until(is_ready, NULL, clock_after(DEVICE_LIMIT))) {
        log_warning("echo", "no device");
        return EXIT_NO_DEVICE;
    }
    vmbus_report();
    uint64_t done = 0;
    while (rounds == 0 || done < rounds) {
        NTSTATUS status = exchange(done + 1);
        if (!NT_SUCCESS(status)) {
            if (rounds == 0 && wait_until(is_gone, NULL, clock_after(CLOCK_SECOND))) {
                break;
            }
            log_warning("echo", "round %" PRIu64 ": status 0x%08x", done + 1, (unsigned)status);
            return EXIT_WRONG_ANSWER;
        }
        done++;
        if (report != 0 && done % report == 0) {
            log_info("echo", "rounds=%" PRIu64, done);
        }
    }
    log_info("echo", "done rounds=%" PRIu64, done);
    echo_client_stop(&client);
    return EXIT_STATUS_SUCCESS;
}
