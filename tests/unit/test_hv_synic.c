/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "arch/cpu.h"
#include "fake_hypervisor.h"
#include "hv/hypervisor.h"
#include "hv/message_queue.h"
#include "hv/parts.h"
#include "hv/synic.h"
#include "kernel/irql.h"
#include "test_arch.h"
#include "test_memory.h"

/* ---- a client that writes down what it gets ---- */

static struct {
    unsigned messages;
    uint32_t numbers[256];
    uint32_t sizes[256];
    unsigned events;
    uint32_t flags[4096];
    void (*on_message)(void);
} client_log;

static void client_message(void *context, const struct hv_message *message)
{
    assert_ptr_equal(context, &client_log);
    assert_int_equal(irql_current(), IRQL_DISPATCH);
    assert_true(arch_interrupts_disable());
    arch_interrupts_restore(true);
    assert_int_equal(message->type, HV_MESSAGE_TYPE_VMBUS);
    assert_true(client_log.messages < 256);
    memcpy(&client_log.numbers[client_log.messages], message->payload, 4);
    client_log.sizes[client_log.messages++] = message->size;
    if (client_log.on_message != NULL) {
        client_log.on_message();
    }
}

static void client_event(void *context, uint32_t flag)
{
    assert_ptr_equal(context, &client_log);
    assert_int_equal(irql_current(), IRQL_DEVICE);
    assert_true(client_log.events < 4096);
    client_log.flags[client_log.events++] = flag;
}

static const struct hv_synic_client client = {
    .message = client_message, .event = client_event, .context = &client_log};

static void send_number(uint32_t number)
{
    fake_host_send(HV_SYNIC_SINT_VMBUS, HV_MESSAGE_TYPE_VMBUS, &number, 4);
}

static void send_of_type(uint32_t type)
{
    fake_host_send(HV_SYNIC_SINT_VMBUS, type, "unknown", 8);
}

static void got_numbers_up_to(uint32_t count)
{
    assert_int_equal(client_log.messages, count);
    for (uint32_t n = 0; n < count; n++) {
        assert_int_equal(client_log.numbers[n], n);
    }
}

static struct hv_statistics statistics(void)
{
    struct hv_statistics now;
    hv_statistics(&now);
    return now;
}

static struct hv_statistics at_start;

static int start(void **state)
{
    (void)test_arch_setup(state);
    test_memory_reset();
    fake_hypervisor_reset();
    memset(&client_log, 0, sizeof(client_log));
    hv_start();
    assert_int_equal(hv_presence(), HV_PRESENT);
    assert_true(hv_synic_available());
    assert_true(hv_synic_attach(&client));
    at_start = statistics();
    return 0;
}

static int stop(void **state)
{
    (void)state;
    hv_synic_detach(&client);
    hv_stop();
    assert_false(hv_synic_available());
    assert_int_equal(test_pages_held(), 0);
    return 0;
}

/* ---- messages ---- */

static void a_message_reaches_the_client(void **state)
{
    (void)state;
    send_number(0);
    assert_int_equal(client_log.messages, 0);
    assert_true(fake_interrupts_deliver());
    got_numbers_up_to(1);
    assert_int_equal(client_log.sizes[0], 4);
    assert_int_equal(fake_slot(2)->type, 0);
    assert_int_equal(fake.end_of_messages, 0); /* nothing was pending */
    assert_int_equal(statistics().messages_received, at_start.messages_received + 1);
}

static void one_interrupt_may_stand_for_many_messages(void **state)
{
    (void)state;
    for (uint32_t n = 0; n < 10; n++) {
        send_number(n);
    }
    assert_true(fake_interrupts_deliver());
    got_numbers_up_to(10);
    assert_int_equal(fake.queue_count, 0);
    /* One for each message with another behind it. */
    assert_int_equal(fake.end_of_messages, 9);
    assert_int_equal(fake.log[fake_write_at(HV_REGISTER_EOM, 0)].value, 0);
    assert_int_equal(statistics().end_of_messages, at_start.end_of_messages + 9);
}

static void an_interrupt_without_a_message_is_harmless(void **state)
{
    (void)state;
    fake.vectors[0].pending = true;
    assert_true(fake_interrupts_deliver());
    assert_int_equal(client_log.messages, 0);
    assert_int_equal(client_log.events, 0);
    assert_int_equal(statistics().interrupts, at_start.interrupts + 1);
}

