/* SPDX-License-Identifier: MIT */
/*
 * A server of the bus as a VMM has it, under a thread sanitizer: two processors of the guest that
 * send messages and signals at random, one that takes messages, and two threads that own devices.
 * Each thread is a processor of the executive. What is judged: no data is raced for, no thread
 * hangs, and in the end everything is unmapped and released.
 */
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "arch/cpu.h"
#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"
#include "vmbus/server/server.h"

#define DEVICES 4u
#define PAGES   4u
#define OPENS   1000u /* that is enough */
#define SECONDS 30u   /* it may take on a machine that is busy */

/* ---- the executive's machine, a processor a thread ---- */

static _Thread_local struct cpu this_cpu;
static atomic_int allocations;

struct cpu *arch_this_cpu(void)
{
    return &this_cpu;
}

bool arch_interrupts_disable(void)
{
    return true;
}

void arch_interrupts_restore(bool were_enabled)
{
    (void)were_enabled;
}

void arch_interrupts_enable(void)
{
}

void arch_relax(void)
{
    (void)sched_yield();
}

void log_warning(const char *component, const char *format, ...)
{
    (void)component;
    (void)format;
}

_Noreturn void panic(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    abort();
}

void *memory_allocate(size_t size)
{
    atomic_fetch_add(&allocations, 1);
    return calloc(1, size);
}

void memory_free(void *memory)
{
    if (memory != NULL) {
        atomic_fetch_sub(&allocations, 1);
    }
    free(memory);
}

/* ---- the server's machine ---- */

static struct vmbus_server *server;
static uint8_t memory[DEVICES + 1][PAGES * 4096] __attribute__((aligned(4096)));
static atomic_int maps;
static atomic_bool slot_full;
static atomic_bool end;

static void *map(void *context, const uint64_t *frames, size_t count, bool writable)
{
    (void)context;
    (void)writable;
    /* The frame numbers of this guest: ring 1 to 4, page 0 to 3. */
    if (frames[0] / 16 < 1 || frames[0] / 16 > DEVICES || frames[0] % 16 + count > PAGES) {
        return NULL;
    }
    atomic_fetch_add(&maps, 1);
    return memory[frames[0] / 16] + frames[0] % 16 * 4096;
}

static void unmap(void *context, void *address, size_t count)
{
    (void)context;
    (void)address;
    (void)count;
    atomic_fetch_sub(&maps, 1);
}

static enum vmbus_server_posted post(void *context, uint32_t vp, uint32_t sint, const void *payload,
                                     uint32_t size)
{
    (void)context;
    (void)vp;
    (void)sint;
    (void)payload;
    (void)size;
    return atomic_exchange(&slot_full, true) ? VMBUS_SERVER_SLOT_BUSY : VMBUS_SERVER_POSTED;
}

static bool event(void *context, uint32_t vp, uint32_t flag)
{
    (void)context;
    (void)flag;
    return vp == 0;
}

static void doorbell(void *context, uint32_t connection_id, bool wanted)
{
    (void)context;
    (void)connection_id;
    (void)wanted;
}

/* ---- owners: callbacks leave a note, a thread of their own reads it ---- */

struct device {
    struct vmbus_server_channel *channel; /* the thread's, but when released */
    atomic_bool opens;
    atomic_bool closes;
    atomic_bool events;
    atomic_bool released;
    uint32_t mapped; /* GPADL; 0: none */
    bool open;
    bool revoked;
};
static struct device devices[DEVICES];
static atomic_uint opened;

static void on_open(void *context, const struct vmbus_server_open *request)
{
    (void)request;
    atomic_store(&((struct device *)context)->opens, true);
}

static void on_close(void *context)
{
    atomic_store(&((struct device *)context)->closes, true);
}

static void on_event(void *context)
{
    atomic_store(&((struct device *)context)->events, true);
}

static void on_released(void *context)
{
    atomic_store(&((struct device *)context)->released, true);
}

