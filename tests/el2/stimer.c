/* SPDX-License-Identifier: MIT */
#include "tests/el2/stimer.h"

#include <stdatomic.h>

#include "arch/aarch64/hypervisor_abi.h"
#include "hv/tlfs.h"
#include "kernel/clock.h"
#include "kernel/work.h"
#include "tests/el2/configuration.h"
#include "tests/el2/gic.h"
#include "tests/el2/lock.h"
#include "tests/el2/machine.h"
#include "tests/el2/processor.h"
#include "tests/el2/synic.h"
#include "tests/host/machine.h"

/* Bits of the configuration that hv/tlfs.h has no use for. */
#define STIMER_ENABLE UINT64_C(1)
#define STIMER_BITS                                                                                \
    (STIMER_ENABLE | HV_STIMER_AUTO_ENABLE | UINT64_C(0xFF) << HV_STIMER_VECTOR_SHIFT |            \
     HV_STIMER_DIRECT | UINT64_C(0xF) << HV_STIMER_SINT_SHIFT)

/* Choice: a message finds its slot free after so long, or is tried again. */
#define SLOT_RETRY CLOCK_MILLISECOND

/* What the guest writes to the timer's count, and what a message has of it. */
struct expired_message {
    uint32_t index;
    uint32_t reserved;
    uint64_t expiration; /* reference time, 100 ns */
    uint64_t delivery;
};
_Static_assert(sizeof(struct expired_message) == 24, "payload of HvMessageTypeTimerExpired");

struct stimer {
    struct machine_lock lock;
    uint64_t config;
    uint64_t count;
    struct timer timer; /* the executive's own from here on */
    uint32_t vp;
    uint32_t index;
};

static struct stimer stimers[PROCESSORS_LIMIT][HV_STIMER_COUNT];
static struct work_item work;
static atomic_bool written;

/* ---- the guest's side ---- */

bool stimer_has_register(uint32_t name)
{
    return configuration()->timers != TIMERS_NONE && name >= HV_ARM64_STIMER0_CONFIG &&
           name < HV_ARM64_STIMER0_CONFIG + 2 * HV_STIMER_COUNT;
}

static struct stimer *stimer_of(uint32_t vp, uint32_t name)
{
    return &stimers[vp][(name - HV_ARM64_STIMER0_CONFIG) / 2];
}

static bool is_count(uint32_t name)
{
    return (name - HV_ARM64_STIMER0_CONFIG) % 2 == 1;
}

hv_status stimer_register_get(uint32_t vp, uint32_t name, uint64_t *value)
{
    struct stimer *stimer = stimer_of(vp, name);

    machine_lock(&stimer->lock);
    *value = is_count(name) ? stimer->count : stimer->config;
    machine_unlock(&stimer->lock);
    return HV_STATUS_SUCCESS;
}

static uint32_t vector_of(uint64_t config)
{
    return (uint32_t)(config >> HV_STIMER_VECTOR_SHIFT & 0xFF);
}

static uint32_t sint_of(uint64_t config)
{
    return (uint32_t)(config >> HV_STIMER_SINT_SHIFT & 0xF);
}

static bool config_is_valid(uint64_t config)
{
    if ((config & ~STIMER_BITS) != 0) {
        return false;
    }
    if ((config & HV_STIMER_DIRECT) != 0) {
        const uint32_t vector = vector_of(config);
        return configuration()->timers == TIMERS_DIRECT && vector >= GIC_PRIVATE_BEGIN &&
               vector < GIC_PRIVATE_END;
    }
    return true;
}

/* A timer that would send to source 0 is turned off at once (TLFS). */
static uint64_t config_taken(uint64_t config)
{
    const bool nowhere = (config & HV_STIMER_DIRECT) == 0 && sint_of(config) == 0;

    return nowhere ? config & ~STIMER_ENABLE : config;
}

