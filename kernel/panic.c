/* SPDX-License-Identifier: MIT */
#include "kernel/panic.h"

#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>

#include "arch/cpu.h"
#include "kernel/exit.h"
#include "kernel/format.h"
#include "kernel/log.h"

static struct panic_hook *hooks;

void panic_hook_register(struct panic_hook *hook)
{
    hook->next = hooks;
    hooks = hook;
}

_Noreturn void panic(const char *format, ...)
{
    static atomic_uint depth;
    static char message[200];
    va_list arguments;

    (void)arch_interrupts_disable();
    unsigned previous = atomic_fetch_add_explicit(&depth, 1, memory_order_relaxed);
    if (previous == 0) {
        va_start(arguments, format);
        (void)format_text(message, sizeof(message), format, arguments);
        va_end(arguments);
        log_info("panic", "%s", message);
        /* Taken off before it is called: one that panics itself is not called again. */
        while (hooks != NULL) {
            struct panic_hook *hook = hooks;
            hooks = hook->next;
            hook->report(message);
        }
    } else if (previous == 1) {
        log_info("panic", "another one while reporting the first: %s", format);
    }
    arch_exit(EXIT_STATUS_PANIC);
}