static void offer(uint32_t number)
{
    struct device *device = &devices[number];
    const struct vmbus_server_offer offered = {.interface_type = {.data1 = 77},
                                               .interface_instance = {.data1 = number},
                                               .relid = number + 1};
    const struct vmbus_server_owner owner = {
        .open = on_open,
        .close = on_close,
        .event = on_event,
        .released = on_released,
        .context = device,
    };

    device->revoked = false;
    if (vmbus_server_offer(server, &offered, &owner, &device->channel) != VMBUS_OK) {
        abort();
    }
}

static void look_at_ring(struct device *device)
{
    struct ring_reader *reader = vmbus_server_incoming(device->channel);
    struct ring_packet_in packet;
    uint8_t buffer[64];

    ring_reader_mask(reader);
    while (ring_reader_next(reader, buffer, sizeof(buffer), &packet) == RING_OK) {
    }
    (void)ring_reader_publish(reader);
    (void)ring_reader_unmask(reader);
    vmbus_server_raise(device->channel);
}

static void answer_open(struct device *device, unsigned *seed)
{
    if (vmbus_server_map_rings(device->channel) == VMBUS_OK) {
        uint32_t status = rand_r(seed) % 4 == 0;
        device->open = vmbus_server_open_done(device->channel, status) == VMBUS_OK && status == 0;
        atomic_fetch_add(&opened, device->open);
    } else {
        (void)vmbus_server_open_done(device->channel, 1);
    }
}

static void unmap_gpadl(struct device *device)
{
    if (device->mapped != 0) {
        (void)vmbus_server_gpadl_unmap(device->channel, device->mapped);
        device->mapped = 0;
    }
}

static void work_device(uint32_t number, unsigned *seed)
{
    struct device *device = &devices[number];
    const struct vmbus_server_range *ranges;
    size_t count;

    if (device->channel == NULL) {
        if (!atomic_load(&end)) {
            offer(number);
        }
        return;
    }
    if (atomic_exchange(&device->opens, false)) {
        answer_open(device, seed);
    }
    if (device->open && atomic_exchange(&device->events, false)) {
        look_at_ring(device);
    }
    if (device->mapped == 0 && device->open &&
        vmbus_server_gpadl_map(device->channel, number + 101, true, &ranges, &count) == VMBUS_OK) {
        device->mapped = number + 101;
    } else if (rand_r(seed) % 4 == 0) {
        unmap_gpadl(device);
    }
    if (atomic_exchange(&device->closes, false)) {
        device->open = false;
        if (rand_r(seed) % 2 == 0) {
            unmap_gpadl(device);
        }
        vmbus_server_close_done(device->channel);
    }
    if (!device->revoked && (rand_r(seed) % 50 == 0 || atomic_load(&end))) {
        device->revoked = true;
        vmbus_server_revoke(device->channel);
    }
    if (device->revoked && !atomic_load(&device->opens) && !atomic_load(&device->closes)) {
        unmap_gpadl(device);
    }
    if (atomic_exchange(&device->released, false)) {
        device->channel = NULL;
        atomic_store(&device->events, false);
    }
}

static void *own(void *argument)
{
    uint32_t first = (uint32_t)(uintptr_t)argument;
    unsigned seed = first + (unsigned)time(NULL);

    cpu_initialise(&this_cpu);
    while (!atomic_load(&end) || devices[first].channel != NULL ||
           devices[first + 1].channel != NULL) {
        work_device(first, &seed);
        work_device(first + 1, &seed);
        (void)sched_yield();
    }
    return NULL;
}

/* ---- the guest ---- */

static void say(uint32_t type, uint32_t size, uint32_t a, uint32_t b, uint32_t c, uint32_t d,
                uint32_t e)
{
    uint32_t words[60] = {type, 0, a, b, c, d, e};

    (void)vmbus_server_message(server, 1, words, size);
}

static void make_gpadl(uint32_t relid, uint32_t id)
{
    uint32_t words[60] = {8, 0, relid, id, 40 | 1 << 16, PAGES * 4096, 0};

    for (uint32_t i = 0; i < PAGES; i++) {
        words[7 + 2 * i] = 16 * relid + i;
    }
    (void)vmbus_server_message(server, 1, words, 60);
}

