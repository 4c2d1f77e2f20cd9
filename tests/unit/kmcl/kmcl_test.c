/* SPDX-License-Identifier: MIT */
#include "tests/unit/kmcl/kmcl_test.h"

#include <string.h>

#include "numbered_packet.h"

int kmcl_test_setup(void **state)
{
    (void)vmbus_test_setup(state);
    return 0;
}

int kmcl_test_teardown(void **state)
{
    return vmbus_test_teardown(state);
}

void settle(void)
{
    host_run();
    host_run();
}

static struct driver *driver_of(VMBCHANNEL channel)
{
    return VmbChannelGetPointer(channel);
}

static void note(VMBCHANNEL channel, char letter, const char *word)
{
    struct driver *driver = driver_of(channel);

    assert_int_equal(irql_current(), IRQL_PASSIVE);
    assert_true(strlen(driver->trace) + strlen(word) + 2 < sizeof(driver->trace));
    strcat(driver->trace, word);
    strcat(driver->trace, " ");
    if (driver->on_state != NULL) {
        driver->on_state(driver, letter);
    }
}

static NTSTATUS opened(VMBCHANNEL channel)
{
    note(channel, 'O', "opened");
    return driver_of(channel)->opened_status;
}

static VOID started(VMBCHANNEL channel)
{
    note(channel, 'S', "started");
}

static VOID post_started(VMBCHANNEL channel)
{
    note(channel, 'P', "post-started");
}

static VOID suspended(VMBCHANNEL channel)
{
    note(channel, 'U', "suspend");
}

static VOID closed(VMBCHANNEL channel)
{
    note(channel, 'C', "closed");
}

static VOID failed(VMBCHANNEL channel, NTSTATUS status)
{
    driver_of(channel)->failure = status;
    note(channel, 'F', "failure");
}

static VOID process_packet(VMBCHANNEL channel, VMBPACKETCOMPLETION packet, PVOID buffer,
                           UINT32 length, UINT32 flags)
{
    struct driver *driver = driver_of(channel);

    assert_int_equal(flags, 0);
    assert_true(((uintptr_t)buffer & 7) == 0);
    driver->packets++;
    driver->level = irql_current();
    driver->last_length = length;
    memcpy(driver->last, buffer, length < sizeof(driver->last) ? length : sizeof(driver->last));
    if (driver->on_packet != NULL) {
        driver->on_packet(driver, packet, buffer, length);
    } else {
        VmbChannelPacketComplete(packet, NULL, 0);
    }
}

static VOID processing_complete(VMBCHANNEL channel, UINT32 count)
{
    struct driver *driver = driver_of(channel);

    driver->batches++;
    driver->batch_count = count;
    if (driver->on_batch != NULL) {
        driver->on_batch(driver, count);
    }
}

void driver_make(struct driver *driver)
{
    struct host_offer offer = host_plain_offer(RELID);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS callbacks;
    GUID type;

    memset(driver, 0, sizeof(*driver));
    memcpy(&type, &offer.type, sizeof(type));
    assert_int_equal(VmbChannelAllocate(NULL, FALSE, &driver->channel), STATUS_SUCCESS);
    VMB_CHANNEL_STATE_CHANGE_CALLBACKS_INIT(&callbacks);
    callbacks.EvtChannelOpened = opened;
    callbacks.EvtChannelStarted = started;
    callbacks.EvtChannelPostStarted = post_started;
    callbacks.EvtChannelSuspend = suspended;
    callbacks.EvtChannelClosed = closed;
    assert_int_equal(VmbChannelInitSetStateChangeCallbacks(driver->channel, &callbacks),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetProcessPacketCallbacks(driver->channel, process_packet,
                                                             processing_complete),
                     STATUS_SUCCESS);
    assert_int_equal(VmbClientChannelInitSetTargetPnp(driver->channel, &type, NULL, failed),
                     STATUS_SUCCESS);
    assert_int_equal(VmbChannelInitSetMaximumPacketSize(driver->channel, 1024), STATUS_SUCCESS);
    assert_int_equal(VmbClientChannelInitSetRingBufferPageCount(driver->channel, 1, 1),
                     STATUS_SUCCESS);
    VmbChannelSetPointer(driver->channel, driver);
}

