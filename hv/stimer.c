/* SPDX-License-Identifier: MIT */
/*
 * Synthetic timer 0 of this processor as the kernel's alarm (TLFS, Timers, "Synthetic Timers"): one
 * shot, at an absolute reference time. In direct mode it raises an interrupt, else it sends a
 * message to a SINT of its own.
 */
#include "kernel/clock.h"

#include "arch/hypervisor.h"
#include "hv/parts.h"
#include "kernel/log.h"

#define STIMER_CONFIG HV_REGISTER_STIMER0_CONFIG
#define STIMER_COUNT  ((enum hv_register)(HV_REGISTER_STIMER0_CONFIG + 1))

/* Direct mode is the cheapest alarm of a hypervisor; a message costs a slot, an interrupt and often
 * an exit more. */
#define RATING_DIRECT  300u
#define RATING_MESSAGE 150u

/*
 * Choice of ours: longer delays end early and the kernel arms again. Keeps the hypervisor's own
 * arithmetic, KVM counts in nanoseconds of 63 bits, far from its limits.
 */
#define DELAY_LONGEST (UINT64_C(3600) * CLOCK_SECOND)

static enum { STIMER_OFF, STIMER_DIRECT, STIMER_MESSAGE } mode;
static uint32_t direct_vector;

/*
 * Auto-enable lets the write of the count start the timer, so the configuration of a timer that
 * runs is never touched. A time that has passed already expires at once.
 */
static void arm(uint64_t delay)
{
    uint64_t capped = delay < DELAY_LONGEST ? delay : DELAY_LONGEST;
    arch_hv_register_write(STIMER_COUNT, hv_reference_time() + capped);
}

static void disarm(void)
{
    arch_hv_register_write(STIMER_COUNT, 0);
}

static const struct clock_event direct_event = {
    .name = "Hyper-V synthetic timer, direct",
    .rating = RATING_DIRECT,
    .arm = arm,
    .disarm = disarm,
};

static const struct clock_event message_event = {
    .name = "Hyper-V synthetic timer, by message",
    .rating = RATING_MESSAGE,
    .arm = arm,
    .disarm = disarm,
};

static void direct_interrupt(void *context)
{
    (void)context;
    timers_interrupt();
}

void hv_stimer_start(struct hv_processor *processor)
{
    if (!hv_has_privilege(HV_PRIVILEGE_STIMER) || !hv_reference_time_available()) {
        return;
    }
    uint64_t config = HV_STIMER_AUTO_ENABLE;
    if (hv_has_feature(HV_FEATURE_DIRECT_STIMER)) {
        direct_vector = arch_synic_interrupt_attach(direct_interrupt, NULL);
        mode = direct_vector != 0 ? STIMER_DIRECT : STIMER_OFF;
        config |= HV_STIMER_DIRECT | ((uint64_t)direct_vector << HV_STIMER_VECTOR_SHIFT);
    } else {
        mode = hv_synic_timer_start(processor, timers_interrupt) ? STIMER_MESSAGE : STIMER_OFF;
        config |= (uint64_t)HV_SYNIC_SINT_TIMER << HV_STIMER_SINT_SHIFT;
    }
    if (mode == STIMER_OFF) {
        log_warning("hv", "no interrupt for the synthetic timer: not used");
        return;
    }
    arch_hv_register_write(STIMER_CONFIG, config);
    clock_event_register(mode == STIMER_DIRECT ? &direct_event : &message_event);
}

void hv_stimer_stop(struct hv_processor *processor)
{
    if (mode == STIMER_OFF) {
        return;
    }
    /* The kernel disarms the timer first, if it was in use. */
    clock_event_unregister(mode == STIMER_DIRECT ? &direct_event : &message_event);
    arch_hv_register_write(STIMER_CONFIG, 0);
    if (mode == STIMER_DIRECT) {
        arch_synic_interrupt_detach(direct_vector);
    } else {
        hv_synic_timer_stop(processor);
    }
    mode = STIMER_OFF;
}
