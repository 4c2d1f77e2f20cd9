/* SPDX-License-Identifier: MIT */
#ifndef VMM_FIRMWARE_H
#define VMM_FIRMWARE_H

struct machine;

/*
 * Starts the machine with firmware for QEMU's "pc" machine in place of a kernel: OVMF. Beside KVM's
 * interrupt controllers and timer it needs a host bridge and a power management function on PCI, a
 * PM timer, a CMOS with clock and memory size, and fw_cfg; nothing else of that machine is here. It
 * is told of the kernel that the options name, if they do: an EFI application, which OVMF starts as
 * for QEMU's -kernel. Ends the process with one line if it cannot.
 */
void firmware_load(struct machine *machine);

#endif
