/* SPDX-License-Identifier: MIT */
#include "numbered_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

VMBPACKET numbered_packet(VMBCHANNEL channel, PFN_VMB_PACKET_COMPLETION_ROUTINE done,
                          unsigned long long number)
{
    VMBPACKET packet = VmbPacketAllocate(channel);

    assert_non_null(packet);
    VmbPacketSetCompletionRoutine(packet, done);
    VmbPacketSetPointer(packet, (void *)(uintptr_t)number);
    return packet;
}

NTSTATUS numbered_send(VMBPACKET packet, unsigned long long number, UINT32 length, UINT32 flags)
{
    UINT8 bytes[4096];

    assert_true(length <= sizeof(bytes));
    memset(bytes, (int)number, sizeof(bytes));
    memcpy(bytes, &number, sizeof(number));
    NTSTATUS status = VmbPacketSend(packet, bytes, length, NULL, flags);
    if (status != STATUS_SUCCESS) {
        VmbPacketFree(packet);
    }
    return status;
}
