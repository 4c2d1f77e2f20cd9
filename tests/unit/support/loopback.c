/* SPDX-License-Identifier: MIT */
#include "loopback.h"

#include <sanitizer/asan_interface.h>
#include <stdlib.h>
#include <string.h>

#include "hv/hypervisor.h"
#include "hv/synic.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/work.h"
#include "test_arch.h"

#define RELIDS      2048u
#define CONNECTIONS 0x4000u
#define MAPS        8192u

struct loopback_settings loopback;
struct vmbus_server *loopback_server;

struct log {
    struct loopback_message *messages;
    size_t count;
    size_t size;
};

static struct {
    const struct hv_synic_client *client;
    struct work_item delivery;

    bool slot_full;
    bool was_busy;
    struct hv_message slot;
    bool flags[RELIDS];
    bool flags_any;
    bool signals[CONNECTIONS];
    bool signals_any;
    bool posting;

    struct log from_guest;
    struct log to_guest;
    unsigned events[RELIDS];
    uint32_t event_vp[RELIDS];
    bool doorbells[CONNECTIONS];
    struct {
        void *address;
        size_t count;
    } maps[MAPS];
    unsigned map_count;
    unsigned map_calls;
    unsigned posts;
} state;

/* ---- the log ---- */

static struct loopback_message *append(struct log *log)
{
    if (log->count == log->size) {
        log->size = 2 * log->size + 64;
        log->messages = realloc(log->messages, log->size * sizeof(log->messages[0]));
    }
    return memset(&log->messages[log->count++], 0, sizeof(log->messages[0]));
}

static const struct loopback_message *nth(const struct log *log, uint32_t type, unsigned n)
{
    for (size_t i = 0; i < log->count; i++) {
        if ((type == 0 || loopback_word(&log->messages[i], 0) == type) && n-- == 0) {
            return &log->messages[i];
        }
    }
    return NULL;
}

const struct loopback_message *loopback_from_guest(uint32_t type, unsigned n)
{
    return nth(&state.from_guest, type, n);
}

const struct loopback_message *loopback_to_guest(uint32_t type, unsigned n)
{
    return nth(&state.to_guest, type, n);
}

unsigned loopback_count_to_guest(uint32_t type)
{
    unsigned count = 0;

    for (size_t i = 0; i < state.to_guest.count; i++) {
        count += type == 0 || loopback_word(&state.to_guest.messages[i], 0) == type;
    }
    return count;
}

void loopback_log_clear(void)
{
    state.from_guest.count = 0;
    state.to_guest.count = 0;
}

/* ---- the server's machine ---- */

/* Not while it runs itself. */
static void meanwhile(void)
{
    void (*hook)(void) = loopback.meanwhile;

    if (hook != NULL) {
        loopback.meanwhile = NULL;
        hook();
        loopback.meanwhile = hook;
    }
}

static void *map(void *context, const uint64_t *frames, size_t count, bool writable)
{
    (void)context;
    (void)writable;
    assert_true(count != 0);
    meanwhile();
    state.map_calls++;
    if (loopback.map_fail != 0 && --loopback.map_fail == 0) {
        return NULL;
    }
    for (size_t i = 1; i < count; i++) {
        if (frames[i] != frames[0] + i) {
            return NULL;
        }
    }
    if (!pages_are_allocated(frames[0], count)) {
        return NULL;
    }
    for (size_t i = 0; i < MAPS; i++) {
        if (state.maps[i].address == NULL) {
            state.maps[i].address = page_address(frames[0]);
            state.maps[i].count = count;
            state.map_count++;
            return state.maps[i].address;
        }
    }
    fail_msg("more maps than the loopback counts");
    return NULL;
}

static void unmap(void *context, void *address, size_t count)
{
    (void)context;
    meanwhile();
    for (size_t i = 0; i < MAPS; i++) {
        if (state.maps[i].address == address && state.maps[i].count == count) {
            state.maps[i].address = NULL;
            state.map_count--;
            /* Whoever gives memory back had it to the end. */
            volatile uint8_t *last = (volatile uint8_t *)address + count * PAGE_SIZE - 1;
            *last ^= 0x80;
            *last ^= 0x80;
            return;
        }
    }
    fail_msg("%zu pages at %p are unmapped but not mapped", count, address);
}

