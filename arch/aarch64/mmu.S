/* SPDX-License-Identifier: MIT */
/* What happens while the MMU is off: registers only, since the stack may be in a cache. */
#include "arch/aarch64/mmu.h"

    .section .text.mmu, "ax"

/* With the MMU off instructions come from memory itself: what caches hold of this code, which a processor may have written, goes
 * there first. x3 and x4 are lost. */
    .macro clean_code
    adr x3, code_start
    adr x4, code_end
7:  dc cvac, x3
    add x3, x3, #16 /* no cache has shorter lines */
    cmp x3, x4
    b.lo 7b
    dsb sy
    .endm

code_start:
/* x0 = address of the first table, x1 = TCR_EL1 */
    .globl mmu_use
    .type mmu_use, @function
mmu_use:
    clean_code
    mrs x2, sctlr_el1
    bic x2, x2, #1
    dsb sy
    msr sctlr_el1, x2
    isb
    movz x2, #(MMU_ATTRIBUTES >> 16), lsl #16
    movk x2, #(MMU_ATTRIBUTES & 0xffff)
    msr mair_el1, x2
    msr tcr_el1, x1
    msr ttbr0_el1, x0
    isb
    tlbi vmalle1
    dsb nsh
    isb
    movz x2, #(MMU_SYSTEM_CONTROL >> 16), lsl #16
    movk x2, #((MMU_SYSTEM_CONTROL | MMU_SYSTEM_CONTROL_ON) & 0xffff)
    msr sctlr_el1, x2
    isb
    ret

/* x0 = address of the entry, x1 = its new value */
    .globl mmu_entry_replace
    .type mmu_entry_replace, @function
mmu_entry_replace:
    clean_code
    mrs x2, sctlr_el1
    bic x3, x2, #1
    dc civac, x0
    dsb sy
    msr sctlr_el1, x3
    isb
    str x1, [x0]
    dsb sy
    dc ivac, x0 /* if a cache has read it again in between */
    dsb sy
    tlbi vmalle1
    dsb nsh
    isb
    msr sctlr_el1, x2
    isb
    ret

code_end:

    .section .note.GNU-stack, "", @progbits
