/* SPDX-License-Identifier: MIT */
#ifndef KERNEL_IRQL_H
#define KERNEL_IRQL_H

/*
 * Interrupt request levels, as the KMCL model uses them, on a kernel without threads.
 *
 * IRQL_PASSIVE:  main(), state callbacks, passive work. May wait.
 * IRQL_DISPATCH: deferred work. Interrupts are on; nothing here may wait.
 * IRQL_DEVICE:   an interrupt handler, interrupts off.
 *
 * The level is a software notion kept in struct cpu: raising it costs a store, and lowering it
 * below IRQL_DISPATCH runs the deferred work that became pending meanwhile.
 */
enum irql {
    IRQL_PASSIVE = 0,
    IRQL_DISPATCH = 2,
    IRQL_DEVICE = 3,
};

/* The level this processor runs at. Any IRQL. */
enum irql irql_current(void);

/* Raises to IRQL_DISPATCH and returns the level to give back to irql_lower(). At or below DISPATCH.
 */
enum irql irql_raise_to_dispatch(void);

/* Returns to a level that irql_raise_to_dispatch() handed out; below DISPATCH pending deferred work
 * runs first, but not for ever (kernel/irql.c). */
void irql_lower(enum irql previous);

#endif
