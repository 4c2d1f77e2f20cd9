/* SPDX-License-Identifier: MIT */
/*
 * Takes memory from the guest, gives it back, and adds some, when commands say so. One operation at
 * a time, in steps: a guest may give less than was asked for, and is then not asked again.
 */

#include "tests/host/dynamic_memory.h"

#include <string.h>

#include "drivers/balloon/dynamic_memory_protocol.h"
#include "kernel/clock.h"
#include "kernel/panic.h"
#include "tests/host/machine.h"
#include "tests/host/page_ranges.h"

#define PAGES_A_MIB UINT64_C(256)

/* Choice of ours: pages of one request, 128 MiB. */
#define REQUEST_PAGES UINT64_C(32768)

/* Hot add is asked for in multiples of this unless the guest wants larger ones: 128 MiB, Linux'. */
#define HOT_ADD_ALIGNMENT UINT64_C(32768)

/* Choice of ours: an answer that takes longer is said to be missing. */
#define ANSWER_LIMIT (60 * CLOCK_SECOND)

#define RANGES_OF_A_MESSAGE                                                                        \
    ((DYNAMIC_MEMORY_MESSAGE_SIZE_MAX - sizeof(struct dynamic_memory_unballoon_request)) / 8)

enum memory_state {
    MEMORY_CLOSED,
    MEMORY_VERSION,      /* the guest asks for a version */
    MEMORY_CAPABILITIES, /* the guest reports its capabilities */
    MEMORY_IDLE,
    MEMORY_TAKING,    /* BALLOON_REQUEST is not answered in full yet */
    MEMORY_RETURNING, /* UNBALLOON_REQUEST neither */
    MEMORY_ADDING,    /* MEM_HOT_ADD_REQUEST neither */
    MEMORY_FAILED,    /* the guest broke the protocol */
    MEMORY_STATES,
};

struct dynamic_memory {
    struct host_device device;
    UINT64 highest_version; /* (major << 16) | minor that is accepted */
    bool suppress_status;
    struct timer limit_timer;
    UINT64 message[DYNAMIC_MEMORY_MESSAGE_SIZE_MAX / 8];
    struct page_ranges taken;
    /* From here on it is saved, and `taken` behind it. */
    struct memory_saved {
        UINT32 state;
        UINT32 version;
        UINT32 transaction_id;
        UINT32 reports;
        UINT64 capabilities;
        UINT64 added;     /* pages, since the guest started */
        UINT64 target;    /* pages that are to be taken in the end */
        UINT64 requested; /* pages of the request under way */
        UINT64 answered;  /* pages of the answers to it */
        UINT64 adding_at; /* first frame of the memory that is being added */
        UINT64 adding;    /* its pages */
        UINT64 available; /* of the last status report */
        UINT64 committed;
    } saved;
};

static struct dynamic_memory *memory_of(struct host_device *device)
{
    return (struct dynamic_memory *)(void *)device;
}

/* ---- states ---- */

static const char *state_name(UINT32 state)
{
    static const char *const names[MEMORY_STATES] = {
        [MEMORY_CLOSED] = "closed",
        [MEMORY_VERSION] = "version",
        [MEMORY_CAPABILITIES] = "capabilities",
        [MEMORY_IDLE] = "idle",
        [MEMORY_TAKING] = "taking",
        [MEMORY_RETURNING] = "returning",
        [MEMORY_ADDING] = "adding",
        [MEMORY_FAILED] = "failed",
    };
    return state < MEMORY_STATES ? names[state] : "unknown";
}

static void enter(struct dynamic_memory *memory, enum memory_state next)
{
#define IN(state) (1u << (state))
    const unsigned ends = IN(MEMORY_CLOSED) | IN(MEMORY_FAILED);
    const unsigned allowed[MEMORY_STATES] = {
        [MEMORY_CLOSED] = IN(MEMORY_VERSION),
        [MEMORY_VERSION] = ends | IN(MEMORY_VERSION) | IN(MEMORY_CAPABILITIES),
        [MEMORY_CAPABILITIES] = ends | IN(MEMORY_IDLE),
        [MEMORY_IDLE] = ends | IN(MEMORY_TAKING) | IN(MEMORY_RETURNING) | IN(MEMORY_ADDING),
        [MEMORY_TAKING] = ends | IN(MEMORY_IDLE),
        [MEMORY_RETURNING] = ends | IN(MEMORY_IDLE),
        [MEMORY_ADDING] = ends | IN(MEMORY_IDLE),
        [MEMORY_FAILED] = ends,
    };
    ASSERT((allowed[memory->saved.state] & IN(next)) != 0);
#undef IN
    memory->saved.state = next;
    if (next == MEMORY_TAKING || next == MEMORY_RETURNING || next == MEMORY_ADDING) {
        timer_arm(&memory->limit_timer, clock_after(ANSWER_LIMIT));
    } else {
        (void)timer_cancel(&memory->limit_timer);
    }
}

