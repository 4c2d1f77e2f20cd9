/* SPDX-License-Identifier: MIT */
/*
 * Entries of interrupts and exceptions. On the stack below what the processor pushed (SS, RSP, RFLAGS, CS, RIP and for some
 * exceptions an error code) comes the vector, then the registers.
 *
 * Interrupts save what the C calling convention lets a function change. Vector registers are not saved here: handlers do
 * not use them, and interrupt_dispatch() saves them where deferred work is run.
 */
    .section .text.interrupt_entry, "ax"

    .balign 8
    .globl interrupt_entries
interrupt_entries:
    .set vector, 0x20 /* INTERRUPT_VECTORS_BEGIN */
    .rept 0x20
    .balign 8 /* INTERRUPT_ENTRY_SIZE */
    pushq $vector
    jmp interrupt_common
    .set vector, vector + 1
    .endr

interrupt_common:
    cld
    pushq %rbp
    movq %rsp, %rbp
    pushq %rax
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    movq 8(%rbp), %rdi
    andq $-16, %rsp
    call interrupt_dispatch
    leaq -72(%rbp), %rsp
    popq %r11
    popq %r10
    popq %r9
    popq %r8
    popq %rdi
    popq %rsi
    popq %rdx
    popq %rcx
    popq %rax
    popq %rbp
    addq $8, %rsp
    iretq

/* The exceptions with an error code (Intel SDM, "Exception and Interrupt Reference"): 8, 10 to 14, 17, 21, 29, 30. */
#define WITH_ERROR_CODE 0x60227d00

    .balign 16
    .globl exception_entries
exception_entries:
    .set vector, 0
    .rept 32
    .balign 16 /* EXCEPTION_ENTRY_SIZE */
    .if (WITH_ERROR_CODE >> vector) & 1
    .else
    pushq $0
    .endif
    pushq $vector
    jmp exception_common
    .set vector, vector + 1
    .endr

/* Nothing comes back from an exception. The order of the registers is struct exception_frame's. */
exception_common:
    cld
    pushq %rax
    pushq %rbx
    pushq %rcx
    pushq %rdx
    pushq %rsi
    pushq %rdi
    pushq %rbp
    pushq %r8
    pushq %r9
    pushq %r10
    pushq %r11
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, %rdi
    andq $-16, %rsp
    xorl %ebp, %ebp
    call exception_report
    ud2

    .section .note.GNU-stack, "", @progbits
