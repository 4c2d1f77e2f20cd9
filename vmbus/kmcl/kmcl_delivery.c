/* SPDX-License-Identifier: MIT */
/* What a driver does with a packet that was delivered to it. */

#include "vmbus/kmcl/kmcl.h"

static uint32_t state_of(struct kmcl_incoming *incoming)
{
    return atomic_load_explicit(&incoming->state, memory_order_relaxed);
}

void kmcl_require_delivered(struct kmcl_incoming *incoming, const char *function)
{
    kmcl_require(incoming, function);
    if (state_of(incoming) != INCOMING_DELIVERING && state_of(incoming) != INCOMING_OWNED) {
        kmcl_misuse(function, "the packet is not the driver's");
    }
}

static void set_state(struct kmcl_incoming *incoming, uint32_t state)
{
    atomic_store_explicit(&incoming->state, state, memory_order_relaxed);
}

void kmcl_external_release(struct kmcl_incoming *incoming)
{
    if (incoming->external != NULL) {
        incoming->channel->role->external_unmap(incoming);
    }
}

/* One packet less is owed. Lock held. Returns whether the drain is to be started. */
static bool count_down(struct kmcl_channel *channel)
{
    const uint32_t word = kmcl_intake_word(channel) - 1;
    const uint32_t left = word & ~INTAKE_ENDS;

    kmcl_intake_word_set(channel, word);
    if (left == 0 && channel->state == KMCL_SUSPENDING) {
        passive_work_queue(&channel->state_work);
    }
    if (channel->intake == INTAKE_BLOCKED &&
        left < atomic_load_explicit(&channel->quota, memory_order_relaxed)) {
        channel->intake = INTAKE_IDLE;
        return true;
    }
    return false;
}

/* Not inside the callback, or there is something to answer or to unmap. */
static __attribute__((noinline)) void complete(struct kmcl_incoming *incoming, PVOID buffer,
                                               UINT32 length)
{
    struct kmcl_channel *channel = incoming->channel;
    struct ring_packet_out *wire = &incoming->reply.wire;
    struct kmcl_followup followup;
    bool waits = false;
    bool restart = false;

    if (length > channel->packet_size && kmcl_reply_is_wanted(incoming)) {
        kmcl_warn(channel, "a completion is cut to the maximum packet size from", length);
        length = channel->packet_size;
    }
    kmcl_require_delivered(incoming, "VmbChannelPacketComplete");
    kmcl_external_release(incoming);
    kmcl_followup_begin(&followup);
    enum irql level = spin_lock_acquire(&channel->lock);
    const bool was_owned = state_of(incoming) == INCOMING_OWNED;
    if (kmcl_reply_is_wanted(incoming)) {
        wire->transaction_id = incoming->packet.transaction_id;
        wire->type = RING_PACKET_COMPLETION;
        wire->flags = 0;
        wire->extension_length = 0;
        wire->head_length = 0;
        wire->payload_length = buffer != NULL ? length : 0;
        wire->payload = buffer;
        set_state(incoming, INCOMING_REPLYING);
        waits = kmcl_queue_reply(channel, incoming, &followup);
    }
    if (!waits) {
        kmcl_incoming_recycle(channel, incoming);
    }
    if (was_owned) {
        restart = count_down(channel);
    }
    spin_lock_release(&channel->lock, level);
    kmcl_followup_run(channel, &followup);
    if (restart) {
        channel->role->kick(channel);
    }
}

VOID VmbChannelPacketComplete(VMBPACKETCOMPLETION PacketCompletionContext,
                              PVOID PacketCompletionBuffer, UINT32 BufSize)
{
    struct kmcl_incoming *incoming = kmcl_incoming_of(PacketCompletionContext);
    uint32_t state = INCOMING_DELIVERING;

    kmcl_require(incoming, __func__);
    /* Inside the callback, and nothing to answer or to unmap: the drain does the rest. */
    if (kmcl_reply_is_wanted(incoming) || incoming->external != NULL ||
        !atomic_compare_exchange_strong_explicit(&incoming->state, &state, INCOMING_RELEASED,
                                                 memory_order_release, memory_order_relaxed)) {
        complete(incoming, PacketCompletionBuffer, BufSize);
    }
}

VOID VmbChannelPacketFail(VMBPACKETCOMPLETION PacketCompletionContext)
{
    struct kmcl_incoming *incoming = kmcl_incoming_of(PacketCompletionContext);

    kmcl_require_delivered(incoming, __func__);
    struct kmcl_channel *channel = incoming->channel;
    const uint64_t id = incoming->packet.transaction_id;
    kmcl_external_release(incoming);
    enum irql level = spin_lock_acquire(&channel->lock);
    kmcl_intake_word_set(channel, kmcl_intake_word(channel) | INTAKE_ENDS_FAILED);
    if (state_of(incoming) == INCOMING_OWNED) {
        (void)count_down(channel);
    }
    kmcl_incoming_recycle(channel, incoming);
    spin_lock_release(&channel->lock, level);
    kmcl_warn(channel, "nothing more is received: the driver failed transaction", id);
}

VOID VmbChannelPacketDeferToPassive(VMBPACKETCOMPLETION PacketCompletionContext)
{
    struct kmcl_incoming *incoming = kmcl_incoming_of(PacketCompletionContext);

    kmcl_require(incoming, __func__);
    /* Inside the callback the state is its caller's alone: no lock. */
    if (state_of(incoming) != INCOMING_DELIVERING) {
        kmcl_misuse(__func__, "called outside of EvtVmbChannelProcessPacket");
    }
    set_state(incoming, INCOMING_DEFERRED);
}

NTSTATUS VmbChannelPacketGetExternalData(VMBPACKETCOMPLETION PacketCompletionContext, UINT32 Flags,
                                         PMDL *Mdl)
{
    struct kmcl_incoming *incoming = kmcl_incoming_of(PacketCompletionContext);
    const bool writable = (Flags & VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAG_READ_ONLY) == 0;
    NTSTATUS status = STATUS_SUCCESS;

    if (Mdl == NULL) {
        return STATUS_INVALID_PARAMETER_3;
    }
    *Mdl = NULL;
    if ((Flags & ~(UINT32)VMBUS_CHANNEL_PACKET_EXTERNAL_DATA_FLAGS) != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    kmcl_require_delivered(incoming, __func__);
    if (kmcl_incoming_flags(incoming) == 0) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (incoming->external == NULL) {
        status = incoming->channel->role->external_map(incoming, writable);
    }
    *Mdl = incoming->external;
    return status;
}

PVOID KmclPacketGetClientContext(VMBPACKETCOMPLETION Packet)
{
    struct kmcl_incoming *incoming = kmcl_incoming_of(Packet);

    kmcl_require(incoming, __func__);
    return incoming->context_size > 0 ? incoming->copy + incoming->capacity : NULL;
}
