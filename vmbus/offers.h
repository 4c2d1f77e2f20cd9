/* SPDX-License-Identifier: MIT */
#ifndef VMBUS_OFFERS_H
#define VMBUS_OFFERS_H

/* The table of channels: offers come in, rescinds take them away. For this folder only. */

#include "vmbus/channel.h"
#include "vmbus/messages.h"

/* The standing channel of this relid, 0 to VMBUS_RELID_END - 1, or NULL. Any IRQL. */
struct vmbus_channel *vmbus_channel_by_relid(uint32_t relid);

/*
 * The first standing channel at or above `relid`, with a reference, or NULL. For walks that must
 * not hold the lock. At or below DISPATCH.
 */
struct vmbus_channel *vmbus_channel_next(uint32_t relid);

/* Drops a reference; the last one frees the channel. At or below DISPATCH. */
void vmbus_channel_put(struct vmbus_channel *channel);

/*
 * Gives a rescinded channel back: out of the table, RELID_RELEASED, once. Does nothing but settle
 * its memory if it is out of the table already. Returns whether what was shared over it is the
 * guest's again. IRQL_PASSIVE.
 */
bool vmbus_channel_release(struct vmbus_channel *channel);

/* The connection ends: takes every channel out of the table and tells its owner. IRQL_PASSIVE. */
void vmbus_offers_end(void);

vmbus_message_handler vmbus_offer_received;
vmbus_message_handler vmbus_all_offers_received;
vmbus_message_handler vmbus_rescind_received;

#endif
