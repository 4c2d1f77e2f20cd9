/* SPDX-License-Identifier: MIT */
/* Asks the guest to end when a command says so. */

#include "tests/host/shutdown.h"

#include <string.h>

#include "drivers/shutdown/shutdown_protocol.h"
#include "kernel/pages.h"
#include "tests/host/integration.h"

struct shutdown {
    struct host_integration integration;
    UINT64 requests;
    UINT64 agreed;
    UINT64 refused;
};

static struct shutdown *shutdown_of(struct host_integration *integration)
{
    return (struct shutdown *)(void *)integration;
}

static bool answered(struct host_integration *integration, UINT32 status, const void *body,
                     UINT32 size)
{
    struct shutdown *shutdown = shutdown_of(integration);

    (void)body;
    (void)size; /* guests send the body back, or nothing (OpenVMM hyperv_ic_guest) */
    if (status == INTEGRATION_STATUS_OK) {
        shutdown->agreed++;
        host_device_event(&integration->device, "the guest agrees");
    } else {
        shutdown->refused++;
        host_device_event(&integration->device, "the guest refuses: status 0x%08x", status);
    }
    return true;
}

static const struct host_integration_service service = {
    .type = INTEGRATION_SHUTDOWN,
    .message_size = sizeof(struct integration_header) + sizeof(struct shutdown_message),
    .versions = {{1, 0}, {3, 0}, {3, 1}, {3, 2}},
    .answered = answered,
};

static bool create(struct host_device *device, const char *options,
                   const struct host_output *errors)
{
    return host_integration_create(device, &service, options, errors);
}

static bool print_status(struct host_device *device, char *const arguments[], unsigned count,
                         const struct host_output *reply)
{
    const struct shutdown *shutdown = shutdown_of(host_integration_of(device));

    (void)arguments;
    (void)count;
    host_integration_print(&shutdown->integration, reply);
    host_print(reply, "requests=%llu agreed=%llu refused=%llu",
               (unsigned long long)shutdown->requests, (unsigned long long)shutdown->agreed,
               (unsigned long long)shutdown->refused);
    return true;
}

static bool ask(struct host_device *device, char *const arguments[], unsigned count,
                const struct host_output *reply)
{
    static const struct {
        const char *word;
        UINT32 flag;
    } flags[] = {
        {"force", SHUTDOWN_FLAG_FORCE},
        {"reboot", SHUTDOWN_FLAG_RESTART},
        {"hibernate", SHUTDOWN_FLAG_HIBERNATE},
    };
    struct shutdown *shutdown = shutdown_of(host_integration_of(device));
    UINT64 seconds = 0;
    UINT32 wanted = 0;

    for (unsigned i = 0; i < count; i++) {
        unsigned k = 0;
        while (k < 3 && strcmp(arguments[i], flags[k].word) != 0) {
            k++;
        }
        if (k < 3) {
            wanted |= flags[k].flag;
        } else if (!host_number(arguments[i], &seconds) || seconds > UINT32_MAX) {
            host_print(reply, "%s: what is %s?", device->name, arguments[i]);
            return false;
        }
    }
    if (!host_integration_is_idle(&shutdown->integration)) {
        host_integration_refuse(&shutdown->integration, reply);
        return false;
    }
    struct shutdown_message *message = memory_allocate(sizeof(*message));
    if (message == NULL) {
        host_print(reply, "%s: no memory", device->name);
        return false;
    }
    message->reason = SHUTDOWN_REASON_PLANNED;
    message->seconds = (UINT32)seconds;
    message->flags = wanted;
    const bool sent = host_integration_request(&shutdown->integration, message, sizeof(*message));
    memory_free(message);
    shutdown->requests += sent ? 1 : 0;
    return sent;
}

static const struct host_option options[] = {
    HOST_INTEGRATION_OPTIONS,
    {NULL, NULL, NULL},
};

static const struct host_command commands[] = {
    {"shutdown", "[reboot|hibernate] [force] [SECONDS]",
     "asks the guest to end, within so many seconds; its answer is an event", 0, 3, ask},
    {"status", "", "requests and their answers", 0, 0, print_status},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct host_device_type shutdown_device_type = {
    .name = "shutdown",
    .purpose = "asks the guest to power off or to restart",
    .size = sizeof(struct shutdown),
    .device_class = SHUTDOWN_CLASS_INITIALISER,
    .instance = SHUTDOWN_INSTANCE_INITIALISER,
    .options = options,
    .commands = commands,
    .create = create,
    .destroy = host_integration_destroy,
};
