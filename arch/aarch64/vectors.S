/* SPDX-License-Identifier: MIT */
/*
 * The vector table (Arm ARM, "Exception vectors"): sixteen entries of 128 bytes. One is expected, the interrupt; all others
 * are exceptions that end the guest.
 *
 * Interrupts save what the C calling convention lets a function change, and the two registers of their return, since
 * deferred work lets another one in. Vector registers are not saved here: handlers do not use them, and
 * interrupt_dispatch() saves them where deferred work is run.
 */
#define FRAME_INTERRUPT 192
#define FRAME_EXCEPTION 304 /* struct exception_frame */

    .section .text.vectors, "ax"

    .balign 2048
    .globl exception_vectors
exception_vectors:
    .set vector, 0
    .rept 16
    .balign 128
    .if vector == 5 /* an interrupt at this level, on its own stack pointer */
    b interrupt_entry
    .else
    /* The stack may be what went wrong: two registers go where nothing of ours is kept, the others on a stack of its own. */
    msr tpidrro_el0, x0
    msr sp_el0, x1
    mov x0, #vector
    b exception_entry
    .endif
    .set vector, vector + 1
    .endr
    .balign 128

interrupt_entry:
    stp x29, x30, [sp, #-FRAME_INTERRUPT]!
    mov x29, sp
    stp x0, x1, [sp, #16]
    stp x2, x3, [sp, #32]
    stp x4, x5, [sp, #48]
    stp x6, x7, [sp, #64]
    stp x8, x9, [sp, #80]
    stp x10, x11, [sp, #96]
    stp x12, x13, [sp, #112]
    stp x14, x15, [sp, #128]
    stp x16, x17, [sp, #144]
    mrs x0, elr_el1
    mrs x1, spsr_el1
    stp x18, x0, [sp, #160]
    str x1, [sp, #176]
    bl interrupt_dispatch
    ldr x1, [sp, #176]
    ldp x18, x0, [sp, #160]
    msr elr_el1, x0
    msr spsr_el1, x1
    ldp x16, x17, [sp, #144]
    ldp x14, x15, [sp, #128]
    ldp x12, x13, [sp, #112]
    ldp x10, x11, [sp, #96]
    ldp x8, x9, [sp, #80]
    ldp x6, x7, [sp, #64]
    ldp x4, x5, [sp, #48]
    ldp x2, x3, [sp, #32]
    ldp x0, x1, [sp, #16]
    ldp x29, x30, [sp], #FRAME_INTERRUPT
    eret

/*
 * Nothing comes back from an exception. x0 = vector, its own value in tpidrro_el0; x1's is in sp_el0. The stack pointer has to
 * pass through a register, and both are in use: so the vector waits in the thread pointer of user mode, which is the C
 * library's and of no more use.
 */
exception_entry:
    msr tpidr_el0, x0
    mov x0, sp
    adrp x1, exception_stack_top
    add x1, x1, :lo12:exception_stack_top
    mov sp, x1
    sub sp, sp, #FRAME_EXCEPTION
    stp x2, x3, [sp, #16]
    stp x4, x5, [sp, #32]
    stp x6, x7, [sp, #48]
    stp x8, x9, [sp, #64]
    stp x10, x11, [sp, #80]
    stp x12, x13, [sp, #96]
    stp x14, x15, [sp, #112]
    stp x16, x17, [sp, #128]
    stp x18, x19, [sp, #144]
    stp x20, x21, [sp, #160]
    stp x22, x23, [sp, #176]
    stp x24, x25, [sp, #192]
    stp x26, x27, [sp, #208]
    stp x28, x29, [sp, #224]
    stp x30, x0, [sp, #240]
    mrs x0, tpidrro_el0
    mrs x1, sp_el0
    stp x0, x1, [sp]
    mrs x0, elr_el1
    mrs x1, spsr_el1
    stp x0, x1, [sp, #256]
    mrs x0, esr_el1
    mrs x1, far_el1
    stp x0, x1, [sp, #272]
    mrs x0, tpidr_el0
    str x0, [sp, #288]
    mov x0, sp
    mov x29, #0
    mov x30, #0
    bl exception_report
    b .

/* x0 = struct vector_registers */
    .globl vector_registers_save
    .type vector_registers_save, @function
vector_registers_save:
    stp q0, q1, [x0, #0]
    stp q2, q3, [x0, #32]
    stp q4, q5, [x0, #64]
    stp q6, q7, [x0, #96]
    stp q8, q9, [x0, #128]
    stp q10, q11, [x0, #160]
    stp q12, q13, [x0, #192]
    stp q14, q15, [x0, #224]
    stp q16, q17, [x0, #256]
    stp q18, q19, [x0, #288]
    stp q20, q21, [x0, #320]
    stp q22, q23, [x0, #352]
    stp q24, q25, [x0, #384]
    stp q26, q27, [x0, #416]
    stp q28, q29, [x0, #448]
    stp q30, q31, [x0, #480]
    mrs x1, fpcr
    mrs x2, fpsr
    add x0, x0, #512
    stp x1, x2, [x0]
    ret

    .globl vector_registers_restore
    .type vector_registers_restore, @function
vector_registers_restore:
    ldp q0, q1, [x0, #0]
    ldp q2, q3, [x0, #32]
    ldp q4, q5, [x0, #64]
    ldp q6, q7, [x0, #96]
    ldp q8, q9, [x0, #128]
    ldp q10, q11, [x0, #160]
    ldp q12, q13, [x0, #192]
    ldp q14, q15, [x0, #224]
    ldp q16, q17, [x0, #256]
    ldp q18, q19, [x0, #288]
    ldp q20, q21, [x0, #320]
    ldp q22, q23, [x0, #352]
    ldp q24, q25, [x0, #384]
    ldp q26, q27, [x0, #416]
    ldp q28, q29, [x0, #448]
    ldp q30, q31, [x0, #480]
    add x0, x0, #512
    ldp x1, x2, [x0]
    msr fpcr, x1
    msr fpsr, x2
    ret

    .section .bss.exception_stack, "aw", @nobits
    .balign 16
    .skip 8192
exception_stack_top:

    .section .note.GNU-stack, "", @progbits
