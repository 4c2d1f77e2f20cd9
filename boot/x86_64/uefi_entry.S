/* SPDX-License-Identifier: MIT */
/*
 * Where UEFI starts the image: long mode, memory mapped one to one, interrupts on, Microsoft's calling convention (RCX =
 * handle of the image, RDX = system table; UEFI Specification 2.3.4). The image lies where firmware put it.
 */
#include "boot/x86_64/processor.h"

#define R_X86_64_RELATIVE 8

    .section .text.uefi_entry, "ax"
    .globl uefi_entry
    .type uefi_entry, @function
uefi_entry:
    pushq %rbp
    pushq %rbx
    pushq %rdi
    pushq %rsi
    pushq %r12
    pushq %r13
    subq $24, %rsp /* aligned again, and the status at its lower end */
    cld
    movq %rcx, %r12
    movq %rdx, %r13
    rdtsc
    shlq $32, %rdx
    orq %rdx, %rax
    movq %rax, %rbx

    leaq image_start(%rip), %rdi
    leaq relocations_start(%rip), %rsi
    leaq relocations_end(%rip), %rdx
    movl $R_X86_64_RELATIVE, %ecx
    callq uefi_relocate
    testb %al, %al
    movabsq $0x8000000000000001, %rcx /* EFI_LOAD_ERROR */
    movq %rcx, (%rsp)
    jz return_to_firmware

    movq %r12, %rdi
    movq %r13, %rsi
    movq %rbx, %rdx
    movq %rsp, %rcx
    callq uefi_collect
    testq %rax, %rax
    jnz take_over

return_to_firmware:
    movq (%rsp), %rax
    addq $24, %rsp
    popq %r13
    popq %r12
    popq %rsi
    popq %rdi
    popq %rbx
    popq %rbp
    retq

/* Nothing of firmware runs from here on. Its control registers may hold anything that its own code needed. */
take_over:
    cli
    movq %rax, %r12
    callq uefi_boot_map
    movq %rax, %r13
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_NO_EXECUTE, %eax
    wrmsr
    movl $(CR4_PAE | CR4_FXSR | CR4_XMM_FAULTS), %eax
    movq %rax, %cr4
    movl $(CR0_PAGING | CR0_NUMERIC | CR0_TYPE | CR0_MONITOR | CR0_PROTECTED), %eax
    movq %rax, %cr0
    movq %r13, %cr3
    fninit
    ldmxcsr uefi_mxcsr(%rip)
    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    pushq %rbp /* a frame chain ends at a zero return address */
    pushq %rbp
    movq %r12, %rdi
    callq kernel_start
    ud2

    .section .rodata.uefi_entry, "a"
    .balign 4
uefi_mxcsr:
    .long MXCSR_RESET
    .section .note.GNU-stack, "", @progbits
