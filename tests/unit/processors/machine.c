/* SPDX-License-Identifier: MIT */
#include "tests/unit/processors/machine.h"

#include <sched.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "arch/cpu.h"
#include "hv/hypervisor.h"
#include "hv/synic.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"
#include "kernel/log.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

#define FLAG_WORDS (HV_EVENT_FLAGS_COUNT / 64)

/* Bits that one processor sets and another takes; those of `words` that are not zero in `any`. */
struct flags {
    _Atomic uint64_t any;
    _Atomic uint64_t words[FLAG_WORDS];
};

/* A message of the guest and the host's answer. */
enum post_state {
    POST_NONE,
    POST_WAITS,
    POST_ANSWERED,
};

static struct {
    bool two_threads;
    struct cpu processors[MACHINE_PROCESSORS];

    /* To the guest. */
    const struct hv_synic_client *client;
    struct work_item delivery;
    struct flags events;
    struct hv_message slot;
    atomic_bool slot_full;

    /* To the host. */
    struct flags signals; /* by channel */
    atomic_bool slot_freed;
    _Atomic enum post_state post_state;
    struct {
        uint32_t connection_id;
        uint32_t size;
        const void *payload;
        hv_status status;
    } post;
} machine;

struct vmbus_server *machine_server;

static _Thread_local struct cpu *this_cpu;
static _Thread_local bool interrupts_on;

static _Atomic uint64_t allocations;
static _Atomic uint64_t allocated;

_Noreturn void machine_fail(const char *what)
{
    (void)fprintf(stderr, "%s\n", what);
    abort();
}

/* ---- flags ---- */

static void flag_set(struct flags *flags, uint32_t number)
{
    (void)atomic_fetch_or(&flags->words[number / 64], UINT64_C(1) << number % 64);
    (void)atomic_fetch_or(&flags->any, UINT64_C(1) << number / 64);
}

static bool flags_are_set(struct flags *flags)
{
    return atomic_load_explicit(&flags->any, memory_order_relaxed) != 0;
}

static void flags_take(struct flags *flags, void (*take)(uint32_t number))
{
    uint64_t any = atomic_exchange(&flags->any, 0);

    for (; any != 0; any &= any - 1) {
        const uint32_t word = (uint32_t)__builtin_ctzll(any);
        uint64_t bits = atomic_exchange(&flags->words[word], 0);

        for (; bits != 0; bits &= bits - 1) {
            take(64 * word + (uint32_t)__builtin_ctzll(bits));
        }
    }
}

/* ---- the guest's interrupts ---- */

static void take_event(uint32_t flag)
{
    if (machine.client != NULL) {
        machine.client->event(machine.client->context, flag);
    }
}

/* As the deferred work of an interrupt. IRQL_DISPATCH. */
static void deliver_message(void *context)
{
    struct hv_message message;

    (void)context;
    if (!atomic_load_explicit(&machine.slot_full, memory_order_acquire) || machine.client == NULL) {
        return;
    }
    message = machine.slot;
    atomic_store(&machine.slot_full, false);
    atomic_store(&machine.slot_freed, true);
    machine.client->message(machine.client->context, &message);
}

static bool guest_interrupt(void)
{
    if (!flags_are_set(&machine.events) &&
        !atomic_load_explicit(&machine.slot_full, memory_order_relaxed)) {
        return false;
    }
    interrupts_on = false;
    enum irql previous = interrupt_enter();
    flags_take(&machine.events, take_event);
    if (atomic_load_explicit(&machine.slot_full, memory_order_acquire)) {
        deferred_work_queue(&machine.delivery);
    }
    if (interrupt_leave(previous)) {
        interrupt_run_deferred(previous);
    }
    interrupts_on = true;
    return true;
}

/* ---- the host's loop ---- */

static void take_signal(uint32_t channel)
{
    (void)vmbus_server_signal(machine_server, VMBUS_SERVER_CONNECTION_ID_BASE + channel, 0);
}

static void take_post(void)
{
    machine.post.status = vmbus_server_message(machine_server, machine.post.connection_id,
                                               machine.post.payload, machine.post.size);
    atomic_store(&machine.post_state, POST_ANSWERED);
}

