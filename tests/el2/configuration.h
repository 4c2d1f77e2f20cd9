/* SPDX-License-Identifier: MIT */
#ifndef EL2_CONFIGURATION_H
#define EL2_CONFIGURATION_H

/* The host's command line, one word a field; main.c has the list for users. */

#include <stdbool.h>
#include <stdint.h>

#include "kernel/boot_info.h"

/* When the host works on what the guest did. */
enum delivery {
    DELIVERY_AT_ONCE,     /* in the trap, before the guest's next instruction */
    DELIVERY_AT_WAIT,     /* when a processor of the guest waits for an interrupt */
    DELIVERY_LATER,       /* some ticks of the counter after the trap, one more each time */
    DELIVERY_IN_PARALLEL, /* on a processor of its own, while the guest runs */
};

/* By which instruction the guest may make hypercalls. */
enum convention {
    CONVENTION_BOTH,
    CONVENTION_SMCCC, /* HVC #0 */
    CONVENTION_PLAIN, /* HVC #1 */
};

/* By which instruction the guest is told to call firmware; the host serves both. */
enum conduit {
    CONDUIT_HVC,
    CONDUIT_SMC,
};

/* How the guest's synthetic timers may tell of their expiry; without them there is no reference
 * page either. */
enum timers {
    TIMERS_DIRECT, /* by an interrupt of their own, or a message */
    TIMERS_MESSAGE,
    TIMERS_NONE,
};

struct configuration {
    enum delivery delivery;
    enum convention convention;
    enum conduit conduit;
    enum timers timers;
    uint32_t processors; /* of the guest */
    uint64_t memory;     /* of the guest, bytes */
    uint64_t spare;      /* that it may get, bytes */
    uint32_t version;    /* of the bus, the highest */
    uint64_t limit;      /* seconds */
    uint64_t jitter;     /* microseconds, see processor.c; 0: none */
    uint64_t later;      /* ticks, the first time */
    bool silent;         /* words that tell of features are zero */
    bool timerless;      /* no table names the interrupt of the processor's own timer */
    bool trace;
    bool firmware;     /* the guest starts with UEFI */
    bool system_error; /* and with an SError that waits for it */
    const char *guest_command_line;
};

/* Constant after configuration_read(). */
const struct configuration *configuration(void);

/* Cuts the command line where the guest's begins, and makes it the kernel's. Ends the run if a word
 * makes no sense. Before the executive runs, once. */
void configuration_read(struct boot_info *info);

#endif
