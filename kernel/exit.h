/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_EXIT_H
#define KERNEL_EXIT_H

/*
 * How a guest ends, as the outside sees it (0 to 127: QEMU's isa-debug-exit carries 7 bits). An
 * application may use the values from EXIT_STATUS_APPLICATION on.
 */
enum exit_status {
    EXIT_STATUS_SUCCESS = 0,
    EXIT_STATUS_FAILURE = 1, /* main() says so */
    EXIT_STATUS_PANIC = 2,   /* a broken invariant, an unexpected exception */
    EXIT_STATUS_TOO_LITTLE_MEMORY = 3,
    EXIT_STATUS_NO_HYPERV = 4, /* no Hyper-V interface, or one this guest must refuse */
    EXIT_STATUS_NO_SYNIC = 5,  /* Hyper-V without a SynIC, so without VMBus */
    EXIT_STATUS_NO_VMBUS = 6,  /* SynIC, but nobody serves VMBus, or no version in common */
    EXIT_STATUS_APPLICATION = 16,
};

/* Runs the exit hooks, latest registered first, each once, then ends the guest. IRQL_PASSIVE. */
_Noreturn void kernel_exit(int status);

/* The same, but the machine starts over, as after a reset. IRQL_PASSIVE. */
_Noreturn void kernel_restart(void);

/* Called at kernel_exit() and kernel_restart() at IRQL_PASSIVE; may wait within limits. The
 * structure must stay valid for ever. Registered at IRQL_PASSIVE. */
struct exit_hook {
    struct exit_hook *next;
    void (*leave)(void);
};
void exit_hook_register(struct exit_hook *hook);

#endif
