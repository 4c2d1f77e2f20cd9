/* SPDX-License-Identifier: MIT */
/*
 * The synthetic interrupt controller of this processor (TLFS, Inter-Partition Communication and
 * Virtual Interrupt Controller). Its interrupt says only "look": messages are copied into a private
 * queue and the slot is given back at once, event flags are handed on there and then. Deferred work
 * delivers the messages.
 */
#include "hv/synic.h"

#include <stdatomic.h>
#include <stddef.h>

#include "arch/cpu.h"
#include "arch/hypervisor.h"
#include "hv/message_queue.h"
#include "hv/message_slot.h"
#include "hv/parts.h"
#include "hv/tlfs.h"
#include "kernel/irql.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "kernel/work.h"

/*
 * Choice of ours: how many messages one look takes at most, the unwanted included, so that it comes
 * to an end whatever the host sends. Each message that is left has an interrupt of its own coming.
 */
#define MESSAGES_A_LOOK_MAXIMUM 32u

static struct {
    struct hv_message_queue queue;
    struct work_item deliver;
    const struct hv_synic_client *_Atomic client;
    uint32_t vmbus_vector;
    uint32_t timer_vector;
    void (*timer_expired)(void);
} synic;

static void end_of_message(void)
{
    arch_hv_register_write(HV_REGISTER_EOM, 0);
    hv_count(&hv_counters.end_of_messages);
}

/* Drops what is in a slot and frees it. */
static void slot_discard(struct hv_message_slot *slot)
{
    if (hv_message_slot_release(slot)) {
        end_of_message();
    }
}

/*
 * Takes messages until the slot is empty. Nothing is taken that cannot be queued: it stays in the
 * slot, the host keeps what follows, and the deferred work that makes room looks again.
 * Interrupts are off: this is the queue's one producer.
 */
static void messages_collect(struct hv_processor *processor)
{
    struct hv_message_slot *slot = &processor->messages->slots[HV_SYNIC_SINT_VMBUS];
    for (unsigned taken = 0; taken < MESSAGES_A_LOOK_MAXIMUM; taken++) {
        struct hv_message *entry = hv_message_queue_claim(&synic.queue);
        if (entry == NULL) {
            break;
        }
        enum hv_slot_taken result = hv_message_slot_take(slot, entry);
        if (result == HV_SLOT_EMPTY) {
            break;
        }
        if (result == HV_SLOT_TAKEN_PENDING) {
            end_of_message();
        }
        if (entry->type == HV_MESSAGE_TYPE_VMBUS) {
            hv_count(&hv_counters.messages_received);
            hv_message_queue_publish(&synic.queue);
            deferred_work_queue(&synic.deliver);
        } else {
            hv_count(&hv_counters.messages_dropped);
        }
    }
}

static void events_collect(struct hv_processor *processor)
{
    _Atomic uint64_t *words = processor->events->words[HV_SYNIC_SINT_VMBUS];
    const struct hv_synic_client *client =
        atomic_load_explicit(&synic.client, memory_order_acquire);
    for (uint32_t word = 0; word < HV_EVENT_FLAG_WORDS; word++) {
        uint64_t bits = hv_event_word_take(&words[word]);
        if (word == 0) {
            bits &= ~UINT64_C(1); /* flag 0 is no channel */
        }
        while (bits != 0) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits);
            bits &= bits - 1;
            if (client != NULL) {
                client->event(client->context, word * 64 + bit);
            }
        }
    }
}

/* IRQL_DEVICE. An interrupt does not say whether it means a message or an event, or how many. */
static void vmbus_interrupt(void *context)
{
    struct hv_processor *processor = context;
    hv_count(&hv_counters.interrupts);
    events_collect(processor);
    messages_collect(processor);
}

