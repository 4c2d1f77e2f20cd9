/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_DESCRIPTORS_H
#define ARCH_X86_64_DESCRIPTORS_H

#include <stdint.h>

/* Exceptions that must not depend on the stack they interrupt get one of their own (interrupt stack
 * table). */
enum own_stack {
    OWN_STACK_NONE,
    OWN_STACK_DOUBLE_FAULT,
    OWN_STACK_NON_MASKABLE,
    OWN_STACK_MACHINE_CHECK,
    OWN_STACKS,
};

/* Loads segments, task state and the interrupt table of this processor. */
void descriptors_load(void);

#endif
