/* SPDX-License-Identifier: MIT */
#include "tests/vmm/executive.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "arch/cpu.h"
#include "arch/hypervisor.h"
#include "hv/hypercall.h"
#include "kernel/clock.h"
#include "kernel/cpu.h"

#define NANOSECONDS_A_TICK   100 /* of kernel time */
#define NANOSECONDS_A_SECOND 1000000000

static struct cpu cpu;
static bool interrupts_on;
static int epoll = -1;

/* ---- messages ---- */

static void print_line(const char *format, va_list arguments)
{
    char line[512];

    (void)vsnprintf(line, sizeof(line), format, arguments);
    (void)fprintf(stderr, VMM_NAME ": %s\n", line);
}

void say(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
}

void die(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(format, arguments);
    va_end(arguments);
    _exit(EXIT_FAILURE << 1); /* even: no status of a guest */
}

/* ---- the clock ---- */

static uint64_t monotonic_read(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * CLOCK_SECOND + (uint64_t)now.tv_nsec / NANOSECONDS_A_TICK;
}

static const struct clock_source monotonic = {"Linux' monotonic clock", 1, monotonic_read};

static struct source timer;

static void timer_set(uint64_t nanoseconds)
{
    struct itimerspec when = {.it_value = {
                                  .tv_sec = (time_t)(nanoseconds / NANOSECONDS_A_SECOND),
                                  .tv_nsec = (long)(nanoseconds % NANOSECONDS_A_SECOND),
                              }};

    if (timerfd_settime(timer.file, 0, &when, NULL) != 0) {
        die("the executive's timer: %s", strerror(errno));
    }
}

static void timer_arm_for(uint64_t delay)
{
    /* Zero would turn it off; a century is as good as any longer time. */
    uint64_t most = UINT64_C(100) * 366 * 24 * 3600 * CLOCK_SECOND;

    timer_set((delay == 0 ? 1 : delay < most ? delay : most) * NANOSECONDS_A_TICK);
}

static void timer_disarm(void)
{
    timer_set(0);
}

static const struct clock_event timer_device = {"timerfd", 1, timer_arm_for, timer_disarm};

/* ---- interrupts ---- */

static bool watch(struct source *source, int file, enum irql level, void (*run)(void *context),
                  void *context, bool counts)
{
    struct epoll_event event = {.events = counts ? EPOLLIN : EPOLLIN | EPOLLONESHOT,
                                .data.ptr = source};

    source->file = file;
    source->counts = counts;
    source->level = level;
    work_item_initialise(&source->work, run, context);
    return epoll_ctl(epoll, EPOLL_CTL_ADD, file, &event) == 0;
}

bool source_create(struct source *source, enum irql level, void (*run)(void *context),
                   void *context)
{
    int file = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

    if (file < 0) {
        return false;
    }
    if (!watch(source, file, level, run, context, true)) {
        int error = errno;
        (void)close(file);
        errno = error;
        return false;
    }
    return true;
}

bool source_watch(struct source *source, int file, enum irql level, void (*run)(void *context),
                  void *context)
{
    return watch(source, file, level, run, context, false);
}

void source_raise(const struct source *source)
{
    static const uint64_t one = 1;

    /* It fails only if the count is at its maximum, and then the file is ready anyway. */
    (void)!write(source->file, &one, sizeof(one));
}

void source_rearm(struct source *source)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = source};

    if (epoll_ctl(epoll, EPOLL_CTL_MOD, source->file, &event) != 0) {
        die("a source cannot be armed again: %s", strerror(errno));
    }
}

void source_remove(struct source *source)
{
    (void)epoll_ctl(epoll, EPOLL_CTL_DEL, source->file, NULL);
    if (source->level == IRQL_PASSIVE) {
        (void)passive_work_cancel(&source->work);
    } else {
        (void)deferred_work_cancel(&source->work);
    }
    if (source->counts) {
        (void)close(source->file);
    }
    source->file = -1;
}

/* IRQL_DEVICE. */
static void interrupt(struct source *source)
{
    uint64_t count;

    if (source->counts && read(source->file, &count, sizeof(count)) != sizeof(count)) {
        return;
    }
    if (source == &timer) {
        timers_interrupt();
    } else if (source->work.run == NULL) {
        return; /* whoever waits looks again */
    } else if (source->level == IRQL_PASSIVE) {
        passive_work_queue(&source->work);
    } else {
        deferred_work_queue(&source->work);
    }
}

