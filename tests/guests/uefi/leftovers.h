/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUESTS_UEFI_LEFTOVERS_H
#define TESTS_GUESTS_UEFI_LEFTOVERS_H

/*
 * Leaves Hyper-V's interface as firmware must not leave it: every page and timer on, interrupts for
 * vectors that mean nothing to the guest, the bus connected and amid its offers. `pages` are four
 * free pages. Interrupts off, boot services over.
 */
void leave_hyperv_in_use(char *pages);

#endif
