/* SPDX-License-Identifier: MIT */
/*
 * Where UEFI starts the image: memory mapped one to one, interrupts on, x0 = handle of the image, x1 = system table (UEFI
 * Specification 2.3.6). The image lies where firmware put it.
 */
#define R_AARCH64_RELATIVE  1027
#define VECTOR_REGISTERS_ON 0x300000

    .section .text.uefi_entry, "ax"
    .globl uefi_entry
    .type uefi_entry, @function
uefi_entry:
    stp x29, x30, [sp, #-64]!
    mov x29, sp
    stp x19, x20, [sp, #16]
    str x21, [sp, #32]
    mov x19, x0
    mov x20, x1
    isb
    mrs x21, cntvct_el0

    movz x0, #0x8000, lsl #48 /* EFI_LOAD_ERROR */
    orr x0, x0, #1
    str x0, [sp, #48]
    adrp x0, image_start
    adrp x1, relocations_start
    add x1, x1, :lo12:relocations_start
    adrp x2, relocations_end
    add x2, x2, :lo12:relocations_end
    mov w3, #R_AARCH64_RELATIVE
    bl uefi_relocate
    cbz w0, return_to_firmware

    mov x0, x19
    mov x1, x20
    mov x2, x21
    add x3, sp, #48
    bl uefi_collect
    cbnz x0, take_over

return_to_firmware:
    ldr x0, [sp, #48]
    ldr x21, [sp, #32]
    ldp x19, x20, [sp, #16]
    ldp x29, x30, [sp], #64
    ret

/* Nothing of firmware runs from here on. Its control registers may hold anything that its own code needed. */
take_over:
    msr daifset, #0xf
    msr spsel, #1
    mov x19, x0
    adrp x0, boot_stack_top
    add x0, x0, :lo12:boot_stack_top
    mov sp, x0
    mov x29, #0
    mov x30, #0
    bl mmu_control
    mov x20, x0
    bl boot_map_build
    mov x1, x20
    bl mmu_use
    mov x0, #VECTOR_REGISTERS_ON
    msr cpacr_el1, x0
    isb
    mov x0, x19
    bl kernel_start
    b .

    .section .note.GNU-stack, "", @progbits
