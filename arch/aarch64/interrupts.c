/* SPDX-License-Identifier: MIT */
#include "arch/aarch64/interrupts.h"

#include <stddef.h>

#include "arch/aarch64/gic.h"
#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/log.h"

/* vectors.S stores this: q0 to q31, and the two registers that control and report on them. */
struct vector_registers {
    uint8_t registers[512];
    uint64_t control;
    uint64_t status;
} __attribute__((aligned(16)));
void vector_registers_save(struct vector_registers *to);
void vector_registers_restore(const struct vector_registers *from);

struct handler {
    void (*run)(void *context);
    void *context;
};

static struct handler handlers[INTERRUPT_PRIVATE_END - INTERRUPT_PRIVATE_BEGIN];
static bool unexpected_reported;

bool interrupt_attach(uint32_t number, bool edge, void (*run)(void *context), void *context)
{
    if (!gic_present() || !interrupt_is_private(number) ||
        handlers[number - INTERRUPT_PRIVATE_BEGIN].run != NULL) {
        return false;
    }
    bool interrupts = arch_interrupts_disable();
    handlers[number - INTERRUPT_PRIVATE_BEGIN] = (struct handler){.run = run, .context = context};
    gic_enable(number, edge);
    arch_interrupts_restore(interrupts);
    return true;
}

void interrupt_detach(uint32_t number)
{
    bool interrupts = arch_interrupts_disable();

    gic_disable(number);
    handlers[number - INTERRUPT_PRIVATE_BEGIN] = (struct handler){0};
    arch_interrupts_restore(interrupts);
}

static void run_handler(uint32_t number)
{
    struct handler handler = {0};

    if (interrupt_is_private(number)) {
        handler = handlers[number - INTERRUPT_PRIVATE_BEGIN];
    }
    if (handler.run != NULL) {
        handler.run(handler.context);
    } else if (!unexpected_reported) {
        unexpected_reported = true;
        log_warning("kernel", "unexpected interrupt %u (reported once)", (unsigned)number);
    }
    gic_end_of_interrupt(number);
}

static void run_deferred(enum irql previous)
{
    struct vector_registers saved;

    vector_registers_save(&saved);
    interrupt_run_deferred(previous);
    vector_registers_restore(&saved);
}

void interrupt_dispatch(void)
{
    enum irql previous = interrupt_enter();
    uint32_t number;

    while (gic_acknowledge(&number)) {
        run_handler(number);
    }
    if (interrupt_leave(previous)) {
        run_deferred(previous);
    }
}
