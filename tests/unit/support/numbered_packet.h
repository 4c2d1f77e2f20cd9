/* SPDX-License-Identifier: MIT */
#ifndef TESTS_NUMBERED_PACKET_H
#define TESTS_NUMBERED_PACKET_H

/* Packets of KMCL that a test knows again by a number: it is their pointer, and what they send. */

#include "VmbusKernelModeClientLibApi.h"

VMBPACKET numbered_packet(VMBCHANNEL channel, PFN_VMB_PACKET_COMPLETION_ROUTINE done,
                          unsigned long long number);

/* Sends the number, followed by bytes that repeat its lowest one, in `length` bytes. A packet that
 * is refused is freed. */
NTSTATUS numbered_send(VMBPACKET packet, unsigned long long number, UINT32 length, UINT32 flags);

#endif
