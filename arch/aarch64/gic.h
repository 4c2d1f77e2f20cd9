/* SPDX-License-Identifier: MIT */
#ifndef ARCH_AARCH64_GIC_H
#define ARCH_AARCH64_GIC_H

#include <stdbool.h>
#include <stdint.h>

/* Whether this processor has a GICv3 that was turned on. Without it there are no interrupts. */
bool gic_present(void);

/* Private interrupts of this processor, 16 to 31; interrupts are off. */
void gic_enable(uint32_t number, bool edge);
void gic_disable(uint32_t number); /* and what is pending of it is forgotten */

/* The interrupt that is to be served now; false: none any more. Each one ends with
 * gic_end_of_interrupt(), behind its handler. IRQL_DEVICE. */
bool gic_acknowledge(uint32_t *number);
void gic_end_of_interrupt(uint32_t number);

#endif
