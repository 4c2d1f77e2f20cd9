/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_KVP_KVP_STORE_H
#define DRIVERS_KVP_KVP_STORE_H

/* The pairs of one pool, in the order in which they were first set. Knows no locks: DISPATCH. */

#include <stdbool.h>
#include <stdint.h>

struct kvp_pair {
    struct kvp_pair *next;
    const char *value; /* behind the key, in the same memory */
    char key[];
};

struct kvp_store {
    struct kvp_pair *first;
    uint32_t count;
};

/* False: there are KVP_PAIRS_MAX already, or no memory; then the old value stands. */
bool kvp_store_set(struct kvp_store *store, const char *key, const char *value);

/* Frees the pair. False: there is none. */
bool kvp_store_delete(struct kvp_store *store, const char *key);

/* By its key, or by its number from 0; valid until the pool changes. NULL: there is none. */
const struct kvp_pair *kvp_store_find(const struct kvp_store *store, const char *key);
const struct kvp_pair *kvp_store_at(const struct kvp_store *store, uint32_t index);

/* Frees all pairs. */
void kvp_store_clear(struct kvp_store *store);

#endif
