/* SPDX-License-Identifier: MIT */
/* A device as bytes: a header, the device's own state, and the packets as KMCL saves them. */

#include <stdint.h>
#include <string.h>

#include "tests/host/device.h"

#define MAGIC   0x64736f68u /* "hosd" */
#define VERSION 1u

struct saved_device {
    uint32_t magic;
    uint32_t version;
    uint64_t own_size;    /* bytes behind this header, padded to a multiple of 8 */
    uint64_t packet_size; /* bytes behind those */
};
_Static_assert(sizeof(struct saved_device) == 24, "what follows is aligned to 8");

static size_t padded(size_t size)
{
    return (size + 7) & ~(size_t)7;
}

static NTSTATUS save_packets(struct host_device *device, uint8_t *buffer, size_t capacity,
                             size_t *size)
{
    ULONG filled = 0;
    ULONG required = 0;
    NTSTATUS status = VmbChannelSaveBegin(device->channel);

    *size = 0;
    if (!NT_SUCCESS(status)) {
        return status;
    }
    do {
        const size_t left = capacity - *size;
        status = VmbChannelSaveContinue(device->channel, buffer + *size,
                                        left < UINT32_MAX ? (ULONG)left : UINT32_MAX, &filled,
                                        &required);
        *size += filled;
    } while (status == STATUS_BUFFER_OVERFLOW);
    VmbChannelSaveEnd(device->channel);
    return status;
}

NTSTATUS host_device_save(struct host_device *device, void *buffer, size_t capacity, size_t *size)
{
    struct saved_device header = {.magic = MAGIC, .version = VERSION};
    uint8_t *bytes = buffer;
    size_t own_size = 0;
    size_t packet_size = 0;

    if (capacity < sizeof(header)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    if (device->type->save != NULL &&
        !device->type->save(device, bytes + sizeof(header), capacity - sizeof(header), &own_size)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    const size_t own_end = sizeof(header) + padded(own_size);
    if (own_end > capacity) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    memset(bytes + sizeof(header) + own_size, 0, padded(own_size) - own_size);
    const NTSTATUS status = save_packets(device, bytes + own_end, capacity - own_end, &packet_size);
    header.own_size = own_size;
    header.packet_size = packet_size;
    memcpy(bytes, &header, sizeof(header));
    *size = own_end + packet_size;
    return status;
}

NTSTATUS host_device_restore(struct host_device *device, const void *bytes, size_t size)
{
    struct saved_device header;

    if (size < sizeof(header)) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    memcpy(&header, bytes, sizeof(header));
    if (header.magic != MAGIC) {
        return STATUS_INVALID_SIGNATURE;
    }
    if (header.version != VERSION) {
        return STATUS_REVISION_MISMATCH;
    }
    const size_t rest = size - sizeof(header);
    if (header.own_size > rest || padded((size_t)header.own_size) > rest ||
        header.packet_size != rest - padded((size_t)header.own_size) ||
        header.packet_size > UINT32_MAX) {
        return STATUS_INVALID_BUFFER_SIZE;
    }
    const uint8_t *own = (const uint8_t *)bytes + sizeof(header);
    if (device->type->restore != NULL ? !device->type->restore(device, own, (size_t)header.own_size)
                                      : header.own_size != 0) {
        return STATUS_OBJECT_TYPE_MISMATCH;
    }
    const uint8_t *packets = own + padded((size_t)header.own_size);
    return VmbChannelRestoreFromBuffer(device->channel, (PVOID)(uintptr_t)packets,
                                       (ULONG)header.packet_size);
}

NTSTATUS host_save_no_packet(VMBCHANNEL channel, VMBPACKET packet, PVOID buffer, UINT32 size,
                             PUINT32 needed)
{
    (void)channel;
    (void)packet;
    (void)buffer;
    (void)size;
    *needed = 0;
    return STATUS_SUCCESS;
}

bool host_save_state(const void *state, size_t state_size, void *buffer, size_t capacity,
                     size_t *size)
{
    *size = state_size;
    if (capacity < state_size) {
        return false;
    }
    memcpy(buffer, state, state_size);
    return true;
}

bool host_restore_state(void *state, size_t state_size, const void *bytes, size_t size)
{
    if (size != state_size) {
        return false;
    }
    memcpy(state, bytes, size);
    return true;
}
