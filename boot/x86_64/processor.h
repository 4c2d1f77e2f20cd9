/* SPDX-License-Identifier: MIT */
#ifndef BOOT_X86_64_PROCESSOR_H
#define BOOT_X86_64_PROCESSOR_H

/* Bits of control registers that entries in assembly set (Intel SDM volume 3, "Control Registers").
 */
#define CR0_PROTECTED   0x00000001
#define CR0_MONITOR     0x00000002
#define CR0_EMULATION   0x00000004
#define CR0_TYPE        0x00000010
#define CR0_NUMERIC     0x00000020
#define CR0_PAGING      0x80000000
#define CR4_PAE         0x00000020
#define CR4_FXSR        0x00000200
#define CR4_XMM_FAULTS  0x00000400
#define MSR_EFER        0xc0000080
#define EFER_LONG_MODE  0x00000100
#define EFER_NO_EXECUTE 0x00000800
#define MXCSR_RESET     0x1f80

#endif