/* One file at a time: work of the first might remove the second. Linux hands them out in turn. */
void arch_wait_for_interrupt(void)
{
    struct epoll_event event;
    int count;

    do {
        count = epoll_wait(epoll, &event, 1, -1);
    } while (count < 0 && errno == EINTR);
    if (count < 0) {
        die("epoll_wait: %s", strerror(errno));
    }
    enum irql previous = interrupt_enter();
    interrupt(event.data.ptr);
    if (interrupt_leave(previous)) {
        interrupt_run_deferred(previous);
    }
    interrupts_on = true;
}

/* ---- calls of other threads ---- */

struct call {
    struct call *next;
    void (*run)(void *context);
    void *context;
    sem_t done;
};

static struct source calls;
static pthread_mutex_t calls_lock = PTHREAD_MUTEX_INITIALIZER;
static struct call *calls_first;
static struct call **calls_end = &calls_first;

static struct call *take_calls(void)
{
    (void)pthread_mutex_lock(&calls_lock);
    struct call *first = calls_first;
    calls_first = NULL;
    calls_end = &calls_first;
    (void)pthread_mutex_unlock(&calls_lock);
    return first;
}

/* In the order they came. IRQL_DISPATCH. */
static void run_calls(void *context)
{
    struct call *next;

    (void)context;
    for (struct call *call = take_calls(); call != NULL; call = next) {
        next = call->next; /* the call is its caller's memory, and gone when it is done */
        call->run(call->context);
        (void)sem_post(&call->done);
    }
}

void executive_call(void (*run)(void *context), void *context)
{
    struct call call = {.run = run, .context = context};

    (void)sem_init(&call.done, 0, 0);
    (void)pthread_mutex_lock(&calls_lock);
    *calls_end = &call;
    calls_end = &call.next;
    (void)pthread_mutex_unlock(&calls_lock);
    source_raise(&calls);
    while (sem_wait(&call.done) != 0) {
    }
    (void)sem_destroy(&call.done);
    /* It was taken off the list before it was run.
     * NOLINTNEXTLINE(clang-analyzer-core.StackAddressEscape) */
}

void executive_start(void)
{
    cpu_initialise(&cpu);
    interrupts_on = true;
    epoll = epoll_create1(EPOLL_CLOEXEC);
    int file = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (epoll < 0 || file < 0 || !watch(&timer, file, IRQL_DISPATCH, NULL, NULL, true)) {
        die("the executive cannot start: %s", strerror(errno));
    }
    clock_source_register(&monotonic);
    clock_event_register(&timer_device);
    if (!source_create(&calls, IRQL_DISPATCH, run_calls, NULL)) {
        die("the executive cannot start: %s", strerror(errno));
    }
}

/* ---- what the kernel asks of a processor (arch/cpu.h) ---- */

struct cpu *arch_this_cpu(void)
{
    return &cpu;
}

bool arch_interrupts_disable(void)
{
    bool were_on = interrupts_on;

    interrupts_on = false;
    return were_on;
}

void arch_interrupts_restore(bool were_enabled)
{
    interrupts_on = were_enabled;
}

void arch_interrupts_enable(void)
{
    interrupts_on = true;
}

void arch_relax(void)
{
    (void)sched_yield();
}

uint64_t arch_counter(void)
{
    return monotonic_read();
}

uint64_t arch_counter_frequency(void)
{
    return CLOCK_SECOND;
}

/* KMCL's client role is linked along with the server's, and never used: this is no guest. */
uint64_t arch_hypercall(uint64_t control, uint64_t input, uint64_t output)
{
    (void)control;
    (void)input;
    (void)output;
    return HV_STATUS_INVALID_HYPERCALL_CODE;
}

_Noreturn void arch_exit(int status)
{
    (void)status;
    die("the executive stopped");
}

/* The kernel ends its lines as a serial console wants them. */
bool arch_console_write(const char *text, uint32_t length)
{
    while (length > 0 && (text[length - 1] == '\n' || text[length - 1] == '\r')) {
        length--;
    }
    (void)fprintf(stderr, VMM_NAME ": %.*s\n", (int)length, text);
    return true;
}
