/* SPDX-License-Identifier: MIT */
/* A small VMM on KVM that gives its guest Hyper-V's interface and VMBus devices: see --help. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

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

/* A machine that was switched off and on again is another process of the same command line: nothing
 * of the old one is left, but what it got open. */
_Noreturn static void start_anew(char **words)
{
    say("the guest resets and is started anew");
    (void)execvp(words[0], words);
    die("%s cannot be started anew: %s", words[0], strerror(errno));
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
    const enum machine_end end = machine_run(&machine);
    if (end == MACHINE_RESET && !options.no_reboot && options.resume == NULL) {
        start_anew(words);
    }
    return exit_status(end);
}
