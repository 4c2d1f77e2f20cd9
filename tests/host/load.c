/* SPDX-License-Identifier: MIT */
/*
 * The host's end of the load device: completes each message of the guest with the same bytes, and
 * sends messages of its own when a command says so. Both directions are counted, so that what was
 * lost or came twice shows, over a restore too: packets that are under way then are restored with
 * their numbers, and their run goes on.
 */

#include "tests/host/load.h"

#include <string.h>

#include "drivers/load/load_protocol.h"
#include "kernel/clock.h"

struct load {
    struct host_device device;
    bool is_open;
    UINT64 message[LOAD_SIZE_MAX / 8];
    /* From here on it is saved. */
    struct load_state {
        /* The guest's messages, since the channel opened. */
        UINT64 expected;
        UINT64 received;
        UINT64 gaps;
        UINT64 repeats;
        UINT64 malformed;
        /* Our own. */
        UINT64 number; /* of the last one since the channel opened */
        UINT64 wanted; /* by the run; UINT64_MAX: until `stop` */
        UINT64 sent;   /* by the run, like all that follows */
        UINT64 completed;
        UINT64 lost;
        UINT64 wrong;
        UINT64 started_at; /* clock_now(); after a restore the time of the restore */
        UINT32 size;
        UINT32 burst;
        UINT32 outstanding;
        UINT32 is_running;
    } state;
};

static struct load *load_of(struct host_device *device)
{
    return (struct load *)(void *)device;
}

/* ---- sending ---- */

static EVT_VMB_PACKET_COMPLETION_ROUTINE completed;

static void end_run(struct load *load)
{
    struct load_state *state = &load->state;
    const UINT64 microseconds = (clock_now() - state->started_at) / CLOCK_MICROSECOND;

    state->is_running = 0;
    host_device_event(&load->device,
                      "run: sent=%llu completed=%llu lost=%llu wrong=%llu elapsed_us=%llu",
                      (unsigned long long)state->sent, (unsigned long long)state->completed,
                      (unsigned long long)state->lost, (unsigned long long)state->wrong,
                      (unsigned long long)microseconds);
}

static bool send_one(struct load *load)
{
    struct load_state *state = &load->state;
    VMBPACKET packet = VmbPacketAllocate(load->device.channel);

    if (packet == NULL) {
        host_device_event(&load->device, "no memory for a packet");
        return false;
    }
    VmbPacketSetCompletionRoutine(packet, completed);
    VmbPacketSetPointer(packet, (PVOID)(uintptr_t)(state->number + 1));
    load_make_message(load->message, state->size, state->number + 1);
    state->number++;
    state->sent++;
    state->outstanding++;
    if (NT_SUCCESS(VmbPacketSend(packet, load->message, state->size, NULL,
                                 VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION))) {
        return true;
    }
    VmbPacketFree(packet);
    state->number--;
    state->sent--;
    state->outstanding--;
    return false;
}

/* At most DISPATCH. */
static void send_burst(struct load *load)
{
    struct load_state *state = &load->state;

    for (UINT32 i = 0; i < state->burst && state->sent < state->wanted; i++) {
        if (!send_one(load)) {
            state->wanted = state->sent;
        }
    }
    if (state->outstanding == 0) {
        end_run(load);
    }
}

static VOID completed(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct load *load = load_of(VmbChannelGetPointer(VmbPacketGetChannel(packet)));
    struct load_state *state = &load->state;
    const UINT64 number = (uintptr_t)VmbPacketGetPointer(packet);
    const struct load_header *header = buffer;

    VmbPacketFree(packet);
    state->outstanding--;
    if (!NT_SUCCESS(status)) {
        state->lost++;
        state->wanted = state->sent;
    } else {
        state->completed++;
        if (buffer == NULL || !load_is_message(buffer, length) || header->number != number) {
            state->wrong++;
        }
    }
    if (state->outstanding == 0 && state->is_running) {
        send_burst(load);
    }
}

/* ---- receiving ---- */

static VOID packet_received(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                            UINT32 length, UINT32 flags)
{
    struct load_state *state = &load_of(VmbChannelGetPointer(channel))->state;
    const struct load_header *header = buffer;

    (void)flags;
    state->received++;
    if (!load_is_message(buffer, length)) {
        state->malformed++;
        VmbChannelPacketComplete(packet, NULL, 0);
        return;
    }
    if (header->number < state->expected) {
        state->repeats++;
    } else {
        state->gaps += header->number - state->expected;
        state->expected = header->number + 1;
    }
    VmbChannelPacketComplete(packet, buffer, header->size);
}

/* ---- the channel's life ---- */

static NTSTATUS channel_opened(VMBCHANNEL channel)
{
    struct load *load = load_of(VmbChannelGetPointer(channel));

    load->is_open = true;
    /* A restored channel is opened anew here, but not by the guest, whose numbers go on. */
    if (load->state.expected == 0) {
        load->state.expected = 1;
    }
    host_device_event(&load->device, "open");
    return STATUS_SUCCESS;
}

static VOID channel_closed(VMBCHANNEL channel)
{
    struct load *load = load_of(VmbChannelGetPointer(channel));

    load->is_open = false;
    load->state.expected = 0;
    load->state.received = 0;
    load->state.gaps = 0;
    load->state.repeats = 0;
    load->state.malformed = 0;
    load->state.number = 0;
}

/* Of a packet the number is all there is to know. */
static NTSTATUS save_packet(VMBCHANNEL channel, VMBPACKET packet, PVOID buffer, UINT32 size,
                            PUINT32 needed)
{
    const UINT64 number = (uintptr_t)VmbPacketGetPointer(packet);

    (void)channel;
    *needed = sizeof(number);
    if (size < sizeof(number)) {
        return STATUS_BUFFER_TOO_SMALL;
    }
    memcpy(buffer, &number, sizeof(number));
    return STATUS_SUCCESS;
}