hv_status stimer_register_set(uint32_t vp, uint32_t name, uint64_t value)
{
    struct stimer *stimer = stimer_of(vp, name);

    if (!is_count(name) && !config_is_valid(value)) {
        return HV_STATUS_INVALID_PARAMETER;
    }
    machine_lock(&stimer->lock);
    if (!is_count(name)) {
        stimer->config = config_taken(value);
    } else {
        stimer->count = value;
        if (value == 0) {
            stimer->config &= ~STIMER_ENABLE;
        } else if ((stimer->config & HV_STIMER_AUTO_ENABLE) != 0) {
            stimer->config |= STIMER_ENABLE;
        }
    }
    machine_unlock(&stimer->lock);
    atomic_store_explicit(&written, true, memory_order_release);
    processors_notify_host();
    return HV_STATUS_SUCCESS;
}

bool stimers_are_written(void)
{
    return atomic_load_explicit(&written, memory_order_acquire);
}

/* ---- the executive's side ---- */

/* Reference time and the executive's time run alike, from different origins. */
static uint64_t deadline_of(uint64_t count)
{
    const uint64_t now = machine_reference_time();

    return count <= now ? clock_now() : clock_after(count - now);
}

/* Takes a copy; false: it is not to expire. */
static bool is_due(struct stimer *stimer, uint64_t *config, uint64_t *count)
{
    machine_lock(&stimer->lock);
    *config = stimer->config;
    *count = stimer->count;
    machine_unlock(&stimer->lock);
    return (*config & STIMER_ENABLE) != 0 && *count != 0;
}

/* It expired as it was when it was looked at, unless the guest has written to it since. */
static void turn_off(struct stimer *stimer, uint64_t count)
{
    machine_lock(&stimer->lock);
    if (stimer->count == count) {
        stimer->config &= ~STIMER_ENABLE;
    }
    machine_unlock(&stimer->lock);
}

static void expired(void *context)
{
    struct stimer *stimer = context;
    uint64_t config;
    uint64_t count;

    if (!is_due(stimer, &config, &count)) {
        return;
    }
    if (count > machine_reference_time()) {
        timer_arm(&stimer->timer, deadline_of(count)); /* written while this was on its way */
        return;
    }
    if ((config & HV_STIMER_DIRECT) != 0) {
        gic_raise(stimer->vp, vector_of(config));
    } else {
        const struct expired_message message = {
            .index = stimer->index,
            .expiration = count,
            .delivery = machine_reference_time(),
        };
        if (synic_post(stimer->vp, sint_of(config), HV_MESSAGE_TYPE_TIMER_EXPIRED, &message,
                       sizeof(message)) == SYNIC_SLOT_BUSY) {
            timer_arm(&stimer->timer, clock_after(SLOT_RETRY));
            return;
        }
    }
    turn_off(stimer, count);
}

static void take_up(void *context)
{
    uint64_t config;
    uint64_t count;

    (void)context;
    for (uint32_t vp = 0; vp < configuration()->processors; vp++) {
        for (uint32_t index = 0; index < HV_STIMER_COUNT; index++) {
            struct stimer *stimer = &stimers[vp][index];
            if (is_due(stimer, &config, &count)) {
                timer_arm(&stimer->timer, deadline_of(count));
            } else {
                (void)timer_cancel(&stimer->timer);
            }
        }
    }
}

void stimers_interrupt(void)
{
    if (atomic_exchange_explicit(&written, false, memory_order_acq_rel)) {
        deferred_work_queue(&work);
    }
}

void stimers_start(void)
{
    work_item_initialise(&work, take_up, NULL);
    for (uint32_t vp = 0; vp < PROCESSORS_LIMIT; vp++) {
        for (uint32_t index = 0; index < HV_STIMER_COUNT; index++) {
            struct stimer *stimer = &stimers[vp][index];
            stimer->vp = vp;
            stimer->index = index;
            timer_initialise(&stimer->timer, expired, stimer);
        }
    }
}
