/* SPDX-License-Identifier: MIT */
/*
 * A server's end of a channel: offered to a guest, opened and closed by it as often as it likes,
 * until the driver takes the offer back. The state machine is the client's (kmcl_state.c). Where a
 * client would become Disabled a server goes back to waiting for the guest; when it is to become
 * Disabled it first takes its offer back, and waits until the bus has let go of it.
 */

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/kmcl/server/kmcl_server.h"

struct kmcl_channel *kmcl_server_find(VMBCHANNEL handle)
{
    struct kmcl_channel *channel = kmcl_channel_find(handle);

    return channel != NULL && channel->is_server ? channel : NULL;
}

/* ---- what the bus says; DISPATCH ---- */

static void guest_opens(void *context, const struct vmbus_server_open *request)
{
    struct kmcl_channel *channel = context;

    enum irql level = spin_lock_acquire(&channel->lock);
    channel->server->goes_on = request->restored;
    channel->server->phase = KMCL_SERVER_ASKED;
    channel->server->close_came = false;
    channel->found = true;
    passive_work_queue(&channel->state_work);
    spin_lock_release(&channel->lock, level);
}

static void guest_closes(void *context)
{
    struct kmcl_channel *channel = context;

    enum irql level = spin_lock_acquire(&channel->lock);
    channel->server->close_came = true;
    channel->rescinded = true;
    spin_lock_release(&channel->lock, level);
    kmcl_leave(channel);
}

/* Queued under the lock: once it is free the channel may be gone. */
static void bus_released(void *context)
{
    struct kmcl_channel *channel = context;

    enum irql level = spin_lock_acquire(&channel->lock);
    channel->server->released = true;
    passive_work_queue(&channel->state_work);
    spin_lock_release(&channel->lock, level);
}

/* ---- the role ---- */

static NTSTATUS search(struct kmcl_channel *channel)
{
    struct kmcl_server_channel *server = channel->server;
    const struct vmbus_server_owner owner = {
        .open = guest_opens,
        .close = guest_closes,
        .event = kmcl_event,
        .released = bus_released,
        .context = channel,
    };
    NTSTATUS status = STATUS_INVALID_PARAMETER;

    server->phase = KMCL_SERVER_CLOSED;
    server->close_came = false;
    server->revoked = false;
    server->released = false;
    memcpy(&channel->instance, &server->offer.interface_instance, sizeof(channel->instance));
    if (server->restore != NULL || server->save != NULL) {
        status = STATUS_INVALID_DEVICE_REQUEST;
    } else if (server->host != NULL) {
        status =
            kmcl_status_of(vmbus_server_offer(server->host, &server->offer, &owner, &server->bus));
    }
    if (status != STATUS_SUCCESS) {
        channel->enabled = false;
        kmcl_state_set(channel, KMCL_DISABLED);
    }
    return status;
}

static bool stop_searching(struct kmcl_channel *channel)
{
    struct kmcl_server_channel *server = channel->server;

    if (channel->found) {
        return true; /* the offer stands while the guest has the channel open */
    }
    if (!server->revoked) {
        server->revoked = true;
        vmbus_server_revoke(server->bus);
    }
    enum irql level = spin_lock_acquire(&channel->lock);
    const bool released = server->released;
    spin_lock_release(&channel->lock, level);
    if (released) {
        server->bus = NULL;
        channel->paused = true;
    }
    return released;
}

/*
 * What was restored belongs to the channel that the guest had open then. If it has started anew it
 * would answer nothing of that, and take our answers for a fault.
 */
static void forget_restored(struct kmcl_channel *channel)
{
    struct kmcl_server_channel *server = channel->server;

    if (server->has_restored && !server->goes_on) {
        server->has_restored = false;
        kmcl_queue_abort(channel, STATUS_DEVICE_REMOVED);
        kmcl_intake_discard(channel);
    }
}

static NTSTATUS open(struct kmcl_channel *channel)
{
    struct kmcl_server_channel *server = channel->server;
    enum vmbus_status status = VMBUS_NO_MEMORY;

    forget_restored(channel);
    if (kmcl_incoming_prepare(channel) && kmcl_restore_prepare(channel)) {
        status = vmbus_server_map_rings(server->bus);
    }
    if (status != VMBUS_OK) {
        kmcl_warn(channel, "not opened, status", (UINT32)kmcl_status_of(status));
        return kmcl_status_of(status);
    }
    kmcl_begin(channel, vmbus_server_incoming(server->bus), vmbus_server_outgoing(server->bus),
               (server->offer.flags & KMCL_SERVER_PIPE_FLAGS) != 0);
    if (server->has_restored && server->restored_failed) {
        enum irql level = spin_lock_acquire(&channel->lock);
        kmcl_intake_word_set(channel, kmcl_intake_word(channel) | INTAKE_ENDS_FAILED);
        spin_lock_release(&channel->lock, level);
    }
    server->has_restored = false;
    return STATUS_SUCCESS;
}

