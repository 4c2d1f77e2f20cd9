/* SPDX-License-Identifier: MIT */
/* Packet objects, and the calls that send them. */

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/kmcl/kmcl.h"

/* Choice of ours: slots that the table of a channel with its first packet has. */
#define FIRST_SLOTS 32u

/* ---- objects ---- */

uint32_t kmcl_packet_object_size(const struct kmcl_channel *channel)
{
    return (uint32_t)sizeof(struct kmcl_packet) + channel->header_capacity + KMCL_PIPE_HEADER_SIZE +
           ((channel->packet_size + 7) & ~7u);
}

/*
 * Counts one more packet object, for which the table should have a slot. No memory: it has to wait
 * for one, unless there is none at all, which is the one way to fail.
 */
static bool reserve_slot(struct kmcl_channel *channel)
{
    struct kmcl_transaction_table *table = &channel->transactions;
    enum irql level = spin_lock_acquire(&channel->lock);
    uint32_t capacity = table->capacity;
    bool is_enough = ++channel->slots_wanted <= capacity;

    spin_lock_release(&channel->lock, level);
    if (is_enough || capacity >= KMCL_TRANSACTION_LIMIT) {
        return true;
    }
    capacity = capacity == 0 ? FIRST_SLOTS : 2 * capacity;
    struct kmcl_transaction *slots = memory_allocate((size_t)capacity * sizeof(*slots));
    level = spin_lock_acquire(&channel->lock);
    if (slots != NULL && capacity > table->capacity) {
        slots = kmcl_transaction_grow(table, slots, capacity);
    }
    is_enough = table->capacity > 0;
    channel->slots_wanted -= !is_enough;
    spin_lock_release(&channel->lock, level);
    memory_free(slots);
    return is_enough;
}

static void initialise(struct kmcl_channel *channel, struct kmcl_packet *packet)
{
    memset(packet, 0, sizeof(*packet));
    packet->channel = channel;
    packet->header_capacity = channel->header_capacity;
    packet->payload_capacity = channel->packet_size;
}

/* A new packet's completion routine. */
static VOID free_when_done(VMBPACKET Packet, NTSTATUS Status, PVOID Buffer, UINT32 BufferLength)
{
    (void)Status;
    (void)Buffer;
    (void)BufferLength;
    kmcl_packet_free(kmcl_packet_of(Packet));
}

/* A packet object from the heap. */
static struct kmcl_packet *make(struct kmcl_channel *channel)
{
    struct kmcl_packet *packet = NULL;

    if (reserve_slot(channel)) {
        packet = memory_allocate(kmcl_packet_object_size(channel));
        enum irql level = spin_lock_acquire(&channel->lock);
        channel->packets_live += packet != NULL;
        channel->slots_wanted -= packet == NULL;
        spin_lock_release(&channel->lock, level);
    }
    if (packet != NULL) {
        initialise(channel, packet);
        packet->from_heap = true;
    }
    return packet;
}

struct kmcl_packet *kmcl_packet_allocate(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    struct kmcl_packet *packet = channel->packets_free;

    if (packet != NULL) {
        channel->packets_free = (struct kmcl_packet *)(void *)packet->send.next;
        channel->packets_live++;
    }
    spin_lock_release(&channel->lock, level);
    if (packet == NULL) {
        packet = make(channel);
    }
    if (packet != NULL) {
        packet->routine = free_when_done;
        packet->pointer = NULL;
        packet->state = PACKET_IDLE;
    }
    return packet;
}

void kmcl_packet_free(struct kmcl_packet *packet)
{
    struct kmcl_channel *channel = packet->channel;
    enum irql level = spin_lock_acquire(&channel->lock);
    bool keep = packet->header_capacity == channel->header_capacity &&
                packet->payload_capacity == channel->packet_size;

    channel->packets_live--;
    packet->state = PACKET_FREE;
    if (keep) {
        packet->send.next = (struct kmcl_send *)(void *)channel->packets_free;
        channel->packets_free = packet;
    } else {
        channel->slots_wanted--;
    }
    spin_lock_release(&channel->lock, level);
    if (!keep) {
        memory_free(packet);
    }
}

