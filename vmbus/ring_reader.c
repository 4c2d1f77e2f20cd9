/* SPDX-License-Identifier: MIT */
/*
 * The receiving end of a ring. Rules: OpenVMM vmbus_ring, Linux drivers/hv/ring_buffer.c, mu_msvm
 * EmclDxe/RingBuffer.c.
 */

#include <string.h>

#include "vmbus/ring.h"
#include "vmbus/ring_copy.h"
#include "vmbus/ring_memory.h"

static enum ring_status reader_break(struct ring_reader *reader, enum ring_fault_kind kind,
                                     uint64_t value)
{
    reader->fault.kind = kind;
    reader->fault.value = value;
    /* So that the short way of next ends here as well. */
    reader->write_index = reader->index;
    reader->limit = reader->index;
    return RING_CORRUPT;
}

static uint32_t known_available(const struct ring_reader *reader)
{
    return ring_used(reader->size, reader->write_index, reader->index);
}

static void set_limit(struct ring_reader *reader)
{
    uint32_t straight = reader->size - 8 - reader->index;
    uint32_t available = known_available(reader);

    reader->limit = reader->index + (available < straight ? available : straight);
}

enum ring_status ring_reader_attach(struct ring_reader *reader, struct ring_control *control,
                                    void *data, uint32_t data_size)
{
    uint32_t read_index = ring_load(&control->read_index);

    memset(reader, 0, sizeof(*reader));
    if (!ring_data_size_is_valid(data_size))
        return RING_BAD_ARGUMENT;
    reader->data = data;
    reader->control = control;
    reader->size = data_size;
    if (!ring_index_is_valid(data_size, read_index))
        return reader_break(reader, RING_FAULT_READ_INDEX, read_index);
    reader->index = read_index;
    reader->published = read_index;
    reader->write_index = read_index;
    set_limit(reader);
    return RING_OK;
}

/* Looks at the write index again, since all that was known to be there is taken. */
static enum ring_status find_packets(struct ring_reader *reader)
{
    uint32_t write_index;

    if (reader->fault.kind != RING_FAULT_NONE)
        return RING_CORRUPT;
    /* Acquire: the bytes of the packets up to this index are seen as they were written. */
    write_index = ring_load_acquire(&reader->control->write_index);
    if (!ring_index_is_valid(reader->size, write_index))
        return reader_break(reader, RING_FAULT_WRITE_INDEX, write_index);
    if (write_index == reader->index)
        return RING_EMPTY;
    reader->write_index = write_index;
    set_limit(reader);
    return RING_OK;
}

/* So that the first half of a descriptor goes there in one store. */
_Static_assert(offsetof(struct ring_packet_in, type) == 0 &&
                   offsetof(struct ring_packet_in, data_offset8) == 2 &&
                   offsetof(struct ring_packet_in, length8) == 4 &&
                   offsetof(struct ring_packet_in, flags) == 6,
               "starts as struct ring_descriptor does");

/* Lengths in bytes from the first 8 bytes of struct ring_descriptor, which are loaded once. */
static inline uint32_t descriptor_length(uint64_t word)
{
    return (uint32_t)(word >> 29) & (0xffffu << 3);
}

static inline uint32_t descriptor_data_offset(uint64_t word)
{
    return (uint32_t)(word >> 13) & (0xffffu << 3);
}

/* `offset` may have run past the end by less than the size of the area. */
static void copy_out_wrapped(const struct ring_reader *reader, void *to, uint32_t offset,
                             uint32_t length)
{
    uint32_t until_end;
    uint32_t first = length;

    if (offset >= reader->size)
        offset -= reader->size;
    until_end = reader->size - offset;
    if (length > until_end) {
        first = until_end;
        memcpy((unsigned char *)to + first, reader->data, length - first);
    }
    if (first != 0)
        memcpy(to, reader->data + offset, first);
}

/* A producer publishes whole packets only: one that ends behind the write index is none. */
enum ring_status ring_reader_peek(struct ring_reader *reader, struct ring_packet_in *packet)
{
    uint32_t length;
    uint32_t data_offset;
    uint64_t word;

    if (reader->index == reader->write_index) {
        enum ring_status status = find_packets(reader);

        if (status != RING_OK)
            return status;
    }
    word = ring_load_word(reader->data + reader->index);
    length = descriptor_length(word);
    data_offset = descriptor_data_offset(word);
    if (length < 16 || length + 8 > known_available(reader))
        return reader_break(reader, RING_FAULT_LENGTH, word);
    if (data_offset < 16 || data_offset > length)
        return reader_break(reader, RING_FAULT_DATA_OFFSET, word);
    memcpy(packet, &word, sizeof(word));
    packet->transaction_id =
        ring_load_word(reader->data + ring_advance(reader->size, reader->index, 8));
    packet->extension_length = data_offset - 16;
    packet->payload_length = length - data_offset;
    return RING_OK;
}

