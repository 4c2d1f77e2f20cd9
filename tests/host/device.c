/* SPDX-License-Identifier: MIT */
#include "tests/host/device.h"

#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include "kernel/format.h"
#include "kernel/irql.h"
#include "kernel/pages.h"
#include "kmcl_extensions.h"

/* ---- text ---- */

void host_print(const struct host_output *output, const char *format, ...)
{
    char text[HOST_LINE_SIZE];
    va_list list;

    va_start(list, format);
    (void)format_text(text, sizeof(text), format, list);
    va_end(list);
    output->line(output->context, text);
}

void host_device_event(struct host_device *device, const char *format, ...)
{
    char text[HOST_LINE_SIZE];
    va_list list;

    va_start(list, format);
    (void)format_text(text, sizeof(text), format, list);
    va_end(list);
    host_print(&device->events, "%s: %s", device->name, text);
}

bool host_number(const char *text, UINT64 *number)
{
    const bool is_hexadecimal = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const unsigned base = is_hexadecimal ? 16 : 10;

    text += is_hexadecimal ? 2 : 0;
    *number = 0;
    if (*text == '\0') {
        return false;
    }
    for (; *text != '\0'; text++) {
        const unsigned lower = (unsigned char)*text | 0x20u;
        const unsigned digit =
            lower >= 'a' ? lower - 'a' + 10 : (unsigned char)*text - (unsigned)'0';
        if (digit >= base || __builtin_mul_overflow(*number, base, number) ||
            __builtin_add_overflow(*number, digit, number)) {
            return false;
        }
    }
    return true;
}

/* ---- options ---- */

const struct host_option host_device_common_options[] = {
    {"name", "TEXT", "what the device is called, if there are several of a type"},
    {"instance", "GUID", "of the offer"},
    {NULL, NULL, NULL},
};

/* The option that begins at `at` ends before the comma or the terminator that is returned. */
static const char *option_end(const char *at)
{
    while (*at != '\0' && *at != ',') {
        at++;
    }
    return at;
}

static size_t key_length(const char *at, const char *end)
{
    size_t length = 0;

    while (at + length < end && at[length] != '=') {
        length++;
    }
    return length;
}

bool host_option_value(const char *options, const char *key, char *value, size_t size)
{
    for (const char *at = options; *at != '\0';) {
        const char *end = option_end(at);
        const size_t length = key_length(at, end);
        if (length == strlen(key) && memcmp(at, key, length) == 0) {
            at += length + (at + length < end ? 1 : 0);
            size_t count = (size_t)(end - at);
            if (count >= size) {
                count = size - 1;
            }
            memcpy(value, at, count);
            value[count] = '\0';
            return true;
        }
        at = end + (*end == ',' ? 1 : 0);
    }
    return false;
}

bool host_option_number(const char *options, const char *key, UINT64 fallback, UINT64 maximum,
                        UINT64 *number, const struct host_output *errors)
{
    char text[32];

    *number = fallback;
    if (!host_option_value(options, key, text, sizeof(text))) {
        return true;
    }
    if (!host_number(text, number) || *number > maximum) {
        host_print(errors, "%s=%s: a number up to %llu is needed", key, text,
                   (unsigned long long)maximum);
        return false;
    }
    return true;
}

static bool is_option(const struct host_option *table, const char *key, size_t length)
{
    for (; table->key != NULL; table++) {
        if (strlen(table->key) == length && memcmp(table->key, key, length) == 0) {
            return true;
        }
    }
    return false;
}

static bool check_options(const struct host_device_type *type, const char *options,
                          const struct host_output *errors)
{
    for (const char *at = options; *at != '\0';) {
        const char *end = option_end(at);
        const size_t length = key_length(at, end);
        if (!is_option(host_device_common_options, at, length) &&
            !is_option(type->options, at, length)) {
            host_print(errors, "%s has no option %.*s", type->name, (int)length, at);
            return false;
        }
        at = end + (*end == ',' ? 1 : 0);
    }
    return true;
}

