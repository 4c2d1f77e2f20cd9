/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_INTEGRATION_INTEGRATION_H
#define DRIVERS_INTEGRATION_INTEGRATION_H

/*
 * What the drivers of the integration services share: the channel's life, framing, and the
 * negotiation of versions. A driver describes its service and answers requests.
 *
 * One request at a time is in the guest's hands; further ones stay in the ring. So whatever a host
 * sends costs one message of memory, and an answer for which the ring has no room waits without
 * being lost.
 */

#include <stdbool.h>
#include <stdint.h>

#include "VmbusKernelModeClientLibApi.h"
#include "drivers/integration/integration_protocol.h"
#include "drivers/reopen/reopen.h"

#define INTEGRATION_SERVICE_VERSIONS 4u

struct integration_device;

struct integration_service {
    const char *name; /* for the console */
    GUID device_class;
    enum integration_message_type type;
    uint32_t body_size_minimum; /* shorter requests are refused */
    uint32_t message_size;      /* header and body of the longest, bytes; longer ones are dropped */
    /* Message versions that the driver speaks, newest first; the end is 0.0. */
    struct integration_version versions[INTEGRATION_SERVICE_VERSIONS];

    /*
     * Answers a request in place: `body` is `size` bytes that were checked against nothing but
     * body_size_minimum, at a multiple of 4. Returns the status that goes back, or
     * INTEGRATION_ANSWER_LATER: integration_answer() follows. At most DISPATCH.
     */
    uint32_t (*request)(struct integration_device *device, void *body, uint32_t size);

    /* A version was agreed on, perhaps not for the first time: what was under way is over. May be
     * NULL. At most DISPATCH. */
    void (*negotiated)(struct integration_device *device);

    /* The channel is going away, and with it a request that was not answered. May be NULL.
     * PASSIVE. */
    void (*closing)(struct integration_device *device);
};

/* No HRESULT that goes over the wire: a success, of a facility that does not exist. */
#define INTEGRATION_ANSWER_LATER UINT32_C(0x7fffffff)

enum integration_state {
    INTEGRATION_STOPPED,    /* not started, or ended for good */
    INTEGRATION_WAITING,    /* for the host to offer the device, or for its channel to open */
    INTEGRATION_OPEN,       /* for the host to negotiate */
    INTEGRATION_NEGOTIATED, /* a version is agreed on */
    INTEGRATION_FAILED,     /* the host broke the channel, or it does not open: it stays closed */
    INTEGRATION_STATES,
};

/* Counted since start. */
struct integration_statistics {
    uint64_t requests;     /* of the service, answered in whatever way */
    uint64_t refused;      /* of these, with a failing status */
    uint64_t negotiations; /* that ended in a version */
    uint64_t malformed;    /* dropped, or refused for their form */
    uint64_t opened;       /* times the channel opened */
};

/* The driver's memory; all zero before integration_start(). */
struct integration_device {
    const struct integration_service *service;
    struct integration_device *next; /* of all that were started */
    enum integration_state state;
    struct integration_version framework;
    struct integration_version version; /* of messages */
    struct integration_statistics statistics;
    VMBCHANNEL channel;
    struct reopen reopen;
    VMBPACKET answer;            /* one, for all answers */
    VMBPACKETCOMPLETION request; /* in our hands, or NULL */
    uint8_t *message;            /* of that request */
    uint32_t length;
    bool answering; /* the answer waits for room in the ring */
    bool malformed_reported;
};

/* Lets the service look for its device. Both structures must stay until integration_end(). What
 * goes wrong is said, and leaves the device stopped. PASSIVE. */
void integration_start(struct integration_device *device,
                       const struct integration_service *service);

/* Ends all services; by itself when the guest ends. PASSIVE. */
void integration_end(void);

/* Answers the request for which INTEGRATION_ANSWER_LATER was returned, if it is still there: a
 * channel that closed has taken it along. At most DISPATCH. */
void integration_answer(struct integration_device *device, uint32_t status);

/* A printable name. Never NULL. Any IRQL. */
const char *integration_state_name(enum integration_state state);

/* A line a service to the console. PASSIVE. */
void integration_report(void);

#endif
