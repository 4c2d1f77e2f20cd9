/* SPDX-License-Identifier: MIT */
/* GPADLs that a driver shares with its host, beside the one of the ring. */

#include "kernel/log.h"
#include "kernel/pages.h"
#include "vmbus/kmcl/kmcl.h"

/* Choice of ours: MDLs of one GPADL. */
#define RANGES_LIMIT 256u

static NTSTATUS create(struct kmcl_channel *channel, const struct vmbus_gpa_range *ranges,
                       size_t count, uint32_t *handle)
{
    struct kmcl_gpadl *gpadl = memory_allocate(sizeof(*gpadl));
    enum vmbus_status status;

    if (gpadl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    status = vmbus_gpadl_create(channel->bus, ranges, count, &gpadl->id);
    if (status != VMBUS_OK) {
        memory_free(gpadl);
        return status == VMBUS_REFUSED ? STATUS_INSUFFICIENT_RESOURCES : kmcl_status_of(status);
    }
    gpadl->next = channel->gpadls;
    channel->gpadls = gpadl;
    *handle = gpadl->id;
    return STATUS_SUCCESS;
}

static NTSTATUS check(struct kmcl_channel *channel, uint32_t flags)
{
    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    kmcl_require_passive("VmbChannelCreateGpadl");
    if ((flags & ~(UINT32)VMBUS_CHANNEL_GPADL_FLAGS) != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    return channel->writer != NULL ? STATUS_SUCCESS : STATUS_INVALID_DEVICE_REQUEST;
}

NTSTATUS VmbChannelCreateGpadlFromBuffer(VMBCHANNEL Channel, UINT32 Flags, PVOID Buffer,
                                         UINT32 ByteCount, PUINT32 GpadlHandle)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);
    NTSTATUS status = check(channel, Flags);

    if (status != STATUS_SUCCESS) {
        return status;
    }
    if (Buffer == NULL || ByteCount == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    PMDL mdl = memory_allocate(MmSizeOfMdl(Buffer, ByteCount));
    if (mdl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    MmInitializeMdl(mdl, Buffer, ByteCount);
    MmBuildMdlForNonPagedPool(mdl);
    status = VmbChannelCreateGpadlFromMdl(Channel, Flags, mdl, 0, 0, GpadlHandle);
    memory_free(mdl);
    return status;
}

NTSTATUS VmbChannelCreateGpadlFromMdl(VMBCHANNEL Channel, UINT32 Flags, PMDL Mdl,
                                      UINT32 StartOffsetWithinMdl, UINT32 DataLengthWithinMdl,
                                      PUINT32 GpadlHandle)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);
    NTSTATUS status = check(channel, Flags);
    struct vmbus_gpa_range range;
    size_t count = 0;

    if (status != STATUS_SUCCESS) {
        return status;
    }
    struct vmbus_gpa_range *ranges = memory_allocate(RANGES_LIMIT * sizeof(*ranges));
    if (ranges == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    struct kmcl_mdl_window window = kmcl_mdl_window(Mdl, StartOffsetWithinMdl, DataLengthWithinMdl);
    while (count < RANGES_LIMIT && kmcl_mdl_window_next(&window, &range)) {
        ranges[count++] = range;
    }
    if (count == 0 || !kmcl_mdl_window_is_complete(&window) ||
        kmcl_mdl_window_next(&window, &range)) {
        status = STATUS_INVALID_PARAMETER;
    } else {
        status = create(channel, ranges, count, GpadlHandle);
    }
    memory_free(ranges);
    return status;
}

/* `link` points at it. */
static void delete_gpadl(struct kmcl_channel *channel, struct kmcl_gpadl **link)
{
    struct kmcl_gpadl *gpadl = *link;
    enum vmbus_status status;

    *link = gpadl->next;
    status = vmbus_gpadl_teardown(channel->bus, gpadl->id);
    if (status != VMBUS_OK) {
        log_warning("kmcl", "%s: GPADL %u was not given back (%s): its memory must not be reused",
                    channel->name, gpadl->id, vmbus_status_name(status));
    }
    memory_free(gpadl);
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

void kmcl_gpadl_delete_all(struct kmcl_channel *channel)
{
    while (channel->gpadls != NULL) {
        log_warning("kmcl", "%s: the driver left GPADL %u", channel->name, channel->gpadls->id);
        delete_gpadl(channel, &channel->gpadls);
    }
}
