/* SPDX-License-Identifier: MIT */
#include "tests/guests/machine.h"

const uint32_t machine_return = 0xc3;

void machine_interrupt_nobody_has(void)
{
    __asm__ volatile("int $0x35");
}

void machine_exception_nobody_expects(void)
{
    __asm__ volatile("int $2");
}
