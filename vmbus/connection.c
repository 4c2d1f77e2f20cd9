/* SPDX-License-Identifier: MIT */
#include "vmbus/connection.h"

#include <string.h>

#include "hv/hypercall.h"
#include "hv/hypervisor.h"
#include "hv/synic.h"
#include "kernel/clock.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/channel.h"
#include "vmbus/offers.h"

struct vmbus_bus vmbus_bus = {
    .lock = SPIN_LOCK_INITIALISER,
};

enum irql vmbus_lock(void)
{
    return spin_lock_acquire(&vmbus_bus.lock);
}

void vmbus_unlock(enum irql previous)
{
    spin_lock_release(&vmbus_bus.lock, previous);
}

/* ---- states ---- */

static void transition(enum vmbus_connection_state state)
{
    static const uint8_t allowed[] = {
        [VMBUS_DISCONNECTED] = 1u << VMBUS_CONNECTING,
        [VMBUS_CONNECTING] = 1u << VMBUS_CONNECTED | 1u << VMBUS_FAILED,
        [VMBUS_CONNECTED] = 1u << VMBUS_UNLOADING,
        [VMBUS_UNLOADING] = 1u << VMBUS_DISCONNECTED | 1u << VMBUS_FAILED,
        [VMBUS_FAILED] = 1u << VMBUS_CONNECTING,
    };
    enum irql previous = vmbus_lock();

    ASSERT((allowed[vmbus_bus.state] & 1u << state) != 0);
    vmbus_bus.state = state;
    vmbus_unlock(previous);
}

enum vmbus_connection_state vmbus_connection_state(void)
{
    return vmbus_bus.state;
}

uint32_t vmbus_version(void)
{
    return vmbus_bus.state == VMBUS_CONNECTED ? vmbus_bus.version : 0;
}

uint64_t vmbus_connected_at(void)
{
    return vmbus_bus.connected_at;
}

void vmbus_keep_pages(uint64_t count)
{
    atomic_fetch_add_explicit(&vmbus_bus.pages_kept, count, memory_order_relaxed);
}

void vmbus_statistics(struct vmbus_statistics *out)
{
    *out = vmbus_bus.statistics;
    out->events_unknown = atomic_load_explicit(&vmbus_bus.events_unknown, memory_order_relaxed);
    out->pages_kept = atomic_load_explicit(&vmbus_bus.pages_kept, memory_order_relaxed);
}

/* ---- messages in ---- */

/* Counts a message that nobody acts on, and prints the first of its kind. */
static void drop(enum vmbus_message_verdict verdict, const struct hv_message *message, bool quiet)
{
    static const char *const kinds[] = {
        [VMBUS_MESSAGE_MALFORMED] = "malformed",
        [VMBUS_MESSAGE_UNKNOWN] = "unknown",
        [VMBUS_MESSAGE_UNEXPECTED] = "unexpected",
    };
    struct vmbus_statistics *statistics = &vmbus_bus.statistics;
    uint32_t words[4] = {0};

    memcpy(words, message->payload, message->size < sizeof(words) ? message->size : sizeof(words));
    *(verdict == VMBUS_MESSAGE_MALFORMED ? &statistics->messages_malformed
      : verdict == VMBUS_MESSAGE_UNKNOWN ? &statistics->messages_unknown
                                         : &statistics->messages_unexpected) += 1;

    uint32_t kind = 1u << (words[0] < VMBUS_MESSAGE_TYPE_END ? words[0] : 31u);
    if (quiet || (vmbus_bus.reported[verdict] & kind) != 0) {
        return;
    }
    vmbus_bus.reported[verdict] |= kind;
    log_warning("vmbus", "%s message: %s (%u), %u bytes, %08x %08x", kinds[verdict],
                vmbus_message_name(words[0]), (unsigned)words[0], (unsigned)message->size,
                (unsigned)words[2], (unsigned)words[3]);
}

/* Message counters are written here only; messages come one at a time. */
static void message_received(void *context, const struct hv_message *message)
{
    enum vmbus_message_verdict verdict =
        vmbus_message_judge(message->payload, message->size, vmbus_bus.version, 0);
    bool stale = false;

    (void)context;
    vmbus_bus.statistics.messages++;
    if (verdict == VMBUS_MESSAGE_GOOD) {
        uint32_t type;
        memcpy(&type, message->payload, sizeof(type));
        vmbus_message_handler *handler = vmbus_message_handler_of(type);
        if (handler == NULL) {
            handler = vmbus_bus.rare_answer;
        }
        /* Around a connection there may be messages to whoever had the last one, or to this one
         * before it ended. */
        stale = (vmbus_bus.state == VMBUS_CONNECTING && type != VMBUS_MESSAGE_VERSION_RESPONSE) ||
                (vmbus_bus.state == VMBUS_UNLOADING && type != VMBUS_MESSAGE_UNLOAD_COMPLETE);
        if (!stale && handler != NULL && handler(message->payload, message->size)) {
            return;
        }
        verdict = VMBUS_MESSAGE_UNEXPECTED;
    }
    drop(verdict, message, stale);
}