/* At DISPATCH. */
static void silent(void *context)
{
    struct dynamic_memory *memory = context;

    host_device_event(&memory->device, "the guest does not answer (%s)",
                      state_name(memory->saved.state));
}

/* ---- sending ---- */

/* A message in memory->message, its header set here. */
static bool send(struct dynamic_memory *memory, enum dynamic_memory_message_type type, size_t size)
{
    const struct dynamic_memory_header header = {
        .type = (UINT16)type,
        .size = (UINT16)size,
        .transaction_id = ++memory->saved.transaction_id,
    };
    VMBPACKET packet = VmbPacketAllocate(memory->device.channel);

    memcpy(memory->message, &header, sizeof(header));
    if (packet != NULL &&
        NT_SUCCESS(VmbPacketSend(packet, memory->message, (UINT32)size, NULL, 0))) {
        return true;
    }
    if (packet != NULL) {
        VmbPacketFree(packet);
    }
    host_device_event(&memory->device, "a message of type %u cannot be sent", type);
    return false;
}

static void send_flags(struct dynamic_memory *memory, enum dynamic_memory_message_type type,
                       UINT64 flags)
{
    struct dynamic_memory_version_response response = {.flags = flags};

    memcpy(memory->message, &response, sizeof(response));
    (void)send(memory, type, sizeof(response));
}

static void say_done(struct dynamic_memory *memory, const char *what)
{
    host_device_event(&memory->device, "%s: %llu pages of the guest are taken", what,
                      (unsigned long long)memory->taken.pages);
}

static void take_more(struct dynamic_memory *memory)
{
    struct dynamic_memory_balloon_request request = {.reserved = 0};
    const UINT64 missing = memory->saved.target - memory->taken.pages;

    request.pages = (UINT32)(missing < REQUEST_PAGES ? missing : REQUEST_PAGES);
    memory->saved.requested = request.pages;
    memory->saved.answered = 0;
    enter(memory, MEMORY_TAKING);
    memcpy(memory->message, &request, sizeof(request));
    if (!send(memory, DYNAMIC_MEMORY_BALLOON_REQUEST, sizeof(request))) {
        enter(memory, MEMORY_IDLE);
    }
}

/* Memory is behind the pages again before the guest hears of it. */
static void give_back(struct dynamic_memory *memory)
{
    UINT64 *ranges = memory->message + sizeof(struct dynamic_memory_unballoon_request) / 8;
    bool more = true;

    enter(memory, MEMORY_RETURNING);
    while (more) {
        struct dynamic_memory_unballoon_request request = {.flags = 0};
        UINT64 first;
        UINT64 count;
        while (request.range_count < RANGES_OF_A_MESSAGE &&
               page_ranges_pop(&memory->taken, memory->taken.pages - memory->saved.target, &first,
                               &count)) {
            if (!machine_memory_return(first, count)) {
                (void)page_ranges_push(&memory->taken, first, count);
                memory->saved.target = memory->taken.pages;
                host_device_event(&memory->device, "there is no memory for %llu pages",
                                  (unsigned long long)count);
                break;
            }
            ranges[request.range_count++] = dynamic_memory_range(first, count);
        }
        more = memory->taken.pages > memory->saved.target;
        request.flags = more ? DYNAMIC_MEMORY_UNBALLOON_MORE : 0;
        memcpy(memory->message, &request, sizeof(request));
        if (!send(memory, DYNAMIC_MEMORY_UNBALLOON_REQUEST,
                  sizeof(request) + request.range_count * sizeof(UINT64))) {
            more = false;
        }
    }
}

/* ---- what the guest sends ---- */

