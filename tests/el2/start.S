/* SPDX-License-Identifier: MIT */
/*
 * The host's first instructions on each processor, at EL2 with the MMU off: QEMU's loader device
 * starts the boot processor here, PSCI the others.
 */
#include "tests/el2/machine.h"

#define STACK_SIZE 16384

/* Arm ARM, D19: MAIR_EL2 index 0 normal memory, write-back; index 1 Device-nGnRE. */
#define MAIR 0x04ff
/* TCR_EL2: 39 bits of address, 4 KiB pages, walks through the cache, inner shareable, 40 bits out. */
#define TCR  (1 << 31 | 1 << 23 | 2 << 16 | 3 << 12 | 1 << 10 | 1 << 8 | 25)
/* SCTLR_EL2: its RES1 bits, instruction and data cache, MMU; stack alignment checked. */
#define SCTLR (0x30c50830 | 1 << 12 | 1 << 3 | 1 << 2 | 1)

    .section .text.start, "ax"
    .global start
start:
    ldr     x0, =stacks + STACK_SIZE
    mov     sp, x0
    bl      prepare
    ldr     x0, =bss_start
    ldr     x1, =bss_end
1:  cmp     x0, x1
    b.eq    2f
    stp     xzr, xzr, [x0], #16
    b       1b
2:  bl      boot_processor_main
    b       .

    /* x0: the number of this processor, as PSCI CPU_ON passed it. */
    .global start_processor
start_processor:
    mov     x19, x0
    ldr     x1, =stacks + STACK_SIZE
    mov     x2, #STACK_SIZE
    madd    x1, x0, x2, x1
    mov     sp, x1
    bl      prepare
    mov     x0, x19
    bl      processor_main
    b       .

/* Vectors, and the MMU with memory cached: exclusive accesses and DC ZVA need that. */
prepare:
    ldr     x1, =vectors
    msr     vbar_el2, x1
    ldr     x1, =MAIR
    msr     mair_el2, x1
    ldr     x1, =TCR
    msr     tcr_el2, x1
    ldr     x1, =host_table
    msr     ttbr0_el2, x1
    tlbi    alle2
    dsb     ish
    isb
    ldr     x1, =SCTLR
    msr     sctlr_el2, x1
    isb
    ret

/*
 * One to one in blocks of 1 GiB: devices, then memory. Upper half: the window through which guest
 * pages that do not lie next to each other are seen as one piece (guest_pages.c).
 */
    .data
    .balign 4096
    .global host_table
host_table:
    .quad   0x0000000000000405 | 1 << 54 /* device, never executed */
    .quad   0x0000000040000701
    .quad   0x0000000080000701
    .quad   0x00000000c0000701
    .fill   508, 8, 0

    .bss
    .balign 16
stacks:
    .fill   STACK_SIZE * (PROCESSORS_LIMIT + 1)
