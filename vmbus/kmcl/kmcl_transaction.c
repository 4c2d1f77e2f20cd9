/* SPDX-License-Identifier: MIT */
#include "vmbus/kmcl/kmcl_transaction.h"

#include <stddef.h>
#include <string.h>

struct kmcl_transaction *kmcl_transaction_grow(struct kmcl_transaction_table *table,
                                               struct kmcl_transaction *slots, uint32_t capacity)
{
    struct kmcl_transaction *old = table->slots;

    if (table->capacity > 0) {
        memcpy(slots, old, table->capacity * sizeof(*slots));
    }
    for (uint32_t i = capacity; i > table->capacity; i--) {
        slots[i - 1].next_free = table->first_free;
        table->first_free = i;
    }
    table->slots = slots;
    table->capacity = capacity;
    return old;
}

uint64_t kmcl_transaction_begin(struct kmcl_transaction_table *table, void *packet)
{
    uint32_t number = table->first_free;

    if (number == 0) {
        return 0;
    }
    struct kmcl_transaction *slot = &table->slots[number - 1];
    table->first_free = slot->next_free;
    table->live++;
    slot->packet = packet;
    return (uint64_t)slot->generation << 32 | number;
}

static struct kmcl_transaction *find(const struct kmcl_transaction_table *table, uint64_t id)
{
    uint32_t number = (uint32_t)id;

    /* Number 0 becomes the largest index there is. */
    if (number - 1 >= table->capacity) {
        return NULL;
    }
    struct kmcl_transaction *slot = &table->slots[number - 1];
    return slot->packet != NULL && slot->generation == (uint32_t)(id >> 32) ? slot : NULL;
}

static void *end(struct kmcl_transaction_table *table, struct kmcl_transaction *slot)
{
    void *packet = slot->packet;

    slot->packet = NULL;
    slot->generation++;
    slot->next_free = table->first_free;
    table->first_free = (uint32_t)(slot - table->slots) + 1;
    table->live--;
    return packet;
}

void *kmcl_transaction_end(struct kmcl_transaction_table *table, uint64_t id)
{
    struct kmcl_transaction *slot = find(table, id);

    return slot != NULL ? end(table, slot) : NULL;
}

void kmcl_transaction_replace(struct kmcl_transaction_table *table, uint64_t id, void *packet)
{
    struct kmcl_transaction *slot = find(table, id);

    if (slot != NULL) {
        slot->packet = packet;
    }
}

void *kmcl_transaction_end_any(struct kmcl_transaction_table *table, uint32_t *cursor)
{
    while (*cursor < table->capacity) {
        struct kmcl_transaction *slot = &table->slots[(*cursor)++];

        if (slot->packet != NULL) {
            return end(table, slot);
        }
    }
    return NULL;
}

bool kmcl_transaction_enter(struct kmcl_transaction_table *table, uint64_t id, void *packet)
{
    uint32_t number = (uint32_t)id;

    if (number - 1 >= table->capacity || table->slots[number - 1].packet != NULL) {
        return false;
    }
    table->slots[number - 1].packet = packet;
    table->slots[number - 1].generation = (uint32_t)(id >> 32);
    table->live++;
    return true;
}

void kmcl_transaction_relist(struct kmcl_transaction_table *table)
{
    table->first_free = 0;
    for (uint32_t number = table->capacity; number > 0; number--) {
        struct kmcl_transaction *slot = &table->slots[number - 1];

        if (slot->packet == NULL) {
            slot->next_free = table->first_free;
            table->first_free = number;
        }
    }
}
