/* SPDX-License-Identifier: MIT */
/*
 * A monitor's part of the Linux 64-bit boot protocol, for a QEMU that only knows PVH: started by that, it turns on long mode,
 * makes a zero page, and jumps into the image that QEMU's loader device put into memory. Linked at 16 MiB, out of the way.
 *
 * The command line is the one it got itself. Two words at PARAMETERS come from another loader device: the image's entry,
 * and how many entries of the memory map to hand over, with X2APIC added if the local APIC is to be in that mode.
 */
#define PARAMETERS 0x1800000
#define X2APIC     0x100

#define ZERO_PAGE_E820_ENTRIES 0x1e8
#define ZERO_PAGE_COMMAND_LINE 0x228
#define ZERO_PAGE_E820_TABLE   0x2d0
#define START_INFO_COMMAND_LINE 24

    .section .note.pvh, "a", @note
    .balign 4
    .long 4, 8, 18 /* XEN_ELFNOTE_PHYS32_ENTRY */
    .asciz "Xen"
    .quad start

    .text
    .code32
    .globl start
start:
    movl START_INFO_COMMAND_LINE(%ebx), %eax
    movl %eax, zero_page + ZERO_PAGE_COMMAND_LINE
    movb PARAMETERS + 8, %al
    movb %al, zero_page + ZERO_PAGE_E820_ENTRIES
    movl %cr4, %eax
    orl $0x20, %eax /* PAE */
    movl %eax, %cr4
    movl $root, %eax
    movl %eax, %cr3
    movl $0xc0000080, %ecx /* EFER: long mode */
    rdmsr
    orl $0x100, %eax
    wrmsr
    movl %cr0, %eax
    orl $0x80000000, %eax
    movl %eax, %cr0
    lgdt descriptors_pointer
    ljmp $0x10, $1f

    .code64
1:  movl $0x18, %eax
    movl %eax, %ds
    movl %eax, %es
    movl %eax, %ss
    testl $X2APIC, PARAMETERS + 8
    jz 2f
    movl $0x1b, %ecx /* IA32_APIC_BASE: enabled, x2APIC */
    rdmsr
    orl $0xc00, %eax
    wrmsr
2:  movl $zero_page, %esi
    jmpq *PARAMETERS

    .data
    .balign 8
descriptors:
    .quad 0, 0, 0x00af9a000000ffff, 0x00cf92000000ffff
descriptors_pointer:
    .word 31
    .long descriptors

    .balign 4096
root:
    .quad gigabytes + 3
    .fill 511, 8, 0
gigabytes:
    .quad megabytes + 3
    .fill 511, 8, 0
megabytes:
    .set index, 0
    .rept 512
    .quad index * 0x200000 + 0x83
    .set index, index + 1
    .endr

zero_page:
    .fill ZERO_PAGE_E820_TABLE, 1, 0
    .quad 0x4000000, 0x2000000 /* not sorted; 1 + 2 overlap */
    .long 1
    .quad 0x100000, 0x6000000
    .long 1
    .quad 0, 0x9fc00
    .long 1
    .quad 0x1900000, 0x1000 /* reserved in the middle */
    .long 2
    .org zero_page + 4096

    .section .note.GNU-stack, "", @progbits
