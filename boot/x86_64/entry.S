/* SPDX-License-Identifier: MIT */
/*
 * The two direct ways into the image.
 *
 * boot_entry_pvh    32-bit protected mode, paging off, EBX = address of struct hvm_start_info. Found through the ELF note
 *                   XEN_ELFNOTE_PHYS32_ENTRY. Xen, "x86/HVM direct boot ABI" (docs/misc/pvh.pandoc).
 * boot_entry_linux  long mode, some identity map that covers the image, the zero page and the command line,
 *                   RSI = address of struct boot_params (the zero page). It is the ELF's e_entry, as in Linux' vmlinux:
 *                   a monitor loads the program headers and jumps there. Linux, Documentation/arch/x86/boot.rst,
 *                   "64-bit Boot Protocol".
 *
 * Both clear .bss, take the boot map below, and call kernel_start() with a struct boot_info on the boot stack.
 */
#include "boot/x86_64/processor.h"

/* boot/x86_64/direct.h */
#define BOOT_BY_PVH      0
#define BOOT_BY_LINUX    1

#define PAGE_TABLE       0x003 /* present, writable */
#define PAGE_LARGE       0x083 /* the same, 2 MiB */

#define NOTE_PHYS32_ENTRY 18

    .section .note.pvh, "a", @note
    .balign 4
    .long 4f - 3f
    .long 6f - 5f
    .long NOTE_PHYS32_ENTRY
3:  .asciz "Xen"
4:  .balign 4
5:  .quad boot_entry_pvh
6:  .balign 4

    .section .text.boot, "ax"
    .code32
    .globl boot_entry_pvh
    .type boot_entry_pvh, @function
boot_entry_pvh:
    cli
    cld
    rdtsc
    movl %eax, %esi
    movl %edx, %edi

    movl %cr4, %eax
    orl $CR4_PAE, %eax
    movl %eax, %cr4
    movl $boot_map, %eax
    movl %eax, %cr3
    movl $MSR_EFER, %ecx
    rdmsr
    orl $(EFER_LONG_MODE | EFER_NO_EXECUTE), %eax
    wrmsr
    movl %cr0, %eax
    orl $CR0_PAGING, %eax
    movl %eax, %cr0
    lgdt boot_descriptors_pointer
    ljmp $8, $pvh_in_long_mode

    .code64
pvh_in_long_mode:
    movl $16, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    movl %ebx, %ebx
    movq %rbx, %r12
    movl %esi, %r13d
    movl %edi, %edi
    shlq $32, %rdi
    orq %rdi, %r13
    movl $BOOT_BY_PVH, %r14d
    jmp in_long_mode

    .globl boot_entry_linux
    .type boot_entry_linux, @function
boot_entry_linux:
    cli
    cld
    rdtsc
    shlq $32, %rdx
    movq %rax, %r13
    orq %rdx, %r13
    movq %rsi, %r12
    movl $BOOT_BY_LINUX, %r14d
    movl $MSR_EFER, %ecx
    rdmsr
    orl $EFER_NO_EXECUTE, %eax
    wrmsr

/* R12 = what the protocol handed over, R13 = counter at entry, R14 = the protocol. */
in_long_mode:
    movq %cr0, %rax
    andq $~CR0_EMULATION, %rax
    orq $(CR0_MONITOR | CR0_NUMERIC), %rax
    movq %rax, %cr0
    movq %cr4, %rax
    orq $(CR4_FXSR | CR4_XMM_FAULTS), %rax
    movq %rax, %cr4
    fninit
    ldmxcsr boot_mxcsr(%rip)

    leaq bss_start(%rip), %rdi
    leaq bss_end(%rip), %rcx
    subq %rdi, %rcx
    shrq $3, %rcx
    xorl %eax, %eax
    rep stosq

    leaq boot_stack_top(%rip), %rsp
    xorl %ebp, %ebp
    pushq %rbp /* a frame chain ends at a zero return address */
    pushq %rbp
    movq %r12, %rdi
    movq %r13, %rsi
    movl %r14d, %edx
    callq boot_collect
    /* The tables of a monitor may lie anywhere; from here on only memory that the image owns counts. */
    leaq boot_map(%rip), %rcx
    movq %rcx, %cr3
    movq %rax, %rdi
    callq kernel_start
    ud2

    .section .rodata.boot, "a"
    .balign 8
boot_descriptors:
    .quad 0
    .quad 0x00af9a000000ffff /* 64-bit code */
    .quad 0x00cf92000000ffff /* data */
boot_descriptors_pointer:
    .word . - boot_descriptors - 1
    .long boot_descriptors
boot_mxcsr:
    .long MXCSR_RESET

/*
 * The first 4 GiB one to one in pages of 2 MiB, everything allowed: in use only until arch_initialise_memory() has built a map
 * with permissions from the memory map.
 */
    .section .data.boot, "aw"
    .balign 4096
    .globl boot_map
boot_map:
    .quad boot_map_gigabytes + PAGE_TABLE
    .fill 511, 8, 0
boot_map_gigabytes:
    .set index, 0
    .rept 4
    .quad boot_map_megabytes + index * 4096 + PAGE_TABLE
    .set index, index + 1
    .endr
    .fill 508, 8, 0
boot_map_megabytes:
    .set index, 0
    .rept 2048
    .quad index * 0x200000 + PAGE_LARGE
    .set index, index + 1
    .endr
    .section .note.GNU-stack, "", @progbits