static enum vmbus_server_posted post(void *context, uint32_t vp, uint32_t sint, const void *payload,
                                     uint32_t size)
{
    (void)context;
    assert_true(size <= HV_MESSAGE_PAYLOAD_MAXIMUM && sint < 16);
    assert_false(state.posting);
    if (vp >= loopback.processors) {
        return VMBUS_SERVER_POST_FAILED;
    }
    state.posting = true;
    meanwhile();
    state.posting = false;
    if (state.slot_full) {
        return VMBUS_SERVER_SLOT_BUSY;
    }
    if (loopback.busy_once && !state.was_busy) {
        state.was_busy = true;
        state.posting = true; /* the slot's end comes before the server has our answer */
        vmbus_server_slot_free(loopback_server);
        state.posting = false;
        return VMBUS_SERVER_SLOT_BUSY;
    }
    state.was_busy = false;
    struct loopback_message *entry = append(&state.to_guest);
    entry->number = vp;
    entry->sint = sint;
    entry->size = size;
    memcpy(entry->bytes, payload, size);
    if (state.client != NULL || loopback.slot_stuck) {
        memset(&state.slot, 0xA5, sizeof(state.slot));
        state.slot.type = HV_MESSAGE_TYPE_VMBUS;
        state.slot.size = size;
        memcpy(state.slot.payload, payload, size);
        state.slot_full = true;
    }
    return VMBUS_SERVER_POSTED;
}

static bool event(void *context, uint32_t vp, uint32_t flag)
{
    (void)context;
    assert_true(flag >= 1 && flag < RELIDS);
    if (vp >= loopback.processors) {
        return false;
    }
    state.events[flag]++;
    state.event_vp[flag] = vp;
    state.flags[flag] = true;
    state.flags_any = true;
    return true;
}

static void doorbell(void *context, uint32_t connection_id, bool wanted)
{
    (void)context;
    meanwhile();
    assert_true(state.doorbells[connection_id] != wanted);
    state.doorbells[connection_id] = wanted;
}

static const struct vmbus_server_host machine = {
    .map = map,
    .unmap = unmap,
    .post = post,
    .event = event,
    .doorbell = doorbell,
};

static struct vmbus_server *create(const struct vmbus_server_options *options)
{
    static const struct vmbus_server_options defaults;
    struct vmbus_server *server =
        vmbus_server_create(&machine, options != NULL ? options : &defaults);

    assert_non_null(server);
    return server;
}

static void deliver(void *context);

void loopback_start(const struct vmbus_server_options *options)
{
    memset(&state, 0, sizeof(state));
    work_item_initialise(&state.delivery, deliver, NULL);
    loopback = (struct loopback_settings){.processors = 1};
    loopback_server = create(options);
}

static void destroy(void)
{
    vmbus_server_destroy(loopback_server);
    loopback_server = NULL;
    assert_int_equal(state.map_count, 0);
    for (uint32_t id = 0; id < CONNECTIONS; id++) {
        assert_false(state.doorbells[id]);
    }
}

void loopback_replace(const struct vmbus_server_options *options)
{
    destroy();
    loopback_server = create(options);
}

void loopback_replace_forked(const struct vmbus_server_options *options)
{
    memset(state.maps, 0, sizeof(state.maps));
    memset(state.doorbells, 0, sizeof(state.doorbells));
    state.map_count = 0;
    loopback_server = create(options);
}

void loopback_end(void)
{
    destroy();
    free(state.from_guest.messages);
    free(state.to_guest.messages);
    memset(&state, 0, sizeof(state));
}

/* ---- to the guest ---- */

