/* SPDX-License-Identifier: MIT */
#ifndef EL2_GIC_H
#define EL2_GIC_H

/*
 * The guest owns the interrupt controller (GICv3): the host only makes interrupts pending in it,
 * and has one of its own, the EL2 timer's, which ends its waits. It takes no interrupt.
 */

#include <stdbool.h>
#include <stdint.h>

/* INTIDs that are private to a processor, without those between processors. */
#define GIC_PRIVATE_BEGIN 16u
#define GIC_PRIVATE_END   32u

/* Makes a private interrupt of a processor pending. Any processor. */
void gic_raise(uint32_t processor, uint32_t interrupt);

/* Whether an interrupt waits for this processor, whatever the guest masks. */
bool gic_is_pending(void);

/*
 * Waits on this processor until one does, or until `deadline` (in ticks of the counter; UINT64_MAX:
 * none). May return sooner, and does so at once while the guest has its interrupts off altogether.
 */
void gic_wait(uint32_t processor, uint64_t deadline);

/*
 * A processor that never runs a guest: its interrupt controller wakes up, and one interrupt becomes
 * the way to end its waits.
 */
void gic_prepare_host_processor(uint32_t processor);
void gic_wake(uint32_t processor);
void gic_wake_acknowledge(uint32_t processor);

#endif