/* Each returns whether it was right; `message` is aligned to 8 and has the size that its header
 * says. */

static bool version_request(struct dynamic_memory *memory, const void *message, UINT32 size)
{
    const struct dynamic_memory_version_request *request = message;
    const UINT32 version = request->version;
    const bool accepted =
        (version == DYNAMIC_MEMORY_VERSION_0_3 || version == DYNAMIC_MEMORY_VERSION_1_0 ||
         version == DYNAMIC_MEMORY_VERSION_2_0) &&
        version <= memory->highest_version;

    (void)size;
    if (accepted) {
        memory->saved.version = version;
        enter(memory, MEMORY_CAPABILITIES);
    }
    send_flags(memory, DYNAMIC_MEMORY_VERSION_RESPONSE,
               accepted ? DYNAMIC_MEMORY_VERSION_ACCEPTED : 0);
    return true;
}

static bool capabilities_report(struct dynamic_memory *memory, const void *message, UINT32 size)
{
    const struct dynamic_memory_capabilities_report *report = message;

    (void)size;
    memory->saved.capabilities = report->capabilities;
    send_flags(memory, DYNAMIC_MEMORY_CAPABILITIES_RESPONSE,
               DYNAMIC_MEMORY_CAPABILITIES_ACCEPTED |
                   (memory->suppress_status ? DYNAMIC_MEMORY_SUPPRESS_STATUS : 0));
    enter(memory, MEMORY_IDLE);
    host_device_event(&memory->device, "version %u.%u, capabilities 0x%llx",
                      memory->saved.version >> 16, memory->saved.version & 0xffff,
                      (unsigned long long)memory->saved.capabilities);
    return true;
}

static bool status_report(struct dynamic_memory *memory, const void *message, UINT32 size)
{
    const struct dynamic_memory_status_report *report = message;

    (void)size;
    memory->saved.available = report->available;
    memory->saved.committed = report->committed;
    if (memory->saved.reports++ == 0) {
        host_device_event(&memory->device, "the first status: available=%llu committed=%llu",
                          (unsigned long long)report->available,
                          (unsigned long long)report->committed);
    }
    return true;
}

/* Pages are the guest's to give only once, and no more than were asked for. */
static bool balloon_response(struct dynamic_memory *memory, const void *message, UINT32 size)
{
    const struct dynamic_memory_balloon_response *response = message;
    const UINT64 *ranges = (const UINT64 *)message + sizeof(*response) / sizeof(UINT64);
    const UINT32 word = response->more_and_range_count;
    const UINT32 range_count = word >> 1;

    if (range_count > (size - sizeof(*response)) / sizeof(UINT64)) {
        return false;
    }
    for (UINT32 i = 0; i < range_count; i++) {
        const UINT64 first = dynamic_memory_range_first(ranges[i]);
        const UINT64 count = dynamic_memory_range_count(ranges[i]);
        if (count == 0 || count > memory->saved.requested - memory->saved.answered ||
            !machine_memory_take(first, count)) {
            host_device_event(&memory->device, "frames 0x%llx to 0x%llx are not to be given",
                              (unsigned long long)first, (unsigned long long)(first + count - 1));
            return false;
        }
        memory->saved.answered += count;
        if (!page_ranges_push(&memory->taken, first, count)) {
            /* Not to be remembered, so not to be taken: the guest has given it for nothing. */
            (void)machine_memory_return(first, count);
            host_device_event(&memory->device, "no memory for the list of pages");
        }
    }
    if ((word & DYNAMIC_MEMORY_BALLOON_MORE) != 0) {
        timer_arm(&memory->limit_timer, clock_after(ANSWER_LIMIT));
        return true;
    }
    const bool is_short = memory->saved.answered < memory->saved.requested;
    enter(memory, MEMORY_IDLE);
    if (!is_short && memory->taken.pages < memory->saved.target) {
        take_more(memory);
        return true;
    }
    say_done(memory, is_short ? "the guest has no more to give" : "resized");
    return true;
}

static bool unballoon_response(struct dynamic_memory *memory, const void *message, UINT32 size)
{
    (void)message;
    (void)size;
    enter(memory, MEMORY_IDLE);
    say_done(memory, "resized");
    return true;
}

