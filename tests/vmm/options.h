/* SPDX-License-Identifier: MIT */
#ifndef VMM_OPTIONS_H
#define VMM_OPTIONS_H

/* The command line. */

#include <stdbool.h>
#include <stdint.h>

#include "tests/vmm/devices.h"

#define VCPUS_MAXIMUM      4u
#define MEMORY_MIB_MINIMUM 8u
#define MEMORY_MIB_MAXIMUM 65536u

/* NULL, 0 or false where an option was not given and has no default. */
struct options {
    const char *kernel;
    const char *firmware;
    const char *initrd;
    const char *append;
    uint64_t memory_mib; /* with `resume` the snapshot's, as the next */
    uint32_t processors;
    uint32_t debug_exit; /* port; 0: none */
    uint32_t vmbus_version;
    uint32_t device_count;
    const char *devices[HOST_DEVICES_MAXIMUM]; /* name[,options], as given */
    const char *resume;
    const char *control; /* name of a socket */
    int control_file;    /* an open socket; -1: none */
    bool trace;
    bool trace_packets;
    bool without_timers;
    bool no_reboot;
};

/* Prints help, or one line that names the option and the reason, and ends the process, unless the
 * guest is to be started. */
void options_parse(struct options *options, int count, char **words);

#endif
