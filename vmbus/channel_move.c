/* SPDX-License-Identifier: MIT */
/*
 * Moves the events of an open channel to another virtual processor. In a file of its own, and its
 * answer's handler outside of the table, so that guests which do not ask have none of it.
 *
 * Rules: Linux drivers/hv/channel.c and OpenVMM vmbus_server: for open channels only, from 4.1 on;
 * answered from 5.3 on, one request a channel at a time.
 */

#include <string.h>

#include "kernel/clock.h"
#include "vmbus/channel.h"
#include "vmbus/connection.h"
#include "vmbus/offers.h"

/* Gets every message without a handler of its own, so it looks at the type before anything else. */
static bool answered(const void *message, uint32_t size)
{
    struct vmbus_message_modify_channel_response response;
    struct vmbus_channel *channel = NULL;

    (void)size;
    memcpy(&response.header, message, sizeof(response.header));
    if (response.header.type != VMBUS_MESSAGE_MODIFY_CHANNEL_RESPONSE) {
        return false;
    }
    memcpy(&response, message, sizeof(response));
    enum irql previous = vmbus_lock();
    if (response.relid < VMBUS_RELID_END) {
        channel = vmbus_channel_by_relid(response.relid);
    }
    bool expected = channel != NULL && channel->move_pending;
    if (expected) {
        channel->move_pending = false;
        channel->move_status = response.status;
    }
    vmbus_unlock(previous);
    return expected;
}

static bool is_over(void *context)
{
    struct vmbus_channel *channel = context;
    enum irql previous = vmbus_lock();
    bool over = !channel->move_pending || vmbus_channel_lost(channel);

    vmbus_unlock(previous);
    return over;
}

/* Why it cannot be asked for now, or VMBUS_OK. Under the lock. */
static enum vmbus_status check(const struct vmbus_channel *channel, uint32_t target_vp)
{
    return target_vp == UINT32_MAX                 ? VMBUS_BAD_ARGUMENT
           : vmbus_channel_lost(channel)           ? VMBUS_RESCINDED
           : channel->state != VMBUS_CHANNEL_OPEN  ? VMBUS_BAD_STATE
           : vmbus_bus.version < VMBUS_VERSION_4_1 ? VMBUS_UNAVAILABLE
           : channel->move_pending                 ? VMBUS_BAD_STATE
                                                   : VMBUS_OK;
}

/* What came of a request that is answered. Under the lock. */
static enum vmbus_status result(const struct vmbus_channel *channel)
{
    return vmbus_channel_lost(channel) ? VMBUS_RESCINDED
           : channel->move_pending     ? VMBUS_NO_ANSWER
           : channel->move_status != 0 ? VMBUS_REFUSED
                                       : VMBUS_OK;
}

enum vmbus_status vmbus_channel_move(struct vmbus_channel *channel, uint32_t target_vp)
{
    const uint64_t deadline = clock_after(VMBUS_ANSWER_LIMIT);
    const struct vmbus_message_modify_channel modify = {
        .header = {.type = VMBUS_MESSAGE_MODIFY_CHANNEL},
        .relid = channel->offer.relid,
        .target_vp = target_vp,
    };
    enum irql previous = vmbus_lock();
    enum vmbus_status status = check(channel, target_vp);
    const bool is_answered = vmbus_bus.version >= VMBUS_VERSION_5_3;

    if (status == VMBUS_OK) {
        vmbus_bus.rare_answer = answered;
        channel->move_pending = is_answered;
        channel->move_status = 0;
        channel->references++; /* it may go while this waits */
    }
    vmbus_unlock(previous);
    if (status != VMBUS_OK) {
        return status;
    }
    status = vmbus_post(&modify, sizeof(modify), deadline);
    if (status == VMBUS_OK && is_answered) {
        (void)wait_until(is_over, channel, deadline);
    }
    previous = vmbus_lock();
    if (status == VMBUS_OK) {
        status = result(channel);
    } else {
        channel->move_pending = false; /* the host never heard of it */
    }
    vmbus_unlock(previous);
    vmbus_channel_put(channel);
    return status;
}
