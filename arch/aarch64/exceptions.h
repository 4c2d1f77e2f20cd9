/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_EXCEPTIONS_H
#define ARCH_AARCH64_EXCEPTIONS_H

#include <stdint.h>

/* arch/aarch64/vectors.S: the table. */
extern const char exception_vectors[];

/* What the entries leave on a stack of their own. */
struct exception_frame {
    uint64_t x[31];
    uint64_t stack_pointer;
    uint64_t address; /* ELR: of the instruction */
    uint64_t state;   /* SPSR */
    uint64_t syndrome;
    uint64_t fault_address;
    uint64_t vector;
    uint64_t padding;
};
_Static_assert(sizeof(struct exception_frame) == 304, "vectors.S stores this");

/* Called by the entries: prints all it knows and panics. Any IRQL. */
_Noreturn void exception_report(const struct exception_frame *frame);

#endif
