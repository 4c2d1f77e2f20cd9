/* SPDX-License-Identifier: MIT */
/* A guest with the MMU off and no interrupts; QEMU has cleared its memory. */
#define STACK_SIZE 4096

    .section .text.start, "ax"
    .global start
start:
    ldr     x1, =stack_end
    mov     sp, x1
    bl      guest_main
    b       .

    /* x0: what PSCI CPU_ON passed. */
    .global other_start
other_start:
    mrs     x1, mpidr_el1
    and     x1, x1, #0xff
    mov     x2, #STACK_SIZE
    ldr     x3, =stack_end
    msub    x3, x1, x2, x3
    mov     sp, x3
    bl      other_main
    b       .

    .text
    /* guest_machine.h */
    .macro  call name, instruction
    .global \name
    .type   \name, %function
\name:
    stp     x29, x30, [sp, #-32]!
    str     x1, [sp, #16]
    mov     x9, x0
    ldp     x0, x1, [x9]
    ldp     x2, x3, [x9, #16]
    ldp     x4, x5, [x9, #32]
    ldp     x6, x7, [x9, #48]
    \instruction
    ldr     x9, [sp, #16]
    cbz     x9, 1f
    stp     x0, x1, [x9]
    stp     x2, x3, [x9, #16]
    stp     x4, x5, [x9, #32]
    stp     x6, x7, [x9, #48]
    stp     x14, x15, [x9, #112]
    stp     x16, x17, [x9, #128]
1:  ldp     x29, x30, [sp], #32
    ret
    .endm

    call    call_hvc0, "hvc #0"
    call    call_hvc1, "hvc #1"
    call    call_hvc2, "hvc #2"
    call    call_smc, "smc #0"
