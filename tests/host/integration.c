/* SPDX-License-Identifier: MIT */
#include "tests/host/integration.h"

#include <string.h>

#include "kernel/irql.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

/* Choice of ours: a guest that has not answered for so long is said to be silent. Linux' KVP driver
 * lets a negotiation wait until its daemon is there, at most 55 s. */
#define ANSWER_LIMIT (60 * CLOCK_SECOND)

#define INTERVAL_MAX 3600000u /* milliseconds: an hour */

static const struct integration_version frameworks[] = {
    INTEGRATION_FRAMEWORK_2008,
    INTEGRATION_FRAMEWORK,
};
#define FRAMEWORK_COUNT (sizeof(frameworks) / sizeof(frameworks[0]))

/* ---- states ---- */

const char *host_integration_state_name(enum host_integration_state state)
{
    static const char *const names[HOST_INTEGRATION_STATES] = {
        [HOST_INTEGRATION_CLOSED] = "closed", [HOST_INTEGRATION_NEGOTIATING] = "negotiating",
        [HOST_INTEGRATION_IDLE] = "idle",     [HOST_INTEGRATION_ASKED] = "asked",
        [HOST_INTEGRATION_FAILED] = "failed",
    };
    return (unsigned)state < HOST_INTEGRATION_STATES ? names[state] : "unknown";
}

static void enter(struct host_integration *integration, enum host_integration_state next)
{
#define IN(state) (1u << (state))
    static const unsigned allowed[HOST_INTEGRATION_STATES] = {
        [HOST_INTEGRATION_CLOSED] = IN(HOST_INTEGRATION_NEGOTIATING),
        [HOST_INTEGRATION_NEGOTIATING] =
            IN(HOST_INTEGRATION_IDLE) | IN(HOST_INTEGRATION_FAILED) | IN(HOST_INTEGRATION_CLOSED),
        [HOST_INTEGRATION_IDLE] =
            IN(HOST_INTEGRATION_ASKED) | IN(HOST_INTEGRATION_FAILED) | IN(HOST_INTEGRATION_CLOSED),
        [HOST_INTEGRATION_ASKED] =
            IN(HOST_INTEGRATION_IDLE) | IN(HOST_INTEGRATION_FAILED) | IN(HOST_INTEGRATION_CLOSED),
        [HOST_INTEGRATION_FAILED] = IN(HOST_INTEGRATION_FAILED) | IN(HOST_INTEGRATION_CLOSED),
    };
    ASSERT((allowed[integration->state] & IN(next)) != 0);
#undef IN
    integration->state = next;
    if (next == HOST_INTEGRATION_NEGOTIATING || next == HOST_INTEGRATION_ASKED) {
        integration->asked_at = clock_now();
        timer_arm(&integration->limit_timer, clock_after(ANSWER_LIMIT));
    } else {
        (void)timer_cancel(&integration->limit_timer);
    }
}

/* At DISPATCH. */
static void silent(void *context)
{
    struct host_integration *integration = context;

    host_device_event(&integration->device, "the guest does not answer (%s)",
                      host_integration_state_name(integration->state));
}

/* At DISPATCH. */
static void due(void *context)
{
    struct host_integration *integration = context;

    integration->service->due(integration);
}

/* ---- requests ---- */

static bool send(struct host_integration *integration, UINT16 type, const void *body, UINT32 size)
{
    struct integration_header header = {
        .framework = integration->framework,
        .type = type,
        .version = integration->version,
        .body_size = (UINT16)size,
        .transaction_id = ++integration->transaction_id,
        .flags = INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_REQUEST,
    };
    VMBPACKET packet = VmbPacketAllocate(integration->device.channel);

    if (packet == NULL) {
        host_device_event(&integration->device, "no memory for a request");
        return false;
    }
    ASSERT(sizeof(header) + size <= integration->service->message_size);
    memcpy(integration->buffer, &header, sizeof(header));
    memcpy(integration->buffer + sizeof(header), body, size);
    integration->asked_type = type;
    const NTSTATUS status =
        VmbPacketSend(packet, integration->buffer, (UINT32)sizeof(header) + size, NULL, 0);
    if (!NT_SUCCESS(status)) {
        VmbPacketFree(packet);
        host_device_event(&integration->device, "a request cannot be sent: status 0x%08x",
                          (unsigned)status);
        return false;
    }
    return true;
}

bool host_integration_request(struct host_integration *integration, const void *body, UINT32 size)
{
    const enum irql level = irql_raise_to_dispatch();

    ASSERT(integration->state == HOST_INTEGRATION_IDLE);
    enter(integration, HOST_INTEGRATION_ASKED);
    const bool sent = send(integration, (UINT16)integration->service->type, body, size);
    if (!sent) {
        enter(integration, HOST_INTEGRATION_IDLE);
    }
    irql_lower(level);
    return sent;
}

