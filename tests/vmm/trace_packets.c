/* SPDX-License-Identifier: MIT */
#include "tests/vmm/trace_packets.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kernel/clock.h"
#include "tests/vmm/executive.h"
#include "vmbus/ring.h"

#define BYTES_SHOWN 16u /* of a packet's payload */

/* Of one ring. */
struct spectator {
    const char *direction;
    struct ring_control *shared;
    unsigned char *data;
    uint32_t size;
    struct ring_control control; /* ours: what the reader below takes for the shared one */
    struct ring_reader reader;
};

struct traced {
    struct traced *next;
    uint32_t relid;
    struct spectator rings[2];
    uint8_t *payload; /* room for the largest packet */
};

static bool is_on;
static struct traced *channels;

void trace_packets_start(void)
{
    is_on = true;
}

static const char *type_name(uint16_t type)
{
    switch (type) {
    case RING_PACKET_DATA_INBAND:
        return "in-band";
    case RING_PACKET_DATA_TRANSFER_PAGES:
        return "transfer-pages";
    case RING_PACKET_DATA_GPA_DIRECT:
        return "gpa-direct";
    case RING_PACKET_COMPLETION:
        return "completion";
    default:
        return "unknown";
    }
}

static void print(uint32_t relid, const char *direction, const struct ring_packet_in *packet,
                  const uint8_t *payload)
{
    const uint64_t now = clock_now();
    char bytes[3 * BYTES_SHOWN + 1] = "";
    size_t used = 0;

    for (uint32_t i = 0; i < packet->payload_length && i < BYTES_SHOWN; i++) {
        used += (size_t)snprintf(bytes + used, sizeof(bytes) - used, " %02x", payload[i]);
    }
    say("[%5" PRIu64 ".%06" PRIu64 "] channel %" PRIu32 " %s %s type=%u id=%#" PRIx64
        " flags=%#x extension=%" PRIu32 " payload=%" PRIu32 ":%s%s",
        now / CLOCK_SECOND, now % CLOCK_SECOND / CLOCK_MICROSECOND, relid, direction,
        type_name(packet->type), packet->type, packet->transaction_id, packet->flags,
        packet->extension_length, packet->payload_length, bytes,
        packet->payload_length > BYTES_SHOWN ? " ..." : "");
}

/* At the place that `index` of the shared control page says. */
static bool begin(struct spectator *spectator, uint32_t index)
{
    memset(&spectator->control, 0, sizeof(spectator->control));
    atomic_store(&spectator->control.write_index, index);
    atomic_store(&spectator->control.read_index, index);
    return ring_reader_attach(&spectator->reader, &spectator->control, spectator->data,
                              spectator->size) == RING_OK;
}

static void look(struct traced *channel, struct spectator *spectator)
{
    struct ring_packet_in packet;
    enum ring_status status;

    atomic_store(&spectator->control.write_index,
                 atomic_load_explicit(&spectator->shared->write_index, memory_order_acquire));
    for (;;) {
        status = ring_reader_peek(&spectator->reader, &packet);
        if (status != RING_OK || packet.payload_length > spectator->size) {
            break;
        }
        ring_reader_take(&spectator->reader, &packet, NULL, channel->payload);
        (void)ring_reader_publish(&spectator->reader);
        print(channel->relid, spectator->direction, &packet, channel->payload);
    }
    if (status != RING_EMPTY) {
        say("channel %" PRIu32 " %s packets were missed, or are none", channel->relid,
            spectator->direction);
        (void)begin(spectator, atomic_load(&spectator->shared->write_index));
    }
}

static void look_at_both(struct traced *channel)
{
    look(channel, &channel->rings[0]);
    look(channel, &channel->rings[1]);
}

static struct traced **find(uint32_t relid)
{
    struct traced **at = &channels;

    while (*at != NULL && (*at)->relid != relid) {
        at = &(*at)->next;
    }
    return at;
}

void trace_packets_opened(struct vmbus_server *server, uint32_t relid)
{
    struct vmbus_server_rings rings;

    if (!is_on || !vmbus_server_rings(server, relid, &rings)) {
        return;
    }
    struct traced *channel = calloc(1, sizeof(*channel));
    uint32_t largest =
        rings.incoming_size > rings.outgoing_size ? rings.incoming_size : rings.outgoing_size;
    if (channel == NULL || (channel->payload = malloc(largest)) == NULL) {
        free(channel);
        return;
    }
    channel->relid = relid;
    channel->rings[0] = (struct spectator){.direction = "guest ->",
                                           .shared = rings.incoming,
                                           .data = rings.incoming_data,
                                           .size = rings.incoming_size};
    channel->rings[1] = (struct spectator){.direction = "guest <-",
                                           .shared = rings.outgoing,
                                           .data = rings.outgoing_data,
                                           .size = rings.outgoing_size};
    if (!begin(&channel->rings[0], atomic_load(&rings.incoming->read_index)) ||
        !begin(&channel->rings[1], atomic_load(&rings.outgoing->write_index))) {
        free(channel->payload);
        free(channel);
        return;
    }
    channel->next = channels;
    channels = channel;
}

void trace_packets_signalled(uint32_t relid)
{
    struct traced *channel = *find(relid);

    if (channel != NULL) {
        look_at_both(channel);
    }
}

void trace_packets_closed(uint32_t relid)
{
    struct traced **at = find(relid);
    struct traced *channel = *at;

    if (channel != NULL) {
        look_at_both(channel);
        *at = channel->next;
        free(channel->payload);
        free(channel);
    }
}
