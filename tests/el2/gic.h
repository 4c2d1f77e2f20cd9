/* SPDX-License-Identifier: MIT */
#ifndef EL2_GIC_H
#define EL2_GIC_H

/*
 * The guest owns the interrupt controller (GICv3): the host makes interrupts pending in it, and has
 * one of its own, the EL2 timer's. Nobody acknowledges that: it is over when the timer is off.
 */

#include <stdbool.h>
#include <stdint.h>

/* INTIDs that are private to a processor, without those between processors. */
#define GIC_PRIVATE_BEGIN 16u
#define GIC_PRIVATE_END   32u

/* Makes a private interrupt of a processor pending. Any processor. */
void gic_raise(uint32_t processor, uint32_t interrupt);

/* Whether an interrupt of the guest waits for this processor, whatever the guest masks. */
bool gic_is_pending(void);

/* The timer of this processor. `deadline`: in ticks of the counter; UINT64_MAX: none. */
void gic_timer_arm(uint64_t deadline);
void gic_timer_disarm(void);

/*
 * Waits on this processor until an interrupt is pending, the timer's or another. May return sooner,
 * and does so at once while the guest has its interrupts off altogether.
 */
void gic_wait(uint64_t deadline);

/*
 * A processor that runs the guest: the timer's interrupt is in group 0 there, so that it comes as
 * an FIQ, and these go to EL2 (HCR_EL2.FMO) whatever the guest masks; what is the guest's are IRQs.
 * gic_claim_timer() before the timer is armed, for the guest believes this interrupt to be nobody's
 * and does anything to it.
 */
void gic_prepare_guest_processor(void);
void gic_claim_timer(uint32_t processor);

/*
 * A processor that never runs a guest: its interrupt controller wakes up, and one interrupt becomes
 * the way to end its waits.
 */
void gic_prepare_host_processor(uint32_t processor);
void gic_wake(uint32_t processor);
void gic_wake_acknowledge(uint32_t processor);

#endif
