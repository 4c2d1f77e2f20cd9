/* SPDX-License-Identifier: MIT */
/*
 * Brings the hypervisor's interface up before anything uses it, and takes it down after everything
 * has left.
 */
#include "hv/hypervisor.h"

#include <stdatomic.h>
#include <stddef.h>

#include "arch/cpu.h"
#include "arch/hypervisor.h"
#include "hv/discovery.h"
#include "hv/parts.h"
#include "kernel/exit.h"
#include "kernel/init.h"
#include "kernel/log.h"
#include "kernel/pages.h"

static struct arch_hypervisor words;
static enum hv_presence presence = HV_ABSENT;
static const char *reason = "the hypervisor was not looked for";
static struct hv_processor boot_processor;
struct hv_counters hv_counters;

enum hv_presence hv_presence(void)
{
    return presence;
}

const char *hv_presence_reason(void)
{
    return reason;
}

uint32_t hv_vp_index(void)
{
    return hv_this_processor()->vp_index;
}

const struct arch_hypervisor *hv_words(void)
{
    return &words;
}

struct hv_processor *hv_this_processor(void)
{
    return &boot_processor;
}

void hv_statistics(struct hv_statistics *out)
{
    *out = (struct hv_statistics){
        .messages_received = hv_counters.messages_received,
        .messages_dropped = hv_counters.messages_dropped,
        .end_of_messages = hv_counters.end_of_messages,
        .interrupts = hv_counters.interrupts,
        .posts = hv_counters.posts,
        .post_retries = hv_counters.post_retries,
        .post_failures = hv_counters.post_failures,
        .signals = hv_counters.signals,
        .signal_failures = hv_counters.signal_failures,
    };
}

bool hv_page_register_enable(enum hv_register name, const void *page)
{
    uint64_t value = arch_hv_register_read(name) & HV_PAGE_REGISTER_RESERVED;
    value |= (page_frame_of(page) << PAGE_SHIFT) | HV_PAGE_REGISTER_ENABLE;
    arch_hv_register_write(name, value);
    if (arch_hv_register_read(name) == value) {
        return true;
    }
    arch_hv_register_write(name, value & ~HV_PAGE_REGISTER_ENABLE);
    return false;
}

bool hv_page_register_disable(enum hv_register name)
{
    uint64_t value = arch_hv_register_read(name);
    if ((value & HV_PAGE_REGISTER_ENABLE) == 0) {
        return false;
    }
    arch_hv_register_write(name, value & ~HV_PAGE_REGISTER_ENABLE);
    return true;
}

/* ---- what somebody else left behind ---- */

static unsigned stimers_clear(void)
{
    unsigned found = 0;
    for (uint32_t n = 0; n < HV_STIMER_COUNT; n++) {
        enum hv_register config = (enum hv_register)(HV_REGISTER_STIMER0_CONFIG + 2 * n);
        if (arch_hv_register_read(config) != 0) {
            found++;
            arch_hv_register_write((enum hv_register)(config + 1), 0);
            arch_hv_register_write(config, 0);
        }
    }
    return found;
}

static unsigned synic_clear(void)
{
    unsigned found = 0;
    for (uint32_t sint = 0; sint < HV_SINT_COUNT; sint++) {
        enum hv_register name = (enum hv_register)(HV_REGISTER_SINT0 + sint);
        if ((arch_hv_register_read(name) & HV_SINT_MASKED) == 0) {
            found++;
            arch_hv_register_write(name, HV_SINT_MASKED);
        }
    }
    found += hv_page_register_disable(HV_REGISTER_SIMP);
    found += hv_page_register_disable(HV_REGISTER_SIEFP);
    return found;
}

/*
 * Firmware or a boot loader may have used the interface before us. Its pages lie over memory that
 * is ours now, its timers write into it, and its interrupts would come to vectors that mean
 * something else here. Only registers that discovery announces are touched; most of them are only
 * a guest's that said who it is (TLFS, HvCallGetVpRegisters).
 */
