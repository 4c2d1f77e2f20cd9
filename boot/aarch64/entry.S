/* SPDX-License-Identifier: MIT */
/*
 * The direct way into the image: Linux, Documentation/arch/arm64/booting.rst. MMU off, interrupts off, x0 = address of the
 * device tree, exception level 1 or 2.
 */
#include "arch/aarch64/mmu.h"

/* At level 2: level 1 is 64-bit; level 1 may use counter, timers and the interrupt controller's registers. */
#define HYPERVISOR_CONTROL   0x80000000
#define STATE_LEVEL1         0x3c5 /* level 1 with its own stack pointer, everything masked */
#define COUNTER_ACCESS       0x3
#define CONTROLLER_REGISTERS 0xf

#define VECTOR_REGISTERS_ON  0x300000

#define RELOCATION_RELATIVE  1027 /* R_AARCH64_RELATIVE */

    .section .text.boot, "ax"
    .globl boot_entry_direct
    .type boot_entry_direct, @function
boot_entry_direct:
    msr daifset, #0xf
    isb
    mrs x20, cntvct_el0
    mov x19, x0
    movz x21, #(MMU_SYSTEM_CONTROL >> 16), lsl #16
    movk x21, #(MMU_SYSTEM_CONTROL & 0xffff)

    mrs x0, currentel
    cmp x0, #8
    b.ne at_level1
    mov x0, #HYPERVISOR_CONTROL
    msr hcr_el2, x0
    isb /* the layout of what follows may depend on it */
    msr sctlr_el1, x21 /* nobody says what is in it, and level 1 begins with it */
    mov x0, #COUNTER_ACCESS
    msr cnthctl_el2, x0
    msr cntvoff_el2, xzr
    mov x0, #0x33ff /* traps of vector registers off, the other bits read as one */
    msr cptr_el2, x0
    msr vttbr_el2, xzr
    mrs x0, midr_el1
    msr vpidr_el2, x0
    mrs x0, mpidr_el1
    msr vmpidr_el2, x0
    mrs x0, id_aa64pfr0_el1
    ubfx x0, x0, #24, #4
    cbz x0, 1f
    mov x0, #CONTROLLER_REGISTERS
    msr s3_4_c12_c9_5, x0 /* ICC_SRE_EL2 */
    isb
1:  mov x0, #STATE_LEVEL1
    msr spsr_el2, x0
    adr x0, at_level1
    msr elr_el2, x0
    eret

/* x19 = device tree, x20 = counter at entry. Nothing is in a cache that was stored since the entry. */
at_level1:
    msr sctlr_el1, x21
    mov x0, #VECTOR_REGISTERS_ON
    msr cpacr_el1, x0
    msr spsel, #1
    isb

    adrp x0, boot_stack_top
    add x0, x0, :lo12:boot_stack_top
    mov sp, x0
    mov x29, #0
    bl boot_map_build
    /* Lines of the tables that a cache has from before must not hide them. */
    mov x1, x0
    add x2, x0, #BOOT_MAP_TABLES_SIZE
1:  dc ivac, x1
    add x1, x1, #16
    cmp x1, x2
    b.lo 1b
    dsb sy

    mov x21, x0
    bl mmu_control
    mov x1, x0
    mov x0, x21
    ic iallu
    dsb nsh
    isb
    bl mmu_use

    /* Words that hold an address get the one where the image is. */
    adrp x0, image_start
    adrp x1, relocations_start
    add x1, x1, :lo12:relocations_start
    adrp x2, relocations_end
    add x2, x2, :lo12:relocations_end
    b 2f
1:  ldp x3, x4, [x1], #16
    ldr x5, [x1], #8
    cmp w4, #RELOCATION_RELATIVE
    b.ne . /* the linker makes no other kind of an image without libraries */
    add x5, x5, x0
    str x5, [x3, x0]
2:  cmp x1, x2
    b.lo 1b

    adrp x0, bss_start
    adrp x1, bss_end
3:  stp xzr, xzr, [x0], #16
    cmp x0, x1
    b.lo 3b

    mov x30, #0
    mov x0, x19
    mov x1, x20
    bl boot_collect
    bl kernel_start
    b .

    .section .note.GNU-stack, "", @progbits
