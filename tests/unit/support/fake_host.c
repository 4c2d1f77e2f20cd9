/* SPDX-License-Identifier: MIT */
#include "fake_host.h"
#include "fake_host_gpadl.h"

#include <limits.h>
#include <sanitizer/asan_interface.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "hv/synic.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "kernel/work.h"
#include "test_arch.h"

#define RELIDS        2048u
#define QUEUE_SIZE    8192u
#define CONNECTIONS   0x4000u
#define VERSION(a, b) ((a) << 16 | (b))

struct host_settings host;

struct queued_message {
    unsigned steps; /* before it is delivered */
    struct hv_message message;
};

static struct {
    const struct hv_synic_client *client;
    struct work_item delivery;

    bool connected;
    uint32_t version;
    bool offers_requested;
    struct host_channel channels[RELIDS];
    uint64_t monitor_page; /* child to parent */

    struct queued_message queue[QUEUE_SIZE];
    size_t queue_first;
    size_t queue_count;
    uint8_t flags[RELIDS];
    bool flags_any;

    struct host_message *log;
    size_t log_count;
    size_t log_size;
    unsigned attempts;
    unsigned signals[CONNECTIONS];
    unsigned signals_bad;
    unsigned monitor_signals[128];
    unsigned errors;
    unsigned rescind_seen;
} state;

void fake_host_complain(const char *format, ...)
{
    va_list arguments;

    if (host.tolerant) {
        return;
    }
    state.errors++;
    va_start(arguments, format);
    fputs("fake host: ", stderr);
    vfprintf(stderr, format, arguments);
    fputc('\n', stderr);
    va_end(arguments);
}

static void deliver_messages(void *context);

void host_reset(void)
{
    fake_host_forget_gpadls();
    free(state.log);
    memset(&state, 0, sizeof(state));
    work_item_initialise(&state.delivery, deliver_messages, NULL);
    host = (struct host_settings){
        .presence = HV_PRESENT,
        .reason = "",
        .multi_client = true,
        .fail_status = HV_STATUS_INSUFFICIENT_BUFFERS,
        .post_limit = UINT_MAX,
        .highest_version = VERSION(5, 3),
        .lowest_version = VERSION(2, 4),
        .message_connection = 1,
        .rescind_count = 1,
        .scribble = true,
    };
}

/* ---- host to guest ---- */

static void queue_message(const void *bytes, uint32_t size, unsigned steps)
{
    if (state.queue_count == QUEUE_SIZE) {
        fake_host_complain("more messages than the queue holds");
        return;
    }
    struct queued_message *queued =
        &state.queue[(state.queue_first + state.queue_count++) % QUEUE_SIZE];

    memset(queued, 0xA5, sizeof(*queued));
    queued->steps = steps;
    queued->message.type = HV_MESSAGE_TYPE_VMBUS;
    queued->message.size = size;
    memcpy(queued->message.payload, bytes, size);
    if (host.round_sizes) {
        queued->message.size = (size + 7u) & ~7u;
    }
}

void host_send(const void *bytes, uint32_t size)
{
    queue_message(bytes, size, 0);
}

void fake_host_send_words(uint32_t type, uint32_t size, uint32_t a, uint32_t b, uint32_t c,
                          unsigned steps)
{
    uint8_t bytes[240] = {0};
    uint32_t words[5] = {type, 0, a, b, c};

    memcpy(bytes, words, sizeof(words));
    queue_message(bytes, size, steps);
}

void host_send_words(uint32_t type, uint32_t size, uint32_t a, uint32_t b, uint32_t c)
{
    fake_host_send_words(type, size, a, b, c, 0);
}

void host_event(uint32_t flag)
{
    state.flags[flag % RELIDS] = 1;
    state.flags_any = true;
}

