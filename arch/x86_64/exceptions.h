/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_EXCEPTIONS_H
#define ARCH_X86_64_EXCEPTIONS_H

#include <stdint.h>

#define EXCEPTIONS 32u

enum exception {
    EXCEPTION_NON_MASKABLE = 2,
    EXCEPTION_DOUBLE_FAULT = 8,
    EXCEPTION_PAGE_FAULT = 14,
    EXCEPTION_MACHINE_CHECK = 18,
};

/* arch/x86_64/interrupt_entry.S: the entry of exception n lies EXCEPTION_ENTRY_SIZE bytes behind
 * that of n - 1. */
#define EXCEPTION_ENTRY_SIZE 16u
extern const char exception_entries[];

/* What the entries leave on the stack. */
struct exception_frame {
    uint64_t r15, r14, r13, r12, r11, r10, r9, r8;
    uint64_t rbp, rdi, rsi, rdx, rcx, rbx, rax;
    uint64_t vector;
    uint64_t error_code;
    uint64_t rip, cs, rflags, rsp, ss;
};
_Static_assert(sizeof(struct exception_frame) == 22 * sizeof(uint64_t),
               "interrupt_entry.S pushes this");

/* Called by the entries: prints all it knows and panics. Any IRQL. */
_Noreturn void exception_report(const struct exception_frame *frame);

#endif
