/* SPDX-License-Identifier: MIT */
#include "arch/x86_64/interrupts.h"

#include <stdbool.h>
#include <stddef.h>

#include "arch/cpu.h"
#include "arch/x86_64/local_apic.h"
#include "kernel/cpu.h"
#include "kernel/log.h"

/* FXSAVE's area: x87 and SSE state, which is all there is while XSAVE is not turned on (Intel SDM,
 * FXSAVE). */
struct vector_registers {
    uint8_t bytes[512];
} __attribute__((aligned(16)));

struct handler {
    void (*run)(void *context);
    void *context;
    bool reported;
};

static struct handler handlers[INTERRUPT_VECTORS_END - INTERRUPT_VECTORS_BEGIN];

uint32_t interrupt_vector_allocate(void (*run)(void *context), void *context)
{
    for (uint32_t vector = INTERRUPT_VECTORS_BEGIN; vector < INTERRUPT_VECTOR_FOREIGN; vector++) {
        struct handler *handler = &handlers[vector - INTERRUPT_VECTORS_BEGIN];
        if (handler->run == NULL) {
            bool interrupts = arch_interrupts_disable();
            *handler = (struct handler){.run = run, .context = context};
            arch_interrupts_restore(interrupts);
            return vector;
        }
    }
    return 0;
}

void interrupt_vector_free(uint32_t vector)
{
    bool interrupts = arch_interrupts_disable();

    handlers[vector - INTERRUPT_VECTORS_BEGIN] = (struct handler){0};
    arch_interrupts_restore(interrupts);
}

static void run_handler(uint32_t vector)
{
    struct handler *handler = &handlers[vector - INTERRUPT_VECTORS_BEGIN];

    if (vector == INTERRUPT_VECTOR_SPURIOUS) {
        return; /* no end of interrupt for this one (Intel SDM, "Spurious Interrupt") */
    }
    if (handler->run != NULL) {
        handler->run(handler->context);
    } else if (!handler->reported) {
        handler->reported = true;
        log_warning("kernel", "unexpected interrupt, vector 0x%x%s (reported once)", vector,
                    vector == INTERRUPT_VECTOR_FOREIGN ? " or above" : "");
    }
    local_apic_end_of_interrupt();
}

static void run_deferred(enum irql previous)
{
    struct vector_registers saved;

    __asm__ volatile("fxsaveq %0" : "=m"(saved));
    interrupt_run_deferred(previous);
    __asm__ volatile("fxrstorq %0" : : "m"(saved) : "memory");
}

void interrupt_dispatch(uint64_t vector)
{
    enum irql previous = interrupt_enter();

    run_handler((uint32_t)vector);
    if (interrupt_leave(previous)) {
        run_deferred(previous);
    }
}