static void deliver(const struct hv_message *queued)
{
    _Alignas(8) struct hv_message message = *queued;
    uint32_t rest = HV_MESSAGE_PAYLOAD_MAXIMUM - message.size;

    if (state.client != NULL) {
        /* A read behind the message's end is an error, though there is memory. */
        ASAN_POISON_MEMORY_REGION(message.payload + message.size, rest);
        state.client->message(state.client->context, &message);
        ASAN_UNPOISON_MEMORY_REGION(message.payload + message.size, rest);
    }
}

/* As the deferred work of an interrupt. IRQL_DISPATCH. */
static void deliver_messages(void *context)
{
    (void)context;
    do {
        if (state.queue_count == 0) {
            return;
        }
        struct queued_message *queued = &state.queue[state.queue_first];
        if (queued->steps != 0) {
            queued->steps--;
            return;
        }
        state.queue_first = (state.queue_first + 1) % QUEUE_SIZE;
        state.queue_count--;
        deliver(&queued->message);
    } while (host.burst);
}

static void look_at_monitor_page(void)
{
    if (state.monitor_page == 0 || host.tolerant) {
        return;
    }
    uint32_t *words = (uint32_t *)(uintptr_t)state.monitor_page;
    for (uint32_t group = 0; group < 4; group++) {
        uint32_t pending = __atomic_exchange_n(&words[2 + 2 * group], 0, __ATOMIC_SEQ_CST);
        for (uint32_t bit = 0; bit < 32; bit++) {
            state.monitor_signals[group * 32 + bit] += pending >> bit & 1;
        }
    }
}

/* IRQL_DEVICE. */
static void interrupt(void *context)
{
    (void)context;
    for (uint32_t flag = 0; state.flags_any && flag < RELIDS; flag++) {
        if (state.flags[flag] != 0 && state.client != NULL) {
            state.client->event(state.client->context, flag);
        }
        state.flags[flag] = 0;
    }
    state.flags_any = false;
    if (state.queue_count != 0) {
        deferred_work_queue(&state.delivery);
    }
}

bool test_host_step(void)
{
    look_at_monitor_page();
    return (state.queue_count != 0 || state.flags_any) && test_interrupt(interrupt, NULL);
}

void host_run(void)
{
    do {
        while (test_host_step()) {
        }
    } while (passive_work_run());
}

/* ---- offers ---- */

struct host_channel *host_channel(uint32_t relid)
{
    return relid < RELIDS && state.channels[relid].known ? &state.channels[relid] : NULL;
}

struct host_offer host_plain_offer(uint32_t relid)
{
    struct host_offer offer = {
        .type = {0xC0FFEE00, 1, 2, {3, 4, 5, 6, 7, 8, 9, 10}},
        .instance = {relid, 11, 12, {13, 14, 15, 16, 17, 18, 19, 20}},
        .relid = relid,
        .connection_id = 0x2000 + relid,
        .monitor_id = 0xFF,
        .dedicated = 1,
    };
    return offer;
}

static void put16(uint8_t *at, uint32_t value)
{
    at[0] = (uint8_t)value;
    at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
    put16(at, value);
    put16(at + 2, value >> 16);
}

void host_send_offer(const struct host_offer *offer)
{
    uint8_t bytes[196] = {HOST_OFFER};

    memcpy(bytes + 8, &offer->type, 16);
    memcpy(bytes + 24, &offer->instance, 16);
    put16(bytes + 56, offer->flags);
    put16(bytes + 58, offer->mmio_megabytes);
    memcpy(bytes + 60, offer->user_defined, 120);
    put16(bytes + 180, offer->index);
    put32(bytes + 184, offer->relid);
    bytes[188] = offer->monitor_id;
    bytes[189] = offer->monitor_allocated;
    put16(bytes + 190, offer->dedicated);
    put32(bytes + 192, offer->connection_id);
    host_send(bytes, sizeof(bytes));
}

static void offer_channel(struct host_channel *channel)
{
    channel->offered = true;
    host_send_offer(&channel->offer);
}

void host_add(const struct host_offer *offer)
{
    struct host_channel *channel = &state.channels[offer->relid];

    memset(channel, 0, sizeof(*channel));
    channel->known = true;
    channel->offer = *offer;
    if (state.offers_requested) {
        offer_channel(channel);
    }
}

