/* SPDX-License-Identifier: MIT */
/* The packets of a paused server channel as bytes. */

#include <string.h>

#include "kernel/pages.h"
#include "vmbus/kmcl/server/kmcl_saved.h"
#include "vmbus/kmcl/server/kmcl_server.h"
#include "vmbus/server/checksum.h"

/* One save. The channel stands still meanwhile, so what is to be saved is listed at its start. */
struct kmcl_save {
    enum kmcl_state state; /* of the channel, at the start */
    uint32_t item_count;
    uint32_t next;                  /* item to save; item_count: the end */
    uint32_t number;                /* of the next chunk */
    uint32_t checksum;              /* of the last one */
    bool over;                      /* complete, or failed */
    struct kmcl_saved_chunk *chunk; /* made, and not handed out yet */
    struct item {
        struct kmcl_send *send; /* NULL: a completion that nobody waits for */
        uint64_t id;            /* 0: it is queued */
    } items[];
};

/* ---- what there is ---- */

/* How far the look at it has come: {0, the first that is queued} at its start. */
struct cursor {
    uint32_t slot;
    struct kmcl_send *send;
};

/* The next of it. False: there is no more. Lock held. */
static bool next_item(const struct kmcl_channel *channel, struct cursor *at, struct item *item)
{
    const struct kmcl_transaction_table *table = &channel->transactions;

    while (at->slot < table->capacity) {
        const struct kmcl_transaction *slot = &table->slots[at->slot++];
        struct kmcl_packet *packet = slot->packet;

        if (packet != NULL) {
            item->send = packet != &kmcl_tombstone ? &packet->send : NULL;
            item->id = (uint64_t)slot->generation << 32 | at->slot;
            return true;
        }
    }
    item->send = at->send;
    item->id = 0;
    at->send = at->send != NULL ? at->send->next : NULL;
    return item->send != NULL;
}

/* Counts it, and lists it if there is a list. Lock held. */
static uint32_t list(const struct kmcl_channel *channel, struct item *items)
{
    struct cursor at = {0, channel->queue_first};
    struct item item;
    uint32_t count = 0;

    while (next_item(channel, &at, &item)) {
        if (items != NULL) {
            items[count] = item;
        }
        count++;
    }
    return count;
}

/* Whether the list still is what there is. Lock held. */
static bool is_listed(const struct kmcl_channel *channel, const struct kmcl_save *save)
{
    struct cursor at = {0, channel->queue_first};
    struct item item;
    uint32_t count = 0;

    while (next_item(channel, &at, &item)) {
        if (count == save->item_count || item.send != save->items[count].send ||
            item.id != save->items[count].id) {
            return false;
        }
        count++;
    }
    return count == save->item_count;
}

/* Whether nothing moves: RELEASING is a channel that waits for its guest to close it. */
static bool is_at_rest(const struct kmcl_channel *channel)
{
    return !channel->worker_running &&
           !atomic_load_explicit(&channel->state_work.queued, memory_order_acquire) &&
           (channel->state == KMCL_PAUSED || channel->state == KMCL_SEARCHING ||
            channel->state == KMCL_DISABLED || channel->state == KMCL_RELEASING);
}

