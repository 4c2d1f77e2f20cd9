/* SPDX-License-Identifier: MIT */
#ifndef DRIVERS_KVP_KVP_H
#define DRIVERS_KVP_KVP_H

/*
 * Key-value pairs between the guest and its host: what the host can know of this guest, what it
 * tells the guest, and what the application tells the host. It starts by itself (INIT_DRIVERS).
 *
 * Text is UTF-8. Pairs live as long as the guest. All at or below DISPATCH.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The numbers are the protocol's. */
enum kvp_pool {
    KVP_POOL_EXTERNAL = 0,      /* the host sets, for the application */
    KVP_POOL_GUEST = 1,         /* the application sets, for the host */
    KVP_POOL_AUTO = 2,          /* facts about this guest, for the host: see kvp_set_fact() */
    KVP_POOL_AUTO_EXTERNAL = 3, /* facts about the host, which it sets by itself */
};

/* Choice of ours: pairs in a pool; more are refused, whoever sets them. */
#define KVP_PAIRS_MAX 64u

/* The longest key and value, as UTF-8 with the terminator: 255 and 1023 units of UTF-16, of which
 * each takes at most three bytes. */
#define KVP_KEY_TEXT_SIZE   766u
#define KVP_VALUE_TEXT_SIZE 3070u

/* Sets a pair of KVP_POOL_GUEST. False: the key is empty, one of both is too long, there are
 * KVP_PAIRS_MAX already, or no memory. */
bool kvp_set(const char *key, const char *value);

/* False: there is none. */
bool kvp_delete(const char *key);

/* Copies a value, cut to `size` with its terminator. False: there is none. */
bool kvp_get(enum kvp_pool pool, const char *key, char *value, size_t size);

/* The nth pair of a pool, from 0; either may be NULL. False: there are not so many. */
bool kvp_enumerate(enum kvp_pool pool, uint32_t index, char *key, size_t key_size, char *value,
                   size_t value_size);

/*
 * Changes a fact of KVP_POOL_AUTO: "FullyQualifiedDomainName" (at first the word hostname= of the
 * command line), "NetworkAddressIPv4" and "NetworkAddressIPv6" (at first empty, several with ';'
 * between) and the others that Windows guests have. False: there is no such fact, or the value is
 * too long.
 */
bool kvp_set_fact(const char *key, const char *value);

/* How often the host has set or deleted a pair: whoever waits for one looks again when this grew.
 */
uint64_t kvp_changes(void);

#endif
