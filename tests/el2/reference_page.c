/* SPDX-License-Identifier: MIT */
#include "tests/el2/reference_page.h"

#include <string.h>

#include "arch/cpu.h"
#include "hv/tlfs.h"
#include "kernel/clock.h"
#include "kernel/pages.h"
#include "tests/el2/lock.h"
#include "tests/el2/stage2.h"

static struct {
    struct machine_lock lock;
    uint64_t value; /* of the register */
    uint64_t under;
    _Alignas(PAGE_SIZE) union {
        struct hv_reference_tsc_page page;
        uint8_t bytes[PAGE_SIZE];
    } cover;
} reference;

uint64_t reference_page_get(void)
{
    machine_lock(&reference.lock);
    const uint64_t value = reference.value;
    machine_unlock(&reference.lock);
    return value;
}

/* The guest's counter is the machine's, from which machine_reference_time() comes too. */
static void fill(void)
{
    __extension__ typedef unsigned __int128 product;

    memset(&reference.cover, 0, sizeof(reference.cover));
    atomic_store_explicit(&reference.cover.page.scale,
                          (uint64_t)(((product)CLOCK_SECOND << 64) / arch_counter_frequency()),
                          memory_order_relaxed);
    atomic_store_explicit(&reference.cover.page.sequence, 1, memory_order_release);
}

static uint64_t address_of(uint64_t value)
{
    return value & ~(uint64_t)(PAGE_SIZE - 1);
}

static bool set(uint64_t value)
{
    uint64_t under = 0;

    if ((value & HV_PAGE_REGISTER_RESERVED) != 0) {
        return false;
    }
    if (value == reference.value) {
        return true;
    }
    if ((reference.value & HV_PAGE_REGISTER_ENABLE) != 0) {
        stage2_uncover(address_of(reference.value), reference.under);
        reference.value = 0;
    }
    if ((value & HV_PAGE_REGISTER_ENABLE) != 0) {
        fill();
        if (!stage2_cover(address_of(value), &reference.cover, &under)) {
            return false;
        }
    }
    reference.value = value;
    reference.under = under;
    return true;
}

hv_status reference_page_set(uint64_t value)
{
    machine_lock(&reference.lock);
    const bool taken = set(value);
    machine_unlock(&reference.lock);
    return taken ? HV_STATUS_SUCCESS : HV_STATUS_INVALID_PARAMETER;
}