/* IRQL_DISPATCH. */
static void deliver_messages(void *context)
{
    struct hv_processor *processor = context;
    /*
     * One queue's length, so that other deferred work gets its turn: what is added from now on
     * queued this work again.
     */
    for (unsigned n = 0; n < HV_MESSAGE_QUEUE_LENGTH; n++) {
        const struct hv_message *message = hv_message_queue_front(&synic.queue);
        if (message == NULL) {
            break;
        }
        const struct hv_synic_client *client =
            atomic_load_explicit(&synic.client, memory_order_acquire);
        if (client != NULL) {
            client->message(client->context, message);
        } else {
            hv_count(&hv_counters.messages_dropped);
        }
        hv_message_queue_release(&synic.queue);
    }
    /* A message may have been left in its slot because the queue was full. */
    bool interrupts = arch_interrupts_disable();
    messages_collect(processor);
    arch_interrupts_restore(interrupts);
}

/* IRQL_DEVICE. */
static void timer_interrupt(void *context)
{
    struct hv_processor *processor = context;
    struct hv_message_slot *slot = &processor->messages->slots[HV_SYNIC_SINT_TIMER];
    struct hv_message message;
    bool expired = false;
    for (unsigned taken = 0; taken < MESSAGES_A_LOOK_MAXIMUM; taken++) {
        enum hv_slot_taken result = hv_message_slot_take(slot, &message);
        if (result == HV_SLOT_EMPTY) {
            break;
        }
        if (result == HV_SLOT_TAKEN_PENDING) {
            end_of_message();
        }
        if (message.type == HV_MESSAGE_TYPE_TIMER_EXPIRED) {
            expired = true;
        } else {
            hv_count(&hv_counters.messages_dropped);
        }
    }
    if (expired) {
        synic.timer_expired();
    }
}

/* ---- registers ---- */

static enum hv_register sint_register(uint32_t sint)
{
    return (enum hv_register)(HV_REGISTER_SINT0 + sint);
}

/*
 * Automatic end of interrupt stays off on every host: ending it ourselves works everywhere, and a
 * host's advice on it differs even between machines of one version.
 */
static bool sint_unmask(uint32_t sint, uint32_t vector)
{
    uint64_t value = arch_hv_register_read(sint_register(sint));
    value &= ~(HV_SINT_VECTOR_MASK | HV_SINT_MASKED | HV_SINT_AUTO_EOI | HV_SINT_POLLING);
    value |= vector;
    arch_hv_register_write(sint_register(sint), value);
    return arch_hv_register_read(sint_register(sint)) == value;
}

static void sint_mask(uint32_t sint)
{
    uint64_t value = arch_hv_register_read(sint_register(sint));
    arch_hv_register_write(sint_register(sint), value | HV_SINT_MASKED);
}

/*
 * Empties both pages. What is in them after enabling is not specified, and may be what was there
 * before they were disabled the last time.
 */
static void pages_scrub(struct hv_processor *processor)
{
    for (uint32_t sint = 0; sint < HV_SINT_COUNT; sint++) {
        slot_discard(&processor->messages->slots[sint]);
        for (uint32_t word = 0; word < HV_EVENT_FLAG_WORDS; word++) {
            (void)hv_event_word_take(&processor->events->words[sint][word]);
        }
    }
}

/* With interrupts off. */
static bool registers_set_up(struct hv_processor *processor)
{
    bool taken = hv_page_register_enable(HV_REGISTER_SIMP, processor->messages);
    taken = hv_page_register_enable(HV_REGISTER_SIEFP, processor->events) && taken;
    pages_scrub(processor);
    taken = sint_unmask(HV_SYNIC_SINT_VMBUS, synic.vmbus_vector) && taken;
    /* Its value after reset differs between hosts: only a write makes it certain. */
    uint64_t control = arch_hv_register_read(HV_REGISTER_SCONTROL) | HV_SCONTROL_ENABLE;
    arch_hv_register_write(HV_REGISTER_SCONTROL, control);
    taken = arch_hv_register_read(HV_REGISTER_SCONTROL) == control && taken;
    if (taken) {
        /* What came before the SINT was unmasked raised no interrupt. */
        events_collect(processor);
        messages_collect(processor);
    }
    return taken;
}

/* With interrupts off. Only then may the pages be used for something else. */
static void registers_tear_down(struct hv_processor *processor)
{
    sint_mask(HV_SYNIC_SINT_VMBUS);
    pages_scrub(processor);
    (void)hv_page_register_disable(HV_REGISTER_SIMP);
    (void)hv_page_register_disable(HV_REGISTER_SIEFP);
    arch_hv_register_write(HV_REGISTER_SCONTROL,
                           arch_hv_register_read(HV_REGISTER_SCONTROL) & ~HV_SCONTROL_ENABLE);
}

