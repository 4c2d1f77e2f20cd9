/* SPDX-License-Identifier: MIT */
/* Reads and writes the guest's key-value pairs when commands say so; what comes is an event. */

#include "tests/host/kvp.h"

#include <string.h>

#include "drivers/kvp/kvp_protocol.h"
#include "kernel/utf16.h"
#include "tests/host/integration.h"

/* Choice of ours: a guest that has more than so many is not asked further. */
#define ITEMS_MAX 1000u

#define KEY_TEXT_SIZE   (KVP_KEY_SIZE / 2 * 3 + 1)
#define VALUE_TEXT_SIZE (KVP_VALUE_SIZE / 2 * 3 + 1)

struct kvp {
    struct host_integration integration;
    UINT64 exchanges;
    /* What is asked, and the answer. */
    union {
        struct kvp_header header;
        struct kvp_exchange exchange;
        struct kvp_delete deletion;
        struct kvp_enumerate enumeration;
        UINT8 bytes[KVP_MESSAGE_SIZE];
    } message;
    UINT32 index;
    char key[KEY_TEXT_SIZE];
    char value[VALUE_TEXT_SIZE];
};

static struct kvp *kvp_of(struct host_integration *integration)
{
    return (struct kvp *)(void *)integration;
}

static const char *const pool_names[KVP_POOLS] = {"external", "guest", "auto", "auto-external",
                                                  "auto-internal"};
static const char *const operation_names[] = {"get", "set", "delete", "enumerate"};

static bool ask(struct kvp *kvp)
{
    return host_integration_request(&kvp->integration, &kvp->message, sizeof(kvp->message));
}

/* ---- answers ---- */

/* Text that a guest made, for one line. */
static void to_text(const UINT8 *wide, UINT32 size, char *out, size_t capacity)
{
    (void)utf16_to_utf8(wide, size, out, capacity);
    for (; *out != '\0'; out++) {
        if ((unsigned char)*out < ' ' || *out == 0x7f) {
            *out = '?';
        }
    }
}

static bool take_pair(struct kvp *kvp, const UINT8 *data)
{
    struct kvp_value *value = &kvp->message.enumeration.data; /* memory that is free now */

    memcpy(value, data, sizeof(*value));
    if (value->type != KVP_TYPE_STRING || value->key_size > KVP_KEY_SIZE ||
        value->value_size > KVP_VALUE_SIZE || value->key_size % 2 != 0 ||
        value->value_size % 2 != 0) {
        return false;
    }
    to_text(value->key, value->key_size, kvp->key, sizeof(kvp->key));
    to_text(value->value, value->value_size, kvp->value, sizeof(kvp->value));
    return true;
}

static void ask_for_item(struct kvp *kvp, UINT8 pool)
{
    memset(&kvp->message, 0, sizeof(kvp->message));
    kvp->message.header.operation = KVP_ENUMERATE;
    kvp->message.header.pool = pool;
    kvp->message.enumeration.index = kvp->index;
}

static bool answered(struct host_integration *integration, UINT32 status, const void *body,
                     UINT32 size)
{
    struct kvp *kvp = kvp_of(integration);
    struct host_device *device = &integration->device;
    const UINT8 operation = kvp->message.header.operation;
    const UINT8 pool = kvp->message.header.pool;
    const UINT8 *bytes = body;

    kvp->exchanges++;
    if (operation == KVP_ENUMERATE && status == INTEGRATION_STATUS_NO_MORE_ITEMS) {
        host_device_event(device, "enumerate %s: end, %u pairs", pool_names[pool], kvp->index);
        return true;
    }
    if (status != INTEGRATION_STATUS_OK) {
        host_device_event(device, "%s %s: status 0x%08x%s", operation_names[operation],
                          pool_names[pool], status,
                          status == INTEGRATION_STATUS_NO_MORE_ITEMS ? " (there is none)" : "");
        return true;
    }
    if (operation == KVP_SET || operation == KVP_DELETE) {
        host_device_event(device, "%s %s: done", operation_names[operation], pool_names[pool]);
        return true;
    }
    const size_t at = operation == KVP_GET ? offsetof(struct kvp_exchange, data)
                                           : offsetof(struct kvp_enumerate, data);
    if (size < at + sizeof(struct kvp_value) || !take_pair(kvp, bytes + at)) {
        return false;
    }
    if (operation == KVP_GET) {
        host_device_event(device, "get %s: %s=%s", pool_names[pool], kvp->key, kvp->value);
        return true;
    }
    host_device_event(device, "enumerate %s: %u: %s=%s", pool_names[pool], kvp->index, kvp->key,
                      kvp->value);
    if (++kvp->index == ITEMS_MAX) {
        host_device_event(device, "enumerate %s: more than %u pairs", pool_names[pool],
                          ITEMS_MAX - 1);
        return true;
    }
    ask_for_item(kvp, pool);
    (void)ask(kvp);
    return true;
}

/* ---- commands ---- */