static bool hexadecimal(const char **text, unsigned digits, UINT64 *value)
{
    char digits_text[20] = "0x";

    if (digits > 16 || strlen(*text) < digits) {
        return false;
    }
    memcpy(digits_text + 2, *text, digits);
    digits_text[2 + digits] = '\0';
    *text += digits;
    return host_number(digits_text, value);
}

static bool parse_guid(const char *text, GUID *guid)
{
    UINT64 part[5];
    static const unsigned digits[5] = {8, 4, 4, 4, 12};

    for (unsigned i = 0; i < 5; i++) {
        if (!hexadecimal(&text, digits[i], &part[i]) || *text != (i < 4 ? '-' : '\0')) {
            return false;
        }
        text++;
    }
    guid->Data1 = (UINT32)part[0];
    guid->Data2 = (UINT16)part[1];
    guid->Data3 = (UINT16)part[2];
    const UINT64 rest = part[3] << 48 | part[4];
    for (unsigned i = 0; i < 8; i++) {
        guid->Data4[i] = (UINT8)(rest >> (56 - 8 * i));
    }
    return true;
}

/* ---- life ---- */

/* What KMCL says of the channel begins with the device's name. */
static NTSTATUS name_channel(struct host_device *device)
{
    WCHAR wide[HOST_DEVICE_NAME_SIZE];
    UNICODE_STRING name = {0, sizeof(wide), wide};

    for (; device->name[name.Length / sizeof(WCHAR)] != '\0'; name.Length += sizeof(WCHAR)) {
        wide[name.Length / sizeof(WCHAR)] =
            (unsigned char)device->name[name.Length / sizeof(WCHAR)];
    }
    return VmbChannelInitSetFriendlyName(device->channel, &name);
}

static NTSTATUS make_channel(struct host_device *device, const struct host_channel *wanted)
{
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;

    NTSTATUS status = VmbChannelAllocate(NULL, TRUE, &device->channel);
    if (!NT_SUCCESS(status)) {
        device->channel = NULL;
        return status;
    }
    VmbChannelSetPointer(device->channel, device);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = wanted->opened;
    callbacks.EvtChannelPostStarted = wanted->post_started;
    callbacks.EvtChannelClosed = wanted->closed;
    status = VmbChannelInitSetStateChangeCallbacks(device->channel, &callbacks);
    if (NT_SUCCESS(status)) {
        status =
            VmbChannelInitSetProcessPacketCallbacks(device->channel, wanted->process_packet, NULL);
    }
    if (NT_SUCCESS(status)) {
        status = VmbChannelInitSetMaximumPacketSize(device->channel, wanted->packet_size);
    }
    if (NT_SUCCESS(status) && wanted->is_pipe) {
        status = VmbServerChannelInitSetFlags(device->channel,
                                              VMBUS_SERVER_CHANNEL_INIT_FLAG_OFFER_AS_PIPE);
    }
    if (NT_SUCCESS(status) && wanted->restore_packet != NULL) {
        status = VmbServerChannelInitSetSaveRestorePacketCallbacks(
            device->channel, wanted->save_packet, wanted->restore_packet);
    }
    if (NT_SUCCESS(status)) {
        status = VmbServerChannelInitSetTargetInterfaceId(
            device->channel, device->type->device_class, device->instance);
    }
    if (NT_SUCCESS(status)) {
        status = VmbServerChannelInitSetVmbusHandle(device->channel, device->bus);
    }
    return status;
}

bool host_device_make_channel(struct host_device *device, const struct host_channel *channel,
                              const struct host_output *errors)
{
    const NTSTATUS status = make_channel(device, channel);

    if (!NT_SUCCESS(status)) {
        host_print(errors, "%s: no channel: status 0x%08x", device->name, (unsigned)status);
    }
    return NT_SUCCESS(status);
}

