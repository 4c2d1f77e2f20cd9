/* SPDX-License-Identifier: MIT */
#include "vmbus_test.h"

#include <string.h>

#include "vmbus/connection.h"
#include "vmbus/offers.h"

static struct vmbus_statistics at_start;

int vmbus_test_setup(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    host_reset();
    vmbus_statistics(&at_start);
    return 0;
}

int vmbus_test_teardown(void **state)
{
    (void)state;
    test_memory_fail(0);
    host.post_status = HV_STATUS_SUCCESS;
    host.post_limit = UINT32_MAX;
    host.fail_every = 0;
    host.hook = NULL;
    host.unload = HOST_ANSWERS;
    if (vmbus_connection_state() == VMBUS_CONNECTED) {
        (void)vmbus_disconnect();
    }
    assert_false(host_attached());
    assert_null(vmbus_bus.gpadls);
    assert_null(vmbus_bus.listeners);
    assert_null(vmbus_bus.monitor_pages);
    assert_null(vmbus_channel_next(0));
    assert_int_equal(host_errors(), 0);
    assert_int_equal(test_memory_held(), 0);
    assert_int_equal(test_pages_held(), vmbus_test_counts().pages_kept);
    return 0;
}

struct vmbus_statistics vmbus_test_counts(void)
{
    struct vmbus_statistics now;

    vmbus_statistics(&now);
    now.messages -= at_start.messages;
    now.messages_malformed -= at_start.messages_malformed;
    now.messages_unknown -= at_start.messages_unknown;
    now.messages_unexpected -= at_start.messages_unexpected;
    now.offers -= at_start.offers;
    now.offers_refused -= at_start.offers_refused;
    now.rescinds -= at_start.rescinds;
    now.events_unknown -= at_start.events_unknown;
    now.pages_kept -= at_start.pages_kept;
    return now;
}

void vmbus_test_connect(void)
{
    assert_int_equal(vmbus_connect(), VMBUS_OK);
    assert_int_equal(vmbus_connection_state(), VMBUS_CONNECTED);
}

static void on_event(void *context)
{
    struct test_owner *owner = context;

    assert_int_equal(irql_current(), IRQL_DISPATCH);
    assert_false(owner->closed);
    owner->events++;
}

static void on_rescind(void *context)
{
    struct test_owner *owner = context;

    assert_int_equal(irql_current(), IRQL_DISPATCH);
    assert_true(vmbus_channel_is_rescinded(owner->channel));
    owner->rescinds++;
}

struct vmbus_channel *vmbus_test_channel(uint32_t relid)
{
    return vmbus_channel_by_relid(relid);
}

void vmbus_test_claim(struct test_owner *owner, uint32_t relid)
{
    if (host_channel(relid) == NULL) {
        struct host_offer offer = host_plain_offer(relid);
        host_add(&offer);
    }
    if (vmbus_connection_state() != VMBUS_CONNECTED) {
        vmbus_test_connect();
    }
    host_run();
    memset(owner, 0, sizeof(*owner));
    owner->callbacks =
        (struct vmbus_channel_owner){.event = on_event, .rescinded = on_rescind, .context = owner};
    owner->channel = vmbus_test_channel(relid);
    assert_non_null(owner->channel);
    assert_true(vmbus_channel_claim(owner->channel, &owner->callbacks));
}

void vmbus_test_open(struct test_owner *owner, uint32_t relid, uint32_t outgoing_pages,
                     uint32_t incoming_pages)
{
    vmbus_test_claim(owner, relid);
    assert_int_equal(vmbus_channel_open(owner->channel, outgoing_pages, incoming_pages, NULL),
                     VMBUS_OK);
    assert_int_equal(vmbus_channel_state(owner->channel), VMBUS_CHANNEL_OPEN);
}

void vmbus_test_give_back(struct test_owner *owner)
{
    vmbus_channel_close(owner->channel);
    owner->closed = true;
    (void)vmbus_channel_unclaim(owner->channel);
    owner->channel = NULL;
}

unsigned vmbus_test_lines(const char *text)
{
    unsigned count = 0;

    for (const char *at = test_console(); (at = strstr(at, text)) != NULL; at++) {
        count++;
    }
    return count;
}