static bool hot_add_response(struct dynamic_memory *memory, const void *message, UINT32 size)
{
    const struct dynamic_memory_hot_add_response *response = message;
    const UINT32 pages = response->pages;
    const UINT32 result = response->result;

    (void)size;
    if (pages > memory->saved.adding || result > DYNAMIC_MEMORY_HOT_ADD_SUCCESS) {
        return false;
    }
    memory->saved.added += pages;
    enter(memory, MEMORY_IDLE);
    host_device_event(&memory->device, "added: the guest took %u of %llu pages, result %u", pages,
                      (unsigned long long)memory->saved.adding, result);
    return true;
}

/* What a guest may send: when, how long at least, and who handles it. */
static const struct {
    UINT32 size;
    unsigned states;
    bool (*handle)(struct dynamic_memory *memory, const void *message, UINT32 size);
} guest_messages[] = {
#define IN(state) (1u << (state))
    [DYNAMIC_MEMORY_VERSION_REQUEST] = {sizeof(struct dynamic_memory_version_request),
                                        IN(MEMORY_VERSION), version_request},
    [DYNAMIC_MEMORY_CAPABILITIES_REPORT] = {sizeof(struct dynamic_memory_capabilities_report),
                                            IN(MEMORY_CAPABILITIES), capabilities_report},
    [DYNAMIC_MEMORY_STATUS_REPORT] = {sizeof(struct dynamic_memory_status_report),
                                      IN(MEMORY_IDLE) | IN(MEMORY_TAKING) | IN(MEMORY_RETURNING) |
                                          IN(MEMORY_ADDING),
                                      status_report},
    [DYNAMIC_MEMORY_BALLOON_RESPONSE] = {sizeof(struct dynamic_memory_balloon_response),
                                         IN(MEMORY_TAKING), balloon_response},
    [DYNAMIC_MEMORY_UNBALLOON_RESPONSE] = {sizeof(struct dynamic_memory_unballoon_response),
                                           IN(MEMORY_RETURNING), unballoon_response},
    [DYNAMIC_MEMORY_HOT_ADD_RESPONSE] = {sizeof(struct dynamic_memory_hot_add_response),
                                         IN(MEMORY_ADDING), hot_add_response},
#undef IN
};
#define GUEST_MESSAGE_COUNT (sizeof(guest_messages) / sizeof(guest_messages[0]))

static bool take(struct dynamic_memory *memory, const void *message, UINT32 length)
{
    struct dynamic_memory_header header;

    if (length < sizeof(header) || length > DYNAMIC_MEMORY_MESSAGE_SIZE_MAX + 8) {
        return false;
    }
    memcpy(&header, message, sizeof(header));
    return header.size <= length && header.type < GUEST_MESSAGE_COUNT &&
           guest_messages[header.type].handle != NULL &&
           header.size >= guest_messages[header.type].size &&
           (guest_messages[header.type].states & 1u << memory->saved.state) != 0 &&
           guest_messages[header.type].handle(memory, message, header.size);
}

static VOID packet_received(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                            UINT32 length, UINT32 flags)
{
    struct dynamic_memory *memory = memory_of(VmbChannelGetPointer(channel));

    (void)flags;
    if (take(memory, buffer, length)) {
        VmbChannelPacketComplete(packet, NULL, 0);
        return;
    }
    host_device_event(&memory->device,
                      "a message of the guest, %u bytes, makes no sense now (%s); "
                      "it is not listened to until it opens the channel anew",
                      length, state_name(memory->saved.state));
    enter(memory, MEMORY_FAILED);
    VmbChannelPacketFail(packet);
}

/* ---- the channel's life ---- */

static NTSTATUS channel_opened(VMBCHANNEL channel)
{
    struct dynamic_memory *memory = memory_of(VmbChannelGetPointer(channel));

    /* A restored channel opens anew here, but not for the guest: the conversation goes on. */
    if (memory->saved.state == MEMORY_CLOSED) {
        enter(memory, MEMORY_VERSION);
    }
    return STATUS_SUCCESS;
}

/* What was taken stays taken: the guest remembers it too. */
static VOID channel_closed(VMBCHANNEL channel)
{
    struct dynamic_memory *memory = memory_of(VmbChannelGetPointer(channel));

    if (memory->saved.state != MEMORY_CLOSED) {
        enter(memory, MEMORY_CLOSED);
        say_done(memory, "closed");
    }
}