static bool host_step(void)
{
    bool did = false;

    if (atomic_load(&machine.post_state) == POST_WAITS) {
        take_post();
        did = true;
    }
    if (atomic_exchange(&machine.slot_freed, false)) {
        vmbus_server_slot_free(machine_server);
        did = true;
    }
    if (flags_are_set(&machine.signals)) {
        flags_take(&machine.signals, take_signal);
        did = true;
    }
    return did;
}

/* ---- the processors ---- */

struct cpu *arch_this_cpu(void)
{
    return this_cpu;
}

bool arch_interrupts_disable(void)
{
    const bool were_on = interrupts_on;

    interrupts_on = false;
    return were_on;
}

void arch_interrupts_enable(void)
{
    interrupts_on = true;
    if (machine.two_threads && this_cpu == &machine.processors[MACHINE_GUEST]) {
        (void)guest_interrupt();
    }
}

void arch_interrupts_restore(bool were_enabled)
{
    if (were_enabled) {
        arch_interrupts_enable();
    }
}

static enum machine_processor here(void)
{
    return this_cpu == &machine.processors[MACHINE_HOST] ? MACHINE_HOST : MACHINE_GUEST;
}

/* What waits here waits for the other one, which has the thread meanwhile if there is only one. */
static void let_other_run(void)
{
    const enum machine_processor waiting = here();

    if (machine.two_threads) {
        (void)sched_yield();
        return;
    }
    machine_enter(waiting == MACHINE_HOST ? MACHINE_GUEST : MACHINE_HOST);
    (void)machine_step();
    machine_enter(waiting);
}

static bool interrupt(void)
{
    return here() == MACHINE_HOST ? host_step() : guest_interrupt();
}

void arch_relax(void)
{
    if (irql_current() != IRQL_PASSIVE) {
        (void)sched_yield(); /* a lock is held by the other one */
        return;
    }
    let_other_run();
    (void)interrupt();
}

void arch_wait_for_interrupt(void)
{
    arch_interrupts_enable();
    arch_relax();
}

static uint64_t read_time(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_SECOND + (uint64_t)now.tv_nsec / 100;
}

uint64_t arch_counter(void)
{
    return read_time();
}

uint64_t arch_counter_frequency(void)
{
    return CLOCK_SECOND;
}

_Noreturn void arch_exit(int status)
{
    exit(status);
}

_Noreturn void panic(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vfprintf(stderr, format, arguments);
    va_end(arguments);
    machine_fail("");
}

/* TEST_LOG=1 in the environment shows both processors' lines. */
static void print_line(const char *component, const char *format, va_list arguments)
{
    if (getenv("TEST_LOG") != NULL) {
        (void)fprintf(stderr, "%s %s: ", here() == MACHINE_HOST ? "host " : "guest", component);
        (void)vfprintf(stderr, format, arguments);
        (void)fprintf(stderr, "\n");
    }
}

void log_info(const char *component, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(component, format, arguments);
    va_end(arguments);
}

void log_warning(const char *component, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(component, format, arguments);
    va_end(arguments);
}

/* ---- memory ---- */

static void *count_allocation(void *memory)
{
    atomic_fetch_add(&allocations, memory != NULL);
    atomic_fetch_add(&allocated, memory != NULL);
    return memory;
}

static void release(void *memory)
{
    atomic_fetch_sub(&allocated, memory != NULL);
    free(memory);
}

void *memory_allocate(size_t size)
{
    return count_allocation(calloc(1, size));
}

void memory_free(void *memory)
{
    release(memory);
}

void *pages_allocate(size_t count)
{
    return count_allocation(aligned_alloc(PAGE_SIZE, count * PAGE_SIZE));
}

void *pages_allocate_zeroed(size_t count)
{
    void *pages = pages_allocate(count);

    return pages == NULL ? NULL : memset(pages, 0, count * PAGE_SIZE);
}

void pages_free(void *first, size_t count)
{
    (void)count;
    release(first);
}

uint64_t machine_allocations(void)
{
    return atomic_load(&allocations);
}

uint64_t machine_allocated(void)
{
    return atomic_load(&allocated);
}

/* ---- the server's machine ---- */

/* The guest is trusted here: its pages are those of this process. */
static void *map(void *context, const uint64_t *frames, size_t count, bool writable)
{
    (void)context;
    (void)writable;
    for (size_t i = 1; i < count; i++) {
        if (frames[i] != frames[0] + i) {
            return NULL;
        }
    }
    return page_address(frames[0]);
}

