/* SPDX-License-Identifier: MIT */
#include "vmbus/offers.h"

#include <string.h>

#include "kernel/clock.h"
#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/connection.h"

/* ---- the table ---- */

struct vmbus_channel *vmbus_channel_by_relid(uint32_t relid)
{
    return atomic_load_explicit(&vmbus_bus.channels[relid], memory_order_acquire);
}

static void table_set(uint32_t relid, struct vmbus_channel *channel)
{
    atomic_store_explicit(&vmbus_bus.channels[relid], channel, memory_order_release);
}

struct vmbus_channel *vmbus_channel_next(uint32_t relid)
{
    struct vmbus_channel *channel = NULL;
    enum irql previous = vmbus_lock();

    for (; relid < VMBUS_RELID_END && channel == NULL; relid++) {
        channel = vmbus_channel_by_relid(relid);
    }
    if (channel != NULL) {
        channel->references++;
    }
    vmbus_unlock(previous);
    return channel;
}

void vmbus_channel_put(struct vmbus_channel *channel)
{
    enum irql previous = vmbus_lock();
    bool last = --channel->references == 0;

    vmbus_unlock(previous);
    if (last) {
        memory_free(channel);
    }
}

/* The channel of a device that still stands, by its identity. Under the lock. */
static struct vmbus_channel *find(const struct vmbus_guid *type, const struct vmbus_guid *instance,
                                  uint16_t sub_channel_index)
{
    for (uint32_t relid = VMBUS_RELID_FIRST; relid < VMBUS_RELID_END; relid++) {
        struct vmbus_channel *channel = vmbus_channel_by_relid(relid);
        if (channel != NULL && !vmbus_channel_lost(channel) &&
            channel->offer.sub_channel_index == sub_channel_index &&
            vmbus_guid_equal(&channel->offer.interface_type, type) &&
            vmbus_guid_equal(&channel->offer.interface_instance, instance)) {
            return channel;
        }
    }
    return NULL;
}

/* ---- listeners ---- */

/* At DISPATCH, without the lock. */
static void tell(struct vmbus_offer_listener *listener, struct vmbus_channel *channel)
{
    if (!vmbus_channel_lost(channel)) {
        listener->offered(listener->context, channel);
    }
}

void vmbus_offer_listener_add(struct vmbus_offer_listener *listener)
{
    struct vmbus_channel *channel;
    /* New offers are handled at this level, so none comes between the list and the walk. */
    enum irql previous = irql_raise_to_dispatch();
    enum irql inner = vmbus_lock();

    listener->next = vmbus_bus.listeners;
    vmbus_bus.listeners = listener;
    vmbus_unlock(inner);
    for (uint32_t relid = 0; (channel = vmbus_channel_next(relid)) != NULL;) {
        relid = channel->offer.relid + 1;
        tell(listener, channel);
        vmbus_channel_put(channel);
    }
    irql_lower(previous);
}

void vmbus_offer_listener_remove(struct vmbus_offer_listener *listener)
{
    enum irql previous = vmbus_lock();

    for (struct vmbus_offer_listener **link = &vmbus_bus.listeners; *link != NULL;
         link = &(*link)->next) {
        if (*link == listener) {
            *link = listener->next;
            break;
        }
    }
    vmbus_unlock(previous);
}

/* ---- offers ---- */

enum refusal {
    ACCEPTED,
    REFUSED_RELID,
    REFUSED_RELID_IN_USE,
    REFUSED_MONITOR,
    REFUSED_DUPLICATE,
    REFUSED_NO_PRIMARY,
    REFUSED_NO_MEMORY,
};

static void report_refusal(enum refusal refusal, const struct vmbus_message_offer_channel *message)
{
    static const char *const reasons[] = {
        [REFUSED_RELID] = "channel id out of range",
        [REFUSED_RELID_IN_USE] = "channel id in use",
        [REFUSED_MONITOR] = "monitor id out of range",
        [REFUSED_DUPLICATE] = "device exists",
        [REFUSED_NO_PRIMARY] = "sub-channel of no device",
        [REFUSED_NO_MEMORY] = "no memory",
    };

    vmbus_bus.statistics.offers_refused++;
    if ((vmbus_bus.offers_reported & 1u << refusal) == 0) {
        vmbus_bus.offers_reported |= 1u << refusal;
        log_warning("vmbus", "offer refused: %s (channel %u, index %u, monitor %u)",
                    reasons[refusal], (unsigned)message->relid,
                    (unsigned)message->sub_channel_index, (unsigned)message->monitor_id);
    }
}

