/* SPDX-License-Identifier: MIT */
/* A small VMM on KVM that gives its guest Hyper-V's interface and VMBus devices: see --help. */
#include <stdlib.h>

#include "tests/vmm/machine.h"
#include "tests/vmm/trace.h"
#include "tests/vmm/trace_packets.h"

#define EXIT_FAULT 4 /* even, as every end that is no status of the guest */

static struct machine machine;

static int exit_status(enum machine_end end)
{
    switch (end) {
    case MACHINE_STATUS:
        return atomic_load(&machine.status) * 2 + 1;
    case MACHINE_FAULT:
        return EXIT_FAULT;
    default:
        return EXIT_SUCCESS;
    }
}

int main(int count, char **words)
{
    struct options options;

    executive_start();
    options_parse(&options, count, words);
    if (options.trace) {
        trace_start();
    }
    if (options.trace_packets) {
        trace_packets_start();
    }
    machine_create(&machine, &options);
    return exit_status(machine_run(&machine));
}
