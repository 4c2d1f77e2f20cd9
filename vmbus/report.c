/* SPDX-License-Identifier: MIT */

/* The bus in words. */

#include "kernel/log.h"
#include "vmbus/channel.h"
#include "vmbus/connection.h"
#include "vmbus/offers.h"

#define NAME(names, index)                                                                         \
    ((size_t)(index) < sizeof(names) / sizeof((names)[0]) ? (names)[index] : "?")

const char *vmbus_status_name(enum vmbus_status status)
{
    static const char *const names[] = {
        [VMBUS_OK] = "ok",
        [VMBUS_UNAVAILABLE] = "not available",
        [VMBUS_REFUSED] = "refused by the host",
        [VMBUS_NO_ANSWER] = "no answer",
        [VMBUS_RESCINDED] = "rescinded",
        [VMBUS_NO_MEMORY] = "no memory",
        [VMBUS_BAD_STATE] = "bad state",
        [VMBUS_BAD_ARGUMENT] = "bad argument",
        [VMBUS_POST_FAILED] = "message not taken",
    };

    return NAME(names, status);
}

const char *vmbus_connection_state_name(enum vmbus_connection_state state)
{
    static const char *const names[] = {
        [VMBUS_DISCONNECTED] = "disconnected",
        [VMBUS_CONNECTING] = "connecting",
        [VMBUS_CONNECTED] = "connected",
        [VMBUS_UNLOADING] = "unloading",
        [VMBUS_FAILED] = "failed",
    };

    return NAME(names, state);
}

const char *vmbus_channel_state_name(enum vmbus_channel_state state)
{
    static const char *const names[] = {
        [VMBUS_CHANNEL_OFFERED] = "offered",
        [VMBUS_CHANNEL_GPADL_PENDING] = "gpadl pending",
        [VMBUS_CHANNEL_GPADL_READY] = "gpadl ready",
        [VMBUS_CHANNEL_OPENING] = "opening",
        [VMBUS_CHANNEL_OPEN] = "open",
        [VMBUS_CHANNEL_CLOSING] = "closing",
        [VMBUS_CHANNEL_RELEASED] = "released",
    };

    return NAME(names, state);
}

static void report_channel(struct vmbus_channel *channel)
{
    const struct vmbus_offer *offer = &channel->offer;
    bool open = channel->state == VMBUS_CHANNEL_OPEN;
    char instance[VMBUS_GUID_TEXT_SIZE];

    vmbus_guid_format(&offer->interface_instance, instance);
    log_info("vmbus", "%4u.%u %-15s %s rings %u+%u KiB, %s%s", (unsigned)offer->relid,
             (unsigned)offer->sub_channel_index, vmbus_class_name(&offer->interface_type), instance,
             open ? (unsigned)channel->outgoing.size / 1024 : 0,
             open ? (unsigned)channel->incoming.size / 1024 : 0,
             vmbus_channel_state_name(channel->state),
             vmbus_channel_is_rescinded(channel) ? ", rescinded" : "");
}

void vmbus_report(void)
{
    struct vmbus_channel *channel;

    log_info("vmbus", "%s, version %u.%u", vmbus_connection_state_name(vmbus_bus.state),
             (unsigned)(vmbus_version() >> 16), (unsigned)(vmbus_version() & 0xFFFF));
    for (uint32_t relid = 0; (channel = vmbus_channel_next(relid)) != NULL;) {
        relid = channel->offer.relid + 1;
        report_channel(channel);
        vmbus_channel_put(channel);
    }
}