/* Everything that can be said of an offer without the channels that stand. */
static enum refusal check_fields(const struct vmbus_message_offer_channel *message)
{
    if (message->relid < VMBUS_RELID_FIRST || message->relid >= VMBUS_RELID_END) {
        return REFUSED_RELID;
    }
    if ((message->monitor_allocated & VMBUS_OFFER_MONITOR_ALLOCATED) != 0 &&
        message->monitor_id >= VMBUS_MONITOR_ID_END) {
        return REFUSED_MONITOR;
    }
    return ACCEPTED;
}

/* And against them. Under the lock. */
static enum refusal check_identity(const struct vmbus_message_offer_channel *message)
{
    if (vmbus_channel_by_relid(message->relid) != NULL) {
        return REFUSED_RELID_IN_USE;
    }
    if (find(&message->interface_type, &message->interface_instance, message->sub_channel_index) !=
        NULL) {
        return REFUSED_DUPLICATE;
    }
    if (message->sub_channel_index != 0 &&
        find(&message->interface_type, &message->interface_instance, 0) == NULL) {
        return REFUSED_NO_PRIMARY;
    }
    return ACCEPTED;
}

static struct vmbus_channel *channel_new(const struct vmbus_message_offer_channel *message)
{
    struct vmbus_channel *channel = memory_allocate(sizeof(*channel));

    if (channel == NULL) {
        return NULL;
    }
    channel->references = 2; /* the table's and the caller's */
    vmbus_channel_initialise(channel);

    struct vmbus_offer *offer = &channel->offer;
    offer->interface_type = message->interface_type;
    offer->interface_instance = message->interface_instance;
    offer->relid = message->relid;
    offer->connection_id = message->connection_id;
    /* Three of the flags mean something only with features that nobody negotiated. */
    offer->flags = message->flags & (uint16_t) ~(VMBUS_OFFER_FLAG_CONFIDENTIAL_RING |
                                                 VMBUS_OFFER_FLAG_CONFIDENTIAL_MEMORY |
                                                 VMBUS_OFFER_FLAG_PINNED_MEMORY);
    offer->mmio_megabytes = message->mmio_megabytes;
    offer->mmio_megabytes_optional = message->mmio_megabytes_optional;
    offer->sub_channel_index = message->sub_channel_index;
    offer->monitor_id = message->monitor_id;
    offer->monitor_allocated = (message->monitor_allocated & VMBUS_OFFER_MONITOR_ALLOCATED) != 0;
    offer->dedicated_interrupt =
        (message->dedicated_interrupt & VMBUS_OFFER_DEDICATED_INTERRUPT) != 0;
    memcpy(offer->user_defined, message->user_defined, sizeof(offer->user_defined));
    return channel;
}

bool vmbus_offer_received(const void *message, uint32_t size)
{
    const struct vmbus_message_offer_channel *offer = message;
    struct vmbus_channel *channel = NULL;

    (void)size;
    vmbus_bus.statistics.offers++;
    enum refusal refusal = check_fields(offer);
    if (refusal == ACCEPTED) {
        enum irql previous = vmbus_lock();
        refusal = check_identity(offer);
        if (refusal == ACCEPTED) {
            channel = channel_new(offer);
            if (channel != NULL) {
                table_set(offer->relid, channel);
            } else {
                refusal = REFUSED_NO_MEMORY;
            }
        }
        vmbus_unlock(previous);
    }
    if (refusal != ACCEPTED) {
        report_refusal(refusal, offer);
        return true;
    }
    struct vmbus_offer_listener *next;
    for (struct vmbus_offer_listener *listener = vmbus_bus.listeners; listener != NULL;
         listener = next) {
        next = listener->next; /* it may take itself off the list */
        tell(listener, channel);
    }
    vmbus_channel_put(channel);
    return true;
}

