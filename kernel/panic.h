/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_PANIC_H
#define KERNEL_PANIC_H

/*
 * Stops the guest because one of our own invariants is broken; never because of what a host sent.
 * Prints the message, runs the panic hooks (crash registers) and leaves with EXIT_STATUS_PANIC. Any
 * IRQL.
 */
_Noreturn void panic(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A hook must not allocate, wait, or use VMBus. `message` is valid for the call. The structure must
 * stay valid for ever. Registered at IRQL_PASSIVE. */
struct panic_hook {
    struct panic_hook *next;
    void (*report)(const char *message);
};
void panic_hook_register(struct panic_hook *hook);

/* Our own invariant: stops the guest when false. Not for anything a host or a user can cause. */
#define ASSERT(condition)                                                                          \
    ((condition) ? (void)0 : panic("%s:%d: broken invariant: %s", __FILE__, __LINE__, #condition))

#endif
