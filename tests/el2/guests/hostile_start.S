/* SPDX-License-Identifier: MIT */
/* A guest with the MMU off and no interrupts; QEMU has cleared its memory. */
    .section .text.start, "ax"
    .global start
start:
    ldr     x1, =stack_end
    mov     sp, x1
    bl      guest_main
    b       .

    .global second_start
second_start:
    ldr     x1, =second_stack_end
    mov     sp, x1
    bl      second_main
    b       .

    .text
    /* uint64_t call_hvc0(const uint64_t in[8], uint64_t out[18]), likewise the others */
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
