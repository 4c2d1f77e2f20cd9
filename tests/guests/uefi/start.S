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
/*
 * That can be done with paging off only, so outside of long mode: by way of the 32-bit code segment that EDK2's table has (CpuDxe,
 * CpuGdt.c). Stack and code lie below 4 GiB.
 */
#define EDK2_CODE32 0x10
#define CR0_PAGING  0x80000000
#define CR4_LA57    0x1000

    .globl enter_five_levels
    .type enter_five_levels, @function
enter_five_levels:
    pushfq
    pushq %rbx
    cli
    movl %cs, %ebx
    leaq 1f(%rip), %rax
    pushq $EDK2_CODE32
    pushq %rax
    lretq
    .code32
1:
    movl %cr0, %eax
    andl $~CR0_PAGING, %eax
    movl %eax, %cr0
    movl %cr4, %eax
    orl $CR4_LA57, %eax
    movl %eax, %cr4
    movl %edi, %cr3
    movl %cr0, %eax
    orl $CR0_PAGING, %eax
    movl %eax, %cr0
    calll 2f
2:
    popl %eax
    addl $(3f - 2b), %eax
    pushl %ebx
    pushl %eax
    lretl
    .code64
3:
    popq %rbx
    popfq
    retq

    .section .note.GNU-stack, "", @progbits
