/* SPDX-License-Identifier: MIT */
#ifndef VMM_BOOT_H
#define VMM_BOOT_H

struct machine;

/*
 * Loads the kernel that the options name, with command line and initial file system, and sets the
 * first processor to its entry. An ELF file is entered by its PVH note (Xen, docs/misc/pvh.pandoc):
 * guests of ours, and Linux' vmlinux. Ends the process with one line if it cannot.
 */
void boot_load(struct machine *machine);

#endif
