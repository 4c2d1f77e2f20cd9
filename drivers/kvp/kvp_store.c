/* SPDX-License-Identifier: MIT */
#include "drivers/kvp/kvp_store.h"

#include <string.h>

#include "drivers/kvp/kvp.h"
#include "kernel/pages.h"

/* Where the pointer to the pair stands; at the end of the list if there is none. */
static struct kvp_pair **place_of(struct kvp_store *store, const char *key)
{
    struct kvp_pair **at = &store->first;

    while (*at != NULL && strcmp((*at)->key, key) != 0) {
        at = &(*at)->next;
    }
    return at;
}

bool kvp_store_set(struct kvp_store *store, const char *key, const char *value)
{
    struct kvp_pair **at = place_of(store, key);
    struct kvp_pair *old = *at;
    const size_t key_size = strlen(key) + 1;
    const size_t value_size = strlen(value) + 1;

    if (old == NULL && store->count == KVP_PAIRS_MAX) {
        return false;
    }
    struct kvp_pair *pair = memory_allocate(sizeof(*pair) + key_size + value_size);
    if (pair == NULL) {
        return false;
    }
    memcpy(pair->key, key, key_size);
    memcpy(pair->key + key_size, value, value_size);
    pair->value = pair->key + key_size;
    if (old != NULL) {
        pair->next = old->next;
        memory_free(old);
    } else {
        store->count++;
    }
    *at = pair;
    return true;
}

bool kvp_store_delete(struct kvp_store *store, const char *key)
{
    struct kvp_pair **at = place_of(store, key);
    struct kvp_pair *pair = *at;

    if (pair == NULL) {
        return false;
    }
    *at = pair->next;
    memory_free(pair);
    store->count--;
    return true;
}

const struct kvp_pair *kvp_store_find(const struct kvp_store *store, const char *key)
{
    const struct kvp_pair *pair = store->first;

    while (pair != NULL && strcmp(pair->key, key) != 0) {
        pair = pair->next;
    }
    return pair;
}

const struct kvp_pair *kvp_store_at(const struct kvp_store *store, uint32_t index)
{
    const struct kvp_pair *pair = store->first;

    for (; pair != NULL && index > 0; index--) {
        pair = pair->next;
    }
    return pair;
}

void kvp_store_clear(struct kvp_store *store)
{
    while (store->first != NULL) {
        struct kvp_pair *pair = store->first;
        store->first = pair->next;
        memory_free(pair);
    }
    store->count = 0;
}
