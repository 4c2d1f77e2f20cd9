/* SPDX-License-Identifier: MIT */
/* Entry of an application for UEFI that returns to firmware: relocates itself and calls main(image, system). */
    .section .text.uefi_entry, "ax"
    .globl uefi_entry
uefi_entry:
    pushq %rdi
    pushq %rsi
    pushq %rbx
    pushq %r12
    subq $8, %rsp
    movq %rcx, %rbx
    movq %rdx, %r12
    leaq image_start(%rip), %rdi
    leaq relocations_start(%rip), %rsi
    leaq relocations_end(%rip), %rdx
    movl $8, %ecx /* R_X86_64_RELATIVE */
    callq uefi_relocate
    movq %rbx, %rdi
    movq %r12, %rsi
    callq trouble_main
    addq $8, %rsp
    popq %r12
    popq %rbx
    popq %rsi
    popq %rdi
    retq
    .section .note.GNU-stack, "", @progbits