void kmcl_packets_trim(struct kmcl_channel *channel)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    struct kmcl_packet *packet = channel->packets_free;

    channel->packets_free = NULL;
    while (packet != NULL) {
        struct kmcl_packet *next = (struct kmcl_packet *)(void *)packet->send.next;
        channel->slots_wanted--;
        memory_free(packet);
        packet = next;
    }
    spin_lock_release(&channel->lock, level);
}

VMBPACKET VmbPacketAllocate(VMBCHANNEL Channel)
{
    return kmcl_packet_handle(kmcl_packet_allocate(kmcl_channel_of(Channel, __func__)));
}

VOID VmbPacketFree(VMBPACKET VmbPacket)
{
    struct kmcl_packet *packet = kmcl_packet_of(VmbPacket);

    if (packet == NULL || !packet->from_heap) {
        kmcl_misuse(__func__, "not a packet of VmbPacketAllocate");
    }
    if (packet->state != PACKET_IDLE) {
        kmcl_misuse(__func__, "the packet is under way, or was freed already");
    }
    kmcl_packet_free(packet);
}

UINT32 VmbChannelSizeofPacket(VMBCHANNEL Channel)
{
    return kmcl_packet_object_size(kmcl_channel_of(Channel, __func__));
}

NTSTATUS VmbPacketInitialize(VMBCHANNEL Channel, VMBPACKET VmbPacket, UINT32 ByteCount)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (VmbPacket == NULL || (uintptr_t)VmbPacket % _Alignof(struct kmcl_packet) != 0) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (ByteCount < kmcl_packet_object_size(channel)) {
        return STATUS_INVALID_PARAMETER_3;
    }
    /* Nobody says when such memory is used for something else, so the slot stays reserved; the
     * table's limit bounds that. */
    if (!reserve_slot(channel)) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    initialise(channel, kmcl_packet_of(VmbPacket));
    return STATUS_SUCCESS;
}

VOID VmbPacketSetCompletionRoutine(VMBPACKET PacketObject,
                                   PFN_VMB_PACKET_COMPLETION_ROUTINE CompletionRoutine)
{
    struct kmcl_packet *packet = kmcl_packet_of(PacketObject);

    if (packet == NULL || packet->state != PACKET_IDLE) {
        kmcl_misuse(__func__, "not a packet, or it is under way");
    }
    packet->routine = CompletionRoutine;
}

VOID VmbPacketSetPointer(VMBPACKET PacketObject, PVOID Pointer)
{
    kmcl_require(PacketObject, __func__);
    kmcl_packet_of(PacketObject)->pointer = Pointer;
}

PVOID VmbPacketGetPointer(VMBPACKET PacketObject)
{
    kmcl_require(PacketObject, __func__);
    return kmcl_packet_of(PacketObject)->pointer;
}

VMBCHANNEL VmbPacketGetChannel(VMBPACKET PacketObject)
{
    kmcl_require(PacketObject, __func__);
    return kmcl_channel_handle(kmcl_packet_of(PacketObject)->channel);
}

/* ---- sending ---- */

_Static_assert(VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION ==
                   RING_PACKET_FLAG_COMPLETION_REQUESTED,
               "a send flag and a flag of the wire that happen to be the same");

