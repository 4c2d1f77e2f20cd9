/* SPDX-License-Identifier: MIT */
#ifndef VMM_SERIAL_H
#define VMM_SERIAL_H

/* The guest's console: a 16550 at COM1 (National Semiconductor PC16550D), whose other end is this
 * program's standard input and output. */

#include <stdbool.h>
#include <stdint.h>

#include "kernel/clock.h"
#include "tests/vmm/executive.h"
#include "tests/vmm/kvm.h"
#include "tests/vmm/ports.h"

#define SERIAL_INPUT  64u   /* what was typed and not read yet */
#define SERIAL_OUTPUT 1024u /* what was printed and not written yet */

/* What the guest sees of it, as a snapshot holds it. */
struct serial_state {
    uint8_t interrupt_enable;
    uint8_t line_control;
    uint8_t modem_control;
    uint8_t scratch;
    uint8_t fifo_control;
    uint8_t transmit_interrupt; /* the holding register became empty, and nobody asked yet */
    uint8_t line;               /* of the interrupt */
    uint8_t reserved;
    uint16_t divisor;
    uint16_t reserved_2;
    uint8_t input[SERIAL_INPUT];
    uint32_t input_first;
    uint32_t input_count;
};
_Static_assert(sizeof(struct serial_state) == 84, "no padding in a snapshot");

/* Guarded by the ports' lock. */
struct serial {
    const struct kvm *kvm;
    struct ports *ports;
    struct serial_state state;
    char output[SERIAL_OUTPUT];
    uint32_t output_count;
    bool flush_wanted;
    struct source typed;
    struct source unfinished; /* a line that may not get its end for a while */
    struct timer flush;
};

void serial_create(struct serial *serial, const struct kvm *kvm, struct ports *ports);

/* sizeof(struct serial_state) bytes. False: they are none. */
void serial_save(struct serial *serial, void *state);
bool serial_restore(struct serial *serial, const void *state);

/* Writes what is not written yet. */
void serial_flush(struct serial *serial);

#endif
