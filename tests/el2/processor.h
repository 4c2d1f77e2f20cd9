/* SPDX-License-Identifier: MIT */
#ifndef EL2_PROCESSOR_H
#define EL2_PROCESSOR_H

/*
 * The machine's processors. The first ones each run one virtual processor of the guest; if the host
 * is to work beside the guest, the one behind them is the host's.
 */

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "tests/el2/switch.h"

struct processor {
    struct guest_registers registers;
    uint64_t work_at;     /* with DELIVERY_LATER: when it begins to work on what is pending */
    uint32_t index;       /* virtual processor index, and the number of the machine's processor */
    _Atomic bool started; /* set by whoever starts it, cleared by itself */
};

/* Those of the guest, by VP index; NULL: no such processor. */
struct processor *processor_find(uint32_t index);

/*
 * Starts a processor of the guest at an address. False: there is no such processor, or it runs. Any
 * processor.
 */
bool processor_start(uint32_t index, uint64_t entry, uint64_t argument);

/* The processor leaves the guest for good; does not return. */
_Noreturn void processor_stop(struct processor *processor);

/* The guest has done something that the host has to work on. Any processor. */
void processors_notify_host(void);

/* The guest has switched itself off. Does not return. */
_Noreturn void processors_guest_ends(int status);

/* Set when it has. */
bool processors_guest_has_ended(int *status);

#endif
