/* SPDX-License-Identifier: MIT */
/*
 * Memory of the guest that its packets and GPADLs describe, mapped and described by MDLs. The
 * descriptions are the guest's, so each number is checked; the page frame numbers in the MDLs are
 * the guest's too, and say nothing on this side.
 */

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/kmcl/server/kmcl_server.h"
#include "vmbus/ring_layout.h"

/* A page frame number above these bits is no guest physical address. */
#define FRAME_BITS 52u

/* ---- packets ---- */

/* One range of a GPA-direct header. */
struct range {
    struct ring_gpa_range wire;
    size_t frame_count;
    const unsigned char *frames; /* unaligned */
};

/* Reads the range at *at and moves *at behind it. False: the header ends before. */
static bool next_range(const unsigned char **at, const unsigned char *end, struct range *range)
{
    if ((size_t)(end - *at) < sizeof(range->wire)) {
        return false;
    }
    memcpy(&range->wire, *at, sizeof(range->wire));
    *at += sizeof(range->wire);
    if (range->wire.byte_count == 0 || range->wire.byte_offset >= PAGE_SIZE) {
        return false;
    }
    range->frame_count =
        (size_t)(((uint64_t)range->wire.byte_offset + range->wire.byte_count + PAGE_SIZE - 1) >>
                 PAGE_SHIFT);
    if ((size_t)(end - *at) / sizeof(uint64_t) < range->frame_count) {
        return false;
    }
    range->frames = *at;
    *at += range->frame_count * sizeof(uint64_t);
    return true;
}

static size_t mdl_size(size_t frame_count)
{
    return sizeof(MDL) + frame_count * sizeof(uint64_t);
}

/* An MDL of memory that is mapped at `address`. Its frames are filled in by the caller. */
static void describe(MDL *mdl, void *address, uint32_t byte_offset, uint32_t byte_count)
{
    MmInitializeMdl(mdl, (unsigned char *)address + byte_offset, byte_count);
    mdl->MappedSystemVa = MmGetMdlVirtualAddress(mdl);
}

static size_t frame_count_of(const MDL *mdl)
{
    return ADDRESS_AND_SIZE_TO_SPAN_PAGES(MmGetMdlVirtualAddress(mdl), mdl->ByteCount);
}

/* Bytes for the MDLs of all ranges; 0: the description is not well-formed, or beyond the channel's
 * limits. */
static size_t measure(const struct kmcl_channel *channel, const unsigned char *at,
                      const unsigned char *end, uint32_t range_count)
{
    uint64_t bytes = 0;
    size_t size = 0;
    struct range range;

    if (range_count == 0 || range_count > channel->external.chain_length) {
        return 0;
    }
    for (uint32_t i = 0; i < range_count; i++) {
        if (!next_range(&at, end, &range)) {
            return 0;
        }
        bytes += range.wire.byte_count;
        size += mdl_size(range.frame_count);
    }
    return bytes <= channel->external.data_size ? size : 0;
}

static void unmap_ranges(struct kmcl_channel *channel, MDL *mdls)
{
    for (MDL *mdl = mdls; mdl != NULL; mdl = mdl->Next) {
        vmbus_server_unmap_frames(channel->server->bus, mdl->StartVa, frame_count_of(mdl));
    }
}

/* Maps all ranges into the MDLs at `memory`. */
static bool map(struct kmcl_channel *channel, const unsigned char *at, const unsigned char *end,
                uint32_t range_count, bool writable, unsigned char *memory)
{
    MDL *first = NULL;
    MDL **link = &first;
    struct range range;

    for (uint32_t i = 0; i < range_count && next_range(&at, end, &range); i++) {
        MDL *mdl = (MDL *)(void *)memory;
        uint64_t *frames = MmGetMdlPfnArray(mdl);
        uint64_t all = 0;
        void *address = NULL;

        memory += mdl_size(range.frame_count);
        memcpy(frames, range.frames, range.frame_count * sizeof(*frames));
        for (size_t frame = 0; frame < range.frame_count; frame++) {
            all |= frames[frame];
        }
        if (all >> FRAME_BITS == 0) {
            address =
                vmbus_server_map_frames(channel->server->bus, frames, range.frame_count, writable);
        }
        if (address == NULL) {
            unmap_ranges(channel, first);
            return false;
        }
        describe(mdl, address, range.wire.byte_offset, range.wire.byte_count);
        *link = mdl;
        link = &mdl->Next;
    }
    return true;
}

