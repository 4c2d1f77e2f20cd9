/* SPDX-License-Identifier: MIT */
#ifndef EL2_MACHINE_H
#define EL2_MACHINE_H

/*
 * Where everything is: in the machine that QEMU emulates (`-machine virt,virtualization=on,
 * gic-version=3`, hw/arm/virt.c), and in the one that the guest sees, laid out as Hyper-V lays out
 * an ARM64 guest. Also read by the assembler.
 */

/* ---- QEMU's ---- */

#define VIRT_FLASH         0x00000000 /* the first of two, where firmware begins */
#define VIRT_DEVICES       0x08000000 /* all that is neither flash nor memory, with highmem=off */
#define VIRT_GICD          0x08000000
#define VIRT_GICR          0x080A0000 /* a frame a processor */
#define VIRT_UART          0x09000000
#define VIRT_RTC           0x09010000 /* a PL031: seconds since 1970 in its first register */
#define VIRT_RAM           0x40000000
#define VIRT_TIMER_VIRTUAL 27 /* INTIDs of the timers: CNTV, and CNTHP of EL2 */
#define VIRT_TIMER_EL2     26

/* The host's own part of memory: its image and its heap. */
#define HOST_IMAGE      0x48000000
#define HOST_MEMORY_END 0x50000000

/* Guest memory, from its first byte on; QEMU's loader device puts the guest's image there. */
#define GUEST_RAM 0x50000000

/* ---- the guest's, in intermediate physical addresses ---- */

#define GUEST_RAM_BASE    0x0
#define GUEST_DEVICE_TREE 0x00100000
#define GUEST_IMAGE       0x00200000
#define GUEST_UART        0xEFFEC000
#define GUEST_GICR        0xEFFEE000
#define GUEST_GICD        0xFFFF0000
#define GUEST_HOT_ADDED   0x100000000 /* memory that it gets while it runs */

#define GUEST_VMBUS_INTERRUPT 18 /* INTID */

/* ---- both ---- */

#define UART_SIZE        0x1000
#define GICD_SIZE        0x10000
#define GICR_FRAME_SIZE  0x20000
#define PROCESSORS_LIMIT 4 /* of the guest; choice of ours */

#endif
