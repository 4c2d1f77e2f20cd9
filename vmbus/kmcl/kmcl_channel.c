/* SPDX-License-Identifier: MIT */
/* Channels as drivers make, configure and query them. */

#include <inttypes.h>
#include <string.h>

#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/kmcl/kmcl.h"

void kmcl_warn_of(struct kmcl_channel *channel, const char *text, const char *what, uint64_t number)
{
    if (channel->warnings < KMCL_WARNINGS_LIMIT) {
        log_warning("kmcl", "%s: %s%s 0x%" PRIx64 "%s", channel->name, text, what, number,
                    ++channel->warnings < KMCL_WARNINGS_LIMIT ? "" : "; no more is said of it");
    }
}

void kmcl_warn(struct kmcl_channel *channel, const char *text, uint64_t number)
{
    kmcl_warn_of(channel, text, "", number);
}

void kmcl_misuse(const char *function, const char *mistake)
{
    panic("%s: %s", function, mistake);
}

void kmcl_require_passive(const char *function)
{
    if (irql_current() != IRQL_PASSIVE) {
        kmcl_misuse(function, "called above PASSIVE level");
    }
}

struct kmcl_channel *kmcl_channel_find(VMBCHANNEL handle)
{
    struct kmcl_channel *channel = (struct kmcl_channel *)(void *)handle;

    return channel != NULL && channel->magic == KMCL_CHANNEL_MAGIC ? channel : NULL;
}

struct kmcl_channel *kmcl_channel_of(VMBCHANNEL handle, const char *function)
{
    struct kmcl_channel *channel = kmcl_channel_find(handle);

    if (channel == NULL) {
        kmcl_misuse(function, "not a channel");
    }
    return channel;
}

/* ---- life ---- */

NTSTATUS (*kmcl_server_allocate)(VMBCHANNEL *channel);

