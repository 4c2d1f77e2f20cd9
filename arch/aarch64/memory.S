/* SPDX-License-Identifier: MIT */
/*
 * The four functions of memory that compilers call by themselves, in the place of the C library's: interrupt handlers use
 * them, and the vector registers belong to whoever was interrupted. 16 bytes at a time, then 8, 4, 2 and 1 as the bits of the
 * length say.
 * Memory that is not device memory may be accessed at any address.
 */
    .section .text.memory, "ax"

/* x0 = to, x1 = from, x2 = bytes; x0 is returned as it came. */
    .globl memmove
    .type memmove, @function
    .globl memcpy
    .type memcpy, @function
    .balign 16
memmove:
memcpy:
    sub x3, x0, x1
    cmp x3, x2
    b.lo 6f /* `to` lies within what is to be read: from the end */
    mov x3, x0
    subs x4, x2, #16
    b.lo 2f
1:  ldp x5, x6, [x1], #16
    subs x4, x4, #16
    stp x5, x6, [x3], #16
    b.hs 1b
2:  tbz x2, #3, 3f
    ldr x5, [x1], #8
    str x5, [x3], #8
3:  tbz x2, #2, 4f
    ldr w5, [x1], #4
    str w5, [x3], #4
4:  tbz x2, #1, 5f
    ldrh w5, [x1], #2
    strh w5, [x3], #2
5:  tbz x2, #0, 9f
    ldrb w5, [x1]
    strb w5, [x3]
9:  ret

6:  add x1, x1, x2
    add x3, x0, x2
    subs x4, x2, #16
    b.lo 2f
1:  ldp x5, x6, [x1, #-16]!
    subs x4, x4, #16
    stp x5, x6, [x3, #-16]!
    b.hs 1b
2:  tbz x2, #3, 3f
    ldr x5, [x1, #-8]!
    str x5, [x3, #-8]!
3:  tbz x2, #2, 4f
    ldr w5, [x1, #-4]!
    str w5, [x3, #-4]!
4:  tbz x2, #1, 5f
    ldrh w5, [x1, #-2]!
    strh w5, [x3, #-2]!
5:  tbz x2, #0, 9b
    ldrb w5, [x1, #-1]
    strb w5, [x3, #-1]
    ret

/* x0 = to, w1 = byte, x2 = bytes */
    .globl memset
    .type memset, @function
    .balign 16
memset:
    mov x3, x0
    and x1, x1, #0xff
    orr x1, x1, x1, lsl #8
    orr x1, x1, x1, lsl #16
    orr x1, x1, x1, lsl #32
    subs x4, x2, #16
    b.lo 2f
1:  subs x4, x4, #16
    stp x1, x1, [x3], #16
    b.hs 1b
2:  tbz x2, #3, 3f
    str x1, [x3], #8
3:  tbz x2, #2, 4f
    str w1, [x3], #4
4:  tbz x2, #1, 5f
    strh w1, [x3], #2
5:  tbz x2, #0, 9f
    strb w1, [x3]
9:  ret

/* x0, x1 = what is compared, x2 = bytes; the difference of the first two bytes that differ. */
    .globl memcmp
    .type memcmp, @function
    .balign 16
memcmp:
    subs x2, x2, #8
    b.lo 2f
1:  ldr x3, [x0], #8
    ldr x4, [x1], #8
    cmp x3, x4
    b.ne 4f
    subs x2, x2, #8
    b.hs 1b
2:  adds x2, x2, #8
    b.eq 5f
3:  ldrb w3, [x0], #1
    ldrb w4, [x1], #1
    subs w5, w3, w4
    b.ne 6f
    subs x2, x2, #1
    b.ne 3b
5:  mov w0, #0
    ret
4:  rev x3, x3 /* the byte at the lowest address decides */
    rev x4, x4
    cmp x3, x4
    cset w0, hi
    csinv w0, w0, wzr, hi
    ret
6:  mov w0, w5
    ret

    .section .note.GNU-stack, "", @progbits
