/* SPDX-License-Identifier: MIT */
#ifndef TESTS_GUESTS_MACHINE_H
#define TESTS_GUESTS_MACHINE_H

#include <stdint.h>

/* What a guest of the tests needs of its processor and C has no words for. */

/* The instructions of a function that does nothing but return. */
extern const uint32_t machine_return;

/* Raises an interrupt that nobody attached to, and returns when it was taken. */
void machine_interrupt_nobody_has(void);

/* Raises an exception that is no fault of the program. */
void machine_exception_nobody_expects(void);

#endif
