/* SPDX-License-Identifier: MIT */
/*
 * An ARM64 host for Barebus' guests, at EL2 of a machine that QEMU emulates. What it does is on its
 * command line (-semihosting-config arg=...), words of the guest's command line behind `--`:
 *
 *   delivery=at-once|at-wait|later|parallel
 *                                      when it works on what the guest did
 *                                      (configuration.h)
 *   later=TICKS                        with delivery=later: of its counter, the first time
 *   jitter=MICROSECONDS                with delivery=parallel: it never sleeps, and begins to work
 *                                      so much later at the most
 *   processors=N                       of the guest, 1 to 4
 *   memory=MIB                         of the guest
 *   firmware                           it starts with UEFI firmware, in a machine like QEMU's own
 *                                      (firmware.h; the words on memory and conduit have no part)
 *   spare=MIB                          that it may get while it runs
 *   conduit=hvc|smc                    what the guest is told to call its firmware by
 *   calls=both|smccc|plain             which convention of hypercalls it serves
 *   timers=direct|message|none         how its synthetic timers tell of their expiry; none: neither
 *                                      they nor the reference page are there
 *   timerless                          the guest is not told of the processor's own timer
 *   silent                             words that tell of its version and features are zero
 *   version=0xMMMMNNNN                 the highest version of VMBus it speaks
 *   system-error                       the guest begins with one pending (SError)
 *   trace                              each message of the bus on the console
 *   device=TYPE[,key=value]...         a device for the guest (tests/host), as often as there are;
 *                                      `all`: one of each
 *   script=FILE                        commands while the guest runs, see script.h
 *   limit=SECONDS                      after which a guest that has not ended is ended
 */
#include <string.h>

#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "tests/el2/bus.h"
#include "tests/el2/configuration.h"
#include "tests/el2/device_tree.h"
#include "tests/el2/executive.h"
#include "tests/el2/firmware.h"
#include "tests/el2/guest_memory.h"
#include "tests/el2/machine.h"
#include "tests/el2/processor.h"
#include "tests/el2/script.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/stage2.h"
#include "tests/el2/stimer.h"
#include "tests/host/device_set.h"

#define DEVICE_TREE_SIZE (GUEST_IMAGE - GUEST_DEVICE_TREE)

int main(void);

void machine_interrupt(void)
{
    bus_interrupt();
    stimers_interrupt();
}

static void map(uint64_t guest_address, uint64_t address, uint64_t size, enum stage2_kind kind)
{
    if (!stage2_map(guest_address, address, size, kind)) {
        stop(STATUS_HOST_FAILED, "the guest's address space cannot be made");
    }
}

static void prepare_guest(void)
{
    const struct configuration *wanted = configuration();
    const struct guest_description description = {
        .processors = wanted->processors,
        .memory = wanted->memory,
        .by_smc = wanted->conduit == CONDUIT_SMC,
        .timerless = wanted->timerless,
        .boot_arguments = wanted->guest_command_line,
    };

    guest_memory_create(GUEST_RAM_BASE, GUEST_RAM, wanted->memory / PAGE_SIZE,
                        wanted->spare / PAGE_SIZE);
    map(GUEST_UART, VIRT_UART, UART_SIZE, STAGE2_DEVICE);
    map(GUEST_GICR, VIRT_GICR, (uint64_t)wanted->processors * GICR_FRAME_SIZE, STAGE2_DEVICE);
    map(GUEST_GICD, VIRT_GICD, GICD_SIZE, STAGE2_DEVICE);
    if (device_tree_write(stage2_memory(GUEST_DEVICE_TREE, DEVICE_TREE_SIZE), DEVICE_TREE_SIZE,
                          &description) == 0) {
        stop(STATUS_HOST_FAILED, "the guest's device tree does not fit");
    }
    (void)processor_start(0, GUEST_IMAGE, GUEST_DEVICE_TREE);
    /* The protocol of images does not say on which stack pointer: not on the usual one. */
    processor_find(0)->registers.pstate &= ~UINT64_C(1);
}

static void print_error(void *context, const char *text)
{
    (void)context;
    semihosting_print("%s", text);
}

static const struct host_output errors = {print_error, NULL};

/* Each word `device=TEXT`. */
static void make_devices(struct host_device_set *set)
{
    static const char key[] = "device=";
    char text[HOST_LINE_SIZE];

    for (const char *word = command_line(); *word != '\0';) {
        const size_t length = strcspn(word, " ");
        if (length >= strlen(key) && memcmp(word, key, strlen(key)) == 0 && length < sizeof(text)) {
            memcpy(text, word + strlen(key), length - strlen(key));
            text[length - strlen(key)] = '\0';
            if (!host_devices_add(set, text, &script_events, &errors)) {
                stop(STATUS_HOST_FAILED, "device=%s cannot be made", text);
            }
        }
        word += length + strspn(word + length, " ");
    }
    if (!host_devices_enable(set, &errors)) {
        stop(STATUS_HOST_FAILED, "a device cannot be offered");
    }
    host_devices_start(set);
}

static bool guest_has_ended(void *context)
{
    return processors_guest_has_ended(context);
}

int main(void)
{
    static struct host_device_set devices;
    int status = 0;
    struct vmbus_server *server = bus_start();

    if (server == NULL) {
        stop(STATUS_HOST_FAILED, "no bus: too little memory, or version= is none");
    }
    host_devices_initialise(&devices, server);
    make_devices(&devices);
    stimers_start();
    if (configuration()->firmware) {
        firmware_prepare();
    } else {
        prepare_guest();
    }
    machine_start_guest();
    script_run(&devices);
    if (!wait_until(guest_has_ended, &status, clock_after(configuration()->limit * CLOCK_SECOND))) {
        stop(STATUS_HOST_FAILED, "the guest has not ended within its limit");
    }
    semihosting_print("the guest %s with status %d",
                      status == STATUS_GUEST_RESTARTS ? "asked for a restart," : "ended", status);
    vmbus_server_reset(server);
    host_devices_destroy(&devices);
    vmbus_server_destroy(server);
    return status;
}