NTSTATUS kmcl_packet_prepare(struct kmcl_packet *packet, const void *buffer, uint32_t length,
                             uint32_t flags, uint32_t foreign_flags)
{
    if (packet == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (packet->state != PACKET_IDLE || packet->routine == NULL) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (length > packet->payload_capacity || (buffer == NULL && length > 0) ||
        (flags & (~(uint32_t)VMBUS_CHANNEL_FORMAT_FLAGS | foreign_flags)) != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    kmcl_packet_describe(packet, buffer, length,
                         flags & VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION);
    return STATUS_SUCCESS;
}

/* What external data may have: a packet made with other limits has room for its own only. */
static struct kmcl_external_limits limits_of(const struct kmcl_packet *packet, uint32_t flags)
{
    const struct kmcl_channel *channel = packet->channel;
    const struct kmcl_external_limits none = {0, 0};

    return packet->header_capacity == channel->header_capacity && !channel->is_server &&
                   (flags & VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION) != 0
               ? channel->external
               : none;
}

/* The header has been built, if `status` says so. */
static NTSTATUS add_external(struct kmcl_packet *packet, NTSTATUS status)
{
    struct ring_packet_out *wire = &packet->send.wire;

    wire->extension_length = wire->head_length;
    wire->head = packet->storage;
    wire->type = RING_PACKET_DATA_GPA_DIRECT;
    return status;
}

NTSTATUS kmcl_packet_add_mdl(struct kmcl_packet *packet, const MDL *mdl, uint32_t offset,
                             uint32_t length, uint32_t flags)
{
    const struct kmcl_external_limits limits = limits_of(packet, flags);

    return add_external(packet, kmcl_external_from_mdl(packet->storage, &limits, mdl, offset,
                                                       length, &packet->send.wire.head_length));
}

static NTSTATUS add_forced_mdl(struct kmcl_packet *packet, const MDL *mdl, uint32_t offset,
                               uint32_t length, uint32_t flags)
{
    const struct kmcl_external_limits limits = limits_of(packet, flags);

    return add_external(packet,
                        kmcl_external_from_forced_mdl(packet->storage, &limits, mdl, offset, length,
                                                      &packet->send.wire.head_length));
}

static NTSTATUS add_frames(struct kmcl_packet *packet, const uint64_t *frames, uint32_t count,
                           uint32_t flags)
{
    const struct kmcl_external_limits limits = limits_of(packet, flags);

    return add_external(packet, kmcl_external_from_frames(packet->storage, &limits, frames, count,
                                                          &packet->send.wire.head_length));
}

NTSTATUS kmcl_packet_prepare_any(struct kmcl_packet *packet, const void *buffer, uint32_t length,
                                 const MDL *mdl, uint32_t flags)
{
    NTSTATUS status = kmcl_packet_prepare(packet, buffer, length, flags,
                                          VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH);

    if (status == STATUS_SUCCESS && mdl != NULL) {
        status = kmcl_packet_add_mdl(packet, mdl, 0, 0, flags);
    }
    return status;
}

NTSTATUS VmbPacketSendWithExternalMdl(VMBPACKET PacketObject, PVOID Buffer, UINT32 BufferLength,
                                      PMDL ExternalDataMdl, UINT32 MdlOffset, UINT32 MdlLength,
                                      UINT32 Flags)
{
    struct kmcl_packet *packet = kmcl_packet_of(PacketObject);
    NTSTATUS status = kmcl_packet_prepare(packet, Buffer, BufferLength, Flags, 0);

    if (status != STATUS_SUCCESS) {
        return status;
    }
    if (ExternalDataMdl == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    if ((Flags & VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH) != 0) {
        status = add_forced_mdl(packet, ExternalDataMdl, MdlOffset, MdlLength, Flags);
    } else {
        status = kmcl_packet_add_mdl(packet, ExternalDataMdl, MdlOffset, MdlLength, Flags);
    }
    return status == STATUS_SUCCESS ? kmcl_queue_packet(packet, true) : status;
}

NTSTATUS VmbPacketSendWithExternalPfns(VMBPACKET PacketObject, PVOID Buffer, UINT32 BufferLength,
                                       PPFN_NUMBER ExternalDataPfns, UINT32 PfnLength, UINT32 Flags)
{
    struct kmcl_packet *packet = kmcl_packet_of(PacketObject);
    NTSTATUS status = kmcl_packet_prepare(packet, Buffer, BufferLength, Flags,
                                          VMBUS_CHANNEL_FORMAT_FLAG_FORCE_MDL_LENGTH);

    if (status == STATUS_SUCCESS) {
        status = ExternalDataPfns == NULL ? STATUS_INVALID_PARAMETER
                                          : add_frames(packet, ExternalDataPfns, PfnLength, Flags);
    }
    return status == STATUS_SUCCESS ? kmcl_queue_packet(packet, true) : status;
}