NTSTATUS VmbChannelAllocate(PDEVICE_OBJECT ParentDeviceObject, BOOLEAN IsServer,
                            VMBCHANNEL *Channel)
{
    (void)ParentDeviceObject;
    kmcl_require_passive(__func__);
    if (Channel == NULL) {
        return STATUS_INVALID_PARAMETER_3;
    }
    if (IsServer) {
        return kmcl_server_allocate != NULL ? kmcl_server_allocate(Channel) : STATUS_NOT_SUPPORTED;
    }
    struct kmcl_channel *channel = memory_allocate(sizeof(*channel));
    if (channel == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    /* The memory is zeroed: KMCL_DISABLED, INTAKE_OFF, empty lists, no callbacks. */
    channel->magic = KMCL_CHANNEL_MAGIC;
    channel->role = &kmcl_client;
    channel->described_type = RING_PACKET_DATA_INBAND;
    channel->name = "unnamed";
    channel->packet_size = KMCL_DEFAULT_PACKET_SIZE;
    channel->incoming_pages = KMCL_DEFAULT_RING_PAGES;
    channel->outgoing_pages = KMCL_DEFAULT_RING_PAGES;
    atomic_init(&channel->quota, KMCL_DEFAULT_QUOTA);
    spin_lock_initialise(&channel->lock);
    work_item_initialise(&channel->state_work, kmcl_state_work, channel);
    work_item_initialise(&channel->drain_work, kmcl_drain_work, channel);
    *Channel = kmcl_channel_handle(channel);
    return STATUS_SUCCESS;
}

VOID VmbChannelCleanup(VMBCHANNEL Channel)
{
    struct kmcl_channel *channel = kmcl_channel_of(Channel, __func__);

    kmcl_require_passive(__func__);
    if (channel->state != KMCL_DISABLED || channel->worker_running) {
        kmcl_misuse(__func__, "the channel is not disabled");
    }
    kmcl_queue_abort(channel, STATUS_DEVICE_REMOVED);
    if (channel->packets_live != 0 || channel->queue_first != NULL) {
        kmcl_misuse(__func__, "packets of the channel are still in use");
    }
    (void)passive_work_cancel(&channel->state_work);
    (void)passive_work_cancel(&channel->drain_work);
    kmcl_packets_trim(channel);
    memory_free(channel->transactions.slots);
    if (channel->is_server) {
        channel->role->tear_down(channel);
    }
    channel->magic = 0;
    memory_free(channel);
}

/* ---- configuration ---- */

/* The channel if it may be configured now. */
static struct kmcl_channel *configurable(VMBCHANNEL handle)
{
    struct kmcl_channel *channel = kmcl_channel_find(handle);

    return channel != NULL && channel->state == KMCL_DISABLED ? channel : NULL;
}

/* The same for what only a client has. */
static struct kmcl_channel *configurable_client(VMBCHANNEL handle)
{
    struct kmcl_channel *channel = configurable(handle);

    return channel != NULL && !channel->is_server ? channel : NULL;
}

/* Takes over the limits of packets if a packet with the most of everything fits the wire. */
static bool set_limits(struct kmcl_channel *channel, uint32_t packet_size,
                       const struct kmcl_external_limits *external)
{
    uint64_t header = kmcl_external_header_size(external);

    /* 8: a pipe header. */
    if (RING_PACKET_OVERHEAD + header + 8 + packet_size > RING_PACKET_SIZE_MAX - 8) {
        return false;
    }
    channel->packet_size = packet_size;
    channel->external = *external;
    channel->header_capacity = (uint32_t)header;
    kmcl_packets_trim(channel);
    return true;
}

NTSTATUS VmbChannelInitSetMaximumPacketSize(VMBCHANNEL Channel, UINT32 PacketSize)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (PacketSize == 0 || !set_limits(channel, PacketSize, &channel->external)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetMaximumExternalData(VMBCHANNEL Channel, UINT32 DataSize,
                                              UINT32 ChainLength)
{
    struct kmcl_channel *channel = configurable(Channel);
    const struct kmcl_external_limits limits = {DataSize, ChainLength};

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (ChainLength == 0) {
        return STATUS_INVALID_PARAMETER_3;
    }
    if (DataSize == 0 || !set_limits(channel, channel->packet_size, &limits)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetClientContextSize(VMBCHANNEL Channel, UINT32 ContextSize)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (ContextSize > KMCL_CONTEXT_SIZE_LIMIT) {
        return STATUS_INVALID_PARAMETER_2;
    }
    channel->context_size = ContextSize;
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetProcessPacketCallbacks(
    VMBCHANNEL Channel, PFN_VMB_CHANNEL_PROCESS_PACKET ProcessPacketCallback,
    PFN_VMB_CHANNEL_PROCESSING_COMPLETE ProcessingCompleteCallback)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (ProcessPacketCallback == NULL) {
        return STATUS_INVALID_PARAMETER_2;
    }
    channel->process_packet = ProcessPacketCallback;
    channel->processing_complete = ProcessingCompleteCallback;
    return STATUS_SUCCESS;
}

NTSTATUS
VmbChannelInitSetStateChangeCallbacks(VMBCHANNEL Channel,
                                      PVMB_CHANNEL_STATE_CHANGE_CALLBACKS StateChangeCallbacks)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (StateChangeCallbacks == NULL || StateChangeCallbacks->Version != 1 ||
        StateChangeCallbacks->Size != sizeof(*StateChangeCallbacks)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    channel->callbacks = *StateChangeCallbacks;
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetFriendlyName(VMBCHANNEL Channel, PCUNICODE_STRING Name)
{
    struct kmcl_channel *channel = configurable(Channel);
    size_t length = 0;

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (Name == NULL || (Name->Buffer == NULL && Name->Length > 0)) {
        return STATUS_INVALID_PARAMETER_2;
    }
    for (; length < Name->Length / sizeof(WCHAR) && length < KMCL_NAME_SIZE - 1; length++) {
        WCHAR c = Name->Buffer[length];
        channel->friendly_name[length] = c >= ' ' && c <= '~' ? (char)c : '?';
    }
    channel->friendly_name[length] = 0;
    channel->name = channel->friendly_name;
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelInitSetFlags(VMBCHANNEL Channel, UINT32 Flags)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if ((Flags & ~(UINT32)VMBUS_CHANNEL_INIT_FLAGS) != 0) {
        return STATUS_INVALID_PARAMETER_2;
    }
    channel->init_flags = Flags;
    return STATUS_SUCCESS;
}

NTSTATUS VmbClientChannelInitSetRingBufferPageCount(VMBCHANNEL Channel, UINT32 IncomingPageCount,
                                                    UINT32 OutgoingPageCount)
{
    struct kmcl_channel *channel = configurable_client(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (IncomingPageCount == 0 || IncomingPageCount > KMCL_RING_PAGES_LIMIT) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (OutgoingPageCount == 0 || OutgoingPageCount > KMCL_RING_PAGES_LIMIT) {
        return STATUS_INVALID_PARAMETER_3;
    }
    channel->incoming_pages = IncomingPageCount;
    channel->outgoing_pages = OutgoingPageCount;
    return STATUS_SUCCESS;
}

NTSTATUS VmbClientChannelInitSetTargetPnp(VMBCHANNEL Channel, LPCGUID InterfaceType,
                                          LPCGUID InterfaceInstance,
                                          PFN_VMB_CHANNEL_PNP_FAILURE PnpFailureCallback)
{
    struct kmcl_channel *channel = configurable_client(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (InterfaceType == NULL) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (channel->name != channel->friendly_name) {
        channel->name = vmbus_class_name(kmcl_guid(InterfaceType));
    }
    channel->has_target = true;
    channel->sub_channel_index = 0;
    channel->target_type = *InterfaceType;
    channel->any_instance = InterfaceInstance == NULL;
    if (InterfaceInstance != NULL) {
        channel->target_instance = *InterfaceInstance;
    }
    channel->pnp_failure = PnpFailureCallback;
    return STATUS_SUCCESS;
}

/* ---- context and queries ---- */

VOID VmbChannelSetPointer(VMBCHANNEL Channel, PVOID Pointer)
{
    kmcl_channel_of(Channel, __func__)->pointer = Pointer;
}

PVOID VmbChannelGetPointer(VMBCHANNEL Channel)
{
    return kmcl_channel_of(Channel, __func__)->pointer;
}

VOID VmbChannelGetInterfaceInstance(VMBCHANNEL Channel, LPGUID InterfaceInstance)
{
    const struct kmcl_channel *channel = kmcl_channel_of(Channel, __func__);

    kmcl_require(InterfaceInstance, __func__);
    *InterfaceInstance = channel->instance;
}

VOID VmbChannelGetMmioSpace(VMBCHANNEL Channel, UINT64 *MmioAddress, UINT64 *MmioSize)
{
    (void)kmcl_channel_of(Channel, __func__);
    kmcl_require(MmioAddress, __func__);
    kmcl_require(MmioSize, __func__);
    *MmioAddress = 0;
    *MmioSize = 0;
}

NTSTATUS VmbChannelSetInterruptLatency(VMBCHANNEL Channel, UINT16 Latency, PUINT16 OriginalLatency)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (!channel->is_open || channel->is_server) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (OriginalLatency == NULL) {
        return STATUS_INVALID_PARAMETER_3;
    }
    return kmcl_status_of(
        vmbus_channel_set_monitor_latency(channel->bus, Latency, OriginalLatency));
}

VOID VmbChannelSetTransactionQuota(VMBCHANNEL Channel, UINT32 Quota)
{
    struct kmcl_channel *channel = kmcl_channel_of(Channel, __func__);

    if (Quota == 0) {
        kmcl_warn(channel, "ignored a transaction quota of", Quota);
        return;
    }
    atomic_store_explicit(&channel->quota, Quota, memory_order_relaxed);
}

VOID VmbChannelSetIncomingProcessingAtPassive(VMBCHANNEL Channel, BOOLEAN RequirePassive)
{
    atomic_store_explicit(&kmcl_channel_of(Channel, __func__)->at_passive, RequirePassive != FALSE,
                          memory_order_relaxed);
}

const char *KmclChannelStateName(VMBCHANNEL Channel)
{
    const struct kmcl_channel *channel = kmcl_channel_of(Channel, __func__);

    return channel->state == KMCL_SEARCHING && channel->is_server ? "offered"
                                                                  : kmcl_state_name(channel->state);
}

VOID KmclChannelGetStatistics(VMBCHANNEL Channel, PKMCL_CHANNEL_STATISTICS Statistics)
{
    struct kmcl_channel *channel = kmcl_channel_of(Channel, __func__);

    kmcl_require(Statistics, __func__);
    enum irql level = spin_lock_acquire(&channel->lock);
    *Statistics = channel->statistics;
    spin_lock_release(&channel->lock, level);
}