void host_rescind(uint32_t relid)
{
    struct host_channel *channel = host_channel(relid);

    if (channel != NULL && !channel->rescinded) {
        channel->rescinded = true;
        fake_host_send_words(HOST_RESCIND, 12, relid, 0, 0, 0);
    }
}

/* ---- channels ---- */

static void open_channel(const struct host_message *message)
{
    uint32_t relid = host_word(message, 8);
    struct host_channel *channel = host_channel(relid);
    struct host_gpadl *gpadl = fake_host_find_gpadl(host_word(message, 16));
    uint32_t status = host.open_status;

    if (channel == NULL || channel->rescinded || host.open == HOST_IGNORES) {
        return; /* hosts say nothing then */
    }
    if (channel->open || gpadl == NULL || !gpadl->complete || gpadl->relid != relid) {
        fake_host_complain("OPEN_CHANNEL: channel %u, GPADL %x", relid, host_word(message, 16));
        status = FAILURE;
    } else if (status == 0) {
        if (host_open_rings(channel, gpadl->id, host_word(message, 24))) {
            channel->open = true;
            channel->gpadl = gpadl->id;
        } else {
            fake_host_complain("OPEN_CHANNEL: channel %u, bad rings", relid);
            status = FAILURE;
        }
    }
    if (status == 0 && host.early_events) {
        (void)host_put_inband(relid, 0, false, "early", 5);
        host_event(relid);
    }
    if (host.open == HOST_ANSWERS) {
        fake_host_send_words(HOST_OPEN_RESULT, 20, relid, host_word(message, 12), status, 0);
    }
}

static void close_channel(const struct host_message *message)
{
    struct host_channel *channel = host_channel(host_word(message, 8));

    if (channel == NULL || (!channel->open && host.open == HOST_ANSWERS)) {
        fake_host_complain("CLOSE_CHANNEL: channel %u", host_word(message, 8));
        return;
    }
    channel->open = false;
    fake_host_scribble();
}

static void relid_released(const struct host_message *message)
{
    uint32_t relid = host_word(message, 8);
    struct host_channel *channel = host_channel(relid);

    if (channel == NULL || !channel->rescinded) {
        fake_host_complain("RELID_RELEASED: channel %u", relid);
        return;
    }
    if (channel->open) {
        fake_host_complain("RELID_RELEASED of an open channel %u", relid);
    }
    fake_host_scribble();
    fake_host_forget_gpadls_of(relid);
    struct host_offer offer = channel->offer;
    memset(channel, 0, sizeof(*channel));
    if (host.reoffer) {
        offer.relid = host.reoffer_relid != 0 ? host.reoffer_relid : relid;
        host_add(&offer);
    }
}

/* ---- the connection ---- */

static void disconnect(void)
{
    fake_host_scribble();
    fake_host_forget_gpadls();
    for (uint32_t relid = 0; relid < RELIDS; relid++) {
        struct host_channel *channel = &state.channels[relid];
        channel->open = false;
        channel->offered = false;
        channel->known = channel->known && !channel->rescinded;
    }
    state.connected = false;
    state.offers_requested = false;
    state.monitor_page = 0;
}

