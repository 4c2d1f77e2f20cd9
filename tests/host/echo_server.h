/* SPDX-License-Identifier: MIT */
#ifndef ECHO_SERVER_H
#define ECHO_SERVER_H

#include "drivers/echo/echo_protocol.h"

/* The server's device: one channel, offered to one guest. All of it PASSIVE. */
struct echo_server {
    VMBCHANNEL channel;
    BOOLEAN is_open;
    UINT32 echoed;    /* requests answered */
    UINT32 malformed; /* requests that were not of this protocol */
};

/* Makes the channel, Disabled, for a host that restores before it offers. STATUS_SUCCESS, or what
 * the first call that failed returned: then nothing is left to undo. */
NTSTATUS echo_server_create(struct echo_server *server, HANDLE bus, GUID instance);

/* Offers the device on a bus. Returns as echo_server_create(). */
NTSTATUS echo_server_start(struct echo_server *server, HANDLE bus, GUID instance);

/* Takes it back. */
VOID echo_server_stop(struct echo_server *server);

#endif
