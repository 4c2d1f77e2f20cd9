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

/* Guarded by the ports' lock. */
struct serial {
    const struct kvm *kvm;
    struct ports *ports;
    uint8_t interrupt_enable;
    uint8_t line_control;
    uint8_t modem_control;
    uint8_t scratch;
    uint8_t fifo_control;
    uint16_t divisor;
    bool transmit_interrupt; /* the holding register became empty, and nobody asked yet */
    bool line;               /* of the interrupt */
    uint8_t input[SERIAL_INPUT];
    uint32_t input_first;
    uint32_t input_count;
    char output[SERIAL_OUTPUT];
    uint32_t output_count;
    bool flush_wanted;
    struct source typed;
    struct source unfinished; /* a line that may not get its end for a while */
    struct timer flush;
};

void serial_create(struct serial *serial, const struct kvm *kvm, struct ports *ports);

/* Writes what is not written yet. */
void serial_flush(struct serial *serial);

#endif