static void a_size_beyond_240_is_clamped(void **state)
{
    (void)state;
    uint8_t payload[255] = {0};
    fake_host_send(HV_SYNIC_SINT_VMBUS, HV_MESSAGE_TYPE_VMBUS, payload, 255);
    assert_true(fake_interrupts_deliver());
    assert_int_equal(client_log.messages, 1);
    assert_int_equal(client_log.sizes[0], 240);
}

static void messages_of_other_types_are_dropped_and_free_the_slot(void **state)
{
    (void)state;
    send_of_type(0x80000010u);
    send_of_type(7);
    send_number(0);
    send_of_type(0xFFFFFFFFu);
    send_number(1);
    assert_true(fake_interrupts_deliver());
    got_numbers_up_to(2);
    assert_int_equal(statistics().messages_dropped, at_start.messages_dropped + 3);
    assert_int_equal(fake.end_of_messages, 4);
    assert_int_equal(fake_slot(2)->type, 0);
}

/* At DISPATCH level deferred work does not run: the queue fills, and the rest stays with the host.
 */
static void a_full_queue_leaves_the_slot_alone_and_loses_nothing(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    for (uint32_t n = 0; n < 100; n++) {
        send_number(n);
        (void)fake_interrupts_deliver();
    }
    assert_int_equal(client_log.messages, 0);
    assert_int_equal(fake_slot(2)->type, HV_MESSAGE_TYPE_VMBUS);
    assert_int_equal(fake_slot(2)->payload[0], HV_MESSAGE_QUEUE_LENGTH);
    assert_int_equal(fake.queue_count, 100 - HV_MESSAGE_QUEUE_LENGTH - 1);
    irql_lower(previous);
    (void)fake_interrupts_deliver();
    got_numbers_up_to(100);
    assert_int_equal(fake_slot(2)->type, 0);
}

static void send_another(void)
{
    if (client_log.messages < 40) {
        send_number(client_log.messages);
        (void)fake_interrupts_deliver();
    }
}

static void messages_that_come_while_one_is_delivered_keep_their_order(void **state)
{
    (void)state;
    client_log.on_message = send_another;
    send_number(0);
    (void)fake_interrupts_deliver();
    got_numbers_up_to(40);
}

/* A host that never stops must not keep the guest in its interrupt handler. */
static void an_endless_host_does_not_keep_the_handler_busy(void **state)
{
    (void)state;
    fake.endless = true;
    enum irql previous = irql_raise_to_dispatch();
    send_of_type(9);
    assert_true(fake_interrupt_deliver_one());
    uint64_t dropped = statistics().messages_dropped - at_start.messages_dropped;
    assert_int_equal(dropped, 32);
    fake.endless = false;
    irql_lower(previous);
    (void)fake_interrupts_deliver();
    assert_int_equal(fake_slot(2)->type, 0);
}

static void messages_without_a_client_are_dropped(void **state)
{
    (void)state;
    hv_synic_detach(&client);
    send_number(0);
    fake_host_set_flag(5);
    (void)fake_interrupts_deliver();
    assert_int_equal(client_log.messages, 0);
    assert_int_equal(client_log.events, 0);
    assert_int_equal(statistics().messages_dropped, at_start.messages_dropped + 1);
    assert_int_equal(fake_slot(2)->type, 0);
    assert_true(hv_synic_attach(&client));
    send_number(0);
    (void)fake_interrupts_deliver();
    got_numbers_up_to(1);
}

static void there_is_one_client_at_a_time(void **state)
{
    (void)state;
    static const struct hv_synic_client other = {
        .message = client_message, .event = client_event, .context = &client_log};
    assert_false(hv_synic_attach(&other));
    hv_synic_detach(&other); /* not the one attached: nothing happens */
    assert_false(hv_synic_attach(&other));
    hv_synic_detach(&client);
    assert_true(hv_synic_attach(&other));
    hv_synic_detach(&other);
    assert_true(hv_synic_attach(&client));
}

/* ---- event flags ---- */

static void every_flag_reaches_the_client_by_its_number(void **state)
{
    (void)state;
    for (uint32_t flag = 1; flag < HV_EVENT_FLAGS_COUNT; flag++) {
        fake_host_set_flag(flag);
    }
    (void)fake_interrupts_deliver();
    assert_int_equal(client_log.events, HV_EVENT_FLAGS_COUNT - 1);
    for (uint32_t n = 0; n < client_log.events; n++) {
        assert_int_equal(client_log.flags[n], n + 1);
    }
    client_log.events = 0;
    for (uint32_t flag = 1; flag < HV_EVENT_FLAGS_COUNT; flag++) {
        fake_host_set_flag(flag);
        (void)fake_interrupts_deliver();
        assert_int_equal(client_log.events, flag);
        assert_int_equal(client_log.flags[flag - 1], flag);
    }
}

