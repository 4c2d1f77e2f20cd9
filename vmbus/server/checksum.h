/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_SERVER_CHECKSUM_H
#define VMBUS_SERVER_CHECKSUM_H

/* What saved state is sealed with: finds damage, not forgery. */

#include <stddef.h>
#include <stdint.h>

/*
 * CRC-32C (Castagnoli: RFC 3720 section 12.1) of bytes that follow those of which `before` is the
 * checksum; 0 for the first. Finds every change of up to 32 neighbouring bits. Any IRQL.
 */
uint32_t vmbus_checksum(uint32_t before, const void *bytes, size_t size);

#endif
