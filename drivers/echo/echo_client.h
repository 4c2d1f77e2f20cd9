/* SPDX-License-Identifier: MIT */
#ifndef ECHO_CLIENT_H
#define ECHO_CLIENT_H

#include "drivers/echo/echo_protocol.h"

/* The client's device: one channel. All of it PASSIVE. */
struct echo_client {
    VMBCHANNEL channel;
    UINT32 sequence;
    BOOLEAN is_ready; /* between EvtChannelPostStarted and EvtChannelSuspend */
};

/* Makes the channel and lets it look for its device. STATUS_SUCCESS, or what the first call that
 * failed returned: then nothing is left to undo. */
NTSTATUS echo_client_start(struct echo_client *client);

/* Ends it. Packets under way are completed first. */
VOID echo_client_stop(struct echo_client *client);

/*
 * Sends `length` bytes and waits, at most 1 s, until they come back into `answer`, as large.
 * STATUS_INVALID_PARAMETER too long; STATUS_UNSUCCESSFUL what came back is no answer to it;
 * otherwise as VmbChannelSendSynchronousRequest().
 */
NTSTATUS echo_client_exchange(struct echo_client *client, const void *data, UINT32 length,
                              void *answer);

#endif