static void event_received(void *context, uint32_t flag)
{
    (void)context;
    vmbus_channel_event(flag);
}

static const struct hv_synic_client synic_client = {
    .message = message_received,
    .event = event_received,
};

/* ---- messages out ---- */

enum vmbus_status vmbus_post(const void *message, uint32_t size, uint64_t deadline)
{
    uint32_t type;

    if (vmbus_bus.state != VMBUS_CONNECTED) {
        return VMBUS_UNAVAILABLE;
    }
    memcpy(&type, message, sizeof(type));
    ASSERT(vmbus_message_may_send(type, size, vmbus_bus.version, 0));
    return hv_post_message_with_retry(vmbus_bus.message_connection, message, size, true,
                                      deadline) == HV_STATUS_SUCCESS
               ? VMBUS_OK
               : VMBUS_POST_FAILED;
}

/* ---- connecting ---- */

bool vmbus_version_response_received(const void *message, uint32_t size)
{
    struct vmbus_message_version_response_2 response = {0};

    if (!atomic_exchange(&vmbus_bus.contact_pending, false)) {
        return false;
    }
    /* The features are there from 6.0 on, and not in a refusal. */
    memcpy(&response, message,
           size >= sizeof(response) && vmbus_bus.version >= VMBUS_VERSION_6_0
               ? sizeof(response)
               : sizeof(response.response));
    vmbus_bus.answer = (struct vmbus_contact_answer){
        .supported = response.response.supported != 0,
        .state = response.response.connection_state,
        .connection_id = response.response.connection_id,
        .features = response.features,
    };
    event_set(&vmbus_bus.answered);
    return true;
}

/*
 * Asks for one version. VMBUS_REFUSED: the next may do. An answer does not say what it answers, so
 * after VMBUS_NO_ANSWER nothing else may be asked.
 */
static enum vmbus_status contact(uint32_t version, bool *multi_client)
{
    uint32_t connection = VMBUS_CONNECTION_ID_MESSAGES;
    uint64_t deadline = clock_after(VMBUS_ANSWER_LIMIT);
    struct vmbus_message_initiate_contact message = {
        .header = {.type = VMBUS_MESSAGE_INITIATE_CONTACT},
        .version = version,
        .target_vp = hv_vp_index(),
    };

    if (version >= VMBUS_VERSION_5_0) {
        if (!*multi_client) {
            return VMBUS_REFUSED;
        }
        connection = VMBUS_CONNECTION_ID_MULTI_CLIENT;
        message.target.sint = HV_SYNIC_SINT_VMBUS;
    }
    if (vmbus_bus.monitor_pages != NULL) {
        message.parent_to_child_monitor = page_frame_of(&vmbus_bus.monitor_pages[0]) << PAGE_SHIFT;
        message.child_to_parent_monitor = page_frame_of(&vmbus_bus.monitor_pages[1]) << PAGE_SHIFT;
    }

    vmbus_bus.version = version;
    event_clear(&vmbus_bus.answered);
    atomic_store(&vmbus_bus.contact_pending, true);
    hv_status status =
        hv_post_message_with_retry(connection, &message, sizeof(message), false, deadline);
    bool answered = status == HV_STATUS_SUCCESS && event_wait(&vmbus_bus.answered, deadline);

    if (status == HV_STATUS_INVALID_CONNECTION_ID &&
        connection == VMBUS_CONNECTION_ID_MULTI_CLIENT) {
        *multi_client = false; /* this host is older than that connection id */
        return VMBUS_REFUSED;
    }
    if (status != HV_STATUS_SUCCESS) {
        return VMBUS_POST_FAILED;
    }
    if (!answered) {
        return VMBUS_NO_ANSWER;
    }
    /* No feature was asked for; one that is granted would change messages. */
    if (!vmbus_bus.answer.supported || vmbus_bus.answer.state != VMBUS_CONTACT_SUCCESSFUL ||
        vmbus_bus.answer.features != 0) {
        return VMBUS_REFUSED;
    }
    vmbus_bus.message_connection = version >= VMBUS_VERSION_5_0 ? vmbus_bus.answer.connection_id
                                                                : VMBUS_CONNECTION_ID_MESSAGES;
    return VMBUS_OK;
}

static enum vmbus_status negotiate(void)
{
    static const uint32_t versions[] = {
        VMBUS_VERSION_6_0, VMBUS_VERSION_5_3, VMBUS_VERSION_5_2,
        VMBUS_VERSION_5_1, VMBUS_VERSION_5_0, VMBUS_VERSION_4_1,
        VMBUS_VERSION_4_0, VMBUS_VERSION_3_0, VMBUS_VERSION_2_4,
    };
    enum vmbus_status status = VMBUS_REFUSED;
    bool multi_client = true;