static const struct host_device_type *find_type(const char *name, size_t length)
{
    for (const struct host_device_type *const *type = host_device_types; *type != NULL; type++) {
        if (strlen((*type)->name) == length && memcmp((*type)->name, name, length) == 0) {
            return *type;
        }
    }
    return NULL;
}

/* The type's name, or what the options say: a word, for commands name it. */
static bool name_device(struct host_device *device, const char *options,
                        const struct host_output *errors)
{
    char name[HOST_DEVICE_NAME_SIZE + 1]; /* shows what does not fit */

    if (!host_option_value(options, "name", name, sizeof(name))) {
        memcpy(device->name, device->type->name, strlen(device->type->name) + 1);
        return true;
    }
    if (*name == '\0' || strlen(name) >= HOST_DEVICE_NAME_SIZE ||
        name[strcspn(name, " \t")] != '\0') {
        host_print(errors, "%s: name=%s: 1 to %u characters without blanks are needed",
                   device->type->name, name, HOST_DEVICE_NAME_SIZE - 1);
        return false;
    }
    memcpy(device->name, name, strlen(name) + 1);
    return true;
}

struct host_device *host_device_create(HANDLE bus, const char *text,
                                       const struct host_output *events,
                                       const struct host_output *errors)
{
    const char *options = option_end(text);
    const size_t length = (size_t)(options - text);
    const struct host_device_type *type = find_type(text, length);
    char instance[40];

    options += *options == ',' ? 1 : 0;
    if (type == NULL) {
        host_print(errors, "there is no device %.*s", (int)length, text);
        return NULL;
    }
    if (!check_options(type, options, errors)) {
        return NULL;
    }
    struct host_device *device = memory_allocate(type->size);
    if (device == NULL) {
        host_print(errors, "%s: no memory", type->name);
        return NULL;
    }
    device->type = type;
    device->bus = bus;
    device->events = *events;
    device->instance = type->instance;
    if (!name_device(device, options, errors)) {
        memory_free(device);
        return NULL;
    }
    if (host_option_value(options, "instance", instance, sizeof(instance)) &&
        !parse_guid(instance, &device->instance)) {
        host_print(errors, "%s: instance=%s is no GUID", type->name, instance);
        memory_free(device);
        return NULL;
    }
    if (!type->create(device, options, errors)) {
        host_device_destroy(device);
        return NULL;
    }
    const NTSTATUS status = name_channel(device);
    if (!NT_SUCCESS(status)) {
        host_print(errors, "%s: no name for the channel: status 0x%08x", device->name,
                   (unsigned)status);
        host_device_destroy(device);
        return NULL;
    }
    return device;
}

bool host_device_enable(struct host_device *device, const struct host_output *errors)
{
    const NTSTATUS status = VmbChannelEnable(device->channel);

    if (!NT_SUCCESS(status)) {
        host_print(errors, "%s: the bus refuses the offer: status 0x%08x%s", device->name,
                   (unsigned)status,
                   status == STATUS_UNSUCCESSFUL ? " (is its instance offered already?)" : "");
        return false;
    }
    return true;
}

void host_device_start(struct host_device *device)
{
    VmbChannelStart(device->channel);
}

void host_device_pause(struct host_device *device)
{
    VmbChannelPause(device->channel);
}

void host_device_disable(struct host_device *device)
{
    VmbChannelDisable(device->channel);
}

void host_device_destroy(struct host_device *device)
{
    if (device->channel != NULL) {
        VmbChannelDisable(device->channel);
    }
    if (device->type->destroy != NULL) {
        device->type->destroy(device);
    }
    if (device->channel != NULL) {
        VmbChannelCleanup(device->channel);
    }
    memory_free(device);
}

/* ---- commands ---- */