NTSTATUS VmbChannelSaveBegin(VMBCHANNEL Channel)
{
    struct kmcl_channel *channel = kmcl_server_find(Channel);

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    kmcl_require_passive(__func__);
    struct kmcl_server_channel *server = channel->server;
    if (!is_at_rest(channel) || server->save != NULL || server->restore != NULL) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    enum irql level = spin_lock_acquire(&channel->lock);
    const uint32_t count = list(channel, NULL);
    spin_lock_release(&channel->lock, level);
    struct kmcl_save *save = memory_allocate(sizeof(*save) + count * sizeof(save->items[0]));
    if (save == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    level = spin_lock_acquire(&channel->lock);
    (void)list(channel, save->items);
    spin_lock_release(&channel->lock, level);
    save->state = channel->state;
    save->item_count = count;
    server->save = save;
    return STATUS_SUCCESS;
}

/* Whether all is as it was. */
static bool is_unchanged(struct kmcl_channel *channel, const struct kmcl_save *save)
{
    enum irql level = spin_lock_acquire(&channel->lock);
    const bool same =
        channel->state == save->state && is_at_rest(channel) && is_listed(channel, save);

    spin_lock_release(&channel->lock, level);
    return same;
}

void kmcl_save_free(struct kmcl_channel *channel)
{
    struct kmcl_save *save = channel->server->save;

    if (save != NULL) {
        memory_free(save->chunk);
        memory_free(save);
    }
    channel->server->save = NULL;
}

VOID VmbChannelSaveEnd(VMBCHANNEL Channel)
{
    struct kmcl_channel *channel = kmcl_server_find(Channel);

    kmcl_require_passive(__func__);
    if (channel != NULL && channel->server->save != NULL) {
        kmcl_save_free(channel);
        return;
    }
    kmcl_misuse(__func__, "no save was begun");
}

/* ---- chunks ---- */

/* A chunk with room for `length` bytes behind its header, which the caller fills. */
static void *chunk_begin(struct kmcl_save *save, enum kmcl_saved_kind kind, uint32_t length)
{
    struct kmcl_saved_chunk *chunk = memory_allocate(sizeof(*chunk) + length);

    if (chunk == NULL) {
        return NULL;
    }
    *chunk = (struct kmcl_saved_chunk){
        .magic = KMCL_SAVED_MAGIC,
        .format = KMCL_SAVED_FORMAT,
        .kind = (uint16_t)kind,
        .size = (uint32_t)sizeof(*chunk) + length,
        .number = save->number,
    };
    save->chunk = chunk;
    return chunk + 1;
}

static void chunk_end(struct kmcl_save *save)
{
    save->checksum = vmbus_checksum(save->checksum, save->chunk, save->chunk->size);
    save->chunk->checksum = save->checksum;
    save->number++;
}

static uint32_t flags_of(const struct kmcl_channel *channel)
{
    const struct kmcl_server_channel *server = channel->server;
    bool failed = server->restored_failed;

    if (!channel->is_open && !server->has_restored) {
        return 0;
    }
    if (channel->is_open) {
        failed = (kmcl_intake_word(channel) & INTAKE_ENDS_FAILED) != 0;
    }
    return failed ? KMCL_SAVED_OPEN | KMCL_SAVED_FAILED : KMCL_SAVED_OPEN;
}

static NTSTATUS save_channel(const struct kmcl_channel *channel, struct kmcl_save *save)
{
    const uint32_t held = channel->held != NULL ? 1 : 0;
    struct kmcl_saved_channel *saved = chunk_begin(save, SAVED_CHANNEL, sizeof(*saved));

    if (saved == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    memcpy(&saved->interface_type, &channel->server->offer.interface_type,
           sizeof(saved->interface_type));
    memcpy(&saved->interface_instance, &channel->server->offer.interface_instance,
           sizeof(saved->interface_instance));
    saved->sub_channel_index = channel->server->offer.sub_channel_index;
    saved->packet_size = channel->packet_size;
    saved->chunks = save->item_count + held + 2;
    saved->flags = flags_of(channel);
    return STATUS_SUCCESS;
}

/* Asks the driver for its part, twice. *bytes is the library's. */
static NTSTATUS save_driver_part(struct kmcl_channel *channel, struct kmcl_packet *packet,
                                 void **bytes, uint32_t *length)
{
    PFN_VMB_CHANNEL_SAVE_PACKET callback = channel->server->save_packet;
    VMBCHANNEL handle = kmcl_channel_handle(channel);
    UINT32 wanted = 0;

    *bytes = NULL;
    *length = 0;
    if (callback == NULL) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    NTSTATUS status = callback(handle, kmcl_packet_handle(packet), NULL, 0, &wanted);
    if (NT_SUCCESS(status)) {
        return STATUS_SUCCESS;
    }
    if (wanted == 0 || wanted > KMCL_SAVED_DRIVER_LIMIT) {
        return status;
    }
    *bytes = memory_allocate(wanted);
    if (*bytes == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    *length = wanted;
    status = callback(handle, kmcl_packet_handle(packet), *bytes, wanted, length);
    if (NT_SUCCESS(status) && *length > wanted) {
        kmcl_misuse("EvtVmbChannelSavePacket", "more bytes than there was room for");
    }
    return NT_SUCCESS(status) ? STATUS_SUCCESS : status;
}

static NTSTATUS save_packet(struct kmcl_channel *channel, struct kmcl_save *save,
                            struct kmcl_packet *packet, uint64_t id)
{
    const struct ring_packet_out *wire = &packet->send.wire;
    const uint32_t payload = id == 0 ? wire->payload_length : 0;
    const uint32_t extension = id == 0 ? wire->extension_length : 0;
    struct kmcl_saved_packet *saved = NULL;
    void *driver;
    uint32_t length;
    NTSTATUS status = save_driver_part(channel, packet, &driver, &length);

    if (status == STATUS_SUCCESS) {
        saved = chunk_begin(save, SAVED_PACKET,
                            (uint32_t)sizeof(*saved) + extension + kmcl_saved_padded(payload) +
                                kmcl_saved_padded(length));
        status = saved != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
    }
    if (saved != NULL) {
        unsigned char *at = (unsigned char *)(saved + 1);
        saved->transaction_id = id;
        saved->in_ring = id != 0;
        saved->flags = wire->flags;
        saved->extension_length = extension;
        saved->payload_length = payload;
        saved->driver_length = length;
        if (extension > 0) {
            memcpy(at, wire->head, extension);
            at += extension;
        }
        if (payload > 0) {
            memcpy(at, wire->payload, payload);
        }
        if (length > 0) {
            memcpy(at + kmcl_saved_padded(payload), driver, length);
        }
    }
    memory_free(driver);
    return status;
}

static NTSTATUS save_forgotten(struct kmcl_save *save, uint64_t id)
{
    struct kmcl_saved_packet *saved = chunk_begin(save, SAVED_FORGOTTEN, sizeof(*saved));

    if (saved == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    saved->transaction_id = id;
    saved->in_ring = 1;
    saved->flags = RING_PACKET_FLAG_COMPLETION_REQUESTED;
    return STATUS_SUCCESS;
}

static NTSTATUS save_reply(struct kmcl_save *save, const struct kmcl_send *send)
{
    const uint32_t length = send->wire.payload_length;
    struct kmcl_saved_reply *saved =
        chunk_begin(save, SAVED_REPLY, (uint32_t)sizeof(*saved) + kmcl_saved_padded(length));

    if (saved == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    saved->transaction_id = send->wire.transaction_id;
    saved->payload_length = length;
    if (length > 0) {
        memcpy(saved + 1, send->wire.payload, length);
    }
    return STATUS_SUCCESS;
}

static NTSTATUS save_held(struct kmcl_save *save, const struct kmcl_incoming *held)
{
    /* On a pipe the payload's padding is not kept: nothing looks at it. */
    const uint32_t copied = kmcl_saved_padded(held->offset + held->packet.payload_length);
    struct kmcl_saved_held *saved =
        chunk_begin(save, SAVED_HELD, (uint32_t)sizeof(*saved) + copied);

    if (saved == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    saved->transaction_id = held->packet.transaction_id;
    saved->copy_length = copied;
    saved->extension_length = held->packet.extension_length;
    saved->payload_offset = held->offset;
    saved->payload_length = held->packet.payload_length;
    saved->flags = kmcl_incoming_flags(held);
    saved->reply_wanted = kmcl_reply_is_wanted(held);
    memcpy(saved + 1, held->copy, copied);
    return STATUS_SUCCESS;
}

static NTSTATUS save_end(struct kmcl_save *save)
{
    return chunk_begin(save, SAVED_END, 0) != NULL ? STATUS_SUCCESS : STATUS_INSUFFICIENT_RESOURCES;
}

static NTSTATUS save_item(struct kmcl_channel *channel, struct kmcl_save *save,
                          const struct item *item)
{
    if (item->send == NULL) {
        return save_forgotten(save, item->id);
    }
    if (item->send->is_reply) {
        return save_reply(save, item->send);
    }
    return save_packet(channel, save, (struct kmcl_packet *)(void *)item->send, item->id);
}

/* Makes the next chunk. A deferred packet comes first: it is before everything in the ring. */
static NTSTATUS make_chunk(struct kmcl_channel *channel, struct kmcl_save *save)
{
    const uint32_t held = channel->held != NULL ? 1 : 0;
    NTSTATUS status;

    if (!is_unchanged(channel, save)) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    if (save->number == 0) {
        status = save_channel(channel, save);
    } else if (save->number == held) {
        status = save_held(save, channel->held);
    } else if (save->next < save->item_count) {
        status = save_item(channel, save, &save->items[save->next++]);
    } else {
        status = save_end(save);
    }
    if (status == STATUS_SUCCESS) {
        chunk_end(save);
    }
    return status;
}

NTSTATUS VmbChannelSaveContinue(VMBCHANNEL Channel, PVOID SaveBuffer, ULONG SaveBufferSize,
                                PULONG BytesFilled, PULONG BytesRequired)
{
    struct kmcl_channel *channel = kmcl_server_find(Channel);
    bool is_last = false;

    if (channel == NULL) {
        return STATUS_INVALID_PARAMETER_1;
    }
    if (BytesFilled == NULL || BytesRequired == NULL ||
        (SaveBuffer == NULL && SaveBufferSize > 0)) {
        return STATUS_INVALID_PARAMETER;
    }
    *BytesFilled = 0;
    *BytesRequired = 0;
    kmcl_require_passive(__func__);
    struct kmcl_save *save = channel->server->save;
    if (save == NULL || save->over) {
        return STATUS_INVALID_DEVICE_REQUEST;
    }
    while (!is_last) {
        if (save->chunk == NULL) {
            NTSTATUS status = make_chunk(channel, save);
            if (status != STATUS_SUCCESS) {
                save->over = true;
                return status;
            }
        }
        const uint32_t size = save->chunk->size;
        if (size > SaveBufferSize - *BytesFilled) {
            *BytesRequired = size;
            return *BytesFilled > 0 ? STATUS_BUFFER_OVERFLOW : STATUS_BUFFER_TOO_SMALL;
        }
        memcpy((unsigned char *)SaveBuffer + *BytesFilled, save->chunk, size);
        *BytesFilled += size;
        is_last = save->chunk->kind == SAVED_END;
        memory_free(save->chunk);
        save->chunk = NULL;
    }
    save->over = true;
    return STATUS_SUCCESS;
}
