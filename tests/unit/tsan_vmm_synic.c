/* SPDX-License-Identifier: MIT */
/*
 * The VMM's end of a SynIC against the guest's (hv/message_slot.h), a thread each, under the thread
 * sanitizer: messages arrive once and in order, no event is lost, and neither end is left asleep.
 * An eventfd stands for each of KVM's two: the interrupt, and the guest's end of message.
 */
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "hv/message_slot.h"
#include "tests/vmm/synic.h"

#define MESSAGES     100000u
#define EVENTS       100000u
#define FLAG         77u
#define ASLEEP       5000 /* ms: then an end is left asleep, however busy this machine is */
#define MESSAGE_PAGE 0x1000u
#define EVENT_PAGE   0x2000u

static struct guest_memory memory;
static struct synic synic;
static _Atomic uint32_t events_made;

/* ---- what synic.c is linked with ---- */

bool source_watch(struct source *source, int file, enum irql level, void (*run)(void *context),
                  void *context)
{
    (void)level, (void)run, (void)context;
    source->file = file;
    return true;
}

/* The file is looked at by whoever waits, as epoll would. */
void source_rearm(struct source *source)
{
    (void)source;
}

_Noreturn void die(const char *format, ...)
{
    (void)fprintf(stderr, "%s\n", format);
    abort();
}

int kvm_must(int file, unsigned long request, void *argument, const char *what)
{
    (void)file, (void)request, (void)argument, (void)what;
    return 0;
}

static bool wait_for(int file)
{
    struct pollfd ready = {.fd = file, .events = POLLIN};
    uint64_t count;

    return poll(&ready, 1, ASLEEP) == 1 && read(file, &count, sizeof(count)) == sizeof(count);
}

/* ---- the guest ---- */

static uint32_t messages_taken;
static uint32_t events_seen;
static const char *complaint;

static void take_messages(void)
{
    struct hv_message_page *page = guest_memory_at(&memory, MESSAGE_PAGE, sizeof(*page));
    struct hv_message message;
    static const uint64_t one = 1;

    for (;;) {
        enum hv_slot_taken taken = hv_message_slot_take(&page->slots[SYNIC_SINT], &message);
        if (taken == HV_SLOT_EMPTY) {
            return;
        }
        uint32_t number;
        memcpy(&number, message.payload, sizeof(number));
        if (number != messages_taken || message.size != sizeof(number) + number % 8) {
            complaint = "a message is another one";
        }
        messages_taken++;
        /* KVM tells of an EOI too, which says nothing about the slot. */
        if (taken == HV_SLOT_TAKEN_PENDING || number % 64 == 0) {
            (void)!write(synic.acknowledged.file, &one, sizeof(one));
        }
    }
}

static void take_events(void)
{
    struct hv_event_flags_page *page = guest_memory_at(&memory, EVENT_PAGE, sizeof(*page));

    for (unsigned word = 0; word < HV_EVENT_FLAG_WORDS; word++) {
        uint64_t flags = hv_event_word_take(&page->words[SYNIC_SINT][word]);
        if (flags != 0 && (word != FLAG / 64 || flags != UINT64_C(1) << FLAG % 64)) {
            complaint = "a flag is another one";
        } else if (flags != 0) {
            events_seen = atomic_load(&events_made);
        }
    }
}

static void *guest(void *context)
{
    (void)context;
    while ((messages_taken < MESSAGES || events_seen < EVENTS) && complaint == NULL) {
        if (!wait_for(synic.interrupt)) {
            complaint = "the guest is left asleep";
        }
        take_events();
        take_messages();
    }
    return NULL;
}

/* ---- the host ---- */

static void *device(void *context)
{
    (void)context;
    for (uint32_t i = 0; i < EVENTS; i++) {
        atomic_fetch_add(&events_made, 1);
        (void)synic_event(&synic, FLAG);
    }
    return NULL;
}

static const char *post_all(void)
{
    uint8_t payload[16] = {0};

    for (uint32_t number = 0; number < MESSAGES;) {
        memcpy(payload, &number, sizeof(number));
        switch (synic_post(&synic, payload, (uint32_t)sizeof(number) + number % 8)) {
        case SYNIC_POSTED:
            number++;
            break;
        case SYNIC_BUSY:
            if (!wait_for(synic.acknowledged.file)) {
                return "the host is left asleep";
            }
            break;
        case SYNIC_OFF:
            return "it is off";
        }
    }
    return NULL;
}

static void nothing_is_lost_and_nobody_left_asleep(void **state)
{
    const struct kvm kvm = {0, 0};
    pthread_t threads[2];

    (void)state;
    assert_true(guest_memory_create(&memory, 1 << 20));
    synic_create(&synic, &kvm, &memory, 0, NULL, NULL);
    assert_int_equal(synic_post(&synic, "", 0), SYNIC_OFF);
    assert_false(synic_event(&synic, FLAG));
    synic_changed(&synic, HV_SCONTROL_ENABLE, MESSAGE_PAGE | HV_PAGE_REGISTER_ENABLE,
                  EVENT_PAGE | HV_PAGE_REGISTER_ENABLE);
    assert_int_equal(pthread_create(&threads[0], NULL, guest, NULL), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, device, NULL), 0);
    const char *host_complaint = post_all();
    (void)pthread_join(threads[1], NULL);
    (void)pthread_join(threads[0], NULL);
    if (host_complaint != NULL || complaint != NULL) {
        fail_msg("%s, %s; %u messages, %u events", host_complaint != NULL ? host_complaint : "",
                 complaint != NULL ? complaint : "", messages_taken, events_seen);
    }
    assert_int_equal(messages_taken, MESSAGES);
    assert_int_equal(events_seen, EVENTS);
}

/* Pages that are no memory of the guest, and registers that are not enabled, are as good as none.
 */
static void pages_that_are_not_there_are_off(void **state)
{
    static const uint64_t pages[][3] = {
        {0, MESSAGE_PAGE | 1, EVENT_PAGE | 1},
        {1, MESSAGE_PAGE, EVENT_PAGE},
        {1, 0x100000 | 1, 0x100000 | 1},
        {1, UINT64_MAX, UINT64_MAX},
        {1, 1, 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(pages) / sizeof(pages[0]); i++) {
        synic_changed(&synic, pages[i][0], pages[i][1], pages[i][2]);
        assert_int_equal(synic_post(&synic, "", 0), SYNIC_OFF);
        assert_false(synic_event(&synic, FLAG));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_lost_and_nobody_left_asleep),
        cmocka_unit_test(pages_that_are_not_there_are_off),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
