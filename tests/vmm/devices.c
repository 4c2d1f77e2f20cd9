/* SPDX-License-Identifier: MIT */
#include "tests/vmm/devices.h"

#include <stdio.h>

#include "tests/vmm/executive.h"

static void print_help_line(void *context, const char *text)
{
    (void)context;
    (void)printf("  %s\n", text);
}

void devices_print_help(void)
{
    const struct host_output output = {print_help_line, NULL};

    (void)printf("  " HOST_DEVICES_ALL ": one of each of these\n");
    host_device_help(&output);
}

static void print_error(void *context, const char *text)
{
    (void)context;
    say("option --device: %s", text);
}

static const struct host_output errors = {print_error, NULL};

void devices_create(struct host_device_set *devices, const char *const *texts, uint32_t count,
                    const struct host_output *events)
{
    for (uint32_t i = 0; i < count; i++) {
        if (!host_devices_add(devices, texts[i], events, &errors)) {
            die("option --device: '%s' cannot be made", texts[i]);
        }
    }
}

void devices_enable(struct host_device_set *devices)
{
    if (!host_devices_enable(devices, &errors)) {
        die("option --device: a device cannot be offered");
    }
}
