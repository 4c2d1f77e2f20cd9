/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_SHUTDOWN_SHUTDOWN_H
#define DRIVERS_SHUTDOWN_SHUTDOWN_H

/*
 * Ends the guest when the host asks for it: the application is asked first, then the host gets its
 * answer, then the guest ends in order (kernel/exit.h), with status 0 or a restart. It starts by
 * itself (INIT_DRIVERS).
 *
 * All of that is passive work: it happens while main() waits for something (kernel/wait.h).
 */

#include <stdbool.h>
#include <stdint.h>

struct shutdown_request {
    bool restart; /* else: power off */
    bool force;   /* the application is told, but cannot refuse */
    uint32_t reason;
    uint32_t seconds; /* that the host allows; 0: it does not say */
};

enum shutdown_answer {
    SHUTDOWN_AGREE,
    SHUTDOWN_REFUSE,
    SHUTDOWN_LATER, /* shutdown_agree() or shutdown_refuse() follows, else it is agreed to after
                       `seconds`, or after SHUTDOWN_LIMIT */
};

/* Choice of ours, for hosts that do not say how long they wait; 100 ns units. */
#define SHUTDOWN_LIMIT UINT64_C(300000000)

/*
 * Sets what is called with each request, at PASSIVE; NULL (at first): each is agreed to. It may
 * take time, and wait. It must not end the guest itself: then the host would have no answer.
 * PASSIVE.
 */
void shutdown_set_hook(enum shutdown_answer (*hook)(const struct shutdown_request *request));

/* The answer to a request that SHUTDOWN_LATER put off; nothing happens if there is none. At most
 * DISPATCH. */
void shutdown_agree(void);
void shutdown_refuse(void);

/* Whether a request was agreed to: the guest is about to end. Any IRQL. */
bool shutdown_is_under_way(void);

#endif
