/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_INTERRUPTS_H
#define ARCH_AARCH64_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Private peripheral interrupts of a GIC, by their INTID. Nothing else interrupts this guest: no
 * processor sends it one, and no device raises a shared one.
 */
#define INTERRUPT_PRIVATE_BEGIN 16u
#define INTERRUPT_PRIVATE_END   32u

static inline bool interrupt_is_private(uint32_t number)
{
    return number >= INTERRUPT_PRIVATE_BEGIN && number < INTERRUPT_PRIVATE_END;
}

/*
 * Gives one to the handler `run`, which runs at IRQL_DEVICE with interrupts off; the end of
 * interrupt is signalled behind it. False: there is no controller, the number is none of its
 * private ones, or it is given away. IRQL_PASSIVE.
 */
bool interrupt_attach(uint32_t number, bool edge, void (*run)(void *context), void *context);

/* Gives it back; none comes any more. IRQL_PASSIVE. */
void interrupt_detach(uint32_t number);

/* Called by vectors.S, interrupts off. */
void interrupt_dispatch(void);

#endif