/* As the deferred work of an interrupt. IRQL_DISPATCH. */
static void deliver(void *context)
{
    _Alignas(8) struct hv_message message = state.slot;
    uint32_t rest = HV_MESSAGE_PAYLOAD_MAXIMUM - message.size;

    (void)context;
    if (!state.slot_full || state.client == NULL) {
        return;
    }
    state.slot_full = false;
    vmbus_server_slot_free(loopback_server);
    /* A read behind the message's end is an error, though there is memory. */
    ASAN_POISON_MEMORY_REGION(message.payload + message.size, rest);
    state.client->message(state.client->context, &message);
    ASAN_UNPOISON_MEMORY_REGION(message.payload + message.size, rest);
}

bool loopback_take(void)
{
    bool full = state.slot_full;

    state.slot_full = false;
    if (full) {
        vmbus_server_slot_free(loopback_server);
    }
    return full;
}

/* IRQL_DEVICE. */
static void interrupt(void *context)
{
    (void)context;
    for (uint32_t flag = 0; state.flags_any && flag < RELIDS; flag++) {
        if (state.flags[flag] && state.client != NULL) {
            state.client->event(state.client->context, flag);
        }
        state.flags[flag] = false;
    }
    state.flags_any = false;
    if (state.slot_full && !loopback.slot_stuck) {
        deferred_work_queue(&state.delivery);
    }
}

static bool signal_server(void)
{
    if (!state.signals_any) {
        return false;
    }
    state.signals_any = false;
    for (uint32_t id = 0; id < CONNECTIONS; id++) {
        if (state.signals[id]) {
            state.signals[id] = false;
            (void)vmbus_server_signal(loopback_server, id, 0);
        }
    }
    return true;
}

bool test_host_step(void)
{
    bool signalled = signal_server();

    return (((state.slot_full && !loopback.slot_stuck) || state.flags_any) &&
            test_interrupt(interrupt, NULL)) ||
           signalled;
}

void loopback_run(void)
{
    do {
        while (test_host_step()) {
        }
    } while (passive_work_run());
}

/* ---- from the guest ---- */

enum hv_presence hv_presence(void)
{
    return HV_PRESENT;
}

const char *hv_presence_reason(void)
{
    return "";
}

uint32_t hv_vp_index(void)
{
    return 0;
}

void hv_statistics(struct hv_statistics *out)
{
    memset(out, 0, sizeof(*out));
}

void hv_report(void)
{
}

bool hv_synic_available(void)
{
    return true;
}

bool hv_synic_attach(const struct hv_synic_client *client)
{
    if (state.client != NULL) {
        return false;
    }
    state.client = client;
    return true;
}

void hv_synic_detach(const struct hv_synic_client *client)
{
    if (state.client == client) {
        state.client = NULL;
    }
    (void)deferred_work_cancel(&state.delivery);
    (void)loopback_take();
}

hv_status hv_post_message(uint32_t connection_id, const void *payload, uint32_t size)
{
    /* A copy that ends where the message ends. */
    uint8_t *copy = malloc(size != 0 ? size : 1);
    hv_status status = HV_STATUS_INSUFFICIENT_BUFFERS;

    memcpy(copy, payload, size);
    if (!loopback.queue_full_status || state.posts++ % 2 != 0) {
        status = vmbus_server_message(loopback_server, connection_id, copy, size);
    }
    struct loopback_message *entry = append(&state.from_guest);
    entry->number = connection_id;
    entry->size = size;
    entry->status = status;
    memcpy(entry->bytes, copy, size < sizeof(entry->bytes) ? size : sizeof(entry->bytes));
    free(copy);
    return status;
}

hv_status hv_signal_event(uint32_t connection_id)
{
    if (!loopback.signals_wait || connection_id >= CONNECTIONS) {
        return vmbus_server_signal(loopback_server, connection_id, 0);
    }
    state.signals[connection_id] = true;
    state.signals_any = true;
    return HV_STATUS_SUCCESS;
}

/* ---- what was done ---- */

unsigned loopback_events(uint32_t relid)
{
    return state.events[relid];
}

uint32_t loopback_event_vp(uint32_t relid)
{
    return state.event_vp[relid];
}

bool loopback_doorbell(uint32_t connection_id)
{
    return state.doorbells[connection_id];
}

unsigned loopback_maps(void)
{
    return state.map_count;
}

unsigned loopback_map_calls(void)
{
    return state.map_calls;
}
