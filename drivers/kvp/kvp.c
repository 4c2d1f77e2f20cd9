/* SPDX-License-Identifier: MIT */
/* The pairs, as the application and the driver's other half reach them, and the facts. */
#include "drivers/kvp/kvp.h"

#include <string.h>

#include "drivers/kvp/kvp_device.h"
#include "kernel/command_line.h"
#include "kernel/irql.h"
#include "kernel/log.h"
#include "kernel/utf16.h"
#include "kernel/version.h"

struct kvp_driver kvp_driver;

static void copy(char *out, size_t size, const char *text)
{
    size_t length = strlen(text);

    if (out == NULL || size == 0) {
        return;
    }
    if (length >= size) {
        length = size - 1;
    }
    memcpy(out, text, length);
    out[length] = '\0';
}

static bool set(enum kvp_pool pool, const char *key, const char *value)
{
    if (key[0] == '\0' || utf16_size_of_utf8(key) > KVP_KEY_SIZE ||
        utf16_size_of_utf8(value) > KVP_VALUE_SIZE) {
        return false;
    }
    const enum irql level = irql_raise_to_dispatch();
    const bool done = kvp_store_set(&kvp_driver.pools[pool], key, value);
    irql_lower(level);
    return done;
}

bool kvp_set(const char *key, const char *value)
{
    return set(KVP_POOL_GUEST, key, value);
}

bool kvp_delete(const char *key)
{
    const enum irql level = irql_raise_to_dispatch();
    const bool done = kvp_store_delete(&kvp_driver.pools[KVP_POOL_GUEST], key);

    irql_lower(level);
    return done;
}

static bool copy_pair(const struct kvp_pair *pair, char *key, size_t key_size, char *value,
                      size_t value_size)
{
    if (pair == NULL) {
        return false;
    }
    copy(key, key_size, pair->key);
    copy(value, value_size, pair->value);
    return true;
}

bool kvp_get(enum kvp_pool pool, const char *key, char *value, size_t size)
{
    const enum irql level = irql_raise_to_dispatch();
    const bool found =
        (unsigned)pool < KVP_POOLS &&
        copy_pair(kvp_store_find(&kvp_driver.pools[pool], key), NULL, 0, value, size);

    irql_lower(level);
    return found;
}

bool kvp_enumerate(enum kvp_pool pool, uint32_t index, char *key, size_t key_size, char *value,
                   size_t value_size)
{
    const enum irql level = irql_raise_to_dispatch();
    const bool found =
        (unsigned)pool < KVP_POOLS &&
        copy_pair(kvp_store_at(&kvp_driver.pools[pool], index), key, key_size, value, value_size);

    irql_lower(level);
    return found;
}

bool kvp_set_fact(const char *key, const char *value)
{
    const enum irql level = irql_raise_to_dispatch();
    const bool known = kvp_store_find(&kvp_driver.pools[KVP_POOL_AUTO], key) != NULL;

    irql_lower(level);
    return known && set(KVP_POOL_AUTO, key, value);
}

uint64_t kvp_changes(void)
{
    const enum irql level = irql_raise_to_dispatch();
    const uint64_t changes = kvp_driver.changes;

    irql_lower(level);
    return changes;
}

/* The facts that hosts ask for by their number (Linux tools/hv/hv_kvp_daemon.c): the order counts.
 */
void kvp_make_facts(void)
{
    const struct {
        const char *key;
        const char *value;
    } facts[] = {
        {"FullyQualifiedDomainName", "barebus"},
        {"IntegrationServicesVersion", VERSION_TEXT},
        {"NetworkAddressIPv4", ""},
        {"NetworkAddressIPv6", ""},
        {"OSBuildNumber", VERSION_TEXT},
        {"OSName", VERSION_NAME},
        {"OSMajorVersion", VERSION_MAJOR},
        {"OSMinorVersion", VERSION_MINOR},
        {"OSVersion", VERSION_TEXT},
        {"ProcessorArchitecture", version_architecture()},
    };
    char host_name[256];

    for (unsigned i = 0; i < sizeof(facts) / sizeof(facts[0]); i++) {
        if (!set(KVP_POOL_AUTO, facts[i].key, facts[i].value)) {
            log_warning("kvp", "no memory for the facts from %s on", facts[i].key);
            return;
        }
    }
    if (command_line_value("hostname", host_name, sizeof(host_name))) {
        (void)set(KVP_POOL_AUTO, facts[0].key, host_name);
    }
}
