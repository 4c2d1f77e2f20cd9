/* SPDX-License-Identifier: MIT */
#ifndef KMCL_INTERFACE_H
#define KMCL_INTERFACE_H

#include "VmbusKernelModeClientLibApi.h"

/* What KmclQueryClientInterface() hands out, and what the server's table begins with. */
extern const KMCL_CLIENT_INTERFACE_V1 kmcl_client_interface;

#endif
