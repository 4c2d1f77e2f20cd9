/* SPDX-License-Identifier: MIT */

/* The host's ends of the rings. */

#include <string.h>

#include "fake_host.h"
#include "kernel/pages.h"

bool host_open_rings(struct host_channel *channel, uint32_t gpadl, uint32_t downstream)
{
    size_t count;
    const uint64_t *frames = host_gpadl_frames(gpadl, &count);

    if (frames == NULL || downstream < 2 || count < (size_t)downstream + 2) {
        return false;
    }
    for (size_t i = 1; i < count; i++) {
        if (frames[i] != frames[0] + i) {
            return false; /* this host reaches rings in one piece only */
        }
    }
    uint8_t *from_guest = page_address(frames[0]);
    uint8_t *to_guest = page_address(frames[downstream]);
    channel->incoming_control = (void *)from_guest;
    channel->outgoing_control = (void *)to_guest;
    channel->outgoing_data = to_guest + PAGE_SIZE;
    channel->outgoing_size = (uint32_t)(count - downstream - 1) * PAGE_SIZE;
    /* The guest has to give them empty, and say that it takes part in flow control. */
    const struct ring_control *control = channel->incoming_control;
    return control->write_index == 0 && control->read_index == 0 &&
           (control->feature_bits & RING_FEATURE_PENDING_SEND_SIZE) != 0 &&
           channel->outgoing_control->write_index == 0 &&
           channel->outgoing_control->read_index == 0 &&
           ring_reader_attach(&channel->incoming, channel->incoming_control, from_guest + PAGE_SIZE,
                              (downstream - 1) * PAGE_SIZE) == RING_OK &&
           ring_writer_attach(&channel->outgoing, channel->outgoing_control, channel->outgoing_data,
                              channel->outgoing_size) == RING_OK;
}

static struct host_channel *open_one(uint32_t relid)
{
    return host_is_open(relid) ? host_channel(relid) : NULL;
}

struct ring_writer *host_outgoing(uint32_t relid)
{
    struct host_channel *channel = open_one(relid);

    return channel != NULL ? &channel->outgoing : NULL;
}

struct ring_reader *host_incoming(uint32_t relid)
{
    struct host_channel *channel = open_one(relid);

    return channel != NULL ? &channel->incoming : NULL;
}

void host_put_raw(uint32_t relid, const void *bytes, uint32_t length)
{
    struct host_channel *channel = open_one(relid);
    uint32_t index = channel->outgoing_control->write_index;
    const uint8_t *from = bytes;

    for (uint32_t i = 0; i < length; i++) {
        channel->outgoing_data[(index + i) % channel->outgoing_size] = from[i];
    }
    host_set_write_index(relid, (index + length) % channel->outgoing_size);
    (void)ring_writer_attach(&channel->outgoing, channel->outgoing_control, channel->outgoing_data,
                             channel->outgoing_size);
}

void host_set_write_index(uint32_t relid, uint32_t index)
{
    open_one(relid)->outgoing_control->write_index = index;
    host_event(relid);
}

void host_set_read_index(uint32_t relid, uint32_t index)
{
    open_one(relid)->incoming_control->read_index = index;
    host_event(relid);
}

/* What QEMU's ring looks like: no trailer, anything in the pad bytes. Before the guest is told. */
static void spoil(const struct host_channel *channel, uint32_t start, uint64_t size, uint32_t pad)
{
    for (uint32_t i = 1; i <= 8 + pad; i++) {
        channel->outgoing_data[(start + size - i) % channel->outgoing_size] = 0x5A;
    }
}

enum ring_status host_put(uint32_t relid, const struct ring_packet_out *packet)
{
    struct host_channel *channel = open_one(relid);

    if (channel == NULL) {
        return RING_BAD_ARGUMENT;
    }
    uint32_t start = channel->outgoing_control->write_index;
    enum ring_status status = ring_writer_put(&channel->outgoing, packet);
    if (status == RING_OK && host.no_trailer) {
        spoil(channel, start, ring_packet_size(packet->head_length, packet->payload_length),
              (0u - packet->payload_length) & 7u);
    }
    if (ring_writer_commit(&channel->outgoing)) {
        host_event(relid);
    }
    return status;
}

enum ring_status host_put_inband(uint32_t relid, uint64_t transaction_id, bool wants_completion,
                                 const void *payload, uint32_t length)
{
    const struct ring_packet_out packet = {
        .transaction_id = transaction_id,
        .type = RING_PACKET_DATA_INBAND,
        .flags = wants_completion ? RING_PACKET_FLAG_COMPLETION_REQUESTED : 0,
        .payload = payload,
        .payload_length = length,
    };

    return host_put(relid, &packet);
}

enum ring_status host_put_completion(uint32_t relid, uint64_t transaction_id, const void *payload,
                                     uint32_t length)
{
    const struct ring_packet_out packet = {
        .transaction_id = transaction_id,
        .type = RING_PACKET_COMPLETION,
        .payload = payload,
        .payload_length = length,
    };

    return host_put(relid, &packet);
}

enum ring_status host_get(uint32_t relid, void *buffer, size_t capacity,
                          struct ring_packet_in *packet)
{
    struct ring_reader *reader = host_incoming(relid);

    if (reader == NULL) {
        return RING_BAD_ARGUMENT;
    }
    if (!host.never_mask) {
        ring_reader_mask(reader);
    }
    enum ring_status status = ring_reader_next(reader, buffer, capacity, packet);
    if (ring_reader_publish(reader)) {
        host_event(relid);
    }
    if (!host.never_mask && !host.always_mask && status == RING_EMPTY) {
        (void)ring_reader_unmask(reader);
    }
    return status;
}
