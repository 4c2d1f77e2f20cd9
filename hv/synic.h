/* SPDX-License-Identifier: MIT */
#ifndef HV_SYNIC_H
#define HV_SYNIC_H

#include <stdbool.h>
#include <stdint.h>

#include "hv/hypercall.h"

/* The SINT that hosts use for VMBus messages and events. */
#define HV_SYNIC_SINT_VMBUS  2u
/* Event flags of one SINT. */
#define HV_EVENT_FLAGS_COUNT 2048u

/* A message after it was copied out of its slot: private memory, `size` clamped to the payload. */
struct hv_message {
    uint32_t type;
    uint32_t size;
    uint8_t payload[HV_MESSAGE_PAYLOAD_MAXIMUM];
};

/* The one user of the VMBus SINT. */
struct hv_synic_client {
    /* In order of arrival; `message` is valid for the call. IRQL_DISPATCH. */
    void (*message)(void *context, const struct hv_message *message);
    /* Flag 1 to HV_EVENT_FLAGS_COUNT - 1. IRQL_DEVICE. */
    void (*event)(void *context, uint32_t flag);
    void *context;
};

/* Whether this processor's SynIC is up. Any IRQL. */
bool hv_synic_available(void);

/* Attaches the client; the structure stays the caller's and must stay valid. False: there is no
 * SynIC, or it is taken. IRQL_PASSIVE. */
bool hv_synic_attach(const struct hv_synic_client *client);

/* After it returns no callback of the client runs any more. IRQL_PASSIVE. */
void hv_synic_detach(const struct hv_synic_client *client);

#endif
