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

_Noreturn void kernel_exit(int status)
{
    if (irql_current() != IRQL_PASSIVE) {
        panic("exit with status %d at %s level", status, irql_name(irql_current()));
    }
    /* Taken off before it is called: a hook that ends the guest itself goes on with the next one.
     */
    while (hooks != NULL) {
        struct exit_hook *hook = hooks;
        hooks = hook->next;
        hook->leave();
    }
    (void)arch_interrupts_disable();
    arch_exit(status);
}
