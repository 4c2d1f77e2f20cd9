/* SPDX-License-Identifier: MIT */
#ifndef KMCL_TRANSACTION_H
#define KMCL_TRANSACTION_H

/*
 * The packets in the ring whose completion is awaited, found by the id that the peer echoes. An id
 * is a slot's index and the slot's generation, never a pointer: whatever a peer sends finds the
 * packet that was sent with that id, once, or nothing. No id is 0: hosts do not answer that one.
 * Callers serialise.
 */

#include <stdbool.h>
#include <stdint.h>

struct kmcl_transaction {
    void *packet; /* NULL: free */
    uint32_t generation;
    uint32_t next_free; /* index + 1, 0 ends the list */
};

struct kmcl_transaction_table {
    struct kmcl_transaction *slots;
    uint32_t capacity;
    uint32_t first_free; /* index + 1, 0 if there is none */
    uint32_t live;
};

/* Choice of ours: 1 MiB of table. Packets beyond it wait for a slot. */
#define KMCL_TRANSACTION_LIMIT 65536u

/*
 * Moves the table to `slots`, zeroed memory for `capacity` of them, more than it has. Ids stay
 * good. Returns the memory it had, for the caller to free.
 */
struct kmcl_transaction *kmcl_transaction_grow(struct kmcl_transaction_table *table,
                                               struct kmcl_transaction *slots, uint32_t capacity);

/* Enters `packet`, not NULL, and returns its id; 0 if all slots are taken. */
uint64_t kmcl_transaction_begin(struct kmcl_transaction_table *table, void *packet);

/* Takes the packet out; the id is dead afterwards. NULL: not, or no longer, an id of the table. */
void *kmcl_transaction_end(struct kmcl_transaction_table *table, uint64_t id);

/* Lets another object take the place of a live id's packet. */
void kmcl_transaction_replace(struct kmcl_transaction_table *table, uint64_t id, void *packet);

/*
 * For tables that are filled from outside: enters `packet` under an id that another table gave.
 * False: beyond the capacity, or its slot is taken. After the last of them
 * kmcl_transaction_relist() finds the free slots anew.
 */
bool kmcl_transaction_enter(struct kmcl_transaction_table *table, uint64_t id, void *packet);
void kmcl_transaction_relist(struct kmcl_transaction_table *table);

/* Takes out any packet at or behind slot *cursor, and moves the cursor behind it. NULL: none left.
 */
void *kmcl_transaction_end_any(struct kmcl_transaction_table *table, uint32_t *cursor);

#endif