void driver_start(struct driver *driver)
{
    struct host_offer offer = host_plain_offer(RELID);

    if (driver->channel == NULL) {
        driver_make(driver);
    }
    if (host_channel(RELID) == NULL) {
        host_add(&offer);
    }
    if (vmbus_connection_state() != VMBUS_CONNECTED) {
        vmbus_test_connect();
    }
    assert_int_equal(VmbChannelEnable(driver->channel), STATUS_SUCCESS);
    settle();
}

void driver_end(struct driver *driver)
{
    VmbChannelDisable(driver->channel);
    assert_string_equal(KmclChannelStateName(driver->channel), "disabled");
    VmbChannelCleanup(driver->channel);
    driver->channel = NULL;
}

VOID recorded(VMBPACKET packet, NTSTATUS status, PVOID buffer, UINT32 length)
{
    struct driver *driver = driver_of(VmbPacketGetChannel(packet));

    driver->completed[driver->completions++] = (uintptr_t)VmbPacketGetPointer(packet);
    assert_true(driver->completions < 1024);
    driver->completion_status = status;
    driver->completion_length = length;
    driver->completion_level = irql_current();
    assert_true((buffer == NULL) == (length == 0));
    if (buffer != NULL) {
        memcpy(driver->completion, buffer,
               length < sizeof(driver->completion) ? length : sizeof(driver->completion));
    }
    VmbPacketFree(packet);
}

VMBPACKET driver_packet(struct driver *driver, unsigned long long number)
{
    return numbered_packet(driver->channel, recorded, number);
}

NTSTATUS driver_send(struct driver *driver, unsigned long long number, UINT32 length, UINT32 flags)
{
    return numbered_send(driver_packet(driver, number), number, length, flags);
}

UINT64 host_take(struct ring_packet_in *packet)
{
    static UINT8 bytes[65536];
    UINT64 word = 0;

    assert_int_equal(host_get(RELID, bytes, sizeof(bytes), packet), RING_OK);
    if (packet->payload_length >= sizeof(word)) {
        memcpy(&word, bytes + packet->extension_length, sizeof(word));
    }
    return word;
}

bool host_has_packet(void)
{
    struct ring_packet_in packet;

    return ring_reader_peek(host_incoming(RELID), &packet) == RING_OK;
}

void host_put_word(UINT64 word, bool wants_completion)
{
    assert_int_equal(host_put_inband(RELID, word, wants_completion, &word, sizeof(word)), RING_OK);
}

void host_put_burst(unsigned count, bool wants_completion)
{
    enum irql level = irql_raise_to_dispatch();

    for (unsigned i = 0; i < count; i++) {
        host_put_word(i + 1, wants_completion);
    }
    irql_lower(level);
}

void driver_keep(struct driver *driver, VMBPACKETCOMPLETION packet, void *buffer, UINT32 length)
{
    (void)buffer, (void)length;
    driver->kept[driver->kept_count++] = packet;
}

static void run_script(void *context)
{
    struct script *script = context;

    script->run(script->driver);
}

void script_start(struct script *script, struct driver *driver, void (*run)(struct driver *))
{
    script->run = run;
    script->driver = driver;
    work_item_initialise(&script->item, run_script, script);
    passive_work_queue(&script->item);
}

void answer_next(struct driver *driver)
{
    const UINT64 answer[2] = {0x1122334455667788, 42};
    struct ring_packet_in packet;

    (void)driver;
    (void)host_take(&packet);
    assert_int_equal(packet.flags, RING_PACKET_FLAG_COMPLETION_REQUESTED);
    assert_int_equal(host_put_completion(RELID, packet.transaction_id, answer, sizeof(answer)),
                     RING_OK);
}

LARGE_INTEGER relative(int64_t delay)
{
    return (LARGE_INTEGER){.QuadPart = -delay};
}

NTSTATUS ask(struct driver *driver, int64_t limit)
{
    UINT64 question = 0xABCD;
    UINT64 answer[2] = {0};
    UINT32 size = sizeof(answer);
    LARGE_INTEGER timeout = relative(limit);
    NTSTATUS status = VmbChannelSendSynchronousRequest(
        driver->channel, &question, sizeof(question), NULL,
        VMBUS_CHANNEL_FORMAT_FLAG_WAIT_FOR_COMPLETION, answer, &size, limit == 0 ? NULL : &timeout);

    if (status == STATUS_SUCCESS) {
        assert_int_equal(size, 16);
        assert_int_equal(answer[0], 0x1122334455667788);
        assert_int_equal(answer[1], 42);
    }
    return status;
}