/* Cuts the line into words in place. False: there are too many, or a quote is open. */
static bool split(char *line, char *words[HOST_COMMAND_WORDS], unsigned *count)
{
    *count = 0;
    for (;;) {
        while (*line == ' ' || *line == '\t') {
            line++;
        }
        if (*line == '\0') {
            return true;
        }
        if (*count == HOST_COMMAND_WORDS) {
            return false;
        }
        const bool quoted = *line == '"';
        line += quoted ? 1 : 0;
        words[(*count)++] = line;
        while (*line != '\0' && (quoted ? *line != '"' : *line != ' ' && *line != '\t')) {
            line++;
        }
        if (*line == '\0') {
            return !quoted;
        }
        *line++ = '\0';
    }
}

static void print_commands(const struct host_device_type *type, const struct host_output *output)
{
    for (const struct host_command *command = type->commands; command->name != NULL; command++) {
        host_print(output, "    %s%s%s: %s", command->name,
                   command->arguments[0] != '\0' ? " " : "", command->arguments, command->purpose);
    }
}

static void print_statistics(struct host_device *device, const struct host_output *reply)
{
    KMCL_CHANNEL_STATISTICS s;

    KmclChannelGetStatistics(device->channel, &s);
    host_print(reply,
               "state=%s sent=%llu received=%llu completions_sent=%llu completions_received=%llu "
               "queued=%llu dropped=%llu signals=%llu ring_faults=%llu",
               KmclChannelStateName(device->channel), (unsigned long long)s.PacketsSent,
               (unsigned long long)s.PacketsReceived, (unsigned long long)s.CompletionsSent,
               (unsigned long long)s.CompletionsReceived, (unsigned long long)s.PacketsQueued,
               (unsigned long long)s.PacketsDropped, (unsigned long long)s.Signals,
               (unsigned long long)s.RingFaults);
}

bool host_device_command(struct host_device *device, const char *line,
                         const struct host_output *reply)
{
    char text[HOST_LINE_SIZE];
    char *words[HOST_COMMAND_WORDS];
    unsigned count;

    if (strlen(line) >= sizeof(text)) {
        host_print(reply, "%s: the line is longer than %u bytes", device->name, HOST_LINE_SIZE - 1);
        return false;
    }
    memcpy(text, line, strlen(line) + 1);
    if (!split(text, words, &count)) {
        host_print(reply, "%s: more than %u words, or a quote without its end", device->name,
                   HOST_COMMAND_WORDS);
        return false;
    }
    if (count == 0 || strcmp(words[0], "help") == 0) {
        print_commands(device->type, reply);
        return count != 0;
    }
    if (strcmp(words[0], "statistics") == 0) {
        print_statistics(device, reply);
        return true;
    }
    for (const struct host_command *command = device->type->commands; command->name != NULL;
         command++) {
        if (strcmp(words[0], command->name) == 0) {
            if (count - 1 < command->minimum || count - 1 > command->maximum) {
                host_print(reply, "%s: usage: %s %s", device->name, command->name,
                           command->arguments);
                return false;
            }
            /* Packets and timers of the device stand still meanwhile. */
            const enum irql level = irql_raise_to_dispatch();
            const bool done = command->run(device, words + 1, count - 1, reply);
            irql_lower(level);
            return done;
        }
    }
    host_print(reply, "%s: no such command: %s; there are", device->name, words[0]);
    print_commands(device->type, reply);
    return false;
}

static void print_options(const struct host_option *table, const struct host_output *output)
{
    for (; table->key != NULL; table++) {
        host_print(output, "    %s=%s: %s", table->key, table->value, table->purpose);
    }
}

void host_device_help(const struct host_output *output)
{
    host_print(output, "options of every device:");
    print_options(host_device_common_options, output);
    host_print(output, "commands of every device: help, statistics (of its channel)");
    for (const struct host_device_type *const *type = host_device_types; *type != NULL; type++) {
        host_print(output, "%s: %s", (*type)->name, (*type)->purpose);
        if ((*type)->options->key != NULL) {
            host_print(output, "  options:");
            print_options((*type)->options, output);
        }
        if ((*type)->commands->name != NULL) {
            host_print(output, "  commands:");
            print_commands(*type, output);
        }
    }
}