static void pause_for(long microseconds)
{
    const struct timespec time = {.tv_nsec = microseconds * 1000};

    (void)nanosleep(&time, NULL);
}

static void *be_guest(void *argument)
{
    unsigned seed = (unsigned)(uintptr_t)argument + (unsigned)time(NULL);

    cpu_initialise(&this_cpu);
    while (!atomic_load(&end)) {
        uint32_t relid = 1 + (unsigned)rand_r(&seed) % DEVICES;
        switch (rand_r(&seed) % 12) {
        case 0:
            if (vmbus_server_version(server) == 0 || rand_r(&seed) % 200 == 0) {
                say(14, 40, VMBUS_VERSION_5_3, 0, 0, 0, 0);
                say(3, 8, 0, 0, 0, 0, 0);
            }
            break;
        case 1:
        case 2:
            make_gpadl(relid, relid);
            say(5, 148, relid, 9, relid, 0, 2);
            pause_for(rand_r(&seed) % 300); /* or nobody would ever have answered */
            break;
        case 3:
            make_gpadl(relid, relid + 100);
            break;
        case 4:
            say(11, 16, relid, relid + 100, 0, 0, 0);
            break;
        case 5:
            say(7, 12, relid, 0, 0, 0, 0);
            say(11, 16, relid, relid, 0, 0, 0);
            break;
        case 6:
            say(13, 12, relid, 0, 0, 0, 0);
            break;
        case 7:
            if (rand_r(&seed) % 100 == 0) {
                say(16, 8, 0, 0, 0, 0, 0);
            }
            break;
        default:
            (void)vmbus_server_signal(server, 0x2000 + relid, 0);
            break;
        }
    }
    return NULL;
}

static void *take_messages(void *argument)
{
    (void)argument;
    cpu_initialise(&this_cpu);
    while (!atomic_load(&end)) {
        if (atomic_exchange(&slot_full, false)) {
            vmbus_server_slot_free(server);
        }
        (void)sched_yield();
    }
    return NULL;
}

static void threads_of_a_vmm_do_not_get_in_each_others_way(void **state)
{
    const struct vmbus_server_host host = {
        .map = map, .unmap = unmap, .post = post, .event = event, .doorbell = doorbell};
    const struct vmbus_server_options options = {0};
    pthread_t threads[5];
    struct vmbus_server_statistics counts;

    (void)state;
    cpu_initialise(&this_cpu);
    server = vmbus_server_create(&host, &options);
    assert_non_null(server);
    for (uint32_t i = 0; i < DEVICES; i++) {
        offer(i);
    }
    assert_int_equal(pthread_create(&threads[0], NULL, be_guest, (void *)(uintptr_t)1), 0);
    assert_int_equal(pthread_create(&threads[1], NULL, be_guest, (void *)(uintptr_t)2), 0);
    assert_int_equal(pthread_create(&threads[2], NULL, take_messages, NULL), 0);
    assert_int_equal(pthread_create(&threads[3], NULL, own, (void *)(uintptr_t)0), 0);
    assert_int_equal(pthread_create(&threads[4], NULL, own, (void *)(uintptr_t)2), 0);
    for (time_t start = time(NULL);
         atomic_load(&opened) < OPENS && time(NULL) - start < (time_t)SECONDS;) {
        pause_for(10000);
    }
    atomic_store(&end, true);
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    vmbus_server_statistics(server, &counts);
    printf("%llu messages, %llu signals, %u opens\n", (unsigned long long)counts.messages,
           (unsigned long long)counts.signals, atomic_load(&opened));
    assert_true(counts.messages > 100 && atomic_load(&opened) >= OPENS);
    vmbus_server_destroy(server);
    assert_int_equal(atomic_load(&maps), 0);
    assert_int_equal(atomic_load(&allocations), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_of_a_vmm_do_not_get_in_each_others_way)};

    return cmocka_run_group_tests_name("server under tsan", tests, NULL, NULL);
}
