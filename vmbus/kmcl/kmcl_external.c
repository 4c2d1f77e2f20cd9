/* SPDX-License-Identifier: MIT */
#include "vmbus/kmcl/kmcl_external.h"

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/ring_layout.h"

VOID MmBuildMdlForNonPagedPool(PMDL Mdl)
{
    PPFN_NUMBER frames = MmGetMdlPfnArray(Mdl);
    const uint64_t first = page_frame_of(Mdl->StartVa);
    const SIZE_T count =
        ADDRESS_AND_SIZE_TO_SPAN_PAGES(MmGetMdlVirtualAddress(Mdl), Mdl->ByteCount);

    for (SIZE_T i = 0; i < count; i++) {
        frames[i] = first + i;
    }
    Mdl->MappedSystemVa = MmGetMdlVirtualAddress(Mdl);
}

static const uint64_t *frames_of(const MDL *mdl)
{
    return (const uint64_t *)(const void *)(mdl + 1);
}

/* `length` bytes from `offset` in the MDL's buffer. */
static struct vmbus_gpa_range range_of(const MDL *mdl, uint32_t offset, uint32_t length)
{
    /* 64 bits: ByteOffset comes on top of any ByteCount. */
    const uint64_t start = (uint64_t)mdl->ByteOffset + offset;

    return (struct vmbus_gpa_range){
        .byte_count = length,
        .byte_offset = (uint32_t)(start & (PAGE_SIZE - 1)),
        .frames = frames_of(mdl) + (start >> PAGE_SHIFT),
    };
}

struct kmcl_mdl_window kmcl_mdl_window(const MDL *mdl, uint32_t offset, uint32_t length)
{
    return (struct kmcl_mdl_window){
        .mdl = mdl,
        .skip = offset,
        .left = length,
        .to_the_end = length == 0,
    };
}

bool kmcl_mdl_window_next(struct kmcl_mdl_window *window, struct vmbus_gpa_range *range)
{
    while (window->mdl != NULL && (window->to_the_end || window->left > 0)) {
        const MDL *mdl = window->mdl;
        const uint32_t skip = window->skip;

        window->mdl = mdl->Next;
        if (skip >= mdl->ByteCount) {
            window->skip -= mdl->ByteCount;
            continue;
        }
        uint32_t length = mdl->ByteCount - skip;
        if (!window->to_the_end) {
            length = length < window->left ? length : window->left;
            window->left -= length;
        }
        window->skip = 0;
        *range = range_of(mdl, skip, length);
        return true;
    }
    return false;
}

bool kmcl_mdl_window_is_complete(const struct kmcl_mdl_window *window)
{
    return window->to_the_end || window->left == 0;
}

uint64_t kmcl_external_header_size(const struct kmcl_external_limits *limits)
{
    if (limits->data_size == 0) {
        return 0;
    }
    /*
     * A range of c bytes touches at most (c + 4094) / 4096 + 1 pages: it may start with the last
     * byte of one. Over all ranges, together c bytes, that is at most c / 4096 + 2 a range.
     */
    const uint64_t frames = (limits->data_size >> PAGE_SHIFT) + 2 * (uint64_t)limits->chain_length;
    return sizeof(struct ring_gpa_direct_header) +
           limits->chain_length * (uint64_t)sizeof(struct ring_gpa_range) +
           frames * sizeof(uint64_t);
}

/*
 * Builds the header of one range, and of those left of the window if there is one. Within the
 * limits there is room for every range: that is how the header's size was found.
 */
static NTSTATUS build(void *header, const struct kmcl_external_limits *limits,
                      struct vmbus_gpa_range *range, struct kmcl_mdl_window *rest,
                      uint32_t *header_length)
{
    unsigned char *end = (unsigned char *)header + sizeof(struct ring_gpa_direct_header);
    struct ring_gpa_direct_header wire_header = {0, 0};
    uint64_t bytes = 0;

    do {
        const struct ring_gpa_range wire = {range->byte_count, range->byte_offset};
        const size_t frames =
            ((uint64_t)range->byte_offset + range->byte_count + PAGE_SIZE - 1) >> PAGE_SHIFT;

        bytes += range->byte_count;
        wire_header.range_count++;
        if (bytes > limits->data_size || wire_header.range_count > limits->chain_length) {
            return STATUS_INVALID_PARAMETER;
        }
        memcpy(end, &wire, sizeof(wire));
        memcpy(end + sizeof(wire), range->frames, frames * sizeof(uint64_t));
        end += sizeof(wire) + frames * sizeof(uint64_t);
    } while (rest != NULL && kmcl_mdl_window_next(rest, range));
    memcpy(header, &wire_header, sizeof(wire_header));
    *header_length = (uint32_t)(end - (unsigned char *)header);
    return STATUS_SUCCESS;
}

NTSTATUS kmcl_external_from_mdl(void *header, const struct kmcl_external_limits *limits,
                                const MDL *mdl, uint32_t offset, uint32_t length,
                                uint32_t *header_length)
{
    struct kmcl_mdl_window window = kmcl_mdl_window(mdl, offset, length);
    struct vmbus_gpa_range range;
    NTSTATUS status = STATUS_INVALID_PARAMETER;

    if (kmcl_mdl_window_next(&window, &range)) {
        status = build(header, limits, &range, &window, header_length);
    }
    return kmcl_mdl_window_is_complete(&window) ? status : STATUS_INVALID_PARAMETER;
}

NTSTATUS kmcl_external_from_forced_mdl(void *header, const struct kmcl_external_limits *limits,
                                       const MDL *mdl, uint32_t offset, uint32_t length,
                                       uint32_t *header_length)
{
    const uint64_t end = (uint64_t)mdl->ByteOffset + mdl->ByteCount;
    const uint64_t page_end = (end + PAGE_SIZE - 1) & ~(uint64_t)(PAGE_SIZE - 1);

    if (length == 0 && offset < mdl->ByteCount) {
        length = mdl->ByteCount - offset;
    }
    if (length == 0 || (uint64_t)mdl->ByteOffset + offset + length > page_end) {
        return STATUS_INVALID_PARAMETER;
    }
    struct vmbus_gpa_range range = range_of(mdl, offset, length);
    return build(header, limits, &range, NULL, header_length);
}

NTSTATUS kmcl_external_from_frames(void *header, const struct kmcl_external_limits *limits,
                                   const uint64_t *frames, uint32_t count, uint32_t *header_length)
{
    if (count == 0 || count > limits->data_size >> PAGE_SHIFT) {
        return STATUS_INVALID_PARAMETER;
    }
    struct vmbus_gpa_range range = {.byte_count = count << PAGE_SHIFT, .frames = frames};
    return build(header, limits, &range, NULL, header_length);
}
