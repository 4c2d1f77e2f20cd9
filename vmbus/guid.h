/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_GUID_H
#define VMBUS_GUID_H

#include <stdbool.h>
#include <stdint.h>

/* A GUID as it stands on the wire: the first three groups little-endian, the rest in written order.
 * Same layout as Windows' GUID. */
struct vmbus_guid {
    uint32_t data1;
    uint16_t data2;
    uint16_t data3;
    uint8_t data4[8];
};
_Static_assert(sizeof(struct vmbus_guid) == 16, "a GUID is 16 bytes");

bool vmbus_guid_equal(const struct vmbus_guid *a, const struct vmbus_guid *b);

/* "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx" and a terminator. */
#define VMBUS_GUID_TEXT_SIZE 37
void vmbus_guid_format(const struct vmbus_guid *guid, char text[VMBUS_GUID_TEXT_SIZE]);

/* The device class ("dynamic memory", "heartbeat"), or "unknown". */
const char *vmbus_class_name(const struct vmbus_guid *interface_type);

#endif
