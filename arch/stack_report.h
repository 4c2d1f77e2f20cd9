/* SPDX-License-Identifier: MIT */
#ifndef ARCH_STACK_REPORT_H
#define ARCH_STACK_REPORT_H

#include <stdint.h>

/* For the report of an exception: what lies on the boot stack from there on, and who may have
 * called. Any IRQL. */
void stack_report(uint64_t stack_pointer);

#endif
