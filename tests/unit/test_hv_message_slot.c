/* SPDX-License-Identifier: MIT */
/*
 * The protocol of a message slot against a host that moves between any two of our accesses, with
 * our store held back in a store buffer for as long as the processor may.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "hv/tlfs.h"

/* In place of hv/shared_memory.h: the same accesses, with a step of the host before each. */
#define HV_SHARED_MEMORY_H
static void before_access(void);
static uint32_t shared_load_u32_acquire(_Atomic uint32_t *word);
static uint8_t shared_load_u8(_Atomic uint8_t *byte);
static uint64_t shared_load_u64(_Atomic uint64_t *word);
static void shared_store_u32_release(_Atomic uint32_t *word, uint32_t value);
static uint64_t shared_exchange_u64(_Atomic uint64_t *word, uint64_t value);
static void shared_copy_in(void *to, const void *from, size_t size);
static void shared_full_fence(void);

#include "hv/message_slot.h"

#define MESSAGES         3u
/*
 * Exhaustive over so many accesses of ours, the first message and half of the second, which is
 * every way in which a host can meet a slot that is being released. Later ones run undisturbed.
 */
#define CHOICES_EXPLORED 9u
/* Each choice: how many steps of the host, and if a store of ours is held back whether it becomes
 * visible first. */
#define STEPS_VALUES     4u

static struct {
    struct hv_message_slot slot;

    /* Our store buffer: one store fits, and only the type is ever stored. */
    _Atomic uint32_t *stored_at;
    uint32_t stored;

    /* The host. */
    enum { HOST_LOOK, HOST_FLAG, HOST_LOOK_AGAIN, HOST_WRITE, HOST_BLOCKED } host;
    unsigned sent;
    bool interrupt;
    _Atomic uint64_t *flags_word; /* gets a flag before the access of that number */
    unsigned flags_moment;

    /* The schedule: a number for each access of ours, counted up like an odometer. */
    unsigned choices[CHOICES_EXPLORED];
    unsigned choice_values[CHOICES_EXPLORED];
    unsigned choice_count;
    unsigned choice_next;
} world;

static uint32_t size_of_message(unsigned number)
{
    return 8 + 16 * number;
}

static uint8_t byte_of_message(unsigned number)
{
    return (uint8_t)(0x51 + number);
}

static void host_write(void)
{
    struct hv_message_slot *slot = &world.slot;
    unsigned number = world.sent++;
    memset(slot->payload, byte_of_message(number), sizeof(slot->payload));
    slot->payload_size = (uint8_t)size_of_message(number);
    slot->flags = 0;
    slot->type = 100 + number;
    world.interrupt = true;
}

static void host_step(void)
{
    struct hv_message_slot *slot = &world.slot;
    if (world.sent == MESSAGES) {
        return;
    }
    switch (world.host) {
    case HOST_LOOK:
        world.host = slot->type == 0 ? HOST_WRITE : HOST_FLAG;
        break;
    case HOST_FLAG:
        slot->flags |= HV_MESSAGE_FLAG_PENDING;
        world.host = HOST_LOOK_AGAIN;
        break;
    case HOST_LOOK_AGAIN:
        world.host = slot->type == 0 ? HOST_WRITE : HOST_BLOCKED;
        break;
    case HOST_WRITE:
        host_write();
        world.host = HOST_LOOK;
        break;
    case HOST_BLOCKED:
        break;
    }
}

static void store_becomes_visible(void)
{
    if (world.stored_at != NULL) {
        *world.stored_at = world.stored;
        world.stored_at = NULL;
    }
}

static void before_access(void)
{
    if (world.flags_word != NULL && world.flags_moment-- == 0) {
        *world.flags_word |= 4;
    }
    unsigned choice = 0;
    unsigned at = world.choice_next++;
    if (at < world.choice_count) {
        choice = world.choices[at];
    } else if (at < CHOICES_EXPLORED) {
        world.choices[at] = 0;
        world.choice_count++;
    }
    if (at < CHOICES_EXPLORED) {
        world.choice_values[at] = world.stored_at != NULL ? 2 * STEPS_VALUES : STEPS_VALUES;
    }
    if (choice >= STEPS_VALUES) {
        store_becomes_visible();
    }
    for (unsigned n = 0; n < choice % STEPS_VALUES; n++) {
        host_step();
    }
}

static uint32_t shared_load_u32_acquire(_Atomic uint32_t *word)
{
    before_access();
    return world.stored_at == word ? world.stored : *word;
}

static uint8_t shared_load_u8(_Atomic uint8_t *byte)
{
    before_access();
    return *byte;
}

static uint64_t shared_load_u64(_Atomic uint64_t *word)
{
    before_access();
    return *word;
}

static void shared_store_u32_release(_Atomic uint32_t *word, uint32_t value)
{
    before_access();
    store_becomes_visible();
    world.stored_at = word;
    world.stored = value;
}

static uint64_t shared_exchange_u64(_Atomic uint64_t *word, uint64_t value)
{
    before_access();
    store_becomes_visible();
    uint64_t old = *word;
    *word = value;
    return old;
}

static void shared_copy_in(void *to, const void *from, size_t size)
{
    before_access();
    memcpy(to, from, size);
}

static void shared_full_fence(void)
{
    before_access();
    store_becomes_visible();
}

/* One run of the interrupt handler's loop. Returns how many messages have come by now. */
static unsigned guest_interrupt(unsigned received)
{
    struct hv_message message;
    for (;;) {
        enum hv_slot_taken taken = hv_message_slot_take(&world.slot, &message);
        if (taken == HV_SLOT_EMPTY) {
            return received;
        }
        assert_int_equal(message.type, 100 + received);
        assert_int_equal(message.size, size_of_message(received));
        for (unsigned n = 0; n < message.size; n++) {
            assert_int_equal(message.payload[n], byte_of_message(received));
        }
        received++;
        if (taken == HV_SLOT_TAKEN_PENDING) {
            store_becomes_visible(); /* the register's write leaves the processor behind it */
            if (world.host == HOST_BLOCKED) {
                world.host = HOST_LOOK;
            }
        }
    }
}