/* Whatever the result: the guest may have closed meanwhile, then `close` comes or came. */
static void opened(struct kmcl_channel *channel)
{
    (void)vmbus_server_open_done(channel->server->bus, 0);
    enum irql level = spin_lock_acquire(&channel->lock);
    channel->server->phase = KMCL_SERVER_ANSWERED;
    spin_lock_release(&channel->lock, level);
}

/* The rings stay mapped until vmbus_server_close_done(). */
static void close(struct kmcl_channel *channel)
{
    (void)channel;
}

static void leave(struct kmcl_channel *channel)
{
    kmcl_close(channel);
    kmcl_notify(channel, channel->callbacks.EvtChannelClosed);
}

/*
 * The bus is to hear no more of what was: before the calls below, for inside them the guest may ask
 * to open again. Lock held.
 */
static void forget(struct kmcl_channel *channel)
{
    channel->server->phase = KMCL_SERVER_CLOSED;
    channel->server->close_came = false;
    channel->found = false;
    channel->rescinded = false;
    channel->broken = false;
}

/* The guest's request was not granted. */
static void refuse(struct kmcl_channel *channel)
{
    struct kmcl_server_channel *server = channel->server;
    const NTSTATUS reason = channel->failure;

    enum irql level = spin_lock_acquire(&channel->lock);
    const bool close_came = server->close_came;
    forget(channel);
    spin_lock_release(&channel->lock, level);
    if (vmbus_server_open_done(server->bus, reason != STATUS_SUCCESS
                                                ? (uint32_t)reason
                                                : VMBUS_SERVER_FAILURE) == VMBUS_RESCINDED) {
        level = spin_lock_acquire(&channel->lock);
        server->phase = KMCL_SERVER_ANSWERED;
        server->close_came |= close_came;
        spin_lock_release(&channel->lock, level);
    }
}

static bool release(struct kmcl_channel *channel)
{
    struct kmcl_server_channel *server = channel->server;

    kmcl_server_unmap_all(channel);
    kmcl_intake_discard(channel);
    channel->is_open = false;
    if (server->phase == KMCL_SERVER_ASKED) {
        refuse(channel);
        if (server->phase != KMCL_SERVER_ANSWERED) {
            return true;
        }
    }
    if (!channel->enabled && !server->revoked) {
        server->revoked = true;
        vmbus_server_revoke(server->bus);
    }
    enum irql level = spin_lock_acquire(&channel->lock);
    const bool close_came = server->close_came;
    if (close_came) {
        forget(channel);
    }
    spin_lock_release(&channel->lock, level);
    if (close_came) {
        vmbus_server_close_done(server->bus);
    }
    return close_came;
}

static void signal(struct kmcl_channel *channel)
{
    vmbus_server_raise(channel->server->bus);
}

static void kick(struct kmcl_channel *channel)
{
    deferred_work_queue(&channel->server->kick_work);
}

static void tear_down(struct kmcl_channel *channel)
{
    (void)deferred_work_cancel(&channel->server->kick_work);
    kmcl_intake_discard(channel); /* what was restored and never used */
    kmcl_save_free(channel);
    kmcl_restore_free(channel);
    memory_free(channel->server);
}

static const struct kmcl_role role = {
    .search = search,
    .stop_searching = stop_searching,
    .open = open,
    .opened = opened,
    .close = close,
    .leave = leave,
    .release = release,
    .signal = signal,
    .kick = kick,
    .external_map = kmcl_server_external_map,
    .external_unmap = kmcl_server_external_unmap,
    .tear_down = tear_down,
};

static NTSTATUS allocate(VMBCHANNEL *handle)
{
    struct kmcl_server_channel *server = memory_allocate(sizeof(*server));
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    if (server != NULL) {
        status = VmbChannelAllocate(NULL, FALSE, handle);
    }
    if (status != STATUS_SUCCESS) {
        memory_free(server);
        return status;
    }
    struct kmcl_channel *channel = kmcl_channel_find(*handle);
    channel->role = &role;
    channel->server = server;
    channel->is_server = true;
    channel->described_type = RING_PACKET_DATA_GPA_DIRECT;
    channel->paused = true;
    work_item_initialise(&server->kick_work, kmcl_event, channel);
    return STATUS_SUCCESS;
}

HANDLE KmclServerHandle(struct vmbus_server *server)
{
    kmcl_server_allocate = allocate;
    return server;
}

/* ---- configuration ---- */

/* The server channel if it may be configured now. */
static struct kmcl_channel *configurable(VMBCHANNEL handle)
{
    struct kmcl_channel *channel = kmcl_server_find(handle);

    return channel != NULL && channel->state == KMCL_DISABLED ? channel : NULL;
}