/* The library's copy of a packet is all there is to one of ours. */
static NTSTATUS restore_packet(VMBCHANNEL channel, PVOID library, UINT32 library_size, PVOID saved,
                               UINT32 saved_size)
{
    VMBPACKET packet = VmbPacketAllocate(channel);

    (void)saved;
    (void)saved_size;
    if (packet == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    const NTSTATUS status = VmbPacketRestore(packet, library, library_size);
    if (!NT_SUCCESS(status)) {
        VmbPacketFree(packet);
    }
    return status;
}

static bool create(struct host_device *device, const char *options,
                   const struct host_output *errors)
{
    struct dynamic_memory *memory = memory_of(device);
    UINT64 reports;

    timer_initialise(&memory->limit_timer, silent, memory);
    if (!host_option_number(options, "version", DYNAMIC_MEMORY_VERSION_2_0, UINT32_MAX,
                            &memory->highest_version, errors) ||
        !host_option_number(options, "reports", 1, 1, &reports, errors)) {
        return false;
    }
    memory->suppress_status = reports == 0;
    const struct host_channel channel = {
        .opened = channel_opened,
        .closed = channel_closed,
        .process_packet = packet_received,
        .save_packet = host_save_no_packet,
        .restore_packet = restore_packet,
        .packet_size = DYNAMIC_MEMORY_MESSAGE_SIZE_MAX,
    };
    return host_device_make_channel(device, &channel, errors);
}

static void destroy(struct host_device *device)
{
    struct dynamic_memory *memory = memory_of(device);

    (void)timer_cancel(&memory->limit_timer);
    page_ranges_free(&memory->taken);
}

static bool save(struct host_device *device, void *buffer, size_t capacity, size_t *size)
{
    const struct dynamic_memory *memory = memory_of(device);
    const size_t list = memory->taken.count * sizeof(memory->taken.items[0]);

    *size = sizeof(memory->saved) + list;
    if (capacity < *size) {
        return false;
    }
    memcpy(buffer, &memory->saved, sizeof(memory->saved));
    if (list > 0) {
        memcpy((UINT8 *)buffer + sizeof(memory->saved), memory->taken.items, list);
    }
    return true;
}

/* The machine knows again what the guest gave. */
static bool restore(struct host_device *device, const void *bytes, size_t size)
{
    struct dynamic_memory *memory = memory_of(device);
    struct memory_saved saved;

    if (size < sizeof(saved) || (size - sizeof(saved)) % sizeof(UINT64) != 0) {
        return false;
    }
    memcpy(&saved, bytes, sizeof(saved));
    if (saved.state >= MEMORY_STATES || saved.answered > saved.requested) {
        return false;
    }
    for (size_t at = sizeof(saved); at < size; at += sizeof(UINT64)) {
        UINT64 range;
        memcpy(&range, (const UINT8 *)bytes + at, sizeof(range));
        const UINT64 first = dynamic_memory_range_first(range);
        const UINT64 count = dynamic_memory_range_count(range);
        if (count == 0 || !machine_memory_take(first, count) ||
            !page_ranges_push(&memory->taken, first, count)) {
            return false;
        }
    }
    memory->saved = saved;
    return true;
}

/* ---- commands ---- */

static bool print_status(struct host_device *device, char *const arguments[], unsigned count,
                         const struct host_output *reply)
{
    const struct dynamic_memory *memory = memory_of(device);
    const struct memory_saved *saved = &memory->saved;

    (void)arguments;
    (void)count;
    host_print(reply, "state=%s version=%u.%u capabilities=0x%llx reports=%u",
               state_name(saved->state), saved->version >> 16, saved->version & 0xffff,
               (unsigned long long)saved->capabilities, saved->reports);
    host_print(reply, "pages=%llu taken=%llu added=%llu available=%llu committed=%llu",
               (unsigned long long)machine_memory_pages(), (unsigned long long)memory->taken.pages,
               (unsigned long long)saved->added, (unsigned long long)saved->available,
               (unsigned long long)saved->committed);
    return true;
}

static bool take_mib(struct dynamic_memory *memory, const char *text, UINT64 *pages,
                     const struct host_output *reply)
{
    if (!host_number(text, pages) || *pages > UINT32_MAX) {
        host_print(reply, "%s: %s is no number of MiB", memory->device.name, text);
        return false;
    }
    if (memory->saved.state != MEMORY_IDLE) {
        host_print(reply, "%s: not now: the device is %s", memory->device.name,
                   state_name(memory->saved.state));
        return false;
    }
    *pages *= PAGES_A_MIB;
    return true;
}

static bool resize(struct host_device *device, char *const arguments[], unsigned count,
                   const struct host_output *reply)
{
    struct dynamic_memory *memory = memory_of(device);
    const UINT64 all = machine_memory_pages() + memory->saved.added;
    UINT64 pages;

    (void)count;
    if (!take_mib(memory, arguments[0], &pages, reply)) {
        return false;
    }
    if (pages > all) {
        host_print(reply, "%s: the guest has %llu MiB; `add` adds memory", device->name,
                   (unsigned long long)(all / PAGES_A_MIB));
        return false;
    }
    memory->saved.target = all - pages;
    if (memory->saved.target > memory->taken.pages) {
        if ((memory->saved.capabilities & DYNAMIC_MEMORY_CAN_BALLOON) == 0) {
            host_print(reply, "%s: the guest has no balloon", device->name);
            return false;
        }
        take_more(memory);
    } else if (memory->saved.target < memory->taken.pages) {
        give_back(memory);
    } else {
        say_done(memory, "resized");
    }
    return true;
}

static bool add(struct host_device *device, char *const arguments[], unsigned count,
                const struct host_output *reply)
{
    struct dynamic_memory *memory = memory_of(device);
    struct dynamic_memory_hot_add_request request;
    const UINT64 alignment_mib = UINT64_C(1) << (memory->saved.capabilities >> 2 & 0xf);
    const UINT64 wanted = alignment_mib * PAGES_A_MIB;
    const UINT64 alignment = wanted > HOT_ADD_ALIGNMENT ? wanted : HOT_ADD_ALIGNMENT;
    UINT64 pages;

    (void)count;
    if (!take_mib(memory, arguments[0], &pages, reply)) {
        return false;
    }
    if ((memory->saved.capabilities & DYNAMIC_MEMORY_CAN_HOT_ADD) == 0) {
        host_print(reply, "%s: the guest takes no memory", device->name);
        return false;
    }
    if (pages == 0 || pages % alignment != 0 || pages > DYNAMIC_MEMORY_RANGE_COUNT_MAX) {
        host_print(reply, "%s: the guest takes memory by %llu MiB", device->name,
                   (unsigned long long)(alignment / PAGES_A_MIB));
        return false;
    }
    if (!machine_memory_add(pages, alignment, &memory->saved.adding_at)) {
        host_print(reply, "%s: this machine cannot add memory", device->name);
        return false;
    }
    memory->saved.adding = pages;
    request.range = dynamic_memory_range(memory->saved.adding_at, pages);
    request.region = request.range;
    enter(memory, MEMORY_ADDING);
    memcpy(memory->message, &request, sizeof(request));
    if (!send(memory, DYNAMIC_MEMORY_HOT_ADD_REQUEST, sizeof(request))) {
        enter(memory, MEMORY_IDLE);
        return false;
    }
    return true;
}

static const struct host_option options[] = {
    {"version", "0xMMMMmmmm", "newest version that is accepted (0x20000)"},
    {"reports", "0|1", "whether the guest is to report its status (1)"},
    {NULL, NULL, NULL},
};

static const struct host_command commands[] = {
    {"resize", "MIB", "takes memory from the guest or returns it, until it has so much", 1, 1,
     resize},
    {"add", "MIB", "adds memory to the guest", 1, 1, add},
    {"status", "", "pages, and what the guest reports", 0, 0, print_status},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct host_device_type dynamic_memory_device_type = {
    .name = "balloon",
    .purpose = "dynamic memory: takes and returns the guest's pages",
    .size = sizeof(struct dynamic_memory),
    .device_class = DYNAMIC_MEMORY_CLASS_INITIALISER,
    /* Hyper-V's differs from guest to guest; choice of ours. */
    .instance = {0x1eccfd72, 0x4b41, 0x45ef, {0xb7, 0x3a, 0x4a, 0x6e, 0x44, 0xc1, 0x29, 0x24}},
    .options = options,
    .commands = commands,
    .create = create,
    .save = save,
    .restore = restore,
    .destroy = destroy,
};
