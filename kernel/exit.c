/* SPDX-License-Identifier: MIT */
#include "kernel/exit.h"

#include <stddef.h>

#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/panic.h"

static struct exit_hook *hooks;

void exit_hook_register(struct exit_hook *hook)
{
    hook->next = hooks;
    hooks = hook;
}

/* Taken off before it is called: a hook that ends the guest itself goes on with the next one. */
static void run_hooks(const char *what)
{
    if (irql_current() != IRQL_PASSIVE) {
        panic("%s at %s level", what, irql_name(irql_current()));
    }
    while (hooks != NULL) {
        struct exit_hook *hook = hooks;
        hooks = hook->next;
        hook->leave();
    }
    (void)arch_interrupts_disable();
}

_Noreturn void kernel_exit(int status)
{
    run_hooks("exit");
    arch_exit(status);
}

_Noreturn void kernel_restart(void)
{
    run_hooks("restart");
    arch_restart();
}
