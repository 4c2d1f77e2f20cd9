/* SPDX-License-Identifier: MIT */
#include "tests/host/device_set.h"

#include <string.h>

#include "kmcl_extensions.h"

void host_devices_initialise(struct host_device_set *set, struct vmbus_server *server)
{
    *set = (struct host_device_set){.server = server};
}

/* The place of the device of this name; the number of devices: there is none. */
static uint32_t find(const struct host_device_set *set, const char *name)
{
    uint32_t place = 0;

    while (place < set->count && strcmp(set->list[place]->name, name) != 0) {
        place++;
    }
    return place;
}

static bool add(struct host_device_set *set, const char *text, const struct host_output *events,
                const struct host_output *errors)
{
    if (set->count == HOST_DEVICES_MAXIMUM) {
        host_print(errors, "'%s': there are %u devices already", text, HOST_DEVICES_MAXIMUM);
        return false;
    }
    struct host_device *device =
        host_device_create(KmclServerHandle(set->server), text, events, errors);
    if (device == NULL) {
        return false;
    }
    if (find(set, device->name) != set->count) {
        host_print(errors,
                   "'%s': there is a device of this name; give it another with name=", text);
        host_device_destroy(device);
        return false;
    }
    set->list[set->count++] = device;
    return true;
}

bool host_devices_add(struct host_device_set *set, const char *text,
                      const struct host_output *events, const struct host_output *errors)
{
    bool added = true;

    if (strcmp(text, HOST_DEVICES_ALL) != 0) {
        return add(set, text, events, errors);
    }
    for (uint32_t type = 0; added && host_device_types[type] != NULL; type++) {
        added = add(set, host_device_types[type]->name, events, errors);
    }
    return added;
}

bool host_devices_enable(struct host_device_set *set, const struct host_output *errors)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (!set->offered[i] && !host_device_enable(set->list[i], errors)) {
            return false;
        }
        set->offered[i] = true;
    }
    return true;
}

void host_devices_start(struct host_device_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->offered[i]) {
            host_device_start(set->list[i]);
        }
    }
}

void host_devices_pause(struct host_device_set *set)
{
    for (uint32_t i = 0; i < set->count; i++) {
        if (set->offered[i]) {
            host_device_pause(set->list[i]);
        }
    }
}

void host_devices_destroy(struct host_device_set *set)
{
    while (set->count > 0) {
        host_device_destroy(set->list[--set->count]);
        set->offered[set->count] = false;
    }
}

/* ---- commands ---- */

static bool list(struct host_device_set *set, const char *rest, const struct host_output *reply)
{
    (void)rest;
    for (uint32_t i = 0; i < set->count; i++) {
        host_print(reply, "%s %s", set->list[i]->name, set->offered[i] ? "offered" : "not offered");
    }
    return true;
}

static bool find_or_say(const struct host_device_set *set, const char *name, uint32_t *place,
                        const struct host_output *reply)
{
    *place = find(set, name);
    if (*place == set->count) {
        host_print(reply, "there is no device '%s'", name);
    }
    return *place != set->count;
}

static bool command(struct host_device_set *set, const char *rest, const struct host_output *reply)
{
    char name[HOST_DEVICE_NAME_SIZE];
    const size_t length = strcspn(rest, " ");
    uint32_t place;

    if (length >= sizeof(name)) {
        host_print(reply, "there is no device '%s'", rest);
        return false;
    }
    memcpy(name, rest, length);
    name[length] = '\0';
    return find_or_say(set, name, &place, reply) &&
           host_device_command(set->list[place], rest + length + strspn(rest + length, " "), reply);
}

static bool rescind(struct host_device_set *set, const char *rest, const struct host_output *reply)
{
    uint32_t place;

    if (!find_or_say(set, rest, &place, reply)) {
        return false;
    }
    if (!set->offered[place]) {
        host_print(reply, "'%s' is not offered", rest);
        return false;
    }
    set->offered[place] = false;
    host_device_disable(set->list[place]);
    return true;
}

static bool offer(struct host_device_set *set, const char *rest, const struct host_output *reply)
{
    uint32_t place;

    if (!find_or_say(set, rest, &place, reply)) {
        return false;
    }
    if (set->offered[place]) {
        host_print(reply, "'%s' is offered already", rest);
        return false;
    }
    if (!host_device_enable(set->list[place], reply)) {
        return false;
    }
    set->offered[place] = true;
    host_device_start(set->list[place]);
    return true;
}

static bool bus(struct host_device_set *set, const char *rest, const struct host_output *reply)
{
    const uint32_t version = vmbus_server_version(set->server);
    struct vmbus_server_statistics s;

    (void)rest;
    vmbus_server_statistics(set->server, &s);
    host_print(reply, "version=%u.%u idle=%d", (unsigned)(version >> 16),
               (unsigned)(version & 0xFFFF), vmbus_server_is_idle(set->server));
    host_print(reply, "messages=%llu refused=%llu malformed=%llu unknown=%llu unexpected=%llu",
               (unsigned long long)s.messages, (unsigned long long)s.messages_refused,
               (unsigned long long)s.messages_malformed, (unsigned long long)s.messages_unknown,
               (unsigned long long)s.messages_unexpected);
    host_print(reply,
               "posted=%llu posts-failed=%llu signals=%llu signals-unknown=%llu events-failed=%llu",
               (unsigned long long)s.posted, (unsigned long long)s.posts_failed,
               (unsigned long long)s.signals, (unsigned long long)s.signals_unknown,
               (unsigned long long)s.events_failed);
    host_print(reply, "gpadls=%llu gpadl-pages=%llu gpadls-refused=%llu opens-refused=%llu",
               (unsigned long long)s.gpadls, (unsigned long long)s.gpadl_pages,
               (unsigned long long)s.gpadls_refused, (unsigned long long)s.opens_refused);
    return true;
}

static const struct {
    const char *name;
    const char *arguments; /* "": none */
    const char *purpose;
    bool (*run)(struct host_device_set *set, const char *rest, const struct host_output *reply);
} commands[] = {
    {"devices", "", "each device by its name, and whether it is offered", list},
    {"device", "NAME COMMAND", "a command of the device's own; its 'help' lists them", command},
    {"rescind", "NAME", "takes a device back from the guest", rescind},
    {"offer", "NAME", "offers it again", offer},
    {"bus", "", "the version in use, and what was counted", bus},
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

void host_devices_help(const struct host_output *reply)
{
    for (size_t i = 0; i < COMMANDS; i++) {
        host_print(reply, "%s%s%s: %s", commands[i].name, *commands[i].arguments != '\0' ? " " : "",
                   commands[i].arguments, commands[i].purpose);
    }
}

bool host_devices_command(struct host_device_set *set, const char *line,
                          const struct host_output *reply)
{
    const size_t length = strcspn(line, " ");
    const char *rest = line + length + strspn(line + length, " ");

    for (size_t i = 0; i < COMMANDS; i++) {
        if (strlen(commands[i].name) != length || memcmp(commands[i].name, line, length) != 0) {
            continue;
        }
        if ((*rest == '\0') != (*commands[i].arguments == '\0')) {
            host_print(reply, "usage: %s %s", commands[i].name, commands[i].arguments);
            return false;
        }
        return commands[i].run(set, rest, reply);
    }
    host_print(reply, "there is no command '%.*s'; 'help' lists them", (int)length, line);
    return false;
}
