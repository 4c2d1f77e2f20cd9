/* SPDX-License-Identifier: MIT */
/*
 * An ARM64 host for Barebus' guests, at EL2 of a machine that QEMU emulates. What it does is on its
 * command line (-semihosting-config arg=...), words of the guest's command line behind `--`:
 *
 *   delivery=at-once|at-wait|parallel  when it works on what the guest did (processor.h)
 *   processors=N                       of the guest, 1 to 4
 *   memory=MIB                         of the guest
 *   conduit=hvc|smc                    what the guest is told to call its firmware by
 *   version=0xMMMMNNNN                 the highest version of VMBus it speaks
 *   trace                              each message of the bus on the console
 *   device=TYPE[,key=value]...         a device for the guest (tests/host), as often as there are
 *   script=FILE                        commands for the devices, see script.h
 *   limit=SECONDS                      after which a guest that has not ended is ended
 */
#include <string.h>

#include "kernel/clock.h"
#include "kernel/command_line.h"
#include "kernel/pages.h"
#include "kernel/wait.h"
#include "tests/el2/bus.h"
#include "tests/el2/device_tree.h"
#include "tests/el2/executive.h"
#include "tests/el2/machine.h"
#include "tests/el2/processor.h"
#include "tests/el2/semihosting.h"
#include "tests/el2/stage2.h"

#define MEBIBYTE         (UINT64_C(1) << 20)
#define MEMORY_DEFAULT   64u
#define MEMORY_MAXIMUM   1024u
#define LIMIT_DEFAULT    60u
#define DEVICE_TREE_SIZE (GUEST_IMAGE - GUEST_DEVICE_TREE)

int main(void);

void machine_interrupt(void)
{
    bus_interrupt();
}

static void map(uint64_t guest_address, uint64_t address, uint64_t size, enum stage2_kind kind)
{
    if (!stage2_map(guest_address, address, size, kind)) {
        stop(STATUS_HOST_FAILED, "the guest's address space cannot be made");
    }
}

static void prepare_guest(void)
{
    char conduit[8] = "hvc";
    const uint32_t count = processors()->count;
    const uint64_t memory = command_line_number("memory", MEMORY_DEFAULT);

    if (memory < 16 || memory > MEMORY_MAXIMUM) {
        stop(STATUS_HOST_FAILED, "memory=%u: 16 to %u MiB", (unsigned)memory, MEMORY_MAXIMUM);
    }
    (void)command_line_value("conduit", conduit, sizeof(conduit));
    const struct guest_description description = {
        .processors = count,
        .memory = memory * MEBIBYTE,
        .by_smc = strcmp(conduit, "smc") == 0,
        .boot_arguments = processors()->guest_command_line,
    };

    map(GUEST_RAM_BASE, GUEST_RAM, description.memory, STAGE2_MEMORY);
    map(GUEST_UART, VIRT_UART, UART_SIZE, STAGE2_DEVICE);
    map(GUEST_GICR, VIRT_GICR, (uint64_t)count * GICR_FRAME_SIZE, STAGE2_DEVICE);
    map(GUEST_GICD, VIRT_GICD, GICD_SIZE, STAGE2_DEVICE);
    if (device_tree_write(stage2_memory(GUEST_DEVICE_TREE, DEVICE_TREE_SIZE), DEVICE_TREE_SIZE,
                          &description) == 0) {
        stop(STATUS_HOST_FAILED, "the guest's device tree does not fit");
    }
    (void)processor_start(0, GUEST_IMAGE, GUEST_DEVICE_TREE);
}

static bool guest_has_ended(void *context)
{
    return processors_guest_has_ended(context);
}

int main(void)
{
    int status = 0;

    if (bus_start() == NULL) {
        stop(STATUS_HOST_FAILED, "no bus: too little memory, or version= is none");
    }
    prepare_guest();
    machine_start_guest();
    if (!wait_until(guest_has_ended, &status,
                    clock_after(command_line_number("limit", LIMIT_DEFAULT) * CLOCK_SECOND))) {
        stop(STATUS_HOST_FAILED, "the guest has not ended within its limit");
    }
    semihosting_print("the guest ended with status %d", status);
    return status;
}
