/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUESTS_UEFI_LEFTOVERS_H
#define TESTS_GUESTS_UEFI_LEFTOVERS_H

/*
 * Leaves Hyper-V's interface as firmware must not leave it: every page and timer on, interrupts for
 * vectors that mean nothing to the guest, the bus connected and amid its offers. `pages` are free.
 * Interrupts off, boot services over.
 */
#define LEFTOVER_PAGES 4u
void leave_hyperv_in_use(char *pages);

/* Leaves the hypercall page in the first of `pages`, on and locked. */
void leave_hypercalls_locked(char *pages);

#endif