static NTSTATUS restore_packet(VMBCHANNEL channel, PVOID library, UINT32 library_size, PVOID saved,
                               UINT32 saved_size)
{
    UINT64 number;

    if (saved_size != sizeof(number)) {
        return STATUS_INVALID_PARAMETER;
    }
    memcpy(&number, saved, sizeof(number));
    VMBPACKET packet = VmbPacketAllocate(channel);
    if (packet == NULL) {
        return STATUS_INSUFFICIENT_RESOURCES;
    }
    VmbPacketSetCompletionRoutine(packet, completed);
    VmbPacketSetPointer(packet, (PVOID)(uintptr_t)number);
    const NTSTATUS status = VmbPacketRestore(packet, library, library_size);
    if (!NT_SUCCESS(status)) {
        VmbPacketFree(packet);
    }
    return status;
}

static bool create(struct host_device *device, const char *options,
                   const struct host_output *errors)
{
    (void)options;
    const struct host_channel channel = {
        .opened = channel_opened,
        .closed = channel_closed,
        .process_packet = packet_received,
        .save_packet = save_packet,
        .restore_packet = restore_packet,
        .packet_size = LOAD_SIZE_MAX,
    };
    return host_device_make_channel(device, &channel, errors);
}

static bool save(struct host_device *device, void *buffer, size_t capacity, size_t *size)
{
    const struct load_state *state = &load_of(device)->state;

    return host_save_state(state, sizeof(*state), buffer, capacity, size);
}

static bool restore(struct host_device *device, const void *bytes, size_t size)
{
    struct load_state state;

    if (!host_restore_state(&state, sizeof(state), bytes, size)) {
        return false;
    }
    if (state.size > LOAD_SIZE_MAX || state.burst > LOAD_BURST_MAX ||
        (state.is_running && state.size < LOAD_SIZE_MIN)) {
        return false;
    }
    state.started_at = clock_now();
    load_of(device)->state = state;
    return true;
}

/* ---- commands ---- */

static bool print_status(struct host_device *device, char *const arguments[], unsigned count,
                         const struct host_output *reply)
{
    const struct load *load = load_of(device);
    const struct load_state *state = &load->state;

    (void)arguments;
    (void)count;
    host_print(reply, "open=%u received=%llu gaps=%llu repeats=%llu malformed=%llu", load->is_open,
               (unsigned long long)state->received, (unsigned long long)state->gaps,
               (unsigned long long)state->repeats, (unsigned long long)state->malformed);
    host_print(reply, "running=%u sent=%llu completed=%llu lost=%llu wrong=%llu outstanding=%u",
               state->is_running, (unsigned long long)state->sent,
               (unsigned long long)state->completed, (unsigned long long)state->lost,
               (unsigned long long)state->wrong, state->outstanding);
    return true;
}

static bool run(struct host_device *device, char *const arguments[], unsigned count,
                const struct host_output *reply)
{
    struct load *load = load_of(device);
    struct load_state *state = &load->state;
    UINT64 numbers[3] = {0};

    for (unsigned i = 0; i < count; i++) {
        if (!host_number(arguments[i], &numbers[i])) {
            host_print(reply, "%s: %s is no number", device->name, arguments[i]);
            return false;
        }
    }
    if (numbers[1] < LOAD_SIZE_MIN || numbers[1] > LOAD_SIZE_MAX || numbers[2] < 1 ||
        numbers[2] > LOAD_BURST_MAX) {
        host_print(reply, "%s: a message has %u to %u bytes, a burst 1 to %u packets", device->name,
                   LOAD_SIZE_MIN, LOAD_SIZE_MAX, LOAD_BURST_MAX);
        return false;
    }
    if (!load->is_open || state->outstanding > 0) {
        host_print(reply, "%s: %s", device->name,
                   load->is_open ? "a run is under way" : "the guest has not opened it");
        return false;
    }
    state->wanted = numbers[0] != 0 ? numbers[0] : UINT64_MAX;
    state->size = (UINT32)numbers[1];
    state->burst = (UINT32)numbers[2];
    state->sent = 0;
    state->completed = 0;
    state->lost = 0;
    state->wrong = 0;
    state->started_at = clock_now();
    state->is_running = 1;
    send_burst(load);
    return true;
}

static bool stop(struct host_device *device, char *const arguments[], unsigned count,
                 const struct host_output *reply)
{
    struct load_state *state = &load_of(device)->state;

    (void)arguments;
    (void)count;
    (void)reply;
    state->wanted = state->sent;
    return true;
}

static const struct host_option options[] = {{NULL, NULL, NULL}};

static const struct host_command commands[] = {
    {"run", "PACKETS SIZE BURST",
     "sends so many messages to the guest, 0: until stop; the end is an event", 3, 3, run},
    {"stop", "", "ends the run behind the burst that is under way", 0, 0, stop},
    {"status", "", "what came from the guest; what was sent to it", 0, 0, print_status},
    {NULL, NULL, NULL, 0, 0, NULL},
};

const struct host_device_type load_device_type = {
    .name = "load",
    .purpose = "echoes numbered messages, and sends some of its own",
    .size = sizeof(struct load),
    .device_class = LOAD_CLASS_INITIALISER,
    .instance = {0x2f5d8a37, 0x0c94, 0x4e1b, {0, 0, 0, 0, 0, 0, 0, 1}},
    .options = options,
    .commands = commands,
    .create = create,
    .save = save,
    .restore = restore,
};