/* The service's versions that the option version= leaves. Returns how many. */
static UINT32 offered_versions(const struct host_integration *integration,
                               struct integration_version out[HOST_INTEGRATION_VERSIONS])
{
    const struct integration_version *all = integration->service->versions;
    const struct integration_version *limit = &integration->limit;
    UINT32 count = 0;

    for (UINT32 i = 0; i < HOST_INTEGRATION_VERSIONS && all[i].major != 0; i++) {
        if (all[i].major < limit->major ||
            (all[i].major == limit->major && all[i].minor <= limit->minor)) {
            out[count++] = all[i];
        }
    }
    return count;
}

/* Oldest first, as Windows lists them (OpenVMM vmbus_ic). */
static void negotiate(struct host_integration *integration)
{
    struct {
        struct integration_negotiate counts;
        struct integration_version versions[FRAMEWORK_COUNT + HOST_INTEGRATION_VERSIONS];
    } body = {.counts = {.framework_count = FRAMEWORK_COUNT}};

    memcpy(body.versions, frameworks, sizeof(frameworks));
    const UINT32 count = offered_versions(integration, body.versions + FRAMEWORK_COUNT);
    body.counts.message_count = (UINT16)count;
    integration->framework = (struct integration_version){0, 0};
    integration->version = (struct integration_version){0, 0};
    enter(integration, HOST_INTEGRATION_NEGOTIATING);
    (void)send(
        integration, INTEGRATION_NEGOTIATE, &body,
        (UINT32)(sizeof(body.counts) + (FRAMEWORK_COUNT + count) * sizeof(body.versions[0])));
}

/* ---- answers ---- */

static bool was_offered(const struct integration_version *offered, size_t count,
                        struct integration_version chosen)
{
    for (size_t i = 0; i < count; i++) {
        if (offered[i].major == chosen.major && offered[i].minor == chosen.minor) {
            return true;
        }
    }
    return false;
}

static bool take_versions(struct host_integration *integration, const UINT8 *body, UINT32 size)
{
    struct {
        struct integration_negotiate counts;
        struct integration_version framework;
        struct integration_version version;
    } answer;
    struct integration_version versions[HOST_INTEGRATION_VERSIONS];
    _Static_assert(sizeof(answer) == INTEGRATION_NEGOTIATE_ANSWER_SIZE, "wire layout");

    if (size < sizeof(answer)) {
        return false;
    }
    memcpy(&answer, body, sizeof(answer));
    if (answer.counts.framework_count == 0 && answer.counts.message_count == 0) {
        host_device_event(&integration->device, "the guest knows no version that was offered");
        enter(integration, HOST_INTEGRATION_FAILED);
        return true;
    }
    if (answer.counts.framework_count != 1 || answer.counts.message_count != 1 ||
        !was_offered(frameworks, FRAMEWORK_COUNT, answer.framework) ||
        !was_offered(versions, offered_versions(integration, versions), answer.version)) {
        return false;
    }
    integration->framework = answer.framework;
    integration->version = answer.version;
    host_device_event(&integration->device, "version %u.%u, framework %u.%u", answer.version.major,
                      answer.version.minor, answer.framework.major, answer.framework.minor);
    enter(integration, HOST_INTEGRATION_IDLE);
    if (integration->service->negotiated != NULL) {
        integration->service->negotiated(integration);
    }
    return true;
}

static bool take(struct host_integration *integration, const UINT8 *message, UINT32 length)
{
    const UINT8 expected = INTEGRATION_FLAG_TRANSACTION | INTEGRATION_FLAG_RESPONSE;
    struct integration_header header;

    if (length < sizeof(header)) {
        return false;
    }
    memcpy(&header, message, sizeof(header));
    if (header.body_size > length - sizeof(header) || (header.flags & expected) != expected) {
        return false;
    }
    if ((integration->state != HOST_INTEGRATION_NEGOTIATING &&
         integration->state != HOST_INTEGRATION_ASKED) ||
        header.type != integration->asked_type ||
        header.transaction_id != integration->transaction_id) {
        /* What is left of before a restore comes here too. */
        integration->unexpected++;
        return true;
    }
    if (header.type == INTEGRATION_NEGOTIATE) {
        return take_versions(integration, message + sizeof(header), header.body_size);
    }
    enter(integration, HOST_INTEGRATION_IDLE);
    return integration->service->answered(integration, header.status, message + sizeof(header),
                                          header.body_size);
}

