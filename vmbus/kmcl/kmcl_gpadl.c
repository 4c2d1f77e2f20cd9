/* SPDX-License-Identifier: MIT */
/* GPADLs that a driver shares with its host, beside the one of the ring. */

#include "kernel/pages.h"
#include "vmbus/kmcl/kmcl.h"

/* `link` points at it. */
static void delete_gpadl(struct kmcl_channel *channel, struct kmcl_gpadl **link)
{
    struct kmcl_gpadl *gpadl = *link;
    enum vmbus_status status;

    *link = gpadl->next;
    status = vmbus_gpadl_teardown(channel->bus, gpadl->id);
    if (status != VMBUS_OK) {
        kmcl_warn(channel, "not given back, its memory must not be reused: GPADL", gpadl->id);
    }
    memory_free(gpadl);
}

/* Of the driver, when the channel ends. */
static void delete_all(struct kmcl_channel *channel)
{
    while (channel->gpadls != NULL) {
        kmcl_warn(channel, "the driver left GPADL", channel->gpadls->id);
        delete_gpadl(channel, &channel->gpadls);
    }
}

/* Shares the ranges of a window that the chain holds. */
static NTSTATUS create(struct kmcl_channel *channel, const struct kmcl_mdl_window *window,
                       size_t count, uint32_t *handle)
{
    struct kmcl_mdl_window rest = *window;
    struct vmbus_channel *bus = channel->bus;
    struct vmbus_gpa_range *ranges = memory_allocate(count * sizeof(*ranges));
    struct kmcl_gpadl *gpadl = memory_allocate(sizeof(*gpadl));
    enum vmbus_status status = VMBUS_NO_MEMORY;

    if (ranges != NULL && gpadl != NULL) {
        for (size_t i = 0; i < count; i++) {
            (void)kmcl_mdl_window_next(&rest, &ranges[i]);
        }
        status = vmbus_gpadl_create(bus, ranges, count, &gpadl->id);
        if (status == VMBUS_OK && channel->writer == NULL) {
            /* Closed while we waited: nobody would delete it any more. */
            status = vmbus_gpadl_teardown(bus, gpadl->id);
            status = status == VMBUS_OK ? VMBUS_RESCINDED : status;
        }
    }
    memory_free(ranges);
    if (status != VMBUS_OK) {
        memory_free(gpadl);
        return status == VMBUS_REFUSED ? STATUS_INSUFFICIENT_RESOURCES : kmcl_status_of(status);
    }
    *handle = gpadl->id;
    gpadl->next = channel->gpadls;
    channel->gpadls = gpadl;
    channel->delete_gpadls = delete_all;
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelCreateGpadlFromMdl(VMBCHANNEL Channel, UINT32 Flags, PMDL Mdl,
                                      UINT32 StartOffsetWithinMdl, UINT32 DataLengthWithinMdl,
                                      PUINT32 GpadlHandle)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);
    const struct kmcl_mdl_window window =
        kmcl_mdl_window(Mdl, StartOffsetWithinMdl, DataLengthWithinMdl);
    struct kmcl_mdl_window counted = window;
    struct vmbus_gpa_range range;
    size_t count = 0;

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    kmcl_require_passive(__func__);
    if (channel->writer == NULL || channel->is_server) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    while (kmcl_mdl_window_next(&counted, &range)) {
        count++;
    }
    if ((Flags & ~(UINT32)VMBUS_CHANNEL_GPADL_FLAGS) != 0 || count == 0 || GpadlHandle == NULL ||
        !kmcl_mdl_window_is_complete(&counted)) {
        return STATUS_INVALID_PARAMETER;
    }
    return create(channel, &window, count, GpadlHandle);
}

NTSTATUS VmbChannelCreateGpadlFromBuffer(VMBCHANNEL Channel, UINT32 Flags, PVOID Buffer,
                                         UINT32 ByteCount, PUINT32 GpadlHandle)
{
    NTSTATUS status = STATUS_INSUFFICIENT_RESOURCES;

    kmcl_require_passive(__func__);
    PMDL mdl = memory_allocate(MmSizeOfMdl(Buffer, ByteCount));
    if (mdl != NULL) {
        MmInitializeMdl(mdl, Buffer, Buffer != NULL ? ByteCount : 0);
        MmBuildMdlForNonPagedPool(mdl);
        status = VmbChannelCreateGpadlFromMdl(Channel, Flags, mdl, 0, 0, GpadlHandle);
    }
    memory_free(mdl);
    return status;
}

VOID VmbChannelDeleteGpadl(VMBCHANNEL Channel, UINT32 GpadlHandle)
{
    struct kmcl_channel *channel = kmcl_channel_of(Channel, __func__);
    struct kmcl_gpadl **link = &channel->gpadls;

    kmcl_require_passive(__func__);
    while (*link != NULL && (*link)->id != GpadlHandle) {
        link = &(*link)->next;
    }
    if (*link == NULL) {
        kmcl_misuse(__func__, "not a GPADL of this channel");
    }
    delete_gpadl(channel, link);
}