void ring_reader_take(struct ring_reader *reader, const struct ring_packet_in *packet,
                      void *extension, void *payload)
{
    uint32_t start = reader->index + 16;
    uint32_t extension_length = packet->extension_length;

    reader->index = ring_advance(reader->size, reader->index,
                                 RING_PACKET_OVERHEAD + extension_length + packet->payload_length);
    set_limit(reader);
    if (extension != NULL)
        copy_out_wrapped(reader, extension, start, extension_length);
    if (payload != NULL)
        copy_out_wrapped(reader, payload, start + extension_length, packet->payload_length);
}

/* Next for any packet, any place. */
static __attribute__((noinline)) enum ring_status next_in_pieces(struct ring_reader *reader,
                                                                 void *buffer, size_t capacity,
                                                                 struct ring_packet_in *packet)
{
    enum ring_status status = ring_reader_peek(reader, packet);
    unsigned char *payload = buffer;

    if (status != RING_OK)
        return status;
    if (packet->extension_length + packet->payload_length > capacity)
        return RING_TOO_LARGE;
    ring_reader_take(reader, packet, buffer, payload + packet->extension_length);
    return RING_OK;
}

/* Once a burst, when all that was known is taken; or when the last word of the area is next. */
static __attribute__((noinline)) enum ring_status look_and_next(struct ring_reader *reader,
                                                                void *buffer, size_t capacity,
                                                                struct ring_packet_in *packet)
{
    enum ring_status status;

    if (reader->index != reader->write_index)
        return next_in_pieces(reader, buffer, capacity, packet);
    status = find_packets(reader);
    return status == RING_OK ? ring_reader_next(reader, buffer, capacity, packet) : status;
}

/* Peek and take in one, for the common packet, which is not cut and fits. */
enum ring_status ring_reader_next(struct ring_reader *reader, void *buffer, size_t capacity,
                                  struct ring_packet_in *packet)
{
    size_t index = reader->index;
    const unsigned char *at = reader->data + index;
    uint64_t word;
    uint32_t length;
    uint32_t data_offset;
    uint64_t end;

    if (index == reader->limit)
        return look_and_next(reader, buffer, capacity, packet);
    word = ring_load_word(at);
    length = descriptor_length(word);
    data_offset = descriptor_data_offset(word);
    memcpy(packet, &word, sizeof(word));
    packet->transaction_id = ring_load_word(at + 8);
    packet->extension_length = data_offset - 16;
    packet->payload_length = length - data_offset;
    end = index + length + 8;
    /* If one of these fails all is decided anew, by a new load. */
    if (data_offset < 16 || data_offset > length || length - 16 > capacity || end > reader->limit)
        return next_in_pieces(reader, buffer, capacity, packet);
    reader->index = (uint32_t)end;
    return ring_copy(buffer, at + 16, length - 16);
}

/*
 * Release: the writer may fill the room as soon as it sees the index, so our copies come first. A
 * writer that waits for room has stored its pending size and looked at the read index again; we
 * store the read index and look at the pending size. As in ring_writer_commit(), one of the two
 * must see the other's store: publish, then load. Only the crossing is signalled, from "not enough"
 * to "enough". The interrupt mask has no say here, it is about new data.
 */
bool ring_reader_publish(struct ring_reader *reader)
{
    struct ring_control *control = reader->control;
    uint32_t before = reader->published;
    uint32_t pending;
    uint32_t write_index;

    if (reader->index == before || reader->fault.kind != RING_FAULT_NONE)
        return false;
    reader->published = reader->index;
    if ((ring_load(&control->feature_bits) & RING_FEATURE_PENDING_SEND_SIZE) == 0) {
        ring_store_release(&control->read_index, reader->index);
        return false; /* a writer before 2012, which polls */
    }
    ring_publish(&control->read_index, reader->index);
    /* Some writers ask for a byte less than they need. */
    pending = ring_load_after(&control->pending_send_size) & ~UINT32_C(7);
    if (pending == 0)
        return false;
    write_index = ring_load(&control->write_index);
    if (!ring_index_is_valid(reader->size, write_index)) {
        reader_break(reader, RING_FAULT_WRITE_INDEX, write_index);
        return false;
    }
    return reader->size - ring_used(reader->size, write_index, before) <= pending &&
           reader->size - ring_used(reader->size, write_index, reader->index) > pending;
}

/* Visible before anything is read, so that a writer is spared the signal as early as can be. */
void ring_reader_mask(struct ring_reader *reader)
{
    ring_publish(&reader->control->interrupt_mask, 1);
}

/*
 * A writer that commits while the mask is set does not signal. If that was after our last look, its
 * packet would wait for the next one: so the mask is cleared first, and the write index read behind
 * it. Either the writer sees the cleared mask or we see its index.
 */
bool ring_reader_unmask(struct ring_reader *reader)
{
    uint32_t write_index;

    ring_publish(&reader->control->interrupt_mask, 0);
    if (reader->fault.kind != RING_FAULT_NONE)
        return false;
    write_index = ring_load_after(&reader->control->write_index);
    /* An index that makes no sense is no reason to sleep either: the next look will find it. */
    return write_index != reader->index;
}