NTSTATUS kmcl_server_external_map(struct kmcl_incoming *incoming, bool writable)
{
    struct kmcl_channel *channel = incoming->channel;
    const unsigned char *at = incoming->copy;
    const unsigned char *end = at + incoming->packet.extension_length;
    struct ring_gpa_direct_header header;

    /* Packets of a pipe describe no memory. */
    if (channel->is_pipe || incoming->packet.extension_length < sizeof(header)) {
        return STATUS_INVALID_PARAMETER;
    }
    memcpy(&header, at, sizeof(header));
    at += sizeof(header);
    const size_t size = measure(channel, at, end, header.range_count);
    if (size == 0) {
        return STATUS_INVALID_PARAMETER;
    }
    unsigned char *memory = memory_allocate(size);
    if (memory == NULL || !map(channel, at, end, header.range_count, writable, memory)) {
        memory_free(memory);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    incoming->external = (MDL *)(void *)memory;
    return STATUS_SUCCESS;
}

void kmcl_server_external_unmap(struct kmcl_incoming *incoming)
{
    unmap_ranges(incoming->channel, incoming->external);
    memory_free(incoming->external);
    incoming->external = NULL;
}

/* ---- GPADLs ---- */

static MDL *describe_ranges(const struct vmbus_server_range *ranges, size_t count)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        size += mdl_size(ranges[i].frame_count);
    }
    unsigned char *memory = memory_allocate(size);
    MDL *first = (MDL *)(void *)memory;
    for (size_t i = 0; memory != NULL && i < count; i++) {
        MDL *mdl = (MDL *)(void *)memory;
        memory += mdl_size(ranges[i].frame_count);
        describe(mdl, ranges[i].address, ranges[i].byte_offset, ranges[i].byte_count);
        memcpy(MmGetMdlPfnArray(mdl), ranges[i].frames,
               ranges[i].frame_count * sizeof(ranges[i].frames[0]));
        mdl->Next = i + 1 < count ? (MDL *)(void *)memory : NULL;
    }
    return first;
}

static NTSTATUS map_gpadl(struct kmcl_channel *channel, struct kmcl_server_gpadl *gpadl,
                          bool writable)
{
    struct vmbus_server_channel *bus = channel->server->bus;
    const struct vmbus_server_range *ranges;
    size_t count;
    enum vmbus_status status = vmbus_server_gpadl_map(bus, gpadl->id, writable, &ranges, &count);

    if (status != VMBUS_OK) {
        return status == VMBUS_REFUSED ? STATUS_INSUFFICIENT_RESOURCES : kmcl_status_of(status);
    }
    gpadl->mdls = describe_ranges(ranges, count);
    if (gpadl->mdls == NULL) {
        (void)vmbus_server_gpadl_unmap(bus, gpadl->id);
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    enum irql level = spin_lock_acquire(&channel->lock);
    gpadl->next = channel->server->gpadls;
    channel->server->gpadls = gpadl;
    spin_lock_release(&channel->lock, level);
    return STATUS_SUCCESS;
}

NTSTATUS VmbChannelMapGpadl(VMBCHANNEL Channel, UINT32 Flags, UINT32 GpadlHandle, PMDL *Mdl)
{
    struct kmcl_channel *channel = kmcl_channel_find(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (Mdl == NULL) {
        return STATUS_INVALID_PARAMETER;
    }
    *Mdl = NULL;
    if (!channel->is_server || !channel->is_open) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if ((Flags & ~(UINT32)VMBUS_CHANNEL_GPADL_FLAGS) != 0) {
        return STATUS_INVALID_PARAMETER;
    }
    struct kmcl_server_gpadl *gpadl = memory_allocate(sizeof(*gpadl));
    if (gpadl == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    gpadl->id = GpadlHandle;
    NTSTATUS status = map_gpadl(channel, gpadl, (Flags & VMBUS_CHANNEL_GPADL_FLAG_READ_ONLY) == 0);
    if (status == STATUS_SUCCESS) {
        *Mdl = gpadl->mdls;
    } else {
        memory_free(gpadl);
    }
    return status;
}

/* Takes a GPADL, or any, off the list. */
static struct kmcl_server_gpadl *take_gpadl(struct kmcl_channel *channel, const uint32_t *id)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    struct kmcl_server_gpadl **link = &channel->server->gpadls;

    while (*link != NULL && id != NULL && (*link)->id != *id) {
        link = &(*link)->next;
    }
    struct kmcl_server_gpadl *gpadl = *link;
    if (gpadl != NULL) {
        *link = gpadl->next;
    }
    spin_lock_release(&channel->lock, level);
    return gpadl;
}

static void unmap_gpadl(struct kmcl_channel *channel, struct kmcl_server_gpadl *gpadl)
{
    memory_free(gpadl->mdls);
    (void)vmbus_server_gpadl_unmap(channel->server->bus, gpadl->id);
    memory_free(gpadl);
}

VOID VmbChannelUnmapGpadl(VMBCHANNEL Channel, UINT32 GpadlHandle)
{
    struct kmcl_channel *channel = kmcl_server_find(Channel);
    struct kmcl_server_gpadl *gpadl = channel != NULL ? take_gpadl(channel, &GpadlHandle) : NULL;

    if (gpadl != NULL) {
        unmap_gpadl(channel, gpadl);
        return;
    }
    kmcl_misuse(__func__, "not a GPADL that is mapped");
}

void kmcl_server_unmap_all(struct kmcl_channel *channel)
{
    struct kmcl_server_gpadl *gpadl;

    while ((gpadl = take_gpadl(channel, NULL)) != NULL) {
        kmcl_warn(channel, "the driver left mapped GPADL", gpadl->id);
        unmap_gpadl(channel, gpadl);
    }
}