static void unmap(void *context, void *address, size_t count)
{
    (void)context;
    (void)address;
    (void)count;
}

static enum vmbus_server_posted post(void *context, uint32_t vp, uint32_t sint, const void *payload,
                                     uint32_t size)
{
    (void)context;
    (void)sint;
    if (vp != 0) {
        return VMBUS_SERVER_POST_FAILED;
    }
    if (atomic_load(&machine.slot_full)) {
        return VMBUS_SERVER_SLOT_BUSY;
    }
    machine.slot.type = HV_MESSAGE_TYPE_VMBUS;
    machine.slot.size = size;
    memcpy(machine.slot.payload, payload, size);
    atomic_store(&machine.slot_full, true);
    return VMBUS_SERVER_POSTED;
}

static bool event(void *context, uint32_t vp, uint32_t flag)
{
    (void)context;
    flag_set(&machine.events, flag);
    return vp == 0;
}

/* ---- the guest's hypervisor ---- */

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

bool hv_synic_available(void)
{
    return true;
}

bool hv_synic_attach(const struct hv_synic_client *client)
{
    machine.client = client;
    return true;
}

void hv_synic_detach(const struct hv_synic_client *client)
{
    (void)client;
    machine.client = NULL;
    (void)deferred_work_cancel(&machine.delivery);
    atomic_store(&machine.slot_full, false);
    atomic_store(&machine.slot_freed, true);
}

/* The host's thread answers; if it is this one too, at once. */
hv_status hv_post_message(uint32_t connection_id, const void *payload, uint32_t size)
{
    machine.post.connection_id = connection_id;
    machine.post.payload = payload;
    machine.post.size = size;
    atomic_store(&machine.post_state, POST_WAITS);
    while (atomic_load(&machine.post_state) != POST_ANSWERED) {
        let_other_run();
    }
    atomic_store(&machine.post_state, POST_NONE);
    return machine.post.status;
}

hv_status hv_post_message_with_retry(uint32_t connection_id, const void *payload, uint32_t size,
                                     bool connection_exists, uint64_t deadline)
{
    for (;;) {
        const hv_status status = hv_post_message(connection_id, payload, size);

        (void)connection_exists;
        if (status != HV_STATUS_INSUFFICIENT_BUFFERS || clock_now() >= deadline) {
            return status;
        }
        arch_relax();
    }
}

hv_status hv_signal_event(uint32_t connection_id)
{
    flag_set(&machine.signals, connection_id - VMBUS_SERVER_CONNECTION_ID_BASE);
    return HV_STATUS_SUCCESS;
}

/* ---- both ---- */

void machine_enter(enum machine_processor processor)
{
    this_cpu = &machine.processors[processor];
    interrupts_on = true;
}

bool machine_step(void)
{
    const bool did = interrupt();

    /* A long row of deferred work ends before all of it was done (kernel/irql.c). */
    while (deferred_work_pending(arch_this_cpu())) {
        irql_lower(irql_raise_to_dispatch());
    }
    return passive_work_run() || did;
}

void machine_settle(void)
{
    bool moved;

    do {
        moved = machine_step();
        machine_enter(MACHINE_HOST);
        moved |= machine_step();
        machine_enter(MACHINE_GUEST);
    } while (moved);
}

void machine_start(bool two_threads)
{
    static const struct clock_source source = {"monotonic clock", 1, read_time};
    static const struct vmbus_server_host host = {
        .map = map, .unmap = unmap, .post = post, .event = event};
    static const struct vmbus_server_options options;

    memset(&machine, 0, sizeof(machine));
    machine.two_threads = two_threads;
    work_item_initialise(&machine.delivery, deliver_message, NULL);
    for (size_t i = 0; i < MACHINE_PROCESSORS; i++) {
        cpu_initialise(&machine.processors[i]);
    }
    machine_enter(MACHINE_GUEST);
    if (!clock_source_is_there()) {
        clock_source_register(&source);
    }
    machine_server = vmbus_server_create(&host, &options);
    if (machine_server == NULL) {
        machine_fail("no server");
    }
}

void machine_end(void)
{
    vmbus_server_destroy(machine_server);
    machine_server = NULL;
}
