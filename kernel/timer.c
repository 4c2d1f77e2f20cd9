/* SPDX-License-Identifier: MIT */
/* Timers over one clock event device. */
#include <stddef.h>

#include "arch/cpu.h"
#include "kernel/clock.h"
#include "kernel/panic.h"
#include "kernel/work.h"

/* Choice: the processor's own timer, one of a hypervisor, two spare. */
#define DEVICES_MAXIMUM 4u

static const struct clock_event *devices[DEVICES_MAXIMUM];
static const struct clock_event *device; /* in use */

/* Earliest first, equal deadlines in the order they were armed. All below is reached with
 * interrupts off. */
static struct timer *timers;

/*
 * When the device will interrupt, UINT64_MAX: not at all. It may be sooner than the first timer:
 * cancelling one leaves the device alone, because most waits end before their limit, and writing to
 * the device may cost an exit to the hypervisor.
 */
static uint64_t interrupt_at = UINT64_MAX;

static void expire(void *context);
static struct work_item expire_work = {.run = expire};

static void arm_device(void)
{
    if (device == NULL || timers == NULL || timers->deadline >= interrupt_at) {
        return;
    }
    uint64_t now = clock_now();
    interrupt_at = timers->deadline;
    device->arm(timers->deadline > now ? timers->deadline - now : 1);
}

static void insert(struct timer *timer)
{
    struct timer **at = &timers;

    while (*at != NULL && (*at)->deadline <= timer->deadline) {
        at = &(*at)->next;
    }
    timer->next = *at;
    *at = timer;
    timer->armed = true;
}

static bool remove_timer(struct timer *timer)
{
    for (struct timer **at = &timers; *at != NULL; at = &(*at)->next) {
        if (*at == timer) {
            *at = timer->next;
            timer->next = NULL;
            timer->armed = false;
            return true;
        }
    }
    return false;
}

void timer_initialise(struct timer *timer, void (*expired)(void *context), void *context)
{
    *timer = (struct timer){.expired = expired, .context = context};
}

void timer_arm(struct timer *timer, uint64_t deadline)
{
    bool interrupts = arch_interrupts_disable();

    (void)remove_timer(timer);
    timer->deadline = deadline;
    insert(timer);
    arm_device();
    arch_interrupts_restore(interrupts);
}

bool timer_cancel(struct timer *timer)
{
    bool interrupts = arch_interrupts_disable();
    bool was_armed = remove_timer(timer);

    arch_interrupts_restore(interrupts);
    return was_armed;
}

/* IRQL_DISPATCH. */
static void expire(void *context)
{
    (void)context;
    for (;;) {
        bool interrupts = arch_interrupts_disable();
        struct timer *timer = timers;
        if (timer == NULL || timer->deadline > clock_now()) {
            arm_device();
            arch_interrupts_restore(interrupts);
            return;
        }
        timers = timer->next;
        timer->next = NULL;
        timer->armed = false;
        void (*expired)(void *argument) = timer->expired;
        void *argument = timer->context;
        arch_interrupts_restore(interrupts);
        expired(argument); /* the timer may be armed again or gone */
    }
}

void timers_interrupt(void)
{
    interrupt_at = UINT64_MAX;
    if (timers != NULL) {
        deferred_work_queue(&expire_work);
    }
}

static void use_best_device(void)
{
    bool interrupts = arch_interrupts_disable();
    const struct clock_event *best = NULL;

    for (unsigned i = 0; i < DEVICES_MAXIMUM; i++) {
        if (devices[i] != NULL && (best == NULL || devices[i]->rating > best->rating)) {
            best = devices[i];
        }
    }
    if (best != device) {
        if (device != NULL) {
            device->disarm();
        }
        device = best;
        interrupt_at = UINT64_MAX;
        arm_device();
    }
    arch_interrupts_restore(interrupts);
}

void clock_event_register(const struct clock_event *new_device)
{
    for (unsigned i = 0; i < DEVICES_MAXIMUM; i++) {
        if (devices[i] == NULL) {
            devices[i] = new_device;
            use_best_device();
            return;
        }
    }
    panic("no room for clock event device %s", new_device->name);
}

void clock_event_unregister(const struct clock_event *old_device)
{
    for (unsigned i = 0; i < DEVICES_MAXIMUM; i++) {
        if (devices[i] == old_device) {
            devices[i] = NULL;
        }
    }
    use_best_device();
}

const char *clock_event_name(void)
{
    return device == NULL ? "none" : device->name;
}

bool clock_event_is_there(void)
{
    return device != NULL;
}
