/* SPDX-License-Identifier: MIT */
/*
 * Tells the host that this guest panicked (TLFS, Partition Properties, "Guest Crash
 * Enlightenment").
 */
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "arch/hypervisor.h"
#include "hv/parts.h"
#include "kernel/pages.h"
#include "kernel/panic.h"

/* Our own code in the first parameter where no text can be passed: a panic is the only crash there
 * is. */
#define CRASH_CODE_PANIC UINT64_C(1)

/* A page of its own, there from the start: a panic must not allocate. */
static alignas(PAGE_SIZE) char crash_text[PAGE_SIZE];
static uint64_t supported;
static atomic_flag reported;

static void report_text(const char *message, size_t length)
{
    memcpy(crash_text, message, length);
    arch_hv_register_write(HV_REGISTER_CRASH_P0, 0);
    arch_hv_register_write(HV_REGISTER_CRASH_P1, 0);
    arch_hv_register_write(HV_REGISTER_CRASH_P2, 0);
    arch_hv_register_write(HV_REGISTER_CRASH_P3, page_frame_of(crash_text) << PAGE_SHIFT);
    arch_hv_register_write(HV_REGISTER_CRASH_P4, length);
}

/* A host that takes no text (KVM) shows the parameters: they carry its first 24 bytes. */
static void report_parameters(const char *message, size_t length)
{
    uint64_t text[3] = {0};
    memcpy(text, message, length < sizeof(text) ? length : sizeof(text));
    arch_hv_register_write(HV_REGISTER_CRASH_P0, CRASH_CODE_PANIC);
    arch_hv_register_write(HV_REGISTER_CRASH_P1, HV_GUEST_OS_ID);
    arch_hv_register_write(HV_REGISTER_CRASH_P2, text[0]);
    arch_hv_register_write(HV_REGISTER_CRASH_P3, text[1]);
    arch_hv_register_write(HV_REGISTER_CRASH_P4, text[2]);
}

/* One report a boot: the control register may be written once, so a panic within a panic stays
 * silent. */
static void report(const char *message)
{
    if (atomic_flag_test_and_set(&reported)) {
        return;
    }
    size_t length = 0;
    while (length < sizeof(crash_text) && message[length] != '\0') {
        length++;
    }
    uint64_t control = HV_CRASH_NOTIFY | (supported & HV_CRASH_NO_DUMP);
    if ((supported & HV_CRASH_MESSAGE) != 0) {
        report_text(message, length);
        control |= HV_CRASH_MESSAGE;
    } else {
        report_parameters(message, length);
    }
    arch_hv_register_write(HV_REGISTER_CRASH_CTL, control);
}

static struct panic_hook hook = {.report = report};

void hv_crash_start(void)
{
    if (!hv_has_feature(HV_FEATURE_CRASH)) {
        return;
    }
    atomic_flag_clear(&reported);
    supported = arch_hv_register_read(HV_REGISTER_CRASH_CTL);
    if ((supported & HV_CRASH_NOTIFY) != 0) {
        panic_hook_register(&hook);
    }
}