static void initiate_contact(const struct host_message *message)
{
    uint32_t version = host_word(message, 8);
    uint8_t bytes[240] = {HOST_VERSION_RESPONSE};
    uint32_t size = 16;

    disconnect();
    if (message->size != 40) {
        fake_host_complain("INITIATE_CONTACT of %u bytes", message->size);
        return;
    }
    if (message->connection_id == 4 && (host_word(message, 16) & 0xFFFF) != 2) {
        fake_host_complain("INITIATE_CONTACT: SINT and VTL are %04x",
                           host_word(message, 16) & 0xFFFF);
        return;
    }
    if ((host_word(message, 24) == 0) != (host_word(message, 32) == 0) ||
        (host_word(message, 24) & 0xFFF) != 0 || (host_word(message, 32) & 0xFFF) != 0) {
        fake_host_complain("INITIATE_CONTACT: monitor pages");
        return;
    }
    if (host.contact == HOST_IGNORES) {
        return;
    }
    if (version <= host.highest_version && version >= host.lowest_version) {
        bytes[8] = 1;
        bytes[9] = version >= host.contact_state_from ? host.contact_state : 0;
        put32(bytes + 12, version >= VERSION(5, 0) ? host.message_connection : version);
        if (version >= VERSION(6, 0)) {
            put32(bytes + 16, host.features);
            size = 20;
        }
        if (bytes[9] == 0) {
            state.connected = true;
            state.version = version;
            memcpy(&state.monitor_page, message->bytes + 32, 8);
        }
    }
    if (host.contact == HOST_ANSWERS) {
        queue_message(bytes, host.contact_size != 0 ? host.contact_size : size, 0);
    }
}

static void request_offers(void)
{
    if (state.offers_requested) {
        fake_host_complain("REQUEST_OFFERS twice");
        return;
    }
    state.offers_requested = true;
    for (uint32_t relid = 0; relid < RELIDS; relid++) {
        if (state.channels[relid].known) {
            offer_channel(&state.channels[relid]);
        }
    }
    if (host.all_offers == HOST_ANSWERS) {
        fake_host_send_words(HOST_ALL_OFFERS, 8, 0, 0, 0, 0);
    }
}

static void unload(void)
{
    if (host.unload == HOST_IGNORES) {
        return;
    }
    disconnect();
    if (host.unload == HOST_ANSWERS) {
        fake_host_send_words(HOST_UNLOAD_COMPLETE, 8, 0, 0, 0, 0);
    }
}

static uint32_t exact_size(uint32_t type)
{
    static const uint8_t sizes[HOST_TYPES] = {
        [HOST_REQUEST_OFFERS] = 8,  [HOST_OPEN] = 148,          [HOST_CLOSE] = 12,
        [HOST_GPADL_TEARDOWN] = 16, [HOST_RELID_RELEASED] = 12, [HOST_UNLOAD] = 8,
    };

    return type < HOST_TYPES ? sizes[type] : 0;
}

static void act(const struct host_message *message)
{
    uint32_t type = host_word(message, 0);

    switch (type) {
    case HOST_CONTACT:
        initiate_contact(message);
        break;
    case HOST_REQUEST_OFFERS:
        request_offers();
        break;
    case HOST_GPADL_HEADER:
        fake_host_gpadl_header(message);
        break;
    case HOST_GPADL_BODY:
        fake_host_gpadl_body(message);
        break;
    case HOST_GPADL_TEARDOWN:
        fake_host_gpadl_teardown(message);
        break;
    case HOST_OPEN:
        open_channel(message);
        break;
    case HOST_CLOSE:
        close_channel(message);
        break;
    case HOST_RELID_RELEASED:
        relid_released(message);
        break;
    case HOST_UNLOAD:
        unload();
        break;
    default:
        fake_host_complain("message of type %u", type);
        break;
    }
}

/* The channel a message is about: a body says only which GPADL it belongs to. */
static uint32_t relid_of(const struct host_message *message)
{
    if (host_word(message, 0) != HOST_GPADL_BODY) {
        return host_word(message, 8);
    }
    struct host_gpadl *gpadl = fake_host_find_gpadl(host_word(message, 12));
    return gpadl != NULL ? gpadl->relid : 0;
}

static void take(const struct host_message *message)
{
    uint32_t type = host_word(message, 0);
    uint32_t size = exact_size(type);

    if (host_word(message, 4) != 0) {
        fake_host_complain("message %u: padding is not zero", type);
    }
    if (size != 0 && message->size != size) {
        fake_host_complain("message %u of %u bytes, not %u", type, message->size, size);
        return;
    }
    if (!state.connected && type != HOST_CONTACT) {
        fake_host_complain("message %u without a connection", type);
        return;
    }
    if (host.hook != NULL && host.hook(host.hook_context, message)) {
        return;
    }
    bool rescind = type == host.rescind_type && ++state.rescind_seen == host.rescind_count;
    uint32_t relid = relid_of(message);
    if (rescind && host.rescind_at_once) {
        host_rescind(relid);
    }
    act(message);
    if (rescind) {
        host_rescind(relid);
    }
}

