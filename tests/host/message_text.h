/* SPDX-License-Identifier: MIT */
#ifndef HOST_MESSAGE_TEXT_H
#define HOST_MESSAGE_TEXT_H

/* What goes over the bus, for traces. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longer than any message's text. */
#define HOST_MESSAGE_TEXT_SIZE 320u

/*
 * Name and fields of a message by the layouts of vmbus/protocol.h, "NAME field=value... (N bytes)",
 * cut to `capacity` with a terminator. Any bytes will do. Any IRQL.
 */
void host_message_text(bool from_guest, const void *message, uint32_t size, char *text,
                       size_t capacity);

#endif
