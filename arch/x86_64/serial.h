/* SPDX-License-Identifier: MIT */
#ifndef ARCH_X86_64_SERIAL_H
#define ARCH_X86_64_SERIAL_H

/* Looks for the serial port and sets it to 115200 baud, 8 data bits, no parity. Without one the
 * console is silent. */
void serial_initialise(void);

#endif