static VOID packet_received(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                            UINT32 length, UINT32 flags)
{
    struct host_integration *integration = VmbChannelGetPointer(channel);

    (void)flags;
    if (take(integration, buffer, length)) {
        VmbChannelPacketComplete(packet, NULL, 0);
        return;
    }
    integration->malformed++;
    host_device_event(&integration->device,
                      "the guest's answer, %u bytes, is none; it is not "
                      "listened to until it opens the channel anew",
                      length);
    enter(integration, HOST_INTEGRATION_FAILED);
    VmbChannelPacketFail(packet);
}

/* ---- the channel's life ---- */

static VOID channel_post_started(VMBCHANNEL channel)
{
    const enum irql level = irql_raise_to_dispatch();
    struct host_integration *integration = VmbChannelGetPointer(channel);

    /* Started again behind a pause: the conversation goes on. */
    if (integration->state == HOST_INTEGRATION_CLOSED) {
        negotiate(integration);
    }
    irql_lower(level);
}

static VOID channel_closed(VMBCHANNEL channel)
{
    struct host_integration *integration = VmbChannelGetPointer(channel);

    if (integration->state != HOST_INTEGRATION_CLOSED) {
        enter(integration, HOST_INTEGRATION_CLOSED);
        (void)timer_cancel(&integration->timer);
        host_device_event(&integration->device, "closed");
    }
}

/* A restored host negotiates anew: requests that were under way are of no use to it. */
static NTSTATUS forget_packet(VMBCHANNEL channel, PVOID library, UINT32 library_size, PVOID saved,
                              UINT32 saved_size)
{
    (void)channel;
    (void)library;
    (void)library_size;
    (void)saved;
    (void)saved_size;
    return STATUS_SUCCESS;
}

static bool parse_version(const char *options, struct integration_version *version,
                          const struct host_output *errors)
{
    char text[16];
    UINT64 major;
    UINT64 minor;

    *version = (struct integration_version){UINT16_MAX, UINT16_MAX};
    if (!host_option_value(options, "version", text, sizeof(text))) {
        return true;
    }
    char *dot = strchr(text, '.');
    if (dot != NULL) {
        *dot = '\0';
        if (host_number(text, &major) && host_number(dot + 1, &minor) && major <= UINT16_MAX &&
            minor <= UINT16_MAX) {
            *version = (struct integration_version){(UINT16)major, (UINT16)minor};
            return true;
        }
    }
    host_print(errors, "version=%s: MAJOR.MINOR is needed", text);
    return false;
}

bool host_integration_create(struct host_device *device,
                             const struct host_integration_service *service, const char *options,
                             const struct host_output *errors)
{
    struct host_integration *integration = host_integration_of(device);
    UINT64 milliseconds = 0;

    integration->service = service;
    timer_initialise(&integration->limit_timer, silent, integration);
    timer_initialise(&integration->timer, due, integration);
    if (!parse_version(options, &integration->limit, errors) ||
        !host_option_number(options, "interval", service->interval_milliseconds, INTERVAL_MAX,
                            &milliseconds, errors)) {
        return false;
    }
    integration->interval = (milliseconds != 0 ? milliseconds : 1) * CLOCK_MILLISECOND;
    integration->buffer = memory_allocate(service->message_size);
    if (integration->buffer == NULL) {
        host_print(errors, "%s: no memory", device->name);
        return false;
    }
    const struct host_channel channel = {
        .post_started = channel_post_started,
        .closed = channel_closed,
        .process_packet = packet_received,
        .save_packet = host_save_no_packet,
        .restore_packet = forget_packet,
        .packet_size = service->message_size,
        .is_pipe = true,
    };
    return host_device_make_channel(device, &channel, errors);
}

void host_integration_destroy(struct host_device *device)
{
    struct host_integration *integration = host_integration_of(device);

    (void)timer_cancel(&integration->timer);
    (void)timer_cancel(&integration->limit_timer);
    memory_free(integration->buffer);
}

void host_integration_refuse(const struct host_integration *integration,
                             const struct host_output *reply)
{
    host_print(reply, "%s: not now: the service is %s", integration->device.name,
               host_integration_state_name(integration->state));
}

void host_integration_print(const struct host_integration *integration,
                            const struct host_output *reply)
{
    host_print(reply, "state=%s version=%u.%u framework=%u.%u malformed=%llu unexpected=%llu",
               host_integration_state_name(integration->state), integration->version.major,
               integration->version.minor, integration->framework.major,
               integration->framework.minor, (unsigned long long)integration->malformed,
               (unsigned long long)integration->unexpected);
}