/* ---- the seam ---- */

enum hv_presence hv_presence(void)
{
    return host.presence;
}

const char *hv_presence_reason(void)
{
    return host.reason;
}

uint32_t hv_vp_index(void)
{
    return host.vp_index;
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
    return host.presence == HV_PRESENT;
}

bool hv_synic_attach(const struct hv_synic_client *client)
{
    if (!hv_synic_available() || state.client != NULL) {
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
}

static hv_status check_connection(uint32_t connection_id, uint32_t type)
{
    if (connection_id == 4 && type == HOST_CONTACT && host.multi_client) {
        return HV_STATUS_SUCCESS;
    }
    uint32_t expected = 1;
    if (state.connected && state.version >= VERSION(5, 0) && type != HOST_CONTACT) {
        expected = host.message_connection;
    }
    return connection_id == expected ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_CONNECTION_ID;
}

hv_status hv_post_message(uint32_t connection_id, const void *payload, uint32_t size)
{
    struct host_message message = {.connection_id = connection_id, .size = size};

    if (size > 240 || size < 8) {
        return HV_STATUS_INVALID_HYPERCALL_INPUT;
    }
    memcpy(message.bytes, payload, size);
    state.attempts++;
    if (host.post_status != HV_STATUS_SUCCESS) {
        return host.post_status;
    }
    if (state.attempts > host.post_limit) {
        return host.post_status_late;
    }
    if (host.fail_every != 0 && state.attempts % host.fail_every == 0) {
        return host.fail_status;
    }
    hv_status status = check_connection(connection_id, host_word(&message, 0));
    if (status != HV_STATUS_SUCCESS) {
        return status;
    }
    if (state.log_count == state.log_size) {
        state.log_size = 2 * state.log_size + 64;
        state.log = realloc(state.log, state.log_size * sizeof(*state.log));
    }
    state.log[state.log_count++] = message;
    take(&message);
    return HV_STATUS_SUCCESS;
}

hv_status hv_signal_event(uint32_t connection_id)
{
    if (connection_id < CONNECTIONS) {
        state.signals[connection_id]++;
    }
    for (uint32_t relid = 0; relid < RELIDS; relid++) {
        struct host_channel *channel = &state.channels[relid];
        if (channel->known && channel->open && channel->offer.connection_id == connection_id) {
            return HV_STATUS_SUCCESS;
        }
    }
    state.signals_bad++;
    return HV_STATUS_INVALID_CONNECTION_ID;
}

/* ---- what the guest did ---- */

const struct host_message *host_message(uint32_t type, unsigned n)
{
    for (size_t i = 0; i < state.log_count; i++) {
        if ((type == 0 || host_word(&state.log[i], 0) == type) && n-- == 0) {
            return &state.log[i];
        }
    }
    return NULL;
}

unsigned host_count(uint32_t type)
{
    unsigned count = 0;

    while (host_message(type, count) != NULL) {
        count++;
    }
    return count;
}

unsigned host_attempts(void)
{
    return state.attempts;
}

unsigned host_signals(uint32_t connection_id)
{
    return state.signals[connection_id];
}

unsigned host_monitor_signals(uint32_t monitor)
{
    look_at_monitor_page();
    return state.monitor_signals[monitor];
}

unsigned host_signals_bad(void)
{
    return state.signals_bad;
}

unsigned host_errors(void)
{
    return state.errors;
}

bool host_attached(void)
{
    return state.client != NULL;
}

bool host_is_open(uint32_t relid)
{
    struct host_channel *channel = host_channel(relid);

    return channel != NULL && channel->open;
}

uint32_t host_ring_gpadl(uint32_t relid)
{
    return host_is_open(relid) ? host_channel(relid)->gpadl : 0;
}