static void pages_release(struct hv_processor *processor)
{
    if (processor->messages != NULL) {
        pages_free(processor->messages, 1);
        processor->messages = NULL;
    }
    if (processor->events != NULL) {
        pages_free(processor->events, 1);
        processor->events = NULL;
    }
}

/* ---- start and stop ---- */

bool hv_synic_start(struct hv_processor *processor, const char **why)
{
    /* The pages start out clean, for a host that writes into our memory instead of laying its own
     * over it. */
    processor->messages = pages_allocate_zeroed(1);
    processor->events = pages_allocate_zeroed(1);
    if (processor->messages == NULL || processor->events == NULL) {
        *why = "no memory for the SynIC's pages";
        pages_release(processor);
        return false;
    }
    work_item_initialise(&synic.deliver, deliver_messages, processor);
    synic.vmbus_vector = arch_synic_interrupt_attach(vmbus_interrupt, processor);
    if (synic.vmbus_vector == 0) {
        *why = "no interrupt vector for the SynIC";
        pages_release(processor);
        return false;
    }
    /* Deferred work that the first look queues runs when interrupts are on again. */
    enum irql previous = irql_raise_to_dispatch();
    bool interrupts = arch_interrupts_disable();
    bool taken = registers_set_up(processor);
    arch_interrupts_restore(interrupts);
    irql_lower(previous);
    if (!taken) {
        *why = "the hypervisor did not take the SynIC's registers";
        hv_synic_stop(processor);
    }
    return taken;
}

void hv_synic_stop(struct hv_processor *processor)
{
    if (processor->messages == NULL) {
        return;
    }
    bool interrupts = arch_interrupts_disable();
    registers_tear_down(processor);
    arch_interrupts_restore(interrupts);
    arch_synic_interrupt_detach(synic.vmbus_vector);
    (void)deferred_work_cancel(&synic.deliver);
    while (hv_message_queue_front(&synic.queue) != NULL) {
        hv_message_queue_release(&synic.queue);
        hv_count(&hv_counters.messages_dropped);
    }
    pages_release(processor);
}

bool hv_synic_timer_start(struct hv_processor *processor, void (*expired)(void))
{
    synic.timer_expired = expired;
    synic.timer_vector = arch_synic_interrupt_attach(timer_interrupt, processor);
    if (synic.timer_vector == 0) {
        return false;
    }
    bool interrupts = arch_interrupts_disable();
    bool taken = sint_unmask(HV_SYNIC_SINT_TIMER, synic.timer_vector);
    arch_interrupts_restore(interrupts);
    if (!taken) {
        hv_synic_timer_stop(processor);
    }
    return taken;
}

void hv_synic_timer_stop(struct hv_processor *processor)
{
    bool interrupts = arch_interrupts_disable();
    sint_mask(HV_SYNIC_SINT_TIMER);
    slot_discard(&processor->messages->slots[HV_SYNIC_SINT_TIMER]);
    arch_interrupts_restore(interrupts);
    arch_synic_interrupt_detach(synic.timer_vector);
}

bool hv_synic_available(void)
{
    return hv_this_processor()->messages != NULL;
}

bool hv_synic_attach(const struct hv_synic_client *client)
{
    ASSERT(irql_current() == IRQL_PASSIVE);
    const struct hv_synic_client *none = NULL;
    return hv_synic_available() &&
           atomic_compare_exchange_strong_explicit(&synic.client, &none, client,
                                                   memory_order_release, memory_order_relaxed);
}

/*
 * Callbacks run in interrupt handlers and in deferred work, both of which come to their end before
 * this level runs again: nothing can be halfway through one.
 */
void hv_synic_detach(const struct hv_synic_client *client)
{
    ASSERT(irql_current() == IRQL_PASSIVE);
    const struct hv_synic_client *attached = client;
    (void)atomic_compare_exchange_strong_explicit(&synic.client, &attached, NULL,
                                                  memory_order_acq_rel, memory_order_relaxed);
}
