/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_RING_COPY_H
#define VMBUS_RING_COPY_H

#include <stddef.h>

#include "vmbus/ring.h"

/*
 * Copies `length` bytes into or out of ring memory that is not cut; for ring_*.c alone. Always
 * RING_OK, so that the functions whose last step is a copy can end with it.
 */
enum ring_status ring_copy(void *to, const void *from, size_t length);

#endif
