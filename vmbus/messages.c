/* SPDX-License-Identifier: MIT */
#include "vmbus/messages.h"

#include <stddef.h>
#include <string.h>

enum sender {
    SENDER_HOST,
    SENDER_GUEST,
};

struct message_entry {
    const char *name; /* NULL: a hole in the numbers */
    uint32_t version;
    uint8_t features;
    uint8_t sender; /* enum sender */
    uint8_t smallest;
    uint8_t largest;
};

#define ENTRY(number, name_, sender_, version_, features_, smallest_, largest_, handler)           \
    [number] = {#name_, (version_), (features_), SENDER_##sender_, (smallest_), (largest_)},
static const struct message_entry messages[VMBUS_MESSAGE_TYPE_END] = {VMBUS_MESSAGES(ENTRY)};
#undef ENTRY

#define CHECK(number, name, sender, version, features, smallest, largest, handler)                 \
    _Static_assert((smallest) >= sizeof(struct vmbus_message_header) && (smallest) <= (largest) && \
                       (largest) <= VMBUS_MESSAGE_SIZE_MAXIMUM,                                    \
                   #name ": sizes");
VMBUS_MESSAGES(CHECK)
#undef CHECK

/* The entry of a type that exists under this version and these features, or NULL. */
static const struct message_entry *find(uint32_t type, uint32_t version, uint32_t features)
{
    if (type >= VMBUS_MESSAGE_TYPE_END) {
        return NULL;
    }
    const struct message_entry *entry = &messages[type];
    if (entry->name == NULL || version < entry->version ||
        (entry->features & features) != entry->features) {
        return NULL;
    }
    return entry;
}

static enum vmbus_message_verdict judge(const void *message, uint32_t size, uint32_t version,
                                        uint32_t features, enum sender sender)
{
    struct vmbus_message_header header;

    if (size < sizeof(header)) {
        return VMBUS_MESSAGE_MALFORMED;
    }
    memcpy(&header, message, sizeof(header));
    const struct message_entry *entry = find(header.type, version, features);
    if (entry == NULL) {
        return VMBUS_MESSAGE_UNKNOWN;
    }
    if (entry->sender != sender) {
        return VMBUS_MESSAGE_UNEXPECTED;
    }
    return size < entry->smallest ? VMBUS_MESSAGE_MALFORMED : VMBUS_MESSAGE_GOOD;
}

enum vmbus_message_verdict vmbus_message_judge(const void *message, uint32_t size, uint32_t version,
                                               uint32_t features)
{
    return judge(message, size, version, features, SENDER_HOST);
}

enum vmbus_message_verdict vmbus_message_judge_guest(const void *message, uint32_t size,
                                                     uint32_t version, uint32_t features)
{
    return judge(message, size, version, features, SENDER_GUEST);
}

static bool may_send(uint32_t type, uint32_t size, uint32_t version, uint32_t features,
                     enum sender sender)
{
    const struct message_entry *entry = find(type, version, features);

    return entry != NULL && entry->sender == sender && size >= entry->smallest &&
           size <= entry->largest;
}

bool vmbus_message_may_send(uint32_t type, uint32_t size, uint32_t version, uint32_t features)
{
    return may_send(type, size, version, features, SENDER_GUEST);
}

bool vmbus_message_host_may_send(uint32_t type, uint32_t size, uint32_t version, uint32_t features)
{
    return may_send(type, size, version, features, SENDER_HOST);
}

const char *vmbus_message_name(uint32_t type)
{
    const struct message_entry *entry = find(type, UINT32_MAX, UINT32_MAX);

    return entry != NULL ? entry->name : "unknown";
}
