/* SPDX-License-Identifier: MIT */
/*
 * The sending end of a ring. Rules: OpenVMM vmbus_ring, Linux drivers/hv/ring_buffer.c, mu_msvm
 * EmclDxe/RingBuffer.c.
 */

#include <string.h>

#include "vmbus/ring.h"
#include "vmbus/ring_copy.h"
#include "vmbus/ring_memory.h"

static enum ring_status writer_break(struct ring_writer *writer, enum ring_fault_kind kind,
                                     uint64_t value)
{
    writer->fault.kind = kind;
    writer->fault.value = value;
    writer->limit = writer->index; /* so that the short way of put ends here as well */
    return RING_CORRUPT;
}

/* What may be written by the read index last seen, less the word that stays free. */
static uint32_t known_room(const struct ring_writer *writer)
{
    if (writer->fault.kind != RING_FAULT_NONE)
        return 0;
    return writer->size - ring_used(writer->size, writer->index, writer->read_index) - 8;
}

static void set_limit(struct ring_writer *writer)
{
    uint32_t straight = writer->size - 8 - writer->index;
    uint32_t room = known_room(writer);

    if (room > writer->largest)
        room = writer->largest;
    writer->limit = writer->index + (room < straight ? room : straight);
}

enum ring_status ring_writer_attach(struct ring_writer *writer, struct ring_control *control,
                                    void *data, uint32_t data_size)
{
    uint32_t write_index = ring_load(&control->write_index);
    uint32_t read_index = ring_load_acquire(&control->read_index);

    memset(writer, 0, sizeof(*writer));
    if (!ring_data_size_is_valid(data_size))
        return RING_BAD_ARGUMENT;
    writer->data = data;
    writer->control = control;
    writer->size = data_size;
    /* OpenVMM takes no more than this, and every other host at least as much. */
    writer->largest = data_size - 16 < RING_PACKET_SIZE_MAX ? data_size - 16 : RING_PACKET_SIZE_MAX;
    if (!ring_index_is_valid(data_size, write_index))
        return writer_break(writer, RING_FAULT_WRITE_INDEX, write_index);
    if (!ring_index_is_valid(data_size, read_index))
        return writer_break(writer, RING_FAULT_READ_INDEX, read_index);
    writer->index = write_index;
    writer->committed = write_index;
    writer->read_index = read_index;
    set_limit(writer);
    ring_store(&control->feature_bits, RING_FEATURE_PENDING_SEND_SIZE);
    return RING_OK;
}

/* Whether `need` bytes can be written, after a new look at the read index. */
static enum ring_status find_room(struct ring_writer *writer, uint64_t need)
{
    uint32_t read_index;

    if (writer->fault.kind != RING_FAULT_NONE)
        return RING_CORRUPT;
    if (need > writer->largest)
        return RING_TOO_LARGE;
    /* Acquire: the reader's copies out of the room that we are about to fill are done. */
    read_index = ring_load_acquire(&writer->control->read_index);
    if (!ring_index_is_valid(writer->size, read_index))
        return writer_break(writer, RING_FAULT_READ_INDEX, read_index);
    writer->read_index = read_index;
    set_limit(writer);
    return need <= known_room(writer) ? RING_OK : RING_FULL;
}

/* `offset` may have run past the end by less than the size of the area; so may the one returned. */
static uint32_t copy_in_wrapped(const struct ring_writer *writer, uint32_t offset, const void *from,
                                uint32_t length)
{
    uint32_t until_end;
    uint32_t first = length;

    if (length == 0)
        return offset;
    if (offset >= writer->size)
        offset -= writer->size;
    until_end = writer->size - offset;
    if (length > until_end) {
        first = until_end;
        memcpy(writer->data, (const unsigned char *)from + first, length - first);
    }
    memcpy(writer->data + offset, from, first);
    return offset + length;
}

/* The first 8 bytes of struct ring_descriptor. In one store: as fields they would stall a copy. */
static inline uint64_t descriptor_word(const struct ring_packet_out *packet,
                                       uint32_t extension_length, uint64_t total)
{
    return (total - 8) << 29 | (uint64_t)packet->flags << 48 | (16 + extension_length) << 13 |
           packet->type;
}

/* Any packet, any place: with a head, or cut by the end of the area, or when room must be sought.
 */
