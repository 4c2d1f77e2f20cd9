/* SPDX-License-Identifier: MIT */
/* What can be said of a received packet's extension, and of a broken ring, without the ring. */

#include <string.h>

#include "vmbus/ring.h"

bool ring_transfer_pages_parse(const void *extension, uint32_t extension_length,
                               struct ring_transfer_pages *pages)
{
    struct ring_transfer_pages_header header;

    if (extension_length < sizeof(header))
        return false;
    memcpy(&header, extension, sizeof(header));
    if (header.range_count >
        (extension_length - sizeof(header)) / sizeof(struct ring_transfer_page_range))
        return false;
    pages->ranges = (const unsigned char *)extension + sizeof(header);
    pages->range_count = header.range_count;
    pages->set_id = header.set_id;
    return true;
}

struct ring_transfer_page_range ring_transfer_pages_range(const struct ring_transfer_pages *pages,
                                                          uint32_t i)
{
    struct ring_transfer_page_range range;

    memcpy(&range, pages->ranges + (size_t)i * sizeof(range), sizeof(range));
    return range;
}

const char *ring_fault_name(enum ring_fault_kind kind)
{
    switch (kind) {
    case RING_FAULT_NONE:
        return "none";
    case RING_FAULT_WRITE_INDEX:
        return "write index out of range";
    case RING_FAULT_READ_INDEX:
        return "read index out of range";
    case RING_FAULT_LENGTH:
        return "packet length impossible";
    case RING_FAULT_DATA_OFFSET:
        return "payload offset impossible";
    }
    return "unknown";
}