NTSTATUS VmbServerChannelInitSetFlags(VMBCHANNEL Channel, UINT32 Flags)
{
    static const struct {
        UINT32 flag;
        uint16_t offer_flag;
    } names[] = {
        {VMBUS_SERVER_CHANNEL_INIT_FLAG_LOOPBACK_OFFER, VMBUS_OFFER_FLAG_LOOPBACK},
        {VMBUS_SERVER_CHANNEL_INIT_FLAG_ENUMERATE_DEVICE_INTERFACE,
         VMBUS_OFFER_FLAG_ENUMERATE_DEVICE_INTERFACE},
        {VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE, VMBUS_OFFER_FLAG_NAMED_PIPE},
        {VMBUS_SERVER_CHANNEL_INIT_FLAG_TLNPI_PROVIDER_OFFER, VMBUS_OFFER_FLAG_TLNPI},
    };
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if ((Flags & ~(UINT32)VMBUS_SERVER_CHANNEL_INIT_FLAGS) != 0) {
        return STATUS_INVALID_PARAMETER_2;
    }
    struct vmbus_server_offer *offer = &channel->server->offer;
    offer->flags = 0;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if ((Flags & names[i].flag) != 0) {
            offer->flags |= names[i].offer_flag;
        }
    }
    offer->force_new = (Flags & VMBUS_SERVER_CHANNEL_INIT_FLAG_FORCE_NEW_CHANNEL) != 0;
    return STATUS_SUCCESS;
}

NTSTATUS VmbServerChannelInitSetMmioMegabytes(VMBCHANNEL Channel, UINT16 MmioMegabytes,
                                              UINT16 MmioMegabytesOptional)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (MmioMegabytes == 0 && MmioMegabytesOptional == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    channel->server->offer.mmio_megabytes = MmioMegabytes;
    channel->server->offer.mmio_megabytes_optional = MmioMegabytesOptional;
    return STATUS_SUCCESS;
}

NTSTATUS VmbServerChannelInitSetSaveRestorePacketCallbacks(
    VMBCHANNEL Channel, PFN_VMB_CHANNEL_SAVE_PACKET SavePacketCallback,
    PFN_VMB_CHANNEL_RESTORE_PACKET RestorePacketCallback)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (SavePacketCallback == NULL) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (RestorePacketCallback == NULL) {
        return STATUS_INVALID_PARAMETER_3;
    }
    channel->server->save_packet = SavePacketCallback;
    channel->server->restore_packet = RestorePacketCallback;
    return STATUS_SUCCESS;
}

NTSTATUS VmbServerChannelInitSetTargetInterfaceId(VMBCHANNEL Channel, GUID InterfaceType,
                                                  GUID InterfaceInstance)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    channel->server->offer.interface_type = *kmcl_guid(&InterfaceType);
    channel->server->offer.interface_instance = *kmcl_guid(&InterfaceInstance);
    channel->server->offer.sub_channel_index = 0;
    channel->has_target = true;
    if (channel->name != channel->friendly_name) {
        channel->name = vmbus_class_name(kmcl_guid(&InterfaceType));
    }
    return STATUS_SUCCESS;
}

NTSTATUS KmclServerChannelInitSetPrimary(VMBCHANNEL Channel, VMBCHANNEL Primary,
                                         UINT16 SubChannelIndex)
{
    struct kmcl_channel *channel = configurable(Channel);
    const struct kmcl_channel *primary = kmcl_server_find(Primary);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (primary == NULL || primary == channel || !primary->has_target ||
        primary->server->offer.sub_channel_index != 0) {
        return STATUS_INVALID_PARAMETER_2;
    }
    if (SubChannelIndex == 0) {
        return STATUS_INVALID_PARAMETER_3;
    }
    const struct vmbus_server_offer *offer = &primary->server->offer;
    GUID type;
    GUID instance;
    memcpy(&type, &offer->interface_type, sizeof(type));
    memcpy(&instance, &offer->interface_instance, sizeof(instance));
    (void)VmbServerChannelInitSetTargetInterfaceId(Channel, type, instance);
    channel->server->offer.sub_channel_index = SubChannelIndex;
    return STATUS_SUCCESS;
}

NTSTATUS VmbServerChannelInitSetTargetVtl(VMBCHANNEL Channel, UINT8 TargetVtl)
{
    if (configurable(Channel) == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    return TargetVtl == 0 ? STATUS_SUCCESS : STATUS_INVALID_PARAMETER_2;
}

NTSTATUS VmbServerChannelInitSetVmbusHandle(VMBCHANNEL Channel, HANDLE VmbusHandle)
{
    struct kmcl_channel *channel = configurable(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (VmbusHandle == NULL) {
        return STATUS_INVALID_PARAMETER_2;
    }
    channel->server->host = VmbusHandle;
    return STATUS_SUCCESS;
}

NTSTATUS VmbConvertVmbusHandleToKernelHandle(HANDLE VmbusHandle, PHANDLE KernelHandle)
{
    if (VmbusHandle == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (KernelHandle == NULL) {
        return STATUS_INVALID_PARAMETER_2;
    }
    *KernelHandle = VmbusHandle;
    return STATUS_SUCCESS;
}
