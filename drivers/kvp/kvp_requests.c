/* SPDX-License-Identifier: MIT */
/* What the host asks, and what it gets. All at DISPATCH. */
#include <inttypes.h>
#include <string.h>

#include "drivers/kvp/kvp_device.h"
#include "kernel/format.h"
#include "kernel/init.h"
#include "kernel/utf16.h"

/* Text from its field of a message, where it has to have room with a terminator. False: it is none.
 */
static bool take_text(const uint8_t *field, uint32_t size, uint32_t field_size, char *out,
                      size_t capacity)
{
    if (size > field_size || size % 2 != 0) {
        return false;
    }
    (void)utf16_to_utf8(field, size, out, capacity);
    return utf16_size_of_utf8(out) <= field_size;
}

/* A key as text, from its place in the message. False: it is no key. */
static bool take_key(const uint8_t *key, uint32_t size)
{
    return take_text(key, size, KVP_KEY_SIZE, kvp_driver.key, sizeof(kvp_driver.key)) &&
           kvp_driver.key[0] != '\0';
}

/* A value of any type as text, as Linux hands it on too. False: it is none. */
static bool take_value(const struct kvp_value *data)
{
    uint32_t number32;
    uint64_t number64;

    switch (data->type) {
    case KVP_TYPE_STRING:
    case KVP_TYPE_EXPANDABLE_STRING:
        return take_text(data->value, data->value_size, KVP_VALUE_SIZE, kvp_driver.value,
                         sizeof(kvp_driver.value));
    case KVP_TYPE_U32:
        memcpy(&number32, data->value, sizeof(number32));
        (void)format_into(kvp_driver.value, sizeof(kvp_driver.value), "%" PRIu32, number32);
        return true;
    case KVP_TYPE_U64_LINUX:
    case KVP_TYPE_U64:
        memcpy(&number64, data->value, sizeof(number64));
        (void)format_into(kvp_driver.value, sizeof(kvp_driver.value), "%" PRIu64, number64);
        return true;
    default:
        return false;
    }
}

/* Both fit: what is in a pool came through checks. */
static void give(struct kvp_value *data, const struct kvp_pair *pair)
{
    data->type = KVP_TYPE_STRING;
    memset(data->key, 0, sizeof(data->key));
    memset(data->value, 0, sizeof(data->value));
    data->key_size = (uint32_t)utf16_from_utf8(pair->key, data->key, sizeof(data->key));
    data->value_size = (uint32_t)utf16_from_utf8(pair->value, data->value, sizeof(data->value));
}

static uint32_t get(const struct kvp_store *pool, struct kvp_exchange *message)
{
    if (!take_key(message->data.key, message->data.key_size)) {
        return INTEGRATION_STATUS_INVALID_ARGUMENT;
    }
    const struct kvp_pair *pair = kvp_store_find(pool, kvp_driver.key);
    if (pair == NULL) {
        return INTEGRATION_STATUS_NO_MORE_ITEMS; /* as Linux' daemon */
    }
    give(&message->data, pair);
    return INTEGRATION_STATUS_OK;
}

static uint32_t set(struct kvp_store *pool, const struct kvp_exchange *message)
{
    if (!take_key(message->data.key, message->data.key_size) || !take_value(&message->data)) {
        return INTEGRATION_STATUS_INVALID_ARGUMENT;
    }
    if (!kvp_store_set(pool, kvp_driver.key, kvp_driver.value)) {
        return INTEGRATION_STATUS_FAILURE;
    }
    kvp_driver.changes++;
    return INTEGRATION_STATUS_OK;
}

static uint32_t forget(struct kvp_store *pool, const struct kvp_delete *message)
{
    if (!take_key(message->key, message->key_size)) {
        return INTEGRATION_STATUS_INVALID_ARGUMENT;
    }
    if (!kvp_store_delete(pool, kvp_driver.key)) {
        return INTEGRATION_STATUS_NO_MORE_ITEMS;
    }
    kvp_driver.changes++;
    return INTEGRATION_STATUS_OK;
}

static uint32_t enumerate(const struct kvp_store *pool, struct kvp_enumerate *message)
{
    const struct kvp_pair *pair = kvp_store_at(pool, message->index);

    if (pair == NULL) {
        return INTEGRATION_STATUS_NO_MORE_ITEMS;
    }
    give(&message->data, pair);
    return INTEGRATION_STATUS_OK;
}

/* The guest's own pools are the guest's to change. */
static bool is_the_hosts(uint8_t pool)
{
    return pool == KVP_POOL_EXTERNAL || pool == KVP_POOL_AUTO_EXTERNAL;
}

/* `body` is aligned to 4, and so is every field. */
static uint32_t request(struct integration_device *device, void *body, uint32_t size)
{
    static const uint32_t sizes[] = {
        [KVP_GET] = sizeof(struct kvp_exchange),
        [KVP_SET] = sizeof(struct kvp_exchange),
        [KVP_DELETE] = sizeof(struct kvp_delete),
        [KVP_ENUMERATE] = sizeof(struct kvp_enumerate),
    };
    const struct kvp_header header = *(const struct kvp_header *)body;

    (void)device;
    if (header.operation > KVP_ENUMERATE) {
        return INTEGRATION_STATUS_NOT_SUPPORTED; /* addresses: this guest has no network to tell of
                                                  */
    }
    if (size < sizes[header.operation] || header.pool >= KVP_POOLS) {
        return INTEGRATION_STATUS_INVALID_ARGUMENT;
    }
    struct kvp_store *pool = &kvp_driver.pools[header.pool];
    switch (header.operation) {
    case KVP_GET:
        return get(pool, body);
    case KVP_SET:
        return is_the_hosts(header.pool) ? set(pool, body) : INTEGRATION_STATUS_FAILURE;
    case KVP_DELETE:
        return is_the_hosts(header.pool) ? forget(pool, body) : INTEGRATION_STATUS_FAILURE;
    default:
        return enumerate(pool, body);
    }
}

static const struct integration_service service = {
    .name = "kvp",
    .device_class = KVP_CLASS_INITIALISER,
    .type = INTEGRATION_KVP,
    .body_size_minimum = sizeof(struct kvp_header),
    .message_size = sizeof(struct integration_header) + KVP_IP_MESSAGE_SIZE,
    /* From 5.0 on addresses are told in binary. */
    .versions = {{4, 0}, {3, 0}, {1, 0}},
    .request = request,
};

void kvp_start(void)
{
    kvp_make_facts();
    integration_start(&kvp_driver.device, &service);
}

INIT_ENTRY(INIT_DRIVERS, kvp_start);