static void leftovers_clear(void)
{
    unsigned found = 0;
    bool interrupts = arch_interrupts_disable();
    uint64_t other = arch_hv_register_read(HV_REGISTER_GUEST_OS_ID);
    if (other == 0) {
        arch_hv_register_write(HV_REGISTER_GUEST_OS_ID, HV_GUEST_OS_ID);
    } else {
        log_info("hv", "guest OS id 0x%016llx was there before", (unsigned long long)other);
    }
    if (hv_has_privilege(HV_PRIVILEGE_SYNIC | HV_PRIVILEGE_STIMER)) {
        found += stimers_clear();
    }
    if (hv_has_privilege(HV_PRIVILEGE_SYNIC)) {
        found += synic_clear();
    }
    if (hv_has_privilege(HV_PRIVILEGE_REFERENCE_TSC)) {
        found += hv_page_register_disable(HV_REGISTER_REFERENCE_TSC);
    }
    if (hv_has_privilege(HV_PRIVILEGE_APIC_ASSIST)) {
        found += hv_page_register_disable(HV_REGISTER_VP_ASSIST_PAGE);
    }
    arch_hypercall_disable();
    arch_interrupts_restore(interrupts);
    if (found != 0) {
        log_info("hv", "cleared %u registers that somebody left in use", found);
    }
}

/*
 * Before any memory is used, so that nothing is put under such a page. Where only ACPI's tables
 * tell of the hypervisor, which have to be mapped, it has to do that hv_start() looks again.
 */
void hv_look(void)
{
    arch_hypervisor_read(&words);
    presence = hv_discover(&words, &reason);
    if (presence == HV_PRESENT || presence == HV_WITHOUT_SYNIC) {
        leftovers_clear();
    }
}

INIT_ENTRY(INIT_BEFORE_MEMORY, hv_look);

/* ---- start and stop ---- */

static void hypercalls_stop(void)
{
    hv_hypercalls_stop(&boot_processor);
    arch_hypercall_disable();
    /* Last: without an identity there is no interface. */
    arch_hv_register_write(HV_REGISTER_GUEST_OS_ID, 0);
}

static bool hypercalls_start(const char **why)
{
    arch_hv_register_write(HV_REGISTER_GUEST_OS_ID, HV_GUEST_OS_ID);
    if (!arch_hypercall_enable(why)) {
        arch_hv_register_write(HV_REGISTER_GUEST_OS_ID, 0);
        return false;
    }
    if (!hv_hypercalls_start(&boot_processor)) {
        *why = "no memory for the input of hypercalls";
        hypercalls_stop();
        return false;
    }
    return true;
}

/*
 * An exit hook, registered before those of the layers above and so run after them. Everything the
 * hypervisor lays over our memory is taken back: whatever runs next must find plain memory.
 */
void hv_stop(void)
{
    hv_stimer_stop(&boot_processor);
    hv_synic_stop(&boot_processor);
    hv_clocks_stop();
    hypercalls_stop();
    presence = HV_ABSENT;
    reason = "the hypervisor's interface was left";
}

static struct exit_hook exit_hook = {.leave = hv_stop};

void hv_start(void)
{
    if (presence == HV_ABSENT) {
        hv_look();
    }
    if (presence == HV_ABSENT || presence == HV_REFUSED) {
        log_info("hv", "%s: going on without", reason);
        return;
    }
    if (!hypercalls_start(&reason)) {
        presence = HV_REFUSED;
        log_warning("hv", "%s: going on without", reason);
        return;
    }
    exit_hook_register(&exit_hook);
    boot_processor.vp_index = (uint32_t)arch_hv_register_read(HV_REGISTER_VP_INDEX);
    hv_clocks_start();
    hv_crash_start();
    if (presence == HV_PRESENT && !hv_synic_start(&boot_processor, &reason)) {
        presence = HV_WITHOUT_SYNIC;
    }
    if (presence == HV_PRESENT) {
        hv_stimer_start(&boot_processor);
    } else {
        log_warning("hv", "%s: going on without VMBus", reason);
    }
}

INIT_ENTRY(INIT_HYPERVISOR, hv_start);
