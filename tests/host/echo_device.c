/* SPDX-License-Identifier: MIT */
#include "tests/host/echo_device.h"

#include "tests/host/echo_server.h"

struct echo_device {
    struct host_device device;
    struct echo_server server;
};

static struct echo_device *echo_of(struct host_device *device)
{
    return (struct echo_device *)(void *)device;
}

static bool create(struct host_device *device, const char *options,
                   const struct host_output *errors)
{
    struct echo_device *echo = echo_of(device);

    (void)options;
    NTSTATUS status = echo_server_create(&echo->server, device->bus, device->instance);
    if (!NT_SUCCESS(status)) {
        host_print(errors, "%s: no channel: status 0x%08x", device->name, (unsigned)status);
        return false;
    }
    device->channel = echo->server.channel;
    return true;
}

static bool print_status(struct host_device *device, char *const arguments[], unsigned count,
                         const struct host_output *reply)
{
    const struct echo_server *server = &echo_of(device)->server;

    (void)arguments;
    (void)count;
    host_print(reply, "open=%u echoed=%u malformed=%u", server->is_open, server->echoed,
               server->malformed);
    return true;
}

static bool save(struct host_device *device, void *buffer, size_t capacity, size_t *size)
{
    const struct echo_server *server = &echo_of(device)->server;
    const UINT32 counters[2] = {server->echoed, server->malformed};

    return host_save_state(counters, sizeof(counters), buffer, capacity, size);
}

static bool restore(struct host_device *device, const void *bytes, size_t size)
{
    struct echo_server *server = &echo_of(device)->server;
    UINT32 counters[2];

    if (!host_restore_state(counters, sizeof(counters), bytes, size)) {
        return false;
    }
    server->echoed = counters[0];
    server->malformed = counters[1];
    return true;
}

static const struct host_option options[] = {{NULL, NULL, NULL}};

static const struct host_command commands[] = {
    {"status", "", "whether it is open, and what came", 0, 0, print_status},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct host_device_type echo_device_type = {
    .name = "echo-sample",
    .purpose = "the sample drivers' device: each request comes back",
    .size = sizeof(struct echo_device),
    .device_class = ECHO_CLASS,
    .instance = {0x11111111, 0x2222, 0x3333, {4, 4, 5, 5, 5, 5, 5, 5}},
    .options = options,
    .commands = commands,
    .create = create,
    .save = save,
    .restore = restore,
};