static void flag_0_is_cleared_and_ignored(void **state)
{
    (void)state;
    fake_host_set_flag(0);
    fake_host_set_flag(64);
    (void)fake_interrupts_deliver();
    assert_int_equal(client_log.events, 1);
    assert_int_equal(client_log.flags[0], 64);
    assert_int_equal(fake_flags(2)[0], 0);
}

static void flags_of_other_sints_are_not_ours(void **state)
{
    (void)state;
    fake_flags(3)[0] = 2;
    fake_flags(1)[31] = UINT64_C(1) << 63;
    fake_host_set_flag(1);
    (void)fake_interrupts_deliver();
    assert_int_equal(client_log.events, 1);
    assert_int_equal(fake_flags(3)[0], 2);
}

static void a_flag_is_clear_before_the_client_hears_of_it(void **state)
{
    (void)state;
    fake_host_set_flag(7);
    unsigned before = fake.vectors[0].raised;
    (void)fake_interrupts_deliver();
    assert_int_equal(fake_flags(2)[0], 0);
    fake_host_set_flag(7); /* so this one interrupts again */
    assert_int_equal(fake.vectors[0].raised, before + 1);
    (void)fake_interrupts_deliver();
    assert_int_equal(client_log.events, 2);
}

static void messages_and_events_of_one_interrupt_are_both_found(void **state)
{
    (void)state;
    fake_host_set_flag(9);
    send_number(0);
    fake.vectors[0].pending = true;
    (void)fake_interrupts_deliver();
    assert_int_equal(client_log.events, 1);
    got_numbers_up_to(1);
}

static void a_client_comes_and_goes_at_passive_level_only(void **state)
{
    (void)state;
    enum irql previous = irql_raise_to_dispatch();
    expect_panic(hv_synic_attach(&client));
    expect_panic(hv_synic_detach(&client));
    irql_lower(previous);
}

/* ---- the queue by itself ---- */

static void the_queue_keeps_order_over_the_wrap_of_its_counters(void **state)
{
    (void)state;
    static struct hv_message_queue queue;
    queue.added = queue.removed = UINT32_MAX - 5;
    uint32_t in = 0, out = 0;
    for (unsigned round = 0; round < 40; round++) {
        struct hv_message *entry;
        for (unsigned n = 0; n < 3 + round % 20; n++) {
            entry = hv_message_queue_claim(&queue);
            assert_int_equal(entry == NULL, in - out == HV_MESSAGE_QUEUE_LENGTH);
            if (entry != NULL) {
                entry->size = in++;
                hv_message_queue_publish(&queue);
            }
        }
        for (unsigned n = 0; n < 1 + round % 17; n++) {
            const struct hv_message *front = hv_message_queue_front(&queue);
            assert_int_equal(front == NULL, in == out);
            if (front != NULL) {
                assert_int_equal(front->size, out++);
                hv_message_queue_release(&queue);
            }
        }
    }
    assert_true(out > 100);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_message_reaches_the_client),
        TEST(one_interrupt_may_stand_for_many_messages),
        TEST(an_interrupt_without_a_message_is_harmless),
        TEST(a_size_beyond_240_is_clamped),
        TEST(messages_of_other_types_are_dropped_and_free_the_slot),
        TEST(a_full_queue_leaves_the_slot_alone_and_loses_nothing),
        TEST(messages_that_come_while_one_is_delivered_keep_their_order),
        TEST(an_endless_host_does_not_keep_the_handler_busy),
        TEST(messages_without_a_client_are_dropped),
        TEST(there_is_one_client_at_a_time),
        TEST(every_flag_reaches_the_client_by_its_number),
        TEST(flag_0_is_cleared_and_ignored),
        TEST(flags_of_other_sints_are_not_ours),
        TEST(a_flag_is_clear_before_the_client_hears_of_it),
        TEST(messages_and_events_of_one_interrupt_are_both_found),
        TEST(a_client_comes_and_goes_at_passive_level_only),
        cmocka_unit_test(the_queue_keeps_order_over_the_wrap_of_its_counters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
