/* SPDX-License-Identifier: MIT */
#ifndef EL2_FIRMWARE_H
#define EL2_FIRMWARE_H

/*
 * A guest that starts with UEFI firmware (qemu-efi-aarch64) instead of an image: the machine that
 * it sees is QEMU's own, for that is the one the firmware is made for, with the memory below the
 * host's. Ends the run if it cannot. PASSIVE, once.
 */
void firmware_prepare(void);

#endif
