/* SPDX-License-Identifier: MIT */
#ifndef EL2_SWITCH_H
#define EL2_SWITCH_H

/* vectors.S: between host and guest, and between the stacks of the host. Also read by the
 * assembler. */

#define GUEST_PC      248
#define GUEST_FPCR    264
#define GUEST_VECTORS 288
#define GUEST_SIZE    800

#define GUEST_LEFT_SYNCHRONOUS 0 /* as ESR_EL2 says */
#define GUEST_LEFT_INTERRUPT   1 /* the host's own: the guest's do not come here */
#define GUEST_LEFT_ERROR       2 /* SError, or an exception from AArch32 */

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* The guest's registers while its processor runs host code; all others stay in the processor. */
struct guest_registers {
    uint64_t x[31];
    uint64_t pc;
    uint64_t pstate;
    uint64_t fpcr;
    uint64_t fpsr;
    uint64_t padding;
    __attribute__((aligned(16))) uint8_t vectors[32][16];
};
_Static_assert(offsetof(struct guest_registers, pc) == GUEST_PC, "vectors.S");
_Static_assert(offsetof(struct guest_registers, fpcr) == GUEST_FPCR, "vectors.S");
_Static_assert(offsetof(struct guest_registers, vectors) == GUEST_VECTORS, "vectors.S");
_Static_assert(sizeof(struct guest_registers) == GUEST_SIZE, "vectors.S");

/* Runs the guest on this processor until something traps; returns GUEST_LEFT_*. */
uint32_t guest_enter(struct guest_registers *registers);

/* A stack that waits in context_switch(). */
struct context {
    uint64_t stack_pointer;
};

/* Leaves this stack, which `from` remembers, for the one that `to` remembers. */
void context_switch(struct context *from, const struct context *to);

/* Makes a context that begins with a call of `entry`, which must not return, on the stack that ends
 * at `stack_end`, a multiple of 16. */
void context_initialise(struct context *context, void (*entry)(void), void *stack_end);

#endif
#endif