static __attribute__((noinline)) enum ring_status
put_in_pieces(struct ring_writer *writer, const struct ring_packet_out *packet)
{
    uint32_t head_length = packet->head_length;
    uint32_t extension_length = head_length != 0 ? packet->extension_length : 0;
    uint64_t need = ring_packet_size(head_length, packet->payload_length);
    unsigned char *data = writer->data;
    uint32_t size = writer->size;
    uint32_t start = writer->index;
    uint32_t total;
    uint32_t offset;

    if (((head_length | extension_length) & 7) != 0 || extension_length > head_length)
        return RING_BAD_ARGUMENT;
    if (need > writer->largest || need > known_room(writer)) {
        enum ring_status status = find_room(writer, need);

        if (status != RING_OK) {
            writer->full += status == RING_FULL;
            return status;
        }
    }
    total = (uint32_t)need; /* at most `largest` */
    /* Zeroes the padding: what else the word holds is written behind it. */
    ring_store_word(data + ring_advance(size, start, total - 16), 0);
    ring_store_word(data + start, descriptor_word(packet, extension_length, total));
    ring_store_word(data + ring_advance(size, start, 8), packet->transaction_id);
    offset = copy_in_wrapped(writer, start + 16, packet->head, head_length);
    copy_in_wrapped(writer, offset, packet->payload, packet->payload_length);
    ring_store_word(data + ring_advance(size, start, total - 8), (uint64_t)start << 32);
    writer->index = ring_advance(size, start, total);
    set_limit(writer);
    return RING_OK;
}

/*
 * The common packet has no head and ends before the limit. The copy comes last so that nothing has
 * to be kept across the call.
 */
enum ring_status ring_writer_put(struct ring_writer *writer, const struct ring_packet_out *packet)
{
    uint32_t start = writer->index;
    uint64_t total = ring_packet_size(0, packet->payload_length);
    uint64_t end = start + total;
    unsigned char *at = writer->data + start;

    if (end > writer->limit || packet->head_length != 0)
        return put_in_pieces(writer, packet);
    writer->index = (uint32_t)end;
    /* Zeroes the padding: what else the word holds is written behind it. */
    ring_store_word(at + total - 16, 0);
    ring_store_word(at, descriptor_word(packet, 0, total));
    ring_store_word(at + 8, packet->transaction_id);
    ring_store_word(at + total - 8, (uint64_t)start << 32);
    return ring_copy(at + 16, packet->payload, packet->payload_length);
}

/*
 * The two races that the order closes, with the reader's side of each in ring_reader.c:
 *  - the index before the bytes: the reader would take what was there before. Release.
 *  - the mask or the read index before our index: the reader clears its mask, or publishes its
 * index, looks at the write index, finds nothing new and sleeps; we find it busy. Nobody moves.
 * Publish, then load. The mask is read before the read index: a reader that cleared its mask after
 * we read it looks again by itself. A reader whose index is not where the burst began is still
 * working on older packets and reaches ours without being told.
 */
bool ring_writer_commit(struct ring_writer *writer)
{
    uint32_t before = writer->committed;
    uint32_t read_index;

    if (writer->index == before || writer->fault.kind != RING_FAULT_NONE)
        return false;
    writer->committed = writer->index;
    ring_publish(&writer->control->write_index, writer->index);
    if (ring_load_after(&writer->control->interrupt_mask) != 0)
        return false;
    read_index = ring_load_acquire(&writer->control->read_index);
    if (!ring_index_is_valid(writer->size, read_index)) {
        writer_break(writer, RING_FAULT_READ_INDEX, read_index);
        return false;
    }
    return read_index == before;
}

/*
 * The reader signals when its publishing takes the free room, as it counts it, from `pending` or
 * less to more. That count includes the word that stays free, so more than size - 8 could never
 * come. A quarter of the ring at least: fewer, larger steps instead of a signal a packet.
 *
 * Room that came between the failed put and the store of `pending` brings no signal; the second
 * look, ordered behind the store, finds it.
 */
enum ring_status ring_writer_arm(struct ring_writer *writer, uint64_t need)
{
    uint32_t pending = writer->size / 4;
    enum ring_status status;

    if (writer->fault.kind != RING_FAULT_NONE)
        return RING_CORRUPT;
    if (need > writer->largest)
        return RING_TOO_LARGE;
    if (writer->index != writer->committed)
        return RING_BAD_ARGUMENT;
    if (need > pending)
        pending = (uint32_t)need;
    ring_publish(&writer->control->pending_send_size, pending & ~UINT32_C(7));
    writer->armed = true;
    status = find_room(writer, need);
    if (status == RING_OK)
        ring_writer_disarm(writer);
    return status;
}

void ring_writer_disarm(struct ring_writer *writer)
{
    if (writer->armed) {
        writer->armed = false;
        ring_store(&writer->control->pending_send_size, 0);
    }
}