    for (size_t i = 0; i < sizeof(versions) / sizeof(versions[0]) && status == VMBUS_REFUSED; i++) {
        status = contact(versions[i], &multi_client);
    }
    return status;
}

/* After the connection: the host has given the pages back, or may write to them for ever. */
static void monitor_pages_end(bool given_back)
{
    struct vmbus_monitor_page *pages = vmbus_bus.monitor_pages;

    vmbus_bus.monitor_pages = NULL;
    if (pages == NULL) {
        return;
    }
    if (given_back) {
        pages_free(pages, 2);
    } else {
        vmbus_keep_pages(2);
    }
}

enum vmbus_status vmbus_connect(void)
{
    static const struct vmbus_message_bare request = {
        .header = {.type = VMBUS_MESSAGE_REQUEST_OFFERS}};

    if (vmbus_bus.state != VMBUS_DISCONNECTED && vmbus_bus.state != VMBUS_FAILED) {
        return VMBUS_BAD_STATE;
    }
    if (!hv_synic_available() || !hv_synic_attach(&synic_client)) {
        log_info("vmbus", "not available: %s", hv_presence_reason());
        return VMBUS_UNAVAILABLE;
    }
    memset(vmbus_bus.reported, 0, sizeof(vmbus_bus.reported));
    vmbus_bus.offers_reported = 0;
    event_clear(&vmbus_bus.offers_delivered);
    event_clear(&vmbus_bus.unloaded);
    vmbus_bus.next_open = 1;
    vmbus_bus.monitor_pages = pages_allocate_zeroed(2);

    transition(VMBUS_CONNECTING);
    enum vmbus_status status = negotiate();
    if (status != VMBUS_OK) {
        transition(VMBUS_FAILED);
        hv_synic_detach(&synic_client);
        monitor_pages_end(status != VMBUS_NO_ANSWER);
        log_warning("vmbus", "no connection: %s", vmbus_status_name(status));
        return status;
    }
    vmbus_bus.connected_at = clock_now();
    transition(VMBUS_CONNECTED);

    uint64_t deadline = clock_after(VMBUS_ANSWER_LIMIT);
    status = vmbus_post(&request, sizeof(request), deadline);
    if (status != VMBUS_OK) {
        (void)vmbus_disconnect();
    } else if (!event_wait(&vmbus_bus.offers_delivered, deadline)) {
        /* Nothing is wrong with the offers that did come. */
        log_warning("vmbus", "the host did not say that all offers are delivered");
    }
    return status;
}

/* ---- leaving ---- */

bool vmbus_unload_complete_received(const void *message, uint32_t size)
{
    bool expected = vmbus_bus.state == VMBUS_UNLOADING && !event_is_set(&vmbus_bus.unloaded);

    (void)message;
    (void)size;
    if (expected) {
        event_set(&vmbus_bus.unloaded);
    }
    return expected;
}

bool vmbus_connection_gave_memory_back(void)
{
    return event_wait(&vmbus_bus.unloaded, vmbus_bus.unload_deadline);
}

enum vmbus_status vmbus_disconnect(void)
{
    static const struct vmbus_message_bare unload = {.header = {.type = VMBUS_MESSAGE_UNLOAD}};
    enum vmbus_status status = VMBUS_OK;

    if (vmbus_bus.state != VMBUS_CONNECTED) {
        return VMBUS_UNAVAILABLE;
    }
    /* Before 3.0 hosts do not end a connection on UNLOAD (Linux channel_mgmt.c). */
    bool unloads = vmbus_bus.version >= VMBUS_VERSION_3_0;
    uint64_t deadline = clock_after(VMBUS_ANSWER_LIMIT);
    vmbus_bus.unload_deadline = 0;
    transition(VMBUS_UNLOADING);
    /* First of all: whoever closes a channel that went with the connection waits for the answer,
     * and may do so in the middle of a wait of ours. */
    if (unloads && hv_post_message_with_retry(vmbus_bus.message_connection, &unload, sizeof(unload),
                                              true, deadline) != HV_STATUS_SUCCESS) {
        status = VMBUS_POST_FAILED;
    } else if (unloads) {
        vmbus_bus.unload_deadline = deadline;
    }
    vmbus_offers_end();
    if (vmbus_bus.unload_deadline != 0 && !event_wait(&vmbus_bus.unloaded, deadline)) {
        status = VMBUS_NO_ANSWER;
    }
    transition(status == VMBUS_OK ? VMBUS_DISCONNECTED : VMBUS_FAILED);
    hv_synic_detach(&synic_client);
    monitor_pages_end(event_is_set(&vmbus_bus.unloaded));
    if (status != VMBUS_OK) {
        log_warning("vmbus", "UNLOAD: %s", vmbus_status_name(status));
    }
    return status;
}