bool vmbus_all_offers_received(const void *message, uint32_t size)
{
    bool expected = !event_is_set(&vmbus_bus.offers_delivered);

    (void)message;
    (void)size;
    event_set(&vmbus_bus.offers_delivered);
    return expected;
}

/* ---- rescinds ---- */

/* Releases the rescinded channels that nobody claimed. IRQL_PASSIVE. */
static void release_unclaimed(void *context)
{
    struct vmbus_channel *channel;

    (void)context;
    for (uint32_t relid = 0; (channel = vmbus_channel_next(relid)) != NULL;) {
        relid = channel->offer.relid + 1;
        if (channel->owner == NULL && vmbus_channel_lost(channel)) {
            (void)vmbus_channel_release(channel);
        }
        vmbus_channel_put(channel);
    }
}

static struct work_item release_work = {.run = release_unclaimed};

/* The owner of a channel just lost hears of it. At DISPATCH, without the lock. */
static void tell_owner(struct vmbus_channel *channel)
{
    const struct vmbus_channel_owner *owner = channel->owner;

    if (owner != NULL) {
        owner->rescinded(owner->context);
    }
}

bool vmbus_rescind_received(const void *message, uint32_t size)
{
    struct vmbus_message_relid rescind;
    struct vmbus_channel *channel = NULL;

    (void)size;
    memcpy(&rescind, message, sizeof(rescind));
    enum irql previous = vmbus_lock();
    if (rescind.relid < VMBUS_RELID_END) {
        channel = vmbus_channel_by_relid(rescind.relid);
    }
    bool news = channel != NULL && vmbus_channel_lose(channel);
    if (news) {
        vmbus_bus.statistics.rescinds++;
        channel->references++;
    }
    vmbus_unlock(previous);
    if (!news) {
        return false;
    }
    if (channel->owner == NULL) {
        passive_work_queue(&release_work);
    }
    tell_owner(channel);
    vmbus_channel_put(channel);
    return true;
}

bool vmbus_channel_release(struct vmbus_channel *channel)
{
    const struct vmbus_message_relid released = {
        .header = {.type = VMBUS_MESSAGE_RELID_RELEASED},
        .relid = channel->offer.relid,
    };
    enum vmbus_status status = VMBUS_UNAVAILABLE;
    enum irql previous = vmbus_lock();
    bool standing = vmbus_channel_by_relid(released.relid) == channel;

    if (standing) {
        /* Gone from here before the host hears it: the number may come back at once. */
        table_set(released.relid, NULL);
        vmbus_channel_transition(channel, VMBUS_CHANNEL_RELEASED);
    }
    vmbus_unlock(previous);
    if (standing) {
        status = vmbus_post(&released, sizeof(released), clock_after(VMBUS_ANSWER_LIMIT));
        if (status == VMBUS_POST_FAILED) {
            log_warning("vmbus", "channel %u: its number cannot be given back",
                        (unsigned)released.relid);
        }
    }
    /* A host drops the GPADLs of a channel with its number, or all with the connection. */
    bool given_back =
        status == VMBUS_OK || (status == VMBUS_UNAVAILABLE && vmbus_connection_gave_memory_back());
    vmbus_channel_free_rings(channel, given_back);
    if (standing) {
        vmbus_channel_put(channel);
    }
    return given_back;
}

void vmbus_offers_end(void)
{
    struct vmbus_channel *channel;

    (void)passive_work_cancel(&release_work);
    for (uint32_t relid = 0; (channel = vmbus_channel_next(relid)) != NULL;) {
        enum irql previous = vmbus_lock();
        relid = channel->offer.relid;
        table_set(relid, NULL);
        bool news = vmbus_channel_lose(channel);
        vmbus_channel_transition(channel, VMBUS_CHANNEL_RELEASED);
        channel->references--; /* the table's; not the last */
        vmbus_unlock(previous);

        vmbus_channel_stop_events(channel);
        previous = irql_raise_to_dispatch();
        if (news) {
            tell_owner(channel);
        }
        irql_lower(previous);
        vmbus_channel_put(channel);
    }
}
