/* SPDX-License-Identifier: MIT */
#include "tests/el2/configuration.h"

#include <stddef.h>
#include <string.h>

#include "kernel/command_line.h"
#include "kernel/start.h"
#include "tests/el2/machine.h"
#include "tests/el2/semihosting.h"
#include "vmbus/protocol.h"

#define MEBIBYTE       (UINT64_C(1) << 20)
#define MEMORY_DEFAULT 64u /* MiB, as its limits */
#define MEMORY_MINIMUM 16u
#define MEMORY_MAXIMUM 1024u
#define LIMIT_DEFAULT  60u
#define JITTER_MAXIMUM 10000u

static struct configuration read;

const struct configuration *configuration(void)
{
    return &read;
}

/* The place of the word's value among `names`; without the word, the first. */
static unsigned choice(const char *key, const char *const *names, unsigned count)
{
    char value[16];

    if (!command_line_value(key, value, sizeof(value))) {
        return 0;
    }
    for (unsigned i = 0; i < count; i++) {
        if (strcmp(value, names[i]) == 0) {
            return i;
        }
    }
    stop(STATUS_HOST_FAILED, "%s=%s makes no sense", key, value);
}
#define CHOICE(key, names) choice(key, names, sizeof(names) / sizeof((names)[0]))

static uint64_t number(const char *key, uint64_t fallback, uint64_t minimum, uint64_t maximum)
{
    const uint64_t value = command_line_number(key, fallback);

    if (value < minimum || value > maximum) {
        stop(STATUS_HOST_FAILED, "%s=%llu: %llu to %llu", key, (unsigned long long)value,
             (unsigned long long)minimum, (unsigned long long)maximum);
    }
    return value;
}

static bool is_there(const char *key)
{
    char value[2];

    return command_line_value(key, value, sizeof(value));
}

/* Words behind `--` are the guest's. */
static const char *cut(char *line)
{
    char *end = strstr(line, " -- ");

    if (end == NULL) {
        return "";
    }
    *end = '\0';
    return end + strlen(" -- ");
}

void configuration_read(struct boot_info *info)
{
    static const char *const deliveries[] = {"at-once", "at-wait", "later", "parallel"};
    static const char *const conventions[] = {"both", "smccc", "plain"};
    static const char *const conduits[] = {"hvc", "smc"};
    static const char *const timers[] = {"direct", "message", "none"};

    read.guest_command_line = cut(info->command_line);
    command_line_initialise(info->command_line);
    read.delivery = (enum delivery)CHOICE("delivery", deliveries);
    read.convention = (enum convention)CHOICE("calls", conventions);
    read.conduit = (enum conduit)CHOICE("conduit", conduits);
    read.timers = (enum timers)CHOICE("timers", timers);
    read.processors = (uint32_t)number("processors", 1, 1, PROCESSORS_LIMIT);
    read.memory = number("memory", MEMORY_DEFAULT, MEMORY_MINIMUM, MEMORY_MAXIMUM) * MEBIBYTE;
    read.spare = number("spare", 0, 0, MEMORY_MAXIMUM) * MEBIBYTE;
    read.version = (uint32_t)number("version", VMBUS_VERSION_6_0, 0, UINT32_MAX);
    read.limit = number("limit", LIMIT_DEFAULT, 1, UINT32_MAX);
    read.jitter = number("jitter", 0, 0, JITTER_MAXIMUM);
    read.later = number("later", 0, 0, UINT32_MAX);
    read.silent = is_there("silent");
    read.timerless = is_there("timerless");
    read.trace = is_there("trace");
    read.firmware = is_there("firmware");
    read.system_error = is_there("system-error");
}
