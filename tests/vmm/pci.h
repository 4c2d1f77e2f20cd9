/* SPDX-License-Identifier: MIT */
#ifndef VMM_PCI_H
#define VMM_PCI_H

struct machine;

/* As much of PCI as OVMF needs to take this for QEMU's "pc" machine: the configuration ports, a
 * 440FX host bridge, and a PIIX4's power management with its timer. */
void pci_create(struct machine *machine);

#endif