static void run_schedule(void)
{
    memset(&world.slot, 0, sizeof(world.slot));
    world.stored_at = NULL;
    world.host = HOST_WRITE;
    world.sent = 0;
    world.interrupt = false;
    world.choice_next = 0;
    host_step();
    unsigned received = 0;
    while (world.interrupt) {
        world.interrupt = false;
        received = guest_interrupt(received);
        store_becomes_visible();
        /* The host goes on while the guest does something else. */
        for (unsigned n = 0; n < 8; n++) {
            host_step();
        }
    }
    assert_int_equal(received, MESSAGES);
}

/* The next schedule: the last choice that can be raised is raised, what came behind it is
 * forgotten. */
static bool next_schedule(void)
{
    while (world.choice_count > 0) {
        unsigned last = world.choice_count - 1;
        if (++world.choices[last] < world.choice_values[last]) {
            return true;
        }
        world.choice_count--;
    }
    return false;
}

/* Museum M3: without a full barrier between our store and our look, a message is left behind in
 * some of them. */
static void museum_m3_every_interleaving_delivers_every_message_once_in_order(void **state)
{
    (void)state;
    unsigned long schedules = 0;
    world.choice_count = 0;
    do {
        run_schedule();
        schedules++;
    } while (next_schedule());
    assert_true(schedules > 100000);
    print_message("%lu schedules\n", schedules);
}

static struct hv_message take_alone(enum hv_slot_taken expected)
{
    struct hv_message message;
    memset(&message, 0xEE, sizeof(message));
    world.sent = MESSAGES; /* a host that does nothing */
    world.choice_count = 0;
    world.choice_next = 0;
    assert_int_equal(hv_message_slot_take(&world.slot, &message), expected);
    store_becomes_visible();
    return message;
}

static void an_empty_slot_is_left_untouched(void **state)
{
    (void)state;
    memset(&world.slot, 0, sizeof(world.slot));
    world.slot.flags = HV_MESSAGE_FLAG_PENDING;
    (void)take_alone(HV_SLOT_EMPTY);
    assert_int_equal(world.slot.flags, HV_MESSAGE_FLAG_PENDING);
}

static void a_size_beyond_the_payload_is_clamped(void **state)
{
    (void)state;
    for (unsigned size = 0; size < 256; size++) {
        memset(&world.slot, 0, sizeof(world.slot));
        memset(world.slot.payload, 0x77, sizeof(world.slot.payload));
        world.slot.type = 1;
        world.slot.payload_size = (uint8_t)size;
        struct hv_message message = take_alone(HV_SLOT_TAKEN);
        assert_int_equal(message.size, size <= 240 ? size : 240);
        for (unsigned n = 0; n < 240; n++) {
            assert_int_equal(message.payload[n], n < message.size ? 0x77 : 0xEE);
        }
    }
}

static void only_the_pending_flag_asks_for_an_end_of_message(void **state)
{
    (void)state;
    for (unsigned flags = 0; flags < 256; flags++) {
        memset(&world.slot, 0, sizeof(world.slot));
        world.slot.type = 0x80000000u;
        world.slot.flags = (uint8_t)flags;
        (void)take_alone((flags & 1) != 0 ? HV_SLOT_TAKEN_PENDING : HV_SLOT_TAKEN);
        assert_int_equal(world.slot.type, 0);
    }
}

/* Museum M5: the answer was read from the slot after the slot had been given back. */
static void museum_m5_what_was_taken_does_not_change_when_the_slot_is_reused(void **state)
{
    (void)state;
    memset(&world.slot, 0, sizeof(world.slot));
    world.slot.type = 1;
    world.slot.payload_size = 16;
    memset(world.slot.payload, 0x11, sizeof(world.slot.payload));
    struct hv_message message = take_alone(HV_SLOT_TAKEN);
    memset(world.slot.payload, 0x22, sizeof(world.slot.payload));
    world.slot.payload_size = 200;
    world.slot.type = 2;
    assert_int_equal(message.type, 1);
    assert_int_equal(message.size, 16);
    for (unsigned n = 0; n < 16; n++) {
        assert_int_equal(message.payload[n], 0x11);
    }
}

/* The host sets another flag behind our look, and one more behind our exchange. */
static void a_flag_that_is_set_while_a_word_is_taken_is_taken_or_stays(void **state)
{
    (void)state;
    static _Atomic uint64_t word;
    for (unsigned moment = 0; moment < 4; moment++) {
        word = moment % 2;
        world.flags_word = &word;
        world.flags_moment = moment / 2;
        uint64_t taken = hv_event_word_take(&word);
        world.flags_word = NULL;
        assert_int_equal(taken & word, 0);
        assert_int_equal(taken | word, moment % 2 | (moment / 2 == 0 || moment % 2 == 1 ? 4 : 0));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(museum_m3_every_interleaving_delivers_every_message_once_in_order),
        cmocka_unit_test(an_empty_slot_is_left_untouched),
        cmocka_unit_test(a_size_beyond_the_payload_is_clamped),
        cmocka_unit_test(only_the_pending_flag_asks_for_an_end_of_message),
        cmocka_unit_test(museum_m5_what_was_taken_does_not_change_when_the_slot_is_reused),
        cmocka_unit_test(a_flag_that_is_set_while_a_word_is_taken_is_taken_or_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
