/* SPDX-License-Identifier: MIT */
/*
 * Reference time: 100 ns units since the partition was created, from the reference TSC page
 * where there is one, else from the counter register, which costs an exit a read.
 */
#include "kernel/clock.h"

#include <stdatomic.h>
#include <stddef.h>

#include "arch/hypervisor.h"
#include "arch/timer.h"
#include "hv/parts.h"
#include "hv/reference_page.h"
#include "kernel/log.h"
#include "kernel/pages.h"

/* The page is better than any clock of a processor; the register, which costs an exit, than one
 * whose frequency may have to be measured (x86-64), not than one that tells it (ARM64). */
#define RATING_REFERENCE_PAGE    300u
#define RATING_REFERENCE_COUNTER 250u

/* Choice of ours: a counter of 100 ns units that does not move in this many reads, each of them an
 * exit, is broken. */
#define SELF_TEST_READS 1000u

static struct hv_reference_tsc_page *_Atomic reference_page;
static atomic_bool reference_counter;

static uint64_t counter_read(void)
{
    return arch_hv_register_read(HV_REGISTER_TIME_REF_COUNT);
}

bool hv_reference_time_available(void)
{
    return atomic_load_explicit(&reference_counter, memory_order_relaxed);
}

uint64_t hv_reference_time(void)
{
    struct hv_reference_tsc_page *page =
        atomic_load_explicit(&reference_page, memory_order_acquire);
    uint64_t time;
    if (page != NULL && hv_reference_page_read(page, &time)) {
        return time;
    }
    return counter_read();
}

static const struct clock_source page_source = {
    .name = "Hyper-V reference TSC page",
    .rating = RATING_REFERENCE_PAGE,
    .read = hv_reference_time,
};

static const struct clock_source counter_source = {
    .name = "Hyper-V reference counter",
    .rating = RATING_REFERENCE_COUNTER,
    .read = counter_read,
};

static bool counter_runs(void)
{
    uint64_t first = counter_read();
    for (unsigned n = 0; n < SELF_TEST_READS; n++) {
        uint64_t next = counter_read();
        if (next != first) {
            return next > first;
        }
    }
    return false;
}

static void page_start(void)
{
    struct hv_reference_tsc_page *page = pages_allocate_zeroed(1);
    if (page == NULL) {
        log_warning("hv", "no memory for the reference TSC page");
        return;
    }
    if (!hv_page_register_enable(HV_REGISTER_REFERENCE_TSC, page)) {
        log_warning("hv", "the hypervisor did not take the reference TSC page");
        pages_free(page, 1);
        return;
    }
    atomic_store_explicit(&reference_page, page, memory_order_release);
    clock_source_register(&page_source);
}

/* Saves the processor's own clock and timer from being measured. */
static void frequencies_hand_on(void)
{
    if (hv_has_privilege(HV_PRIVILEGE_FREQUENCIES) && hv_has_feature(HV_FEATURE_FREQUENCIES)) {
        arch_timer_frequencies(arch_hv_register_read(HV_REGISTER_TSC_FREQUENCY),
                               arch_hv_register_read(HV_REGISTER_APIC_FREQUENCY));
    }
}

void hv_clocks_start(void)
{
    frequencies_hand_on();
    /* The page may become invalid at any time, so it is of use only where the counter is. */
    if (!hv_has_privilege(HV_PRIVILEGE_TIME_REF_COUNT)) {
        return;
    }
    if (!counter_runs()) {
        log_warning("hv", "the reference counter stands still: not used");
        return;
    }
    atomic_store_explicit(&reference_counter, true, memory_order_relaxed);
    clock_source_register(&counter_source);
    clock_shared_with_host_register(hv_reference_time);
    if (hv_has_privilege(HV_PRIVILEGE_REFERENCE_TSC)) {
        page_start();
    }
}

void hv_clocks_stop(void)
{
    struct hv_reference_tsc_page *page =
        atomic_load_explicit(&reference_page, memory_order_relaxed);
    if (page != NULL) {
        clock_source_unregister(&page_source);
        atomic_store_explicit(&reference_page, NULL, memory_order_relaxed);
        (void)hv_page_register_disable(HV_REGISTER_REFERENCE_TSC);
        pages_free(page, 1);
    }
    clock_shared_with_host_register(NULL);
    clock_source_unregister(&counter_source);
    atomic_store_explicit(&reference_counter, false, memory_order_relaxed);
}
