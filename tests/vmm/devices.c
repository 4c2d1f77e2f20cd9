/* SPDX-License-Identifier: MIT */
#include "tests/vmm/devices.h"

#include <stdio.h>
#include <string.h>

#include "kmcl_extensions.h"
#include "tests/vmm/executive.h"

static void print_help_line(void *context, const char *text)
{
    (void)context;
    (void)printf("  %s\n", text);
}

void devices_print_help(void)
{
    const struct host_output output = {print_help_line, NULL};

    (void)printf("  " DEVICES_ALL ": one of each of these\n");
    host_device_help(&output);
}

static void print_error(void *context, const char *text)
{
    (void)context;
    say("option --device: %s", text);
}

static const struct host_output errors = {print_error, NULL};

static void create(struct devices *devices, HANDLE bus, const char *text,
                   const struct host_output *events)
{
    struct host_device *device = host_device_create(bus, text, events, &errors);

    if (device == NULL) {
        die("option --device: '%s' cannot be made", text);
    }
    if (devices_find(devices, device->name, NULL) != NULL) {
        die("option --device: '%s': there is a device of this name; give it another with name=",
            text);
    }
    if (devices->count == DEVICES_MAXIMUM) {
        die("option --device: more than %u devices", DEVICES_MAXIMUM);
    }
    devices->list[devices->count++] = device;
}

void devices_create(struct devices *devices, struct vmbus_server *server, const char *const *texts,
                    uint32_t count, const struct host_output *events)
{
    HANDLE bus = KmclServerHandle(server);

    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(texts[i], DEVICES_ALL) != 0) {
            create(devices, bus, texts[i], events);
            continue;
        }
        for (uint32_t type = 0; host_device_types[type] != NULL; type++) {
            create(devices, bus, host_device_types[type]->name, events);
        }
    }
}

void devices_enable(struct devices *devices)
{
    for (uint32_t i = 0; i < devices->count; i++) {
        if (!devices->offered[i] && !host_device_enable(devices->list[i], &errors)) {
            die("option --device: '%s' cannot be offered", devices->list[i]->name);
        }
        devices->offered[i] = true;
    }
}

void devices_start(struct devices *devices)
{
    for (uint32_t i = 0; i < devices->count; i++) {
        if (devices->offered[i]) {
            host_device_start(devices->list[i]);
        }
    }
}

void devices_pause(struct devices *devices)
{
    for (uint32_t i = 0; i < devices->count; i++) {
        if (devices->offered[i]) {
            host_device_pause(devices->list[i]);
        }
    }
}

void devices_destroy(struct devices *devices)
{
    while (devices->count > 0) {
        host_device_destroy(devices->list[--devices->count]);
        devices->offered[devices->count] = false;
    }
}

struct host_device *devices_find(struct devices *devices, const char *name, uint32_t *place)
{
    for (uint32_t i = 0; i < devices->count; i++) {
        if (strcmp(devices->list[i]->name, name) == 0) {
            if (place != NULL) {
                *place = i;
            }
            return devices->list[i];
        }
    }
    return NULL;
}