static bool take_pool(struct kvp *kvp, const char *text, UINT8 operation,
                      const struct host_output *reply)
{
    UINT64 number = 0;

    if (!host_integration_is_idle(&kvp->integration)) {
        host_integration_refuse(&kvp->integration, reply);
        return false;
    }
    if (!host_number(text, &number)) {
        while (number < KVP_POOLS && strcmp(text, pool_names[number]) != 0) {
            number++;
        }
    }
    if (number >= KVP_POOLS) {
        host_print(reply, "%s: there is no pool %s, but external, guest, auto, auto-external",
                   kvp->integration.device.name, text);
        return false;
    }
    memset(&kvp->message, 0, sizeof(kvp->message));
    kvp->message.header.operation = operation;
    kvp->message.header.pool = (UINT8)number;
    return true;
}

static bool take_text(const struct kvp *kvp, const char *text, UINT8 *out, UINT32 capacity,
                      UINT32 *size, const struct host_output *reply)
{
    *size = (UINT32)utf16_from_utf8(text, out, capacity);
    if (*size == 0) {
        host_print(reply, "%s: a text is longer than %u characters", kvp->integration.device.name,
                   capacity / 2 - 1);
    }
    return *size != 0;
}

static bool get(struct host_device *device, char *const arguments[], unsigned count,
                const struct host_output *reply)
{
    struct kvp *kvp = kvp_of(host_integration_of(device));
    struct kvp_value *data = &kvp->message.exchange.data;

    (void)count;
    return take_pool(kvp, arguments[0], KVP_GET, reply) &&
           take_text(kvp, arguments[1], data->key, KVP_KEY_SIZE, &data->key_size, reply) &&
           ask(kvp);
}

static bool set(struct host_device *device, char *const arguments[], unsigned count,
                const struct host_output *reply)
{
    struct kvp *kvp = kvp_of(host_integration_of(device));
    struct kvp_value *data = &kvp->message.exchange.data;

    (void)count;
    if (!take_pool(kvp, arguments[0], KVP_SET, reply)) {
        return false;
    }
    data->type = KVP_TYPE_STRING;
    return take_text(kvp, arguments[1], data->key, KVP_KEY_SIZE, &data->key_size, reply) &&
           take_text(kvp, arguments[2], data->value, KVP_VALUE_SIZE, &data->value_size, reply) &&
           ask(kvp);
}

static bool forget(struct host_device *device, char *const arguments[], unsigned count,
                   const struct host_output *reply)
{
    struct kvp *kvp = kvp_of(host_integration_of(device));
    struct kvp_delete *deletion = &kvp->message.deletion;

    (void)count;
    return take_pool(kvp, arguments[0], KVP_DELETE, reply) &&
           take_text(kvp, arguments[1], deletion->key, KVP_KEY_SIZE, &deletion->key_size, reply) &&
           ask(kvp);
}

static bool enumerate(struct host_device *device, char *const arguments[], unsigned count,
                      const struct host_output *reply)
{
    struct kvp *kvp = kvp_of(host_integration_of(device));

    (void)count;
    kvp->index = 0;
    return take_pool(kvp, arguments[0], KVP_ENUMERATE, reply) && ask(kvp);
}

static bool print_status(struct host_device *device, char *const arguments[], unsigned count,
                         const struct host_output *reply)
{
    const struct kvp *kvp = kvp_of(host_integration_of(device));

    (void)arguments;
    (void)count;
    host_integration_print(&kvp->integration, reply);
    host_print(reply, "exchanges=%llu", (unsigned long long)kvp->exchanges);
    return true;
}

/* ---- the type ---- */

static const struct host_integration_service service = {
    .type = INTEGRATION_KVP,
    .message_size = sizeof(struct integration_header) + KVP_MESSAGE_SIZE,
    /* From 5.0 on addresses are told in binary, which nothing here asks for. */
    .versions = {{1, 0}, {3, 0}, {4, 0}, {5, 0}},
    .answered = answered,
};

static bool create(struct host_device *device, const char *options,
                   const struct host_output *errors)
{
    return host_integration_create(device, &service, options, errors);
}

static const struct host_option options[] = {
    HOST_INTEGRATION_OPTIONS,
    {NULL, NULL, NULL},
};

static const struct host_command commands[] = {
    {"get", "POOL KEY", "asks the guest for a value, which is an event", 2, 2, get},
    {"set", "POOL KEY VALUE", "sets a pair in the guest", 3, 3, set},
    {"delete", "POOL KEY", "deletes a pair of the guest", 2, 2, forget},
    {"enumerate", "POOL", "asks for all pairs of a pool: an event each, and one for the end", 1, 1,
     enumerate},
    {"status", "", "how many exchanges there were", 0, 0, print_status},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct host_device_type kvp_device_type = {
    .name = "kvp",
    .purpose = "key-value pairs of the guest; POOL: external, guest, auto, auto-external",
    .size = sizeof(struct kvp),
    .device_class = KVP_CLASS_INITIALISER,
    .instance = KVP_INSTANCE_INITIALISER,
    .options = options,
    .commands = commands,
    .create = create,
    .destroy = host_integration_destroy,
};
