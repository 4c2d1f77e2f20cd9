/* SPDX-License-Identifier: MIT */
#ifndef HOST_INTEGRATION_H
#define HOST_INTEGRATION_H

/*
 * What the host's ends of the integration services share: framing, the negotiation of versions, one
 * request at a time, and what is wrong with an answer. The host negotiates each time the guest
 * opens the channel, and after a restore.
 *
 * A guest whose answer is none costs itself this channel: nothing more is read until it has closed
 * and opened it again. One that does not answer is said once, and waited for.
 */

#include "drivers/integration/integration_protocol.h"
#include "kernel/clock.h"
#include "tests/host/device.h"

#define HOST_INTEGRATION_VERSIONS 4u

struct host_integration;

struct host_integration_service {
    enum integration_message_type type;
    UINT32 message_size;                                            /* of the longest */
    struct integration_version versions[HOST_INTEGRATION_VERSIONS]; /* offered; to 0.0 */

    /* A version was agreed on. May be NULL. At most DISPATCH. */
    void (*negotiated)(struct host_integration *integration);

    /* The answer to host_integration_request(); its body, of `size` bytes as the guest says,
     * checked to be there. False: it is none, and fails the channel. At most DISPATCH. */
    bool (*answered)(struct host_integration *integration, UINT32 status, const void *body,
                     UINT32 size);

    /* integration->timer, the service's to arm, expired. NULL: the service has no pace of its own,
     * and no option interval=. At DISPATCH. */
    void (*due)(struct host_integration *integration);
    UINT32 interval_milliseconds; /* unless the option says another */
};

enum host_integration_state {
    HOST_INTEGRATION_CLOSED,      /* the guest has not opened it */
    HOST_INTEGRATION_NEGOTIATING, /* versions are offered */
    HOST_INTEGRATION_IDLE,        /* a version is agreed on */
    HOST_INTEGRATION_ASKED,       /* a request is under way */
    HOST_INTEGRATION_FAILED,      /* the guest broke the protocol or knows no version of ours */
    HOST_INTEGRATION_STATES,
};

/* Each service's structure begins with it. */
struct host_integration {
    struct host_device device;
    const struct host_integration_service *service;
    enum host_integration_state state;
    struct integration_version framework;
    struct integration_version version;
    /* What is offered: the newest is option version=MAJOR.MINOR, if that is given. */
    struct integration_version limit;
    UINT8 transaction_id;
    UINT16 asked_type;
    UINT64 asked_at; /* clock_now() */
    struct timer limit_timer;
    struct timer timer; /* for service->due; cancelled when the channel closes */
    UINT64 interval;    /* 100 ns units */
    UINT64 malformed;
    UINT64 unexpected;
    UINT8 *buffer; /* of one message */
};

/* The option that each service has, for the tables: see host_integration_create(). */
#define HOST_INTEGRATION_OPTIONS                                                                   \
    {                                                                                              \
        "version", "MAJOR.MINOR", "newest message version that is offered"                         \
    }

/* For the type's create(): the channel, with all that is shared. `service` must stay. */
bool host_integration_create(struct host_device *device,
                             const struct host_integration_service *service, const char *options,
                             const struct host_output *errors);

/* For the type's destroy(). */
void host_integration_destroy(struct host_device *device);

static inline struct host_integration *host_integration_of(struct host_device *device)
{
    return (struct host_integration *)(void *)device;
}

/* Whether host_integration_request() may be called. */
static inline bool host_integration_is_idle(const struct host_integration *integration)
{
    return integration->state == HOST_INTEGRATION_IDLE;
}

/* Sends a request of the service; idle. At most DISPATCH. False: it could not be sent. */
bool host_integration_request(struct host_integration *integration, const void *body, UINT32 size);

/* Says in a reply why a command cannot be carried out now: not idle. */
void host_integration_refuse(const struct host_integration *integration,
                             const struct host_output *reply);

/* "state=negotiated version=3.0 framework=3.0 malformed=0 unexpected=0" */
void host_integration_print(const struct host_integration *integration,
                            const struct host_output *reply);

const char *host_integration_state_name(enum host_integration_state state);

#endif
